"""Say which processes a live market consists of, and how each is started, the first time and again."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

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


def market_parts(file: Path, arguments: Sequence[str], *, run_dir: Path | None = None) -> list[Part]:
    """Return the parts of a market, each after those that it needs.

    A part that is started again listens where it did, and the engine goes on with the run that it had.

    Parameters
    ----------
    file : Path
        The configuration.
    arguments : sequence of str
        What else ``simlab live`` was called with, for every part alike.
    run_dir : Path, optional
        A run to go on with.

    Example
    -------
    >>> engine, *_ = market_parts(Path("market.yaml"), ["--seed", "7"])
    >>> again = engine.command({"engine": {"address": "127.0.0.1:9999", "run_dir": "runs/market-1"}})
    >>> again[1:4], again[-4:]
    (['-m', 'simlab.cli', 'live'], ['--run-dir', 'runs/market-1', '--set', 'live.engine.port=9999'])
    """
    first = None if run_dir is None else str(run_dir)

    def command(name: str, healthy: Mapping[str, Mapping[str, Any]]) -> list[str]:
        made = [sys.executable, "-m", "simlab.cli", "live", str(file), "--part", name]
        run = healthy.get("engine", {}).get("run_dir", first)
        made += [*arguments, *(["--run-dir", str(run)] if run is not None else [])]
        ports = {it: _port_of(healthy[it]["address"]) for it in _LISTENING if it in healthy}
        for part in _LISTENING if name != "engine" else ("engine",):
            made += ["--set", f"live.{part}.port={ports[part]}"] if part in ports else []
        return made

    return [Part(it, partial(command, it), _NEEDS[it]) for it in PARTS]


def _port_of(address: str) -> int:
    return int(address.rpartition(":")[2])
