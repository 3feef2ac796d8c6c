"""Import order events of any venue, by a map of their columns, with the venue's trades as truth.

The events say which orders came, changed and went; the trades say which resting order traded with which
arriving one. An order that trades on arrival is sent as its aggressor (immediate or cancel, at the worst
price of its trades) and, for what remains, as an order that rests. What trades explain is not sent again.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from simlab.errors import RecordingError
from simlab.importing.compare import check_import
from simlab.importing.followed import FollowedMarket
from simlab.importing.frames import (
    Event,
    Ids,
    Table,
    Trade,
    as_text,
    read_csv,
    read_events,
    read_trades,
    trade_ids,
)
from simlab.importing.lobster_files import Row, RowType
from simlab.importing.mapping import EventMap, load_map
from simlab.importing.queues import RestingOrder
from simlab.importing.table import Fill, check_target, summarise, write_tables

__all__ = ["from_frame", "import_csv"]

_LINES_SHOWN = 20
_UNKNOWN = "row of an order that no row adds"
_NO_LOT = "row of an order of no lot"
_NO_MAKER = "trade whose resting order no row adds, or adds with too few lots"


def import_csv(
    file: Path,
    layout: EventMap | Mapping[str, Any] | Path | str,
    out: Path,
    *,
    negative_prices: bool = False,
) -> dict[str, Any]:
    """Turn a file of order events into a message table and its truth; see `from_frame`.

    Parameters
    ----------
    file : Path
        Comma-separated values with a header, also compressed (``.gz``, ``.zst`` and others).
    layout : path, mapping or EventMap
        The map; a path in it (``trades.file``) is relative to the map's own file, if it is one.
    out : Path
        The message table, ``.parquet``; the truth is written beside it.

    Example
    -------
    >>> import_csv(Path("orders.csv.gz"), Path("bitstamp.yaml"), Path("btc.parquet"))  # doctest: +SKIP
    """
    check_target(Path(out))
    chart = load_map(layout)
    folder = Path(layout).parent if isinstance(layout, Path | str) else Path()
    named = chart.trades.file if chart.trades is not None else None
    if chart.trades is not None and named is None:
        raise RecordingError("trades.file of the map is missing; name the file with the trades")
    trades = Table(read_csv(folder / named), str(folder / named), 2) if named is not None else None
    events = Table(read_csv(Path(file)), str(file), 2)
    return _import(events, trades, chart, Path(out), negative_prices)


def from_frame(
    events: pd.DataFrame,
    layout: EventMap | Mapping[str, Any] | Path | str,
    out: Path,
    *,
    trades: pd.DataFrame | None = None,
    negative_prices: bool = False,
) -> dict[str, Any]:
    """Turn a DataFrame of order events into a message table and its truth.

    Parameters
    ----------
    events : DataFrame
        One row an event, in order of time. Row 0 is the first in messages.
    layout : path, mapping or EventMap
        Which column holds what, in which unit; see docs/replay.md.
    out : Path
        The message table, ``.parquet``; the truth is written beside it.
    trades : DataFrame, optional
        The venue's trades, in order, where the map has ``trades``.
    negative_prices : bool
        Take prices of 0 and below. The instrument that replays them needs a `price_band` that reaches so low.

    Returns
    -------
    dict
        `rows`, `kinds`, `recorded_fills`, `skipped` (rows and trades left out: reason to count),
        `price_unit`, `quantity_unit`, `price_range`, `time_range_ns`, `events`, `snapshot_orders`,
        `crossed_rows` (`count`, and the first 20 `lines`: orders that came to rest at a price at which they
        would have traded, so that they enter when they no longer would, or trade), `adjustments` (what was
        sent beyond the rows: reason to count), `order_ids` ("of the venue" or "renumbered") and `agreement`
        (see `compare_replay`).

    Raises
    ------
    RecordingError
        When the map or a row breaks a rule; the message has the row, the value and the remedy.

    Example
    -------
    >>> import tempfile
    >>> layout = {
    ...     "time": {"column": "t", "unit": "s"}, "id": {"column": "id"}, "action": {"column": "what"},
    ...     "side": {"column": "side"}, "price": {"column": "price", "unit": 0.01},
    ...     "quantity": {"column": "lots", "unit": 1},
    ... }
    >>> events = pd.DataFrame({"t": [1.5, 2.0], "id": [7, 7], "what": ["add", "delete"], "side": "bid"})
    >>> events = events.assign(price=99.5, lots=3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     from_frame(events, layout, Path(folder) / "flow.parquet")["kinds"]
    {'cancel': 1, 'limit': 1}
    """
    check_target(Path(out))
    chart = load_map(layout)
    if (chart.trades is None) != (trades is None):
        missing = (
            "trades is given, and the map has no trades" if chart.trades is None else "the map has trades"
        )
        raise RecordingError(f"{missing}; give both the frame and the map's section, or neither")
    second = Table(as_text(trades), "trades", 0) if trades is not None else None
    return _import(Table(as_text(events), "events", 0), second, chart, Path(out), negative_prices)


def _import(
    events: Table, trades: Table | None, layout: EventMap, out: Path, negative_prices: bool
) -> dict[str, Any]:
    id_columns = [events.column("id", layout.id.column)]
    if trades is not None and layout.trades is not None:
        id_columns += trade_ids(trades, layout.trades).values()
    ids = Ids(*id_columns)
    skipped: Counter[str] = Counter()
    found = read_trades(trades, layout, ids, skipped) if trades is not None else []
    work = _Translation(layout, found, ids.highest, skipped)
    try:
        for event in read_events(events, layout, ids, skipped, negative_prices=negative_prices):
            work.event(event)
    except RecordingError as error:
        if str(error).startswith("line "):
            raise RecordingError(f"{events.name}, {error}") from error
        raise
    if not work.events:
        raise RecordingError(f"{events.name} has no rows left to import: {dict(+skipped) or 'it is empty'}")
    work.finish()
    market = work.market
    write_tables(
        out,
        market.messages,
        market.fills,
        [],
        source=events.name,
        price_unit=float(layout.price.unit),
        epoch="1970-01-01 UTC" if layout.time.unit == "iso" else f"as in the column {layout.time.column}",
    )
    summary = summarise(market.messages, market.fills, skipped=skipped, price_unit=float(layout.price.unit))
    return summary | {
        "quantity_unit": float(layout.quantity.unit),
        "events": work.events,
        "snapshot_orders": work.snapshot_orders,
        "crossed_rows": {"count": work.crossed, "lines": work.crossed_lines},
        "adjustments": dict(sorted(market.adjustments.items())),
        "order_ids": "renumbered" if ids.renumbered else "of the venue",
        "agreement": check_import(out),
    }


class _Translation:
    """Translate events in order; a trade is applied where the first row of one of its orders tells of it."""

    def __init__(self, layout: EventMap, trades: list[Trade], highest_id: int, skipped: Counter[str]) -> None:
        self.market = FollowedMarket((), levels_shown=False, highest_id=highest_id)
        self.events = self.snapshot_orders = self.crossed = 0
        self.crossed_lines: list[int] = []
        self._skipped = skipped
        self._snapshot = layout.snapshot == "first_time"
        self._first_ns: int | None = None
        self._last = (0, 0)
        self._trades_left: dict[int, Trade] = dict(enumerate(trades))
        self._as_maker: dict[int, deque[int]] = defaultdict(deque)
        self._as_taker: dict[int, deque[int]] = defaultdict(deque)
        for number, trade in self._trades_left.items():
            self._as_maker[trade.maker].append(number)
            if trade.taker:
                self._as_taker[trade.taker].append(number)
        self._seen: set[int] = set()
        self._told: Counter[int] = Counter()
        """By order: trades applied that no row of the order has told yet."""
        self._told_before: Counter[int] = Counter()
        """By order that has not arrived yet: lots it traded, as rows of resting orders told."""

    def event(self, event: Event) -> None:
        """Translate one event."""
        self.events += 1
        self._first_ns = event.time_ns if self._first_ns is None else self._first_ns
        before = self._snapshot and event.time_ns == self._first_ns
        self.snapshot_orders += before and event.action == "add"
        self._last = (0 if before else self.events, event.time_ns)
        self.market.begin(*self._last)
        self.market.arrive(0)
        if event.action == "add":
            self._add(event)
        elif event.order_id not in self._seen:
            self._skipped[_UNKNOWN] += 1
        else:
            self._of_known(event)

    def finish(self) -> None:
        """Keep the trades that no row led to as part of the truth, as an event after all others."""
        time_ns, event = self._last[1], self.events + 1
        for trade in self._trades_left.values():
            self._skipped[_NO_MAKER] += 1
            self.market.fills.append(Fill(time_ns, event, trade.maker, trade.price, trade.quantity))

    def _row(self, event: Event, kind: RowType, size: int) -> Row:
        return Row(event.line, event.time_ns, kind, event.order_id, size, event.price, event.side)

    def _add(self, event: Event) -> None:
        if self._resting(event.order_id) is not None:
            raise RecordingError(f"line {event.line}: order {event.order_id} is added and rests already")
        self._seen.add(event.order_id)
        traded = self._trade(event, self._as_taker.pop(event.order_id, deque()))
        traded += self._told_before.pop(event.order_id, 0)
        left = event.quantity - traded
        if left <= 0:
            self._skipped[_NO_LOT] += not traded
            return
        self._rest(event, left)

    def _resting(self, order_id: int) -> RestingOrder | None:
        return self.market.book.orders.get(order_id) or self.market.held(order_id)

    def _rest(self, event: Event, lots: int) -> None:
        row = self._row(event, RowType.SUBMIT, lots)
        if self.market.crosses(event.side, event.price):
            self.crossed += 1
            self.crossed_lines += [event.line] if self.crossed <= _LINES_SHOWN else []
            self.market.hold(row)
        else:
            self.market.apply([row])

    def _of_known(self, event: Event) -> None:
        """Do what a row tells of an order that was added, beyond what trades have told."""
        order_id = event.order_id
        explained = self._trade(event, self._as_maker.get(order_id, deque()), resting=True)
        order = self._resting(order_id)
        if order is None:
            return
        if event.action == "delete":
            self._end(event, order.size)
        elif event.action == "execute":
            if self._told[order_id]:
                self._told[order_id] -= 1
            elif not explained:
                self.market.apply([self._row(event, RowType.EXECUTE, event.quantity)])
        elif event.action == "reduce":
            self._reduce(event, order, event.quantity)
        else:
            self._change(event, order)

    def _end(self, event: Event, size: int) -> None:
        if self.market.held(event.order_id) is not None:
            self.market.let_go(event.order_id)
        else:
            self.market.apply([self._row(event, RowType.DELETE, size)])

    def _reduce(self, event: Event, order: RestingOrder, lots: int) -> None:
        if lots == order.size:
            self._end(event, lots)
        elif self.market.held(event.order_id) is not None and lots < order.size:
            self.market.let_go(event.order_id)
            self.market.hold(self._row(event, RowType.SUBMIT, order.size - lots)._replace(price=order.price))
        else:
            self.market.apply([self._row(event, RowType.REDUCE, lots)])

    def _change(self, event: Event, order: RestingOrder) -> None:
        if self._told[event.order_id]:
            self._told[event.order_id] -= 1
            if event.quantity >= order.size:  # tells of a trade that is done, at the price of the trade
                return
        elif event.price != order.price or event.quantity > order.size:
            self._end(event, order.size)
            if event.quantity:
                self._rest(event, event.quantity)
            return
        if event.quantity < order.size:
            self._reduce(event, order, order.size - event.quantity)

    def _trade(self, event: Event, numbers: deque[int], *, resting: bool = False) -> int:
        """Apply the trades with these numbers that are left; return their lots.

        Of an arriving order all are applied together; of a resting one those that its row tells of.
        """
        rows: list[Row] = []
        lots = 0
        while numbers:
            trade = self._trades_left.get(numbers[0])
            order = self._resting(trade.maker) if trade is not None else None
            if trade is not None and order is not None:
                if resting and not self._tells(event, order.size - lots, trade.quantity):
                    break
                taken = sum(row.size for row in rows if row.order_id == trade.maker)
                if trade.quantity <= order.size - taken:
                    what = (RowType.EXECUTE, trade.maker, trade.quantity, order.price, order.side)
                    rows.append(Row(event.line, event.time_ns, *what))
                    del self._trades_left[numbers[0]]
                    self._told.update({trade.maker: 1, trade.taker: 1})
                    self._told_before[trade.taker] += trade.quantity if resting else 0
                    lots += trade.quantity
            numbers.popleft()
        if rows:
            self.market.apply(rows)
            if resting:
                self._told[event.order_id] -= 1
        return lots

    def _tells(self, event: Event, size: int, traded: int) -> bool:
        """Whether the row of a resting order tells of a trade that has not been applied yet."""
        if event.action == "execute":
            return event.quantity == traded
        if event.action == "delete":
            return event.quantity == size - traded
        return event.action == "change" and event.quantity <= size - traded
