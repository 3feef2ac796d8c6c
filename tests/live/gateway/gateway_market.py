"""A market of real processes, engine and gateway, and clients of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import yaml
from websockets.sync.client import ClientConnection, connect

WAIT_S = 120
"""How long anything may take before a test fails: machines are slow, but nothing is waited for that long."""
MARKET: dict[str, Any] = {
    "steps": 1_000_000,
    "instruments": {
        "ACME": {"initial_price": 10_000},
        "BETA": {"initial_price": 5_000, "tick_size": 5, "price_band": [1_000, 10_000]},
    },
    "live": {
        "engine": {"port": 0},
        "gateway": {"port": 0, "interval_ms": 20},
        "seats": {"count": 300},
        "journal": {"checkpoint_s": 86_400},
        "limits": {"message_bytes": 2_000, "listener_bytes": 50_000, "agents_per_connection": 4},
    },
}


class Part:
    """One process of a market."""

    def __init__(
        self, part: str, file: Path, *settings: str, options: Sequence[str] = (), **environment: str
    ) -> None:
        command = [sys.executable, "-m", "simlab.cli", "live", str(file), "--part", part]
        command += ["--out", str(file.parent), *options]
        for setting in settings:
            command += ["--set", setting]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
        )

    def ready(self) -> Part:
        """Wait until it says that it works."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the process ended with {self.process.wait(WAIT_S)}"
        self.said: dict[str, Any] = json.loads(line)
        self.address: str = self.said["address"]
        return self

    @property
    def port(self) -> int:
        return int(self.address.rsplit(":", 1)[1])

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it, and return its exit code."""
        self.process.send_signal(number)
        return self.process.wait(WAIT_S)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(WAIT_S)


class Client:
    """A client that sends one thing and waits for another."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.seen: list[dict[str, Any]] = []
        """All messages so far."""

    def send(self, **message: Any) -> None:
        self.socket.send(json.dumps(message))

    def read(self) -> dict[str, Any]:
        self.seen.append(json.loads(self.socket.recv(timeout=WAIT_S)))
        return self.seen[-1]

    def wait(self, kind: str, where: Callable[[Any], bool] = lambda it: True) -> Any:
        """Return the next message of a type, for which `where` is true of what it carries."""
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            message = self.read()
            carried = message.get("data", message)
            if message["type"] == kind and where(carried):
                return carried
        raise TimeoutError(f"no {kind} came")

    def ask(self, answer: str, **message: Any) -> Any:
        self.send(**message)
        return self.wait(answer)

    def register(self, name: str, **more: Any) -> dict[str, Any]:
        message: dict[str, Any] = self.ask("agent_registered", type="agent_register", name=name, **more)
        self.wait("portfolio_update")
        return message

    def order(self, side: str, price: float | None, quantity: float = 1, **more: Any) -> Any:
        message = {"type": "add_order", "symbol_id": 1, "side": side, "quantity": quantity, **more}
        if price is not None:
            message["price"] = price
        return self.ask("order_response", **message)


class Market:
    """An engine and a gateway."""

    def __init__(self, engine: Part, gateway: Part) -> None:
        self.engine, self.gateway = engine, gateway
        self.http = httpx.Client(base_url=f"http://{gateway.address}", timeout=WAIT_S)

    @contextmanager
    def client(self, **options: Any) -> Iterator[Client]:
        with connect(f"ws://{self.gateway.address}/ws", proxy=None, max_queue=None, **options) as socket:
            yield Client(socket)

    def close(self) -> None:
        self.http.close()
        self.gateway.kill()
        self.engine.kill()


def write(folder: Path, market: dict[str, Any]) -> Path:
    file = folder / "market.yaml"
    file.write_text(yaml.safe_dump(market))
    return file


@contextmanager
def market_of(file: Path, *settings: str) -> Iterator[Market]:
    """Run the market of a file."""
    with ExitStack() as stack:
        engine = Part("engine", file, *settings)
        stack.callback(engine.kill)
        engine.ready()
        gateway = Part("gateway", file, f"live.engine.port={engine.port}", *settings)
        stack.callback(gateway.kill)
        market = Market(engine, gateway.ready())
        stack.callback(market.close)
        yield market
