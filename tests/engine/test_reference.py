"""What the reference engine promises beyond the contract."""

import numpy as np
import pytest

from simlab.core.types import MAX_QUANTITY, MessageKind, SelfTrade, Side
from simlab.engine.conformance.probing import limit
from simlab.engine.reference import ReferenceOrderBook
from simlab.errors import EngineError


@pytest.mark.parametrize(
    ("field", "value"),
    [("kind", -1), ("side", 256), ("price", 2**63), ("instrument", 2**31), ("account", -(2**63) - 1)],
)
def test_a_value_that_no_message_can_hold_is_an_error_that_names_it(field: str, value: int) -> None:
    book = ReferenceOrderBook()
    with pytest.raises(EngineError, match=f"{field} {value} does not fit"):
        book.apply(**({"kind": MessageKind.LIMIT, "quantity": 1, "order_id": 1} | {field: value}))
    assert book.resting_orders() == 0


def test_apply_takes_numpy_integers_without_their_overflow() -> None:
    book = ReferenceOrderBook()
    for order_id in range(1, 4):
        limit(book, Side.BUY, 100, np.int32(MAX_QUANTITY), order_id)
    assert book.snapshot(Side.BUY) == [(100, 3 * MAX_QUANTITY, 3)]


def test_a_float_quantity_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        ReferenceOrderBook().apply(MessageKind.LIMIT, 0, 100, 2.5, 1)


@pytest.mark.parametrize(
    "options", [{"instruments": 0}, {"accounts": 0}, {"accounts": 2**31}, {"self_trade": 7}]
)
def test_a_book_of_nothing_cannot_be_made(options: dict[str, int]) -> None:
    with pytest.raises(EngineError, match=next(iter(options)).replace("_", "[-_]")):
        ReferenceOrderBook(**options)


def test_unknown_places_are_errors() -> None:
    book = ReferenceOrderBook(2)
    with pytest.raises(EngineError, match="instrument 2 is unknown"):
        book.best_bid(2)
    with pytest.raises(EngineError, match="side 2 is unknown"):
        book.orders(2)
    with pytest.raises(EngineError, match="depth -1"):
        book.snapshot(Side.BUY, depth=-1)
    with pytest.raises(EngineError, match="account 1 is unknown"):
        book.orders_of(1)


def test_check_finds_a_wrong_sum() -> None:
    book = _book_with_orders()
    next(book._resting.orders(0, Side.BUY)).quantity += 1
    with pytest.raises(EngineError, match="holds 6 lots but states 5"):
        book.check()


def test_check_finds_a_crossed_book() -> None:
    book = _book_with_orders()
    order = next(book._resting.orders(0, Side.BUY))
    book._resting.remove(order)
    order.price = 110
    book._resting.add(order)
    with pytest.raises(EngineError, match="crossed"):
        book.check()


def test_check_finds_an_order_that_its_id_does_not_lead_to() -> None:
    book = _book_with_orders()
    del book._resting.by_id[1]
    with pytest.raises(EngineError, match="order 1 rests but is not found"):
        book.check()


def test_check_finds_a_lost_expiry() -> None:
    book = _book_with_orders()
    book._resting._by_expiry.clear()
    with pytest.raises(EngineError, match="expiry"):
        book.check()


def _book_with_orders() -> ReferenceOrderBook:
    book = ReferenceOrderBook(self_trade=SelfTrade.OFF)
    limit(book, Side.BUY, 100, 5, order_id=1, expiry=9)
    limit(book, Side.SELL, 105, 5, order_id=2)
    book.check()
    return book
