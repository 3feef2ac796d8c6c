"""Messages derived from market-by-order records cause what the records tell."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from simlab.core.types import MESSAGE_DTYPE, EventKind, MessageKind, Side, TimeInForce
from simlab.engine.reference import ReferenceOrderBook
from simlab.errors import RecordingError
from simlab.importing.orderflow import passive_fills, translate_event
from simlab.importing.recorded_book import Record, RecordedBook
from simlab.importing.table import Message

BID, ASK = Side.BUY, Side.SELL


def _event(*rows: tuple[str, Side, int, int, int]) -> list[Record]:
    return [Record(i, 1, *row, last=i == len(rows)) for i, row in enumerate(rows, start=1)]


def _book(*rows: tuple[str, Side, int, int, int]) -> RecordedBook:
    book = RecordedBook()
    for record in _event(*rows):
        book.apply(record)
    return book


def _batch(messages: list[Message]) -> np.ndarray:
    batch = np.zeros(len(messages), MESSAGE_DTYPE)
    for name in ("kind", "side", "time_in_force", "price", "quantity", "order_id"):
        batch[name] = [getattr(message, name) for message in messages]
    return batch


def _replay(before: RecordedBook, event: list[Record]) -> tuple[list[Message], Counter[tuple[int, int]]]:
    """Send the derived messages to a real book and check that it ends as the recorded one does."""
    engine = ReferenceOrderBook()
    for order_id, order in before.in_priority():
        engine.apply(MessageKind.LIMIT, order.side, order.price, order.size, order_id)
    messages = translate_event(event, before, 0, Counter())
    answers = engine.process(_batch(messages))
    assert not np.any(answers["kind"] == EventKind.REJECTED)
    fills: Counter[tuple[int, int]] = Counter()
    for answer in answers[answers["kind"] == EventKind.FILL]:
        fills[int(answer["other_order_id"]), int(answer["price"])] += int(answer["quantity"])
    for record in event:
        before.apply(record)
    left = [(int(o["order_id"]), int(o["price"]), int(o["quantity"])) for o in engine.orders()]
    assert left == [(order_id, order.price, order.size) for order_id, order in before.in_priority()]
    return messages, fills


def test_an_aggressor_that_does_not_rest_is_immediate_or_cancel_at_its_worst_price() -> None:
    book = _book(("A", ASK, 100, 2, 1), ("A", ASK, 101, 3, 2))
    event = _event(
        ("T", BID, 100, 2, 9),
        ("F", ASK, 100, 2, 1),
        ("T", BID, 101, 1, 9),
        ("F", ASK, 101, 1, 2),
        ("C", ASK, 100, 2, 1),
        ("M", ASK, 101, 2, 2),
    )
    messages, fills = _replay(book, event)
    assert [m[2:] for m in messages] == [(MessageKind.LIMIT, BID, TimeInForce.IOC, 101, 3, 9)]
    assert fills == {(1, 100): 2, (2, 101): 1}


def test_an_add_after_the_trade_is_the_remainder_of_the_same_order() -> None:
    book = _book(("A", ASK, 100, 2, 1))
    event = _event(("T", BID, 100, 2, 9), ("F", ASK, 100, 2, 1), ("C", ASK, 100, 2, 1), ("A", BID, 100, 5, 9))
    messages, _ = _replay(book, event)
    assert [m[2:] for m in messages] == [(MessageKind.LIMIT, BID, TimeInForce.GTC, 100, 7, 9)]


def test_a_fill_of_its_own_makes_the_aggressor_a_modified_order() -> None:
    book = _book(("A", BID, 99, 6, 9), ("A", ASK, 100, 2, 1))
    event = _event(
        ("T", BID, 100, 2, 9),
        ("F", BID, 100, 2, 9),
        ("F", ASK, 100, 2, 1),
        ("M", BID, 100, 4, 9),
        ("C", ASK, 100, 2, 1),
    )
    messages, fills = _replay(book, event)
    assert [m.kind for m in messages] == [MessageKind.REPLACE]
    assert fills == {(1, 100): 2}
    assert [record.order_id for record in passive_fills(event)] == [1]


def test_a_cancel_of_an_order_that_did_not_trade_goes_before_the_aggressor() -> None:
    book = _book(("A", ASK, 100, 1, 1), ("A", ASK, 100, 1, 2))
    event = _event(("T", BID, 100, 1, 9), ("F", ASK, 100, 1, 2), ("C", ASK, 100, 1, 2), ("C", ASK, 100, 1, 1))
    messages, fills = _replay(book, event)
    assert [m.kind for m in messages] == [MessageKind.CANCEL, MessageKind.LIMIT]
    assert fills == {(2, 100): 1}


def test_a_refreshed_iceberg_goes_to_the_back_of_the_queue() -> None:
    book = _book(("A", ASK, 100, 2, 1), ("A", ASK, 100, 4, 2))
    event = _event(("T", BID, 100, 2, 9), ("F", ASK, 100, 2, 1), ("M", ASK, 100, 2, 1))
    _, fills = _replay(book, event)
    assert fills == {(1, 100): 2}
    assert [order_id for order_id, _ in book.in_priority()] == [2, 1]


def test_an_iceberg_that_trades_more_than_it_shows_splits_the_aggressor() -> None:
    book = _book(("A", ASK, 100, 1, 1), ("A", ASK, 100, 2, 2), ("A", ASK, 101, 9, 3))
    event = _event(
        ("T", BID, 100, 11, 9),
        ("F", ASK, 100, 2, 2),
        ("F", ASK, 100, 9, 1),
        ("M", ASK, 100, 1, 1),
        ("C", ASK, 100, 2, 2),
    )
    messages, fills = _replay(book, event)
    assert fills == {(1, 100): 9, (2, 100): 2}
    assert [(m.quantity, m.order_id) for m in messages] == [(3, 9), (9, 1), (8, 9)]


def test_two_aggressors_of_one_event_meet_the_iceberg_one_after_the_other() -> None:
    book = _book(("A", ASK, 100, 2, 1))
    event = _event(
        ("T", BID, 100, 2, 8),
        ("F", ASK, 100, 2, 1),
        ("T", BID, 100, 2, 9),
        ("F", ASK, 100, 2, 1),
        ("M", ASK, 100, 2, 1),
    )
    messages, fills = _replay(book, event)
    assert fills == {(1, 100): 4}
    assert [m.order_id for m in messages] == [8, 1, 9]


def test_a_clear_cancels_everything_and_starts_again() -> None:
    book = _book(("A", ASK, 100, 2, 1), ("A", BID, 98, 2, 2))
    event = _event(("R", ASK, 0, 0, 0), ("A", ASK, 101, 3, 1))
    messages, _ = _replay(book, event)
    assert [m.kind for m in messages] == [MessageKind.CANCEL, MessageKind.CANCEL, MessageKind.LIMIT]


def test_what_gives_no_message_is_counted() -> None:
    skipped: Counter[str] = Counter()
    event = _event(("T", None, 100, 2, 0), ("F", None, 100, 2, 1), ("C", ASK, 100, 2, 5))
    assert translate_event(event, RecordedBook(), 0, skipped) == []
    assert sum(skipped.values()) == 2


def test_an_add_of_a_resting_order_is_an_error() -> None:
    with pytest.raises(RecordingError, match="record 2 adds order 1"):
        _book(("A", ASK, 100, 2, 1), ("A", ASK, 100, 2, 1))
