"""Say why the market refused an order, and what to do about it."""

from __future__ import annotations

from simlab.core.types import Reason
from simlab.live.engine.orders import Order
from simlab.live.protocol import Failure
from simlab.market.instruments import Instrument

__all__ = ["elsewhere", "refused", "unknown_order"]

_TEXTS = {
    Reason.INVALID_QUANTITY: "qty {qty} is not 1 to 2147483647 lots; choose a number in between",
    Reason.UNKNOWN_ORDER: "order {order_id} rests no more; ask `orders` what became of it",
    Reason.INVALID_TIME_IN_FORCE: "post_only goes with limit orders that are GTC; leave one of both out",
    Reason.POST_ONLY_WOULD_TRADE: "at {price} it would trade at once; choose a price behind the best of the"
    " other side, or leave post_only out",
    Reason.FOK_NOT_FILLABLE: "less than {qty} lots can be had at this price now; send less, or IOC",
    Reason.MARKET_HALTED: "{name} is halted; cancels pass, send the order again later",
    Reason.DELISTED: "{name} is no longer traded; see list_instruments",
    Reason.PRICE_OFF_TICK: "price {price} is not a multiple of tick_size {tick}; use {below} or {above}",
    Reason.QUANTITY_OFF_LOT: "qty {qty} is not a multiple of lot_size {lot}",
    Reason.PRICE_BAND: "price {price} is outside the band of {low} to {high}; choose one inside",
    Reason.FUNDS: "it costs more than the account has free; send less, or cancel other orders",
    Reason.SHORT_LIMIT: "it sells more than the account may go short; send less",
    Reason.POSITION_LIMIT: "the position would be larger than the account may have; send less",
    Reason.RATE_LIMIT: "the account sent as many messages as it may in this time; wait a step",
    Reason.OPEN_ORDER_LIMIT: "the account has as many orders resting as it may; cancel one first",
    Reason.MONEY_LIMIT: "with it the account would have more than 2^60 money units at stake; send less",
}


def refused(reason: int, order: Order, instrument: Instrument, *, price: int, qty: int) -> Failure:
    """Return the answer to an order that the market refused."""
    tick = instrument.tick_size
    text = _TEXTS.get(Reason(reason), "the market refused it")
    low, high = instrument.price_band
    message = text.format(
        price=price, qty=qty, order_id=order.order_id, name=instrument.name, tick=tick,
        below=price // tick * tick, above=-(-price // tick) * tick, lot=instrument.lot_size,
        low=low, high=high,
    )  # fmt: skip
    failure = Failure(Reason(reason).name, message, order_id=order.order_id)
    if order.id is not None:
        failure.id = order.id
    return failure


def unknown_order(order: Order | None, name: int | str | None) -> Failure:
    """Return the answer to who asks something of an order that does not rest."""
    if order is None:
        return Failure(Reason.UNKNOWN_ORDER.name, f"no order {name!r} of yours is known; see `orders`")
    failure = Failure(
        Reason.UNKNOWN_ORDER.name,
        f"order {order.order_id} is {order.state}; there is nothing left to change",
        order_id=order.order_id,
    )
    if order.id is not None:
        failure.id = order.id
    return failure


def elsewhere(order: Order, symbol_id: int | None) -> Failure:
    """Return the answer to who looks for an order in another instrument than it is in."""
    return Failure(
        Reason.UNKNOWN_ORDER.name,
        f"order {order.order_id} is in symbol_id {order.instrument + 1}, not {symbol_id}; nothing was done",
        field="symbol_id",
        order_id=order.order_id,
    )
