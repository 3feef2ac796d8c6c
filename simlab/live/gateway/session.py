"""Serve one client: its messages to requests, the engine's answers to its answers; no socket is known."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from simlab.live import messages, told
from simlab.live.gateway import trading
from simlab.live.gateway.events import AccountAnswer, AgentRow
from simlab.live.gateway.hub import Hub, Listener, Wish, frame
from simlab.live.gateway.inside import InsideAgents
from simlab.live.gateway.link import Answered, EngineAwayError, Link, RefusedError
from simlab.live.gateway.market import Market
from simlab.live.gateway.metrics import Latency
from simlab.live.gateway.units import OffGridError
from simlab.live.messages import BadMessageError, decode, encode

__all__ = ["Room", "Session"]


class _AgentAnswer(Struct):
    """What matters of the engine's answer to who registers."""

    status: str
    code: str = ""
    message: str = ""
    agent: AgentRow | None = None
    session_token: str = ""
    resumed: bool = False


class _OrdersAnswer(Struct):
    status: str
    code: str = ""
    message: str = ""
    orders: list[trading.OrderRow] = []


_agent_answer = msgspec.json.Decoder(_AgentAnswer).decode
_account_answer = msgspec.json.Decoder(AccountAnswer).decode
_orders_answer = msgspec.json.Decoder(_OrdersAnswer).decode


class Room:
    """What all sessions share: the market as it is known, the link, the hub, who holds which agent."""

    def __init__(self, market: Market, link: Link, hub: Hub, latency: Latency, interval_ms: int) -> None:
        self.market, self.link, self.hub, self.latency = market, link, hub, latency
        self.inside = InsideAgents(market, link, hub)
        self.interval_ms = interval_ms
        """Shortest interval of what is told in intervals."""
        self.sessions: dict[int, Session] = {}
        self.holders: dict[str, Session] = {}
        """Who holds an agent, by its id."""
        self.unsettled: set[Session] = set()
        """Sessions with answers that are not written yet."""
        self._number = 0

    def open(self, listener: Listener) -> Session:
        """Let a client in, and tell it what there is."""
        self._number += 1
        session = self.sessions[self._number] = Session(self, self._number, listener)
        session.greet()
        return session

    def settle(self) -> None:
        """Write what answers wait, one write a client."""
        while self.unsettled:
            self.unsettled.pop().write()

    def reopen(self) -> None:
        """Take the agents of all clients again, after the engine was away."""
        for session in self.sessions.values():
            session.reopen()


class Session:
    """One client.

    Parameters
    ----------
    room : Room
        What it shares with the others.
    number : int
        Its number on the engine's wire.
    listener : Listener
        Where its bytes go.
    """

    def __init__(self, room: Room, number: int, listener: Listener) -> None:
        self.room, self.number, self.listener = room, number, listener
        self.wish = Wish(room.interval_ms)
        self.agents: dict[str, tuple[str, bool]] = {}
        """Of the agents it holds, by id: token, and whether their orders go when it does."""
        self._waiting: list[bytes] = []
        self._asks_account = False

    def greet(self) -> None:
        """Tell what there is, and from now on what happens."""
        self._waiting += self.room.hub.greeting(self.wish)
        self.room.unsettled.add(self)
        self.room.hub.join(self.listener, self.wish)

    def close(self) -> None:
        """Let go of everything; the engine keeps the agents for whoever has their tokens."""
        room = self.room
        room.hub.leave(self.listener, self.wish)
        del room.sessions[self.number]
        room.unsettled.discard(self)
        for agent_id in self.agents:
            if room.holders.get(agent_id) is self:
                del room.holders[agent_id]
        if room.link.up:
            self._ask_own({"action": "close_session"}, lambda line: None)

    def ask(self, request: dict[str, Any], answered: Answered) -> None:
        """Put what this client asks to the engine."""
        request["session"] = self.number
        self.room.link.forward(request, answered)

    def _ask_own(self, request: dict[str, Any], answered: Answered) -> None:
        """Put to the engine what the gateway asks in this client's name."""
        request["session"] = self.number
        self.room.link.ask(request, answered)

    def tell(self, message: told.Told) -> None:
        """Put down an answer; it is written when all that came with it has been handled."""
        self._waiting.append(frame(encode(message)))
        self.room.unsettled.add(self)

    def write(self) -> None:
        """Write what waits."""
        if self._waiting:
            self.listener.write(b"".join(self._waiting))
            self._waiting.clear()

    def receive(self, data: bytes) -> None:
        """Handle one message; whatever is wrong with it is answered."""
        message = None
        try:
            message = decode(data)
            _HANDLERS[type(message)](self, message)
        except BadMessageError as wrong:
            self._malformed(wrong)
        except (EngineAwayError, RefusedError) as error:
            self._fail(message, error)

    def reopen(self) -> None:
        """Take its agents again, by their tokens."""
        for agent_id, (token, cancel) in self.agents.items():
            request: dict[str, Any] = {"action": "register", "agent_id": agent_id, "session_token": token}
            request["cancel_on_disconnect"] = cancel
            self._ask_own(request, partial(self._registered, None, agent_id, cancel))

    def ask_account(self) -> None:
        """Have its own account told, once however many fills there were."""
        if not self._asks_account and self.room.link.up:
            self._asks_account = True
            self._ask_own({"action": "account"}, partial(self._portfolio, messages.GetPortfolio()))

    def _malformed(self, wrong: BadMessageError) -> None:
        if isinstance(wrong.code, int):
            trading.refuse_order(
                self,
                wrong.code,
                str(wrong),
                reason=wrong.reason,
                client_id=wrong.client_id,
                field=wrong.field,
                order_id=wrong.order_id,
            )
        else:
            self.tell(told.Error(str(wrong), wrong.code, wrong.field, wrong.request))

    def _fail(self, message: Any, error: EngineAwayError | RefusedError) -> None:
        """Answer a request that could not be put to the engine, or to which no answer came."""
        if not trading.fail(self, message, error):
            code = "ENGINE_AWAY" if isinstance(error, EngineAwayError) else error.code
            self.tell(told.Error(str(error), code, request=message.__struct_config__.tag))

    def _agent_register(self, message: messages.AgentRegister) -> None:
        request: dict[str, Any] = {"action": "register", "name": message.name}
        for name in ("agent_id", "personality", "session_token"):
            value = getattr(message, name)
            if value is not None:
                request[name] = value
        if message.starting_capital is not None:
            request["starting_capital"] = self._money(message.starting_capital)
        if message.cancel_on_disconnect:
            request["cancel_on_disconnect"] = True
        self.ask(request, partial(self._registered, message, message.agent_id, message.cancel_on_disconnect))

    def _money(self, currency: float) -> int:
        try:
            return self.room.market.money.units(currency)
        except OffGridError as error:
            raise BadMessageError(
                f"starting_capital {error}",
                code="BAD_REQUEST",
                field="starting_capital",
                request="agent_register",
            ) from None

    def _registered(
        self, message: messages.AgentRegister | None, agent_id: str | None, cancel: bool, line: bytes | None
    ) -> None:
        """Take in an agent; without a message it is one that was taken again by its token."""
        if line is None:
            if message is not None:
                self._fail(message, EngineAwayError(sent=True))
            return
        answer = _agent_answer(line)
        row = answer.agent
        if answer.status != "success" or row is None or row.agent_id is None:
            self.tell(told.Error(answer.message, answer.code, None, "agent_register", agent_id))
            return
        room = self.room
        if self.number not in room.sessions:
            return  # the client went away meanwhile; its session is closed behind this
        former = room.holders.get(row.agent_id)
        if former is not None and former is not self:
            former.agents.pop(row.agent_id, None)
        room.holders[row.agent_id] = self
        room.market.agents[row.agent_id] = row
        self.agents[row.agent_id] = answer.session_token, cancel
        agent = room.market.agent(row)
        self.tell(told.AgentRegistered(row.agent_id, answer.session_token, agent, answer.resumed))
        self.tell(room.market.portfolio(row))
        room.hub.agents_changed()

    def _get_portfolio(self, message: messages.GetPortfolio) -> None:
        request = {"action": "account"}
        if message.agent_id is not None:
            request["agent_id"] = message.agent_id
        self.ask(request, partial(self._portfolio, message))

    def _portfolio(self, message: messages.GetPortfolio, line: bytes | None) -> None:
        self._asks_account = False
        if line is None:
            self._fail(message, EngineAwayError(sent=True))
            return
        answer = _account_answer(line)
        if answer.status != "success":
            error = told.Error(answer.message, answer.code, "agent_id", "get_portfolio", message.agent_id)
            self.tell(error)
        else:
            self.tell(self.room.market.portfolio(answer))

    def _get_orders(self, message: messages.GetOrders) -> None:
        request = {"action": "orders"}
        if message.agent_id is not None:
            request["agent_id"] = message.agent_id
        self.ask(request, partial(self._orders, message))

    def _orders(self, message: messages.GetOrders, line: bytes | None) -> None:
        if line is None:
            self._fail(message, EngineAwayError(sent=True))
            return
        answer = _orders_answer(line)
        if answer.status != "success":
            self.tell(told.Error(answer.message, answer.code, "agent_id", "get_orders", message.agent_id))
        else:
            self.tell(told.Orders(trading.orders_of(self.room.market, answer.orders), message.agent_id))

    def _decision(self, message: messages.Decision) -> None:
        fields = msgspec.to_builtins(message)
        del fields["type"]
        fields |= {"done": fields["action"], "action": "decided"}
        self.ask(fields, partial(self._decided, message))

    def _decided(self, message: messages.Decision, line: bytes | None) -> None:
        answer = _agent_answer(line) if line is not None else None
        if answer is not None and answer.status != "success":
            self.tell(told.Error(answer.message, answer.code, None, "decision", message.agent_id))

    def _subscribe(self, message: messages.Subscribe) -> None:
        room = self.room
        shortest_ms = room.interval_ms
        interval_ms = shortest_ms if message.interval_ms is None else message.interval_ms
        if interval_ms < shortest_ms:
            raise _unwanted("interval_ms", f"{interval_ms} is too short; use {shortest_ms} or more")
        symbols = None if message.symbol_ids is None else frozenset(message.symbol_ids)
        unknown = (symbols or frozenset()) - room.market.listed.keys()
        if unknown:
            known = ", ".join(map(str, room.market.listed))
            raise _unwanted("symbol_ids", f"there is no instrument {min(unknown)}; those known are {known}")
        room.hub.leave(self.listener, self.wish)
        self.wish = Wish(interval_ms, frozenset(message.channels), symbols)
        channels = [it for it in messages.CHANNELS if it in self.wish.channels]
        self.tell(told.Subscribed(channels, message.symbol_ids, interval_ms))
        if self.wish.channels & {"orderbooks", "depth"}:
            self._waiting.append(room.hub.books(self.wish))
        room.hub.join(self.listener, self.wish)

    def _ping(self, message: messages.Ping) -> None:
        self.tell(told.Pong())


def _unwanted(field: str, said: str) -> BadMessageError:
    return BadMessageError(
        f"subscribe: {field}: {said}", code="BAD_REQUEST", field=field, request="subscribe"
    )


_HANDLERS: dict[type, Callable[[Session, Any], None]] = {
    messages.AddOrder: trading.add_order,
    messages.ReplaceOrder: trading.replace_order,
    messages.CancelOrder: trading.cancel_order,
    messages.CancelAll: trading.cancel_all,
    messages.AgentRegister: Session._agent_register,
    messages.GetPortfolio: Session._get_portfolio,
    messages.GetOrders: Session._get_orders,
    messages.Decision: Session._decision,
    messages.Subscribe: Session._subscribe,
    messages.Ping: Session._ping,
}
