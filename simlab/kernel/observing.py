"""Show the market and themselves to agents: fill the records that strategies read."""

from __future__ import annotations

import numpy as np

from simlab.agents.compiled import DEPTH_LEVELS, HISTORY_STEPS, SHOUTS, VISIBLE_ORDERS, Shout
from simlab.agents.history import HISTORY_LEVELS
from simlab.agents.strategy import MAX_PARAMETERS
from simlab.core.jit import jit, jit_inline
from simlab.core.numerics import normal_quantile
from simlab.core.random import Role, block, open_unit
from simlab.core.rows import unpacked
from simlab.core.types import FLAG_MARKET, FLAG_PRIORITY_KEPT, EventKind, TimeInForce

__all__ = [
    "forget_fills",
    "hear",
    "remember_mid",
    "remember_step",
    "show_agent",
    "show_depth",
    "show_market",
    "show_orders",
    "signal_of",
    "stream_key",
]

_SIGNAL = np.uint64(Role.SIGNAL)
_HISTORY_MASK = HISTORY_STEPS - 1
_SHOUT_MASK = SHOUTS - 1
_TRADE = int(Shout.BUY)
_NO_SHOUT = FLAG_MARKET | FLAG_PRIORITY_KEPT | TimeInForce.IOC | TimeInForce.FOK


@jit_inline
def show_market(state, instrument):
    """Bring one instrument's view up to date; return it."""
    book, terms, view = state.book, state.ledger.terms[instrument], state.views[instrument]
    bid = book.nodes[2 * instrument].floors[0]
    ask = book.nodes[2 * instrument + 1].floors[0]
    view.step = state.clock.step
    view.best_bid = book.levels[bid].price if bid != 0 else 0
    view.bid_depth = book.levels[bid].depth if bid != 0 else 0
    view.best_ask = book.levels[ask].price if ask != 0 else 0
    view.ask_depth = book.levels[ask].depth if ask != 0 else 0
    if bid != 0 and ask != 0:
        view.mid = 0.5 * (view.best_bid + view.best_ask)
    view.halted = 1 if view.step < terms.halted_until else 0
    view.last_price = terms.last_price
    view.last_quantity = terms.last_quantity
    view.last_side = terms.last_side
    view.volume = terms.volume
    view.trades = terms.trades
    return view


@jit_inline
def _show_side(book, side_list, prices, depths, most):
    n = 0
    level = book.nodes[side_list].floors[0]
    while level != 0 and n < most:
        prices[n] = book.levels[level].price
        depths[n] = book.levels[level].depth
        level = book.nodes[level].floors[0]
        n += 1
    return n


@jit
def show_depth(book, view, instrument, depth):
    """Fill the view's best levels."""
    most = min(depth, DEPTH_LEVELS)
    view.bid_levels = _show_side(book, 2 * instrument, view.bid_prices, view.bid_depths, most)
    view.ask_levels = _show_side(book, 2 * instrument + 1, view.ask_prices, view.ask_depths, most)


@jit
def show_orders(book, me, agent, instrument):
    """Fill an agent's resting orders in an instrument, oldest first."""
    n = 0
    row = book.owners[agent].head
    while row != 0 and n < VISIBLE_ORDERS:
        order = book.orders[row]
        side_list = book.nodes[order.level].side_list
        if side_list >> 1 == instrument:
            me.order_ids[n] = order.order_id
            me.order_sides[n] = side_list & 1
            me.order_prices[n] = order.price
            me.order_quantities[n] = order.quantity
            n += 1
        row = order.account_next
    me.visible_orders = n


@jit_inline
def stream_key(state, agent, instrument):
    """Return the key of what an agent draws for one instrument, whichever others there are."""
    return state.agents[agent].key ^ state.instrument_keys[instrument]


@jit
def signal_of(state, population, agent, instrument):
    """Return an agent's private signal: the fundamental plus its own noise, price units."""
    clock = state.clock
    at = (clock.step - clock.block_start) * len(state.views) + instrument
    value = state.fundamental[at]
    noise = state.populations[population].signal_noise
    if noise > 0.0:
        key = stream_key(state, agent, instrument)
        word, _ = block(key, _SIGNAL, np.uint64(clock.step), np.uint64(0))
        value += noise * normal_quantile(open_unit(word))
    return value


@jit_inline
def show_agent(state, p, agent, instrument):
    """Fill the record of an agent for one instrument, all but its memory."""
    me, ledger, population = state.me, state.ledger, state.populations[p]
    position = ledger.positions[agent * len(ledger.terms) + instrument]
    account = ledger.accounts[agent]
    me.agent = agent
    me.cash = account.cash
    me.inventory = position.inventory
    me.open_orders = state.book.owners[agent].orders
    me.bought = position.bought
    me.sold = position.sold
    me.fills = position.fills
    me.last_look = account.last_look
    if len(ledger.customers) > 0:
        customer = ledger.customers[agent * len(ledger.terms) + instrument]
        me.customer_side = customer.side
        me.customer_limit = customer.limit
        me.customer_limit_step = customer.limit_step
        me.customer_quantity = customer.quantity
        me.customer_since = customer.since
    at = population.parameters_at + (agent - population.first) * population.parameters_each
    if at != state.clock.parameters:
        state.clock.parameters = at
        for k in range(MAX_PARAMETERS):
            me.parameters[k] = state.parameters[at].values[k]
    if population.signal != 0:
        me.signal = signal_of(state, p, agent, instrument)
    if population.orders != 0:
        show_orders(state.book, me, agent, instrument)


@jit_inline
def forget_fills(ledger, agent, instrument):
    """Begin anew what an agent is told of its fills in an instrument, now that it has looked."""
    position = ledger.positions[agent * len(ledger.terms) + instrument]
    position.bought = 0
    position.sold = 0
    position.fills = 0


@jit
def _tell(view, step, kind, price):
    at = view.shouts & _SHOUT_MASK
    view.shout_kinds[at] = kind
    view.shout_prices[at] = price
    view.shout_steps[at] = step
    view.shouts += 1


@jit
def hear(state, first, last):
    """Remember the trades of a message's events, and after them the order that rests, if one does."""
    events, step = state.book.events, state.clock.step
    resting, kind, price, view = 0, 0, 0, state.views[0]
    for i in range(first, last):
        event = events[i]
        what, side, _, flags, instrument = unpacked(event.code)
        if what == EventKind.FILL:
            _tell(state.views[instrument], step, _TRADE + side, event.price)
            resting -= event.quantity
        elif what == EventKind.ACCEPTED or what == EventKind.REPLACED:
            resting = event.quantity if (flags & _NO_SHOUT) == 0 else 0
            kind, price, view = side, event.price, state.views[instrument]
        elif event.order_id == events[first].order_id:
            resting = 0  # it met an order of its own account
    if resting > 0:
        _tell(view, step, kind, price)


@jit_inline
def remember_mid(view):
    """Append the mid price at the end of a step to the view's history."""
    view.mids[view.step & _HISTORY_MASK] = view.mid


@jit_inline
def _remember_side(book, side_list, depths):
    level = book.nodes[side_list].floors[0]
    for n in range(HISTORY_LEVELS):
        depths[n] = book.levels[level].depth if level != 0 else 0
        level = book.nodes[level].floors[0] if level != 0 else 0


@jit
def remember_step(state, view, instrument):
    """Write down an instrument at the end of a step, for strategies that look back."""
    first = instrument * HISTORY_STEPS
    row = state.history[first + (view.step & _HISTORY_MASK)]
    before = state.history[first + ((view.step - 1) & _HISTORY_MASK)]
    if view.bid_depth > 0 and view.ask_depth > 0:
        row.mid = 0.5 * (view.best_bid + view.best_ask)
    elif view.step > 0 and before.step == view.step - 1:
        row.mid = before.mid
    else:
        row.mid = np.float64(view.initial_price)
    row.step = view.step
    row.best_bid = view.best_bid
    row.bid_depth = view.bid_depth
    row.best_ask = view.best_ask
    row.ask_depth = view.ask_depth
    row.last_price = view.last_price
    row.volume = view.volume
    row.bought = state.ledger.terms[instrument].bought
    _remember_side(state.book, 2 * instrument, row.bid_depths)
    _remember_side(state.book, 2 * instrument + 1, row.ask_depths)
