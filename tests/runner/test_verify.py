"""A run that is run again is the same; where it is not, the first row that differs is told, and why."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import simlab
from simlab.errors import RecordingError
from simlab.runner.verify import verify_run

STRATEGY = """
from simlab.agents.each import agent_strategy


@agent_strategy("quoter", "Quotes.")
class Quoter:
    def decide(self, observation, orders):
        orders.limit("buy", 990 + observation.step % 5, SIZE if observation.step == 30 else 1)
        orders.note(reason="because")
"""
MARKET = """\
name: market
steps: 60
instruments: {ACME: {initial_price: 1000}}
populations:
  noise: {strategy: noise, count: 20, account: {cash: 1_000_000, inventory: 100}}
  quoters: {strategy: "quoter.py:Quoter", count: 2, account: {cash: 1e9}}
recording: {depth_every: 10, accounts_every: 10}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("verify")
    (folder / "quoter.py").write_text(STRATEGY.replace("SIZE", "1"))
    (folder / "market.yaml").write_text(MARKET)
    simlab.run(folder / "market.yaml", out=folder / "runs")
    return folder


def verify(folder: Path) -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "simlab.cli", "verify", "runs/market-1-1", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


def test_a_run_is_the_same_again(folder: Path) -> None:
    code, told = verify(folder)
    assert code == 0
    assert told["same"]
    assert told["event_log_hash"] == told["again"]
    assert (told["differences"], told["environment"]) == ([], {})


def test_where_it_differs_is_told(folder: Path) -> None:
    (folder / "quoter.py").write_text(STRATEGY.replace("SIZE", "7"))
    try:
        code, told = verify(folder)
    finally:
        (folder / "quoter.py").write_text(STRATEGY.replace("SIZE", "1"))
    assert (code, told["same"]) == (1, False)
    first = {it["table"]: it for it in told["differences"]}["messages"]
    messages = simlab.open(folder / "runs" / "market-1-1").messages(names=False)
    row = messages.iloc[first["row"]]
    assert (first["step"], first["column"], first["recorded"], first["again"]) == (30, "quantity", 1, 7)
    assert (row["step"], row["quantity"]) == (30, 1)
    assert list(told["environment"]) == [f"plugins.{folder / 'quoter.py'}"]


def test_a_run_that_did_not_end_is_not_verified(folder: Path, tmp_path: Path) -> None:
    path = folder / "runs" / "market-1-1" / "manifest.json"
    (tmp_path / "manifest.json").write_text(
        json.dumps(json.loads(path.read_text()) | {"status": "failed: it"})
    )
    with pytest.raises(RecordingError, match="simlab resume"):
        verify_run(tmp_path)
