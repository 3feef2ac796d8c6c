"""Measure a live market over very many orders: memory, portfolios against the recording, and a restart."""

from __future__ import annotations

import socket
import time
from typing import Any, NamedTuple

import msgspec
import numpy as np

from simlab.bench.live_market import Market
from simlab.bench.memory import rss_mb
from simlab.errors import SimlabError
from simlab.recording import open_run

__all__ = ["restarted", "traded"]

_AGENTS = 10
_CASH = 10**9
_AT_ONCE = 500
"""Orders that are sent before their answers are read: fewer than the engine's queue takes."""
_CLEARED = 20
"""After so many times `_AT_ONCE` orders all cancel what rests, or the book would grow for ever."""
_ADD = (
    b'{"action":"add","session":%d,"order":{"id":%d,"side":%d,"price":%d,"qty":%d,"time_in_force":"GTC"}}\n'
)
_TIMEOUT_S = 60.0


class _Held(NamedTuple):
    """What an agent has, money units and lots."""

    account: int
    cash: int
    inventory: int


class _Traders:
    """Agents that share one connection to an engine, and trade with each other there."""

    def __init__(self, market: Market) -> None:
        self._wire = socket.create_connection(market.engine, timeout=_TIMEOUT_S)
        self._wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent = self.acknowledged = 0
        self._random = np.random.default_rng(1)

    def ask(self, data: bytes, count: int) -> bytes:
        """Send requests, and return their answers."""
        self._wire.sendall(data)
        parts: list[bytes] = []
        while count:
            part = self._wire.recv(1 << 20)
            if not part:
                raise SimlabError("the engine closed the connection of the benchmark")
            count -= part.count(b"\n")
            parts.append(part)
        return b"".join(parts)

    def _asked(self, **request: Any) -> dict[str, Any]:
        answer: dict[str, Any] = msgspec.json.decode(self.ask(msgspec.json.encode(request) + b"\n", 1))
        if answer["status"] != "success":
            raise SimlabError(f"the engine refused {request['action']}: {answer['message']}")
        return answer

    def register(self) -> None:
        """Have the agents made."""
        for n in range(_AGENTS):
            self._asked(action="register", session=n, agent_id=f"bench-{n}", starting_capital=_CASH)

    def trade(self, orders: int) -> None:
        """Send orders as fast as they are answered."""
        for turn in range(orders // _AT_ONCE):
            first = self.sent
            words = zip(
                self._random.integers(0, 2, _AT_ONCE).tolist(),
                self._random.integers(9_990, 10_011, _AT_ONCE).tolist(),
                self._random.integers(1, 10, _AT_ONCE).tolist(),
                strict=True,
            )
            lines = [_ADD % (n % _AGENTS, first + n, *word) for n, word in enumerate(words)]
            answers = self.ask(b"".join(lines), _AT_ONCE)
            self.sent += _AT_ONCE
            self.acknowledged += answers.count(b'"status":"success"')
            if turn % _CLEARED == _CLEARED - 1:
                clear = (b'{"action":"cancel_all","session":%d}\n' % n for n in range(_AGENTS))
                self.ask(b"".join(clear), _AGENTS)

    def held(self) -> list[_Held]:
        """Return what the agents have."""
        found = []
        for n in range(_AGENTS):
            agent = self._asked(action="account", agent_id=f"bench-{n}")
            found.append(_Held(agent["account"], agent["cash"], _lots(agent["positions"])))
        return found

    def metrics(self) -> dict[str, Any]:
        """Return what the engine says of itself."""
        return self._asked(action="metrics")

    def close(self) -> None:
        """Close the connection."""
        self._wire.close()


def _lots(positions: dict[str, Any]) -> int:
    return int(positions["1"]["quantity"]) if "1" in positions else 0


def _rebuilt(market: Market, accounts: list[int]) -> list[_Held]:
    """Return what accounts must have, by the table of trades of a run that has ended."""
    most = max(accounts) + 1
    cash, inventory = np.full(most, _CASH, np.int64), np.zeros(most, np.int64)
    columns = ["price", "quantity", "aggressor_side", "taker_account", "maker_account"]
    for part in open_run(market.folder).batches("trades", columns=columns, names=False):
        lots = part["quantity"].to_numpy(np.int64) * np.where(part["aggressor_side"] == "buy", 1, -1)
        paid = lots * part["price"].to_numpy(np.int64)
        for name, sign in (("taker_account", 1), ("maker_account", -1)):
            np.add.at(inventory, part[name].to_numpy(), sign * lots)
            np.add.at(cash, part[name].to_numpy(), -sign * paid)
    return [_Held(it, int(cash[it]), int(inventory[it])) for it in accounts]


def _accepted(market: Market) -> int:
    """Return how many orders a run recorded as accepted."""
    parts = open_run(market.folder).batches("messages", columns=["event"], names=False)
    return sum(int((part["event"] == "accepted").sum()) for part in parts)


def _row(traders: _Traders, seconds: float) -> dict[str, Any]:
    return {
        "clients": 1,
        "orders_per_s": round(traders.sent / seconds),
        "p50_ms": None,
        "p99_ms": None,
        "announcements": 0,
    }


def traded(market: Market, orders: int) -> dict[str, Any]:
    """Measure many orders: memory after a quarter and after all, and portfolios against the table of trades.

    Parameters
    ----------
    market : Market
        A fresh one; its engine is ended.
    orders : int
        A multiple of 2,000.

    Returns
    -------
    dict
        A row; `lost` counts orders without an answer that they were taken, and those that the recording
        lacks, ``portfolios_wrong`` agents that have something else than the trades recorded say.
    """
    traders = _Traders(market)
    traders.register()
    began_s = time.perf_counter()
    traders.trade(orders // 4)
    start_mb = rss_mb(market.engine_pid)
    traders.trade(orders - orders // 4)
    row = _row(traders, time.perf_counter() - began_s)
    end_mb = rss_mb(market.engine_pid)
    held = traders.held()
    traders.close()
    market.end_engine()
    rebuilt = _rebuilt(market, [it.account for it in held])
    return {
        **row,
        "lost": 2 * traders.sent - traders.acknowledged - _accepted(market),
        "rss_mb": end_mb,
        "rss_start_mb": start_mb,
        "portfolios_wrong": sum(a != b for a, b in zip(held, rebuilt, strict=True)),
    }


def restarted(market: Market, orders: int) -> dict[str, Any]:
    """Measure how long an engine that is killed after many orders takes until it answers again.

    Parameters
    ----------
    market : Market
        A fresh one.
    orders : int
        A multiple of 2,000.

    Returns
    -------
    dict
        A row; ``restart_s`` is the time from the start of the process, `lost` counts acknowledged orders
        that the engine no longer knows, ``portfolios_wrong`` agents that have something else than before.
    """
    traders = _Traders(market)
    traders.register()
    began_s = time.perf_counter()
    traders.trade(orders)
    row = _row(traders, time.perf_counter() - began_s)
    held, before = traders.held(), traders.metrics()
    restart_s = market.restart_engine()
    traders.close()
    again = _Traders(market)
    after, held_again = again.metrics(), again.held()
    again.close()
    if after["event_log_hash"] != before["event_log_hash"]:
        raise SimlabError("the restarted engine has another event log than the one that was killed")
    return {
        **row,
        "lost": before["total_orders"] - after["total_orders"],
        "rss_mb": rss_mb(market.engine_pid),
        "restart_s": round(restart_s, 2),
        "portfolios_wrong": sum(a != b for a, b in zip(held, held_again, strict=True)),
    }
