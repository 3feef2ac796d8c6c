"""The reference of the built-in strategies agrees with the code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from simlab.agents.docs import DEFAULT_FILE, render
from simlab.agents.library import STRATEGIES
from simlab.agents.strategy import Calling, Needs, Option, Parameter, Strategy

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_current() -> None:
    written = (ROOT / DEFAULT_FILE).read_text(encoding="utf-8")
    assert written == render(STRATEGIES.values()), "run `python -m simlab.agents.docs`"


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    target = tmp_path / "strategy_reference.md"
    subprocess.run([sys.executable, "-m", "simlab.agents.docs", str(target)], check=True, cwd=ROOT)
    assert target.read_text(encoding="utf-8") == render(STRATEGIES.values())


def test_every_declaration_is_shown() -> None:
    text = render(STRATEGIES.values())
    for strategy in STRATEGIES.values():
        assert f"\n### {strategy.name}\n" in text
        assert strategy.source in text
        for parameter in strategy.parameters:
            assert f"| `{parameter.name}` |" in text
    conservative = text.partition("### personality/conservative")[2].partition("###")[0]
    assert "A preset of [`value`](#value), with the defaults `threshold` 20" in conservative


def test_required_parameters_and_options_are_shown() -> None:
    strategy = Strategy(
        name="reader",
        level=Calling.BATCH,
        make=dict,
        summary="Reads a file.",
        parameters=(Parameter("pace", 0.0, "1", "Pace.", required=True),),
        needs=Needs(depth=3, news=True),
        defined_in="simlab.agents.strategy",
        options=("path",),
        option_types=(Option("path", str | None, None, "A file."),),
    )
    text = render([strategy])
    assert "| `pace` | required | 1 | -inf to inf | Pace. |" in text
    assert "| `path` | `None` | `str \\| None` | A file. |" in text
    assert "3 levels of depth, the latest news" in text
