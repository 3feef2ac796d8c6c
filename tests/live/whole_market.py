"""A whole market, as `simlab live` starts it: a supervisor and its four parts, on ports of their own."""

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
import psutil
import yaml

WAIT_S = 120
"""How long anything may take before a test fails: machines are slow, but nothing is waited for that long."""
PORTS: dict[str, Any] = {
    "engine": {"port": 0},
    "gateway": {"port": 0, "interval_ms": 20},
    "dashboard": {"port": 0},
}


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait for a condition and return what it returned."""
    deadline = time.monotonic() + WAIT_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)
    return found


class WholeMarket:
    """A running market.

    `said` is its line of JSON; `log` the file with what the supervisor said since.
    """

    def __init__(self, process: subprocess.Popen[bytes], said: dict[str, Any], log: Path) -> None:
        self.process, self.said, self.log = process, said, log
        self.run_dir = Path(said["run_dir"])
        self.gateway = f"http://{said['gateway']['address']}"
        self.page = str(said["dashboard"]["address"])

    def get(self, path: str, **parameters: Any) -> Any:
        response = httpx.get(self.gateway + path, params=parameters, trust_env=False)
        response.raise_for_status()
        return response.json()

    def post(self, path: str, **body: Any) -> Any:
        response = httpx.post(self.gateway + path, json=body, trust_env=False)
        response.raise_for_status()
        return response.json()

    def pid(self, part: str) -> int:
        """Return the process that a part is now."""
        backs = [line for line in self.log.read_text().splitlines() if f"part {part} is back" in line]
        return int(backs[-1].split("process ")[1]) if backs else int(self.said[part]["pid"])

    def kill(self, part: str) -> None:
        """Kill a part, and wait until it is back."""
        back = f"part {part} is back"
        before = self.log.read_text().count(back)
        os.kill(self.pid(part), signal.SIGKILL)
        until(lambda: self.log.read_text().count(back) > before, f"{part}: {self.log.read_text()}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop everything, and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(WAIT_S)


@contextmanager
def whole_market(folder: Path, config: dict[str, Any], *options: str) -> Iterator[WholeMarket]:
    """Run a market until the end of the block."""
    file, log = folder / "market.yaml", folder / "supervisor.log"
    file.write_text(yaml.safe_dump(config))
    command = [sys.executable, "-m", "simlab.cli", "live", str(file), "--out", str(folder), "--json"]
    with log.open("wb") as errors:
        process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, stderr=errors)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"it ended with {process.wait(WAIT_S)}: {log.read_text()}"
        yield WholeMarket(process, json.loads(line), log)
    finally:
        with suppress(psutil.NoSuchProcess):
            for it in psutil.Process(process.pid).children(recursive=True):
                it.kill()
        process.kill()
        process.wait(WAIT_S)
