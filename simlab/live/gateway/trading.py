"""Put clients' orders to the engine, in price units and lots, and its answers to them, in currency."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import UNSET, Struct

from simlab.live import messages, told
from simlab.live.gateway.events import Filled, OrderEvent
from simlab.live.gateway.link import EngineAwayError, RefusedError
from simlab.live.gateway.market import Listed, Market, side_of
from simlab.live.gateway.units import OffGridError
from simlab.live.messages import BadMessageError, OrderCode

if TYPE_CHECKING:
    from simlab.live.gateway.session import Session

__all__ = [
    "OrderRow",
    "add_order",
    "cancel_all",
    "cancel_order",
    "orders_of",
    "refuse_order",
    "replace_order",
    "update_of",
]

_CODES = {
    "INVALID_SIDE": OrderCode.SIDE,
    "PRICE_OFF_TICK": OrderCode.PRICE,
    "PRICE_BAND": OrderCode.PRICE,
    "QUANTITY_OFF_LOT": OrderCode.QUANTITY,
    "INVALID_QUANTITY": OrderCode.QUANTITY,
    "NOT_OWNER": OrderCode.NOT_YOURS,
    "NOT_YOURS": OrderCode.NOT_YOURS,
    "AGENT_TAKEN": OrderCode.NOT_YOURS,
    "QUEUE_FULL": OrderCode.QUEUE_FULL,
}
_FIELDS = {OrderCode.SIDE: "side", OrderCode.PRICE: "price", OrderCode.QUANTITY: "quantity"}
_MOST_LOTS = 2**62


class _Answer(Struct, gc=False):
    """What matters of the engine's answer to a request about orders."""

    status: str
    code: str = ""
    message: str = ""
    order_id: int | None = None
    state: str | None = None
    filled: int = 0
    remaining: int = 0
    average_price: float | None = None
    sequence: int = 0
    duplicate: bool = False
    cancelled: int = 0


class OrderRow(Struct, gc=False):
    """One order, as the engine lists it."""

    order_id: int
    symbol_id: int
    side: str | int
    qty: int
    filled: int
    status: str
    id: str | int | None = None
    price: int | None = None
    type: str = "limit"
    average_price: float | None = None


_answer = msgspec.json.Decoder(_Answer).decode


def add_order(session: Session, message: messages.AddOrder) -> None:
    """Enter an order."""
    listed = _listed(session, message)
    order: dict[str, Any] = {
        "symbol_id": message.symbol_id,
        "side": 0 if message.side in ("buy", "BUY") else 1,
        "qty": _lots(message, message.quantity),
    }
    if message.orderType in ("MARKET", "market"):
        order["type"] = "market"
    elif message.price is None:
        said = "a LIMIT order needs a price; give one, or send a MARKET order"
        raise _wrong(message, OrderCode.PRICE, said, "price")
    else:
        order["price"] = _units(message, listed, message.price)
    if message.client_id is not None:
        order["id"] = message.client_id
    if message.agent_id is not None:
        order["agent_id"] = message.agent_id
    if message.time_in_force is not None:
        order["time_in_force"] = message.time_in_force.upper()
    if message.post_only:
        order["post_only"] = True
    answered = partial(_ordered, session, message, listed, time.perf_counter())
    session.ask({"action": "add", "order": order}, answered)


def replace_order(session: Session, message: messages.ReplaceOrder) -> None:
    """Give an order another price or quantity."""
    listed = _listed(session, message)
    order: dict[str, Any] = {"order_id": message.orderId, "symbol_id": message.symbol_id}
    if message.price is None and message.quantity is None:
        raise _wrong(message, OrderCode.REJECTED, "nothing would change; give price or quantity", "price")
    if message.price is not None:
        order["price"] = _units(message, listed, message.price)
    if message.quantity is not None:
        order["qty"] = _lots(message, message.quantity)
    answered = partial(_ordered, session, message, listed, time.perf_counter())
    session.ask({"action": "replace", "order": order}, answered)


def cancel_order(session: Session, message: messages.CancelOrder) -> None:
    """Take an order out."""
    order: dict[str, Any] = {"order_id": message.orderId}
    if message.symbol_id is not None:
        order["symbol_id"] = message.symbol_id
    session.ask({"action": "cancel", "order": order}, partial(_cancelled, session, message))


def cancel_all(session: Session, message: messages.CancelAll) -> None:
    """Take all orders of an agent out."""
    request: dict[str, Any] = {"action": "cancel_all"}
    if message.agent_id is not None:
        request["agent_id"] = message.agent_id
    if message.symbol_id is not None:
        request["symbol_id"] = message.symbol_id
    session.ask(request, partial(_cancelled, session, message))


def refuse_order(
    session: Session,
    code: int,
    message: str,
    *,
    reason: str,
    client_id: str | int | None = None,
    field: str | None = None,
    order_id: int | None = None,
) -> None:
    """Answer an order that was not taken."""
    known = UNSET if client_id is None else client_id
    response = told.Response(
        "error", order_id, order_id, message, known, code=code, reason=reason, field=field or UNSET
    )
    session.tell(told.OrderResponse(response))


def fail(session: Session, message: Any, error: EngineAwayError | RefusedError) -> bool:
    """Answer a request about orders that the engine did not; False if it is about something else."""
    away = isinstance(error, EngineAwayError)
    reason = "ENGINE_AWAY" if isinstance(error, EngineAwayError) else error.code
    code = OrderCode.REJECTED if away else OrderCode.QUEUE_FULL
    match message:
        case messages.AddOrder():
            refuse_order(session, code, str(error), reason=reason, client_id=message.client_id)
        case messages.ReplaceOrder():
            refuse_order(session, code, str(error), reason=reason, order_id=message.orderId)
        case messages.CancelOrder() | messages.CancelAll():
            said = told.Cancelled("error", str(error), _order_id(message), code=code, reason=reason)
            session.tell(told.CancelResponse(said))
        case _:
            return False
    return True


def orders_of(market: Market, rows: list[OrderRow]) -> list[told.Order]:
    """Return orders as clients are told of them."""
    return [
        told.Order(
            row.order_id,
            row.id,
            row.symbol_id,
            side_of(row.side),
            _price(market, row),
            row.qty,
            row.filled,
            row.status,
            _average(market, row),
        )
        for row in rows
    ]


def _average(market: Market, row: OrderRow) -> float | None:
    average = row.average_price
    return None if average is None else market.listed[row.symbol_id].units.currency(average)


def _price(market: Market, row: OrderRow) -> float | None:
    if row.type == "market" or row.price is None:
        return None
    return market.listed[row.symbol_id].units.currency(row.price)


def update_of(event: OrderEvent, listed: Listed) -> told.Update:
    """Return what happened to an order as its own agent is told of it."""
    name: Any = event.__struct_config__.tag
    if name == "fill" and event.remaining:
        name = "partial_fill"
    priced = event.type != "market" or type(event) is Filled  # a market order has no price of its own
    currency = listed.units.currency
    return told.Update(
        event.order_id,
        event.id,
        event.agent_id,
        event.symbol_id,
        name,
        currency(event.price) if priced and event.price is not None else None,
        event.qty,
        event.filled,
        event.remaining,
        None if event.average_price is None else currency(event.average_price),
        event.sequence,
        event.reason or UNSET,
    )


def _ordered(
    session: Session,
    message: messages.AddOrder | messages.ReplaceOrder,
    listed: Listed,
    arrived_s: float,
    line: bytes | None,
) -> None:
    if line is None:
        fail(session, message, EngineAwayError(sent=True))
        return
    answer = _answer(line)
    client_id = message.client_id if isinstance(message, messages.AddOrder) else None
    order_id = message.orderId if isinstance(message, messages.ReplaceOrder) else None
    if answer.status != "success":
        code = _CODES.get(answer.code, OrderCode.REJECTED)
        refuse_order(
            session,
            code,
            _said(answer, message, listed),
            reason=answer.code,
            client_id=client_id,
            field=_FIELDS.get(code),
            order_id=order_id,
        )
        return
    average = answer.average_price
    response = told.Response(
        "success",
        answer.order_id,
        answer.order_id,
        answer.state or "replaced",
        UNSET if client_id is None else client_id,
        answer.state or UNSET,
        answer.filled,
        answer.remaining,
        None if average is None else listed.units.currency(average),
        answer.sequence,
        answer.duplicate or UNSET,
    )
    session.tell(told.OrderResponse(response))
    session.room.latency.orders.add(time.perf_counter() - arrived_s)


def _said(answer: _Answer, message: messages.AddOrder | messages.ReplaceOrder, listed: Listed) -> str:
    """Return why the market refused an order; the engine names prices in units, here they are currency."""
    low, high = map(listed.units.currency, listed.row.price_band)
    match answer.code:
        case "PRICE_BAND":
            return f"price {message.price} is outside the band of {low} to {high}; choose one inside"
        case "POST_ONLY_WOULD_TRADE":
            return (
                f"at {message.price} it would trade at once; choose a price behind the best of the other"
                " side, or leave post_only out"
            )
        case _:
            return answer.message


def _cancelled(
    session: Session, message: messages.CancelOrder | messages.CancelAll, line: bytes | None
) -> None:
    if line is None:
        fail(session, message, EngineAwayError(sent=True))
        return
    answer = _answer(line)
    if answer.status == "success":
        what = "lots" if isinstance(message, messages.CancelOrder) else "orders"
        done = f"cancelled {answer.cancelled} {what}"
        said = told.Cancelled("success", done, _order_id(message), answer.cancelled)
    else:
        code = _CODES.get(answer.code, OrderCode.REJECTED)
        said = told.Cancelled("error", answer.message, _order_id(message), code=code, reason=answer.code)
    session.tell(told.CancelResponse(said))


def _order_id(message: messages.CancelOrder | messages.CancelAll) -> Any:
    return message.orderId if isinstance(message, messages.CancelOrder) else UNSET


def _wrong(message: Any, code: int, said: str, field: str, reason: str = "BAD_REQUEST") -> BadMessageError:
    return BadMessageError(
        said,
        code=code,
        reason=reason,
        field=field,
        client_id=getattr(message, "client_id", None),
        order_id=getattr(message, "orderId", None),
    )


def _listed(session: Session, message: messages.AddOrder | messages.ReplaceOrder) -> Listed:
    listed = session.room.market.listed.get(message.symbol_id)
    if listed is None:
        known = ", ".join(map(str, session.room.market.listed)) or "none"
        said = f"there is no instrument {message.symbol_id}; those known are {known}"
        raise _wrong(message, OrderCode.REJECTED, said, "symbol_id", "UNKNOWN_INSTRUMENT")
    return listed


def _units(message: Any, listed: Listed, price: float) -> int:
    try:
        return listed.units.units(price)
    except OffGridError as error:
        raise _wrong(message, OrderCode.PRICE, f"price {error}", "price", "PRICE_OFF_TICK") from None


def _lots(message: Any, quantity: float) -> int:
    lots = int(quantity) if abs(quantity) <= _MOST_LOTS else 0
    if lots != quantity or lots < 1:
        said = f"quantity {quantity} is not a whole number from 1 to 2147483647; give one"
        raise _wrong(message, OrderCode.QUANTITY, said, "quantity")
    return lots
