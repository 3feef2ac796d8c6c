"""Measure a live market on this machine: engine, gateway and clients as processes, over loopback.

Every work starts a market of its own and lets a light client (`simlab.bench.live_client`) trade in it for
some seconds; a row has the medians of a few rounds. Nothing else should run beside it.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from simlab.bench.live_market import Market, market_of
from simlab.bench.live_orders import restarted, traded
from simlab.bench.memory import rss_mb
from simlab.errors import SimlabError

__all__ = ["WORKS", "run"]

_WAIT_S = 300.0
_PIPELINED = 512
"""Orders that wait for their answers on the connection that does not wait for each."""


def _percentile(values: list[float], part: float) -> float | None:
    """Return a percentile to the microsecond, milliseconds; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)
    return round(ordered[round(part / 100 * (len(ordered) - 1))], 3)


def _client(market: Market, work: dict[str, Any]) -> dict[str, Any]:
    """Let the light client work in a process of its own."""
    host, port = market.gateway
    task = json.dumps({"host": host, "port": port, **work})
    command = [sys.executable, "-m", "simlab.bench.live_client", task]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_WAIT_S)
    if done.returncode:
        raise SimlabError(f"the client of the benchmark failed: {done.stderr.strip()[-500:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    if not result["orders"]:
        raise SimlabError("the benchmark did no work: no order was sent")
    return result


def _websocket(market: Market, seconds: float, senders: int, listeners: int) -> dict[str, Any]:
    """Measure clients that send one order at a time each; everybody is told of every order."""
    done = _client(market, {"senders": senders, "listeners": listeners, "seconds": seconds})
    row = {
        "clients": senders + listeners,
        "orders_per_s": round(done["orders"] / done["seconds"]),
        "p50_ms": _percentile(done["trips_ms"], 50),
        "p99_ms": _percentile(done["trips_ms"], 99),
        "announcements": done["announcements"],
        "lost": done["lost"],
        "rss_mb": rss_mb(market.gateway_pid),
    }
    if listeners:
        row["announced_p99_ms"] = _percentile(done["delays_ms"], 99)
    return row


def _books(market: Market, seconds: float, listeners: int) -> dict[str, Any]:
    """Measure listeners to one book at five updates a second: how far the last is behind the first."""
    subscribe = {"type": "subscribe", "channels": ["orderbooks"], "symbol_ids": [1], "interval_ms": 200}
    work = {"senders": 1, "listeners": listeners, "seconds": seconds, "every_s": 0.02, "subscribe": subscribe}
    done = _client(market, work)
    books = done["books"]
    return {
        "clients": listeners,
        "orders_per_s": round(done["orders"] / done["seconds"]),
        "p50_ms": _percentile(done["spreads_ms"], 50),
        "p99_ms": _percentile(done["spreads_ms"], 99),
        "announcements": sum(books),
        "lost": sum(max(books) - it for it in books),
        "rss_mb": rss_mb(market.gateway_pid),
        "updates_per_s": round(max(books) / done["seconds"], 2),
        "behind_ms": _percentile(done["spreads_ms"], 100),
    }


def _line(side: int) -> bytes:
    return b'{"action":"add","order":{"price":10000,"qty":1,"side":%d}}\n' % side


def _tcp(market: Market, seconds: float, window: int) -> dict[str, Any]:
    """Measure one connection to the engine that keeps `window` orders on their way."""
    lines = _line(0) + _line(1)
    batch = lines * (window // 2) if window > 1 else _line(0)
    trips: list[float] = []
    answered = 0
    with socket.create_connection(market.engine) as wire:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        began = time.perf_counter()
        while (sent := time.perf_counter()) - began < seconds:
            wire.sendall(batch)
            left = window
            while left:
                data = wire.recv(1 << 20)
                if not data:
                    raise SimlabError("the engine closed the connection of the benchmark")
                left -= data.count(b"\n")
            answered += window
            trips.append(1000 * (time.perf_counter() - sent))
        ended = time.perf_counter()
    return {
        "clients": 1,
        "orders_per_s": round(answered / (ended - began)),
        "p50_ms": _percentile(trips, 50),
        "p99_ms": _percentile(trips, 99),
        "announcements": 0,
        "lost": 0,
        "rss_mb": rss_mb(market.engine_pid),
    }


def _sync_ms(folder: Path, pause_ms: float) -> float:
    """Return how long it takes to put a small record on the disk after a pause, milliseconds."""
    times = []
    with open(folder / "bench-sync", "wb", buffering=0) as file:
        for _ in range(500):
            time.sleep(pause_ms / 1000)
            file.write(b"x" * 256)
            began = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(1000 * (time.perf_counter() - began))
    return statistics.median(times)


def _synced(market: Market, seconds: float) -> dict[str, Any]:
    """Measure one client where nothing is answered before it is on the disk, against what that must take."""
    with market_of("live.journal.sync=off") as other:
        trip_ms = _tcp(other, seconds, 1)["p50_ms"]
    before_ms = _sync_ms(market.folder, trip_ms)
    row = _tcp(market, seconds, 1)
    sync_ms = (before_ms + _sync_ms(market.folder, trip_ms)) / 2
    return {
        **row,
        "sync_ms": round(sync_ms, 3),
        "relative": round(row["orders_per_s"] / (1000 / (sync_ms + trip_ms)), 3),
    }


class _Work(NamedTuple):
    measure: Callable[[Market, float], dict[str, Any]]
    settings: tuple[str, ...] = ()
    once: bool = False
    """Whether it is so long that one round of it is enough."""


WORKS: dict[str, _Work] = {
    "tcp pipelined": _Work(lambda market, seconds: _tcp(market, seconds, _PIPELINED)),
    "websocket, 1 client": _Work(lambda market, seconds: _websocket(market, seconds, 1, 0)),
    "websocket, 10 clients": _Work(lambda market, seconds: _websocket(market, seconds, 10, 0)),
    "websocket, 50 clients": _Work(lambda market, seconds: _websocket(market, seconds, 50, 0)),
    "1 sender, 100 listeners": _Work(lambda market, seconds: _websocket(market, seconds, 1, 100)),
    "1 book, 1000 listeners": _Work(lambda market, seconds: _books(market, seconds, 1000)),
    "tcp, sync always": _Work(_synced, ("live.journal.sync=always",)),
    "1800000 orders": _Work(lambda market, seconds: traded(market, 1_800_000), once=True),
    "restart after 1000000 orders": _Work(lambda market, seconds: restarted(market, 1_000_000), once=True),
}
"""What is measured, by its name."""


def run(works: list[str] | None = None, seconds: float = 3.0, rounds: int = 3) -> list[dict[str, Any]]:
    """Measure a live market.

    Parameters
    ----------
    works : list of str, optional
        Names out of `WORKS`; all if not given.
    seconds : float
        How long each round trades.
    rounds : int
        Rounds of each work.

    Returns
    -------
    list of dict
        A row a work: ``work, clients, orders_per_s, p50_ms, p99_ms, announcements, lost, rss_mb``, and what
        is special about it; medians of the rounds, but of what was lost the sum.
    """
    rows = []
    for name in WORKS if works is None else works:
        work = WORKS[name]
        found = []
        for _ in range(1 if work.once else rounds):
            with market_of(*work.settings) as market:
                found.append(work.measure(market, seconds))
        rows.append({"work": name, **_medians(found)})
    return rows


def _medians(found: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the medians of rows; of what was lost the sum."""
    row = {}
    for name in found[0]:
        values = [it[name] for it in found if it[name] is not None]
        if name == "lost":
            row[name] = sum(values)
        else:
            row[name] = statistics.median_low(values) if values else None
    return row
