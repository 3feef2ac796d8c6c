"""A run that was killed, at whatever moment, ends as one that was not: real processes, real signals."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import simlab
from simlab.errors import RecordingError, SimlabError
from simlab.recording.schema import TABLES
from simlab.runner import author as author_module
from simlab.runner.checkpoint import Checkpoints
from simlab.runner.resume import resume_run

STRATEGY = """
from simlab.agents.each import agent_strategy


@agent_strategy("remembering", "Trades on what it saw, and on its own draws.")
class Remembering:
    def __init__(self):
        self.seen = []

    def decide(self, observation, orders):
        self.seen = [*self.seen[-40:], observation.last_price]
        side = "buy" if sum(self.seen) % 2 else "sell"
        away = int(observation.random.integers(-3, 4))
        orders.limit(side, observation.last_price + away, 1 + len(self.seen) % 7)
        orders.note(reason=f"saw {len(self.seen)}")
"""
MARKET = """\
extends: {quickstart}
name: killed
steps: 3000
checkpoint: {{every: 250, keep: 2}}
populations:
  mine:
    strategy: remembering.py:Remembering
    count: 4
    activation: {{rate: 0.2}}
    account: {{cash: 1e9, inventory: 10_000}}
news: {{poisson: {{rate: 0.01, impact_scale: 20}}}}
recording: {{depth_every: 7, accounts_every: 50}}
"""
CONFIGS = Path(simlab.__file__).parent.parent / "configs"
KEEPING = """
import sys
from simlab.runner import author
from simlab.cli import main
author.KEPT_AFTER_S = 0.05
sys.argv = ["simlab", *sys.argv[1:]]
main()
"""
"""The command line, with all put on disk so often that whatever is done with files is often interrupted."""


@contextmanager
def command(*arguments: str | Path, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", KEEPING, *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "200"},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def outcome_of(*arguments: str | Path, cwd: Path) -> dict[str, Any]:
    with command(*arguments, "--json", "--quiet", cwd=cwd) as process:
        out, err = process.communicate(timeout=280)
    assert process.returncode == 0, err
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a market and a whole run of it."""
    folder = tmp_path_factory.mktemp("workshop")
    (folder / "remembering.py").write_text(STRATEGY)
    (folder / "market.yaml").write_text(MARKET.format(quickstart=CONFIGS / "quickstart.yaml"))
    outcome = outcome_of("run", "market.yaml", "--out", "whole", cwd=folder)
    (folder / "outcome.json").write_text(json.dumps(outcome))
    return folder


def tables_of(run_dir: Path) -> dict[str, pd.DataFrame]:
    run = simlab.open(run_dir)
    return {name: run.frame(name).drop(columns="ms", errors="ignore") for name in TABLES}


def require_same(workshop: Path, outcome: dict[str, Any]) -> None:
    """Compare a run with the one that nothing happened to: hash, summary, every row of every table."""
    whole = json.loads((workshop / "outcome.json").read_text())
    changing = ("run_dir", "seconds")
    assert {k: v for k, v in outcome.items() if k not in changing} == {
        k: v for k, v in whole.items() if k not in changing
    }
    assert list(outcome) == list(whole)
    expected = tables_of(workshop / whole["run_dir"])
    for name, rows in tables_of(workshop / outcome["run_dir"]).items():
        pd.testing.assert_frame_equal(rows, expected[name])
    run = simlab.open(workshop / outcome["run_dir"])
    assert run.finished
    assert run.manifest["counts"] == {name: len(rows) for name, rows in expected.items()}
    assert not list((workshop / outcome["run_dir"]).rglob(".*.writing"))


def reached(run_dir: Path) -> int:
    path = run_dir / "reached.json"
    return int(json.loads(path.read_text())["reached"]) if path.exists() else 0


def kill_at(process: subprocess.Popen[str], run_dir: Path, step: int, delay_s: float) -> None:
    """Kill a run a moment after a step of it is on disk."""
    while process.poll() is None and reached(run_dir) < step:
        time.sleep(0.002)
    time.sleep(delay_s)
    process.send_signal(signal.SIGKILL)
    process.wait()


def killed_and_resumed(workshop: Path, out: str, seed: int, kills: int) -> None:
    """Kill one run some times, on its way and while it resumes, then let it end."""
    rng = random.Random(seed)
    run_dir = workshop / out / "killed-1-1"
    arguments: tuple[str | Path, ...] = ("run", "market.yaml", "--out", out)
    killed = 0
    for step in sorted(rng.sample(range(2_500), kills)):
        with command(*arguments, "--quiet", cwd=workshop) as process:
            kill_at(process, run_dir, step, rng.uniform(0, 0.1))
            killed += process.returncode == -signal.SIGKILL
        if (run_dir / "manifest.json").exists():
            arguments = ("resume", Path(out) / "killed-1-1")
    assert killed
    require_same(workshop, outcome_of(*arguments, cwd=workshop))


@pytest.mark.slow
def test_a_run_killed_now_and_again_ends_as_one_that_was_not(workshop: Path) -> None:
    killed_and_resumed(workshop, "few", seed=1, kills=2)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("seed", range(5))
def test_a_run_killed_at_25_random_moments_ends_as_one_that_was_not(workshop: Path, seed: int) -> None:
    killed_and_resumed(workshop, f"many-{seed}", seed=100 + seed, kills=5)


@pytest.mark.slow
def test_a_run_that_was_told_to_stop_goes_on_where_it_stopped(workshop: Path) -> None:
    run_dir = workshop / "stopped" / "killed-1-1"
    arguments = ("run", "market.yaml", "--out", "stopped", "--quiet", "--set", "checkpoint=null")
    with command(*arguments, cwd=workshop) as process:
        while reached(run_dir) < 300:
            assert process.poll() is None
            time.sleep(0.002)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "go on with `simlab resume stopped/killed-1-1`" in err.replace("\n", " ")
    run = simlab.open(run_dir)
    assert 300 <= run.reached < 3_000
    checkpoint = Checkpoints(run_dir / "checkpoints").latest()
    assert checkpoint is not None
    assert checkpoint.step == run.reached
    outcome = outcome_of("resume", "stopped/killed-1-1", cwd=workshop)
    require_same(workshop, outcome)
    assert [it["step"] for it in simlab.open(run_dir).manifest["resumed"]] == [checkpoint.step]


@pytest.mark.slow
def test_a_run_without_checkpoints_goes_on_from_its_beginning(workshop: Path) -> None:
    run_dir = workshop / "plain" / "killed-1-1"
    arguments = ("run", "market.yaml", "--out", "plain", "--quiet", "--set", "checkpoint=null")
    with command(*arguments, cwd=workshop) as process:
        kill_at(process, run_dir, 500, 0.0)
    assert not (run_dir / "checkpoints").exists()
    require_same(workshop, outcome_of("resume", "plain/killed-1-1", cwd=workshop))


def test_a_finished_run_tells_what_it_came_to(workshop: Path) -> None:
    whole = json.loads((workshop / "outcome.json").read_text())
    again = outcome_of("resume", whole["run_dir"], cwd=workshop)
    assert again == whole


def test_what_cannot_be_resumed_says_why(workshop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RecordingError, match=r"not a run.*runs nearby"):
        resume_run(workshop / "whole" / "killed-1-7")
    path = workshop / "short.yaml"
    path.write_text((workshop / "market.yaml").read_text().replace("name: killed", "name: short"))
    monkeypatch.setattr(author_module.Author, "finish", lambda self, facts: self._writer.flush())
    simlab.run(path, out=workshop / "short", steps=300)
    monkeypatch.undo()
    run_dir = workshop / "short" / "short-1-1"
    with pytest.raises(RecordingError, match=f"still being recorded by process {os.getpid()}"):
        resume_run(run_dir)
    manifest = json.loads((run_dir / "manifest.json").read_text())
    (run_dir / "manifest.json").write_text(json.dumps(manifest | {"status": "failed: it broke"}))
    code = (workshop / "remembering.py").read_text()
    (workshop / "remembering.py").write_text(code + "\n# changed")
    with pytest.raises(SimlabError, match=r"other code or data \(plugins: .*remembering.py"):
        resume_run(run_dir)
    (workshop / "remembering.py").write_text(code)
    assert resume_run(run_dir).steps == 300
