"""Turn a `SimulationSpec` into the arrays of book, ledger and world, whatever the order of its listing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.compiled import HISTORY_STEPS, MAX_MESSAGES, ME_DTYPE, VIEW_DTYPE
from simlab.agents.strategy import MAX_MEMORY, MAX_PARAMETERS, Level
from simlab.core.hashing import HASH_SEED
from simlab.core.jit import JIT, address_of, jit
from simlab.core.numerics import log
from simlab.core.random import RNG_WORDS, block, name_key
from simlab.engine.compiled.arrays import B_SELF_TRADE, Book, allocate
from simlab.errors import ConfigError
from simlab.kernel import state as s
from simlab.kernel.pinned import find_world, pin_world
from simlab.kernel.schedule import first_due
from simlab.kernel.spec import Population, SimulationSpec
from simlab.kernel.state import World
from simlab.market import ledger as m
from simlab.market.instruments import UNLIMITED, AccountPolicy, Instrument
from simlab.market.ledger import FILL_LOG, Ledger

__all__ = ["Assembly", "assemble"]

_LEVELS = {Level.COMPILED: s.LEVEL_COMPILED, Level.BATCH: s.LEVEL_BATCH, Level.AGENT: s.LEVEL_AGENT}
_EXCHANGE = AccountPolicy(
    borrowing=UNLIMITED, short_limit=UNLIMITED, reserve=False, max_open_orders=UNLIMITED
)
_WHEEL = 4096
_QUOTE_ROWS = 1 << 15
_EVENT_ROWS = 1 << 16
_MOST_ORDERS = 1 << 21
"""Resting orders that room is made for at the start; a book grows beyond."""


@dataclass
class Assembly:
    """The parts of a simulation before its first step."""

    instruments: tuple[Instrument, ...]
    populations: tuple[Population, ...]
    book: Book
    ledger: Ledger
    world: World
    views: NDArray[Any]
    me: NDArray[Any]
    functions: list[Any] = field(default_factory=list)
    """Compiled strategies: kept so that the code behind their addresses lives."""


def assemble(spec: SimulationSpec) -> Assembly:
    """Build all arrays of a simulation."""
    instruments = tuple(sorted(spec.instruments, key=lambda item: item.name))
    populations = tuple(sorted(spec.populations, key=lambda item: item.name))
    agents = sum(population.count for population in populations)
    orders = min(_MOST_ORDERS, 2 * agents + 1024)
    book = allocate(len(instruments), agents + 2, orders=orders, levels=256, events=_EVENT_ROWS)
    book.books[:, B_SELF_TRADE] = [int(item.self_trade) for item in instruments]
    functions: list[Any] = []
    world = _world(spec, instruments, populations, agents, functions)
    return Assembly(
        instruments=instruments,
        populations=populations,
        book=book,
        ledger=_ledger(instruments, populations, agents),
        world=world,
        views=_views(instruments),
        me=_records(np.zeros(1, ME_DTYPE)),
        functions=functions,
    )


def _records(array: NDArray[Any]) -> NDArray[Any]:
    """Compiled code takes structured arrays as they are, interpreted code needs attributes."""
    return array if JIT else array.view(np.recarray)


def _views(instruments: Sequence[Instrument]) -> NDArray[Any]:
    views = np.zeros(len(instruments), VIEW_DTYPE)
    views["instrument"] = np.arange(len(instruments))
    views["tick_size"] = [item.tick_size for item in instruments]
    views["lot_size"] = [item.lot_size for item in instruments]
    views["initial_price"] = views["last_price"] = [item.initial_price for item in instruments]
    views["mid"] = views["initial_price"]
    views["mids"] = np.repeat(views["mid"][:, None], HISTORY_STEPS, axis=1)
    views["last_side"] = views["news_step"] = -1
    return _records(views)


def _instrument_of(names: dict[str, int], name: str, where: str) -> int:
    if name not in names:
        raise ConfigError(f"{where}: instrument {name!r} is not one of {', '.join(names)}")
    return names[name]


def _ledger(instruments: Sequence[Instrument], populations: Sequence[Population], agents: int) -> Ledger:
    names = {item.name: i for i, item in enumerate(instruments)}
    accounts = np.zeros((agents + 2, 8), np.int64)
    positions = np.zeros(((agents + 2) * len(instruments), 8), np.int64)
    accounts[:, m.C_LAST_LOOK] = -1
    accounts[agents:, m.C_POPULATION] = len(populations)
    terms = np.zeros((len(instruments), 16), np.int64)
    for i, item in enumerate(instruments):
        low, high = item.price_band
        terms[i, : m.I_TAKER_PPM + 1] = (
            item.tick_size, item.lot_size, item.multiplier, low, high, item.maker_fee_ppm, item.taker_fee_ppm,
        )  # fmt: skip
        terms[i, m.I_LAST_PRICE] = terms[i, m.I_INITIAL_PRICE] = item.initial_price
        terms[i, m.I_LAST_SIDE] = -1
    policies = np.zeros((len(populations) + 1, 8), np.int64)
    first, logs = 0, 1
    for p, population in enumerate([*populations, None]):
        policy = population.account if population else _EXCHANGE
        policies[p, : m.R_OPEN_ORDERS + 1] = (
            policy.borrowing, policy.short_limit, policy.position_limit, policy.reserve, policy.rate_limit,
            policy.rate_window, policy.max_open_orders,
        )  # fmt: skip
        if population is None:
            break
        rows = slice(first, first + population.count)
        accounts[rows, m.C_CASH] = policy.cash
        accounts[rows, m.C_POPULATION] = p
        if population.strategy.level is Level.AGENT:
            accounts[rows, m.C_FILL_ROW] = np.arange(logs, logs + population.count)
            logs += population.count
        for name, lots in policy.inventory:
            i = _instrument_of(names, name, f"populations.{population.name}.account.inventory")
            held = positions[first * len(instruments) + i : rows.stop * len(instruments) : len(instruments)]
            held[:, m.P_INVENTORY] = lots
            held[:, m.P_COST] = lots * instruments[i].initial_price * instruments[i].multiplier
        first += population.count
    return Ledger(
        accounts=accounts,
        positions=positions,
        instruments=terms,
        policies=policies,
        stats=np.zeros((len(populations) + 1, 4), np.int64),
        fills=np.zeros((logs * len(instruments), FILL_LOG, 4), np.int64),
    )


@jit
def _agent_keys(keys, first, count, key):
    for i in range(count):
        keys[first + i], _ = block(key, np.uint64(0xA6), np.uint64(i), np.uint64(0))


@jit
def _first_dues(pinned, first, count, joins, phases):
    world = find_world(pinned)
    for i in range(count):
        first_due(world, first + i, joins, phases[i] if phases.shape[0] > 1 else phases[0])


def _activation(population: Population) -> tuple[int, int, float]:
    """Return (kind, period, log of the probability to stay quiet)."""
    plan = population.activation
    if plan.steps is not None:
        return s.BY_STEPS, 0, 0.0
    if plan.period is not None:
        every_step = plan.period == 1 and population.joins == 0
        return (s.EVERY_STEP if every_step else s.BY_PERIOD), plan.period, 0.0
    rate = 1.0 if plan.rate is None else plan.rate
    if rate >= 1.0:
        return (s.EVERY_STEP if population.joins == 0 else s.BY_PERIOD), 1, 0.0
    return s.BY_RATE, 0, (log(1.0 - rate) if rate > 0.0 else -0.0)


def _phases(spec: SimulationSpec, population: Population) -> NDArray[np.int64]:
    plan = population.activation
    if not (plan.stagger and plan.period):
        return np.array([plan.phase], np.int64)
    keys = np.zeros(population.count, np.uint64)
    _agent_keys(keys, 0, population.count, name_key(spec.seed, "phase", population.name))
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


def _world(
    spec: SimulationSpec,
    instruments: Sequence[Instrument],
    populations: Sequence[Population],
    agents: int,
    functions: list[Any],
) -> World:
    names = {item.name: i for i, item in enumerate(instruments)}
    table = np.zeros((len(populations), 20), np.int64)
    floats = np.zeros((len(populations), 2))
    members = np.zeros((agents, 4), np.int64)
    keys = np.zeros(agents + len(populations) + len(instruments), np.uint64)
    for name, i in names.items():
        keys[agents + len(populations) + i] = name_key(spec.seed, "instrument", name)
    lists: list[int] = []
    parameters: list[NDArray[np.float64]] = []
    first = parameter_rows = memory_rows = latency = 0
    for p, population in enumerate(populations):
        row, strategy = table[p], population.strategy
        traded = [
            _instrument_of(names, name, f"populations.{population.name}.instruments")
            for name in (population.instruments or names)
        ]
        row[s.P_FIRST], row[s.P_COUNT], row[s.P_LEVEL] = first, population.count, _LEVELS[strategy.level]
        row[s.P_ACTIVATION], row[s.P_PERIOD], floats[p, s.PF_LOG_QUIET] = _activation(population)
        floats[p, s.PF_SIGNAL_NOISE] = population.signal_noise
        row[s.P_LATENCY_LOW], row[s.P_LATENCY_HIGH] = population.latency.low, population.latency.high
        row[s.P_DEPTH], row[s.P_ORDERS] = strategy.needs.depth, strategy.needs.orders
        row[s.P_SIGNAL], row[s.P_PRESENT] = strategy.needs.signal, population.joins == 0
        row[s.P_INSTRUMENTS_AT], row[s.P_INSTRUMENTS] = len(lists), len(traded)
        lists += sorted(traded)
        row[s.P_STEPS_AT] = len(lists)
        steps = sorted(population.activation.steps or ())
        row[s.P_STEPS] = len(steps)
        lists += steps
        own = _parameters(population)
        row[s.P_PARAMETERS_AT], row[s.P_PARAMETERS_STRIDE] = parameter_rows, len(own) > 1
        parameters.append(own)
        parameter_rows += len(own)
        if strategy.level is Level.COMPILED:
            function = strategy.make(**population.options)
            functions.append(function)
            row[s.P_ADDRESS] = address_of(function)
            row[s.P_MEMORY_AT] = memory_rows
            memory_rows += population.count * len(traded)
        members[first : first + population.count, s.G_POPULATION] = p
        _agent_keys(keys, first, population.count, name_key(spec.seed, "agent", population.name))
        keys[agents + p] = name_key(spec.seed, "population", population.name)
        latency = max(latency, population.latency.high)
        first += population.count
    buckets = 1 << max(4, (agents + len(populations)).bit_length() + 1)
    world = World(
        clock=_clock(spec),
        agents=members,
        keys=keys,
        populations=table,
        population_floats=floats,
        population_lists=np.array([*lists, 0], np.int64),
        parameters=np.concatenate([*parameters, np.zeros((1, MAX_PARAMETERS))]),
        memory=np.zeros((memory_rows + 1, MAX_MEMORY)),
        wheel=np.full(_WHEEL, -1, np.int64),
        places=np.zeros((4, agents + len(populations)), np.uint64),
        due=np.zeros(max(1, agents), np.int32),
        buckets=np.zeros(buckets + 2, np.int64),
        flight=np.zeros((1024, 8), np.int64),
        arrivals=np.zeros((1 << (latency + 2).bit_length(), 2), np.int64),
        outbox=np.zeros((MAX_MESSAGES + 1, 8), np.int64),
        fundamental=np.zeros((1, len(instruments))),
        quotes=np.zeros((max(_QUOTE_ROWS, len(instruments)), 9), np.int64),
        tape=np.zeros((len(instruments), 8)),
        rng=np.zeros(RNG_WORDS, np.uint64),
        summary=np.zeros(s.ME_SUMMARY, np.int64),
    )
    pinned = pin_world(world)
    for row, population in zip(table, populations, strict=True):
        _first_dues(pinned, row[s.P_FIRST], population.count, population.joins, _phases(spec, population))
    return world


def _clock(spec: SimulationSpec) -> NDArray[np.int64]:
    clock = np.zeros(32, np.int64)
    clock[s.T_NEXT_ORDER_ID] = clock[s.T_TOP_MESSAGE] = 1
    clock[s.T_HASH] = HASH_SEED.view(np.int64)
    clock[s.T_PARAMETERS] = clock[s.T_LOOKED] = -1
    clock[s.T_SIMULTANEOUS] = spec.simultaneous
    plan = spec.recording
    clock[s.T_QUOTES_EVERY], clock[s.T_DEPTH_EVERY], clock[s.T_ACCOUNTS_EVERY] = (
        plan.quotes_every,
        plan.depth_every,
        plan.accounts_every,
    )
    return clock
