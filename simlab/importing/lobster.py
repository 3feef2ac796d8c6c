"""Import LOBSTER message files: reconstructed NASDAQ order flow as comma-separated text.

A row is time (seconds after midnight), type, order id, size, price (dollars times 10,000) and direction
(1 buy, -1 sell; of the resting order where the row is an execution).

References
----------
Huang and Polak (2011), LOBSTER: limit order book reconstruction system.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

from simlab.core.types import MessageKind, Side, TimeInForce
from simlab.errors import RecordingError
from simlab.importing.table import Fill, Message, Quote, summarise, write_tables

__all__ = ["import_lobster"]

_SUBMIT, _REDUCE, _DELETE, _EXECUTE = 1, 2, 3, 4
_SKIPPED = {
    5: "execution of a hidden order (type 5)",
    6: "cross trade of an auction (type 6)",
    7: "trading halt message (type 7)",
}
_COLUMNS = ("time", "type", "order id", "size", "price", "direction")
_PRICE_SCALE = 10_000
_EMPTY_LEVEL = 9_999_999_999


class _Row(NamedTuple):
    line: int
    time_ns: int
    type: int
    order_id: int
    size: int
    price: int
    side: Side


@dataclass
class _Order:
    line: int
    side: Side
    price: int
    size: int


def import_lobster(
    message_csv: Path,
    out: Path,
    *,
    orderbook_csv: Path | None = None,
    resting: Literal["seed", "drop"] = "seed",
    price_unit: float = 0.01,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Turn a LOBSTER message file into a message table and its truth.

    Consecutive visible executions with one time and direction are one aggressor: an immediate-or-cancel
    limit order on the other side, of their whole size, at the worst of their prices. A partial
    cancellation becomes a replace with the quantity that remains. Event 0 is what rested before.

    Parameters
    ----------
    message_csv : Path
        The message file, without a header.
    out : Path
        The message table, ``.parquet``; the truth is written beside it.
    orderbook_csv : Path, optional
        The order book file that belongs to it; gives the truth its best prices.
    resting : {"seed", "drop"}
        What to do about orders that rested before the file begins, known only from what later happens to
        them: send them first with the quantity the file refers to, or leave out every row of theirs.
    price_unit : float
        Currency of one price unit.
    progress : callable, optional
        Called with (rows done, rows in all).

    Returns
    -------
    dict
        `rows`, `kinds`, `recorded_fills`, `skipped` (reason to count), `price_unit`, `price_range`,
        `time_range_ns` (since midnight), `events`, `resting_before` (orders that rested before the file)
        and `seeded_orders`.

    Raises
    ------
    RecordingError
        When a row breaks a rule; the message has the line, the value and the rule.

    Example
    -------
    >>> import_lobster(Path("AMZN_message_10.csv"), Path("amzn.parquet"))  # doctest: +SKIP
    """
    message_csv = Path(message_csv)
    rows = list(_read_rows(message_csv))
    if not rows:
        raise RecordingError(f"{message_csv} has no rows; give a LOBSTER message file")
    quotes = _read_quotes(Path(orderbook_csv), len(rows)) if orderbook_csv else None
    translation = _Translation(message_csv, _unit(price_unit), rows, quotes, resting)
    translation.run(progress)
    write_tables(
        Path(out),
        translation.messages,
        translation.fills,
        translation.quotes,
        source=message_csv.name,
        price_unit=price_unit,
        epoch="midnight of the trading day, exchange time",
    )
    summary = summarise(
        translation.messages, translation.fills, skipped=translation.skipped, price_unit=price_unit
    )
    return summary | {
        "events": translation.event_index,
        "resting_before": len(translation.before),
        "seeded_orders": len(translation.before) if resting == "seed" else 0,
    }


def _unit(price_unit: float) -> int:
    """Return the price unit in the file's ten-thousandths of a dollar."""
    unit = Fraction(str(price_unit)) * _PRICE_SCALE
    if unit <= 0 or unit.denominator != 1:
        raise RecordingError(f"price_unit {price_unit} is not a positive multiple of 0.0001; use 0.01")
    return unit.numerator


def _read_rows(path: Path) -> Iterator[_Row]:
    if not path.is_file():
        raise RecordingError(f"there is no file {path}")
    last_ns = 0
    with path.open(newline="") as file:
        for line, cells in enumerate(csv.reader(file), start=1):
            row = _parse(f"{path}, line {line}", line, cells)
            if row.time_ns < last_ns:
                raise RecordingError(
                    f"{path}, line {line}: time {cells[0]} lies before the line above; sort the file by time"
                )
            last_ns = row.time_ns
            yield row


def _parse(where: str, line: int, cells: list[str]) -> _Row:
    if len(cells) != len(_COLUMNS):
        raise RecordingError(
            f"{where}: {len(cells)} columns, expected {len(_COLUMNS)} ({', '.join(_COLUMNS)}); "
            "give the message file, not the order book file"
        )
    kind, order_id, size, price, direction = (
        _integer(where, name, text) for name, text in zip(_COLUMNS[1:], cells[1:], strict=True)
    )
    if kind not in (_SUBMIT, _REDUCE, _DELETE, _EXECUTE, *_SKIPPED):
        raise RecordingError(f"{where}: type {kind} is not one of 1 to 7")
    if direction not in (1, -1):
        raise RecordingError(f"{where}: direction {direction} is neither 1 (buy) nor -1 (sell)")
    if kind not in _SKIPPED and (order_id < 1 or size < 1):
        raise RecordingError(f"{where}: order id {order_id} and size {size} must be at least 1")
    side = Side.BUY if direction == 1 else Side.SELL
    return _Row(line, _nanoseconds(where, cells[0]), kind, order_id, size, price, side)


def _integer(where: str, name: str, text: str) -> int:
    try:
        return int(text)
    except ValueError as error:
        raise RecordingError(f"{where}: {name} {text!r} is not an integer") from error


def _nanoseconds(where: str, text: str) -> int:
    seconds, _, fraction = text.strip().partition(".")
    if not seconds.isdecimal() or (fraction and not fraction.isdecimal()):
        raise RecordingError(f"{where}: time {text!r} is not a number of seconds after midnight")
    return int(seconds) * 10**9 + int(fraction[:9].ljust(9, "0"))


def _read_quotes(path: Path, rows: int) -> list[tuple[int | None, int | None]]:
    """Return (best bid, best ask) after each row, in ten-thousandths of a dollar."""
    if not path.is_file():
        raise RecordingError(f"there is no file {path}")
    found = []
    with path.open(newline="") as file:
        for line, cells in enumerate(csv.reader(file), start=1):
            where = f"{path}, line {line}"
            if len(cells) < 4:
                raise RecordingError(
                    f"{where}: {len(cells)} columns, expected at least 4 (ask, size, bid, size)"
                )
            ask, bid = _integer(where, "ask price", cells[0]), _integer(where, "bid price", cells[2])
            found.append((None if bid == -_EMPTY_LEVEL else bid, None if ask == _EMPTY_LEVEL else ask))
    if len(found) != rows:
        raise RecordingError(
            f"{path} has {len(found)} rows and the message file {rows}; "
            "they must be of the same day and stock"
        )
    return found


def _resting_before(rows: list[_Row]) -> dict[int, _Order]:
    """Find orders that rows speak of before submitting them; `size` is all that the file takes from them."""
    submitted: set[int] = set()
    found: dict[int, _Order] = {}
    for row in rows:
        if row.type == _SUBMIT:
            submitted.add(row.order_id)
        elif row.type in (_REDUCE, _DELETE, _EXECUTE) and row.order_id not in submitted:
            order = found.setdefault(row.order_id, _Order(row.line, row.side, row.price, 0))
            order.size += row.size
    return found


def _same_aggressor(last: _Row, row: _Row) -> bool:
    executed = last.type == _EXECUTE == row.type
    return executed and (last.time_ns, last.side) == (row.time_ns, row.side)


def _grouped(rows: list[_Row]) -> Iterator[list[_Row]]:
    """Yield the executions of one aggressor together, every other row alone."""
    group = rows[:1]
    for last, row in pairwise(rows):
        if not _same_aggressor(last, row):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


@dataclass
class _Translation:
    """Translate rows in order; holds what will be written and what rests."""

    path: Path
    unit: int
    rows: list[_Row]
    book_quotes: list[tuple[int | None, int | None]] | None
    resting: str
    messages: list[Message] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    quotes: list[Quote] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    live: dict[int, _Order] = field(default_factory=dict)
    event_index: int = 0

    def __post_init__(self) -> None:
        if self.resting not in ("seed", "drop"):
            raise RecordingError(f"resting {self.resting!r} is neither 'seed' nor 'drop'")
        self.before = _resting_before(self.rows)
        self._fresh = max(row.order_id for row in self.rows)

    def run(self, progress: Callable[[int, int], None] | None) -> None:
        """Translate all rows."""
        if self.resting == "seed":
            self._seed()
        for row in self.rows:
            if row.type in _SKIPPED:
                self.skipped[_SKIPPED[row.type]] += 1
        for group in _grouped([row for row in self.rows if row.type not in _SKIPPED]):
            self.event_index += 1
            self._translate(group)
            if self.book_quotes is not None:
                self._quote(group[-1], *self.book_quotes[group[-1].line - 1])
            if progress is not None:
                progress(group[-1].line, len(self.rows))

    def _seed(self) -> None:
        for order_id, order in self.before.items():
            self.live[order_id] = order
            price = self._units(order.line, order.price)
            self._send(self.rows[0].time_ns, MessageKind.LIMIT, order.side, price, order.size, order_id)

    def _translate(self, group: list[_Row]) -> None:
        known = [row for row in group if row.type == _SUBMIT or row.order_id in self.live]
        if len(known) < len(group):
            self.skipped["row of an order that rested before the file (resting: drop)"] += len(group) - len(
                known
            )
        if not known:
            return
        handle = {_SUBMIT: self._submit, _REDUCE: self._reduce, _DELETE: self._delete}.get(known[0].type)
        if handle is None:
            self._execute(known)
        else:
            handle(known[0])

    def _send(
        self,
        time_ns: int,
        kind: MessageKind,
        side: Side,
        price: int,
        quantity: int,
        order_id: int,
        time_in_force: TimeInForce = TimeInForce.GTC,
    ) -> None:
        row = (int(kind), int(side), int(time_in_force), price, quantity, order_id)
        self.messages.append(Message(time_ns, self.event_index, *row))

    def _units(self, line: int, price: int) -> int:
        if price % self.unit:
            raise RecordingError(
                f"{self.path}, line {line}: price {price} is not a multiple of the price unit "
                f"{self.unit / _PRICE_SCALE} ({self.unit} in the file); give a smaller price_unit"
            )
        return price // self.unit

    def _check(self, row: _Row, rule: str, *, holds: bool) -> None:
        order = self.live[row.order_id]
        if not holds or order.side != row.side:
            side = order.side.name.lower()
            raise RecordingError(
                f"{self.path}, line {row.line}: size {row.size} of order {row.order_id}, a {side} order with "
                f"{order.size} left, {rule}; the file is damaged or not in order"
            )

    def _submit(self, row: _Row) -> None:
        if row.order_id in self.live:
            raise RecordingError(
                f"{self.path}, line {row.line}: order {row.order_id} is submitted and rests already"
            )
        price = self._units(row.line, row.price)
        self.live[row.order_id] = _Order(row.line, row.side, row.price, row.size)
        self._send(row.time_ns, MessageKind.LIMIT, row.side, price, row.size, row.order_id)

    def _reduce(self, row: _Row) -> None:
        order = self.live[row.order_id]
        ends = row.size == order.size and row.order_id in self.before
        self._check(row, "must leave some of it (type 2)", holds=row.size < order.size or ends)
        order.size -= row.size
        if order.size:
            price = self._units(row.line, order.price)
            self._send(row.time_ns, MessageKind.REPLACE, order.side, price, order.size, row.order_id)
        else:
            self._remove(row)

    def _delete(self, row: _Row) -> None:
        holds = row.size == self.live[row.order_id].size
        self._check(row, "must be all of it (type 3)", holds=holds)
        self._remove(row)

    def _remove(self, row: _Row) -> None:
        del self.live[row.order_id]
        self._send(row.time_ns, MessageKind.CANCEL, row.side, 0, 0, row.order_id)

    def _execute(self, group: list[_Row]) -> None:
        for row in group:
            order = self.live[row.order_id]
            self._check(row, "must not exceed it (type 4)", holds=row.size <= order.size)
            price = self._units(row.line, row.price)
            self.fills.append(Fill(row.time_ns, self.event_index, row.order_id, price, row.size))
            order.size -= row.size
            if not order.size:
                del self.live[row.order_id]
        resting = group[0].side
        prices = [self._units(row.line, row.price) for row in group]
        worst = max(prices) if resting == Side.SELL else min(prices)
        self._fresh += 1
        self._send(
            group[0].time_ns,
            MessageKind.LIMIT,
            Side(1 - resting),
            worst,
            sum(row.size for row in group),
            self._fresh,
            TimeInForce.IOC,
        )

    def _quote(self, row: _Row, bid: int | None, ask: int | None) -> None:
        best_bid, best_ask = (None if best is None else self._units(row.line, best) for best in (bid, ask))
        self.quotes.append(Quote(row.time_ns, self.event_index, best_bid, best_ask))
