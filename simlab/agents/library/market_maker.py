"""Quote both sides around the mid price and lean against the inventory: the dealer.

Bid and ask stand `half_spread` on either side of the mid price less `skew` times the inventory. Quotes
that are still right keep their place in the queue; others are moved by a replace. A partly filled quote is
filled up by a second order behind the first.

Simplifications: Ho and Stoll derive the spread and the slope in the inventory from the dealer's risk
aversion and the variance of demand and return; here both are given. The mid price includes the agent's own
quotes, so that a market maker alone in the book pushes its own reference until someone takes its inventory.

References
----------
Ho and Stoll (1981), Optimal dealer pricing under transactions and return uncertainty, Journal of Financial
Economics 9(1), 47-73, section 3 (the spread does not depend on the inventory; its centre does, linearly).
"""

from __future__ import annotations

from simlab.agents.compiled import Needs, Parameter, compiled_strategy
from simlab.agents.library.quoting import quote_both

__all__ = ["market_maker"]

_HALF_SPREAD, _SIZE, _SKEW, _INVENTORY_LIMIT, _POST_ONLY = range(5)


@compiled_strategy(
    "market_maker",
    "Quotes both sides around the mid price, skewed against its inventory.",
    (
        Parameter("half_spread", 1.0, "price units", "Distance of each quote from the centre.", 0.0, 1e6),
        Parameter("size", 10, "lots", "Size of each quote.", 1, 10**6, True),
        Parameter("skew", 0.02, "price units per lot", "Shift of the centre per lot held.", 0.0, 1e4),
        Parameter("inventory_limit", 200, "lots", "Largest inventory, long or short.", 0, 10**9, True),
        Parameter("post_only", 0, "1", "1 to be rejected rather than take.", 0, 1, True),
    ),
    needs=Needs(orders=True),
    source="Ho and Stoll (1981), Journal of Financial Economics 9(1), 47-73",
)
def market_maker(view, me, rng, orders):
    """Refresh both quotes."""
    if view.halted:
        return
    half_spread = me.parameters[_HALF_SPREAD]
    centre = view.mid - me.parameters[_SKEW] * me.inventory
    quote_both(
        orders,
        view,
        me,
        centre - half_spread,
        centre + half_spread,
        int(me.parameters[_SIZE]),
        int(me.parameters[_INVENTORY_LIMIT]),
        int(me.parameters[_POST_ONLY]),
    )
