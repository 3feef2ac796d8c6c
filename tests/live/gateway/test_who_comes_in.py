"""The gateway and the page's server let the same people in, and say the same to all others."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from gateway_market import MARKET, WAIT_S, Market, Part, write

TOKEN = "a-token-of-the-tests"
RIGHT = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture(scope="module")
def doors(market: Market, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Return the addresses of a gateway and of a page's server before it; both ask for a token."""
    file = write(tmp_path_factory.mktemp("doors"), MARKET)
    token = ["live.gateway.token_env=SIMLAB_TEST_TOKEN", "live.dashboard.port=0"]
    with ExitStack() as stack:
        addresses, port = {}, market.engine.port
        for part, before in (("gateway", "engine"), ("dashboard", "gateway")):
            running = Part(part, file, f"live.{before}.port={port}", *token, SIMLAB_TEST_TOKEN=TOKEN)
            stack.callback(running.kill)
            addresses[part], port = running.ready().address, running.port
        yield addresses


def _asked(address: str, path: str, headers: dict[str, str], method: str = "GET", body: bytes = b"") -> bytes:
    """Return the answer to a request with these headers and no others."""
    host, port = address.split(":")
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    lines += [f"Content-Length: {len(body)}"] if body else []
    with socket.create_connection((host, int(port)), timeout=WAIT_S) as asking:
        asking.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        with asking.makefile("rb") as answer:
            head = b"".join(iter(answer.readline, b"\r\n"))
            return head if b" 101 " in head.splitlines()[0] else head + answer.read(1)


def _status(answer: bytes) -> int:
    return int(answer.split(None, 2)[1])


UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.mark.parametrize("part", ["gateway", "dashboard"])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (RIGHT, 200),
        (RIGHT | {"Host": "localhost"}, 200),
        (RIGHT | {"Host": "LOCALHOST:1"}, 200),
        (RIGHT | {"Host": "[::1]:5"}, 200),
        (RIGHT | {"Host": "evil.example"}, 421),
        (RIGHT | {"Host": "localhost.evil.example"}, 421),
        (RIGHT | {"Host": "127.0.0.1.evil.example"}, 421),
        (RIGHT | {"Host": "["}, 421),
        (RIGHT | {"Host": ""}, 421),
        (RIGHT | {"Host": "evil.example", "Origin": "http://evil.example"}, 421),
        (RIGHT | {"Origin": "http://{own}"}, 200),
        (RIGHT | {"Origin": "https://evil.example"}, 403),
        (RIGHT | {"Origin": "http://localhost:1"}, 403),
        (RIGHT | {"Origin": "http://{own}.evil.example"}, 403),
        (RIGHT | {"Origin": "null"}, 403),
        (RIGHT | {"Origin": "http://["}, 403),
        (RIGHT | {"Origin": ""}, 403),
        (RIGHT | {"Sec-Fetch-Site": "same-origin"}, 200),
        (RIGHT | {"Sec-Fetch-Site": "cross-site"}, 403),
        (RIGHT | {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "iframe"}, 403),
        (RIGHT | {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "document"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"Authorization": f"Bearer {TOKEN}x"}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Authorization": "Bearer \u00e9"}, 401),
        ({"Cookie": f"simlab={TOKEN}"}, 401),
    ],
)
def test_one_fault_has_one_status(
    doors: dict[str, str], part: str, headers: dict[str, str], status: int
) -> None:
    address = doors[part]
    headers = {"Host": address} | {name: value.replace("{own}", address) for name, value in headers.items()}
    answer = _asked(address, "/health", headers | {"Connection": "close"})
    assert _status(answer) == status
    assert b"\r\nx-content-type-options: nosniff\r\n" in answer
    assert b"frame-ancestors 'none'" in answer
    assert (b"www-authenticate: Bearer" in answer) == (status == 401)
    answer = _asked(address, "/ws", headers | UPGRADE)
    assert _status(answer) == (101 if status == 200 else status)


@pytest.mark.parametrize("part", ["gateway", "dashboard"])
def test_a_body_is_bounded_and_a_stranger_s_is_not_read(doors: dict[str, str], part: str) -> None:
    address, headers = doors[part], {"Host": doors[part], "Connection": "close"}
    long = b" " * (MARKET["live"]["limits"]["message_bytes"] + 1)
    assert _status(_asked(address, "/api/news", headers | RIGHT, "POST", long)) == 413
    far_too_long = b" " * 10_000_000  # all of it is sent before the answer is read
    assert _status(_asked(address, "/api/news", headers | RIGHT, "POST", far_too_long)) == 413
    unread = headers | {"Content-Length": "1000000"}
    assert _status(_asked(address, "/api/news", unread, "POST")) == 401


@pytest.mark.parametrize("part", ["gateway", "dashboard"])
def test_half_a_body_does_nothing(doors: dict[str, str], part: str) -> None:
    address = doors[part]
    host, port = address.split(":")
    head = f"POST /api/news HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {TOKEN}\r\n"
    body = json.dumps({"headline": f"half of it, by the {part}"}).encode()
    with socket.create_connection((host, int(port)), timeout=WAIT_S) as leaving:
        leaving.sendall(f"{head}Content-Length: {len(body) + 1}\r\n\r\n".encode() + body)
        leaving.shutdown(socket.SHUT_WR)
        assert b"half of it" not in leaving.recv(1000)
    assert "half of it" not in httpx.get(f"http://{address}/api/news", headers=RIGHT).text
