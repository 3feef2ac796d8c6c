"""Two thousand connections too many, and half requests: whoever trades goes on, and others come in again."""

from __future__ import annotations

import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import pytest
from gateway_market import MARKET, WAIT_S, Client, Market, Part, market_of, write
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from simlab.live.gateway.server import _CALLS
from simlab.live.serving import _TOLD

CROWD = 2_000
LIMIT = 40
SMALL: dict[str, Any] = MARKET | {
    "live": MARKET["live"] | {"limits": {"connections": LIMIT}, "dashboard": {"port": 0}}
}


@contextmanager
def _files(count: int) -> Iterator[None]:
    """Let this process, and those that it starts, have so many files open until they ask for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        pytest.skip(f"a process may open {hard} files only")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Return a market, and the addresses of its parts, that take few connections and have as few files."""
    file = write(tmp_path_factory.mktemp("small"), SMALL)
    with ExitStack() as stack:
        with _files(200):
            market = stack.enter_context(market_of(file))
            page = Part("dashboard", file, f"live.gateway.port={market.gateway.port}")
            stack.callback(page.kill)
            page.ready()
        parts = {"engine": market.engine, "gateway": market.gateway, "dashboard": page}
        yield {"market": market} | {name: it.address for name, it in parts.items()}


def _connected(address: str) -> socket.socket:
    host, port = address.split(":")
    return socket.create_connection((host, int(port)), timeout=WAIT_S)


@contextmanager
def _crowd(address: str, said: bytes) -> Iterator[list[socket.socket]]:
    """Hold two thousand connections open that say something, or as many as are not refused."""
    with _files(CROWD + 500), ExitStack() as stack:
        made = [stack.enter_context(_connected(address)) for _ in range(CROWD)]
        for it in made:
            with suppress(OSError):  # refused already
                it.sendall(said)
        yield made


def _until_refused(made: list[socket.socket], count: int) -> None:
    """Wait until so many were closed."""
    waiting, end = list(made), time.monotonic() + WAIT_S
    while len(made) - len(waiting) < count:
        assert time.monotonic() < end, f"{len(waiting)} are still connected"
        waiting = [it for it in waiting if not _is_refused(it)]


def _is_refused(connection: socket.socket) -> bool:
    connection.settimeout(0.0)
    try:
        return not connection.recv(1000)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _trades(client: Client, other: Client) -> None:
    """Let one sell to the other."""
    assert client.order("sell", 1.0)["filled"] == 0
    assert other.order("buy", 1.0)["filled"] == 1
    assert client.wait("order_update", lambda it: it["event"] == "fill")["price"] == 1.0


def _comes_in(address: str) -> bool:
    try:
        with connect(f"ws://{address}/ws", proxy=None, max_queue=None) as it:
            return bool(Client(it).ask("pong", type="ping"))
    except (OSError, WebSocketException):
        return False


@pytest.mark.slow
@pytest.mark.parametrize("said", [b"", b"GET /ws HTTP/1.1\r\nHost: localhost\r\n"])
@pytest.mark.parametrize("part", ["gateway", "dashboard"])
def test_those_who_never_ask_keep_nobody_out(small: dict[str, Any], part: str, said: bytes) -> None:
    market: Market = small["market"]
    with market.client() as client, market.client() as other, _crowd(small[part], said) as made:
        _trades(client, other)
        _until_refused(made, CROWD - LIMIT - _CALLS - _TOLD)
        end = time.monotonic() + WAIT_S
        while not _comes_in(small[part]):  # the crowd is still there
            assert time.monotonic() < end
            time.sleep(0.1)
        _trades(client, other)
    assert _comes_in(small[part])


@pytest.mark.slow
def test_the_engine_refuses_whom_it_has_no_room_for(small: dict[str, Any]) -> None:
    market: Market = small["market"]
    ping = json.dumps({"action": "ping"}).encode() + b"\n"
    with market.client() as client, market.client() as other:
        with _crowd(small["engine"], ping) as made:
            _trades(client, other)
            answered = sum(b'"success"' in it for it in map(_heard, made))
            assert 0 < answered < LIMIT
            _trades(client, other)
        end = time.monotonic() + WAIT_S
        while True:  # their places are free again
            with _connected(small["engine"]) as again:
                again.sendall(ping)
                if b'"success"' in _heard(again):
                    break
            assert time.monotonic() < end
        _trades(client, other)
    assert market.engine.process.poll() is None


def _heard(connection: socket.socket) -> bytes:
    try:
        return connection.recv(1000)
    except OSError:
        return b""


@pytest.mark.slow
def test_a_body_that_does_not_come_is_given_up(small: dict[str, Any]) -> None:
    head = b"POST /api/news HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
    with _connected(small["gateway"]) as first, _connected(small["dashboard"]) as second:
        for slow in (first, second):
            slow.sendall(head)
        for slow in (first, second):
            assert slow.recv(1000).startswith(b"HTTP/1.1 408 ")


def test_whoever_is_cut_off_finds_everything_again(market: Market) -> None:
    """A connection that is reset has no closing frame, which a client sees as 1006."""
    host, port = market.gateway.address.split(":")
    raw = socket.create_connection((host, int(port)))
    with (
        connect(f"ws://{host}:{port}/ws", sock=raw, proxy=None, max_queue=None) as broken,
        market.client() as other,
    ):
        client = Client(broken)
        registered = client.register("Cut", starting_capital=500)
        assert other.order("sell", 0.7, 5)["filled"] == 0
        assert client.order("buy", 0.7, 5)["filled"] == 5
        order_id = client.order("buy", 0.6, 3, client_id="rests")["orderId"]
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        raw.shutdown(socket.SHUT_RD)  # the thread that reads
        broken.recv_events_thread.join(WAIT_S)
        raw.close()
        path = f"/api/agents/{registered['agent_id']}"
        end = time.monotonic() + WAIT_S
        while market.http.get(path).json()["connected"]:
            assert time.monotonic() < end
    with market.client() as back:
        again = back.register(
            "Cut", agent_id=registered["agent_id"], session_token=registered["session_token"]
        )
        assert again["resumed"] is True
        assert again["agent"]["cash"] == 496.5
        assert again["agent"]["positions"]["1"]["quantity"] == 5
        [order] = [it for it in back.ask("orders", type="get_orders") if it["orderId"] == order_id]
        assert (order["client_id"], order["price"], order["quantity"], order["filled"]) == (
            "rests",
            0.6,
            3,
            0,
        )
        assert back.ask("cancel_response", type="cancel_all")["cancelled"] == 1
