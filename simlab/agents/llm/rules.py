"""Check what an agent wants to do against the market's rules, all of it together, before any of it is sent.

The market itself answers for one order (`observation.refusal`). What several orders of one decision need
together, and what cancels among them set free, is added up here; fees are not, so that in the end the market
has the last word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from simlab.agents.llm.answers import Move
from simlab.core.types import MessageKind, Reason, Side

__all__ = ["broken_rules"]

_LIMITS = (Reason.SHORT_LIMIT, Reason.POSITION_LIMIT)
_WORDS = {
    Reason.MARKET_HALTED: "trading is halted; only cancels are taken",
    Reason.RATE_LIMIT: "you have sent as many messages as you may for now",
    Reason.MONEY_LIMIT: "no account may have so much at stake",
    Reason.POSITION_LIMIT: "your position would go beyond its limit",
}


def broken_rules(observation: Any, i: int, moves: Sequence[Move]) -> list[str]:
    """Return what the market would not take, in words a model can act on; empty when all is well.

    Parameters
    ----------
    observation : BatchObservation
    i : int
        The agent's position in it.
    moves : sequence of Move
    """
    plan = _Plan(observation, i)
    problems = []
    for k, move in enumerate(moves):
        complaint = plan.add(move)
        if complaint:
            problems.append(f"orders[{k}]: {complaint}")
    return problems


class _Plan:
    """What is left after the moves so far."""

    def __init__(self, observation: Any, i: int) -> None:
        self._seen, self._i = observation, i
        count = len(observation.instruments)
        self._resting = {
            it.order_id: (place, it) for place in range(count) for it in observation.resting(i, place)
        }
        self._lots = {(place, side): 0 for place in range(count) for side in Side}
        """Ordered so far less set free by cancels, by instrument and side."""
        self._cash = int(observation.available[i])
        self._places_free = 0
        self._cancelled = False

    def add(self, move: Move) -> str:
        """Take a move into the plan; return why it cannot be, or an empty text."""
        if move.action == "cancel_all":
            for order_id in list(self._resting):
                self._cancel(order_id)
            return ""
        if move.action == "cancel":
            if move.order_id not in self._resting:
                known = ", ".join(map(str, self._resting)) or "none"
                return f"you have no open order {move.order_id}; your open orders: {known}"
            self._cancel(move.order_id)
            return ""
        return self._order(move)

    def _cancel(self, order_id: int) -> None:
        place, order = self._resting.pop(order_id)
        self._lots[place, order.side] -= order.quantity
        if order.side is Side.BUY:
            self._cash += order.quantity * order.price * int(self._seen.multiplier[place])
        self._places_free += 1
        self._cancelled = True

    def _order(self, move: Move) -> str:
        side = Side.BUY if move.action == "buy" else Side.SELL
        place, cost = move.instrument, self._cost(move, side)
        reason = self._ask(move, side, move.quantity)
        if reason is Reason.OPEN_ORDER_LIMIT and self._places_free > 0:
            reason = Reason.NONE
        if self._cancelled and (reason is Reason.FUNDS or reason in _LIMITS):
            reason = Reason.NONE  # judged below, with what the cancels set free
        together = move.quantity + self._lots[place, side]
        if reason is Reason.NONE and together != move.quantity and together > 0:
            limit = self._ask(move, side, together)
            reason = limit if limit in _LIMITS else reason
        if reason is Reason.NONE and side is Side.BUY and cost > self._cash:
            reason = Reason.FUNDS
        if reason is not Reason.NONE:
            return self._complaint(reason, move, side, cost)
        self._lots[place, side] = together
        self._cash -= cost if side is Side.BUY else 0
        self._places_free -= 1
        return ""

    def _ask(self, move: Move, side: Side, quantity: int) -> Reason:
        kind = MessageKind.MARKET if move.price is None else MessageKind.LIMIT
        price = 0 if move.price is None else move.price
        return self._seen.refusal(
            self._i, kind, side=side, price=price, quantity=quantity, instrument=move.instrument
        )

    def _cost(self, move: Move, side: Side) -> int:
        """Return what an order can cost, money units; of a market order what is on show."""
        multiplier = int(self._seen.multiplier[move.instrument])
        if move.price is not None:
            return move.quantity * move.price * multiplier
        bids, asks = self._seen.depth(move.instrument)
        cost, left = 0, move.quantity
        for price, lots in asks if side is Side.BUY else bids:
            cost += min(left, lots) * price * multiplier
            left -= min(left, lots)
        return cost

    def _complaint(self, reason: Reason, move: Move, side: Side, cost: int) -> str:
        seen, place = self._seen, move.instrument
        name = seen.instruments[place]
        if reason is Reason.FUNDS:
            return f"not enough cash: it can cost {cost}, and {max(0, self._cash)} is available for it"
        if reason is Reason.SHORT_LIMIT:
            held, on_sale = int(seen.inventory[self._i, place]), self._on_sale(place)
            return f"you hold {held} lots of {name}, {on_sale} of them on sale, and may not sell so many more"
        if reason is Reason.PRICE_OFF_TICK:
            use = _nearest(move.price, seen.tick_size[place])
            return f"price {move.price} is not a multiple of the tick size; {use}"
        if reason is Reason.QUANTITY_OFF_LOT:
            use = _nearest(move.quantity, seen.lot_size[place])
            return f"quantity {move.quantity} is not a multiple of the lot size; {use}"
        if reason is Reason.PRICE_BAND:
            low, high = int(seen.price_low[place]), int(seen.price_high[place])
            return f"price {move.price} is outside of the prices allowed, {low} to {high}"
        if reason is Reason.OPEN_ORDER_LIMIT:
            count = int(seen.open_orders[self._i])
            return f"you have as many open orders as you may ({count}); cancel one first"
        return _WORDS.get(reason, reason.name.lower().replace("_", " "))

    def _on_sale(self, place: int) -> int:
        resting = self._seen.resting(self._i, place)
        return sum(it.quantity for it in resting if it.side is Side.SELL) + self._lots[place, Side.SELL]


def _nearest(value: int | None, step: Any) -> str:
    low = int(value or 0) // int(step) * int(step)
    return f"use {low + int(step)}" if low == 0 else f"use {low} or {low + int(step)}"
