"""Quote at the distances of Gueant, Lehalle and Fernandez-Tapia, far from any horizon.

With inventory q (lots), quotes of `size` lots D, and fills that arrive at the rate A exp(-k distance), the
bid stands below the mid price, and the ask above it, by::

    bid distance = c1 + (q + D / 2) sigma c2
    ask distance = c1 - (q - D / 2) sigma c2
    c1 = ln(1 + gamma D / k) / (gamma D)
    c2 = sqrt(gamma / (2 A D k) (1 + gamma D / k)^(1 + k / (gamma D)))

This approximates what the optimal quotes come to when the end is far away. The paper trades one share at a
time (D = 1); quotes of D lots are the same problem with gamma D in place of gamma and q / D in place of q.

Simplifications: sigma, A and k are given, not estimated; quotes are rounded outwards to ticks; the
inventory limit of the paper is kept by not quoting the side that would pass it. A quote that would cross
the mid price is not held back.

References
----------
Gueant, Lehalle and Fernandez-Tapia (2013), Dealing with the inventory risk: a solution to the market making
problem, Mathematics and Financial Economics 7(4), 477-507 (the closed-form approximation of the asymptotic
quotes). Gueant (2017), Optimal market making, Applied Mathematical Finance 24(2), 112-154 (the same with a
trade size).
"""

from __future__ import annotations

import math

from simlab.agents.compiled import Needs, Parameter, compiled_strategy
from simlab.agents.library.quoting import quote_both
from simlab.core.jit import jit
from simlab.core.numerics import exp, log

__all__ = ["distances", "gueant_lehalle_fernandez_tapia"]

_GAMMA, _SIGMA, _A, _K, _SIZE, _INVENTORY_LIMIT, _POST_ONLY = range(7)


@jit
def distances(inventory, gamma, sigma, a, k, size):
    """Return how far the bid stands below the mid price and the ask above it, price units.

    Parameters
    ----------
    inventory : int, lots
    gamma : float above 0, 1 / (price unit x lot)
        Risk aversion.
    sigma : float, price units per square root of a step
    a : float above 0, per step
        Rate of fills at the mid price.
    k : float above 0, 1 / price unit
        How fast it decays with the distance.
    size : int, lots

    Example
    -------
    >>> [round(it, 3) for it in distances(0, 0.01, 0.3, 0.9, 0.3, 1)]
    [3.313, 3.313]
    """
    risk = gamma * size
    ratio = 1.0 + risk / k
    c1 = log(ratio) / risk
    c2 = math.sqrt(gamma / (2.0 * a * size * k) * exp((1.0 + k / risk) * log(ratio)))
    return c1 + (0.5 * size + inventory) * sigma * c2, c1 + (0.5 * size - inventory) * sigma * c2


@compiled_strategy(
    "gueant_lehalle_fernandez_tapia",
    "Quotes at the optimal distances for an inventory, far from any horizon.",
    (
        Parameter("gamma", 0.001, "1 / (price unit x lot)", "Risk aversion.", 1e-6, 1e3),
        Parameter("sigma", 0.5, "price units per sqrt(step)", "Volatility of the mid price.", 0.0, 1e4),
        Parameter("a", 0.5, "per step", "Rate of fills of a quote at the mid price.", 1e-6, 1e6),
        Parameter("k", 0.7, "1 / price unit", "Decay of the fill rate with distance.", 1e-4, 1e3),
        Parameter("size", 5, "lots", "Size of each quote.", 1, 10**6, True),
        Parameter("inventory_limit", 100, "lots", "Largest inventory, long or short.", 0, 10**9, True),
        Parameter("post_only", 0, "1", "1 to be rejected rather than take.", 0, 1, True),
    ),
    needs=Needs(orders=True),
    source="Gueant, Lehalle and Fernandez-Tapia (2013), Mathematics and Financial Economics 7(4), 477-507",
)
def gueant_lehalle_fernandez_tapia(view, me, rng, orders):
    """Refresh both quotes."""
    if view.halted:
        return
    size = int(me.parameters[_SIZE])
    below, above = distances(
        me.inventory, me.parameters[_GAMMA], me.parameters[_SIGMA], me.parameters[_A], me.parameters[_K], size
    )
    limit, post_only = int(me.parameters[_INVENTORY_LIMIT]), int(me.parameters[_POST_ONLY])
    quote_both(orders, view, me, view.mid - below, view.mid + above, size, limit, post_only)
