"""What docs/llm.md shows is what happens: its files are valid, its commands run, its names are all."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import simlab
from simlab.agents.llm.answers import Form
from simlab.agents.llm.options import NAMES, PERSONALITIES, Options
from simlab.agents.llm.prompts import SAMPLE
from simlab.agents.llm.tools import TOOLS
from simlab.cli.app import app
from simlab.runner.rehearsal import rehearse

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "llm.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)
FILES = {body.split("\n")[0].removeprefix("# "): body for language, body in BLOCKS if language == "yaml"}
COMMANDS = [line for language, body in BLOCKS if language == "sh" for line in body.strip().split("\n")]
ASKS_A_MODEL = re.compile(r"pip install|models get|llm_local|cassette\.mode")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of configs/ in which the page's files stand."""
    folder = tmp_path_factory.mktemp("workspace")
    shutil.copytree(ROOT / "configs", folder / "configs")
    for name, body in FILES.items():
        (folder / name).write_text(body, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_valid_and_can_be_rehearsed(workspace: Path, name: str) -> None:
    rows = rehearse(simlab.load(workspace / name, steps=130))
    assert all(row.decisions and row.prompt for row in rows)


def test_the_commands_run(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace)
    run = [it for it in COMMANDS if not ASKS_A_MODEL.search(it)]
    assert len(run) >= 2
    for command in run:
        program, *arguments = shlex.split(command)
        assert program == "simlab"
        shown = CliRunner().invoke(app, [*arguments, "--steps", "6"])
        assert shown.exit_code == 0, shown.output


def test_the_code_runs(
    workspace: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(workspace)
    for language, body in BLOCKS:
        if language == "python":
            exec(body, {})
    assert "llm" in capsys.readouterr().out


def test_the_answer_that_is_shown_is_one() -> None:
    (answer,) = [body for language, body in BLOCKS if language == "json"]
    decision = Form(("ACME",), note_length=100, post_length=100).read(answer)
    assert [it.action for it in decision.moves] == ["buy", "sell", "cancel", "cancel_all"]


def test_all_names_are_told() -> None:
    missing = [
        name
        for name in (*NAMES, *PERSONALITIES, *TOOLS, *SAMPLE, *SAMPLE["market"])
        if f"`{name}`" not in TEXT
    ]
    assert missing == []


def test_the_defaults_are_those_that_are_told() -> None:
    options = Options()
    for name, told in re.findall(r"^\| `(\w+)` \| (\d+) \|", TEXT, flags=re.MULTILINE):
        value = getattr(options, name)
        assert int(told) == (value.count if name == "notes" else value)
    points = re.search(r"`{points: (\d+), every: (\d+)}`", TEXT)
    assert points is not None
    assert (int(points[1]), int(points[2])) == (options.history.points, options.history.every)
