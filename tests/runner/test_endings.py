"""How a run can end other than well, with real processes and real signals: what is kept, and what is said."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import simlab
from simlab.errors import RecordingError

STRATEGIES = """
import os
import signal
import time
from pathlib import Path

from simlab.agents.compiled import compiled_strategy
from simlab.agents.each import agent_strategy


@agent_strategy("slow", "Takes 50 ms to quote.")
class Slow:
    def decide(self, observation, orders):
        time.sleep(0.05)
        orders.cancel_all()
        orders.limit("buy", 99, 1)
        orders.limit("sell", 101, 1)


@agent_strategy("breaking", "Quotes, and breaks at step 40.")
class Breaking:
    def decide(self, observation, orders):
        orders.limit("buy", 99, 1)
        if observation.step == 40:
            raise ValueError("it broke")


@agent_strategy("swallowing", "Keeps the exception of an interrupt at step 3 to itself.")
class Swallowing:
    def decide(self, observation, orders):
        if observation.step == 3:
            try:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(60)
            except KeyboardInterrupt:
                pass


@agent_strategy("witness", "Leaves a file at step 8.")
class Witness:
    def decide(self, observation, orders):
        if observation.step == 8:
            Path("step_8").touch()


@compiled_strategy("stuck", "Never returns.")
def stuck(view, me, rng, orders):
    count = 0
    while count >= 0:
        count = (count + 1) % 1000
"""
MARKET = """\
steps: 100_000
instruments: {ACME: {initial_price: 100}}
populations:
  noise: {strategy: noise, count: 3, account: {cash: 10_000, inventory: 100}}
  mine: {strategy: "strategies.py:NAME", account: {cash: 1e9, inventory: 10_000}}
recording: {depth_every: 1, accounts_every: 1}
"""
TABLES = ("messages", "quotes", "depth", "accounts")


@pytest.fixture
def market(tmp_path: Path) -> Callable[[str], Path]:
    def market(strategy: str) -> Path:
        (tmp_path / "strategies.py").write_text(STRATEGIES)
        path = tmp_path / "market.yaml"
        path.write_text(MARKET.replace("NAME", strategy))
        return path

    return market


@contextmanager
def _process(*arguments: str | Path, cwd: Path) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, *map(str, arguments)],
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


def _wait(process: subprocess.Popen[str], done: Callable[[], Any]) -> None:
    while not done():
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        time.sleep(0.02)


def _reached(run_dir: Path) -> int:
    """Return up to which step a recording is on disk; 0 before it says so."""
    path = run_dir / "reached.json"
    return int(json.loads(path.read_text())["reached"]) if path.exists() else 0


def _ends(run: simlab.Run) -> dict[str, int]:
    """Return the last step of every sampled table and of the messages."""
    return {table: int(run.frame(table, columns=["step"])["step"].max()) for table in TABLES}


KEEPING = """
import sys
from simlab.runner import author
from simlab.cli import main
author.KEPT_AFTER_S = 0.3
sys.argv = ["simlab", "run", "market.yaml", "--quiet"]
main()
"""


def test_a_slow_run_that_is_killed_loses_only_the_last_moments(market: Callable[[str], Path]) -> None:
    folder = market("Slow").parent
    run_dir = folder / "runs" / "market-1-1"
    with _process("-c", KEEPING, cwd=folder) as process:
        _wait(process, lambda: _reached(run_dir) > 0)
        first = _reached(run_dir)
        _wait(process, lambda: _reached(run_dir) > first)
        process.send_signal(signal.SIGKILL)
        process.wait()
    run = simlab.open(run_dir)
    assert run.reached > first > 0
    assert run.status == f"unfinished (killed, pid {process.pid}); recorded to step {run.reached} of 100,000"
    assert set(_ends(run).values()) == {run.reached - 1}


def test_a_strategy_that_raises_leaves_everything_before(market: Callable[[str], Path]) -> None:
    path = market("Breaking")
    with pytest.raises(simlab.StrategyError, match="it broke") as caught:
        simlab.run(path, out=path.parent / "runs")
    run_dir = path.parent / "runs" / "market-1-1"
    assert f"what happened before step 40 is recorded in {run_dir}" in caught.value.__notes__
    run = simlab.open(run_dir)
    assert (run.finished, run.reached) == (False, 40)
    assert set(_ends(run).values()) == {39}
    assert run.manifest["failed"]["step"] == 40
    assert "it broke" in run.manifest["failed"]["message"]
    assert run.status.startswith("unfinished (failed: StrategyError: ")
    assert run.status.endswith("; recorded to step 40 of 100,000")


def test_a_second_interrupt_ends_what_the_first_cannot(market: Callable[[str], Path]) -> None:
    path = market("stuck")
    folder = path.parent
    witness = "  witness: {strategy: 'strategies.py:Witness'}\n"
    path.write_text(path.read_text().replace("10_000}}\nrec", f"10_000}}, joins: 9}}\n{witness}rec"))
    with _process("-m", "simlab.cli", "run", "market.yaml", "--quiet", cwd=folder) as process:
        _wait(process, (folder / "step_8").exists)
        time.sleep(0.5)  # by now it is in step 9, from which it does not return
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.readline() == "\n"
        assert "press Ctrl-C again to end at once" in process.stderr.readline()
        time.sleep(0.3)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "ended at once: step 9 was under way" in err
    assert "mine/0" in err


def test_an_interrupt_that_somebody_swallows_still_ends_the_run(market: Callable[[str], Path]) -> None:
    path = market("Swallowing")
    with _process("-m", "simlab.cli", "run", "market.yaml", "--quiet", cwd=path.parent) as process:
        _, err = process.communicate(timeout=250)
    assert process.returncode == 130, err
    assert "stopped: interrupted at step " in err
    assert simlab.open(path.parent / "runs" / "market-1-1").reached > 3


def test_where_nothing_can_be_written_is_said_before_the_work(market: Callable[[str], Path]) -> None:
    path = market("Slow")
    taken = path.parent / "taken"
    taken.write_text("a file")
    for out in (taken, taken / "runs"):
        with pytest.raises(RecordingError) as caught:
            simlab.run(path, out=out)
        assert "\n" not in str(caught.value)
        assert str(out) in str(caught.value)
    with _process("-m", "simlab.cli", "run", "market.yaml", "--out", "taken", cwd=path.parent) as process:
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err.count("\n")) == (2, 1)
    assert "taken is a file, not a folder; name a folder with --out" in err
