"""What a client knows of its orders, from messages that come late, twice, or in another order."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.errors import LiveError
from simlab.live.client.picture import OrderRecord, OrderStatus, Picture, on_lot, on_tick
from simlab.live.told import Instrument, Instruments, Order, OrderUpdate, Response, Update

ACME = Instrument(1, "ACME", "", "", 100.0, 0.0, 0.05, 10)


def update(event: str, filled: int, sequence: int, *, average: float | None = None) -> OrderUpdate:
    return OrderUpdate(
        Update(7, "a-1", "me", 1, event, 99.5, 100, filled, 100 - filled, average, sequence)  # type: ignore[arg-type]
    )


def known() -> tuple[Picture, OrderRecord]:
    picture = Picture()
    picture.take(Instruments([ACME]))
    record = OrderRecord("a-1", ACME, "buy", 100, Decimal("99.5"))
    picture.enter(record)
    return picture, record


def test_an_order_lives_as_it_is_told() -> None:
    picture, record = known()
    assert (record.status, record.remaining) == (OrderStatus.SENT, 100)
    record.take_answer(Response("success", 7, 7, "resting", "a-1", "resting", 0, 100, None, 3))
    assert (record.status, record.order_id) == (OrderStatus.OPEN, 7)
    picture.take(update("partial_fill", 40, 5, average=99.0))
    assert (record.status, record.filled, record.average_price) == (OrderStatus.PARTIALLY_FILLED, 40, 99.0)
    picture.take(update("fill", 100, 9, average=99.2))
    assert (record.status, record.remaining) == (OrderStatus.FILLED, 0)


def test_what_comes_late_changes_nothing() -> None:
    picture, record = known()
    picture.take(update("fill", 100, 9, average=99.2))
    picture.take(update("accepted", 0, 3))
    record.take_answer(Response("success", 7, 7, "resting", "a-1", "resting", 0, 100, None, 3))
    assert (record.status, record.filled, record.average_price) == (OrderStatus.FILLED, 100, 99.2)


def test_after_a_gap_the_list_says_how_orders_stand() -> None:
    picture, record = known()
    lost = OrderRecord("a-2", ACME, "sell", 10, None)
    lost.given_up = True
    waiting = OrderRecord("a-3", ACME, "sell", 10, None)
    for it in (lost, waiting):
        picture.enter(it)
    picture.take_list([Order(7, "a-1", 1, "buy", 99.5, 100, 60, "cancelled")], new_connection=False)
    assert (record.status, record.filled) == (OrderStatus.CANCELLED, 60)
    assert lost.status is OrderStatus.SENT  # its answer may still come
    picture.take_list([], new_connection=True)
    assert lost.status is OrderStatus.NOT_ENTERED
    assert waiting.status is OrderStatus.SENT  # somebody still asks for it


def test_unknown_instruments_are_told_with_the_nearest() -> None:
    picture, _ = known()
    with pytest.raises(LiveError, match="there is no instrument 'ACNE'; did you mean 'ACME'"):
        picture.instrument("ACNE")


def test_a_price_off_the_tick_is_refused_with_the_two_nearest() -> None:
    with pytest.raises(
        LiveError, match=r"price 99.53 is not a multiple of the tick of ACME, 0.05; use 99.50 or 99.55"
    ):
        on_tick(99.53, ACME)
    with pytest.raises(LiveError, match="is not a number"):
        on_tick("dear", ACME)


@given(st.integers(-(10**9), 10**9), st.sampled_from([0.01, 0.05, 0.25, 1.0, 1e-8]))
def test_every_multiple_of_the_tick_is_taken_as_it_is(ticks: int, tick: float) -> None:
    instrument = Instrument(1, "ACME", "", "", 100.0, 0.0, tick, 1)
    assert on_tick(ticks * tick, instrument) == ticks * Decimal(repr(tick))


@pytest.mark.parametrize(
    ("quantity", "said"),
    [
        (0, "not a whole number above 0"),
        (1.5, "not a whole number"),
        (True, "not a whole"),
        (15, "use 10 or 20"),
    ],
)
def test_a_quantity_is_of_whole_lots(quantity: float, said: str) -> None:
    with pytest.raises(LiveError, match=said):
        on_lot(quantity, ACME)


def test_ended_orders_are_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simlab.live.client.picture._MOST_ENDED", 3)
    picture, _ = known()
    for i in range(5):
        record = OrderRecord(f"b-{i}", ACME, "buy", 10, None)
        record.status = OrderStatus.FILLED
        picture.enter(record)
    assert list(picture.orders) == ["a-1", "b-3", "b-4"]
