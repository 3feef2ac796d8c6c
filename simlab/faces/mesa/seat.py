"""Let somebody who trades from outside see the market as strategies do, and send what they send."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from simlab.agents.each import Fill, InstrumentView, Orders
from simlab.core.types import MESSAGE_DTYPE, EventKind, MessageKind, Reason, Side, TimeInForce
from simlab.errors import SimlabError
from simlab.kernel.hosting import PopulationHost
from simlab.kernel.snapshots import AccountSnapshot
from simlab.processes import NewsItem

if TYPE_CHECKING:
    from simlab.faces.mesa.agents import MarketAgent

__all__ = ["Refusal", "Seat", "SeatHost"]


class Refusal(NamedTuple):
    """What the market refused of an agent: the order it was about, the message's kind, and why."""

    step: int
    order_id: int
    kind: MessageKind
    reason: Reason


class SeatHost(PopulationHost):
    """The market as the seats of one population see it between two steps, with what was sent since."""

    def view(self, instrument: int) -> Any:
        """Return the fields of a view as they are now; the kernel's own is renewed by its loop alone."""
        state, terms = self._state, self._state.ledger.terms[instrument]
        kept = state.views[instrument]
        (bid, bid_depth), (ask, ask_depth) = (
            side[0] if side else (0, 0) for side in self.depth(instrument, 1)
        )
        mid = 0.5 * (bid + ask) if bid_depth and ask_depth else float(kept["mid"])
        return {
            "best_bid": bid, "bid_depth": bid_depth, "best_ask": ask, "ask_depth": ask_depth, "mid": mid,
            "halted": int(state.clock["step"][0]) < terms["halted_until"],
        } | {name: terms[name] for name in _TERMS}  # fmt: skip

    def signal(self, agent: int, instrument: int) -> float:
        """Return an agent's private signal; there is none of a step that is not in the run."""
        if int(self._state.clock["step"][0]) >= self._spec.steps:
            raise SimlabError("the market has ended, and no step follows that there could be a signal of")
        return super().signal(agent, instrument)


_TERMS = ("tick_size", "lot_size", "last_price", "last_quantity", "last_side", "volume", "trades")


class _SeatView(InstrumentView):
    """One instrument as a seat sees it; fills count from the end of its agent's latest turn."""

    __slots__ = ("_told",)

    def __init__(self, host: SeatHost, holder: Any, name: str) -> None:
        super().__init__(host, holder, name)
        self._told = 0

    @property
    def fill_count(self) -> int:
        """Number of own fills since the end of the agent's latest turn."""
        return super().fill_count - self._told

    @property
    def fills(self) -> list[Fill]:
        """Own fills since the end of the agent's latest turn, oldest first; at most the latest 16."""
        count = self.fill_count
        return super().fills[-count:] if count else []

    def tell(self) -> None:
        """Begin anew what the agent is told of its fills."""
        self._told = super().fill_count


class Seat(_SeatView):
    """What a `MarketAgent` has of the market: what strategies see and send, answered at once.

    It has everything that strategies find in ``observation.market`` (`simlab.agents.each.InstrumentView`), of
    the first instrument; `markets` has the others. An order is a message at the boundary before the market's
    next step, so the book, `fills` and `inventory` show at once what came of it. What the market refuses is
    no error: it is among the `refusals`.

    Parameters
    ----------
    agent : MarketAgent
        Whose it is.
    host : SeatHost
    account : int
    """

    __slots__ = ("_holder", "_markets", "_numbers", "account", "refusals")

    def __init__(self, agent: MarketAgent, host: SeatHost, account: int) -> None:
        self._holder = agent
        self._numbers = host.instruments
        self.account = account
        """The account's number."""
        self.refusals: list[Refusal] = []
        """What the market refused since the agent's latest turn began, oldest first."""
        first = next(iter(host.instruments))
        super().__init__(host, _Holder(account), first)
        others = {
            name: _SeatView(host, self._observation, name) for name in host.instruments if name != first
        }
        self._markets: dict[str, _SeatView] = {first: self, **others}

    @property
    def markets(self) -> dict[str, InstrumentView]:
        """All instruments that the seat trades, by name."""
        return dict(self._markets)

    @property
    def step(self) -> int:
        """The step of the market that is next."""
        return self._holder.model.simulation.step

    @property
    def news(self) -> Sequence[NewsItem]:
        """News that can be seen, oldest first (the latest 100)."""
        return self._holder.model.simulation.news

    @property
    def portfolio(self) -> AccountSnapshot:
        """The own account: cash, what is reserved, fees, positions and resting orders."""
        return self._holder.model.simulation.account(self.account)

    def limit(
        self,
        side: Side | str,
        price: int,
        quantity: int,
        *,
        instrument: str | None = None,
        time_in_force: TimeInForce | str = TimeInForce.GTC,
        post_only: bool = False,
        expiry: int = 0,
    ) -> int:
        """Send a limit order and return its id; `expiry` is the last step it lives, 0 for no end."""
        orders = self._orders()
        orders.limit(
            side, price, quantity, instrument=instrument, time_in_force=time_in_force, post_only=post_only,
            expiry=expiry,
        )  # fmt: skip
        return self._send(orders)

    def market(self, side: Side | str, quantity: int, *, instrument: str | None = None) -> int:
        """Send a market order and return its id."""
        orders = self._orders()
        orders.market(side, quantity, instrument=instrument)
        return self._send(orders)

    def cancel(self, order_id: int) -> None:
        """Cancel one own order."""
        orders = self._orders()
        orders.cancel(order_id)
        self._send(orders)

    def replace(self, order_id: int, price: int, quantity: int) -> None:
        """Give an own order a new price and remaining quantity; only a mere decrease keeps its place."""
        orders = self._orders()
        orders.replace(order_id, price, quantity)
        self._send(orders)

    def cancel_all(self, *, instrument: str | None = None) -> None:
        """Cancel all own orders, in one instrument or (by default) in all."""
        orders = self._orders()
        orders.cancel_all(instrument=instrument)
        self._send(orders)

    def begin_turn(self) -> None:
        """Forget what was refused before."""
        self.refusals.clear()

    def end_turn(self) -> None:
        """Begin anew what the agent is told of its fills."""
        for view in self._markets.values():
            view.tell()

    def _orders(self) -> Orders:
        self._holder.model.require_turn(self._holder)
        return Orders(self._numbers, account=self.account)

    def _send(self, orders: Orders) -> int:
        """Deliver the one message, note whether it was refused, and return the id of its order."""
        model = self._holder.model
        messages = np.frombuffer(orders.messages, MESSAGE_DTYPE)
        events = model.simulation.submit(messages)
        for event in events[events["kind"] == EventKind.REJECTED]:
            kind, reason = MessageKind(int(messages["kind"][0])), Reason(int(event["reason"]))
            self.refusals.append(Refusal(self.step, int(event["order_id"]), kind, reason))
        if len(self.refusals) > _MOST_REFUSALS:
            del self.refusals[0]
        return int(events["order_id"][0]) if len(events) else 0


_MOST_REFUSALS = 1024


class _Holder(NamedTuple):
    """Who looks, as `InstrumentView` asks."""

    agent: int
