"""The tutorial of docs/strategies.md, typed along from its beginning to its end, does what it says."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "strategies.md"
TEXT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+\.(?:py|yaml))\n")
PRELUDE = f"""
set -euo pipefail
exec 2>&1
simlab() {{ "{sys.executable}" -m simlab.cli "$@"; }}
pytest() {{ "{sys.executable}" -m pytest -p no:cacheprovider "$@"; }}
"""


def _script() -> str:
    """Return all that the page tells to type, in its order."""
    parts = [PRELUDE]
    for language, body in BLOCKS:
        named = FILE.match(body)
        if language in ("python", "yaml"):
            target = f"cat > '{named[1]}'" if named else f"'{sys.executable}' -"
            parts.append(f"{target} <<'END_OF_FILE'\n{body}END_OF_FILE\n")
        elif language == "sh":
            # `! command` alone would not end the script where the command succeeds
            parts.append(re.sub(r"^! (.*)$", r"if \1; then exit 1; fi", body, flags=re.MULTILINE))
    return "\n".join(parts)


@pytest.fixture(scope="module")
def typed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Return the workspace that comes about, and what was printed."""
    folder = tmp_path_factory.mktemp("tutorial")
    environment = os.environ | {"COLUMNS": "200", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", _script()],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    return folder / "lab", done.stdout


@pytest.mark.slow
def test_all_of_it_works_as_it_is_typed(typed: tuple[Path, str]) -> None:
    lab, printed = typed
    assert "1 passed" in printed
    runs = sorted(path.name for path in (lab / "runs").iterdir())
    ended = ["crowd-1-1", "dips-2-1", "fast-1-1", "first_idea-1-1", "modelled-1-1"]
    assert runs == sorted([*ended, "hasty-1-1"])
    for run in ("dips-2-1", "crowd-1-1", "fast-1-1"):
        summary = json.loads((lab / "runs" / run / "manifest.json").read_text())["populations"]
        [dips] = [row for row in summary if row["population"] == "dips"]
        assert dips["fills"] > 0


@pytest.mark.slow
def test_what_it_shows_is_printed(typed: tuple[Path, str]) -> None:
    lab, printed = typed
    flat = " ".join(printed.replace(f"{lab}/", "").split())
    shown = [body for language, body in BLOCKS if language == "text"]
    lines = [*shown[0].splitlines(), " ".join(shown[1].split()), " ".join(shown[2].split())]
    assert [line for line in lines if line not in flat] == []


@pytest.mark.slow
def test_the_model_is_in_the_manifest(typed: tuple[Path, str]) -> None:
    manifest = json.loads((typed[0] / "runs" / "modelled-1-1" / "manifest.json").read_text())
    assert len(manifest["provenance"]["mine"]["model"]) == 64


def test_every_level_is_taught_and_nothing_else_is_left_untried() -> None:
    for decorator in ("agent_strategy", "batch_strategy", "compiled_strategy"):
        assert f"@{decorator}(" in TEXT
    assert {language for language, _ in BLOCKS} == {"sh", "python", "yaml", "text", "toml"}


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", TEXT))))
def test_links_lead_somewhere(link: str) -> None:
    assert (PAGE.parent / link).exists()
