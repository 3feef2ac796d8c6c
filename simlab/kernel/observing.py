"""Show the market and themselves to agents: fill the records that strategies read."""

from __future__ import annotations

import numpy as np

from simlab.agents.compiled import DEPTH_LEVELS, HISTORY_STEPS, VISIBLE_ORDERS
from simlab.agents.strategy import MAX_PARAMETERS
from simlab.core.jit import jit, jit_inline
from simlab.core.numerics import normal_quantile
from simlab.core.random import Role, block, open_unit
from simlab.engine.compiled.arrays import (
    A_HEAD,
    A_ORDERS,
    K_ACCOUNT_NEXT,
    K_LEVEL,
    L_DEPTH,
    L_PRICE,
    O_PRICE,
    O_QUANTITY,
)
from simlab.engine.compiled.tables import L_LIST, O_ID
from simlab.kernel.state import (
    P_FIRST,
    P_ORDERS,
    P_PARAMETERS_AT,
    P_PARAMETERS_STRIDE,
    P_SIGNAL,
    PF_SIGNAL_NOISE,
    T_BLOCK_START,
    T_PARAMETERS,
    T_STEP,
)
from simlab.market.ledger import (
    C_CASH,
    C_LAST_LOOK,
    I_HALTED_UNTIL,
    I_LAST_PRICE,
    I_LAST_QUANTITY,
    I_LAST_SIDE,
    I_TRADES,
    I_VOLUME,
    P_BOUGHT,
    P_FILLS,
    P_INVENTORY,
    P_SOLD,
)

__all__ = [
    "forget_fills",
    "remember_mid",
    "show_agent",
    "show_depth",
    "show_market",
    "signal_of",
    "stream_key",
]

_SIGNAL = np.uint64(Role.SIGNAL)
_HISTORY_MASK = HISTORY_STEPS - 1


@jit_inline
def show_market(book, ledger, view, instrument, step):
    """Bring one instrument's view up to date."""
    levels, instruments = book.levels, ledger.instruments
    bid = np.int64(book.towers[2 * instrument, 0])
    ask = np.int64(book.towers[2 * instrument + 1, 0])
    view.step = step
    view.best_bid = levels[bid, L_PRICE] if bid != 0 else 0
    view.bid_depth = levels[bid, L_DEPTH] if bid != 0 else 0
    view.best_ask = levels[ask, L_PRICE] if ask != 0 else 0
    view.ask_depth = levels[ask, L_DEPTH] if ask != 0 else 0
    if bid != 0 and ask != 0:
        view.mid = 0.5 * (view.best_bid + view.best_ask)
    view.halted = 1 if step < instruments[instrument, I_HALTED_UNTIL] else 0
    view.last_price = instruments[instrument, I_LAST_PRICE]
    view.last_quantity = instruments[instrument, I_LAST_QUANTITY]
    view.last_side = instruments[instrument, I_LAST_SIDE]
    view.volume = instruments[instrument, I_VOLUME]
    view.trades = instruments[instrument, I_TRADES]


@jit
def show_depth(book, view, instrument, depth):
    """Fill the view's best levels."""
    n = 0
    level = np.int64(book.towers[2 * instrument, 0])
    while level != 0 and n < min(depth, DEPTH_LEVELS):
        view.bid_prices[n] = book.levels[level, L_PRICE]
        view.bid_depths[n] = book.levels[level, L_DEPTH]
        level = np.int64(book.towers[level, 0])
        n += 1
    view.bid_levels = n
    n = 0
    level = np.int64(book.towers[2 * instrument + 1, 0])
    while level != 0 and n < min(depth, DEPTH_LEVELS):
        view.ask_prices[n] = book.levels[level, L_PRICE]
        view.ask_depths[n] = book.levels[level, L_DEPTH]
        level = np.int64(book.towers[level, 0])
        n += 1
    view.ask_levels = n


@jit
def _show_orders(book, me, agent, instrument):
    n = 0
    row = np.int64(book.owners[agent, A_HEAD])
    while row != 0 and n < VISIBLE_ORDERS:
        side_list = book.levels[np.int64(book.links[row, K_LEVEL]), L_LIST]
        if side_list >> 1 == instrument:
            me.order_ids[n] = book.orders[row, O_ID]
            me.order_sides[n] = side_list & 1
            me.order_prices[n] = book.orders[row, O_PRICE]
            me.order_quantities[n] = book.orders[row, O_QUANTITY]
            n += 1
        row = np.int64(book.links[row, K_ACCOUNT_NEXT])
    me.visible_orders = n


@jit_inline
def stream_key(world, agent, instrument):
    """Return the key of what an agent draws for one instrument, whichever others there are."""
    first = world.agents.shape[0] + world.populations.shape[0]
    return world.keys[agent] ^ world.keys[first + instrument]


@jit
def signal_of(world, population, agent, instrument):
    """Return an agent's private signal: the fundamental plus its own noise, price units."""
    step = world.clock[T_STEP]
    value = world.fundamental[step - world.clock[T_BLOCK_START], instrument]
    noise = world.population_floats[population, PF_SIGNAL_NOISE]
    if noise > 0.0:
        word, _ = block(stream_key(world, agent, instrument), _SIGNAL, np.uint64(step), np.uint64(0))
        value += noise * normal_quantile(open_unit(word))
    return value


@jit_inline
def show_agent(book, ledger, world, me, population, agent, instrument):
    """Fill the record of an agent for one instrument, all but its memory."""
    row = world.populations[population]
    position = agent * ledger.instruments.shape[0] + instrument
    me.agent = agent
    me.cash = ledger.accounts[agent, C_CASH]
    me.inventory = ledger.positions[position, P_INVENTORY]
    me.open_orders = book.owners[agent, A_ORDERS]
    me.bought = ledger.positions[position, P_BOUGHT]
    me.sold = ledger.positions[position, P_SOLD]
    me.fills = ledger.positions[position, P_FILLS]
    me.last_look = ledger.accounts[agent, C_LAST_LOOK]
    at = row[P_PARAMETERS_AT] + (agent - row[P_FIRST]) * row[P_PARAMETERS_STRIDE]
    if at != world.clock[T_PARAMETERS]:
        world.clock[T_PARAMETERS] = at
        for k in range(MAX_PARAMETERS):
            me.parameters[k] = world.parameters[at, k]
    if row[P_SIGNAL] != 0:
        me.signal = signal_of(world, population, agent, instrument)
    if row[P_ORDERS] != 0:
        _show_orders(book, me, agent, instrument)


@jit_inline
def forget_fills(ledger, agent, instrument):
    """Begin anew what an agent is told of its fills in an instrument, now that it has looked."""
    position = agent * ledger.instruments.shape[0] + instrument
    ledger.positions[position, P_BOUGHT] = 0
    ledger.positions[position, P_SOLD] = 0
    ledger.positions[position, P_FILLS] = 0


@jit
def remember_mid(view, step):
    """Append the mid price at the end of a step to the view's history."""
    view.mids[step & _HISTORY_MASK] = view.mid
