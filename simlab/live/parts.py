"""Say which processes a live market consists of, and how each is started, the first time and again."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from simlab.config.live import LiveConfig
from simlab.live.settings import PARTS
from simlab.live.supervisor import Part

__all__ = ["market_parts"]

_NEEDS: Mapping[str, tuple[str, ...]] = {
    "engine": (),
    "gateway": ("engine",),
    "dashboard": ("gateway",),
    "agents": ("gateway",),
}
_LISTENING = ("engine", "gateway", "dashboard")


def market_parts(
    file: Path, settings: LiveConfig, arguments: Sequence[str], *, run_dir: Path | None = None
) -> list[Part]:
    """Return the parts of a market, each after those that it needs.

    A part that is started again listens where it did, and the engine goes on with the run that it had.

    Parameters
    ----------
    file : Path
        The configuration.
    settings : LiveConfig
        Its section `live`.
    arguments : sequence of str
        What else ``simlab live`` was called with, for every part alike.
    run_dir : Path, optional
        A run to go on with.

    Example
    -------
    >>> engine, *_ = market_parts(Path("market.yaml"), LiveConfig(), ["--seed", "7"])
    >>> again = engine.command({"engine": {"address": "127.0.0.1:9999", "run_dir": "runs/market-1"}})
    >>> again[1:4], again[-4:]
    (['-m', 'simlab.cli', 'live'], ['--run-dir', 'runs/market-1', '--set', 'live.engine.port=9999'])
    """
    page = settings.dashboard
    # The gateway must know the page's port, and is there before it.
    fixed = {"dashboard": page.port or _free_port(page.host)}
    first = None if run_dir is None else str(run_dir)

    def command(name: str, healthy: Mapping[str, Mapping[str, Any]]) -> list[str]:
        made = [sys.executable, "-m", "simlab.cli", "live", str(file), "--part", name]
        run = healthy.get("engine", {}).get("run_dir", first)
        made += [*arguments, *(["--run-dir", str(run)] if run is not None else [])]
        ports = fixed | {it: _port_of(healthy[it]["address"]) for it in _LISTENING if it in healthy}
        for part in _LISTENING if name != "engine" else ("engine",):
            made += ["--set", f"live.{part}.port={ports[part]}"] if part in ports else []
        return made

    return [Part(it, partial(command, it), _NEEDS[it]) for it in PARTS]


def _port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def _free_port(host: str) -> int:
    """Return a port that nobody listens on now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
