"""Quote around the reservation price of Avellaneda and Stoikov.

With inventory q, mid price s and time T - t to the horizon, the agent quotes at r +/- d / 2, where::

    r = s - q gamma sigma^2 (T - t)
    d = gamma sigma^2 (T - t) + (2 / gamma) ln(1 + gamma / k)

`symmetric` 1 gives the paper's benchmark: the same spread d, centred on the mid price.

Simplifications: time is counted in steps and the horizon starts again when it ends (the paper ends; the
inventory is kept, not sold). sigma and k are given, not estimated. Orders have `size` lots instead of one,
with q still counted in lots; quotes are rounded outwards to ticks; an inventory limit is added. The paper's
benchmark uses the average spread over the session, here it is the spread of the moment.

References
----------
Avellaneda and Stoikov (2008), High-frequency trading in a limit order book, Quantitative Finance 8(3),
217-224, section 3.2 (reservation price and spread) and section 3.3 (the symmetric benchmark).
"""

from __future__ import annotations

from simlab.agents.compiled import Needs, Parameter, compiled_strategy
from simlab.agents.library.quoting import quote_both
from simlab.core.jit import jit
from simlab.core.numerics import log

__all__ = ["avellaneda_stoikov", "reservation_and_spread"]

_GAMMA, _SIGMA, _K, _HORIZON, _SIZE, _INVENTORY_LIMIT, _SYMMETRIC = range(7)


@jit
def reservation_and_spread(mid, inventory, gamma, sigma, k, remaining):
    """Return the reservation price and the spread, price units.

    Parameters
    ----------
    mid : float, price units
    inventory : int, lots
    gamma : float above 0, 1 / (price unit x lot)
        Risk aversion.
    sigma : float, price units per square root of a step
    k : float above 0, 1 / price unit
        How fast the arrival of fills decays with the distance from the mid price.
    remaining : int, steps
        Time to the horizon.

    Example
    -------
    >>> from simlab.agents.library.avellaneda_stoikov import reservation_and_spread
    >>> reservation, spread = reservation_and_spread(100.0, 2, 0.1, 2.0, 1.5, 1)
    >>> round(reservation, 2), round(spread, 2)
    (99.2, 1.69)
    """
    risk = gamma * sigma * sigma * remaining
    return mid - inventory * risk, risk + 2.0 / gamma * log(1.0 + gamma / k)


@compiled_strategy(
    "avellaneda_stoikov",
    "Quotes at the optimal distances from an inventory-dependent reservation price.",
    (
        Parameter("gamma", 0.001, "1 / (price unit x lot)", "Risk aversion.", 1e-8, 1e3),
        Parameter("sigma", 0.5, "price units per sqrt(step)", "Volatility of the mid price.", 0.0, 1e4),
        Parameter("k", 1.5, "1 / price unit", "Decay of the fill rate with distance.", 1e-6, 1e3),
        Parameter("horizon", 600, "steps", "Length of one session; then time starts again.", 1, 10**9, True),
        Parameter("size", 5, "lots", "Size of each quote.", 1, 10**6, True),
        Parameter("inventory_limit", 100, "lots", "Largest inventory, long or short.", 0, 10**9, True),
        Parameter("symmetric", 0, "1", "1 to centre the quotes on the mid price.", 0, 1, True),
    ),
    needs=Needs(orders=True),
    source="Avellaneda and Stoikov (2008), Quantitative Finance 8(3), 217-224",
)
def avellaneda_stoikov(view, me, rng, orders):
    """Refresh both quotes."""
    if view.halted:
        return
    horizon = int(me.parameters[_HORIZON])
    remaining = horizon - view.step % horizon
    inventory = 0 if me.parameters[_SYMMETRIC] == 1.0 else me.inventory
    centre, spread = reservation_and_spread(
        view.mid, inventory, me.parameters[_GAMMA], me.parameters[_SIGMA], me.parameters[_K], remaining
    )
    quote_both(
        orders,
        view,
        me,
        centre - 0.5 * spread,
        centre + 0.5 * spread,
        int(me.parameters[_SIZE]),
        int(me.parameters[_INVENTORY_LIMIT]),
        0,
    )
