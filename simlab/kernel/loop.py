"""Step the market: the loop that runs compiled until something outside it is needed.

A step: orders expire, messages that travelled arrive, the step's actors are found and put in order, each
observes and sends messages, deferred messages arrive (simultaneous activation), the step is sampled. The
loop is a state machine over `State.clock`, so that it can return at any point (for room, for a Python agent,
to hand over samples) and go on as if nothing had been.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

from simlab.agents.compiled import ME_DTYPE, ORDERS_DTYPE, VIEW_DTYPE
from simlab.agents.strategy import MAX_MEMORY
from simlab.core.jit import call_decide, jit, jit_inline, jit_inside
from simlab.core.random import RNG_DTYPE, Role, reset
from simlab.core.rows import prefetch, record_reader
from simlab.engine.compiled.events import DONE
from simlab.engine.compiled.hashed import tag_of_id
from simlab.engine.compiled.matching import expire
from simlab.kernel.delivery import arrive, drain_outbox, seal
from simlab.kernel.observing import (
    forget_fills,
    remember_mid,
    remember_step,
    show_agent,
    show_depth,
    show_market,
    stream_key,
)
from simlab.kernel.schedule import collect
from simlab.kernel.state import CallLevel, Phase, find_state

__all__ = ["Stop", "advance", "decide_alone"]


class Stop(IntEnum):
    """Why `advance` returned, beside the needs for room of the engine and of delivery (1 to 4)."""

    REACHED = 0
    EACH = 10
    BATCH = 11
    SAMPLE = 12
    QUOTES_FULL = 13
    TOO_MANY_MESSAGES = 14
    PAUSED = 15


_DECIDE = np.uint64(Role.DECIDE)
_MANY_AGENTS = 10_000
"""From here on what agents are and have no longer fits the caches that answer at once."""
_ROWS, _ORDERS, _NEIGHBOURS = 6, 4, 2
"""How many actors ahead each stage of `_look_ahead` is asked for."""

_read_view = record_reader(VIEW_DTYPE)
_read_me = record_reader(ME_DTYPE)
_read_rng = record_reader(RNG_DTYPE)
_read_orders = record_reader(ORDERS_DTYPE)


@jit_inside
def _decide(state, p, agent, slot):
    """Let the compiled strategy of an agent decide for one of its instruments."""
    population, clock, me = state.populations[p], state.clock, state.me
    instrument = state.lists[population.instruments_at + slot]
    view = show_market(state, instrument)
    if population.depth > 0:
        show_depth(state.book, view, instrument, population.depth)
    show_agent(state, p, agent, instrument)
    memory = state.memory[population.memory_at + (agent - population.first) * population.instruments + slot]
    for k in range(MAX_MEMORY):
        me.memory[k] = memory.values[k]
    orders = _read_orders(state.outbox[0])
    orders.count = 0
    orders.next_order_id = clock.next_order_id
    orders.account = agent
    rng = _read_rng(state.rng)
    reset(rng, stream_key(state, agent, instrument) ^ population.salt, _DECIDE, np.uint64(clock.step))
    call_decide(population.address, _read_view(view), _read_me(me), rng, orders)
    for k in range(MAX_MEMORY):
        memory.values[k] = me.memory[k]
    clock.next_order_id = orders.next_order_id
    clock.out_count = orders.count
    forget_fills(state.ledger, agent, instrument)
    return orders.overflow == 0


@jit
def decide_alone(address, row, agent, slot):
    """Let the compiled strategy of a row of populations decide for an agent, outside the loop.

    Its messages are then in the outbox, `clock.out_count` of them. Returns False when they were too many.
    """
    return _decide(find_state(address), row, agent, slot)


@jit
def _show_python(state, p, agent):
    """Bring the views of a Python population up to date, and what one agent sees if it decides alone."""
    population, seen, clock = state.populations[p], state.seen, state.clock
    for slot in range(population.instruments):
        show_market(state, state.lists[population.instruments_at + slot])
    if agent < 0:
        return
    first = state.lists[population.instruments_at]
    view, ledger = state.views[first], state.ledger
    seen.step = clock.step
    seen.agent = agent
    seen.best_bid = view.best_bid
    seen.bid_depth = view.bid_depth
    seen.best_ask = view.best_ask
    seen.ask_depth = view.ask_depth
    seen.last_price = view.last_price
    seen.cash = ledger.accounts[agent].cash
    seen.inventory = ledger.positions[agent * len(ledger.terms) + first].inventory
    seen.open_orders = state.book.owners[agent].orders
    seen.next_order_id = clock.next_order_id


@jit
def _forget_python(state, agent):
    """Begin anew what a Python agent is told of its fills, now that it has looked."""
    population = state.populations[state.agents[agent].population]
    for slot in range(population.instruments):
        forget_fills(state.ledger, agent, state.lists[population.instruments_at + slot])
    state.ledger.accounts[agent].last_look = state.clock.step


@jit_inline
def _ask_for_rows(state, actor):
    """Ask for an agent's own rows."""
    ledger = state.ledger
    prefetch(state.agents, actor)
    prefetch(state.memory, actor)  # its own row, if all agents are compiled and trade one instrument
    prefetch(ledger.accounts, actor)
    prefetch(ledger.positions, actor * len(ledger.terms))
    prefetch(state.book.owners, actor)


@jit_inline
def _ask_for_neighbours(book, order):
    """Ask for what changes when an order goes."""
    prefetch(book.orders, order.next)
    prefetch(book.orders, order.previous)
    prefetch(book.orders, order.account_previous)
    prefetch(book.levels, order.level)
    prefetch(book.ids, tag_of_id(order.order_id) & (len(book.ids) - 1))


@jit_inline
def _look_ahead(state, cursor):
    """Have the memory that actors due soon need brought near: with many agents it would be waited for.

    Their own rows lead to their newest orders, and these to their neighbours; each stage is asked for when
    what it reads has arrived.
    """
    places, book, agents = state.places, state.book, len(state.agents)
    if cursor + _ROWS >= state.clock.active:
        return
    actor = places[cursor + _ROWS].actor
    if actor < agents:
        _ask_for_rows(state, actor)
    if agents < _MANY_AGENTS:
        return
    actor = places[cursor + _ORDERS].actor
    if actor < agents:
        prefetch(book.orders, book.owners[actor].tail)
    actor = places[cursor + _NEIGHBOURS].actor
    if actor < agents:
        _ask_for_neighbours(book, book.orders[book.owners[actor].tail])


@jit_inline
def _call_python(state, p, agent):
    """Prepare a decision in Python."""
    clock = state.clock
    _show_python(state, p, agent)
    clock.repeat = 0
    clock.cursor += 1


@jit_inside
def _act(state):
    """Let the step's actors act, in order; return DONE when all have."""
    clock = state.clock
    agents = len(state.agents)
    if clock.looked >= 0:
        _forget_python(state, clock.looked)
        clock.looked = -1
    while True:
        room = drain_outbox(state)
        if room != DONE:
            return room
        if clock.cursor >= clock.active:
            return DONE
        if clock.activations >= clock.pause_at:
            return Stop.PAUSED.value
        actor = state.places[clock.cursor].actor
        _look_ahead(state, clock.cursor)
        if actor >= agents:
            clock.agent = actor - agents
            _call_python(state, actor - agents, -1)
            return Stop.BATCH.value
        clock.agent = actor
        p = state.agents[actor].population
        population = state.populations[p]
        if population.level != CallLevel.COMPILED:
            clock.looked = actor
            clock.activations += 1
            _call_python(state, p, actor)
            return Stop.EACH.value
        slot = clock.slot
        if slot == 0:
            clock.repeat = 0
        fits = _decide(state, p, actor, slot)
        if slot + 1 < population.instruments:
            clock.slot = slot + 1
        else:
            clock.slot = 0
            clock.cursor += 1
            clock.activations += 1
            state.ledger.accounts[actor].last_look = clock.step
        if not fits:
            return Stop.TOO_MANY_MESSAGES.value


@jit_inline
def _sample_tape(tape, view):
    """Add the step's spread and return to the sums for the summary: of mids as the quotes have them."""
    mid = tape.last_mid if view.step > 0 else np.float64(view.initial_price)
    if view.bid_depth > 0 and view.ask_depth > 0:
        tape.spreads += view.best_ask - view.best_bid
        tape.spread_count += 1.0
        mid = 0.5 * (view.best_bid + view.best_ask)
    if view.step > 0 and tape.last_mid > 0.0:
        change = mid / tape.last_mid - 1.0
        tape.returns += change
        tape.squares += change * change
        tape.return_count += 1.0
    tape.last_mid = mid


@jit_inline
def _sample_quote(state, view, instrument):
    clock = state.clock
    quote = state.quotes[clock.quotes]
    quote.step = view.step
    quote.instrument = instrument
    quote.best_bid = view.best_bid
    quote.bid_depth = view.bid_depth
    quote.best_ask = view.best_ask
    quote.ask_depth = view.ask_depth
    quote.last_price = view.last_price
    quote.volume = view.volume
    at = (view.step - clock.block_start) * len(state.views) + instrument
    quote.fundamental = state.fundamental[at]
    clock.quotes += 1


@jit
def _finish_step(state):
    """Sample the end of the step; return REACHED, QUOTES_FULL or SAMPLE."""
    clock = state.clock
    step, every = clock.step, clock.quotes_every
    wanted = every > 0 and step % every == 0
    remembers = len(state.history) > 0
    if wanted and clock.quotes + len(state.views) > len(state.quotes):
        return Stop.QUOTES_FULL.value
    for instrument in range(len(state.views)):
        view = show_market(state, instrument)
        remember_mid(view)
        _sample_tape(state.tape[instrument], view)
        if remembers:
            remember_step(state, view, instrument)
        if wanted:
            _sample_quote(state, view, instrument)
    clock.step = step + 1
    clock.phase = Phase.BEGIN
    depth, accounts = clock.depth_every, clock.accounts_every
    if (depth > 0 and step % depth == 0) or (accounts > 0 and (step + 1) % accounts == 0):
        return Stop.SAMPLE.value
    return Stop.REACHED.value


@jit
def _expire(state):
    first = state.book.counters.events
    result = expire(state.book, state.clock.step)
    seal(state, first, 0, 0)
    return result


@jit
def advance(address, until):
    """Run the state at an address until step `until`; return why it stopped. Call again to go on."""
    state = find_state(address)
    clock = state.clock
    while True:
        phase = clock.phase
        if phase == Phase.BEGIN:
            if clock.step >= until:
                return Stop.REACHED.value
            clock.phase = Phase.EXPIRE
        elif phase == Phase.EXPIRE:
            result = _expire(state)
            if result != DONE:
                return result
            clock.phase = Phase.ARRIVE
        elif phase == Phase.ARRIVE or phase == Phase.DEFERRED:
            result = arrive(state)
            if result != DONE:
                return result
            clock.phase = Phase.COLLECT if phase == Phase.ARRIVE else Phase.END
        elif phase == Phase.COLLECT:
            collect(state)
            clock.repeat = 0
            clock.cursor = 0
            clock.slot = 0
            clock.phase = Phase.ACT
        elif phase == Phase.ACT:
            result = _act(state)
            if result != DONE:
                return result
            clock.phase = Phase.DEFERRED if clock.simultaneous != 0 else Phase.END
        else:
            result = _finish_step(state)
            if result != Stop.REACHED:
                return result
