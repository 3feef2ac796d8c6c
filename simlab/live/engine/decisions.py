"""Keep the latest of what agents decided and why, for whoever looks; record what those from outside say."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from msgspec import Struct

from simlab.live import protocol as ask

__all__ = ["DecisionShelf", "Said"]

_KEPT = 100
"""Decisions of an agent from outside that are kept."""
_KEPT_INSIDE = 20_000
"""Decisions that are kept of all agents inside the market together."""
_ORDERS = ("first_order", "last_order", "orders")
_SHOWN = ("account", "step", "source", "strategy", "action", "reason", "fallback")


class Said(Struct, array_like=True, gc=False):
    """One decision: who, in which step, when (seconds since 1970), and what was told of it."""

    account: int
    step: int
    created_at: float
    told: ask.Decided


class DecisionShelf:
    """The latest decisions of each agent from outside, and of all inside."""

    def __init__(self, said: Iterable[Said] = ()) -> None:
        self._latest: dict[int, deque[Said]] = {}
        self._inside: deque[tuple[float, Mapping[str, Any]]] = deque()
        """Rows of the table `decisions`, as they came together, and when; the columns are not copied."""
        self._rows_inside = 0
        for it in said:
            self._keep(it)

    def take(self, it: Said, rows: Callable[[str, dict[str, list[Any]]], None]) -> None:
        """Take a decision; `rows` is given it as a row of the table `decisions`."""
        self._keep(it)
        told = it.told
        row: dict[str, Any] = {
            "step": it.step,
            "account": it.account,
            "source": told.source,
            "strategy": told.strategy,
            "action": told.done,
            "first_order": min(told.order_ids, default=None),
            "last_order": max(told.order_ids, default=None),
            "orders": len(told.order_ids),
            **{name: getattr(told, name) for name in ask.NOTED},
        }
        rows("decisions", {name: [value] for name, value in row.items()})

    def _keep(self, it: Said) -> None:
        self._latest.setdefault(it.account, deque(maxlen=_KEPT)).append(it)

    def latest(self, account: int, limit: int) -> list[dict[str, Any]]:
        """Return the latest decisions of an account as the wire shows them, oldest first."""
        return [
            {
                "step": it.step,
                "timestamp": it.created_at,
                "source": it.told.source,
                "strategy": it.told.strategy,
                "action": it.told.done,
                "reason": it.told.reason,
                "fallback": it.told.fallback,
                "order_ids": it.told.order_ids,
            }
            for it in list(self._latest.get(account, ()))[-limit:]
        ]

    def note(self, columns: Mapping[str, Any], now_s: float) -> None:
        """Keep rows of the table `decisions`, of agents inside the market, that came together."""
        self._inside.append((now_s, {name: columns[name] for name in (*_SHOWN, *_ORDERS)}))
        self._rows_inside += len(columns["step"])
        while self._rows_inside > _KEPT_INSIDE and len(self._inside) > 1:
            self._rows_inside -= len(self._inside.popleft()[1]["step"])

    def latest_inside(self, account: int, limit: int) -> list[dict[str, Any]]:
        """Return the latest decisions of an agent inside, as `latest`. O(rows that are kept)."""
        found: list[dict[str, Any]] = []
        for at_s, columns in reversed(self._inside):
            for place in reversed([i for i, it in enumerate(columns["account"]) if it == account]):
                row = {name: columns[name][place] for name in _SHOWN[1:]}
                ids = _ids(*(columns[name][place] for name in _ORDERS))
                found.append({**row, "timestamp": at_s, "order_ids": ids})
            if len(found) >= limit:
                break
        return found[:limit][::-1]

    def all(self) -> list[Said]:
        """Return all that are kept, to be written down."""
        return [it for kept in self._latest.values() for it in kept]


def _ids(first: int | None, last: int | None, count: int) -> list[int]:
    """Return the orders of a decision; of those between which others' ids lie the first and the last."""
    if first is None or last is None:
        return []
    return list(range(first, last + 1)) if last - first + 1 == count else [first, last]
