"""Test what must hold of any order book after any stream of messages."""

from __future__ import annotations

import copy
import pickle
from abc import ABC, abstractmethod
from functools import partial
from typing import Any

import numpy as np

from simlab.core.types import EVENT_DTYPE, MESSAGE_DTYPE, EventKind, MessageKind, Reason, SelfTrade, Side
from simlab.engine.conformance.probing import (
    cancel,
    fills,
    limit,
    market,
    raises_engine_error,
    random_messages,
    replace,
    rows,
)
from simlab.engine.interface import OrderBook

__all__ = ["OrderBookProperties"]

BUY, SELL = Side.BUY, Side.SELL


class OrderBookProperties(ABC):
    """Hold the part of the conformance suite that looks at whole streams; see `OrderBookConformance`."""

    @abstractmethod
    def make_book(
        self, instruments: int = 1, *, accounts: int = 4, self_trade: SelfTrade = SelfTrade.OFF
    ) -> OrderBook:
        """Return a new, empty book."""

    def test_events_are_numbered_without_a_gap(self) -> None:
        book = self.make_book(2, accounts=3)
        numbers = rows(book.process(random_messages(500, seed=3)), "sequence")
        numbers += rows(book.advance(2), "sequence")
        for order_id in range(1001, 1011):
            numbers += rows(limit(book, BUY, 100, 1, order_id), "sequence")
        assert numbers == list(range(len(numbers)))

    def test_no_event_is_lost_when_one_message_makes_many(self) -> None:
        book = self.make_book()
        for count in (50, 250, 1000):
            for order_id in range(1, count + 1):
                limit(book, BUY, order_id, 1, order_id)
            messages = np.zeros(30, MESSAGE_DTYPE)
            messages["kind"][0] = MessageKind.CANCEL_ALL
            messages["quantity"][1:] = -(2**63)
            events = book.process(messages)
            assert rows(events[:count], "order_id") == list(range(1, count + 1))
            assert rows(events[count:], "reason") == [Reason.INVALID_QUANTITY] * 29

    def test_process_equals_apply_one_by_one(self) -> None:
        messages = random_messages(800, seed=4)
        batch, single = (self.make_book(2, accounts=3, self_trade=SelfTrade.CANCEL_BOTH) for _ in range(2))
        names = ["kind", "side", "price", "quantity", "order_id", "account", "instrument"]
        names += ["time_in_force", "post_only", "expiry"]
        events = [single.apply(*row).copy() for row in rows(messages, *names)]
        assert np.array_equal(batch.process(messages), np.concatenate(events))
        assert batch.state_hash() == single.state_hash()

    def test_process_refuses_what_is_not_a_row_of_messages(self) -> None:
        book = self.make_book()
        arguments: list[Any] = [np.zeros((2, 8), np.int64), np.zeros((2, 2), MESSAGE_DTYPE), [1, 2]]
        for wrong in arguments:
            assert raises_engine_error(partial(book.process, wrong))

    def test_apply_refuses_what_does_not_fit_its_field(self) -> None:
        book = self.make_book()
        limit(book, BUY, 100, 5, 1)
        before = book.state_hash()
        good = {"side": BUY, "price": 100, "quantity": 5, "order_id": 2}
        for name, value in (
            ("price", 2**63),
            ("price", -(2**63) - 1),
            ("price", 100.0),
            ("quantity", 2.5),
            ("quantity", None),
            ("side", 256),
            ("side", -1),
            ("post_only", 300),
            ("instrument", 2**31),
            ("order_id", np.uint64(2**63)),
            ("expiry", float("nan")),
        ):
            assert raises_engine_error(partial(book.apply, MessageKind.LIMIT, **good | {name: value})), name
        assert book.state_hash() == before
        assert book.apply(MessageKind.LIMIT, **good | {"price": np.int32(100)})["kind"].tolist() == [0]

    def test_questions_take_whole_numbers_only(self) -> None:
        book = self.make_book()
        limit(book, BUY, 100, 5, 1)
        for wrong in (1.5, float("nan"), None, "1"):
            for ask in (book.advance, book.queue_position, book.best_bid, book.orders_of):
                assert raises_engine_error(partial(ask, wrong)), (ask, wrong)
        for wrong in (1.5, "1"):
            assert raises_engine_error(partial(book.snapshot, BUY, depth=wrong))
        assert raises_engine_error(partial(book.snapshot, 1.0))
        assert raises_engine_error(partial(book.advance, 2**70))
        assert book.queue_position(2**70) is None
        assert book.queue_position(np.int32(1)) == 0
        assert len(book.advance(np.int64(3))) == 0
        assert self.make_book(np.int64(2)).best_ask(np.int8(1)) is None

    def test_results_that_are_kept_do_not_change(self) -> None:
        book = self.make_book(2, accounts=3)
        kept, copies = [], []
        for part in np.split(random_messages(8000, seed=8), [200, 500, 3500, 6000]):
            kept += [book.process(part), book.orders()]
            copies += [kept[-2].copy(), kept[-1].copy()]
        kept.append(book.advance(7))
        copies.append(kept[-1].copy())
        book.process(random_messages(3000, seed=9))
        book.process(random_messages(3000, seed=10), out=np.zeros(9000, EVENT_DTYPE))
        assert all(np.array_equal(one, other) for one, other in zip(kept, copies, strict=True))

    def test_events_go_to_memory_of_the_callers_if_they_fit(self) -> None:
        parts = np.array_split(random_messages(2400, seed=10), 12)
        one, two = self.make_book(2, accounts=3), self.make_book(2, accounts=3)
        for part, size in zip(parts, [4000, 0, 1, 40, 150, 200, 250, 300, 800, 4000, 3, 4000], strict=True):
            out = np.zeros(size, EVENT_DTYPE)
            events = one.process(part, out=out)
            assert np.array_equal(events, two.process(part))
            if size == 4000:
                assert np.shares_memory(events, out)
                assert np.array_equal(out[: len(events)], events)
                assert not out[len(events) :].view(np.int64).any()
            elif size < len(events):
                assert not np.shares_memory(events, out)
        assert one.state_hash() == two.state_hash()

    def test_memory_of_the_callers_is_written_to_only_while_it_is_given(self) -> None:
        book = self.make_book(2, accounts=3)
        outs = [np.zeros(4000, EVENT_DTYPE) for _ in range(3)]
        parts = np.array_split(random_messages(1200, seed=11), 6)
        for out, part in zip(outs, parts, strict=False):
            book.process(part, out=out)
        copies = [out.copy() for out in outs]
        for part in parts[3:]:
            book.process(part)
            limit(book, BUY, 100, 1, 1000 + len(part))
        book.advance(9)
        assert all(np.array_equal(out, copy) for out, copy in zip(outs, copies, strict=True))
        again = book.process(parts[0], out=outs[1])
        assert np.array_equal(again, outs[1][: len(again)])
        assert np.array_equal(outs[0], copies[0])
        assert np.array_equal(outs[2], copies[2])

    def test_memory_that_events_cannot_be_written_to_is_refused_before_anything_happens(self) -> None:
        book = self.make_book()
        messages = random_messages(20, seed=12)
        fixed = np.zeros(100, EVENT_DTYPE)
        fixed.flags.writeable = False
        wrong: list[Any] = [
            np.zeros(100, MESSAGE_DTYPE),
            np.zeros((100, 8), np.int64),
            np.zeros((10, 10), EVENT_DTYPE),
            np.zeros(200, EVENT_DTYPE)[::2],
            fixed,
            messages.view(EVENT_DTYPE),
            [],
        ]
        before = book.state_hash()
        for out in wrong:
            assert raises_engine_error(partial(book.process, messages, out=out))
        assert book.state_hash() == before

    def test_a_copy_goes_on_by_itself(self) -> None:
        book = self.make_book(2, accounts=3, self_trade=SelfTrade.CANCEL_RESTING)
        book.process(random_messages(500, seed=13))
        copies = [copy.deepcopy(book), pickle.loads(pickle.dumps(book))]
        before, messages = book.state_hash(), random_messages(3000, seed=14)
        answers = [other.process(messages) for other in copies]
        assert book.state_hash() == before
        assert all(limit(other, BUY, 90, 1, 1000).tolist() for other in copies)
        assert np.array_equal(book.process(messages), answers[0])
        assert np.array_equal(answers[1], answers[0])
        limit(book, BUY, 90, 1, 1000)
        for other in copies:
            other.check()
            assert other.state_hash() == book.state_hash()

    def test_the_state_hash_follows_the_content(self) -> None:
        one, two = self.make_book(), self.make_book()
        seen = {one.state_hash()}
        for change in (
            lambda book: limit(book, BUY, 100, 5, 1),
            lambda book: limit(book, BUY, 100, 5, 2),
            lambda book: replace(book, 1, 100, 6),
            lambda book: replace(book, 1, 100, 6, expiry=9),
            lambda book: book.advance(1),
            lambda book: cancel(book, 3),
        ):
            change(one)
            assert one.state_hash() not in seen
            seen.add(one.state_hash())
            change(two)
            assert one.state_hash() == two.state_hash()

    def test_quantity_is_conserved_and_books_never_cross(self) -> None:
        for policy in SelfTrade:
            book = self.make_book(2, accounts=3, self_trade=policy)
            messages = random_messages(600, seed=5, invalid=False)
            messages = messages[messages["kind"] != MessageKind.REPLACE]
            messages["expiry"][::7] = 3
            events = np.concatenate([book.process(messages).copy(), book.advance(4)])
            assert (events["kind"] == EventKind.FILL).sum() > 50, "the stream trades"
            totals = {kind: int(events["quantity"][events["kind"] == kind].sum()) for kind in EventKind}
            resting = sum(int(book.orders(instrument=i)["quantity"].sum()) for i in (0, 1))
            gone = 2 * totals[EventKind.FILL] + totals[EventKind.CANCELLED] + totals[EventKind.EXPIRED]
            assert totals[EventKind.ACCEPTED] == gone + resting
            for instrument in (0, 1):
                bid, ask = book.best_bid(instrument), book.best_ask(instrument)
                assert bid is None or ask is None or bid < ask

    def test_the_book_checks_out_after_every_message(self) -> None:
        book = self.make_book(2, accounts=3, self_trade=SelfTrade.CANCEL_RESTING)
        messages = random_messages(300, seed=6)
        for i in range(len(messages)):
            book.process(messages[i : i + 1])
            book.check()

    def test_thousands_of_levels_far_apart(self) -> None:
        book = self.make_book()
        prices = (np.random.default_rng(7).permutation(6000) - 3000) * 10**12
        messages = np.zeros(len(prices), MESSAGE_DTYPE)
        messages["side"] = prices > 0
        messages["price"] = prices
        messages["quantity"] = 1
        messages["order_id"] = np.arange(1, len(prices) + 1)
        book.process(messages)
        book.check()
        asks = np.sort(prices[prices > 0])
        assert [level.price for level in book.snapshot(SELL)] == asks.tolist()
        assert [level.price for level in book.snapshot(BUY, depth=2)] == [0, -(10**12)]
        swept = fills(market(book, BUY, 2500, order_id=9001))
        assert [price for _, price, _ in swept] == asks[:2500].tolist()
        assert book.best_ask() == asks[2500]
        book.check()
