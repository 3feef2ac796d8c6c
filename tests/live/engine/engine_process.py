"""Engines in processes of their own, and connections to them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml

MARKET: dict[str, Any] = {
    "steps": 1_000_000,
    "instruments": {"ACME": {"initial_price": 10_000, "tick_size": 5}},
    "live": {
        "engine": {"port": 0},
        "seats": {"count": 50},
        "limits": {"agents_per_connection": 3},
    },
}
WAIT_S = 60


class Line:
    """A connection that asks and listens."""

    def __init__(self, address: str) -> None:
        host, port = address.rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), timeout=WAIT_S)
        self.file = self.socket.makefile("rb")
        self.events: list[dict[str, Any]] = []

    def send(self, *requests: dict[str, Any]) -> None:
        self.socket.sendall(b"".join(json.dumps(it).encode() + b"\n" for it in requests))

    def read(self) -> dict[str, Any]:
        line = self.file.readline()
        assert line, "the connection was closed"
        return json.loads(line)

    def answer(self) -> dict[str, Any]:
        """Return the next answer; events before it are kept."""
        while "status" not in (line := self.read()):
            self.events.append(line)
        return line

    def ask(self, action: str, **fields: Any) -> dict[str, Any]:
        self.send({"action": action, **fields})
        return self.answer()

    def event(self, *kinds: str) -> dict[str, Any]:
        """Return the next event of some kinds."""
        while True:
            line = self.events.pop(0) if self.events else self.read()
            if line.get("event") in kinds:
                return line

    def until(self, step: int) -> None:
        """Wait until the market has run so many steps."""
        self.ask("subscribe", channels=["market"], interval_ms=20)
        while self.event("market")["step"] < step:
            pass

    def add(self, side: int, price: int, qty: int = 1, **more: Any) -> dict[str, Any]:
        session = {"session": more.pop("session")} if "session" in more else {}
        return self.ask("add", order={"side": side, "price": price, "qty": qty, **more}, **session)

    def close(self) -> None:
        self.file.close()
        self.socket.close()


class Engine:
    """An engine process."""

    def __init__(self, process: subprocess.Popen[bytes], ready: dict[str, Any]) -> None:
        self.process, self.address, self.pid = process, ready["address"], ready["pid"]
        self.run_dir = Path(ready["run_dir"])

    @contextmanager
    def line(self) -> Iterator[Line]:
        line = Line(self.address)
        try:
            yield line
        finally:
            line.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(WAIT_S)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(WAIT_S)


@contextmanager
def engine_of(folder: Path, market: dict[str, Any], *options: str) -> Iterator[Engine]:
    """Run an engine; `options` are added to its command line."""
    file = folder / "market.yaml"
    file.write_text(yaml.safe_dump(market))
    command = [
        sys.executable,
        "-m",
        "simlab.cli",
        "live",
        str(file),
        "--part",
        "engine",
        "--out",
        str(folder),
    ]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the engine ended with {process.wait(WAIT_S)}"
        yield Engine(process, json.loads(line))
    finally:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        process.wait(WAIT_S)
