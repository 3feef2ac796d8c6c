"""Match orders in the most obvious way: the specification that runs.

Nothing here is tuned; where `simlab.engine.interface` states a rule, one short function follows it. The
orders lie in `simlab.engine.reference.resting`, the events are written by `simlab.engine.reference.answers`.
"""

from __future__ import annotations

from itertools import islice, takewhile
from operator import index

import numpy as np
from numpy.typing import NDArray

from simlab.core.types import (
    FLAG_MARKET,
    FLAG_POST_ONLY,
    FLAG_PRIORITY_KEPT,
    MAX_QUANTITY,
    NO_EXPIRY,
    EventKind,
    MessageKind,
    Reason,
    SelfTrade,
    Side,
    TimeInForce,
)
from simlab.engine.arguments import (
    require_count,
    require_depth,
    require_fit,
    require_known,
    require_messages,
    require_out,
    require_policy,
    require_side,
    require_step,
    require_whole,
)
from simlab.engine.interface import ORDER_DTYPE, Level, state_hash
from simlab.engine.reference.answers import Answers, Message
from simlab.engine.reference.resting import Order, RestingOrders

__all__ = ["ReferenceOrderBook"]

_INT32_MAX = 2**31 - 1


class ReferenceOrderBook:
    """Match orders by price and time; see `simlab.engine.interface` for the contract.

    Parameters
    ----------
    instruments : int
        Number of instruments, known as 0 to ``instruments - 1``.
    accounts : int
        Number of accounts, known as 0 to ``accounts - 1``.
    self_trade : SelfTrade
        What happens when an account meets itself, for every instrument; see `set_self_trade`.

    Raises
    ------
    EngineError
        When a number is not in [1, 2**31 - 1] or the policy is unknown.

    Example
    -------
    >>> from simlab.core.types import MessageKind, Side
    >>> book = ReferenceOrderBook()
    >>> events = book.apply(MessageKind.LIMIT, Side.BUY, price=100, quantity=5, order_id=1)
    >>> book.best_bid()
    100
    """

    def __init__(
        self, instruments: int = 1, *, accounts: int = 1, self_trade: SelfTrade | int = SelfTrade.OFF
    ) -> None:
        self.instruments = require_count("instruments", instruments)
        self.accounts = require_count("accounts", accounts)
        self._self_trade = [require_policy(self_trade)] * self.instruments
        self._resting = RestingOrders(self.instruments)
        self._answers = Answers()

    def set_self_trade(self, instrument: int, policy: SelfTrade | int) -> None:
        """Set what happens when an account meets itself in one instrument, from the next message on.

        Raises
        ------
        EngineError
            When the instrument or the policy is unknown.
        """
        self._require_instrument(instrument)
        self._self_trade[instrument] = require_policy(policy)

    def process(self, messages: NDArray[np.void], *, out: NDArray[np.void] | None = None) -> NDArray[np.void]:
        """Apply messages in order and return all their events.

        Parameters
        ----------
        messages : (n,) MESSAGE_DTYPE
        out : (k,) EVENT_DTYPE, optional
            Memory for the events.

        Returns
        -------
        (m,) EVENT_DTYPE
            The beginning of `out` if the events fit, else an array of their own.

        Raises
        ------
        EngineError
            When `messages` or `out` is anything else.
        """
        rows = require_messages(messages).tolist()
        if out is not None:
            require_out(out, messages)
        for row in rows:
            self._answer(Message._make(row))
        events = self._answers.take()
        if out is None or len(events) > len(out):
            return events
        out[: len(events)] = events
        return out[: len(events)]

    def apply(
        self,
        kind: int,
        side: int = 0,
        price: int = 0,
        quantity: int = 0,
        order_id: int = 0,
        account: int = 0,
        instrument: int = 0,
        time_in_force: int = 0,
        post_only: int = 0,
        expiry: int = 0,
    ) -> NDArray[np.void]:
        """Apply one message and return its events, ``(m,) EVENT_DTYPE``.

        `price` in price units, `quantity` in lots, `expiry` the last step alive or 0.

        Raises
        ------
        EngineError
            When a value does not fit its field of `MESSAGE_DTYPE`.
        """
        words = (kind, side, time_in_force, post_only, instrument, order_id, account, price, quantity, expiry)
        require_fit(*words)
        message = Message._make((*map(index, words), 0, 0))
        self._answer(message)
        return self._answers.take()

    def advance(self, step: int) -> NDArray[np.void]:
        """Set the present step and expire the orders whose `expiry` lies before it.

        Returns
        -------
        (m,) EVENT_DTYPE
            EXPIRED events by (expiry, order id).

        Raises
        ------
        EngineError
            When `step` lies before the present step.
        """
        self._answers.step = require_step(step, self._answers.step)
        while (order := self._resting.next_expired(self._answers.step)) is not None:
            self._resting.remove(order)
            self._answers.about(order, EventKind.EXPIRED)
        return self._answers.take()

    def best_bid(self, instrument: int = 0) -> int | None:
        """Return the highest buy price, price units, or None."""
        self._require_instrument(instrument)
        return self._resting.best(instrument, Side.BUY)

    def best_ask(self, instrument: int = 0) -> int | None:
        """Return the lowest sell price, price units, or None."""
        self._require_instrument(instrument)
        return self._resting.best(instrument, Side.SELL)

    def snapshot(self, side: Side | int, *, depth: int | None = None, instrument: int = 0) -> list[Level]:
        """Return the best `depth` levels of a side (all of them by default), best first."""
        self._require_instrument(instrument)
        require_side(side)
        levels = islice(self._resting.levels(instrument, side), require_depth(depth))
        return [Level(price, level.quantity, len(level.orders)) for price, level in levels]

    def orders(self, side: Side | int | None = None, *, instrument: int = 0) -> NDArray[np.void]:
        """Return resting orders in priority order, ``(n,) ORDER_DTYPE``; bids come before asks."""
        self._require_instrument(instrument)
        if side is not None:
            require_side(side)
        rows = [
            (o.instrument, o.side, o.price, o.quantity, o.order_id, o.account, o.expiry, 0)
            for wanted in ((Side.BUY, Side.SELL) if side is None else (side,))
            for o in self._resting.orders(instrument, wanted)
        ]
        return np.array(rows, ORDER_DTYPE)

    def orders_of(self, account: int) -> list[int]:
        """Return the ids of an account's resting orders, oldest first."""
        require_known("account", account, self.accounts)
        return [order.order_id for order in self._resting.oldest_first(account)]

    def queue_position(self, order_id: int) -> int | None:
        """Return how many lots stand before an order at its price, or None if it does not rest."""
        order = self._resting.by_id.get(require_whole("order_id", order_id))
        if order is None:
            return None
        queue = self._resting.level_of(order).orders.values()
        return sum(other.quantity for other in takewhile(lambda other: other is not order, queue))

    def resting_orders(self, instrument: int | None = None) -> int:
        """Return the number of resting orders of one instrument, or of all."""
        if instrument is None:
            return len(self._resting.by_id)
        self._require_instrument(instrument)
        return sum(len(level.orders) for side in Side for _, level in self._resting.levels(instrument, side))

    def state_hash(self) -> int:
        """Return a 64-bit hash of all resting orders in priority order, the present step and the sequence."""
        return state_hash(self, self._answers.step, self._answers.sequence)

    def check(self) -> None:
        """Raise EngineError at the first broken invariant."""
        self._resting.check()

    def _answer(self, message: Message) -> None:
        if message.kind in (MessageKind.LIMIT, MessageKind.MARKET):
            self._new_order(message)
        elif message.kind == MessageKind.CANCEL:
            self._cancel(message)
        elif message.kind == MessageKind.REPLACE:
            self._replace(message)
        elif message.kind == MessageKind.CANCEL_ALL:
            self._cancel_all(message)
        else:
            self._answers.rejected(message, Reason.INVALID_KIND)

    def _new_order(self, message: Message) -> None:
        reason = self._malformed(message) or self._unfillable(message)
        if reason:
            self._answers.rejected(message, reason)
            return
        market = message.kind == MessageKind.MARKET
        order = Order(
            order_id=message.order_id,
            account=message.account,
            instrument=message.instrument,
            side=message.side,
            price=0 if market else message.price,
            quantity=message.quantity,
            expiry=message.expiry,
            age=self._answers.sequence,
        )
        flags = message.time_in_force + FLAG_POST_ONLY * bool(message.post_only) + FLAG_MARKET * market
        self._answers.about(order, EventKind.ACCEPTED, flags=flags)
        self._match(order, None if market else order.price)
        if order.quantity == 0:
            return
        if market:
            self._answers.about(order, EventKind.CANCELLED, reason=Reason.MARKET_REMAINDER)
        elif message.time_in_force == TimeInForce.IOC:
            self._answers.about(order, EventKind.CANCELLED, reason=Reason.IOC_REMAINDER)
        else:
            self._resting.add(order)

    def _malformed(self, message: Message) -> Reason:
        if not 0 <= message.instrument < self.instruments:
            return Reason.UNKNOWN_INSTRUMENT
        if not 0 <= message.account < self.accounts:
            return Reason.INVALID_ACCOUNT
        if message.side not in (Side.BUY, Side.SELL):
            return Reason.INVALID_SIDE
        if not 1 <= message.quantity <= MAX_QUANTITY:
            return Reason.INVALID_QUANTITY
        if message.time_in_force not in (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK):
            return Reason.INVALID_TIME_IN_FORCE
        gtc_limit = message.kind == MessageKind.LIMIT and message.time_in_force == TimeInForce.GTC
        if message.post_only and not gtc_limit:
            return Reason.INVALID_TIME_IN_FORCE
        if message.order_id < 1:
            return Reason.INVALID_ORDER_ID
        if message.order_id in self._resting.by_id:
            return Reason.DUPLICATE_ORDER_ID
        return self._expiry_refusal(message)

    def _unfillable(self, message: Message) -> Reason:
        if message.post_only and self._is_marketable(message.instrument, message.side, message.price):
            return Reason.POST_ONLY_WOULD_TRADE
        if message.time_in_force == TimeInForce.FOK and not self._can_fill(message):
            return Reason.FOK_NOT_FILLABLE
        return Reason.NONE

    def _expiry_refusal(self, message: Message) -> Reason:
        # The present step is never below 0, so this refuses what is below 0 as well.
        past = message.expiry != NO_EXPIRY and message.expiry < self._answers.step
        return Reason.INVALID_EXPIRY if past else Reason.NONE

    def _can_fill(self, message: Message) -> bool:
        """Say whether a FOK order would trade in full, own orders counted as self-trade prevention would."""
        limit = None if message.kind == MessageKind.MARKET else message.price
        policy = self._self_trade[message.instrument]
        missing = message.quantity
        for maker in self._resting.orders(message.instrument, 1 - message.side):
            if not _reaches(message.side, limit, maker.price):
                return False
            if maker.account == message.account and policy != SelfTrade.OFF:
                if policy == SelfTrade.CANCEL_RESTING:
                    continue
                return False
            missing -= maker.quantity
            if missing <= 0:
                return True
        return False

    def _cancel(self, message: Message) -> None:
        reason = self._ownership_refusal(message)
        if reason:
            self._answers.rejected(message, reason)
        else:
            self._cancel_resting(self._resting.by_id[message.order_id], Reason.REQUESTED)

    def _ownership_refusal(self, message: Message) -> Reason:
        order = self._resting.by_id.get(message.order_id)
        if order is None:
            return Reason.UNKNOWN_ORDER
        return Reason.NONE if order.account == message.account else Reason.NOT_OWNER

    def _replace(self, message: Message) -> None:
        reason = self._ownership_refusal(message) or self._replace_refusal(message)
        if reason:
            self._answers.rejected(message, reason)
            return
        order = self._resting.by_id[message.order_id]
        if _keeps_priority(order, message):
            self._keep_place(order, message)
        else:
            self._arrive_anew(order, message)

    def _keep_place(self, order: Order, message: Message) -> None:
        self._resting.set_quantity(order, message.quantity)
        self._resting.set_expiry(order, message.expiry or order.expiry)
        self._answers.about(order, EventKind.REPLACED, flags=FLAG_PRIORITY_KEPT)

    def _arrive_anew(self, order: Order, message: Message) -> None:
        self._resting.remove(order)
        order.price = message.price
        order.quantity = message.quantity
        order.expiry = message.expiry or order.expiry
        self._answers.about(order, EventKind.REPLACED)
        self._match(order, order.price)
        if order.quantity:
            self._resting.add(order)

    def _replace_refusal(self, message: Message) -> Reason:
        if not 1 <= message.quantity <= MAX_QUANTITY:
            return Reason.INVALID_QUANTITY
        if message.time_in_force != TimeInForce.GTC:
            return Reason.INVALID_TIME_IN_FORCE
        reason = self._expiry_refusal(message)
        if reason:
            return reason
        order = self._resting.by_id[message.order_id]
        marketable = self._is_marketable(order.instrument, order.side, message.price)
        if message.post_only and marketable and not _keeps_priority(order, message):
            return Reason.POST_ONLY_WOULD_TRADE
        return Reason.NONE

    def _cancel_all(self, message: Message) -> None:
        if not 0 <= message.account < self.accounts:
            self._answers.rejected(message, Reason.INVALID_ACCOUNT)
        elif not -1 <= message.instrument < self.instruments:
            self._answers.rejected(message, Reason.UNKNOWN_INSTRUMENT)
        else:
            for order in self._resting.oldest_first(message.account):
                if message.instrument in (-1, order.instrument):
                    self._cancel_resting(order, Reason.REQUESTED)

    def _match(self, taker: Order, limit: int | None) -> None:
        """Trade until the order is filled, ended by self-trade prevention, or meets nothing up to `limit`."""
        policy = self._self_trade[taker.instrument]
        while taker.quantity:
            maker = self._resting.first(taker.instrument, 1 - taker.side)
            if maker is None or not _reaches(taker.side, limit, maker.price):
                return
            if maker.account == taker.account and policy != SelfTrade.OFF:
                self._prevent_self_trade(taker, maker, policy)
            else:
                self._fill(taker, maker)

    def _prevent_self_trade(self, taker: Order, maker: Order, policy: SelfTrade) -> None:
        if policy in (SelfTrade.CANCEL_RESTING, SelfTrade.CANCEL_BOTH):
            self._cancel_resting(maker, Reason.SELF_TRADE)
        if policy in (SelfTrade.CANCEL_INCOMING, SelfTrade.CANCEL_BOTH):
            self._answers.about(taker, EventKind.CANCELLED, reason=Reason.SELF_TRADE)
            taker.quantity = 0

    def _fill(self, taker: Order, maker: Order) -> None:
        quantity = min(taker.quantity, maker.quantity)
        self._answers.fill(taker, maker, quantity)
        taker.quantity -= quantity
        self._resting.set_quantity(maker, maker.quantity - quantity)
        if maker.quantity == 0:
            self._resting.remove(maker)

    def _cancel_resting(self, order: Order, reason: Reason) -> None:
        self._resting.remove(order)
        self._answers.about(order, EventKind.CANCELLED, reason=reason)

    def _is_marketable(self, instrument: int, side: int, price: int) -> bool:
        best = self._resting.best(instrument, 1 - side)
        return best is not None and _reaches(side, price, best)

    def _require_instrument(self, instrument: int) -> None:
        require_known("instrument", instrument, self.instruments)


def _reaches(side: int, limit: int | None, price: int) -> bool:
    """Say whether an order of a side with a limit (None: a market order) trades at a resting price."""
    if limit is None:
        return True
    return price <= limit if side == Side.BUY else price >= limit


def _keeps_priority(order: Order, message: Message) -> bool:
    return message.price == order.price and message.quantity <= order.quantity
