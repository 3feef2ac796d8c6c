"""The page's server: what it serves, whom it refuses, and that all passes to the gateway as it is."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import httpx
import pytest
from page import Page
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request, Response

TOKEN = "a-token-that-nobody-guesses"
WAIT_S = 30
PROGRAM = """
import sys, json
from simlab.config.live import LiveConfig
from simlab.live.dashboard import serve
serve(LiveConfig.model_validate(json.loads(sys.argv[1])))
"""


@contextlib.contextmanager
def dashboard(gateway_port: int, **gateway: object) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run the dashboard's process in front of a gateway; gives its address."""
    settings = {
        "gateway": {"port": gateway_port, **gateway},
        "dashboard": {"port": 0},
        "limits": {"message_bytes": 100_000},
    }
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, json.dumps(settings)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "MARKET_TOKEN": TOKEN},
    )
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        ready = json.loads(line)
        assert ready["part"] == "dashboard"
        assert ready["pid"] == process.pid
        yield ready["address"], process
    finally:
        process.kill()
        process.communicate()


@asynccontextmanager
async def gateway(talk: object) -> AsyncIterator[int]:
    """Serve a WebSocket that does what `talk` says, on a port of its own."""

    async def answer(connection: ServerConnection, request: Request) -> Response | None:
        if request.path == "/ws":
            return None
        shown = {"path": request.path, "authorization": request.headers.get("authorization")}
        return connection.respond(418, json.dumps(shown))

    async with serve(talk, "127.0.0.1", 0, process_request=answer, compression=None, max_size=None) as server:  # type: ignore[arg-type]
        yield server.sockets[0].getsockname()[1]


async def _echo(connection: ServerConnection) -> None:
    async for frame in connection:
        await connection.send(frame)
        if frame == "leave":
            await connection.close(4321, "as you wish")


@pytest.fixture(scope="module")
def alone() -> Iterator[str]:
    """Return the address of a dashboard whose gateway is down."""
    with dashboard(1) as (address, _):
        yield address


@pytest.fixture(scope="module")
def locked() -> Iterator[str]:
    """Return the address of a dashboard that asks for a token; its gateway is down."""
    with dashboard(1, token_env="MARKET_TOKEN") as (address, _):
        yield address


def test_the_page_and_its_code_are_served_and_nothing_else(alone: str) -> None:
    with httpx.Client(base_url=f"http://{alone}", trust_env=False) as client:
        page = client.get("/")
        assert page.headers["content-type"].startswith("text/html")
        assert "<title>simlab</title>" in page.text
        for path, kind in [
            ("/static/js/main.js", "javascript"),
            ("/static/style.css", "css"),
            ("/bokeh/bokeh.min.js", "javascript"),
        ]:
            found = client.get(path)
            assert found.status_code == 200
            assert kind in found.headers["content-type"]
        for path in [
            "/static/../server.py",
            "/static/%2e%2e/server.py",
            "/static/",
            "/bokeh/..%2f..%2f",
            "/docs",
        ]:
            assert client.get(path).status_code == 404


def test_every_answer_keeps_the_browser_to_this_page(alone: str) -> None:
    with httpx.Client(base_url=f"http://{alone}", trust_env=False) as client:
        for path in ["/", "/static/js/main.js", "/health", "/api/news", "/nowhere"]:
            policy = client.get(path).headers["content-security-policy"]
            rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
            assert rules["default-src"] == "'none'"
            assert rules["script-src"] == rules["connect-src"] == "'self'"
            assert "access-control-allow-origin" not in client.get(path).headers
        page = client.get("/").text
        assert "http:" not in page.replace("http://www.w3.org", "")
        assert "https:" not in page


def test_a_gateway_that_is_down_is_said(alone: str) -> None:
    with httpx.Client(base_url=f"http://{alone}", trust_env=False) as client:
        answer = client.post("/api/news", json={"headline": "x"})
        assert answer.status_code == 502
        assert "gateway" in answer.json()["detail"]
        health = client.get("/health")
        assert health.status_code == 502
        assert health.json()["gateway"] == {"status": "unreachable"}
        assert health.json()["dashboard"]["status"] == "healthy"

    async def ask() -> int:
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://{alone}/ws", proxy=None)
        return refused.value.response.status_code

    assert asyncio.run(ask()) == 502


def test_without_the_token_there_is_the_page_and_no_data(locked: str) -> None:
    with httpx.Client(base_url=f"http://{locked}", trust_env=False) as client:
        assert client.get("/").status_code == 200
        assert client.get("/static/js/main.js").status_code == 200
        for path in ["/health", "/api/news", "/api/../health"]:
            assert client.get(path).status_code == 401
            assert client.get(path, headers={"authorization": "Bearer guess"}).status_code == 401
            assert client.get(path, headers={"cookie": f"simlab={TOKEN}"}).status_code == 401
        assert client.get("/health", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 502


def test_a_browser_gives_the_token_once_and_keeps_a_cookie(locked: str) -> None:
    with httpx.Client(base_url=f"http://{locked}", trust_env=False) as client:
        for wrong in [
            "null",
            "[]",
            '{"token": 5}',
            '{"token": "guess"}',
            r'{"token": "\ud800"}',
            "{",
            "x" * 5000,
        ]:
            assert client.post("/login", content=wrong).status_code == 401
        answer = client.post("/login", json={"token": TOKEN})
        kept = answer.headers["set-cookie"]
        assert "HttpOnly" in kept
        assert "samesite=strict" in kept.lower()
        assert TOKEN not in kept
        assert client.get("/health").status_code == 502  # let in, and the gateway is down


def test_a_person_is_asked_for_the_token_and_comes_in(locked: str, page: Page) -> None:
    page.open(locked)
    page.until("document.getElementById('unlock').open")
    page.fill("#unlock", token="guess")
    page.click("#unlock button")
    page.shows("#unlock-problem", "this is not the token")
    page.fill("#unlock", token=TOKEN)
    page.click("#unlock button")
    page.until("!document.getElementById('unlock').open")
    page.shows("#lost", "the gateway at 127.0.0.1:1 does not answer")  # let in, and the gateway is down
    assert page.run("return document.cookie + Object.values(localStorage)") == ""


def test_frames_pass_as_they_are_and_so_does_the_end() -> None:
    async def run() -> None:
        async with gateway(_echo) as port:
            with dashboard(port) as (address, _):
                async with connect(f"ws://{address}/ws", proxy=None, max_size=None) as page:
                    frames: list[str | bytes]
                    frames = ['{"type": "ping"}', "\u00e9\u4e16\U0001f642", b"\x00\xff", "", "x" * 90_000]
                    for frame in frames:
                        await page.send(frame)
                    for frame in frames:
                        assert await page.recv() == frame
                    await page.send("leave")
                    assert await page.recv() == "leave"
                    with pytest.raises(ConnectionClosed):
                        await page.recv()
                    assert (page.close_code, page.close_reason) == (4321, "as you wish")

    asyncio.run(asyncio.wait_for(run(), WAIT_S))


def test_calls_pass_with_their_path_query_and_token() -> None:
    async def run() -> None:
        async with gateway(_echo) as port:
            with dashboard(port, token_env="MARKET_TOKEN") as (address, _):
                headers = {"authorization": f"Bearer {TOKEN}"}
                async with httpx.AsyncClient(trust_env=False) as client:
                    asked = f"http://{address}/api/a%2Fb?limit=3&x=%20"
                    answer = await client.get(asked, headers=headers)
                    assert answer.status_code == 418
                    shown = {"path": "/api/a%2Fb?limit=3&x=%20", "authorization": f"Bearer {TOKEN}"}
                    assert answer.json() == shown
                    long = await client.post(asked, headers=headers, content=b"x" * 100_001)
                    assert long.status_code == 413

    asyncio.run(asyncio.wait_for(run(), WAIT_S))


def test_a_page_that_does_not_read_holds_the_gateway_up() -> None:
    """What is sent to it waits at the gateway, which can see so and drop it; the dashboard keeps little."""
    sent = 0
    stuck = asyncio.Event()

    async def flood(connection: ServerConnection) -> None:
        nonlocal sent
        while True:
            try:
                await asyncio.wait_for(connection.send("x" * 50_000), timeout=1)
            except TimeoutError:
                stuck.set()
                return
            sent += 50_000
            assert sent < 60_000_000, "nobody reads, and all is taken"

    async def run() -> None:
        async with gateway(flood) as port:
            with dashboard(port) as (address, _):
                async with connect(f"ws://{address}/ws", proxy=None, max_queue=1, close_timeout=1) as page:
                    await page.recv()
                    await stuck.wait()

    asyncio.run(asyncio.wait_for(run(), WAIT_S))
    assert sent > 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_also_with_pages_open(number: signal.Signals) -> None:
    async def run() -> None:
        async with gateway(_echo) as port:
            with dashboard(port) as (address, process):
                async with connect(f"ws://{address}/ws", proxy=None) as page:
                    await page.send("here")
                    assert await page.recv() == "here"
                    process.send_signal(number)
                    with pytest.raises(ConnectionClosed):
                        await page.recv()
                assert await asyncio.to_thread(process.wait, WAIT_S) == 0
                assert process.stderr is not None
                assert "Traceback" not in process.stderr.read()

    asyncio.run(asyncio.wait_for(run(), 2 * WAIT_S))


def test_an_address_that_is_taken_is_named(alone: str) -> None:
    port = int(alone.split(":")[1])
    settings = json.dumps({"dashboard": {"port": port}})
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, settings], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert f"live.dashboard: cannot listen on 127.0.0.1:{port}" in done.stderr
