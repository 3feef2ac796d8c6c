"""Test any order book against the contract in `simlab.engine.interface`, one rule a test.

Subclass `OrderBookConformance` in a test module and say how a book is made; a runner that collects
``Test*`` classes does the rest. Nothing here needs pytest.

Example
-------
>>> from simlab.engine.reference import ReferenceOrderBook
>>> class TestReference(OrderBookConformance):
...     def make_book(self, instruments=1, *, accounts=4, self_trade=SelfTrade.OFF):
...         return ReferenceOrderBook(instruments, accounts=accounts, self_trade=self_trade)
>>> TestReference().test_orders_of_one_price_trade_first_come_first()
"""

from __future__ import annotations

import numpy as np

from simlab.core.types import (
    EVENT_DTYPE,
    FLAG_MARKET,
    FLAG_POST_ONLY,
    FLAG_PRIORITY_KEPT,
    MAX_QUANTITY,
    MESSAGE_DTYPE,
    EventKind,
    MessageKind,
    Reason,
    SelfTrade,
    Side,
    TimeInForce,
)
from simlab.engine.conformance.probing import (
    HIGHEST_PRICE,
    LOWEST_PRICE,
    answer,
    cancel,
    cancel_all,
    fills,
    limit,
    market,
    raises_engine_error,
    refusal,
    replace,
    rows,
)
from simlab.engine.conformance.properties import OrderBookProperties
from simlab.engine.interface import ORDER_DTYPE, OrderBook

__all__ = ["OrderBookConformance"]

BUY, SELL = Side.BUY, Side.SELL
GTC, IOC, FOK = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK
ACCEPTED, FILL, CANCELLED, REPLACED = (
    EventKind.ACCEPTED,
    EventKind.FILL,
    EventKind.CANCELLED,
    EventKind.REPLACED,
)


class OrderBookConformance(OrderBookProperties):
    """Hold one test for each rule of the contract; a subclass makes the book under test in `make_book`."""

    def test_an_empty_book_has_nothing(self) -> None:
        book = self.make_book(2)
        assert isinstance(book, OrderBook)
        assert (book.instruments, book.accounts) == (2, 4)
        assert (book.best_bid(1), book.best_ask(1), book.queue_position(1)) == (None, None, None)
        assert book.snapshot(BUY) == []
        assert book.orders().dtype == ORDER_DTYPE
        assert (len(book.orders()), book.orders_of(0), book.resting_orders()) == (0, [], 0)
        assert len(book.process(np.zeros(0, MESSAGE_DTYPE))) == 0
        book.check()

    def test_a_limit_order_is_accepted_and_rests(self) -> None:
        book = self.make_book()
        events = limit(book, BUY, 100, 5, order_id=7, account=2, expiry=9)
        assert events.dtype == EVENT_DTYPE
        expected = (ACCEPTED, BUY, Reason.NONE, GTC, 0, 0, 0, 7, 2, 0, 100, 5, 0)
        assert events.tolist() == [expected]
        assert book.orders().tolist() == [(0, BUY, 100, 5, 7, 2, 9, 0)]
        assert (book.best_bid(), book.best_ask()) == (100, None)

    def test_orders_of_one_price_trade_first_come_first(self) -> None:
        book = self.make_book()
        for order_id in (3, 1, 2):
            limit(book, SELL, 100, 5, order_id)
        assert fills(limit(book, BUY, 100, 12, order_id=4)) == [(3, 100, 5), (1, 100, 5), (2, 100, 2)]
        assert rows(book.orders(), "order_id", "quantity") == [(2, 3)]

    def test_a_partly_filled_order_keeps_its_place(self) -> None:
        book = self.make_book()
        limit(book, SELL, 100, 5, order_id=1)
        limit(book, SELL, 100, 5, order_id=2)
        market(book, BUY, 3, order_id=3)
        assert fills(market(book, BUY, 3, order_id=4)) == [(1, 100, 2), (2, 100, 1)]

    def test_the_best_price_trades_first(self) -> None:
        book = self.make_book()
        for order_id, price in enumerate((102, 100, 101), start=1):
            limit(book, SELL, price, 1, order_id)
        assert fills(market(book, BUY, 3, order_id=9)) == [(2, 100, 1), (3, 101, 1), (1, 102, 1)]
        for order_id, price in enumerate((98, 100, 99), start=11):
            limit(book, BUY, price, 1, order_id)
        assert fills(market(book, SELL, 3, order_id=19)) == [(12, 100, 1), (13, 99, 1), (11, 98, 1)]

    def test_trades_happen_at_the_resting_price_and_the_remainder_rests(self) -> None:
        book = self.make_book()
        limit(book, SELL, 100, 2, order_id=1)
        limit(book, SELL, 103, 2, order_id=2)
        assert fills(limit(book, BUY, 102, 5, order_id=3)) == [(1, 100, 2)]
        assert rows(book.orders(BUY), "order_id", "price", "quantity") == [(3, 102, 3)]
        assert (book.best_bid(), book.best_ask()) == (102, 103)

    def test_a_fill_names_taker_and_maker(self) -> None:
        book = self.make_book(2)
        limit(book, BUY, 100, 5, order_id=1, account=3, instrument=1)
        events = limit(book, SELL, 99, 2, order_id=2, account=1, instrument=1)
        assert events[1].tolist() == (FILL, SELL, Reason.NONE, 0, 1, 2, 0, 2, 1, 3, 100, 2, 1)

    def test_instruments_do_not_meet(self) -> None:
        book = self.make_book(2)
        limit(book, SELL, 100, 1, order_id=1, instrument=0)
        assert fills(limit(book, BUY, 100, 1, order_id=2, instrument=1)) == []
        assert (book.best_bid(0), book.best_ask(0), book.best_bid(1)) == (None, 100, 100)
        assert [book.resting_orders(0), book.resting_orders(1), book.resting_orders()] == [1, 1, 2]

    def test_an_ioc_remainder_is_cancelled(self) -> None:
        book = self.make_book()
        limit(book, SELL, 100, 2, order_id=1)
        events = limit(book, BUY, 101, 5, order_id=2, time_in_force=IOC)
        assert answer(events)[2:] == [(CANCELLED, Reason.IOC_REMAINDER)]
        assert rows(events[2:], "order_id", "side", "price", "quantity") == [(2, BUY, 101, 3)]
        assert book.resting_orders() == 0

    def test_a_market_remainder_is_cancelled(self) -> None:
        book = self.make_book()
        limit(book, BUY, 100, 2, order_id=1)
        for order_id, time_in_force in ((2, GTC), (3, IOC)):
            events = book.apply(MessageKind.MARKET, SELL, 77, 5, order_id, time_in_force=time_in_force)
            assert events[0]["price"] == 0, "a market order is accepted at price 0, whatever its message says"
            assert answer(events)[-1] == (CANCELLED, Reason.MARKET_REMAINDER)
            assert events[0]["flags"] == FLAG_MARKET | time_in_force
        assert rows(events, "quantity") == [5, 5]
        assert book.resting_orders() == 0

    def test_fok_trades_in_full_or_is_refused(self) -> None:
        book = self.make_book()
        limit(book, SELL, 100, 2, order_id=1)
        limit(book, SELL, 101, 2, order_id=2)
        limit(book, SELL, 102, 2, order_id=3)
        refused = limit(book, BUY, 101, 5, order_id=4, time_in_force=FOK)
        assert refusal(refused) == Reason.FOK_NOT_FILLABLE
        assert refusal(market(book, BUY, 7, order_id=4, time_in_force=FOK)) == Reason.FOK_NOT_FILLABLE
        assert fills(limit(book, BUY, 101, 4, order_id=4, time_in_force=FOK)) == [(1, 100, 2), (2, 101, 2)]
        events = market(book, BUY, 2, order_id=5, time_in_force=FOK)
        assert answer(events) == [(ACCEPTED, Reason.NONE), (FILL, Reason.NONE)]
        assert events[0]["flags"] == FOK | FLAG_MARKET

    def test_post_only_never_takes(self) -> None:
        book = self.make_book(self_trade=SelfTrade.CANCEL_RESTING)
        limit(book, SELL, 100, 2, order_id=1)
        for account in (0, 1):
            refused = limit(book, BUY, 100, 1, 2, account, post_only=1)
            assert refusal(refused) == Reason.POST_ONLY_WOULD_TRADE
        events = limit(book, BUY, 99, 1, 2, post_only=1)
        assert rows(events, "kind", "flags") == [(ACCEPTED, FLAG_POST_ONLY)]

    def test_a_new_order_is_refused_for_the_first_reason_that_applies(self) -> None:
        book = self.make_book(2)
        book.advance(5)
        limit(book, SELL, 100, 3, order_id=1)
        steps = [
            ("instrument", -1, 0, Reason.UNKNOWN_INSTRUMENT),
            ("account", 4, 0, Reason.INVALID_ACCOUNT),
            ("side", 2, BUY, Reason.INVALID_SIDE),
            ("quantity", 0, 4, Reason.INVALID_QUANTITY),
            ("time_in_force", 3, FOK, Reason.INVALID_TIME_IN_FORCE),
            ("order_id", 0, 2, Reason.INVALID_ORDER_ID),
            ("expiry", 4, 5, Reason.INVALID_EXPIRY),
        ]
        message = {name: wrong for name, wrong, _, _ in steps} | {"price": 100}
        for name, _, right, reason in steps:
            for kind in (MessageKind.LIMIT, MessageKind.MARKET):
                assert refusal(book.apply(kind, **message)) == reason, name
            message[name] = right
        assert refusal(book.apply(MessageKind.LIMIT, **message)) == Reason.FOK_NOT_FILLABLE
        assert (
            refusal(book.apply(MessageKind.LIMIT, **message | {"order_id": 1})) == Reason.DUPLICATE_ORDER_ID
        )

    def test_values_at_the_edges_are_refused_or_not(self) -> None:
        book = self.make_book(2)
        assert refusal(book.apply(5)) == Reason.INVALID_KIND
        assert refusal(limit(book, BUY, 1, 1, 1, instrument=2)) == Reason.UNKNOWN_INSTRUMENT
        assert refusal(limit(book, BUY, 1, 1, 1, account=-1)) == Reason.INVALID_ACCOUNT
        assert refusal(limit(book, BUY, 1, MAX_QUANTITY + 1, 1)) == Reason.INVALID_QUANTITY
        assert refusal(limit(book, BUY, 1, -1, 1)) == Reason.INVALID_QUANTITY
        assert refusal(limit(book, BUY, 1, 1, -1)) == Reason.INVALID_ORDER_ID
        assert refusal(limit(book, BUY, 1, 1, 1, expiry=-1)) == Reason.INVALID_EXPIRY
        assert answer(limit(book, BUY, 1, MAX_QUANTITY, 2**63 - 1, 3, instrument=1, expiry=2**63 - 1)) == [
            (ACCEPTED, Reason.NONE)
        ]
        assert refusal(limit(book, BUY, 1, 1, 2**63 - 1)) == Reason.DUPLICATE_ORDER_ID

    def test_post_only_goes_with_gtc_limit_orders_alone(self) -> None:
        book = self.make_book()
        for time_in_force in (IOC, FOK):
            refused = limit(book, BUY, 1, 1, 1, time_in_force=time_in_force, post_only=1)
            assert refusal(refused) == Reason.INVALID_TIME_IN_FORCE
        assert refusal(market(book, BUY, 1, 1, post_only=1)) == Reason.INVALID_TIME_IN_FORCE

    def test_a_rejected_event_repeats_the_message(self) -> None:
        book = self.make_book()
        events = book.apply(MessageKind.CANCEL, SELL, 11, 12, 13, 3, instrument=77)
        expected = (EventKind.REJECTED, SELL, Reason.UNKNOWN_ORDER, 0, 77, 0, 0, 13, 3, 0, 11, 12, 0)
        assert events.tolist() == [expected]
        events = limit(book, 2, 100, 1, order_id=1)
        assert rows(events, "side", "reason") == [(0, Reason.INVALID_SIDE)]
        events = limit(book, BUY, 100, 1, order_id=1, account=2**31)
        assert rows(events, "account", "reason") == [(-1, Reason.INVALID_ACCOUNT)]
        events = book.apply(MessageKind.MARKET, SELL, 55, 1, order_id=0)
        assert rows(events, "price") == [55]

    def test_an_id_is_free_again_when_its_order_is_gone(self) -> None:
        book = self.make_book()
        limit(book, BUY, 100, 1, order_id=1)
        cancel(book, 1)
        assert answer(limit(book, BUY, 100, 1, order_id=1)) == [(ACCEPTED, Reason.NONE)]
        market(book, SELL, 1, order_id=2)
        assert answer(limit(book, BUY, 100, 1, order_id=1)) == [(ACCEPTED, Reason.NONE)]

    def test_cancel_takes_the_remainder_out(self) -> None:
        book = self.make_book(2)
        limit(book, SELL, 100, 5, order_id=1, account=2, instrument=1)
        market(book, BUY, 2, order_id=2, instrument=1)
        assert refusal(cancel(book, 1, account=0)) == Reason.NOT_OWNER
        events = cancel(book, 1, account=2)
        assert events.tolist() == [(CANCELLED, SELL, Reason.REQUESTED, 0, 1, 4, 0, 1, 2, 0, 100, 3, 0)]
        assert refusal(cancel(book, 1, account=2)) == Reason.UNKNOWN_ORDER
        assert book.best_ask(1) is None

    def test_cancel_all_goes_oldest_first(self) -> None:
        book = self.make_book(2)
        for order_id, price, instrument in ((5, 90, 0), (3, 91, 1), (4, 89, 0)):
            limit(book, BUY, price, 1, order_id, account=1, instrument=instrument)
        limit(book, BUY, 90, 1, order_id=1, account=2)
        replace(book, 5, 88, 2, account=1)
        assert book.orders_of(1) == [5, 3, 4], "a replaced order keeps its age"
        events = cancel_all(book, account=1, instrument=0)
        assert rows(events, "kind", "reason", "order_id") == [
            (CANCELLED, Reason.REQUESTED, 5),
            (CANCELLED, Reason.REQUESTED, 4),
        ]
        assert rows(cancel_all(book, account=1), "order_id", "instrument", "price") == [(3, 1, 91)]
        assert len(cancel_all(book, account=1)) == 0
        assert rows(book.orders(), "order_id") == [1]

    def test_cancel_all_is_refused_for_unknown_accounts_and_instruments(self) -> None:
        book = self.make_book()
        assert refusal(cancel_all(book, account=4, instrument=9)) == Reason.INVALID_ACCOUNT
        assert refusal(cancel_all(book, instrument=-2)) == Reason.UNKNOWN_INSTRUMENT
        assert refusal(cancel_all(book, instrument=1)) == Reason.UNKNOWN_INSTRUMENT

    def test_self_trade_off_lets_an_account_trade_with_itself(self) -> None:
        book = self.make_book()
        limit(book, SELL, 100, 2, order_id=1)
        assert fills(limit(book, BUY, 100, 1, order_id=2)) == [(1, 100, 1)]

    def _own_order_between(self, policy: SelfTrade) -> OrderBook:
        """Offer 1 of account 1, 2 of account 0, 3 of account 1, two lots each at ascending prices."""
        book = self.make_book(self_trade=policy)
        for order_id, account in ((1, 1), (2, 0), (3, 1)):
            limit(book, SELL, 99 + order_id, 2, order_id, account)
        return book

    def test_self_trade_cancel_resting_goes_on_matching(self) -> None:
        book = self._own_order_between(SelfTrade.CANCEL_RESTING)
        events = limit(book, BUY, 105, 5, order_id=9)
        assert rows(events[1:], "kind", "reason", "order_id", "other_order_id", "quantity") == [
            (FILL, 0, 9, 1, 2),
            (CANCELLED, Reason.SELF_TRADE, 2, 0, 2),
            (FILL, 0, 9, 3, 2),
        ]
        assert rows(book.orders(), "order_id", "quantity") == [(9, 1)]

    def test_self_trade_cancel_incoming_ends_the_incoming_order(self) -> None:
        book = self._own_order_between(SelfTrade.CANCEL_INCOMING)
        events = limit(book, BUY, 105, 5, order_id=9)
        assert answer(events)[2:] == [(CANCELLED, Reason.SELF_TRADE)]
        assert rows(events[2:], "order_id", "side", "price", "quantity") == [(9, BUY, 105, 3)]
        assert rows(book.orders(), "order_id") == [2, 3]

    def test_self_trade_cancel_both_ends_both_resting_first(self) -> None:
        book = self._own_order_between(SelfTrade.CANCEL_BOTH)
        events = market(book, BUY, 5, order_id=9)
        assert answer(events)[2:] == [(CANCELLED, Reason.SELF_TRADE)] * 2
        assert rows(events[2:], "order_id", "side", "price", "quantity") == [
            (2, SELL, 101, 2),
            (9, BUY, 0, 3),
        ]
        assert rows(book.orders(), "order_id") == [3]

    def test_self_trade_matters_only_to_an_order_with_something_left(self) -> None:
        for policy in (SelfTrade.CANCEL_RESTING, SelfTrade.CANCEL_INCOMING, SelfTrade.CANCEL_BOTH):
            book = self._own_order_between(policy)
            assert answer(limit(book, BUY, 105, 2, order_id=9))[1:] == [(FILL, Reason.NONE)]
            assert book.resting_orders() == 2

    def test_fok_counts_what_self_trade_prevention_leaves(self) -> None:
        fillable = {
            SelfTrade.OFF: 6,
            SelfTrade.CANCEL_RESTING: 4,
            SelfTrade.CANCEL_INCOMING: 2,
            SelfTrade.CANCEL_BOTH: 2,
        }
        for policy, quantity in fillable.items():
            book = self._own_order_between(policy)
            refused = limit(book, BUY, 105, quantity + 1, order_id=9, time_in_force=FOK)
            assert refusal(refused) == Reason.FOK_NOT_FILLABLE, policy
            assert refusal(market(book, BUY, quantity + 1, 9, time_in_force=FOK)) == Reason.FOK_NOT_FILLABLE
            events = limit(book, BUY, 105, quantity, order_id=9, time_in_force=FOK)
            assert sum(filled for _, _, filled in fills(events)) == quantity, policy

    def test_self_trade_prevention_is_set_per_instrument(self) -> None:
        book = self.make_book(2)
        book.set_self_trade(1, SelfTrade.CANCEL_INCOMING)
        for instrument in (0, 1):
            limit(book, SELL, 100, 1, order_id=1 + instrument, instrument=instrument)
        assert answer(limit(book, BUY, 100, 1, order_id=8))[1:] == [(FILL, Reason.NONE)]
        assert answer(limit(book, BUY, 100, 1, 9, instrument=1))[1:] == [(CANCELLED, Reason.SELF_TRADE)]
        assert raises_engine_error(lambda: book.set_self_trade(2, SelfTrade.OFF))
        assert raises_engine_error(lambda: book.set_self_trade(0, 4))

    def test_replace_keeps_priority_when_nothing_is_gained(self) -> None:
        book = self.make_book()
        limit(book, BUY, 100, 5, order_id=1)
        limit(book, BUY, 100, 5, order_id=2)
        for quantity in (5, 3):
            events = replace(book, 1, 100, quantity)
            assert rows(events, "kind", "flags", "side", "price", "quantity") == [
                (REPLACED, FLAG_PRIORITY_KEPT, BUY, 100, quantity)
            ]
        assert rows(book.orders(), "order_id", "quantity") == [(1, 3), (2, 5)]
        assert book.snapshot(BUY) == [(100, 8, 2)]

    def test_replace_loses_priority_for_a_new_price_or_more_quantity(self) -> None:
        book = self.make_book()
        for order_id in (1, 2, 3):
            limit(book, BUY, 100, 5, order_id)
        assert rows(replace(book, 1, 100, 6), "kind", "flags") == [(REPLACED, 0)]
        assert rows(book.orders(), "order_id") == [2, 3, 1]
        replace(book, 2, 101, 1)
        replace(book, 2, 100, 1)
        assert rows(book.orders(), "order_id", "quantity") == [(3, 5), (1, 6), (2, 1)]
        assert book.orders_of(0) == [1, 2, 3]

    def test_replace_trades_when_the_new_price_is_marketable(self) -> None:
        book = self.make_book(self_trade=SelfTrade.CANCEL_INCOMING)
        limit(book, SELL, 101, 2, order_id=1, account=1)
        limit(book, BUY, 99, 1, order_id=2)
        events = replace(book, 2, 102, 5)
        assert answer(events) == [(REPLACED, Reason.NONE), (FILL, Reason.NONE)]
        assert fills(events) == [(1, 101, 2)]
        assert rows(book.orders(), "order_id", "price", "quantity") == [(2, 102, 3)]
        limit(book, SELL, 103, 1, order_id=3)
        assert answer(replace(book, 2, 103, 3))[1:] == [(CANCELLED, Reason.SELF_TRADE)]
        assert rows(book.orders(), "order_id") == [3]

    def test_replace_is_refused_in_the_order_of_its_checks(self) -> None:
        book = self.make_book()
        book.advance(5)
        limit(book, SELL, 101, 2, order_id=1, account=1)
        limit(book, BUY, 100, 2, order_id=2)
        bad = {"quantity": 0, "time_in_force": IOC, "expiry": 4, "post_only": 1}
        assert refusal(replace(book, 9, 101, account=1, **bad)) == Reason.UNKNOWN_ORDER
        assert refusal(replace(book, 2, 101, account=1, **bad)) == Reason.NOT_OWNER
        for name, right, reason in (
            ("quantity", 2, Reason.INVALID_QUANTITY),
            ("time_in_force", GTC, Reason.INVALID_TIME_IN_FORCE),
            ("expiry", 5, Reason.INVALID_EXPIRY),
            ("post_only", 0, Reason.POST_ONLY_WOULD_TRADE),
        ):
            assert refusal(replace(book, 2, 101, **bad)) == reason
            bad[name] = right
        assert answer(replace(book, 2, 100, 1, post_only=1)) == [(REPLACED, Reason.NONE)]

    def test_replace_sets_the_expiry_unless_it_is_zero(self) -> None:
        book = self.make_book()
        for order_id, expiry in ((1, 3), (2, 3), (3, 0)):
            limit(book, BUY, 100, 5, order_id, expiry=expiry)
        replace(book, 1, 100, 5, expiry=6)
        replace(book, 2, 99, 5)
        replace(book, 3, 98, 5, expiry=4)
        assert rows(book.orders(), "order_id", "expiry") == [(1, 6), (2, 3), (3, 4)]
        assert rows(book.advance(10), "order_id") == [2, 3, 1]

    def test_orders_expire_by_expiry_then_id(self) -> None:
        book = self.make_book(2)
        for order_id, expiry, instrument in ((4, 7, 0), (3, 6, 1), (2, 7, 1), (1, 8, 0), (5, 0, 0)):
            limit(book, BUY, 100, 5, order_id, account=1, expiry=expiry, instrument=instrument)
        assert len(book.advance(6)) == 0, "an order lives through the step of its expiry"
        assert rows(book.advance(8), "kind", "order_id", "step", "side", "price", "quantity", "reason") == [
            (EventKind.EXPIRED, order_id, 8, BUY, 100, 5, 0) for order_id in (3, 2, 4)
        ]
        assert rows(book.orders(), "order_id") == [1, 5]

    def test_steps_never_go_back(self) -> None:
        book = self.make_book()
        book.advance(3)
        assert len(book.advance(3)) == 0
        assert raises_engine_error(lambda: book.advance(2))
        assert limit(book, BUY, 1, 1, 1)["step"].tolist() == [3]

    def test_the_extreme_prices_are_prices(self) -> None:
        book = self.make_book()
        limit(book, BUY, LOWEST_PRICE, 1, order_id=1)
        limit(book, SELL, HIGHEST_PRICE, 2, order_id=2)
        assert (book.best_bid(), book.best_ask()) == (LOWEST_PRICE, HIGHEST_PRICE)
        assert fills(limit(book, BUY, HIGHEST_PRICE, 1, order_id=3)) == [(2, HIGHEST_PRICE, 1)]
        assert fills(limit(book, SELL, LOWEST_PRICE, 1, order_id=4)) == [(1, LOWEST_PRICE, 1)]
        limit(book, BUY, 0, 1, order_id=5)
        assert book.snapshot(SELL) == [(HIGHEST_PRICE, 1, 1)]
        assert fills(market(book, BUY, 1, order_id=6)) == [(2, HIGHEST_PRICE, 1)]
        limit(book, SELL, HIGHEST_PRICE, 1, order_id=7)
        assert (book.best_bid(), book.best_ask()) == (0, HIGHEST_PRICE)
        book.check()

    def test_queue_position_counts_the_lots_ahead(self) -> None:
        book = self.make_book()
        for order_id, quantity in ((1, 5), (2, 7), (3, 1)):
            limit(book, BUY, 100, quantity, order_id)
        limit(book, BUY, 101, 9, order_id=4)
        assert [book.queue_position(i) for i in (1, 2, 3, 4, 5)] == [0, 5, 12, 0, None]
        cancel(book, 4)
        market(book, SELL, 2, order_id=6)
        assert [book.queue_position(i) for i in (1, 2, 3)] == [0, 3, 10]

    def test_snapshots_and_orders_go_best_first(self) -> None:
        book = self.make_book()
        for order_id, (side, price) in enumerate(
            [(BUY, 98), (SELL, 103), (BUY, 99), (BUY, 98), (SELL, 101)], start=1
        ):
            limit(book, side, price, order_id, order_id)
        assert book.snapshot(BUY) == [(99, 3, 1), (98, 5, 2)]
        assert book.snapshot(SELL, depth=1) == [(101, 5, 1)]
        assert book.snapshot(SELL, depth=0) == []
        assert rows(book.orders(), "order_id") == [3, 1, 4, 5, 2]
        assert rows(book.orders(SELL), "order_id") == [5, 2]
