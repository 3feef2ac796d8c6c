"""Enter, cancel and replace orders: as many as can be in one call to the market, answered in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from simlab.core.types import MessageKind, Reason, Side, TimeInForce
from simlab.live.engine.floor import Floor, Intent, Result
from simlab.live.engine.log import Log
from simlab.live.engine.orders import End, Order
from simlab.live.engine.refusals import elsewhere, refused, unknown_order
from simlab.live.engine.registry import Client, Registry, Session
from simlab.live.protocol import Add, Cancel, Failure, NewOrder, Replace, answering

__all__ = ["Trading"]

_SIDES = {0: 0, 1: 1, "buy": int(Side.BUY), "sell": int(Side.SELL)}
_TIMES = {it.name: int(it) for it in TimeInForce}
_LIMIT, _MARKET = int(MessageKind.LIMIT), int(MessageKind.MARKET)


class Added(Struct, tag_field="status", tag="success", gc=False):
    """The answer to an order that was accepted: as it was after it came in."""

    id: int | str | None
    order_id: int
    symbol_id: int
    state: str
    filled: int
    remaining: int
    average_price: float | None
    fills: Any
    sequence: int
    step: int
    duplicate: bool | UnsetType = UNSET


class Cancelled(Struct, tag_field="status", tag="success", gc=False):
    """The answer to a cancel: lots that rest no more."""

    order_id: int
    cancelled: int
    id: int | str | None


class Replaced(Struct, tag_field="status", tag="success", gc=False):
    """The answer to a replace: as the order was after it."""

    order_id: int
    id: int | str | None
    price: int
    qty: int
    filled: int
    remaining: int
    sequence: int


class Trading:
    """Gather requests that are messages to the market, and deliver them together.

    Parameters
    ----------
    floor : Floor
    registry : Registry
    log : Log
    guest : callable (Session) -> int or Failure
        Takes a guest account for a session.
    """

    def __init__(
        self, floor: Floor, registry: Registry, log: Log, guest: Callable[[Session], int | Failure]
    ) -> None:
        self._floor, self._registry, self._log, self._guest = floor, registry, log, guest
        self._intents: list[Intent] = []
        self._asked: list[tuple[Client, Intent | Failure]] = []

    def fail(self, client: Client, failure: Failure) -> None:
        """Answer with a failure, in its turn."""
        self._asked.append((client, failure))

    def add(self, client: Client, request: Add) -> None:
        """Enter an order at the next `flush`, unless the same was entered before."""
        it = request.order
        session = client.sessions.get(request.session) or client.session(request.session)
        account = session.account if it.agent_id is None else None
        found = self._account(session, it.agent_id) if account is None else account
        market = it.type == "market"
        number = it.symbol_id - 1
        if isinstance(found, Failure):
            return self._refuse(client, request, found)
        listed = len(self._floor.simulation.spec.instruments)
        if not 0 <= number < listed or (it.price is None and not market):
            return self._refuse(client, request, self._wrong(it))
        price = 0 if market or it.price is None else it.price
        kind = _MARKET if market else _LIMIT
        order = Order(
            it.id, found, number, _SIDES[it.side], kind, _TIMES[it.time_in_force], int(it.post_only), price,
            it.qty,
        )  # fmt: skip
        known = self._floor.orders.expect(order)
        if known is None:
            intent = Intent(kind, order, price, it.qty)
            self._intents.append(intent)
            self._asked.append((client, intent))
        else:
            self.flush()
            client.answers.append(self._again(known))
        return None

    def _refuse(self, client: Client, request: Add | Cancel | Replace, failure: Failure) -> None:
        self.fail(client, answering(request, failure))

    def _wrong(self, it: NewOrder) -> Failure:
        count = len(self._floor.simulation.spec.instruments)
        if not 1 <= it.symbol_id <= count:
            return Failure(
                Reason.UNKNOWN_INSTRUMENT.name,
                f"symbol_id {it.symbol_id} is unknown; they are 1 to {count}",
                field="order.symbol_id",
            )
        return Failure(
            "BAD_REQUEST", "order.price: a limit order needs one; or send a market order", field="order.price"
        )

    def _put(self, client: Client, intent: Intent) -> None:
        self._intents.append(intent)
        self._asked.append((client, intent))

    def _account(self, session: Session, agent_id: str | None) -> int | Failure:
        account = self._registry.account(session, agent_id)
        if account is not None:
            return account
        self.flush()
        return self._guest(session)

    def cancel(self, client: Client, request: Cancel) -> None:
        """Cancel an order at the next `flush`."""
        order = self._named(client, request)
        if order is not None:
            self._put(client, Intent(int(MessageKind.CANCEL), order, 0, 0))

    def replace(self, client: Client, request: Replace) -> None:
        """Replace an order at the next `flush`; `qty` counts what has been filled."""
        order = self._named(client, request)
        if order is None:
            return
        if self._intents:  # what fills before is not to be had again
            self.flush()
        price = order.price if request.named.price is None else request.named.price
        qty = order.quantity if request.named.qty is None else request.named.qty
        if order.end != End.OPEN:
            self._refuse(client, request, unknown_order(order, order.order_id))
        elif qty <= order.filled:
            self._refuse(
                client,
                request,
                Failure(
                    Reason.INVALID_QUANTITY.name,
                    f"qty {qty} is no more than the {order.filled} lots that are filled; cancel it instead",
                    field="qty",
                    order_id=order.order_id,
                ),
            )
        else:
            self._put(client, Intent(int(MessageKind.REPLACE), order, price, qty - order.filled))

    def _named(self, client: Client, request: Cancel | Replace) -> Order | None:
        """Return the order that a request names, if it rests and is the session's; else answer why not."""
        name = request.named
        account = self._registry.account(client.session(request.session), name.agent_id)
        if isinstance(account, Failure):
            self._refuse(client, request, account)
            return None
        if name.order_id is None and name.id is None:
            self._refuse(
                client,
                request,
                Failure("BAD_REQUEST", "order_id: name the order, by order_id or by id", field="order_id"),
            )
            return None
        order = self._find(account, name.order_id, name.id)
        if order is not None and order.account != account:
            owners = self._registry.owners_of(order.account)
            if name.agent_id is not None or client.session(request.session) not in owners:
                self._refuse(
                    client,
                    request,
                    Failure(
                        "NOT_YOURS", f"order {order.order_id} belongs to somebody else", field="order_id",
                        order_id=order.order_id,
                    ),
                )  # fmt: skip
                return None
        if order is None or order.end != End.OPEN:
            self._refuse(
                client, request, unknown_order(order, name.id if name.order_id is None else name.order_id)
            )
            return None
        if name.symbol_id not in (None, order.instrument + 1):
            self._refuse(client, request, elsewhere(order, name.symbol_id))
            return None
        return order

    def _find(self, account: int | None, order_id: int | None, client_id: int | str | None) -> Order | None:
        for _ in range(2):
            if order_id is not None:
                found = self._floor.orders.find(order_id)
            else:
                found = None if account is None else self._floor.orders.sent(account, client_id or 0)
            if not self._intents or (found is not None and found.order_id):
                return found
            self.flush()  # it may be among those that have no number yet
        return found

    def flush(self) -> None:
        """Deliver what was gathered, and answer it."""
        asked, intents = self._asked, self._intents
        if not asked:
            return
        self._asked, self._intents = [], []
        results: Iterator[Result] = iter(())
        if intents:
            self._log.before("ids", [it.order.id for it in intents if it.kind <= _MARKET])
            results = iter(self._floor.enter(intents))
        for client, what in asked:
            client.answers.append(what if isinstance(what, Failure) else self._answer(what, next(results)))

    def _answer(self, intent: Intent, result: Result) -> Any:
        order = intent.order
        if result.reason == Reason.UNKNOWN_ORDER:
            return unknown_order(order, order.order_id)
        if result.reason:
            instrument = self._floor.simulation.spec.instruments[order.instrument]
            return refused(result.reason, order, instrument, price=intent.price, qty=intent.quantity)
        if intent.kind <= _MARKET:
            average = result.cost / result.filled if result.filled else None
            return Added(
                order.id, order.order_id, order.instrument + 1, _state(result), result.filled,
                result.remaining, average, result.fills, result.sequence, result.step,
            )  # fmt: skip
        if intent.kind == MessageKind.CANCEL:
            return Cancelled(order.order_id, result.quantity, order.id)
        return Replaced(
            order.order_id, order.id, intent.price, result.filled + result.remaining, result.filled,
            result.remaining, result.sequence,
        )  # fmt: skip

    def _again(self, order: Order) -> Any:
        """Answer an order that was entered before: with what has become of it."""
        if order.end == End.REJECTED:
            instrument = self._floor.simulation.spec.instruments[order.instrument]
            return refused(order.reason, order, instrument, price=order.price, qty=order.quantity)
        return Added(
            order.id, order.order_id, order.instrument + 1, order.state, order.filled, order.remaining,
            order.average_price, order.fills or (), order.sequence, order.step, True,
        )  # fmt: skip


def _state(result: Result) -> str:
    if result.end == End.OPEN:
        return "partially_filled" if result.filled else "resting"
    return "filled" if result.end == End.FILLED else "cancelled"
