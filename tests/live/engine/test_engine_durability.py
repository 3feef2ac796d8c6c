"""What was acknowledged is there after a kill at any moment, and nothing is told before it is on the disk."""

from __future__ import annotations

import asyncio
import os
import select
import socket
import threading
from contextlib import closing, suppress
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest
from engine_process import MARKET, WAIT_S, Line, engine_of

from simlab.config import build, load
from simlab.live.engine.core import Core
from simlab.live.engine.reading import Listing
from simlab.live.engine.recovery import begin
from simlab.live.engine.server import Server
from simlab.live.engine.store import Store
from simlab.live.protocol import encode
from simlab.runner.author import Author


def _ask_on(line: Line) -> None:
    """Send orders, and news now and then, until the connection breaks."""
    with suppress(OSError):
        for n in count():
            order = {"id": n, "side": n % 2, "price": 9_000 + 5 * (n % 7), "qty": 1 + n % 3}
            news = [{"action": "publish", "headline": f"news {n}"}] * (n % 16 == 0)
            line.send({"action": "add", "order": order}, *news)


_DISK = """
import os

def noted(sync):
    def synced(file):
        reached = os.fstat(file).st_size
        sync(file)
        with open({notes!r}, "a") as notes:
            notes.write(f"{{os.readlink(f'/proc/self/fd/{{file}}')}}={{reached}}\\n")
    return synced

os.fdatasync, os.fsync = noted(os.fdatasync), noted(os.fsync)
"""


class _Disk:
    """What a power cut leaves of a journal: as much of each file as the engine waited for."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.notes = folder / "synced"
        (folder / "disk").mkdir()
        (folder / "disk" / "sitecustomize.py").write_text(_DISK.format(notes=str(self.notes)))
        found_in = [str(folder / "disk"), os.environ.get("PYTHONPATH", "")]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, found_in)))

    def cut(self, journal: Path) -> None:
        """Take away what was not waited for."""
        reached = dict.fromkeys(map(str, journal.iterdir()), 0)
        for note in self.notes.read_text().splitlines():
            name, _, size = note.rpartition("=")
            reached[name] = int(size)
        for path in journal.iterdir():
            os.truncate(path, reached[str(path)])


@pytest.mark.slow
@pytest.mark.parametrize("acknowledged", [1, 700, 4_000])
def test_every_acknowledged_order_outlives_a_kill_under_load(tmp_path: Path, acknowledged: int) -> None:
    _acknowledged_outlive(tmp_path, acknowledged, {"checkpoint_s": 0.05})


@pytest.mark.slow
@pytest.mark.parametrize("checkpoint_s", [0.05, 3600])
def test_every_acknowledged_order_outlives_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, checkpoint_s: float
) -> None:
    disk = _Disk(tmp_path, monkeypatch)
    _acknowledged_outlive(tmp_path, 700, {"checkpoint_s": checkpoint_s, "sync": "always"}, disk)


def _acknowledged_outlive(
    tmp_path: Path, acknowledged: int, journal: dict[str, Any], disk: _Disk | None = None
) -> None:
    """Kill an engine under load, and look for every order that it acknowledged in the next."""
    market = MARKET | {"live": MARKET["live"] | {"journal": journal}}
    with engine_of(tmp_path, market, "--set", "live.steps_per_second=1000") as engine, engine.line() as line:
        token = line.ask("register", agent_id="me")["session_token"]
        asking = threading.Thread(target=_ask_on, args=(line,))
        asking.start()
        answers = []
        while len(answers) < acknowledged:
            answer = line.answer()
            assert answer["status"] == "success"
            if "order_id" in answer:
                answers.append(answer)
        engine.kill()
        asking.join(WAIT_S)
        assert not asking.is_alive()
    if disk is not None:
        disk.cut(engine.run_dir / "journal")
    with engine_of(tmp_path, market, "--run-dir", str(engine.run_dir)) as engine, engine.line() as line:
        assert line.ask("register", agent_id="me", session_token=token)["resumed"]
        for answer in answers:
            again = line.add(0, 1, 1, id=answer["id"])
            assert (again["order_id"], again["duplicate"]) == (answer["order_id"], True)
            assert again["filled"] >= answer["filled"]
            assert again["sequence"] == answer["sequence"]


class _Watched:
    """Whether anything could be read from sockets whenever the disk was waited for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.syncs = 0
        self.early: list[bytes] = []
        self.sockets: list[socket.socket] = []
        sync = os.fdatasync

        def watched(file: int) -> None:
            readable, _, _ = select.select(self.sockets, (), (), 0)
            self.early += [it.recv(1 << 16, socket.MSG_PEEK) for it in readable]
            sync(file)
            self.syncs += 1

        monkeypatch.setattr(os, "fdatasync", watched)


class _Asker:
    """A connection inside the engine's own process."""

    def __init__(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)))
        self.socket.setblocking(False)
        self._rest = b""

    async def send(self, **request: Any) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, encode(request))

    async def read(self, last: str) -> list[dict[str, Any]]:
        """Return lines up to one that has some text, which ends what is told together."""
        async with asyncio.timeout(WAIT_S):
            while last.encode() not in self._rest or not self._rest.endswith(b"\n"):
                self._rest += await asyncio.get_running_loop().sock_recv(self.socket, 1 << 16)
        lines, self._rest = self._rest.splitlines(), b""
        return [msgspec.json.decode(it) for it in lines]


async def _talk(server: Server, watched: _Watched) -> None:
    address = await server.listen("127.0.0.1", 0)
    asker, listener = _Asker(address), _Asker(address)
    try:
        await asker.send(action="pause")
        await asker.read("paused")
        await listener.send(action="subscribe", channels=["orders", "trades"])
        await listener.read("channels")
        watched.sockets = [asker.socket, listener.socket]
        for n in range(20):
            syncs = watched.syncs
            order = {"id": n, "side": n % 2, "price": 100, "qty": 1}
            await asker.send(action="add", session=n % 2, order=order)
            (answer,) = await asker.read('"status"')
            assert (answer["status"], answer["id"]) == ("success", n)
            assert watched.syncs > syncs
            await listener.read('"trade"' if n % 2 else '"accepted"')
    finally:
        watched.sockets = []
        asker.socket.close()
        listener.socket.close()
        server.close()


@pytest.mark.parametrize("sync", ["always", "interval"])
def test_nothing_is_told_before_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sync: str
) -> None:
    config = load({
        "steps": 1_000,
        "instruments": {"ACME": {"initial_price": 100}},
        "live": {"journal": {"sync": sync, "interval_ms": 10_000}, "seats": {"count": 4}},
    })  # fmt: skip
    assert config.live is not None
    spec, listings = build(config), [Listing("ACME", "", "", 0.0)]
    found = begin(spec, Author(tmp_path, config, spec), listings)
    with found.author, closing(found.floor.simulation):
        store = Store(found.author, found.floor.simulation, config.live.journal)
        core = Core(found.floor, found.registry, config.live, store.log, listings=listings)
        watched = _Watched(monkeypatch)
        if sync == "always":
            asyncio.run(_talk(Server(core, store, trusts=True), watched))
            assert not watched.early
        else:  # what the test sees when it is told first
            with pytest.raises(AssertionError):
                asyncio.run(_talk(Server(core, store, trusts=True), watched))
        store.end(core.kept)
