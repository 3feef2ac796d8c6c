"""docs/ml.md takes a newcomer to a trained population: its commands run, its tables are those of the code."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from learning_markets import ROOT

from simlab.agents.features import FEATURES
from simlab.config.training import training_schema

TEXT = (ROOT / "docs" / "ml.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+\.yaml)\n")


def _run(command: list[str], workspace: Path) -> str:
    environment = os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=workspace, env=environment, capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Do what the page says from top to bottom; return what its Python prints."""
    workspace = tmp_path_factory.mktemp("workspace")
    shutil.copytree(ROOT / "configs", workspace / "configs")
    said = []
    for language, body in BLOCKS:
        if language == "yaml":
            (workspace / FILE.match(body)[1]).write_text(body, encoding="utf-8")  # type: ignore[index]
        elif language == "python":
            said.append(_run([sys.executable, "-c", body], workspace))
        else:
            for line in body.splitlines():
                if not line.startswith("pip "):
                    _run([sys.executable, "-m", "simlab.cli", *shlex.split(line)[1:]], workspace)
    return said


@pytest.mark.slow
def test_the_page_does_what_it_says(printed: list[str]) -> None:
    decision, comparison, _ = printed
    assert re.match(r"(buy|sell) \d+ at \d+.* \{'fall': .*'features': \{'spread': ", decision)
    assert re.fullmatch(r"\d+ more an agent, 95% interval -?\d+ to \d+\n", comparison)


def test_every_feature_is_in_the_table() -> None:
    for feature in FEATURES.values():
        name = f"{feature.name}_W" if feature.over else feature.name
        steps = feature.warm_up(500)
        warm_up = "0" if feature.own else {500: "W", 501: "W + 1"}.get(steps, str(steps))
        assert f"| `{name}` | {feature.unit} | {feature.formula} | {warm_up} |" in TEXT


def test_every_key_of_the_training_file_is_in_the_table() -> None:
    schema = training_schema()
    keys = schema["properties"] | {
        f"label.{name}": it for name, it in schema["$defs"]["LabelConfig"]["properties"].items()
    }
    for name, it in keys.items():
        if name not in ("label", "features"):
            default = json.dumps(it["default"])
            assert f"| `{name}` | `{default}` | {it.get('unit', '')} | {it['description']} |" in TEXT
