"""What the README shows is what happens: its examples run, its commands work, its table is a real one."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# (\S+\.(?:py|yaml))\n")
INSTALLING = ["pip install -e . && simlab run configs/quickstart.yaml", 'pip install -e ".[test]" && pytest']


def _blocks(language: str) -> list[str]:
    return [body for name, body in BLOCKS if name == language]


def _run(command: list[str], workspace: Path) -> str:
    environment = os.environ | {"COLUMNS": "100", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=workspace, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def _simlab(arguments: list[str], workspace: Path) -> str:
    return _run([sys.executable, "-m", "simlab.cli", *arguments], workspace)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Return a copy of the examples with the files that the README tells to write."""
    for folder in ("configs", "strategies"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for body in _blocks("python") + _blocks("yaml"):
        if named := FILE.match(body):
            (tmp_path / named[1]).write_text(body, encoding="utf-8")
    return tmp_path


def test_the_two_commands_come_first() -> None:
    assert _blocks("sh")[0].splitlines() == INSTALLING


def test_the_table_is_what_quickstart_prints(workspace: Path) -> None:
    printed = _simlab(["run", "configs/quickstart.yaml"], workspace)
    tables = printed[: printed.index("event-log hash")].splitlines()
    *lines, last = [*tables[:-1], printed.splitlines()[len(tables) - 1]]
    last = re.sub(r" in [\d.]+ s;", ";", last)  # the time differs from run to run
    shown = "".join(f"{line.rstrip()}\n" for line in [*lines, last])
    assert _blocks("text")[0] == shown, f"paste this into README.md:\n{shown}"


def test_the_python_examples_run(workspace: Path) -> None:
    own = [body for body in _blocks("python") if not FILE.match(body)]
    first, second, third = [body for body in own if "simlab.live" not in body]  # that one needs a market
    assert re.match(r"[1-9][\d,]* trades; mean spread \d", _run([sys.executable, "-c", first], workspace))
    printed = _run([sys.executable, "-c", second], workspace)
    assert "makers" in printed
    assert "adverse_selection" in printed
    quiet, warned = re.findall(r"last mid price ([\d.]+)", _run([sys.executable, "-c", third], workspace))
    assert float(warned) < float(quiet) - 20


@pytest.mark.slow
def test_the_commands_that_read_a_run_work(workspace: Path) -> None:
    shutil.copytree(ROOT / "experiments", workspace / "experiments")
    _simlab(["run", "configs/quickstart.yaml", "--quiet"], workspace)
    [block] = [body for body in _blocks("sh") if body.startswith("simlab report")]
    commands = [shlex.split(line, comments=True)[1:] for line in block.splitlines()]
    report, facts, _, compare, replicate = (_simlab(command, workspace) for command in commands)
    assert (workspace / report.strip()).stat().st_size > 1_000_000
    assert "absence of autocorrelation" in facts
    assert "one seed: cannot rank" in " ".join(compare.split())
    assert "ZI-C efficiency" in replicate
    assert "reproduced" in (workspace / "experiments" / "README.md").read_text(encoding="utf-8")


def test_the_commands_work(workspace: Path) -> None:
    [block] = [body for body in _blocks("sh") if body.startswith("simlab validate")]
    commands = [line.split() for line in block.splitlines()]
    outputs = [_simlab(command[1:], workspace) for command in commands]
    assert "255 agents" in outputs[0]
    assert re.search(r"│ mine +│ +20 │ +[1-9]", outputs[1])


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\(([^)#]+)\)", TEXT))))
def test_links_lead_somewhere(link: str) -> None:
    assert (ROOT / link).exists()


def test_the_benchmark_commands_are_known() -> None:
    from typer.testing import CliRunner

    from simlab.cli.app import app

    for command in sorted(set(re.findall(r"`simlab (bench [^`]+)`", TEXT))):
        options = re.findall(r"--[a-z]+", command)
        shown = CliRunner().invoke(app, [*command.split()[:2], "--help"], env={"COLUMNS": "200"})
        assert [option for option in options if option not in shown.output] == []
