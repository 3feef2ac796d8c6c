"""The pooled client against a real engine: shared by threads and tasks, over connections that break."""

from __future__ import annotations

import asyncio
import inspect
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from engine_process import WAIT_S, Engine, Line

from simlab.errors import LiveError
from simlab.live import OrderBookClient
from simlab.live.client.tcp import AnswerLostError
from simlab.live.client.waits import Connect, Pause


def _client(address: str, **more: Any) -> OrderBookClient:
    host, port = address.rsplit(":", 1)
    return OrderBookClient(host, int(port), **more)


@pytest.fixture
def client(engine: Engine) -> Iterator[OrderBookClient]:
    with _client(engine.address) as opened:
        yield opened
        if opened.session_token is not None:
            opened.cancel_all()


def _until(holds: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline_s
        threading.Event().wait(0.005)


class Middle:
    """Stands between clients and an engine; cuts a connection before an answer as often as it is told."""

    def __init__(self, address: str, port: int = 0) -> None:
        host, engine_port = address.rsplit(":", 1)
        self._engine = (host, int(engine_port))
        self._listener = socket.create_server(("127.0.0.1", port))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self.cuts = 0
        self.opened: list[socket.socket] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._engine)
            self.opened += [near, far]
            threading.Thread(target=self._ask, args=(near, far), daemon=True).start()
            threading.Thread(target=self._answer, args=(near, far), daemon=True).start()

    def _ask(self, near: socket.socket, far: socket.socket) -> None:
        try:
            while data := near.recv(1 << 16):
                far.sendall(data)
        except OSError:
            pass
        self._shut(near, far)

    def _answer(self, near: socket.socket, far: socket.socket) -> None:
        try:
            while data := far.recv(1 << 16):
                if self.cuts:
                    self.cuts -= 1
                    break
                near.sendall(data)
        except OSError:
            pass
        self._shut(near, far)

    def _shut(self, *sockets: socket.socket) -> None:
        for it in sockets:
            with suppress(OSError):
                it.shutdown(socket.SHUT_RDWR)

    def break_all(self) -> None:
        self._shut(*self.opened)

    def close(self) -> None:
        self._shut(self._listener)
        self._listener.close()
        self.break_all()
        for it in self.opened:
            it.close()


@contextmanager
def _middle(address: str) -> Iterator[Middle]:
    middle = Middle(address)
    try:
        yield middle
    finally:
        middle.close()


def test_threads_and_tasks_share_one_account(client: OrderBookClient) -> None:
    def by_threads(n: int) -> list[dict[str, Any]]:
        return [client.add_order(1, "SELL", "LIMIT", 10_100 + 5 * n, 1) for _ in range(10)]

    async def by_tasks() -> list[dict[str, Any]]:
        return await asyncio.gather(
            *(client.aio.add_order(1, "buy", "limit", 9_900 - 5 * (n % 10), 1) for n in range(60))
        )

    with ThreadPoolExecutor(6) as threads:
        sold = threads.map(by_threads, range(6))
        answers = [*asyncio.run(by_tasks()), *(it for each in sold for it in each)]
    assert {it["status"] for it in answers} == {"success"}
    assert len({it["order_id"] for it in answers}) == 120
    orders = client.ask("orders")["orders"]
    assert sum(it["remaining"] for it in orders) == 120
    assert client.cancel_all()["cancelled"] == 120


def test_an_order_outlives_its_connection_and_another_cancels_it(engine: Engine) -> None:
    with _middle(engine.address) as middle, _client(middle.address) as client:
        order_id = client.add_order(1, "buy", "limit", 9_000, 3)["order_id"]
        middle.break_all()
        assert client.replace_order(1, order_id, quantity=2)["remaining"] == 2
        middle.break_all()
        assert client.cancel_order(1, order_id)["cancelled"] == 2


@pytest.mark.parametrize("cuts", [1, 3])
def test_an_order_whose_answer_was_lost_is_entered_once(engine: Engine, cuts: int) -> None:
    with _middle(engine.address) as middle, _client(middle.address) as client:
        client.add_order(1, "buy", "limit", 9_000, 1)
        middle.cuts = cuts
        answer = client.add_order(1, "buy", "limit", 9_005, 2)
        assert (answer["status"], answer["duplicate"], middle.cuts) == ("success", True, 0)
        assert [it["qty"] for it in client.ask("orders")["orders"]] == [1, 2]
        middle.cuts = cuts
        assert asyncio.run(client.aio.add_order(1, "buy", "limit", 9_010, 3))["duplicate"]
        assert client.cancel_all()["cancelled"] == 3


def test_a_registration_whose_answer_was_lost_is_made_anew(engine: Engine) -> None:
    with _middle(engine.address) as middle, _client(middle.address) as client:
        middle.cuts = 1
        assert client.add_order(1, "buy", "limit", 9_000, 1)["status"] == "success"
        assert client.cancel_all()["cancelled"] == 1


def test_what_could_do_harm_twice_is_not_sent_twice(engine: Engine) -> None:
    with _middle(engine.address) as middle, _client(middle.address) as client:
        before = client.ask("news", limit=1)["news"]
        middle.cuts = 1
        with pytest.raises(AnswerLostError, match=r"publish was sent .* may or may not"):
            client.ask("publish", headline="Once")
        after = client.ask("news", limit=2)["news"]
        assert ["Once", *(it["headline"] for it in before)] == [it["headline"] for it in after][:2]


def test_connections_are_kept_up_to_a_number_and_closed_when_idle(engine: Engine, line: Line) -> None:
    def opened() -> int:
        return int(line.ask("metrics")["connections"])

    _until(lambda: opened() == 1)
    with _client(engine.address, max_connections=2, idle_timeout=0.3) as client:

        async def ask() -> None:
            await asyncio.gather(*(client.aio.ping() for _ in range(8)))

        asyncio.run(ask())
        assert opened() <= 8 + 1
        _until(lambda: opened() == 1)
        assert client.ping()["status"] == "success"
    with _client(engine.address, use_pooling=False) as alone:
        assert alone.ping()["status"] == "success"
        _until(lambda: opened() == 1)


def test_a_cancelled_task_leaves_no_answer_to_another(engine: Engine, client: OrderBookClient) -> None:
    async def ask() -> dict[str, Any]:
        task = asyncio.create_task(client.aio.get_snapshot(1))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return await client.aio.ping()

    assert asyncio.run(ask())["pid"] == engine.pid


def test_it_waits_for_an_engine_that_starts_and_gives_up_on_one_that_does_not(engine: Engine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with _client(f"127.0.0.1:{port}", connection_timeout=0.3) as client:
        with pytest.raises(LiveError, match=rf"nobody answers at 127.0.0.1:{port}"):
            client.ping()
        with pytest.raises(LiveError, match="nobody answers"):
            asyncio.run(client.aio.ping())
    with _client(f"127.0.0.1:{port}", connection_timeout=WAIT_S) as client, ThreadPoolExecutor(1) as thread:
        answer = thread.submit(client.ping)
        middle = Middle(engine.address, port)
        try:
            assert answer.result(WAIT_S)["pid"] == engine.pid
        finally:
            middle.close()


def test_it_is_called_as_the_original_is_and_waits_longer_each_time() -> None:
    wanted = {"host": "localhost", "port": 9999, "use_pooling": True, "max_connections": 5}
    wanted |= {"connection_timeout": 5.0, "idle_timeout": 30.0}
    parameters = inspect.signature(OrderBookClient).parameters
    assert list(wanted)[:5] == list(parameters)[:5]
    assert {name: parameters[name].default for name in wanted} == wanted
    with OrderBookClient("localhost", 1, False, 0, 1e6) as client:
        steps, paused_s = client.steps_of("ping", {}), list[float]()
        step = next(steps)
        while len(paused_s) < 10:
            if isinstance(step, Pause):
                paused_s.append(step.seconds)
                step = next(steps)
            else:
                assert isinstance(step, Connect)
                step = steps.throw(ConnectionRefusedError())
    longest = [min(1.0, 0.02 * 2**n) for n in range(10)]
    assert all(most / 2 <= it <= most for it, most in zip(paused_s, longest, strict=True))


def test_an_agent_can_be_gone_on_with_and_is_nobody_elses(engine: Engine, client: OrderBookClient) -> None:
    order_id = client.add_order(1, "buy", "limit", 9_000, 1)["order_id"]
    known = {"agent_id": client.agent_id, "session_token": client.session_token}
    with _client(engine.address, **known) as again, _client(engine.address) as other:
        assert [it["order_id"] for it in again.ask("orders")["orders"]] == [order_id]
        other.add_order(1, "buy", "limit", 9_000, 1)
        assert other.cancel_order(1, order_id)["code"] == "NOT_YOURS"
        other.cancel_all()
    with _client(engine.address, **known | {"session_token": "wrong"}) as thief:
        assert thief.add_order(1, "buy", "limit", 9_000, 1)["code"] == "BAD_TOKEN"


def test_what_is_of_one_connection_is_refused(client: OrderBookClient) -> None:
    with pytest.raises(LiveError, match=r"subscribe is of one connection.* use simlab\.live\.Client"):
        client.ask("subscribe")
