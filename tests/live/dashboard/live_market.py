"""A market of real processes with its page: engine, gateway and dashboard."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import yaml

WAIT_S = 240
"""How long anything may take before a test fails; the first market on a machine has to be compiled."""
CONFIG: dict[str, Any] = {
    "extends": str(Path(__file__).parents[3] / "configs" / "quickstart.yaml"),
    "name": "page",
    "steps": 10_000_000,
    "live": {
        "steps_per_second": 20,
        "engine": {"port": 0},
        "gateway": {"port": 0},
        "dashboard": {"port": 0},
        "seats": {"count": 600},
    },
}


class Part:
    """One process of a market."""

    def __init__(self, name: str, file: Path, **ports: int) -> None:
        command = [sys.executable, "-m", "simlab.cli", "live", str(file), "--part", name]
        command += ["--out", str(file.parent)]
        for part, port in ports.items():
            command += ["--set", f"live.{part}.port={port}"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ
        )

    def ready(self) -> Part:
        """Wait until it says that it works."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the process ended with {self.process.wait(WAIT_S)}"
        self.address: str = json.loads(line)["address"]
        return self

    @property
    def port(self) -> int:
        return int(self.address.rsplit(":", 1)[1])

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        self.process.communicate(timeout=WAIT_S)


class Market:
    """All parts of a market that have been started, and its REST interface."""

    def __init__(self, folder: Path, config: dict[str, Any]) -> None:
        self.file = folder / "market.yaml"
        self.file.write_text(yaml.safe_dump(config))
        self.parts: list[Part] = []

    def start(self) -> Market:
        """Start engine, gateway and dashboard, and let the market trade a little."""
        self.engine = self._start("engine")
        self.gateway = self._start("gateway", engine=self.engine.port)
        self.dashboard = self._start("dashboard", gateway=self.gateway.port)
        self.page = self.dashboard.address
        self.until(lambda: len(self.get("/api/instruments/1/candles?interval=1&limit=10")) >= 4)
        return self

    def start_gateway(self) -> None:
        """Start the gateway again where it was."""
        self.gateway = self._start("gateway", engine=self.engine.port, gateway=self.gateway.port)

    def _start(self, name: str, **ports: int) -> Part:
        part = Part(name, self.file, **ports)
        self.parts.append(part)
        return part.ready()

    def get(self, path: str) -> Any:
        return self._call("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        return self._call("POST", path, json={} if body is None else body)

    def _call(self, method: str, path: str, **more: Any) -> Any:
        answer = httpx.request(method, f"http://{self.gateway.address}{path}", trust_env=False, **more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def open_orders(self, agent_id: str) -> int:
        """Return how many orders of an agent rest."""
        return sum(
            it["status"] not in ("filled", "fill", "cancelled", "expired", "rejected")
            for it in self.get(f"/api/agents/{agent_id}/orders")
        )

    def until(self, holds: Callable[[], Any]) -> None:
        """Wait until something holds."""
        end = time.monotonic() + WAIT_S
        while not holds():
            assert time.monotonic() < end, "it never held"
            time.sleep(0.02)

    def close(self) -> None:
        for part in reversed(self.parts):
            part.kill()


@contextmanager
def market_of(folder: Path, config: dict[str, Any] | None = None) -> Iterator[Market]:
    """Run a market until the block ends."""
    market = Market(folder, CONFIG if config is None else config)
    try:
        yield market.start()
    finally:
        market.close()
