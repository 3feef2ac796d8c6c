"""Put the state of a running market under another specification, so that it goes on with something changed.

What may change is in `simlab.kernel.changes`. What a change does:

- terms, fees, account rules, latency, signals, parameters: they hold from the next step on. What resting
  orders have in reserve follows the fees; messages that are on their way arrive when they would have.
- activation: the agents are due anew from the next step on, as if they had just joined.
- a strategy (or what it falls back on): its memory begins anew, and it has seen no fills yet. One written in
  Python also begins anew when its options change, or the parameters that its objects were made with.
- processes outside, news, shocks: those after the last step whose boundary is over; levels go on. A value
  that is to depend on its own past remembers none yet.
- seed: all draws from the next step on. What was drawn stays: parameters, when agents are due next.
- joins, leaves: as planned from now on. A population that leaves now cancels its orders at this boundary.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.strategy import Calling
from simlab.core.jit import jit
from simlab.core.rows import new_rows
from simlab.kernel.assemble import assemble, enter_schedule, require_state_of, set_terms
from simlab.kernel.audit import reserved_cash
from simlab.kernel.changes import alike, last_entered, require_possible
from simlab.kernel.inbox import ENTRY, Entry, EntryKind, Origin, rows_of
from simlab.kernel.remembering import Memory
from simlab.kernel.schedule import due_again
from simlab.kernel.spec import Capacities, Population, SimulationSpec
from simlab.kernel.state import Activated, CallLevel, State, find_state
from simlab.market.ledger import FILL_LOG
from simlab.processes import Outside, OutsideState

__all__ = ["rebase"]

_NO_ROOM = Capacities(orders=1, levels=1, events=1, quotes=1, messages=1)


def rebase(old: SimulationSpec, state: State, new: SimulationSpec) -> State:
    """Return a captured state, put under another specification; O(state).

    Parameters
    ----------
    old : SimulationSpec
        Of the market that the state was captured from.
    state : State
        It is copied.
    new : SimulationSpec
        Of the market that is to go on from it; see `simlab.kernel.simulation.Simulation.restore`.

    Raises
    ------
    ConfigError
        When something differs that cannot change in a running market; says what, why and the remedy.

    Example
    -------
    >>> from dataclasses import replace
    >>> from simlab.config import build, load
    >>> from simlab.kernel import Simulation
    >>> spec = build(load({"steps": 10, "instruments": {"ACME": {"initial_price": 100}}}))
    >>> market = Simulation(spec)
    >>> _ = market.advance(5)
    >>> dearer = replace(spec, instruments=(replace(spec.instruments[0], taker_fee_ppm=100),))
    >>> int(rebase(spec, market.capture(), dearer).ledger.terms["taker_ppm"][0])
    100
    """
    require_state_of(old, state)
    require_possible(old, new, state)
    moved, fresh = state.copy(), assemble(replace(new, capacities=_NO_ROOM))
    _Cast(old, new).carry(moved, fresh)
    _carry_ledger(old, new, moved, fresh)
    _carry_market(new, moved, fresh)
    _carry_outside(old, new, moved)
    _carry_plan(old, new, moved)
    moved.clock["specification"] = new.digest()
    return moved


def _same_strategy(one: Any, other: Any) -> bool:
    """Say whether two deciders are the same strategy: what it remembers goes on."""
    return bool(
        (one.strategy.name, one.strategy.level, one.strategy.defined_in)
        == (other.strategy.name, other.strategy.level, other.strategy.defined_in)
    )


def _same_object(one: Any, other: Any) -> bool:
    """Say whether objects made for one decider can decide for another."""
    if not (_same_strategy(one, other) and alike(one.options, other.options)):
        return False
    made_with_numbers = one.strategy.level is Calling.AGENT
    return not made_with_numbers or alike(one.parameters, other.parameters)


@jit
def _due_again(address, first, count):
    state = find_state(address)
    for number in range(first, first + count):
        due_again(state, number)


class _Cast:
    """Carry over populations, what they fall back on, and their agents."""

    def __init__(self, old: SimulationSpec, new: SimulationSpec) -> None:
        self._old, self._new = old, new
        self._rows = {
            was: now
            for chain, other in zip(old.chains, new.chains, strict=True)
            for was, now in zip(chain, other, strict=False)
        }

    def carry(self, moved: State, fresh: State) -> None:
        """Give a state the tables of the new cast; agents whose activation is the same stay due."""
        before, memory = moved.populations, moved.memory
        fresh.populations["present"][: len(self._new.populations)] = before["present"][
            : len(self._old.populations)
        ]
        for name in ("populations", "lists", "parameters", "memory"):
            setattr(moved, name, getattr(fresh, name))
        moved.clock["parameters"] = -1
        for was, now in self._rows.items():
            if moved.populations["level"][now] == CallLevel.COMPILED and _same_strategy(
                self._old.cast[was], self._new.cast[now]
            ):
                rows = int(before["count"][was]) * int(before["instruments"][was])
                at, to = int(before["memory_at"][was]), int(moved.populations["memory_at"][now])
                moved.memory[to : to + rows] = memory[at : at + rows]
        self._carry_objects(moved)
        self._carry_agents(moved, fresh)

    def _carry_objects(self, moved: State) -> None:
        old, new = self._old.cast, self._new.cast
        same = {was for was, now in self._rows.items() if _same_object(old[was], new[now])}
        remembered = Memory.unpickled(moved.memory_of_strategies.tobytes())
        kept = remembered.carried(self._rows, same, streams=self._old.seed == self._new.seed)
        moved.memory_of_strategies = np.frombuffer(kept.pickled(), np.uint8).copy()

    def _carry_agents(self, moved: State, fresh: State) -> None:
        """Give agents the keys of their draws, and put those that act otherwise where they are due anew."""
        moved.agents["key"] = fresh.agents["key"]
        moved.instrument_keys = fresh.instrument_keys
        pairs = list(zip(self._old.populations, self._new.populations, strict=True))
        again = {p for p, (one, other) in enumerate(pairs) if _acts(one) != _acts(other)}
        if not again:
            return
        moved.wheel[:] = -1
        step = int(moved.clock["step"][0])
        for p, (row, (_, population)) in enumerate(zip(moved.populations, pairs, strict=False)):
            first, count = int(row["first"]), population.count
            if p in again:
                for name in ("due", "next", "cursor"):
                    moved.agents[name][first : first + count] = 0
                enter_schedule(self._new, moved, first, population, max(step, population.joins))
            elif row["activated"] not in (Activated.EVERY_STEP, Activated.NEVER):
                _due_again(moved.address, first, count)


def _acts(population: Population) -> tuple[Any, ...]:
    """Return what decides when agents act."""
    return population.activation, population.joins


def _carry_ledger(old: SimulationSpec, new: SimulationSpec, moved: State, fresh: State) -> None:
    ledger, other = moved.ledger, fresh.ledger
    set_terms(ledger, new.instruments)
    ledger.policies = other.policies
    ledger.accounts["reserved"] = reserved_cash(moved)
    each = len(new.instruments) * FILL_LOG
    logs, fills = ledger.accounts["fill_log"].copy(), ledger.fills.reshape(-1, each)
    kept = (logs > 0) & (other.accounts["fill_log"] > 0)
    other.fills.reshape(-1, each)[other.accounts["fill_log"][kept]] = fills[logs[kept]]
    ledger.accounts["fill_log"], ledger.fills = other.accounts["fill_log"], other.fills
    if not (len(ledger.customers) and len(other.customers)):
        ledger.customers = other.customers
    first = 0
    positions = ledger.positions.reshape(-1, len(new.instruments))
    for one, population in zip(old.populations, new.populations, strict=True):
        own = slice(first, first + population.count)
        if not _same_strategy(one, population):
            for name in ("bought", "sold", "fills"):
                positions[name][own] = 0
            ledger.accounts["last_look"][own] = -1
        if one.account.rate_window != population.account.rate_window:
            ledger.accounts["window"][own] = ledger.accounts["sent"][own] = 0
        if len(ledger.customers) and population.customers is None:
            ledger.customers.reshape(positions.shape)["quantity"][own] = 0
        first += population.count


def _carry_market(new: SimulationSpec, moved: State, fresh: State) -> None:
    """Carry over what is seen of the market, how orders of one account meet, and how messages travel."""
    for name in ("tick_size", "lot_size", "price_low"):
        moved.views[name] = fresh.views[name]
    moved.book.self_trade[:] = fresh.book.self_trade
    for name in ("simultaneous", "listens"):
        moved.clock[name] = fresh.clock[name]
    if len(moved.history) != len(fresh.history):
        moved.history = fresh.history
    if len(fresh.arrivals) > len(moved.arrivals):
        ring, wider = moved.arrivals, new_rows(len(fresh.arrivals), moved.arrivals.dtype)
        steps = int(moved.clock["step"][0]) + np.arange(len(ring))
        wider[steps % len(wider)] = ring[steps % len(ring)]
        moved.arrivals = wider


def _carry_outside(old: SimulationSpec, new: SimulationSpec, moved: State) -> None:
    """Let the outside processes go on as they are now said to be, after the last boundary that is over."""
    if (old.outside, old.seed) == (new.outside, new.seed):
        return
    clock, entered = moved.clock[0], last_entered(moved)
    made, step, start = (int(clock[name]) for name in ("outside_step", "step", "block_start"))
    reached = OutsideState(made, moved.outside_levels, moved.outside_memory)
    if made > entered + 1:
        before = OutsideState(start, moved.block_levels, moved.block_memory)
        _, reached = _outside(old).advance(before, entered + 1 - start)
    moved.outside_levels, moved.block_levels = reached.levels.copy(), reached.levels.copy()
    memory, blank = reached.memory.copy(), _outside(new).start().memory
    anew = _remembers(old) != _remembers(new)
    memory[anew] = blank[anew]
    moved.outside_memory, moved.block_memory = memory.ravel(), memory.ravel().copy()
    count = len(new.instruments)
    at = (step - start) * count
    moved.fundamental = (
        moved.fundamental[at : at + count].copy() if entered == step else new_rows(count, "f8")
    )
    moved.clock["block_start"], moved.clock["outside_step"] = step, entered + 1
    made_by = np.isin(moved.inbox["origin"], (Origin.NEWS, Origin.SHOCKS))
    moved.inbox = moved.inbox[~(made_by & (moved.inbox["step"] > entered))].copy()


def _prices(spec: SimulationSpec) -> dict[str, float]:
    """Return what the outside processes know of: instruments that were not listed later."""
    return {it.name: float(it.initial_price) for it in spec.instruments if it not in spec.added}


def _outside(spec: SimulationSpec) -> Outside:
    return Outside(spec.outside, seed=spec.seed, initial_prices=_prices(spec))


def _remembers(spec: SimulationSpec) -> NDArray[np.bool_]:
    """Say of each fundamental, by name, whether its path depends on its own past."""
    dependent = {it.instrument for it in spec.outside.fundamentals if it.model == "path_dependent"}
    return np.array([name in dependent for name in sorted(_prices(spec))], bool)


def _carry_plan(old: SimulationSpec, new: SimulationSpec, moved: State) -> None:
    """Enter when populations join and leave, of those for which it is another step now."""
    kinds = ((EntryKind.JOIN, "joins"), (EntryKind.LEAVE, "leaves"))
    planned: list[Entry] = []
    for p, (one, other) in enumerate(zip(old.populations, new.populations, strict=True)):
        for kind, name in kinds:
            step = getattr(other, name)
            if getattr(one, name) == step:
                continue
            rows = moved.inbox
            gone = (rows["origin"] == Origin.PLAN) & (rows["kind"] == kind) & (rows["target"] == p)
            moved.inbox = rows[~gone].copy()
            if step is not None:
                planned.append(Entry(step, Origin.PLAN, int(moved.clock["inbox_number"][0]), kind, p))
                moved.clock["inbox_number"] += 1
    if planned:
        moved.inbox = np.concatenate([rows_of(planned)[0], moved.inbox]).astype(ENTRY, copy=False)
