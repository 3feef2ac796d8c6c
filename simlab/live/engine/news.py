"""Keep the latest news as the wire shows them: with an id, and when they were published."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["NewsShelf"]

_SHOWN = 1_000


class NewsShelf:
    """The latest news, and those that listeners have not been told.

    Example
    -------
    >>> shelf = NewsShelf()
    >>> shelf.expect(1.5, "earnings")
    >>> shelf.take({"headline": ["Up"], "instrument": [-1], "sentiment": [0.5]}, now_s=9.0)
    >>> shelf.latest(1)[0]["impact_type"], shelf.fresh()[0]["created_at"], shelf.fresh()
    ('earnings', 1.5, [])
    """

    def __init__(self, items: Iterable[dict[str, Any]] = (), made: int = 0) -> None:
        self.items: deque[dict[str, Any]] = deque(items, maxlen=_SHOWN)
        self.made = made
        self._fresh: deque[dict[str, Any]] = deque(maxlen=_SHOWN)
        self._expected: tuple[float, str] | None = None

    def expect(self, now_s: float, impact_type: str) -> None:
        """Say what the market does not know of the news that comes next."""
        self._expected = now_s, impact_type

    def take(self, columns: Mapping[str, Any], now_s: float) -> None:
        """Take rows of the table of news."""
        for n in range(len(columns["headline"])):
            row = {name: values[n] for name, values in columns.items()}
            created_s, impact_type = self._expected or (now_s, "")
            self._expected = None
            self.made += 1
            number = int(row.get("instrument", -1))
            item = {
                "id": self.made,
                "headline": row["headline"],
                "content": row.get("content", ""),
                "sentiment": row.get("sentiment", 0.0),
                "impact": row.get("impact", 0.0),
                "source": row.get("source", ""),
                "symbol_id": number + 1 if number >= 0 else None,
                "impact_type": impact_type,
                "step": row.get("step", 0),
                "created_at": created_s,
            }
            self.items.append(item)
            self._fresh.append(item)

    def latest(self, limit: int) -> list[dict[str, Any]]:
        """Return the latest news, latest first."""
        return list(self.items)[::-1][:limit]

    def fresh(self) -> list[dict[str, Any]]:
        """Return what listeners have not been told, oldest first."""
        found = list(self._fresh)
        self._fresh.clear()
        return found
