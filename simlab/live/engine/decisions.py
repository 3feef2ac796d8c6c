"""Record what agents from outside say they decided, and why, and keep the latest for whoever looks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from simlab.live import protocol as ask

__all__ = ["DecisionShelf", "Said"]

_KEPT = 100
"""Decisions of an agent that are kept."""


class Said(Struct, array_like=True, gc=False):
    """One decision: who, in which step, when (seconds since 1970), and what was told of it."""

    account: int
    step: int
    created_at: float
    told: ask.Decided


class DecisionShelf:
    """The latest decisions of each agent."""

    def __init__(self, said: Iterable[Said] = ()) -> None:
        self._latest: dict[int, deque[Said]] = {}
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

    def all(self) -> list[Said]:
        """Return all that are kept, to be written down."""
        return [it for kept in self._latest.values() for it in kept]
