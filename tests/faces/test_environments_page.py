"""docs/environments.md does what it says, and its tables are those of the code."""

from __future__ import annotations

import math
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from simlab.agents.library.seat import FEATURES
from simlab.faces.turns import Seat

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "environments.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+\.(?:py|yaml))\n")


def _run(command: list[str], workspace: Path) -> str:
    environment = os.environ | {"NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=workspace, env=environment, capture_output=True, text=True, timeout=250, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    for folder in ("configs", "strategies", "experiments/learnt_market_maker"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    session = ""  # Python is typed into one session
    for language, body in BLOCKS:
        if named := FILE.match(body):
            (tmp_path / named[1]).write_text(body, encoding="utf-8")
        elif language == "python":
            session += body
    gain, folder = _run([sys.executable, "-c", session], tmp_path).splitlines()
    assert re.fullmatch(r"-?[\d.]+ -?\d+ [0-9a-f]{16}", gain)
    assert (tmp_path / folder).is_dir()
    for line in "".join(body for language, body in BLOCKS if language == "sh").splitlines():
        program, *arguments = shlex.split(line)
        if program == "simlab":
            _run([sys.executable, "-m", "simlab.cli", *arguments], tmp_path)
        elif program == "python":
            _run([sys.executable, *arguments, "--generations", "1", "--seeds", "64"], tmp_path)


def test_every_feature_is_in_the_table() -> None:
    for i, (name, unit, low, high) in enumerate(FEATURES):
        bounds = f"{low:g} or more" if math.isinf(high) else f"{low:g} to {high:g}"
        assert f"| {i} | `{name}` | {unit} | {'none' if math.isinf(low) else bounds} |" in TEXT


def test_every_argument_of_a_seat_is_in_the_table() -> None:
    table = TEXT[TEXT.index("| argument |") : TEXT.index("With a market of your own")]
    named = set(
        re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in table.splitlines() if "|" in row))
    )
    assert {it.name for it in fields(Seat)} - {"task"} <= named
