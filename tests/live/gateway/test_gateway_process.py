"""The gateway as a process: who may come in, who is dropped, what it outlives, and how it ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway_market import MARKET, WAIT_S, Market, Part, market_of, write
from websockets.exceptions import ConnectionClosedError, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect

from simlab.live.listening import Listening

TOKEN = "a-token-of-the-tests"


def _until(what: Callable[[], Any]) -> Any:
    """Wait until something is true, and return it."""
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.01)
    raise TimeoutError("it did not come true")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _status(address: str, path: str = "/ws", **headers: str) -> int:
    """Return with what status a WebSocket is taken or refused."""
    try:
        with connect(f"ws://{address}{path}", proxy=None, additional_headers=headers):
            return 101
    except InvalidStatus as refused:
        return refused.response.status_code


def test_pages_of_other_origins_and_other_names_are_kept_out(market: Market) -> None:
    address, port = market.gateway.address, market.gateway.port
    assert _status(address) == 101
    assert _status(address, Origin=f"http://{address}") == 101
    for origin in (
        "https://evil.example",
        f"http://evil.example:{port}",
        "http://localhost:1",
        "null",
        "http://[",
    ):
        assert _status(address, Origin=origin) == 403
    assert _status(address, path="/elsewhere") == 404
    for host, status in (
        (f"localhost:{port}", 200),
        (f"127.0.0.1:{port}", 200),
        ("evil.example", 421),
        ("", 421),
    ):
        assert market.http.get("/health", headers={"Host": host}).status_code == status
    allowed = market.http.get("/health", headers={"Origin": f"http://{address}"})
    assert allowed.status_code == 200
    assert "access-control-allow-origin" not in allowed.headers
    assert (
        market.http.post("/api/market/pause", headers={"Origin": "https://evil.example"}).status_code == 403
    )


def test_a_token_is_asked_of_websocket_and_rest_alike(market: Market, tmp_path: Path) -> None:
    gateway = Part(
        "gateway",
        write(tmp_path, MARKET),
        f"live.engine.port={market.engine.port}",
        "live.gateway.token_env=SIMLAB_TEST_TOKEN",
        SIMLAB_TEST_TOKEN=TOKEN,
    )
    try:
        address = gateway.ready().address
        right, wrong = {"Authorization": f"Bearer {TOKEN}"}, {"Authorization": "Bearer of-another"}
        assert [_status(address), _status(address, **wrong), _status(address, **right)] == [401, 401, 101]
        assert _status(address, path=f"/ws?token={TOKEN}") == 101
        for path in ("/health", "/metrics", "/api/agents", "/openapi.json"):
            for headers, status in (({}, 401), (wrong, 401), (right, 200)):
                answer = httpx.get(f"http://{address}{path}", headers=headers)
                assert answer.status_code == status
                assert TOKEN not in answer.text
    finally:
        gateway.kill()


def test_a_token_that_is_not_set_is_an_error(market: Market, tmp_path: Path) -> None:
    gateway = Part("gateway", write(tmp_path, MARKET), "live.gateway.token_env=SIMLAB_NO_SUCH_TOKEN")
    try:
        assert gateway.process.wait(WAIT_S) == 2
    finally:
        gateway.kill()


def test_a_port_that_is_taken_is_an_error(market: Market, tmp_path: Path) -> None:
    gateway = Part("gateway", write(tmp_path, MARKET), f"live.gateway.port={market.gateway.port}")
    try:
        assert gateway.process.wait(WAIT_S) == 2
    finally:
        gateway.kill()


def test_a_full_queue_is_code_1006(tmp_path: Path) -> None:
    with market_of(write(tmp_path, MARKET), "live.engine.queue=2") as small, small.client() as client:
        order = {"type": "add_order", "symbol_id": 1, "side": "buy", "price": 0.5, "quantity": 1}
        frames = [Frame(Opcode.TEXT, json.dumps(order).encode()).serialize(mask=True) for _ in range(60)]
        client.socket.socket.sendall(b"".join(frames))  # in one piece, as a fast sender's come
        answers = [client.wait("order_response") for _ in range(60)]
        full = [it for it in answers if it["status"] == "error"]
        assert {(it["code"], it["reason"]) for it in full} == {(1006, "QUEUE_FULL")}
        assert client.ask("cancel_response", type="cancel_all")["cancelled"] == 60 - len(full)


def test_what_one_client_may_send_has_bounds(market: Market, tmp_path: Path) -> None:
    limits = ["live.limits.messages_per_second=20", "live.limits.connections=2"]
    gateway = Part("gateway", write(tmp_path, MARKET), f"live.engine.port={market.engine.port}", *limits)
    try:
        small = Market(market.engine, gateway.ready())
        with small.client() as client, small.client() as other:
            assert _status(gateway.address) == 503
            for _ in range(60):
                client.send(type="ping")
            assert client.wait("error")["code"] == "LIMIT"
            assert other.ask("pong", type="ping")
            other.send(type="ping", padding="x" * 3_000)
            with pytest.raises(ConnectionClosedError) as caught:
                other.wait("pong")
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1009
            _until(lambda: _status(gateway.address) == 101)  # its place is free again
        small.http.close()
    finally:
        gateway.kill()


def test_a_listener_that_does_not_read_is_dropped_and_others_notice_nothing(market: Market) -> None:
    host, port = market.gateway.address.split(":")
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    deaf.connect((host, int(port)))
    deaf.sendall(
        b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    with deaf, market.client() as sender, market.client() as listener:
        agent_id = sender.register("Loud")["agent_id"]
        sent = 0
        while not _dropped(market):
            for _ in range(200):
                sender.send(type="add_order", symbol_id=1, side="buy", price=0.05, quantity=1)
            for _ in range(200):
                assert sender.wait("order_response")["status"] == "success"
            sent += 200
            assert sent < 9_000, "the deaf one should have been dropped by now"
        told = 0
        while told < sent:
            told += listener.wait("order_placed")["agent_id"] == agent_id
        sender.ask("cancel_response", type="cancel_all")


def _dropped(market: Market) -> bool:
    text = market.http.get("/metrics").text
    return "simlab_gateway_listeners_dropped 0.0" not in text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_nobody_is_let_in_before_the_market_is_known(market: Market, tmp_path: Path, number: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # an engine that does not answer yet
        engine, port = silent.getsockname()[1], _free_port()
        file = write(tmp_path, MARKET)
        gateway = Part("gateway", file, f"live.engine.port={engine}", f"live.gateway.port={port}")
        try:
            silent.settimeout(WAIT_S)
            link, _ = silent.accept()
            with link, pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
            assert gateway.stop(number) == 0
        finally:
            gateway.kill()


@pytest.mark.slow
def test_the_gateway_outlives_the_engine(tmp_path: Path) -> None:
    file = write(tmp_path, MARKET)
    with market_of(file) as market, market.client() as client:
        registered = client.register("Survivor", starting_capital=750)
        port, run_dir = market.engine.port, market.engine.said["run_dir"]
        market.engine.kill()
        _until(lambda: market.http.get("/health").json()["engine"]["status"] == "down")
        refused = client.order("buy", 0.5, client_id="lost")
        assert (refused["status"], refused["reason"], refused["client_id"]) == (
            "error",
            "ENGINE_AWAY",
            "lost",
        )
        assert client.ask("cancel_response", type="cancel_all")["reason"] == "ENGINE_AWAY"
        assert client.ask("error", type="get_orders")["code"] == "ENGINE_AWAY"
        assert client.ask("pong", type="ping")
        answer = market.http.get("/api/performance")
        assert answer.status_code == 503
        assert "try again" in answer.json()["detail"]
        assert market.http.get("/api/instruments").status_code == 200
        assert "simlab_gateway_engine_up 0.0" in market.http.get("/metrics").text
        engine = Part("engine", file, f"live.engine.port={port}", options=["--run-dir", run_dir])
        try:
            engine.ready()
            again = client.wait("agent_registered")
            assert (again["agent_id"], again["resumed"]) == (registered["agent_id"], True)
            assert again["session_token"] != registered["session_token"]
            assert again["agent"]["cash"] == 750
            assert market.http.get("/health").json()["engine"] == {"status": "ok", "pid": engine.process.pid}
            assert client.order("buy", 0.5, client_id="lost")["status"] == "success"
            assert client.wait("order_update")["agent_id"] == registered["agent_id"]
        finally:
            engine.kill()


def test_what_it_writes_leaves_at_once() -> None:
    """Without TCP_NODELAY a second small write waits for the acknowledgement of the first, 40 ms."""

    async def accepted() -> int:
        loop, found = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

        class Taken(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                found.set_result(transport.get_extra_info("socket"))

        listening = Listening("gateway", "127.0.0.1", 0)
        listening.listen()
        async with await loop.create_server(Taken, sock=listening):
            _, writer = await asyncio.open_connection(*listening.getsockname())
            option: int = (await found).getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            writer.close()
            return option

    assert asyncio.run(accepted())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(market: Market, tmp_path: Path, number: int) -> None:
    gateway = Part("gateway", write(tmp_path, MARKET), f"live.engine.port={market.engine.port}")
    try:
        other = Market(market.engine, gateway.ready())
        assert gateway.said["pid"] == gateway.process.pid
        with other.client() as client:
            client.wait("instruments")
            assert gateway.stop(number) == 0
            with pytest.raises(ConnectionClosedError) as caught:
                client.wait("nothing")
            assert caught.value.rcvd is not None
            assert caught.value.rcvd.code == 1012
        other.http.close()
    finally:
        gateway.kill()


@pytest.mark.slow
def test_the_gateway_asks_for_itself_however_many_wait(tmp_path: Path) -> None:
    """Clients are refused at a bound while the engine is slow; what the gateway looks after goes on."""
    limits = {**MARKET["live"]["limits"], "messages_per_second": 1_000_000, "listener_bytes": 1 << 26}
    file = write(tmp_path, {**MARKET, "live": {**MARKET["live"], "limits": limits}})
    with market_of(file) as market, market.client() as one, market.client() as other:
        one.register("one", agent_id="one")
        other.register("other", agent_id="other", cancel_on_disconnect=True)
        assert other.order("sell", 1.0, agent_id="other")["state"] == "resting"
        os.kill(market.engine.process.pid, signal.SIGSTOP)
        try:
            for _ in range(50_010):
                one.send(type="get_orders", agent_id="one")
            refused = one.wait("error")
            assert (refused["code"], refused["request"]) == ("QUEUE_FULL", "get_orders")
            other.socket.close()  # of which the engine is still to be told
        finally:
            os.kill(market.engine.process.pid, signal.SIGCONT)
        orders = "/api/agents/other/orders"
        _until(lambda: market.http.get(orders).is_success)  # there is room again
        _until(lambda: [it["status"] for it in market.http.get(orders).json()] == ["cancelled"])
