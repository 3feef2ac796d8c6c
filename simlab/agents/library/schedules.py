"""Give a trader a schedule of units: what each is worth, how many are left, when they are there anew.

A trader of a supply and demand experiment holds the right to trade some units, one lot size each, in order.
The first unit has a value of its own, each further one is worth `value_step` less to a buyer or costs that
much more. With a `period` all units are available again at the start of each period (the trading day of
Smith's experiments), whether they were traded or not, and no order outlives its period.

All functions are compiled.

References
----------
Smith (1962), An experimental study of competitive market behavior, Journal of Political Economy 70(2),
111-137.
"""

from __future__ import annotations

from simlab.agents.compiled import Parameter
from simlab.agents.library.quoting import add_fills
from simlab.core.jit import jit

__all__ = ["LIFETIME", "PERIOD", "VALUE_STEP", "last_step", "unit_value", "units_traded"]

VALUE_STEP = Parameter(
    "value_step", 0, "price units", "What each further unit is worth less, or costs more.", 0, 2e9
)
PERIOD = Parameter(
    "period", 0, "steps", "All units are available anew after it; 0 for never.", 0, 10**9, True
)
LIFETIME = Parameter(
    "lifetime", 0, "steps", "How long an order outlives its step; 0 until it is replaced.", 0, 10**9, True
)


@jit
def unit_value(side, unit, value, value_step):
    """Return what a unit, counted from 0, is worth to a buyer (side 0) or costs a seller (side 1).

    Example
    -------
    >>> unit_value(0, 2, 100.0, 5.0), unit_value(1, 2, 100.0, 5.0)
    (90.0, 110.0)
    """
    return value - unit * value_step if side == 0 else value + unit * value_step


@jit
def units_traded(view, me, side, period):
    """Return how many units the trader has traded on `side` in this period; counts in memory 0.

    `period` 0 counts from the start. What was filled since the last look counts only if that look was in
    the same period: orders end with their period, so the fills were of the last one.
    """
    if period > 0 and me.last_look // period != view.step // period:
        me.memory[0] = 0.0
        return 0
    return add_fills(me, side) // view.lot_size


@jit
def last_step(step, period, lifetime):
    """Return the last step that an order sent in `step` may live, 0 for no end.

    Example
    -------
    >>> last_step(7, 0, 0), last_step(7, 0, 2), last_step(7, 10, 0), last_step(8, 10, 2)
    (0, 9, 9, 9)
    """
    last = step + lifetime if lifetime > 0 else 0
    if period > 0:
        end = (step // period + 1) * period - 1
        last = min(last, end) if last > 0 else end
    return last
