"""Make the state of a market before its first step from a `SimulationSpec`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.compiled import HISTORY_STEPS, MAX_MESSAGES, VIEW_DTYPE
from simlab.agents.decisions import MAX_THINKING
from simlab.agents.history import HISTORY_DTYPE
from simlab.agents.strategy import MAX_PARAMETERS, Calling
from simlab.core.hashing import HASH_SEED
from simlab.core.jit import address_of, jit
from simlab.core.numerics import log
from simlab.core.random import block, name_key
from simlab.core.rows import new_rows
from simlab.engine.compiled.tables import allocate
from simlab.errors import ConfigError, SimlabError, did_you_mean
from simlab.kernel.schedule import first_due
from simlab.kernel.spec import Population, SimulationSpec
from simlab.kernel.state import (
    AGENT,
    ARRIVAL,
    MEMORY,
    PARAMETERS,
    PLACE,
    POPULATION,
    QUOTE,
    TAPE,
    TRAVELLING,
    Activated,
    CallLevel,
    Seat,
    State,
    find_state,
)
from simlab.market.instruments import UNLIMITED, AccountPolicy, Instrument, lot_limit
from simlab.market.ledger import FILL_LOG, ExchangeAccount, Ledger
from simlab.processes import REMEMBERED

__all__ = [
    "assemble",
    "bind_strategies",
    "blank_history",
    "enter_schedule",
    "require_state_of",
    "set_terms",
    "views_of",
]

_LEVELS = {
    Calling.COMPILED: CallLevel.COMPILED,
    Calling.BATCH: CallLevel.BATCH,
    Calling.AGENT: CallLevel.EACH,
    Calling.OUTSIDE: CallLevel.OUTSIDE,
}
_EXCHANGE = AccountPolicy(
    borrowing=UNLIMITED, short_limit=UNLIMITED, reserve=False, max_open_orders=UNLIMITED
)
_WHEEL = 4096
_MOST_ORDERS = 1 << 21
"""Resting orders that room is made for at the start; a book grows beyond."""


def assemble(spec: SimulationSpec) -> State:
    """Return the state before the first step. Its compiled strategies are still to be bound."""
    agents, room = spec.agents, spec.capacities
    orders = min(_MOST_ORDERS, 2 * agents + 1024) if room.orders is None else room.orders
    accounts = agents + len(ExchangeAccount)
    book = allocate(len(spec.instruments), accounts, orders=orders, levels=room.levels, events=room.events)
    book.self_trade[:] = [int(item.self_trade) for item in spec.instruments]
    actors = agents + len(spec.populations)
    longest = max((_longest_way(population) for population in spec.populations), default=0)
    state = State(
        book=book,
        ledger=_ledger(spec),
        agents=new_rows(agents, AGENT),
        instrument_keys=np.array([name_key(spec.seed, "instrument", it.name) for it in spec.instruments]),
        wheel=np.full(_WHEEL, -1, np.int32),
        places=new_rows(actors, PLACE),
        sorting=new_rows(actors, PLACE),
        buckets=new_rows((1 << max(4, actors.bit_length() + 1)) + 2, "i8"),
        due=new_rows(agents, "i4"),
        flight=new_rows(max(2, room.messages), TRAVELLING),
        arrivals=new_rows(1 << (longest + 2).bit_length(), ARRIVAL),
        outbox=new_rows(MAX_MESSAGES + 1, State.outbox.dtype),
        fundamental=new_rows(len(spec.instruments), "f8"),
        quotes=new_rows(max(room.quotes, len(spec.instruments)), QUOTE),
        tape=new_rows(len(spec.instruments), TAPE),
        views=views_of(spec.instruments),
        history=blank_history(len(spec.instruments) * any(it.strategy.needs.history for it in spec.cast)),
        seats=new_rows(agents, "i1"),
        granted=new_rows(agents, "i8"),
        published_impact=new_rows(len(spec.instruments), "f8"),
        outside_levels=new_rows(len(spec.instruments), "f8"),
        outside_memory=new_rows(len(spec.instruments) * REMEMBERED, "f8"),
        block_levels=new_rows(len(spec.instruments), "f8"),
        block_memory=new_rows(len(spec.instruments) * REMEMBERED, "f8"),
    )
    _set_clock(spec, state)
    _Cast(spec).enter(state)
    return state


def _longest_way(population: Population) -> int:
    """Return the most steps between a decision and the arrival of its messages."""
    thinks = population.strategy.level in (Calling.BATCH, Calling.AGENT)
    return population.latency.high + (MAX_THINKING if thinks else 0)


def bind_strategies(spec: SimulationSpec, state: State) -> list[Any]:
    """Let the state know where this process has its compiled strategies.

    Returns
    -------
    list
        The compiled functions, to be kept for as long as the state is used.
    """
    functions = []
    for row, population in zip(state.populations, spec.cast, strict=True):
        if population.strategy.level is Calling.COMPILED:
            functions.append(population.strategy.make(**population.options))
            row["address"] = address_of(functions[-1])
    return functions


def views_of(instruments: Sequence[Instrument], *, first: int = 0) -> NDArray[Any]:
    """Return views of instruments, numbered from `first`, before anything happened."""
    views = new_rows(len(instruments), VIEW_DTYPE)
    views["instrument"] = first + np.arange(len(instruments))
    for name in ("tick_size", "lot_size", "initial_price"):
        views[name] = [getattr(item, name) for item in instruments]
    views["price_low"] = [item.price_band[0] for item in instruments]
    views["last_price"] = views["mid"] = views["initial_price"]
    views["mids"] = np.repeat(views["mid"][:, None], HISTORY_STEPS, axis=1)
    views["last_side"] = views["news_step"] = -1
    return views


def blank_history(instruments: int) -> NDArray[Any]:
    """Return what is remembered of the steps of a number of instruments before there were any."""
    rows = new_rows(instruments * HISTORY_STEPS, HISTORY_DTYPE)
    rows["step"] = -1
    return rows


def _set_clock(spec: SimulationSpec, state: State) -> None:
    clock = state.clock
    clock["next_order_id"] = clock["top_message"] = 1
    clock["hash"] = HASH_SEED
    clock["parameters"] = clock["looked"] = -1
    clock["simultaneous"] = spec.simultaneous
    clock["listens"] = any(it.strategy.needs.shouts for it in spec.cast)
    for name in ("quotes_every", "depth_every", "accounts_every"):
        clock[name] = getattr(spec.recording, name)


def _instrument_of(names: dict[str, int], name: str, where: str) -> int:
    if name not in names:
        raise ConfigError(f"{where}: there is no instrument {name!r}{did_you_mean(name, names)}")
    return names[name]


def _ledger(spec: SimulationSpec) -> Ledger:
    agents, count = spec.agents, len(spec.instruments)
    each = sum(it.count for it in spec.populations if _keeps_fills(it))
    ledger = Ledger(
        accounts=new_rows(agents + len(ExchangeAccount), Ledger.accounts.dtype),
        positions=new_rows((agents + len(ExchangeAccount)) * count, Ledger.positions.dtype),
        terms=new_rows(count, Ledger.terms.dtype),
        policies=new_rows(len(spec.populations) + 1, Ledger.policies.dtype),
        stats=new_rows(len(spec.populations) + 1, Ledger.stats.dtype),
        fills=new_rows((each + 1) * count * FILL_LOG, Ledger.fills.dtype),
    )
    if any(it.customers is not None for it in spec.populations):
        ledger.customers = new_rows(len(ledger.positions), Ledger.customers.dtype)
        ledger.customers["since"] = -1
    ledger.exchange["fees"] = agents + ExchangeAccount.FEES
    ledger.exchange["errors"] = agents + ExchangeAccount.ERRORS
    ledger.accounts["last_look"] = -1
    ledger.accounts["population"][agents:] = len(spec.populations)
    set_terms(ledger, spec.instruments)
    for row, policy in zip(
        ledger.policies, [*(it.account for it in spec.populations), _EXCHANGE], strict=True
    ):
        for name in ("borrowing", "short_limit", "position_limit", "reserve", "rate_limit", "rate_window"):
            row[name] = getattr(policy, name)
        row["open_orders"] = policy.max_open_orders
    _endow(spec, ledger)
    return ledger


def set_terms(ledger: Ledger, instruments: Sequence[Instrument]) -> None:
    """Write down the terms of all instruments; what was traded stays as it is."""
    for terms, item in zip(ledger.terms, instruments, strict=True):
        for name in ("tick_size", "lot_size", "multiplier"):
            terms[name] = getattr(item, name)
        terms["band_low"], terms["band_high"] = item.price_band
        terms["lot_limit"] = lot_limit(item, len(instruments))
        terms["maker_ppm"], terms["taker_ppm"] = item.maker_fee_ppm, item.taker_fee_ppm
        if terms["trades"] == 0:
            terms["last_price"], terms["last_side"] = item.initial_price, -1


def _keeps_fills(population: Population) -> bool:
    """Return whether the agents are shown their fills one by one, and so have a log of them."""
    strategies = [population.strategy, *(it.strategy for it in population.fallback)]
    return any(it.level is Calling.AGENT or it.needs.fills for it in strategies)


def _endow(spec: SimulationSpec, ledger: Ledger) -> None:
    """Give every agent its cash, its inventory and, if it is shown them, its log of fills."""
    names = {item.name: i for i, item in enumerate(spec.instruments)}
    positions = ledger.positions.reshape(-1, len(names))
    first, logs = 0, 1
    for p, population in enumerate(spec.populations):
        rows = slice(first, first + population.count)
        ledger.accounts["cash"][rows] = population.account.cash
        ledger.accounts["population"][rows] = p
        if _keeps_fills(population):
            ledger.accounts["fill_log"][rows] = np.arange(logs, logs + population.count)
            logs += population.count
        for name, lots in population.account.inventory:
            i = _instrument_of(names, name, f"populations.{population.name}.account.inventory")
            item = spec.instruments[i]
            positions["inventory"][rows, i] = lots
            positions["cost"][rows, i] = lots * item.initial_price * item.multiplier
        first += population.count


@jit
def _draw_keys(address, first, count, key):
    state = find_state(address)
    for i in range(count):
        state.agents[first + i].key, _ = block(key, np.uint64(0xA6), np.uint64(i), np.uint64(0))


@jit
def _enter_schedule(address, first, count, joins, phases):
    state = find_state(address)
    for i in range(count):
        first_due(state, first + i, joins, phases[i] if phases.shape[0] > 1 else phases[0])


def _phases(population: Population, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
    plan = population.activation
    if not (plan.stagger and plan.period):
        return np.array([plan.phase], np.int64)
    return plan.phase + (keys % np.uint64(plan.period)).astype(np.int64)


def _parameters(population: Population) -> NDArray[np.float64]:
    """Return one padded row if all agents share their parameters, else one each."""
    given = np.asarray(population.parameters, np.float64)
    if given.ndim == 2 and len(given) and (given.strides[0] == 0 or (given == given[0]).all()):
        given = given[:1]
    padded = np.zeros((max(1, len(given)), MAX_PARAMETERS))
    if given.size:
        padded[:, : given.shape[1]] = given
    return padded


class _Cast:
    """Enter the populations into the state, one after the other."""

    def __init__(self, spec: SimulationSpec) -> None:
        self._spec = spec
        self._names = {item.name: i for i, item in enumerate(spec.instruments)}
        self._lists: list[int] = []
        self._parameters: list[NDArray[np.float64]] = []
        self._parameter_rows = self._memory_rows = 0

    def enter(self, state: State) -> None:
        """Fill all tables that follow the populations."""
        spec, first = self._spec, 0
        populations = new_rows(len(spec.cast), POPULATION)
        for p, (row, population) in enumerate(zip(populations, spec.populations, strict=False)):
            row["key"] = name_key(spec.seed, "population", population.name)
            row["first"], row["count"], row["present"] = first, population.count, population.joins == 0
            self._describe(row, population)
            state.agents["population"][first : first + population.count] = p
            if population.strategy.level is Calling.OUTSIDE:
                state.seats[first : first + population.count] = Seat.NEW
            first += population.count
        for p, chain in enumerate(spec.chains):
            for place, row_number in enumerate(chain[1:], 1):
                self._stand_in(populations[row_number], populations[p], spec.cast[row_number], place)
        state.populations = populations
        state.lists = np.array([*self._lists, 0], np.int64)
        state.parameters = new_rows(self._parameter_rows, PARAMETERS)
        if self._parameters:
            state.parameters["values"] = np.concatenate(self._parameters)
        state.memory = new_rows(self._memory_rows + 1, MEMORY)
        for row, population in zip(populations, spec.populations, strict=False):
            enter_schedule(spec, state, int(row["first"]), population, population.joins)

    def _stand_in(self, row: Any, whose: Any, population: Population, place: int) -> None:
        """Enter what a population falls back on: the same agents, who never act by themselves in this row."""
        row["key"], row["first"], row["count"] = whose["key"], whose["first"], whose["count"]
        self._describe(row, population)
        row["activated"], row["salt"] = Activated.NEVER, place

    def _describe(self, row: Any, population: Population) -> None:
        strategy, plan, needs = population.strategy, population.activation, population.strategy.needs
        row["level"] = _LEVELS[strategy.level]
        row["activated"], row["period"], row["log_quiet"] = _activation(population)
        row["signal_noise"] = population.signal_noise
        row["latency_low"], row["latency_high"] = population.latency.low, population.latency.high
        row["depth"], row["orders"], row["signal"] = needs.depth, needs.orders, needs.signal
        where = f"populations.{population.name}.instruments"
        traded = sorted(
            _instrument_of(self._names, it, where) for it in population.instruments or self._names
        )
        row["instruments_at"], row["instruments"] = len(self._lists), len(traded)
        self._lists += traded
        steps = sorted(plan.steps or ())
        row["steps_at"], row["steps"] = len(self._lists), len(steps)
        self._lists += steps
        own = _parameters(population)
        row["parameters_at"], row["parameters_each"] = self._parameter_rows, len(own) > 1
        self._parameters.append(own)
        self._parameter_rows += len(own)
        row["memory_at"] = self._memory_rows
        if strategy.level is Calling.COMPILED:
            self._memory_rows += population.count * len(traded)


def enter_schedule(spec: SimulationSpec, state: State, first: int, population: Population, step: int) -> None:
    """Give agents from `first` on their random streams, and put them where they are due from `step` on."""
    count, name = population.count, population.name
    _draw_keys(state.address, first, count, name_key(spec.seed, "phase", name))
    phases = _phases(population, state.agents["key"][first : first + count])
    _draw_keys(state.address, first, count, name_key(spec.seed, "agent", name))
    _enter_schedule(state.address, first, count, step, phases)


def _activation(population: Population) -> tuple[Activated, int, float]:
    """Return how agents become due, their period, and the log of the probability to stay quiet."""
    plan = population.activation
    if population.strategy.level is Calling.OUTSIDE:
        return Activated.NEVER, 0, 0.0
    if plan.steps is not None:
        return Activated.BY_STEPS, 0, 0.0
    every_step = Activated.EVERY_STEP if population.joins == 0 else Activated.BY_PERIOD
    if plan.period is not None:
        return (every_step if plan.period == 1 else Activated.BY_PERIOD), plan.period, 0.0
    rate = 1.0 if plan.rate is None else plan.rate
    if rate >= 1.0:
        return every_step, 1, 0.0
    return Activated.BY_RATE, 0, (log(1.0 - rate) if rate > 0.0 else -0.0)


def require_state_of(spec: SimulationSpec, state: State) -> None:
    """Raise SimlabError unless a state was captured from a market of this specification."""
    sizes = {
        "agents": (len(state.agents), spec.agents),
        "populations": (len(state.populations), len(spec.cast)),
        "instruments": (len(state.views), len(spec.instruments)),
    }
    for name, (found, wanted) in sizes.items():
        if found != wanted:
            raise SimlabError(
                f"the state has {found} {name} and the specification {wanted}; go on from a state of the same"
                " specification"
            )
    if state.clock["specification"][0] != spec.digest():
        raise SimlabError(
            "the state is of another specification: the seed, an instrument, a population or what"
            " happens from outside differs; go on with the configuration that it was captured with"
        )
