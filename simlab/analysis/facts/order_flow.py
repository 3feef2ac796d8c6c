"""Read runs and order-level tables for stylised facts: prices on a grid of steps, and orders one by one.

Every table is read once, in batches. What is kept follows the number of steps, not of messages, and of the
orders the first million.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count, takewhile
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis.facts.evidence import Evidence, OrderFlow
from simlab.analysis.tables import Frames, batches, signs
from simlab.errors import AnalysisError

if TYPE_CHECKING:
    from simlab.recording import Run

__all__ = ["MOST_ORDERS", "from_run", "from_tables"]

MOST_ORDERS = 1 << 20
"""Of longer sequences of orders the first are kept."""

_MOVING_AT_LEAST = 0.5
_RETURNS_AT_LEAST = 250
_RETURNS_AT_MOST = 200_000


def from_run(run: Run, instrument: str | None = None, *, every: int | None = None) -> Evidence:
    """Take a recorded run: returns of the mid price on a grid of steps, volumes, orders.

    Parameters
    ----------
    run : Run
    instrument : str, optional
        Name; needed when the run has several.
    every : int, optional
        Steps of a return; see `from_tables`.

    Raises
    ------
    AnalysisError
        When the run has several instruments and none is named, or no quotes.

    Example
    -------
    >>> from_run(run, "ACME").interval  # doctest: +SKIP
    '10 steps'
    """
    instrument = instrument or _only(run)
    options: dict[str, Any] = {"instrument": instrument, "names": False}
    quotes = run.batches("quotes", columns=["step", "best_bid", "best_ask"], **options)
    columns = ["step", "price", "quantity", "aggressor_side", "taker_order_id"]
    trades = run.batches("trades", columns=columns, **options)
    messages = run.batches("messages", columns=["step", "event"], **options)
    several = len(run.instruments()) > 1
    name = f"{run.path.name} {instrument}" if several else run.path.name
    found = from_tables(quotes=quotes, trades=trades, messages=messages, every=every, name=name)
    notes = () if run.finished else (f"the run is {run.status}",)
    return replace(found, notes=(*notes, *found.notes))


def _only(run: Run) -> str:
    names = list(run.instruments()["name"])
    if len(names) != 1:
        raise AnalysisError(
            f"{run.path} has {len(names)} instruments: {', '.join(names)}; facts are found in one, so name it"
        )
    return str(names[0])


def from_tables(
    *,
    quotes: Frames | None = None,
    trades: Frames | None = None,
    messages: Frames | None = None,
    every: int | None = None,
    name: str = "tables",
) -> Evidence:
    """Take order-level tables of one instrument, recorded or imported.

    Prices are mids of the quotes, on a grid of steps: at each point the last one known. Without quotes, or
    where fewer than two of them have both sides, they are those of the trades; then a note says so, and
    impact cannot be judged. By default the grid is the finest of 1, 2, 5, 10, ... steps (or intervals
    between quotes) on which half of the returns are not zero, so that the tick does not hide what the price
    does, as long as 250 returns are left.

    Parameters
    ----------
    quotes : Frames, optional
        ``step``, ``best_bid``, ``best_ask``; in order of steps, like the others.
    trades : Frames, optional
        ``step``, ``price``, ``quantity``, ``aggressor_side`` (buy or sell) and perhaps ``taker_order_id``;
        without the last, every trade counts as an order.
    messages : Frames, optional
        ``step``, ``event``.
    every : int, optional
        Steps of a return.
    name : str
        For the card.

    Raises
    ------
    AnalysisError
        When there are neither two quotes with both sides nor trades at two steps, a column is missing, a
        side is neither buy nor sell, a table holds several instruments, or `every` leaves no returns.

    Example
    -------
    >>> trades = pd.DataFrame({"step": range(300), "price": [100, 101] * 150, "quantity": 2,
    ...                        "aggressor_side": ["sell", "buy"] * 150})
    >>> source = from_tables(trades=trades)
    >>> source.interval, len(source.returns), source.flow.signs[:3].tolist()
    ('1 step', 299, [-1, 1, -1])
    """
    quoted = None if quotes is None else _Quoted(quotes)
    traded = None if trades is None else _Traded(trades)
    notes: tuple[str, ...] = ()
    if quoted is not None and not quoted.moves and traded is not None:
        quoted, notes = None, ("prices are those of trades, for no two quotes have both sides",)
    prices = traded if quoted is None else quoted
    if prices is None or not prices.moves:
        raise _no_prices(name, traded)
    _require_positive(prices, name)
    grid = _grid(prices, every, name)
    returns = np.diff(np.log(prices.at(grid)))
    width = int(grid[1] - grid[0])
    interval = f"{width:,} step{'s' if width > 1 else ''}"
    if traded is None:
        lacking = {"volume": "Needs trades", "flow": "Needs trades"}
        return Evidence(name, interval, returns, missing=lacking)
    volume = _per_interval(traded.steps, traded.volume, grid)
    flow = _flow(quoted, traded, messages, grid)
    return Evidence(name, interval, returns, volume, flow, notes=notes)


def _no_prices(name: str, traded: _Traded | None) -> AnalysisError:
    trades = ""
    if traded is not None:
        trades = " and trades at one step only" if len(traded.steps) else " and 0 trades"
    return AnalysisError(
        f"{name} has fewer than two quotes with both sides{trades}; facts are about how prices change, so "
        "run more steps, let agents quote or trade, and record with recording.quotes_every: 1"
    )


def _require_positive(prices: _Prices, name: str) -> None:
    lowest = prices.prices.min()
    if lowest <= 0:
        raise AnalysisError(
            f"{name} has prices down to {lowest:g}; facts are about log returns, which take prices above 0"
        )


class _Prices:
    """A price by step, known from the first step on."""

    steps: NDArray[np.int64]
    prices: NDArray[np.float64]

    @property
    def moves(self) -> bool:
        """Whether there are prices at two steps, which a return needs."""
        return len(self.steps) > 1 and bool(self.steps[-1] > self.steps[0])

    def at(self, steps: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the last price known at the end of each step."""
        return self.prices[np.searchsorted(self.steps, steps, side="right") - 1]


class _Quoted(_Prices):
    """Mids by step, where both sides of the book were there."""

    def __init__(self, quotes: Frames) -> None:
        steps, mids = [np.empty(0, np.int64)], [np.empty(0)]
        for frame in _one_instrument(quotes, ("step", "best_bid", "best_ask"), "quotes"):
            mid = (frame["best_bid"].to_numpy(float) + frame["best_ask"].to_numpy(float)) / 2
            known = ~np.isnan(mid)
            steps.append(frame["step"].to_numpy(np.int64)[known])
            mids.append(mid[known])
        self.steps = _ordered(np.concatenate(steps), "quotes")
        self.prices = np.concatenate(mids)


class _Traded(_Prices):
    """Trades by step (last price, volume, volume bought less sold), and incoming orders one by one."""

    def __init__(self, trades: Frames) -> None:
        steps, columns = [np.empty(0, np.int64)], [np.empty((0, 3))]
        self._signs, self._sizes = [np.empty(0, np.int8)], [np.empty(0, np.int64)]
        self._kept = 0
        self._last_order: object = None
        for frame in _one_instrument(trades, ("step", "price", "quantity", "aggressor_side"), "trades"):
            step = frame["step"].to_numpy(np.int64)
            quantity = frame["quantity"].to_numpy(np.int64)
            sign = signs(frame["aggressor_side"])
            if self._kept < MOST_ORDERS:
                self._add_orders(_order_ids(frame, self._last_order), sign, quantity)
            starts = _starts(step)
            steps.append(step[starts])
            sums = [np.add.reduceat(values, starts) for values in (quantity, quantity * sign)]
            last = np.r_[starts[1:], len(step)] - 1
            columns.append(np.column_stack([frame["price"].to_numpy(float)[last], *sums]))
        joined = _ordered(np.concatenate(steps), "trades")
        table = np.concatenate(columns)
        starts = _starts(joined)
        self.steps = joined[starts]
        self.prices = table[np.r_[starts[1:], len(table)] - 1, 0] if len(table) else table[:, 0]
        self.volume = np.add.reduceat(table[:, 1], starts) if len(table) else table[:, 1]
        self.net_volume = np.add.reduceat(table[:, 2], starts) if len(table) else table[:, 2]

    def _add_orders(
        self, orders: NDArray[np.int64], sign: NDArray[np.int8], quantity: NDArray[np.int64]
    ) -> None:
        starts = _starts(orders)
        sizes = np.add.reduceat(quantity, starts)
        if orders[0] == self._last_order:  # its first fills were in the batch before
            self._sizes[-1][-1] += sizes[0]
            starts, sizes = starts[1:], sizes[1:]
        self._last_order = orders[-1]
        if len(starts):
            self._signs.append(sign[starts])
            self._sizes.append(sizes)
            self._kept += len(starts)

    @property
    def signs(self) -> NDArray[np.int8]:
        """The side of each incoming order, ``(k,) int8``."""
        return np.concatenate(self._signs)[:MOST_ORDERS]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """What each traded, ``(k,) int64``, lots."""
        return np.concatenate(self._sizes)[:MOST_ORDERS]


def _order_ids(frame: pd.DataFrame, last: object) -> NDArray[np.int64]:
    """Return what tells incoming orders apart: their ids, or a new number a trade where there are none."""
    if "taker_order_id" in frame.columns:
        return frame["taker_order_id"].to_numpy(np.int64)
    first = last + 1 if isinstance(last, (int, np.integer)) else 0
    return np.arange(first, first + len(frame))


def _starts(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each run of equal values begins."""
    return np.flatnonzero(np.r_[True, values[1:] != values[:-1]][: len(values)])


def _ordered(steps: NDArray[np.int64], table: str) -> NDArray[np.int64]:
    wrong = np.flatnonzero(steps[1:] < steps[:-1])
    if len(wrong):
        raise AnalysisError(
            f"{table}: step {steps[wrong[0] + 1]} comes after step {steps[wrong[0]]}; sort the rows by step"
        )
    return steps


def _one_instrument(frames: Frames, columns: tuple[str, ...], table: str) -> Iterator[pd.DataFrame]:
    """Yield the frames; raises AnalysisError as soon as a second instrument turns up."""
    seen: set[object] = set()
    for frame in batches(frames, columns, table):
        if "instrument" in frame.columns:
            seen |= set(frame["instrument"].unique())
            if len(seen) > 1:
                raise AnalysisError(
                    f"{table} holds several instruments ({', '.join(sorted(map(str, seen)))}); facts are "
                    "found in one, so give the rows of one"
                )
        yield frame


def _grid(prices: _Prices, every: int | None, name: str) -> NDArray[np.int64]:
    """Return the steps at which the price is read, at least two."""
    steps = prices.steps
    span = int(steps[-1] - steps[0])
    if every is not None and (every < 1 or every > span):
        raise AnalysisError(
            f"every is {every} steps, and {name} has prices over {span} steps; a return spans at least 1 "
            "step and at most all of them"
        )
    width = every or _width(prices, span)
    return np.arange(steps[0], steps[-1] + 1, width)


def _width(prices: _Prices, span: int) -> int:
    finest = int(np.diff(prices.steps).min(initial=span, where=np.diff(prices.steps) > 0))
    chosen = finest
    for width in takewhile(lambda width: span // width >= _RETURNS_AT_LEAST, _round_widths(finest)):
        if span // width > _RETURNS_AT_MOST:
            continue
        chosen = width
        moves = np.diff(prices.at(np.arange(prices.steps[0], prices.steps[-1] + 1, width)))
        if np.count_nonzero(moves) >= _MOVING_AT_LEAST * len(moves):
            break
    return chosen


def _round_widths(finest: int) -> Iterator[int]:
    return (digit * 10**power * finest for power in count() for digit in (1, 2, 5))


def _per_interval(
    steps: NDArray[np.int64], values: NDArray[np.float64], grid: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return the sums over the steps after each point of the grid up to the next."""
    place = np.searchsorted(grid, steps, side="left") - 1
    inside = (place >= 0) & (place < len(grid) - 1)
    return np.bincount(place[inside], values[inside], minlength=len(grid) - 1).astype(float)


def _flow(
    quoted: _Quoted | None, traded: _Traded, messages: Frames | None, grid: NDArray[np.int64]
) -> OrderFlow:
    net = changes = np.empty(0)
    if quoted is not None:
        first = quoted.steps[: MOST_ORDERS + 1]
        net = _per_interval(traded.steps, traded.net_volume, first)
        changes = np.diff(np.log(quoted.prices[: MOST_ORDERS + 1]))
    if messages is None:
        return OrderFlow(traded.signs, traded.sizes, net, changes)
    steps, arrivals = _arrivals(messages)
    waiting = np.diff(steps[: MOST_ORDERS + 1])
    return OrderFlow(traded.signs, traded.sizes, net, changes, _per_interval(steps, arrivals, grid), waiting)


def _arrivals(messages: Frames) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the steps at which new orders were accepted, and how many."""
    steps, counts = [np.empty(0, np.int64)], [np.empty(0)]
    for frame in _one_instrument(messages, ("step", "event"), "messages"):
        step = frame["step"].to_numpy(np.int64)[(frame["event"] == "accepted").to_numpy()]
        starts = _starts(step)
        steps.append(step[starts])
        counts.append(np.diff(np.r_[starts, len(step)]).astype(float))
    joined = _ordered(np.concatenate(steps), "messages")
    starts = _starts(joined)
    return joined[starts], np.add.reduceat(np.concatenate(counts), starts) if len(joined) else np.empty(0)
