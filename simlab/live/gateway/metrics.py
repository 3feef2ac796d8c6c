"""Measure the gateway's legs, and write what is known in the format of Prometheus."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

__all__ = ["Latency", "Ring", "exposition"]

_KEPT = 10_000
_QUANTILES = {"p50": 50, "p99": 99}


class Ring:
    """The latest 10,000 durations of one kind.

    Example
    -------
    >>> ring = Ring()
    >>> for i in range(101):
    ...     ring.add(i / 1000)
    >>> ring.percentiles()
    {'p50': 50.0, 'p99': 99.0}
    """

    __slots__ = ("_next", "_seconds")

    def __init__(self) -> None:
        self._seconds = array("d")
        self._next = 0

    def add(self, seconds: float) -> None:
        """Take in one, seconds."""
        if len(self._seconds) < _KEPT:
            self._seconds.append(seconds)
        else:
            self._seconds[self._next] = seconds
            self._next = (self._next + 1) % _KEPT

    def percentiles(self) -> dict[str, float | None]:
        """Return median and 99th percentile, milliseconds; None before the first."""
        if not self._seconds:
            return dict.fromkeys(_QUANTILES)
        ordered = sorted(self._seconds)
        last = len(ordered) - 1
        return {name: round(1000 * ordered[last * part // 100], 4) for name, part in _QUANTILES.items()}


class Latency:
    """How long the legs of an order take in the gateway.

    `orders` is from a client's frame to its answer, `engine` from a line to the engine to its answer, and
    `announce` from the first announcement of a flush to the end of the flush.
    """

    def __init__(self) -> None:
        self.orders, self.engine, self.announce = Ring(), Ring(), Ring()

    def percentiles(self) -> dict[str, dict[str, float | None]]:
        """Return the percentiles of every leg, milliseconds, by its name."""
        return {
            "gateway_order": self.orders.percentiles(),
            "gateway_engine": self.engine.percentiles(),
            "gateway_announce": self.announce.percentiles(),
        }


class _Families:
    """Hand out what was measured; Prometheus' library asks for it."""

    def __init__(self, performance: dict[str, Any], gateway: dict[str, float]) -> None:
        self.performance, self.gateway = performance, gateway

    def collect(self) -> Iterable[Metric]:
        totals = {"total_trades": "trades", "total_orders": "orders", "total_volume": "volume_lots"}
        totals["queue_full_count"] = "queue_full"
        for name, value in self.performance.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                continue
            if name in totals:
                yield CounterMetricFamily(f"simlab_{totals[name]}", f"{name} of the engine", value=value)
            else:
                yield GaugeMetricFamily(f"simlab_{name}", f"{name} of the engine", value=value)
        for name, number in self.gateway.items():
            yield GaugeMetricFamily(f"simlab_gateway_{name}", f"{name} of the gateway", value=number)
        legs = GaugeMetricFamily(
            "simlab_latency_ms", "Latency of a leg, milliseconds", labels=["leg", "quantile"]
        )
        for leg, row in self.performance.get("latency_ms", {}).items():
            for quantile, value in row.items():
                if value is not None:
                    legs.add_metric([leg, quantile], value)
        yield legs


def exposition(performance: dict[str, Any], gateway: dict[str, float]) -> bytes:
    """Return the text that Prometheus reads.

    Parameters
    ----------
    performance : dict
        As of ``/api/performance``; empty while the engine is away.
    gateway : dict of str to float
        What the gateway counts itself.

    Example
    -------
    >>> b"simlab_gateway_listeners 3.0" in exposition({}, {"listeners": 3})
    True
    """
    registry = CollectorRegistry()
    ProcessCollector(namespace="simlab_gateway", registry=registry)
    registry.register(_Families(performance, gateway))  # type: ignore[arg-type]
    return generate_latest(registry)
