"""Buy below value, sell above it: the value investor.

The agent's private signal of the fundamental value is compared with the mid price. If they differ by less
than `threshold`, it withdraws its orders. If they differ by more, it joins the best price on its side and
waits; from `aggressive_threshold` on it takes, with an immediate-or-cancel order. It never pays more, nor
accepts less, than the signal less, or plus, `threshold`.

Simplifications: the paper's investor sends market orders to a market maker, holds its position until the
mispricing has fallen below a second threshold, and has a constant position size. Here it trades in the
book in orders of `size` lots up to `inventory_limit`, and leaves a position only when the sign of the
mispricing turns.

References
----------
Farmer and Joshi (2002), The price dynamics of common trading strategies, Journal of Economic Behavior and
Organization 49(2), 149-171, section on value investors (thresholds for entering a position).
"""

from __future__ import annotations

from simlab.agents.compiled import Needs, Parameter, compiled_strategy, limit
from simlab.agents.library.quoting import capacity, quote, to_price, touch
from simlab.core.jit import jit

__all__ = ["value"]

_THRESHOLD, _AGGRESSIVE, _SIZE, _INVENTORY_LIMIT = range(4)
_IOC = 1


@jit
def _passive_price(view, side, reservation):
    if side == 0:
        return min(reservation, touch(view, 0))
    return max(reservation, touch(view, 1))


@compiled_strategy(
    "value",
    "Buys below and sells above its private signal of the fundamental value.",
    (
        Parameter("threshold", 5.0, "price units", "Mispricing from which it trades.", 0.0, 1e6),
        Parameter("aggressive_threshold", 20.0, "price units", "Mispricing from which it takes.", 0.0, 1e6),
        Parameter("size", 10, "lots", "Order size.", 1, 10**6, True),
        Parameter("inventory_limit", 200, "lots", "Largest inventory, long or short.", 0, 10**9, True),
    ),
    needs=Needs(orders=True, signal=True),
    source="Farmer and Joshi (2002), Journal of Economic Behavior and Organization 49(2), 149-171",
)
def value(view, me, rng, orders):
    """Trade towards the signal: wait in the book, or take when the mispricing is large."""
    if view.halted:
        return
    mispricing = me.signal - view.mid
    side = 0 if mispricing > 0.0 else 1
    threshold = me.parameters[_THRESHOLD]
    reservation = to_price(view, side, me.signal - threshold if side == 0 else me.signal + threshold)
    quantity = 0
    if abs(mispricing) >= threshold:
        quantity = min(int(me.parameters[_SIZE]), capacity(me, side, int(me.parameters[_INVENTORY_LIMIT])))
    aggressive = abs(mispricing) >= me.parameters[_AGGRESSIVE]
    quote(orders, view, me, 1 - side, 0, 0)
    quote(orders, view, me, side, _passive_price(view, side, reservation), 0 if aggressive else quantity)
    if aggressive:
        limit(orders, view, side, reservation, quantity, _IOC)
