"""One State: a copy taken at any step goes on to the hash of the original, whatever the market holds."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import small_markets
from small_markets import MIXED, EventLog

from simlab.config import build, load
from simlab.core.hashing import hash_text
from simlab.errors import SimlabError, StrategyError
from simlab.kernel import Capacities, Simulation, SimulationSpec
from simlab.kernel.state import State

SMALLEST = Capacities(orders=1, levels=1, events=1, quotes=1, messages=1)
STEPS = 40


@cache
def spec(activation: str = "sequential", small: bool = False) -> SimulationSpec:
    built = build(load(MIXED | {"activation": activation}))
    return replace(built, capacities=SMALLEST) if small else built


@cache
def final(activation: str, small: bool) -> tuple[str, str]:
    """Return the hashes of the event log and of the state at the end."""
    market = Simulation(spec(activation, small))
    market.advance()
    return hash_text(market.event_log_hash), market.capture().hash()


def end_of(market: Simulation) -> tuple[str, str]:
    market.advance()
    market.audit()
    return hash_text(market.event_log_hash), market.capture().hash()


@pytest.mark.parametrize("activation", ["sequential", "simultaneous"])
@pytest.mark.parametrize("small", [False, True], ids=["roomy", "growing"])
def test_a_fork_at_any_step_ends_as_the_original(activation: str, small: bool) -> None:
    market = Simulation(spec(activation, small))
    for step in range(0, STEPS + 1, 4):
        market.advance(step)
        assert end_of(market.fork()) == final(activation, small), f"forked at step {step}"
    assert end_of(market) == final(activation, small), "the original is not disturbed by its forks"


@pytest.mark.parametrize("step", [0, 7, 22, 40])
def test_a_captured_state_goes_on_through_arrays(step: int) -> None:
    market = Simulation(spec())
    market.advance(step)
    arrays = {name: array.copy() for name, array in market.capture().to_arrays().items()}
    state = State.from_arrays(arrays)
    assert state.hash() == market.capture().hash()
    assert end_of(Simulation.restore(spec(), state)) == final("sequential", False)
    assert end_of(Simulation.restore(spec(), pickle.loads(pickle.dumps(state)))) == final("sequential", False)


def test_a_state_goes_on_in_another_process_and_without_the_jit() -> None:
    code = (
        "import pickle, sys, small_markets\n"
        "from simlab.config import build, load\n"
        "from simlab.core.hashing import hash_text\n"
        "from simlab.kernel import Simulation\n"
        "spec = build(load(small_markets.MIXED))\n"
        "market = Simulation.restore(spec, pickle.load(sys.stdin.buffer))\n"
        "market.advance()\n"
        "print(hash_text(market.event_log_hash), market.capture().hash())\n"
    )
    market = Simulation(spec())
    market.advance(17)
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=pickle.dumps(market.capture()),
        env=os.environ
        | {
            "NUMBA_DISABLE_JIT": "1",
            "PYTHONPATH": os.pathsep.join(
                [os.path.dirname(small_markets.__file__), os.environ.get("PYTHONPATH", "")]
            ),
        },
        capture_output=True,
        check=True,
    )
    assert tuple(done.stdout.decode().split()) == final("sequential", False)


def test_a_fork_and_its_original_go_separate_ways() -> None:
    market = Simulation(spec())
    market.advance(15)
    other = market.fork()
    other.publish("Only here", impact=400.0)
    assert end_of(other) != final("sequential", False)
    assert end_of(market) == final("sequential", False)


def test_a_fork_records_what_is_still_to_come() -> None:
    first, whole, rest = EventLog(), EventLog(), EventLog()
    market = Simulation(spec(), first)
    market.advance(20)
    other = market.fork(rest)
    other.advance()
    other.finish()
    complete = Simulation(spec(), whole)
    complete.advance()
    complete.finish()
    assert np.array_equal(np.concatenate([first.all, rest.all]), whole.all)
    assert rest.column("quotes", "step").min() == 20


def test_the_specification_can_be_run_any_number_of_times() -> None:
    one = spec()
    runs = [Simulation(one) for _ in range(2)]
    runs[0].advance(13)
    copies = (copy.deepcopy(one), pickle.loads(pickle.dumps(one)))
    for market in (*runs, *map(Simulation, copies)):
        assert end_of(market) == final("sequential", False)


def test_the_hash_of_a_state_does_not_depend_on_room() -> None:
    roomy, tight = Simulation(spec()), Simulation(spec(small=True))
    for market in (roomy, tight):
        market.advance(25)
    assert len(tight.state.book.orders) < len(roomy.state.book.orders)
    assert roomy.capture().hash() == tight.capture().hash()


def test_the_hash_of_a_state_sees_what_decides() -> None:
    market = Simulation(spec())
    market.advance(25)
    seen = {market.capture().hash()}
    for name, column in (
        ("ledger.accounts", "cash"),
        ("book.orders", "quantity"),
        ("agents", "due"),
        ("clock", "next_order_id"),
        ("book.counters", "sequence"),
        ("outside_levels", None),
        ("outside_memory", None),
        ("seats", None),
        ("memory", "values"),
    ):
        state = market.capture()
        array = state.to_arrays()[name]
        if column is None:
            array[0] += 1
        else:
            array[column][min(1, len(array) - 1)] += 1
        seen.add(state.hash())
    assert len(seen) == 10


def test_a_state_of_another_specification_is_refused() -> None:
    market = Simulation(spec())
    fewer = build(load(MIXED | {"populations": {"noise": {"strategy": "noise"}}, "shocks": []}))
    with pytest.raises(SimlabError, match="the state has 24 agents and the specification 1"):
        Simulation.restore(fewer, market.capture())


def test_an_object_that_cannot_be_kept_is_named() -> None:
    market = small_markets.simulation(small_markets.scripted("p", lambda number, observation, orders: None))
    market.fork().advance()
    with pytest.raises(StrategyError, match=r"cannot be saved.*pickle"):
        market.capture()


@pytest.mark.parametrize("change", [{"seed": 6}, {"activation": "simultaneous"}, {"news": {}}])
def test_a_state_of_another_market_of_the_same_size_is_refused(change: dict[str, object]) -> None:
    market = Simulation(spec())
    market.advance(3)
    with pytest.raises(SimlabError, match="another specification"):
        Simulation.restore(build(load(MIXED | change)), market.capture())


def test_a_market_may_go_on_for_longer_than_it_was_to() -> None:
    short = Simulation(build(load(MIXED | {"steps": 20, "shocks": [], "news": {}})))
    short.advance()
    long = build(load(MIXED | {"shocks": [], "news": {}}))
    whole = Simulation(long)
    assert end_of(Simulation.restore(long, short.capture())) == end_of(whole)
