"""Trade on the past return: with it (momentum) or against it (mean reversion).

If the mid price's relative change over `lookback` steps is beyond `threshold`, the agent sends a market
order of `size` lots, `momentum` in the direction of the change and `mean_reversion` against it, until its
inventory reaches the limit. It waits until a whole lookback has passed.

Simplifications: the momentum paper scales positions by volatility and rebalances them each month; the
contrarian paper's weights are proportional to the past return less the market's, over many securities.
Here it is the sign of one instrument's return beyond a threshold, in orders of a fixed size, and a position
is only left when the opposite signal comes.

References
----------
Moskowitz, Ooi and Pedersen (2012), Time series momentum, Journal of Financial Economics 104(2), 228-250,
section 4 (the sign of the past return).
Lehmann (1990), Fads, martingales, and market efficiency, Quarterly Journal of Economics 105(1), 1-28,
section II (weights opposite to the past return).
"""

from __future__ import annotations

from simlab.agents.compiled import HISTORY_STEPS, Parameter, compiled_strategy, market, past_return
from simlab.agents.library.quoting import capacity, opposite_depth
from simlab.core.jit import jit

__all__ = ["mean_reversion", "momentum"]

_LOOKBACK, _THRESHOLD, _SIZE, _INVENTORY_LIMIT = range(4)


def _parameters(lookback: int, threshold: float) -> tuple[Parameter, ...]:
    longest = HISTORY_STEPS - 1
    return (
        Parameter("lookback", lookback, "steps", "Steps the past return spans.", 1, longest, True),
        Parameter("threshold", threshold, "1", "Relative return beyond which it trades.", 0.0, 1.0),
        Parameter("size", 5, "lots", "Order size.", 1, 10**6, True),
        Parameter("inventory_limit", 100, "lots", "Largest inventory, long or short.", 0, 10**9, True),
    )


@jit
def _signal(view, me):
    """Return 1 after a rise beyond the threshold, -1 after such a fall, 0 otherwise."""
    lookback = int(me.parameters[_LOOKBACK])
    if view.halted or view.step < lookback:
        return 0
    change = past_return(view, lookback)
    if abs(change) <= me.parameters[_THRESHOLD]:
        return 0
    return 1 if change > 0.0 else -1


@jit
def _take(view, me, orders, side):
    if opposite_depth(view, side) > 0:
        room = capacity(me, side, int(me.parameters[_INVENTORY_LIMIT]))
        market(orders, view, side, min(int(me.parameters[_SIZE]), room))


@compiled_strategy(
    "momentum",
    "Buys after the price has risen and sells after it has fallen.",
    _parameters(60, 0.0002),
    source="Moskowitz, Ooi and Pedersen (2012), Journal of Financial Economics 104(2), 228-250",
)
def momentum(view, me, rng, orders):
    """Take in the direction of the past return."""
    signal = _signal(view, me)
    if signal != 0:
        _take(view, me, orders, 0 if signal > 0 else 1)


@compiled_strategy(
    "mean_reversion",
    "Sells after the price has risen and buys after it has fallen.",
    _parameters(60, 0.0003),
    source="Lehmann (1990), Quarterly Journal of Economics 105(1), 1-28",
)
def mean_reversion(view, me, rng, orders):
    """Take against the past return."""
    signal = _signal(view, me)
    if signal != 0:
        _take(view, me, orders, 1 if signal > 0 else 0)
