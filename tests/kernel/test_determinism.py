"""The same experiment gives the same event-log hash, however and wherever it is run."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_markets
from small_markets import MIXED, EventLog, mixed_hash

from simlab.config import build, load
from simlab.core.hashing import HASH_SEED, hash_rows, hash_text
from simlab.engine.compiled.arrays import B_SELF_TRADE, allocate
from simlab.kernel import RecordingPlan, Simulation, SimulationSpec
from simlab.recording import RunWriter, open_run


@pytest.fixture(scope="module")
def expected() -> str:
    return mixed_hash()


def spec() -> SimulationSpec:
    return build(load(MIXED))


def hash_of(simulation: Simulation) -> str:
    simulation.advance()
    simulation.finish()
    simulation.audit()
    return hash_text(simulation.event_log_hash)


@pytest.mark.parametrize(
    "environment",
    [{"PYTHONHASHSEED": "1"}, {"PYTHONHASHSEED": "2", "NUMBA_DISABLE_JIT": "1"}],
    ids=["compiled", "interpreted"],
)
def test_other_processes_agree(environment: dict[str, str], expected: str) -> None:
    done = subprocess.run(
        [sys.executable, small_markets.__file__],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [expected, mixed_hash(activation="simultaneous")]


def test_the_run_is_lively_and_its_seed_matters(expected: str) -> None:
    log = EventLog()
    simulation = Simulation(spec(), sink=log)
    assert hash_of(simulation) == expected
    assert simulation.trades > 50
    assert len(np.unique(log.all["kind"])) == 6
    assert {"news", "quotes"} <= set(log.tables)
    assert mixed_hash(seed=6) != expected
    assert mixed_hash(activation="simultaneous") != expected


def test_the_running_hash_is_that_of_all_events(expected: str) -> None:
    log = EventLog()
    hash_of(Simulation(spec(), sink=log))
    words = log.all.view(np.uint64).reshape(-1, 8)
    assert hash_text(int(hash_rows(HASH_SEED, words, 0, len(words)))) == expected


@pytest.mark.parametrize(
    "plan",
    [RecordingPlan(), RecordingPlan(1, 1, 3, 1), RecordingPlan(0, 0, 1, 0)],
    ids=["default", "all", "none"],
)
def test_recording_changes_nothing(plan: RecordingPlan, tmp_path: Path, expected: str) -> None:
    with RunWriter(tmp_path / "run", config={}, manifest={}) as writer:
        simulation = Simulation(replace(spec(), recording=plan), sink=writer)
        assert hash_of(simulation) == expected
        writer.finish({})
    tables = open_run(tmp_path / "run").tables()
    assert tables["trades"] == simulation.trades
    assert (tables.get("quotes", 0) > 0) == (plan.quotes_every > 0)


def test_order_of_listing_changes_nothing(expected: str) -> None:
    populations = dict(reversed(MIXED["populations"].items()))
    instruments = dict(reversed(MIXED["instruments"].items()))
    assert mixed_hash(populations=populations, instruments=instruments) == expected


@pytest.mark.parametrize("slice_steps", [1, 7])
def test_advance_in_slices_changes_nothing(slice_steps: int, expected: str) -> None:
    simulation = Simulation(spec())
    for until in range(0, 40 + slice_steps, slice_steps):
        simulation.advance(until)
    assert simulation.step == 40
    assert hash_text(simulation.event_log_hash) == expected


def test_advance_to_the_past_or_beyond_the_end_does_nothing(expected: str) -> None:
    simulation = Simulation(spec())
    simulation.advance(25)
    simulation.advance(10)
    assert simulation.step == 25
    simulation.advance(10_000)
    simulation.advance()
    assert simulation.step == 40
    assert hash_text(simulation.event_log_hash) == expected


def shrink(simulation: Simulation) -> None:
    """Give a new simulation the smallest buffers that can hold anything."""
    accounts = len(simulation.ledger.accounts)
    book = allocate(len(simulation.instruments), accounts, orders=1, levels=1, events=1)
    book.books[:, B_SELF_TRADE] = simulation.book.books[:, B_SELF_TRADE]
    simulation.book = book
    flight = np.zeros((2, 8), np.int64)
    quotes = np.zeros((len(simulation.instruments), 9), np.int64)
    simulation.world = simulation.world._replace(flight=flight, quotes=quotes)
    simulation._bind()


@pytest.mark.parametrize("sink", [EventLog, lambda: None], ids=["recorded", "unrecorded"])
def test_buffers_that_must_grow_change_nothing(sink: Callable[[], EventLog | None], expected: str) -> None:
    log = sink()
    simulation = Simulation(spec(), sink=log)
    shrink(simulation)
    assert hash_of(simulation) == expected
    assert len(simulation.world.flight) > 2
    assert len(simulation.book.orders) > 16
    if log is not None:
        plain = EventLog()
        hash_of(Simulation(spec(), sink=plain))
        assert np.array_equal(log.all, plain.all)
        assert np.array_equal(log.column("quotes", "best_bid"), plain.column("quotes", "best_bid"))
