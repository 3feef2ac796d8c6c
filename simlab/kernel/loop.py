"""Step the market: the loop that runs compiled until something outside it is needed.

A step: orders expire, messages that travelled arrive, the step's actors are found and put in order, each
observes and sends messages, deferred messages arrive (simultaneous activation), the step is sampled. The
loop is a state machine over `clock`, so that it can return at any point (for room, for a Python agent, to
hand over samples) and go on as if nothing had been.
"""

from __future__ import annotations

import numpy as np

from simlab.agents.compiled import H_ACCOUNT, H_COUNT, H_NEXT_ORDER_ID, H_OVERFLOW
from simlab.agents.strategy import MAX_MEMORY
from simlab.core.jit import call_decide, jit, jit_inline
from simlab.core.random import Role, reset
from simlab.core.shared import prefetch
from simlab.engine.compiled.arrays import A_ORDERS, S_EVENTS
from simlab.engine.compiled.matching import DONE, expire
from simlab.kernel.delivery import arrive, drain_outbox, seal
from simlab.kernel.observing import (
    forget_fills,
    remember_mid,
    show_agent,
    show_depth,
    show_market,
    stream_key,
)
from simlab.kernel.pinned import find_book, find_ledger, find_world
from simlab.kernel.schedule import collect
from simlab.kernel.state import (
    G_POPULATION,
    LEVEL_COMPILED,
    P_ADDRESS,
    P_DEPTH,
    P_FIRST,
    P_INSTRUMENTS,
    P_INSTRUMENTS_AT,
    P_LEVEL,
    P_MEMORY_AT,
    PHASE_ACT,
    PHASE_ARRIVE,
    PHASE_BEGIN,
    PHASE_COLLECT,
    PHASE_DEFERRED,
    PHASE_END,
    PHASE_EXPIRE,
    Q_ASK,
    Q_ASK_DEPTH,
    Q_BID,
    Q_BID_DEPTH,
    Q_INSTRUMENT,
    Q_LAST,
    Q_STEP,
    Q_VOLUME,
    T_ACCOUNTS_EVERY,
    T_ACTIVATIONS,
    T_ACTIVE,
    T_AGENT,
    T_BLOCK_START,
    T_CURSOR,
    T_DEPTH_EVERY,
    T_LOOKED,
    T_NEXT_ORDER_ID,
    T_OUT_COUNT,
    T_PHASE,
    T_QUOTES,
    T_QUOTES_EVERY,
    T_REPEAT,
    T_SIMULTANEOUS,
    T_SLOT,
    T_STEP,
    X_LAST_MID,
    X_RETURN_COUNT,
    X_RETURNS,
    X_SPREAD_COUNT,
    X_SPREADS,
    X_SQUARES,
)
from simlab.market.ledger import C_CASH, C_LAST_LOOK, P_INVENTORY

__all__ = ["PYTHON_AGENT", "PYTHON_BATCH", "SAMPLE", "STOPPED", "TOO_MANY_MESSAGES", "advance"]

STOPPED, PYTHON_AGENT, PYTHON_BATCH, SAMPLE, QUOTES_FULL, TOO_MANY_MESSAGES = 0, 10, 11, 12, 13, 14
"""Why `advance` returned, beside the needs for room of the engine and of delivery (1 to 4)."""

_DECIDE = np.uint64(Role.DECIDE)
_AHEAD = 6
"""How many actors ahead memory is asked for."""


@jit_inline
def _decide(book, ledger, world, views, me, population, agent, slot):
    """Let the compiled strategy of an agent decide for one of its instruments."""
    row = world.populations[population]
    clock, outbox, memory = world.clock, world.outbox, world.memory
    step = clock[T_STEP]
    instrument = world.population_lists[row[P_INSTRUMENTS_AT] + slot]
    view = views[instrument]
    show_market(book, ledger, view, instrument, step)
    if row[P_DEPTH] > 0:
        show_depth(book, view, instrument, row[P_DEPTH])
    show_agent(book, ledger, world, me, population, agent, instrument)
    at = row[P_MEMORY_AT] + (agent - row[P_FIRST]) * row[P_INSTRUMENTS] + slot
    for k in range(MAX_MEMORY):
        me.memory[k] = memory[at, k]
    outbox[0, H_COUNT] = 0
    outbox[0, H_NEXT_ORDER_ID] = clock[T_NEXT_ORDER_ID]
    outbox[0, H_ACCOUNT] = agent
    reset(world.rng, stream_key(world, agent, instrument), _DECIDE, np.uint64(step))
    call_decide(row[P_ADDRESS], view, me, world.rng, outbox)
    for k in range(MAX_MEMORY):
        memory[at, k] = me.memory[k]
    clock[T_NEXT_ORDER_ID] = outbox[0, H_NEXT_ORDER_ID]
    clock[T_OUT_COUNT] = outbox[0, H_COUNT]
    forget_fills(ledger, agent, instrument)


@jit
def _show_python(book, ledger, world, views, population, agent):
    """Bring the views of a Python population up to date, and one agent's summary if it decides alone."""
    row = world.populations[population]
    at = row[P_INSTRUMENTS_AT]
    for slot in range(row[P_INSTRUMENTS]):
        instrument = world.population_lists[at + slot]
        show_market(book, ledger, views[instrument], instrument, world.clock[T_STEP])
    if agent < 0:
        return
    first = world.population_lists[at]
    view = views[first]
    summary = world.summary
    summary[0] = world.clock[T_STEP]
    summary[1] = agent
    summary[2] = view.best_bid
    summary[3] = view.bid_depth
    summary[4] = view.best_ask
    summary[5] = view.ask_depth
    summary[6] = view.last_price
    summary[7] = ledger.accounts[agent, C_CASH]
    summary[8] = ledger.positions[agent * ledger.instruments.shape[0] + first, P_INVENTORY]
    summary[9] = book.owners[agent, A_ORDERS]
    summary[10] = world.clock[T_NEXT_ORDER_ID]


@jit
def _forget_python(ledger, world, agent):
    """Begin anew what a Python agent is told of its fills, now that it has looked."""
    row = world.populations[world.agents[agent, G_POPULATION]]
    for slot in range(row[P_INSTRUMENTS]):
        forget_fills(ledger, agent, world.population_lists[row[P_INSTRUMENTS_AT] + slot])
    ledger.accounts[agent, C_LAST_LOOK] = world.clock[T_STEP]


@jit_inline
def _fetch_ahead(book, ledger, world, actor):
    """Have the memory of an actor that is due soon brought near: with many agents it would be waited for."""
    if actor < world.agents.shape[0]:
        prefetch(world.agents, actor)
        prefetch(world.keys, actor)
        prefetch(world.memory, actor)  # its own row, if all agents are compiled and trade one instrument
        prefetch(ledger.accounts, actor)
        prefetch(ledger.positions, actor * ledger.instruments.shape[0])
        prefetch(book.owners, actor)


@jit_inline
def _act(book, ledger, world, words, views, mes):
    """Let the step's actors act, in order; return DONE when all have."""
    clock = world.clock
    agents = world.agents.shape[0]
    if clock[T_LOOKED] >= 0:
        _forget_python(ledger, world, clock[T_LOOKED])
        clock[T_LOOKED] = -1
    while True:
        room = drain_outbox(book, ledger, world, words)
        if room != DONE:
            return room
        if clock[T_CURSOR] >= clock[T_ACTIVE]:
            return DONE
        actor = np.int64(world.places[1, clock[T_CURSOR]])
        if clock[T_CURSOR] + _AHEAD < clock[T_ACTIVE]:
            _fetch_ahead(book, ledger, world, np.int64(world.places[1, clock[T_CURSOR] + _AHEAD]))
        if actor >= agents:
            _show_python(book, ledger, world, views, actor - agents, -1)
            clock[T_REPEAT] = 0
            clock[T_AGENT] = actor - agents
            clock[T_CURSOR] += 1
            return PYTHON_BATCH
        population = world.agents[actor, G_POPULATION]
        if world.populations[population, P_LEVEL] != LEVEL_COMPILED:
            _show_python(book, ledger, world, views, population, actor)
            clock[T_AGENT] = actor
            clock[T_LOOKED] = actor
            clock[T_REPEAT] = 0
            clock[T_CURSOR] += 1
            clock[T_ACTIVATIONS] += 1
            return PYTHON_AGENT
        slot = clock[T_SLOT]
        if slot == 0:
            clock[T_REPEAT] = 0
        _decide(book, ledger, world, views, mes[0], population, actor, slot)
        if slot + 1 < world.populations[population, P_INSTRUMENTS]:
            clock[T_SLOT] = slot + 1
        else:
            clock[T_SLOT] = 0
            clock[T_CURSOR] += 1
            clock[T_ACTIVATIONS] += 1
            ledger.accounts[actor, C_LAST_LOOK] = clock[T_STEP]
        if world.outbox[0, H_OVERFLOW] != 0:
            clock[T_AGENT] = actor
            return TOO_MANY_MESSAGES


@jit
def _sample_tape(world, view, instrument):
    """Add the step's spread and return to the sums for the summary."""
    tape = world.tape
    if view.bid_depth > 0 and view.ask_depth > 0:
        tape[instrument, X_SPREADS] += view.best_ask - view.best_bid
        tape[instrument, X_SPREAD_COUNT] += 1.0
    last = tape[instrument, X_LAST_MID]
    if last > 0.0:
        change = view.mid / last - 1.0
        tape[instrument, X_RETURNS] += change
        tape[instrument, X_SQUARES] += change * change
        tape[instrument, X_RETURN_COUNT] += 1.0
    tape[instrument, X_LAST_MID] = view.mid


@jit
def _sample_quote(world, view, instrument, fundamental_bits):
    quotes = world.quotes
    n = world.clock[T_QUOTES]
    quotes[n, Q_STEP] = view.step
    quotes[n, Q_INSTRUMENT] = instrument
    quotes[n, Q_BID] = view.best_bid
    quotes[n, Q_BID_DEPTH] = view.bid_depth
    quotes[n, Q_ASK] = view.best_ask
    quotes[n, Q_ASK_DEPTH] = view.ask_depth
    quotes[n, Q_LAST] = view.last_price
    quotes[n, Q_VOLUME] = view.volume
    quotes[n, Q_VOLUME + 1] = fundamental_bits
    world.clock[T_QUOTES] = n + 1


@jit
def _finish_step(book, ledger, world, views, fundamental_bits):
    """Sample the end of the step; return STOPPED, QUOTES_FULL or SAMPLE."""
    clock = world.clock
    step = clock[T_STEP]
    every = clock[T_QUOTES_EVERY]
    wanted = every > 0 and step % every == 0
    if wanted and clock[T_QUOTES] + views.shape[0] > world.quotes.shape[0]:
        return QUOTES_FULL
    for instrument in range(views.shape[0]):
        view = views[instrument]
        show_market(book, ledger, view, instrument, step)
        remember_mid(view, step)
        _sample_tape(world, view, instrument)
        if wanted:
            _sample_quote(world, view, instrument, fundamental_bits[step - clock[T_BLOCK_START], instrument])
    clock[T_STEP] = step + 1
    clock[T_PHASE] = PHASE_BEGIN
    depth, accounts = clock[T_DEPTH_EVERY], clock[T_ACCOUNTS_EVERY]
    if (depth > 0 and step % depth == 0) or (accounts > 0 and (step + 1) % accounts == 0):
        return SAMPLE
    return STOPPED


@jit
def _expire(book, ledger, world, words):
    first = book.state[S_EVENTS]
    result = expire(book, world.clock[T_STEP])
    seal(book, ledger, world, words, first, 0, 0)
    return result


@jit
def _run(book, ledger, world, words, views, mes, fundamental_bits, until):
    """Step until `until`; return why it stopped. Call again to go on."""
    clock = world.clock
    while True:
        phase = clock[T_PHASE]
        if phase == PHASE_BEGIN:
            if clock[T_STEP] >= until:
                return STOPPED
            clock[T_PHASE] = PHASE_EXPIRE
        elif phase == PHASE_EXPIRE:
            result = _expire(book, ledger, world, words)
            if result != DONE:
                return result
            clock[T_PHASE] = PHASE_ARRIVE
        elif phase == PHASE_ARRIVE or phase == PHASE_DEFERRED:
            result = arrive(book, ledger, world, words)
            if result != DONE:
                return result
            clock[T_PHASE] = PHASE_COLLECT if phase == PHASE_ARRIVE else PHASE_END
        elif phase == PHASE_COLLECT:
            collect(world)
            clock[T_REPEAT] = 0
            clock[T_CURSOR] = 0
            clock[T_SLOT] = 0
            clock[T_PHASE] = PHASE_ACT
        elif phase == PHASE_ACT:
            result = _act(book, ledger, world, words, views, mes)
            if result != DONE:
                return result
            clock[T_PHASE] = PHASE_DEFERRED if clock[T_SIMULTANEOUS] != 0 else PHASE_END
        else:
            result = _finish_step(book, ledger, world, views, fundamental_bits)
            if result != STOPPED:
                return result


@jit
def advance(book, ledger, world, words, views, mes, fundamental_bits, until):
    """Run until step `until` or until something is needed, on pinned state; see `_run`."""
    return _run(
        find_book(book), find_ledger(ledger), find_world(world), words, views, mes, fundamental_bits, until
    )
