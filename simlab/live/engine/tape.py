"""Keep trades and candles for whoever looks: the latest of each, in bounded memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CANDLE", "PRINT", "Ring", "Tape"]

PRINT = np.dtype(
    [
        ("time_s", "f8"),
        *((name, "i8") for name in ("sequence", "step", "instrument", "price", "quantity", "side")),
        *((name, "i8") for name in ("taker", "maker", "taker_order", "maker_order")),
    ]
)
"""One trade: price units, lots; `taker` and `maker` are accounts."""

CANDLE = np.dtype([("start_s", "i8"), *((name, "i8") for name in ("open", "high", "low", "close", "volume"))])
"""One interval in which something traded, price units and lots."""

_TRADES_EACH = 10_000
_TRADES_OUTSIDE = 100_000
_MOST_WAITING = 4_096
_SPANS: tuple[tuple[int, int], ...] = ((1, 7_200), (60, 20_160))
"""Intervals of the candles that are kept, s, and how many: two hours of seconds, two weeks of minutes."""


class Ring:
    """The latest rows, oldest first; room is made as rows come.

    Example
    -------
    >>> ring = Ring(np.dtype([("n", "i8")]), most=3)
    >>> for n in range(5):
    ...     ring.extend(np.array([(n,)], ring.dtype))
    >>> ring.latest(2)["n"].tolist(), len(ring)
    ([3, 4], 3)
    """

    def __init__(self, dtype: np.dtype[Any], most: int, rows: NDArray[Any] | None = None) -> None:
        self.dtype, self._most = dtype, most
        self._rows = np.zeros(min(64, 2 * most), dtype)
        self._end = 0
        if rows is not None:
            self.extend(rows)

    def __len__(self) -> int:
        return min(self._end, self._most)

    def extend(self, rows: NDArray[Any]) -> None:
        """Add rows behind the others."""
        rows = rows[-self._most :]
        if self._end + len(rows) > len(self._rows):
            kept = self.latest(self._most).copy()
            room = min(2 * self._most, max(2 * len(self._rows), 2 * (len(kept) + len(rows))))
            room = max(room, len(kept) + len(rows))
            self._rows = np.zeros(room, self.dtype)
            self._rows[: len(kept)] = kept
            self._end = len(kept)
        self._rows[self._end : self._end + len(rows)] = rows
        self._end += len(rows)

    def latest(self, most: int) -> NDArray[Any]:
        """Return the latest rows, oldest first; they are not copied."""
        return self._rows[max(0, self._end - min(most, self._most)) : self._end]


class _Instrument:
    """What is kept of one instrument."""

    def __init__(self) -> None:
        self.trades = Ring(PRINT, _TRADES_EACH)
        self.candles = {span: Ring(CANDLE, most) for span, most in _SPANS}


class Tape:
    """Trades and candles of all instruments; the clock is the wall's.

    What comes is put in its place when somebody looks, or when it is much.
    """

    def __init__(self, trades: int = 0, volume: int = 0) -> None:
        self.trades = trades
        """Trades so far."""
        self._volume = volume
        self._instruments: dict[int, _Instrument] = {}
        self._outside = Ring(PRINT, _TRADES_OUTSIDE)
        self._waiting: list[NDArray[Any]] = []
        self._times_s: list[float] = []
        self._rows = 0
        self._is_outside = np.zeros(0, np.bool_)

    @property
    def volume(self) -> int:
        """Lots traded so far."""
        self._settle()
        return self._volume

    def take(self, fills: NDArray[Any], outside: NDArray[np.bool_], now_s: float) -> None:
        """Add ``(n,) EVENT_DTYPE`` fills that happened now; `outside` says which accounts are seats."""
        self.trades += len(fills)
        self._rows += len(fills)
        self._is_outside = outside
        self._waiting.append(fills)
        self._times_s.append(now_s)
        if self._rows >= _MOST_WAITING:
            self._settle()

    def _settle(self) -> None:
        """Put what waits in its place."""
        if not self._waiting:
            return
        fills = np.concatenate(self._waiting)
        rows = np.zeros(len(fills), PRINT)
        rows["time_s"] = np.repeat(self._times_s, [len(it) for it in self._waiting])
        self._waiting, self._times_s, self._rows = [], [], 0
        for name in ("sequence", "step", "instrument", "price", "quantity", "side"):
            rows[name] = fills[name]
        rows["taker"], rows["maker"] = fills["account"], fills["other_account"]
        rows["taker_order"], rows["maker_order"] = fills["order_id"], fills["other_order_id"]
        self._volume += int(rows["quantity"].sum())
        for number in np.unique(rows["instrument"]).tolist():
            self._add(number, rows[rows["instrument"] == number])
        own = self._is_outside[rows["taker"]] | self._is_outside[rows["maker"]]
        if own.any():
            self._outside.extend(rows[own])

    def _add(self, number: int, rows: NDArray[Any]) -> None:
        kept = self._instruments.get(number)
        if kept is None:
            kept = self._instruments[number] = _Instrument()
        kept.trades.extend(rows)
        for span, ring in kept.candles.items():
            fresh = _candles_of(rows, span)
            latest = ring.latest(1)
            if len(latest) and latest["start_s"][0] >= fresh["start_s"][0]:
                _extend_candle(latest, fresh[0])
                fresh = fresh[1:]
            ring.extend(fresh)

    def trades_of(self, instrument: int, limit: int) -> NDArray[Any]:
        """Return the latest trades of an instrument, oldest first."""
        self._settle()
        kept = self._instruments.get(instrument)
        return np.zeros(0, PRINT) if kept is None else kept.trades.latest(limit)

    def trades_by(self, account: int, limit: int) -> NDArray[Any]:
        """Return the latest trades of a seat, oldest first."""
        self._settle()
        rows = self._outside.latest(_TRADES_OUTSIDE)
        return rows[(rows["taker"] == account) | (rows["maker"] == account)][-limit:]

    def trades_inside(self, account: int, limit: int) -> NDArray[Any]:
        """Return the latest trades of an account that is no seat, of those of instruments, oldest first."""
        self._settle()
        found = [np.zeros(0, PRINT)]
        for kept in self._instruments.values():
            rows = kept.trades.latest(_TRADES_EACH)
            found.append(rows[(rows["taker"] == account) | (rows["maker"] == account)][-limit:])
        rows = np.concatenate(found)
        return rows[np.argsort(rows["sequence"])][-limit:]

    def candles(self, instrument: int, interval_s: int, limit: int) -> NDArray[Any]:
        """Return the latest candles of an interval, oldest first, made of shorter ones."""
        self._settle()
        kept = self._instruments.get(instrument)
        if kept is None:
            return np.zeros(0, CANDLE)
        span = max(span for span in kept.candles if interval_s % span == 0)
        return _joined(kept.candles[span].latest(_SPANS[-1][1]), interval_s)[-limit:]

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return all that is kept, to be written down."""
        self._settle()
        arrays = {"outside": self._outside.latest(_TRADES_OUTSIDE)}
        for number, kept in self._instruments.items():
            arrays[f"trades.{number}"] = kept.trades.latest(_TRADES_EACH)
            arrays |= {f"candles.{number}.{span}": kept.candles[span].latest(most) for span, most in _SPANS}
        return arrays

    def read_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Go on from what `to_arrays` returned."""
        for name, rows in arrays.items():
            what, *numbers = name.split(".")
            if what == "outside":
                self._outside = Ring(PRINT, _TRADES_OUTSIDE, rows)
                continue
            kept = self._instruments.setdefault(int(numbers[0]), _Instrument())
            if what == "trades":
                kept.trades = Ring(PRINT, _TRADES_EACH, rows)
            else:
                span = int(numbers[1])
                kept.candles[span] = Ring(CANDLE, dict(_SPANS)[span], rows)


def _candles_of(rows: NDArray[Any], span_s: int) -> NDArray[Any]:
    """Return the candles that trades make, of the intervals in which there are any."""
    parts = np.zeros(len(rows), CANDLE)
    parts["start_s"] = np.maximum.accumulate(rows["time_s"].astype(np.int64))
    for name in ("open", "high", "low", "close"):
        parts[name] = rows["price"]
    parts["volume"] = rows["quantity"]
    return _joined(parts, span_s)


def _joined(parts: NDArray[Any], interval_s: int) -> NDArray[Any]:
    """Return candles of an interval, made of shorter ones."""
    starts = parts["start_s"] // interval_s * interval_s
    first = np.flatnonzero(np.diff(starts, prepend=-1))
    candles = np.zeros(len(first), CANDLE)
    if not len(first):
        return candles
    candles["start_s"] = starts[first]
    candles["open"] = parts["open"][first]
    candles["close"] = parts["close"][np.append(first[1:], len(parts)) - 1]
    candles["high"] = np.maximum.reduceat(parts["high"], first)
    candles["low"] = np.minimum.reduceat(parts["low"], first)
    candles["volume"] = np.add.reduceat(parts["volume"], first)
    return candles


def _extend_candle(row: NDArray[Any], later: np.void) -> None:
    """Add what happened later in an interval to its candle, ``(1,) CANDLE``."""
    row["high"], row["low"] = max(row["high"][0], later["high"]), min(row["low"][0], later["low"])
    row["close"], row["volume"] = later["close"], row["volume"][0] + later["volume"]
