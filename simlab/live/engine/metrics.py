"""Count what the engine does, and how long the legs of a request take, in bounded memory."""

from __future__ import annotations

from collections import deque

import numpy as np

__all__ = ["Meter"]

_SAMPLES = 4096
_RATE_OVER_S = 5.0
_MARKS = 64


class Meter:
    """Latencies of the latest batches, and rates over the latest seconds.

    Example
    -------
    >>> meter = Meter(now_s=0.0)
    >>> meter.leg("match", 0.002)
    >>> meter.latencies()
    {'match': {'p50': 2.0, 'p99': 2.0}}
    """

    def __init__(self, now_s: float) -> None:
        self.began_s = now_s
        self.queue_full = 0
        self.dropped = 0
        """Connections that were dropped because they did not read."""
        self.untold = 0
        """Trades among populations that subscribers were not told one by one: there were too many at once."""
        self._legs: dict[str, deque[float]] = {}
        self._marks: deque[tuple[float, int, int]] = deque([(now_s, 0, 0)], maxlen=_MARKS)

    def leg(self, name: str, seconds: float) -> None:
        """Note how long a part of the work took."""
        found = self._legs.get(name)
        if found is None:
            found = self._legs[name] = deque(maxlen=_SAMPLES)
        found.append(seconds)

    def latencies(self) -> dict[str, dict[str, float]]:
        """Return the median and the 99th percentile of each leg, ms."""
        found = {}
        for name, values in self._legs.items():
            p50, p99 = np.percentile(np.array(values), (50, 99)) * 1000
            found[name] = {"p50": round(float(p50), 4), "p99": round(float(p99), 4)}
        return found

    def mark(self, now_s: float, orders: int, trades: int) -> None:
        """Note totals, from which rates follow; several times a second is enough."""
        if now_s - self._marks[-1][0] >= _RATE_OVER_S / _MARKS * 2:
            self._marks.append((now_s, orders, trades))

    def rates(self, now_s: float, orders: int, trades: int) -> dict[str, float]:
        """Return orders and trades a second, of late and since the beginning."""
        past = next((it for it in self._marks if now_s - it[0] <= _RATE_OVER_S), self._marks[-1])
        span_s, age_s = max(now_s - past[0], 1e-3), max(now_s - self.began_s, 1e-3)
        return {
            "orders_per_second": round((orders - past[1]) / span_s, 3),
            "trades_per_second": round((trades - past[2]) / span_s, 3),
            "avg_orders_per_second": round(orders / age_s, 3),
            "avg_trades_per_second": round(trades / age_s, 3),
            "uptime_seconds": round(age_s, 3),
        }
