"""Listen on TCP: gather what came in one tick of the loop, answer it in one write each, run the steps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from simlab.live.engine.core import ENTERS, Core
from simlab.live.engine.registry import Client
from simlab.live.engine.store import Store
from simlab.live.listening import ACCEPTED, Listening
from simlab.live.protocol import Asked, Failure, LineReader, answering, decode, encode_all

__all__ = ["Server"]

_READ_BYTES = 48 * 1024
_SLICE_S = 0.003
_MOST_STEPS = 4096
_SOON_S = 0.001
_HARD = 32
"""A subscriber that reads nothing is dropped at so many times `limits.listener_bytes`: it may be the gateway,
which many depend on, and is busy for a while."""
_LOOKS = 16
"""Requests of one connection that only look, whose answers may be long, in one batch."""
_BEHIND_BYTES = 256 * 1024
"""With so much to be read a connection is not read from, and is not told what can be told later."""


class Connection(asyncio.BufferedProtocol):
    """One connection: bytes to requests, answers to bytes."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._reader = LineReader(server.core.settings.limits.message_bytes)
        self.client = Client(trusted=server.trusts)
        self.waiting = 0
        """Requests that have not been answered."""
        self.later: list[Asked | Failure] = []
        """What was read and is to be asked when what was asked before is answered."""
        self.ends = False
        """Whether the other side has sent all that it will."""

    def connection_made(self, transport: Any) -> None:
        self.transport: asyncio.Transport = transport
        transport.set_write_buffer_limits(high=_BEHIND_BYTES)
        self._server.came(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._server.left(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._server.buffer

    def buffer_updated(self, nbytes: int) -> None:
        lines = self._reader.feed(bytes(self._server.buffer[:nbytes]))
        if lines:
            self._ask([decode(line) for line in lines])

    def _ask(self, requests: list[Asked | Failure]) -> None:
        """Ask, but only so much at once that answers which may be long do not fill the memory."""
        looks = [n for n, it in enumerate(requests) if type(it) not in ENTERS]
        if len(looks) > _LOOKS:
            at = looks[_LOOKS]
            requests, self.later = requests[:at], requests[at:]
            self.transport.pause_reading()
        self._server.asked(self, requests)

    def go_on(self) -> None:
        """Ask what was put off, or read on, where the other side reads."""
        if self.client.behind:
            return
        if self.later:
            requests, self.later = self.later, []
            self._ask(requests)
        elif self.ends:
            if not self.waiting:
                self.transport.close()
        else:
            self.transport.resume_reading()

    def eof_received(self) -> bool:
        """Answer what was asked before the other side stopped sending, then close."""
        self.ends = True
        return self.waiting > 0 or bool(self.later)

    def pause_writing(self) -> None:
        self.client.behind = True
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.client.behind = False
        self._server.caught_up()
        self.go_on()


class Server:
    """The engine's loop.

    Parameters
    ----------
    core : Core
    trusts : bool
        Whether a connection may ask at once, without a token.
    store : Store
        What is on disk of the market.
    """

    def __init__(self, core: Core, store: Store, *, trusts: bool) -> None:
        self.core, self.store, self.trusts = core, store, trusts
        self.buffer = memoryview(bytearray(_READ_BYTES))
        self.connections: set[Connection] = set()
        self._by_client: dict[Client, Connection] = {}
        self._batch: list[tuple[Client, list[Asked | Failure] | None]] = []
        """What each connection asked, in the order in which it came; None for its end."""
        self._arrived_s = 0.0
        self._answering = False
        self._eager = True
        """Whether one asked at a time of late, so that the next is answered before others are heard."""
        self._heard = 0
        """Connections that asked in this turn of the loop."""
        self._under_way = False
        self._steps, self._decisions = 1, 1_000
        self._timer: asyncio.TimerHandle | asyncio.Handle | None = None
        self._due_s: float | None = None
        self._books: asyncio.TimerHandle | None = None
        self.failed: asyncio.Future[None] | None = None

    async def listen(self, host: str, port: int) -> str:
        """Begin to listen; return the address."""
        self._loop = asyncio.get_running_loop()
        self.failed = self._loop.create_future()
        listening = Listening("engine", host, port)
        self._server = await self._loop.create_server(
            lambda: Connection(self), sock=listening, backlog=ACCEPTED
        )
        self._schedule()
        return listening.address

    def close(self) -> None:
        """Stop listening, and close all connections."""
        self._server.close()
        self.store.stop_syncing()
        for timer in (self._timer, self._books):
            if timer is not None:
                timer.cancel()
        for connection in list(self.connections):
            connection.transport.close()
        if self._under_way:
            self._under_way = not self.core.floor.simulation.advance(self._until)
            self._reached()

    def came(self, connection: Connection) -> None:
        """Take a new connection, if there is room for it."""
        most = self.core.settings.limits.connections
        if len(self.connections) >= most:
            failure = Failure("LIMIT", f"there are {most} connections; close one, or come back later")
            connection.transport.write(encode_all([failure]))
            connection.transport.close()
            return
        self.connections.add(connection)
        self._by_client[connection.client] = connection
        self.core.connections = len(self.connections)

    def left(self, connection: Connection) -> None:
        """Take note that a connection is gone; what it asked is still done."""
        if connection not in self.connections:
            return
        self.connections.discard(connection)
        self.core.connections = len(self.connections)
        self._batch.append((connection.client, None))
        self._soon()

    def caught_up(self) -> None:
        """Take note that a connection reads again."""
        self._schedule_books()

    def asked(self, connection: Connection, requests: list[Asked | Failure]) -> None:
        """Queue requests; those that the queue has no room for are answered so, in their turn."""
        core, queue = self.core, self.core.settings.engine.queue
        entering = sum(map(ENTERS.__contains__, map(type, requests)))
        if core.queued + entering > queue and not self._under_way:
            self._answer()
        if not self._batch:
            self._arrived_s = time.perf_counter()
        connection.waiting += len(requests)
        if core.queued + entering <= queue:
            core.queued += entering
        else:
            requests = [self._queued(it, queue) for it in requests]
        self._batch.append((connection.client, requests))
        if self._under_way and connection.waiting > 2 * queue:
            connection.transport.pause_reading()
        self._heard += 1
        if self._eager and not self._under_way:
            self._answer()
            self._eager = False  # whoever asks in the same turn of the loop waits for its end
            self._heard = 1
            self._loop.call_soon(self._turned)
        else:
            self._soon()

    def _turned(self) -> None:
        """Be at once for whoever asks next, where nobody else asked in this turn of the loop."""
        if self._heard == 1:
            self._eager = True

    def _queued(self, request: Asked | Failure, queue: int) -> Asked | Failure:
        if type(request) not in ENTERS:
            return request
        if self.core.queued < queue:
            self.core.queued += 1
            return request
        self.core.meter.queue_full += 1
        failure = Failure("QUEUE_FULL", f"{queue} requests wait; send this one again a little later")
        return answering(request, failure)

    def _soon(self) -> None:
        if not self._answering and not self._under_way:
            self._answering = True
            self._loop.call_soon(self._answer)

    def _answer(self) -> None:
        """Answer all that came, unless a step is under way."""
        self._answering = False
        if self._under_way or not self._batch:
            return
        batch, self._batch = self._batch, []
        self._eager, self._heard = self._heard <= 1, 0
        self.core.queued = 0
        began_s = time.perf_counter()
        if not self._guarded(lambda: self._take(batch)):
            return
        done_s = time.perf_counter()
        self.write({client for client, _ in batch})
        meter = self.core.meter
        meter.leg("queue", began_s - self._arrived_s)
        meter.leg("match", done_s - began_s)
        meter.leg("journal", self.core.log.spent_s())
        meter.leg("total", time.perf_counter() - self._arrived_s)
        self._guarded(self._keep_up)
        self._schedule()

    def _keep_up(self) -> None:
        """Keep up what is on disk."""
        if self.core.over:
            self.store.end(self.core.kept)
        else:
            self.store.keep_up(self.core.kept)
            self.store.sync_soon(self._loop)

    def _take(self, batch: list[tuple[Client, list[Asked | Failure] | None]]) -> None:
        part: list[tuple[Client, list[Asked | Failure]]] = []
        for client, requests in batch:
            if requests is None:
                self.core.take(part)
                self.core.leave(client)
                self._by_client.pop(client, None)
                part = []
                continue
            part.append((client, requests))
            connection = self._by_client.get(client)
            if connection is not None:
                connection.waiting = 0
        self.core.take(part)

    def _guarded(self, work: Callable[[], None]) -> bool:
        """Do something that must not fail; if it does, the engine ends with the error, and says no more."""
        try:
            work()
        except BaseException as error:
            assert self.failed is not None
            if not self.failed.done():
                self.failed.set_exception(error)
            return False
        return True

    def write(self, clients: set[Client]) -> None:
        """Write what waits: answers first, then events, in one piece a connection."""
        for client in (*clients, *self.core.feed.subscribers):
            if client.answers or client.lines:
                self._write(client)

    def _write(self, client: Client) -> None:
        data = encode_all(client.answers) if client.answers else b""
        if client.lines:
            data += b"".join(client.lines)
            client.lines.clear()
        client.answers.clear()
        connection = self._by_client.get(client)
        if connection is None:
            return
        connection.transport.write(data)
        if client.behind and client.subscription is not None:
            self._bound(connection)
        elif connection.ends or not connection.transport.is_reading():
            self._loop.call_soon(connection.go_on)

    def _bound(self, connection: Connection) -> None:
        """Drop a subscriber that does not read."""
        most = self.core.settings.limits.listener_bytes * _HARD
        if connection.transport.get_write_buffer_size() > most:
            self.core.meter.dropped += 1
            connection.transport.abort()

    def _schedule(self) -> None:
        """See to it that the next step is run when it is due."""
        due_s, now_s = None, self._loop.time()
        if self._under_way:
            due_s = 0.0
        elif not self.core.over:
            due_s = self.core.pace.due_s(now_s)
        if due_s is not None and due_s <= now_s:
            due_s = 0.0
        if due_s != self._due_s or self._timer is None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._due_s = None, due_s
            if due_s is not None:
                self._timer = (
                    self._loop.call_at(due_s, self._turn) if due_s else self._loop.call_soon(self._turn)
                )
        self._schedule_books()

    def _turn(self) -> None:
        """Run steps that are due, for some milliseconds."""
        self._timer = None
        self._guarded(self._advance)
        if not self._under_way:
            self._answer()
            self._tell_books()  # the clock's turn for it may always come in the midst of a step
        if self.failed is None or not self.failed.done():
            self._schedule()

    def _advance(self) -> None:
        core = self.core
        simulation = core.floor.simulation
        if not self._under_way:
            steps = core.pace.take(self._loop.time(), self._steps)
            if not steps:
                return
            self._until = min(simulation.step + steps, simulation.spec.steps)
        core.begin()
        began_s, began = time.perf_counter(), simulation.step
        reached = simulation.advance(self._until, decisions=self._decisions)
        took_s = max(time.perf_counter() - began_s, 1e-6)
        scale = min(4.0, _SLICE_S / took_s)
        if reached:
            ran = max(1, simulation.step - began)
            self._steps = max(1, min(_MOST_STEPS, int(ran * scale)))
        else:
            self._decisions = max(16, min(1 << 20, int(self._decisions * scale)))
        core.meter.leg("step_slice", took_s)
        self._under_way = not reached
        if reached:
            self._reached()
            self._keep_up()

    def _reached(self) -> None:
        """Write down that a step was reached, then tell what happened in it."""
        self.core.floor.flush()
        self.core.settle()
        self.core.tell()

    def _schedule_books(self) -> None:
        """See to it that subscribers are told books when that is due; not in the midst of a step."""
        due_s = None if self._under_way else self._books_due_s()
        if due_s is None:
            return
        when_s = max(due_s, self._loop.time() + _SOON_S)
        if self._books is not None:
            if self._books.when() <= when_s:
                return
            self._books.cancel()
        self._books = self._loop.call_at(when_s, self._tell_books_on_time)

    def _books_due_s(self) -> float | None:
        return self.core.feed.due_s(self.core.floor.simulation.step)

    def _tell_books_on_time(self) -> None:
        self._books = None
        if not self._under_way:
            self._tell_books()
            self._schedule_books()

    def _tell_books(self) -> None:
        """Tell books that are due, and write what waits for subscribers."""
        due_s, now_s = self._books_due_s(), self._loop.time()
        if due_s is None or due_s > now_s or self._guarded(lambda: self.core.tell_books(now_s)):
            self.write(set())
