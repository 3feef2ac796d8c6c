"""Start and end the processes of a live market that is measured."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from simlab.errors import SimlabError

__all__ = ["Market", "market_of"]

_MARKET = {
    "steps": 1_000_000,
    "instruments": {"ACME": {"initial_price": 10_000}},
    "live": {"engine": {"port": 0}, "gateway": {"port": 0}, "seats": {"count": 200}},
}


class Market:
    """A running market: addresses, processes, and its run folder.

    Parameters
    ----------
    file : Path
        Its configuration.
    settings : tuple of str
        As of ``--set``.
    """

    def __init__(self, file: Path, settings: tuple[str, ...]) -> None:
        self._file, self._settings = file, settings
        self._processes: dict[str, subprocess.Popen[str]] = {}

    def open(self) -> None:
        """Start its processes."""
        self.engine, said = self._start("engine")
        self.folder = Path(said["run_dir"])
        self.gateway, _ = self._start("gateway", "--set", f"live.engine.port={self.engine[1]}")

    @property
    def engine_pid(self) -> int:
        """The engine's process."""
        return self._processes["engine"].pid

    @property
    def gateway_pid(self) -> int:
        """The gateway's process."""
        return self._processes["gateway"].pid

    def _start(self, part: str, *more: str) -> tuple[tuple[str, int], dict[str, Any]]:
        """Start a part; return its address and all that it says of itself."""
        command = [sys.executable, "-m", "simlab.cli", "live", str(self._file), "--part", part]
        command += ["--out", str(self._file.parent)]
        for setting in self._settings:
            command += ["--set", setting]
        process = subprocess.Popen([*command, *more], stdout=subprocess.PIPE, text=True)
        self._processes[part] = process
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise SimlabError(f"the {part} did not start; it says why above")
        said = json.loads(line)
        host, port = said["address"].rsplit(":", 1)
        return (host, int(port)), said

    def restart_engine(self) -> float:
        """Kill the engine as nothing else would, and start it again; return how long it was away, s."""
        killed = self._processes["engine"]
        killed.kill()
        killed.wait()
        began_s = time.perf_counter()
        self._start("engine", "--run-dir", str(self.folder), "--set", f"live.engine.port={self.engine[1]}")
        return time.perf_counter() - began_s

    def end_engine(self) -> None:
        """Let the engine end its run, so that all of it can be read."""
        process = self._processes["engine"]
        process.terminate()
        if process.wait(60):
            raise SimlabError("the engine did not end its run well; it says why above")

    def close(self) -> None:
        """End all processes."""
        for process in reversed(self._processes.values()):
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
            process.wait()


@contextmanager
def market_of(*settings: str) -> Iterator[Market]:
    """Run engine and gateway of an empty market, with settings as of ``--set``."""
    with tempfile.TemporaryDirectory(prefix="simlab-bench-") as place:
        file = Path(place) / "market.yaml"
        file.write_text(json.dumps(_MARKET), encoding="utf-8")
        market = Market(file, settings)
        try:
            market.open()
            yield market
        finally:
            market.close()
