"""Test any market against the contract in `simlab.kernel.interface`, one promise a test.

Subclass `MarketConformance` in a test module and say how a market is made; a runner that collects ``Test*``
classes does the rest. Nothing here needs pytest.

Example
-------
>>> from simlab.kernel.conformance import MarketConformance
>>> class TestMine(MarketConformance):
...     def make_market(self):
...         return MyMarket()  # of two instruments with prices near 100, and three seats
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.core.types import MESSAGE_DTYPE, EventKind, MessageKind, Reason, Side
from simlab.errors import SimlabError
from simlab.kernel.interface import Market

__all__ = ["MarketConformance", "messages"]


def messages(*rows: dict[str, int]) -> NDArray[Any]:
    """Return messages with the given fields, the others 0.

    Example
    -------
    >>> messages({"kind": MessageKind.LIMIT, "price": 100, "quantity": 5})["price"].tolist()
    [100]
    """
    found = np.zeros(len(rows), MESSAGE_DTYPE)
    for message, row in zip(found, rows, strict=True):
        for name, value in row.items():
            message[name] = value
    return found


def _raises(call: Callable[[], object]) -> bool:
    try:
        call()
    except SimlabError:
        return True
    return False


class MarketConformance(ABC):
    """Hold one test for each promise of the contract."""

    @abstractmethod
    def make_market(self) -> Market:
        """Return a new market before step 0.

        It has two instruments whose prices may be near 100, three seats that may trade freely (each with the
        same cash), at least 20 steps, and no other trading.
        """

    def limit(self, market: Market, account: int, side: Side, price: int, quantity: int = 5) -> NDArray[Any]:
        """Submit one limit order; return its events."""
        order = {"kind": MessageKind.LIMIT, "side": side, "price": price, "quantity": quantity}
        return market.submit(messages(order | {"account": account}))

    def test_it_is_a_market(self) -> None:
        assert isinstance(self.make_market(), Market)

    def test_it_advances_to_a_step_and_never_back(self) -> None:
        market = self.make_market()
        market.advance(5)
        assert market.step == 5
        market.advance(3)
        assert market.step == 5

    def test_it_may_advance_in_slices(self) -> None:
        market = self.make_market()
        while not market.advance(3, decisions=1):
            pass
        assert market.step == 3
        assert market.advance(4)
        assert _raises(lambda: market.advance(5, decisions=0))

    def test_messages_are_answered_at_once(self) -> None:
        market = self.make_market()
        market.advance(3)
        one, other = market.take_seat(), market.take_seat()
        events = self.limit(market, one, Side.SELL, 101)
        assert events["kind"].tolist() == [EventKind.ACCEPTED]
        assert market.snapshot().asks == ((101, 5, 1),)
        events = self.limit(market, other, Side.BUY, 102, 3)
        assert events["kind"].tolist() == [EventKind.ACCEPTED, EventKind.FILL]
        assert market.snapshot().asks == ((101, 2, 1),)
        assert market.step == 3
        assert set(events["step"].tolist()) == {3}

    def test_orders_get_ids_of_the_market(self) -> None:
        market = self.make_market()
        seat = market.take_seat()
        order = {"kind": MessageKind.LIMIT, "price": 90, "quantity": 1, "account": seat, "order_id": 7}
        events = market.submit(messages(order, order))
        assert len(set(events["order_id"].tolist())) == 2
        cancel = {"kind": MessageKind.CANCEL, "account": seat, "order_id": int(events["order_id"][0])}
        assert market.submit(messages(cancel))["kind"].tolist() == [EventKind.CANCELLED]

    def test_what_the_market_refuses_is_an_event(self) -> None:
        market = self.make_market()
        seat = market.take_seat()
        events = market.submit(messages({"kind": MessageKind.CANCEL, "account": seat, "order_id": 99}))
        assert events["reason"].tolist() == [Reason.UNKNOWN_ORDER]

    def test_only_seats_that_are_taken_may_speak(self) -> None:
        market = self.make_market()
        seat = market.take_seat()
        for account in (seat + 1, -1, 10**6):
            assert _raises(lambda account=account: self.limit(market, account, Side.BUY, 90))
        market.give_back(seat)
        assert _raises(lambda: self.limit(market, seat, Side.BUY, 90))
        assert market.snapshot().bids == ()

    def test_a_batch_with_a_stranger_is_not_delivered_at_all(self) -> None:
        market = self.make_market()
        seat = market.take_seat()
        order = {"kind": MessageKind.LIMIT, "price": 90, "quantity": 1, "account": seat}
        assert _raises(lambda: market.submit(messages(order, order | {"account": seat + 1})))
        assert market.snapshot().bids == ()

    def test_seats_run_out_and_come_back(self) -> None:
        market = self.make_market()
        seats = [market.take_seat() for _ in range(3)]
        assert len(set(seats)) == 3
        assert _raises(market.take_seat)
        market.give_back(seats[1])
        assert _raises(lambda: market.give_back(seats[1]))
        assert market.take_seat() == seats[1]

    def test_a_seat_that_was_never_taken_may_begin_with_other_cash(self) -> None:
        market = self.make_market()
        usual, rich = market.take_seat(), market.take_seat(cash=12_345)
        assert market.account(rich).cash == 12_345
        assert market.account(usual).cash != 12_345
        market.give_back(rich)
        assert market.account(market.take_seat(cash=0)).cash == 0
        assert _raises(lambda: market.take_seat(cash=5))
        assert market.take_seat() == rich
        assert market.account(rich).cash == 12_345

    def test_a_seat_that_is_given_back_leaves_no_orders_and_keeps_its_money(self) -> None:
        market = self.make_market()
        one, other = market.take_seat(), market.take_seat()
        cash = market.account(one).cash
        self.limit(market, one, Side.SELL, 101)
        self.limit(market, other, Side.BUY, 101, 2)
        market.give_back(one)
        assert market.snapshot().asks == ()
        account = market.account(one)
        assert (account.cash, account.positions[0].inventory, account.orders) == (cash + 202, -2, ())

    def test_an_account_shows_money_positions_and_orders(self) -> None:
        market = self.make_market()
        one, other = market.take_seat(), market.take_seat()
        cash = market.account(one).cash
        self.limit(market, one, Side.BUY, 99, 4)
        self.limit(market, other, Side.SELL, 99, 1)
        account = market.account(one)
        assert account.cash == cash - 99
        assert account.positions[0].inventory == 1
        assert [(it.side, it.price, it.quantity) for it in account.orders] == [(Side.BUY, 99, 3)]
        assert market.account(other).positions[0].inventory == -1

    def test_orders_expire(self) -> None:
        market = self.make_market()
        seat = market.take_seat()
        order = {"kind": MessageKind.LIMIT, "price": 90, "quantity": 1, "account": seat, "expiry": 2}
        market.submit(messages(order))
        market.advance(2)
        assert market.snapshot().bids == ((90, 1, 1),)
        market.advance(3)
        self.limit(market, seat, Side.BUY, 91)
        assert market.snapshot().bids == ((91, 5, 1),)

    def test_a_halt_refuses_orders_while_it_lasts(self) -> None:
        market = self.make_market()
        seat = market.take_seat()
        self.limit(market, seat, Side.BUY, 90)
        market.halt(2, instrument=0)
        assert market.snapshot().halted
        assert not market.snapshot(1).halted
        assert self.limit(market, seat, Side.BUY, 91)["reason"].tolist() == [Reason.MARKET_HALTED]
        market.advance(market.step + 2)
        assert self.limit(market, seat, Side.BUY, 91)["kind"].tolist() == [EventKind.ACCEPTED]

    def test_a_delisted_instrument_has_no_orders_and_refuses_them(self) -> None:
        market = self.make_market()
        seats = market.take_seat(), market.take_seat()
        for seat in seats:
            self.limit(market, seat, Side.BUY, 90)
        other = {"kind": MessageKind.LIMIT, "instrument": 1, "price": 90, "quantity": 1, "account": seats[0]}
        market.submit(messages(other))
        market.delist(0)
        assert market.snapshot().bids == ()
        assert not market.snapshot().listed
        assert market.snapshot(1).bids == ((90, 1, 1),)
        market.advance(3)
        assert self.limit(market, seats[0], Side.BUY, 90)["reason"].tolist() == [Reason.DELISTED]
        assert _raises(lambda: market.delist(0))

    def test_news_bears_the_step_before_which_it_came(self) -> None:
        market = self.make_market()
        market.advance(4)
        assert market.publish("Rain", instrument=1, sentiment=-0.5).step == 4
        assert _raises(lambda: market.publish("Rain", instrument=2))

    def test_the_same_at_the_same_boundaries_is_the_same_market(self) -> None:
        hashes = set()
        for _ in range(2):
            market = self.make_market()
            seat = market.take_seat()
            for step in range(4):
                self.limit(market, seat, Side.BUY if step % 2 else Side.SELL, 100 + step % 3)
                market.publish("News", impact=1.0)
                market.advance(market.step + 1)
            hashes.add(market.capture().hash())
        assert len(hashes) == 1
        self.limit(market, seat, Side.BUY, 1)
        assert market.capture().hash() not in hashes

    def test_a_capture_does_not_change_when_the_market_does(self) -> None:
        market = self.make_market()
        seat = market.take_seat()
        self.limit(market, seat, Side.BUY, 90)
        captured = market.capture()
        before = captured.hash()
        self.limit(market, seat, Side.BUY, 91)
        market.advance()
        assert captured.hash() == before

    def test_unknown_places_are_errors(self) -> None:
        market = self.make_market()
        for call in (
            lambda: market.snapshot(2),
            lambda: market.account(10**6),
            lambda: market.take_seat("nobody"),
            lambda: market.halt(0),
            lambda: market.delist(2),
            lambda: market.delist(-1),
            lambda: market.take_seat(cash=-1),
        ):
            assert _raises(call)
