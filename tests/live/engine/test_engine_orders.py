"""What is remembered of orders from outside."""

from __future__ import annotations

from simlab.live.engine.orders import ENDED_SHOWN, End, Order, Orders


def test_the_latest_that_ended_are_listed_however_old_they_are() -> None:
    orders = Orders()
    for number in range(3 * ENDED_SHOWN):
        orders.enter(Order(number, 7, 0, 0, 0, 0, 0, 100, 5, order_id=number, remaining=5))
    for number in range(1, 2 * ENDED_SHOWN):
        orders.end(orders.open[number], End.CANCELLED)
    orders.end(orders.open[0], End.FILLED)
    listed = orders.of(7)
    assert [it.order_id for it in listed if it.end == End.FILLED] == [0]
    assert sum(it.end != End.OPEN for it in listed) == ENDED_SHOWN
    again = Orders(orders)
    again.end(again.open[3 * ENDED_SHOWN - 1], End.CANCELLED)
    kept = {it.order_id for it in again.of(7) if it.end}
    assert {0, 3 * ENDED_SHOWN - 1} <= kept
