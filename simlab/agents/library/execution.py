"""Trade a given quantity over time: the two plainest execution algorithms.

`twap` cuts the quantity into equal slices over a time interval. It acts once a slice: with market orders
for all that is due by then, or, with `passive` 1, with one limit order that joins the best price on its own
side. What was not filled is carried into the next slice; after `end` the schedule goes on at the same pace
with all that is left, then taking at the best opposite price.

`participation` follows the market's volume (percentage of volume): it sends market orders so that its own
share of all volume since `start`, its own trades included, is `rate`, at most once in `interval` steps.

Simplifications: a real algorithm randomises its slices, and mixes limit and market orders by price. Both
count their own fills, so a latency longer than a slice or an interval makes them send before they know and
trade more than planned.

References
----------
Almgren and Chriss (2001), Optimal execution of portfolio transactions, Journal of Risk 3(2), 5-39, section
1.5 (the minimum-impact trajectory, n_k = X / N, which is `twap`).
Johnson (2010), Algorithmic Trading and DMA, 4Myeloma Press, chapter 5 (TWAP; percent of volume).
"""

from __future__ import annotations

import math

from simlab.agents.compiled import Needs, Parameter, compiled_strategy, market
from simlab.agents.library.quoting import add_fills, opposite_depth, quote, touch
from simlab.core.jit import jit

__all__ = ["current_slice", "participation", "twap"]

_SIDE, _QUANTITY, _START, _END, _SLICES, _PASSIVE = range(6)
_RATE, _INTERVAL = 3, 4
_NEXT_SLICE = 1  # memory: number of the first slice that has not been acted on
_BASE_VOLUME, _NEXT_STEP = 1, 2  # memory: market volume at the start plus one; when it may act again

_SIDE_PARAMETER = Parameter("side", 0, "1", "0 to buy, 1 to sell.", 0, 1, True)
_QUANTITY_PARAMETER = Parameter("quantity", 1000, "lots", "Quantity to trade in all.", 0, 10**9, True)
_START_PARAMETER = Parameter("start", 0, "steps", "First step it trades.", 0, 10**12, True)


@jit
def current_slice(step, start, end, slices):
    """Return which of equal slices of the time from `start` to `end` a step is in, -1 before `start`.

    After `end` they are counted on. An end that does not lie after the start leaves one step for all.

    Example
    -------
    >>> [current_slice(step, 10, 80, 7) for step in (9, 10, 79, 80)]
    [-1, 0, 6, 7]
    """
    return (step - start) * slices // max(end - start, 1) if step >= start else -1


@jit
def _scheduled(quantity, slices, index):
    """Return the quantity that is due by the end of slice `index`, counted from 0."""
    return quantity if index + 1 >= slices else quantity * (index + 1) // slices


@jit
def _rest(view, me, orders, side, quantity, finishing):
    price = touch(view, side)
    if finishing and opposite_depth(view, side) > 0:
        price = view.best_ask if side == 0 else view.best_bid
    quote(orders, view, me, side, price, quantity)


@compiled_strategy(
    "twap",
    "Trades a quantity in equal slices over a time interval.",
    (
        _SIDE_PARAMETER,
        _QUANTITY_PARAMETER,
        _START_PARAMETER,
        Parameter("end", 3600, "steps", "Step by which all should be traded.", 1, 10**12, True),
        Parameter("slices", 60, "slices", "Number of equal parts.", 1, 10**6, True),
        Parameter("passive", 0, "1", "0 for market orders, 1 for limit orders.", 0, 1, True),
    ),
    needs=Needs(orders=True),
    source="Almgren and Chriss (2001), Journal of Risk 3(2), 5-39; Johnson (2010), chapter 5",
)
def twap(view, me, rng, orders):
    """Act once in each slice for what is due by its end."""
    side = int(me.parameters[_SIDE])
    done = add_fills(me, side)
    slices = int(me.parameters[_SLICES])
    index = current_slice(view.step, int(me.parameters[_START]), int(me.parameters[_END]), slices)
    passive = me.parameters[_PASSIVE] == 1.0
    if view.halted or index < int(me.memory[_NEXT_SLICE]) or not (passive or opposite_depth(view, side) > 0):
        return
    me.memory[_NEXT_SLICE] = index + 1
    due = max(_scheduled(int(me.parameters[_QUANTITY]), slices, index) - done, 0)
    if passive:
        _rest(view, me, orders, side, due, index >= slices)
    else:
        market(orders, view, side, due)


@compiled_strategy(
    "participation",
    "Trades a quantity as a given share of the market's volume.",
    (
        _SIDE_PARAMETER,
        _QUANTITY_PARAMETER,
        _START_PARAMETER,
        Parameter("rate", 0.1, "1", "Own share of all volume since `start`.", 0.0, 0.9),
        Parameter("interval", 10, "steps", "Shortest time between two orders.", 1, 10**6, True),
    ),
    source="Johnson (2010), Algorithmic Trading and DMA, chapter 5",
)
def participation(view, me, rng, orders):
    """Catch up with the given share of the volume traded since the start."""
    side = int(me.parameters[_SIDE])
    done = add_fills(me, side)
    if view.step < int(me.parameters[_START]):
        return
    if me.memory[_BASE_VOLUME] == 0.0:
        me.memory[_BASE_VOLUME] = view.volume + 1.0
    if view.halted or view.step < int(me.memory[_NEXT_STEP]) or opposite_depth(view, side) == 0:
        return
    traded = view.volume - (me.memory[_BASE_VOLUME] - 1.0)
    planned = min(math.floor(me.parameters[_RATE] * traded), int(me.parameters[_QUANTITY]))
    if planned - done >= view.lot_size:
        market(orders, view, side, planned - done)
        me.memory[_NEXT_STEP] = view.step + int(me.parameters[_INTERVAL])
