"""Ask the engine over a pool of TCP connections, from threads and from tasks alike.

Sockets belong to no thread and no loop between two commands, so that all share one pool.
"""

from __future__ import annotations

import random
import secrets
import socket
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Coroutine
from itertools import count
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import msgspec

from simlab.errors import LiveError
from simlab.live.client.waits import Connect, Pause, Receive, Send, Steps, block, later
from simlab.live.protocol import LineReader, encode

__all__ = ["AnswerLostError", "Commands", "OrderBookClient"]

Answer = dict[str, Any]
A = TypeVar("A")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 1.0
_TRIES = 5
"""How often a command whose answer was lost is asked for again."""
_LONGEST_LINE = 1 << 26
_REPEATABLE = frozenset(
    ("account", "agents", "cancel", "candles", "list_instruments", "metrics", "news", "orders", "pause",
     "ping", "resume", "snapshot", "speed", "trades")
)  # fmt: skip
"""What is done twice as if once. An order is too, as it has an id."""
_TRADES = frozenset(("account", "add", "cancel", "cancel_all", "orders", "replace"))
"""What is done for the client's agent."""
_OF_ONE_CONNECTION = frozenset(("close_session", "hello", "register", "subscribe"))


class AnswerLostError(LiveError):
    """Report a command that was sent, and whose answer was lost with its connection."""


class _BrokenError(OSError):
    """Stands for a connection that the other side closed."""


class _Connection:
    """One connection, which answers in the order in which it is asked."""

    def __init__(self, opened: socket.socket, greeting: list[Answer]) -> None:
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket = opened
        self._reader = LineReader(_LONGEST_LINE)
        self.greeting = greeting
        """What is to be said first, and answered with success."""
        self.trades = False
        """Whether it spoke for the client's agent already."""
        self.welcome = True
        """Whether the engine took what it said first."""
        self.used_s = time.monotonic()

    def ask(self, request: Answer, timeout_s: float) -> Steps[Answer]:
        """Send a request and wait for its answer, or for that of a greeting that failed."""
        said = [*self.greeting, request]
        self.greeting = []
        yield Send(self._socket, b"".join(map(encode, said)), timeout_s)
        answers: list[Answer] = []
        while len(answers) < len(said):
            data = yield Receive(self._socket, timeout_s)
            if not data:
                raise _BrokenError("the connection was closed before the answer came")
            answers += [
                msgspec.json.decode(line) for line in self._reader.feed(data) if isinstance(line, bytes)
            ]
        self.used_s = time.monotonic()
        refused = [it for it in answers[:-1] if it.get("status") != "success"]
        self.welcome = not refused
        return refused[0] if refused else answers[-1]

    def works(self) -> bool:
        """Whether the other side has neither closed the connection nor said what nobody asked for."""
        try:
            self._socket.setblocking(False)
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def close(self) -> None:
        """Close it."""
        self._socket.close()


class _Pool:
    """Connections that nobody uses now, the latest used last; those idle for too long are closed."""

    def __init__(self, most: int, idle_timeout_s: float) -> None:
        self._most, self._idle_timeout_s = most, idle_timeout_s
        self._idle: deque[_Connection] = deque()
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._idle)

    def take(self) -> _Connection | None:
        """Return a connection that works, or None."""
        while True:
            with self._lock:
                if not self._idle:
                    return None
                found = self._idle.pop()
            if time.monotonic() - found.used_s < self._idle_timeout_s and found.works():
                return found
            found.close()

    def give_back(self, connection: _Connection) -> None:
        """Keep a connection, unless there are enough."""
        with self._lock:
            if self._closed or len(self._idle) >= self._most:
                connection.close()
                return
            self._idle.append(connection)
            self._look_later()

    def _look_later(self) -> None:
        if self._timer is None and self._idle:
            due_s = self._idle[0].used_s + self._idle_timeout_s
            self._timer = threading.Timer(max(0.01, due_s - time.monotonic()), self._look)
            self._timer.daemon = True
            self._timer.start()

    def _look(self) -> None:
        """Close what was idle for too long."""
        with self._lock:
            self._timer = None
            oldest_s = time.monotonic() - self._idle_timeout_s
            for connection in [it for it in self._idle if it.used_s <= oldest_s]:
                self._idle.remove(connection)
                connection.close()
            self._look_later()

    def close(self) -> None:
        """Close all, and those that are given back later."""
        with self._lock:
            self._closed = True
            if self._timer is not None:
                self._timer.cancel()
            while self._idle:
                self._idle.pop().close()


class Commands(ABC, Generic[A]):
    """What the engine can be asked; every answer is a dict as it came over the wire.

    Its ``status`` is ``success``, or ``error`` with a ``code`` and a ``message``.
    """

    @abstractmethod
    def ask(self, action: str, **fields: Any) -> A:
        """Ask anything of the wire that is not of one connection; docs/live.md lists it."""

    def add_order(
        self, symbol_id: int, side: int | str, order_type: str, price: int | None, quantity: int, **more: Any
    ) -> A:
        """Enter an order; price units, lots.

        Parameters
        ----------
        symbol_id : int
        side : {"buy", "sell"}
        order_type : {"limit", "market"}
        price : int or None
            None for a market order.
        quantity : int
        **more
            ``id``, ``time_in_force``, ``post_only``. Without an ``id`` the client gives one, so that an order
            is entered once whatever becomes of connections.
        """
        spoken = {name: it.lower() if isinstance(it, str) else it for name, it in
                  (("side", side), ("type", order_type))}  # fmt: skip
        return self.ask(
            "add", order={"symbol_id": symbol_id, **spoken, "price": price, "qty": quantity, **more}
        )

    def cancel_order(self, symbol_id: int, order_id: int) -> A:
        """Cancel an order."""
        return self.ask("cancel", order={"symbol_id": symbol_id, "order_id": order_id})

    def replace_order(
        self, symbol_id: int, order_id: int, *, price: int | None = None, quantity: int | None = None
    ) -> A:
        """Give an order another price or quantity."""
        order = {"symbol_id": symbol_id, "order_id": order_id, "price": price, "qty": quantity}
        return self.ask("replace", order=order)

    def cancel_all(self, symbol_id: int | None = None) -> A:
        """Cancel all orders, in one instrument or in all."""
        return self.ask("cancel_all", symbol_id=symbol_id)

    def get_snapshot(self, symbol_id: int, depth: int = 10) -> A:
        """Return the best levels of an instrument's book."""
        return self.ask("snapshot", symbol_id=symbol_id, depth=depth)

    def ping(self) -> A:
        """Return a sign of life."""
        return self.ask("ping")


class OrderBookClient(Commands[Answer]):
    """A client of the engine that threads and tasks may share.

    Each command has a connection for itself, from the pool or new beside it. All trade for one agent, which
    is registered with the first order: orders do not end with a connection. A command whose answer was lost
    is sent again only where that does no harm: orders have an id, under which they are entered once.

    Parameters
    ----------
    host, port
        Where the engine listens.
    use_pooling : bool
        Whether connections are kept.
    max_connections : int
        How many are kept.
    connection_timeout : float
        How long to try to connect, s; between two attempts it waits twice as long each time.
    answer_timeout : float
        How long to wait for an answer, s.
    idle_timeout : float
        After which a connection that nobody used is closed, s.
    agent_id, session_token : str, optional
        An agent to go on with; `agent_id` and `session_token` say later which it is.
    token : str, optional
        What the market asks of everybody, where it asks for one.

    Attributes
    ----------
    aio : Commands
        The same commands, to be awaited: ``await client.aio.ping()``.

    Raises
    ------
    AnswerLostError
        By a command that may or may not have been done.
    LiveError
        By any, where the engine cannot be reached; nothing was done then.
    """

    def __init__(
        self,
        host: str = "localhost",
        port: int = 9999,
        use_pooling: bool = True,
        max_connections: int = 5,
        connection_timeout: float = 5.0,
        *,
        answer_timeout: float = 30.0,
        idle_timeout: float = 30.0,
        agent_id: str | None = None,
        session_token: str | None = None,
        token: str | None = None,
    ) -> None:
        self._address = host, port
        self._connection_timeout_s, self._answer_timeout_s = connection_timeout, answer_timeout
        self._pool = _Pool(max_connections if use_pooling else 0, idle_timeout)
        self.agent_id, self.session_token = agent_id, session_token
        self._hello: list[Answer] = [] if token is None else [{"action": "hello", "token": token}]
        self._registering = threading.Lock()
        self._ids, self._prefix = count(), secrets.token_hex(6)
        self.aio: Commands[Awaitable[Answer]] = _AsyncCommands(self)

    def ask(self, action: str, **fields: Any) -> Answer:
        """Ask anything of the wire; see `Commands.ask`."""
        return block(self.steps_of(action, fields))

    def steps_of(self, action: str, fields: Answer) -> Steps[Answer]:
        """Return what is to be done to have a request answered."""
        if action in _OF_ONE_CONNECTION:
            raise LiveError(
                f"{action} is of one connection, and this client has several; use simlab.live.Client, or a"
                " socket of your own"
            )
        request = {"action": action} | {name: it for name, it in fields.items() if it is not None}
        if isinstance(request.get("order"), dict):
            request["order"] = {name: it for name, it in request["order"].items() if it is not None}
        if action == "add":
            request["order"].setdefault("id", f"{self._prefix}-{next(self._ids)}")
        return self._answered(request)

    def _answered(self, request: Answer) -> Steps[Answer]:
        action = request["action"]
        trades = action in _TRADES
        if trades:
            if self.session_token is None:
                yield from self._register()
            holder = request["order"] if isinstance(request.get("order"), dict) else request
            holder.setdefault("agent_id", self.agent_id)
        repeatable = action in _REPEATABLE or action == "add"
        for left in range(_TRIES)[::-1]:
            connection = yield from self._connection()
            try:
                return (yield from self._asked(connection, request, trades=trades))
            except OSError as error:
                if not (repeatable and left):
                    raise AnswerLostError(
                        f"{action} was sent and its answer did not come ({error}); it may or may not have"
                        " been done: look with `orders`, `account` or `agents`"
                    ) from error
        raise AssertionError

    def _asked(self, connection: _Connection, request: Answer, *, trades: bool) -> Steps[Answer]:
        """Ask over a connection, which is kept if all went well."""
        if trades and not connection.trades:
            connection.trades = True
            connection.greeting.append(self._registration(join=True))
        try:
            answer = yield from connection.ask(request, self._answer_timeout_s)
        except BaseException:
            connection.close()
            raise
        if connection.welcome:
            self._pool.give_back(connection)
        else:
            connection.close()
        return answer

    def _registration(self, **more: Any) -> Answer:
        known = {"agent_id": self.agent_id, "session_token": self.session_token, **more}
        return {"action": "register"} | {name: it for name, it in known.items() if it is not None}

    def _register(self) -> Steps[None]:
        """Have an agent, once."""
        while not self._registering.acquire(blocking=False):
            yield Pause(0.002)
        try:
            while self.session_token is None:
                connection = yield from self._connection()
                self.agent_id = self.agent_id or f"client-{secrets.token_hex(6)}"
                try:
                    answer = yield from self._asked(connection, self._registration(), trades=False)
                except OSError:
                    self.agent_id = None  # it may have a token that is not known
                    continue
                if answer["status"] != "success":
                    raise LiveError(f"the market has no agent for this client: {answer['message']}")
                self.session_token = answer["session_token"]
                connection.trades = True
        finally:
            self._registering.release()

    def _connection(self) -> Steps[_Connection]:
        """Return a connection from the pool, or a new one."""
        found = self._pool.take()
        if found is not None:
            return found
        host, port = self._address
        pause_s, until_s = _FIRST_PAUSE_S, time.monotonic() + self._connection_timeout_s
        while True:
            try:
                opened = yield Connect(host, port, max(0.01, until_s - time.monotonic()))
                return _Connection(opened, list(self._hello))
            except OSError as error:
                if time.monotonic() + pause_s >= until_s:
                    raise LiveError(
                        f"nobody answers at {host}:{port} ({error}); start `simlab live`, or give its address"
                    ) from error
            yield Pause(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def close(self) -> None:
        """Close all connections; the agent and its orders stay."""
        self._pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _AsyncCommands(Commands[Awaitable[Answer]]):
    """The asyncio face of a client."""

    def __init__(self, client: OrderBookClient) -> None:
        self._client = client

    def ask(self, action: str, **fields: Any) -> Coroutine[Any, Any, Answer]:
        """Ask anything of the wire; see `Commands.ask`."""
        return later(self._client.steps_of(action, fields))
