"""A loop that looks for more before it sleeps hears all, keeps its timers, and does not spin for nothing."""

from __future__ import annotations

import asyncio
import selectors
import socket
import time

import pytest

from simlab.live.spinning import SpinningSelector, run_spinning


def test_it_hears_sockets_and_keeps_timers() -> None:
    heard: list[bytes] = []
    late_s: list[float] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            for number in range(200):
                due_s = loop.time() + number / 1e6  # shorter and longer than it spins
                loop.call_at(due_s, lambda due_s=due_s: late_s.append(loop.time() - due_s))
                writer.write(b"%d\n" % number)
                heard.append(await reader.readline())
                await asyncio.sleep(number / 1e6)
            writer.close()

    run_spinning(main())
    assert heard == [b"%d\n" % number for number in range(200)]
    assert len(late_s) == 200
    assert min(late_s) > -time.get_clock_info("monotonic").resolution - 1e-6


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    """How long the system was asked to wait, each time that it was asked."""
    asked: list[float | None] = []
    select = selectors.DefaultSelector.select

    def noted(
        self: selectors.DefaultSelector, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        asked.append(timeout)
        return select(self, timeout)

    monkeypatch.setattr(selectors.DefaultSelector, "select", noted)
    return asked


def test_who_heard_something_looks_again_until_nothing_comes(looks: list[float | None]) -> None:
    here, there = socket.socketpair()
    with here, there, SpinningSelector() as selector:
        selector.register(here, selectors.EVENT_READ)
        there.send(b"x")
        assert selector.select(None)
        here.recv(1)
        assert not selector.select(0)  # a loop that has more to do looks without waiting
        looks.clear()
        assert not selector.select(0.01)
        assert len(looks) > 2
        assert set(looks[:-1]) == {0}
        assert 0 < (looks[-1] or 0) < 0.01
        looks.clear()
        assert not selector.select(0.01)
        assert looks == [0.01]


def test_who_hears_nothing_does_not_spin(looks: list[float | None]) -> None:
    async def main() -> None:
        for _ in range(50):
            await asyncio.sleep(0.002)

    run_spinning(main())
    assert 50 <= len(looks) < 300
