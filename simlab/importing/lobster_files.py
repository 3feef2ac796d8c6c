"""Read LOBSTER's files: a message file, and the order book file that belongs to it.

A row of the message file is time (seconds after midnight), type, order id, size, price (dollars times 10,000)
and direction (1 buy, -1 sell; of the resting order where the row is an execution). The row of the order book
file with the same number has the levels after it: ask price, ask size, bid price, bid size, level by level.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from enum import IntEnum
from pathlib import Path
from typing import NamedTuple, TextIO

from simlab.core.types import Side
from simlab.errors import RecordingError
from simlab.importing.levels import Shown
from simlab.importing.table import Span, not_above_zero, unit_in

__all__ = [
    "EMPTY_PRICE",
    "PRICE_SCALE",
    "Row",
    "RowType",
    "file_units",
    "find_halts",
    "grouped",
    "read_rows",
    "read_shown",
]

PRICE_SCALE = 10_000
"""Prices of the files count ten-thousandths of a dollar."""

EMPTY_PRICE = 9_999_999_999
"""Ask price of an empty level; a bid's is its negative. The size is 0."""

_COLUMNS = ("time", "type", "order id", "size", "price", "direction")


class RowType(IntEnum):
    """What a row of the message file tells."""

    SUBMIT = 1
    REDUCE = 2
    DELETE = 3
    EXECUTE = 4
    HIDDEN = 5
    CROSS = 6
    HALT = 7

    @property
    def of_the_book(self) -> bool:
        """Whether such a row speaks of a visible order."""
        return self <= RowType.EXECUTE


class Row(NamedTuple):
    """One row of a message file; `price` in price units, in the file's own unit where no order is shown."""

    line: int
    time_ns: int
    type: RowType
    order_id: int
    size: int
    price: int
    side: Side


def file_units(price_unit: float) -> int:
    """Return a price unit in the files' ten-thousandths of a dollar.

    Raises
    ------
    RecordingError
        When it is not a positive multiple of 0.0001.
    """
    unit = unit_in(price_unit, PRICE_SCALE)
    if unit <= 0 or unit.denominator != 1:
        raise RecordingError(
            f"the price unit {price_unit} is not a positive multiple of 0.0001; use --price-unit 0.01"
        )
    return unit.numerator


def read_rows(path: Path, unit: int, *, negative_prices: bool = False) -> Iterator[Row]:
    """Yield the rows of a message file, with prices in units of `unit` ten-thousandths.

    Raises
    ------
    RecordingError
        When a row breaks a rule; the message has the line, the value and the rule.
    """
    last_ns = 0
    with _opened(path) as file:
        for line, cells in _lines(path, file):
            where = f"{path}, line {line}"
            row = _parse(where, line, cells)
            if row.time_ns < last_ns:
                raise RecordingError(f"{where}: time {cells[0]} lies before the line above; sort by time")
            last_ns = row.time_ns
            if row.type.of_the_book:
                if row.price <= 0 and not negative_prices:
                    raise not_above_zero(f"{where}: price {row.price / PRICE_SCALE:g}")
                row = row._replace(price=_in_units(where, row.price, unit))
            yield row


def read_shown(path: Path, rows: int, unit: int) -> Iterator[Shown]:
    """Yield the levels of an order book file of `rows` rows, in memory of one row.

    Raises
    ------
    RecordingError
        When it has another number of rows, or a row breaks a rule.
    """
    with _opened(path) as file:
        count = sum(1 for _ in file)
    if count != rows:
        raise RecordingError(
            f"{path} has {count} rows and the message file {rows}; they must be of the same day and stock"
        )
    with _opened(path) as file:
        for line, cells in enumerate(csv.reader(file), start=1):
            yield _levels(f"{path}, line {line}", cells, unit)


def grouped(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Yield the executions of one aggressor together (one time, one direction), every other row alone.

    What speaks of no visible order and stands among such executions is left out.
    """
    group: list[Row] = []
    held: list[Row] = []
    for row in rows:
        if not row.type.of_the_book:
            held.append(row)
            continue
        if group and _same_aggressor(group[-1], row):
            group.append(row)
        else:
            yield from [group] if group else []
            yield from ([other] for other in held)
            group = [row]
        held = []
    yield from [group] if group else []
    yield from ([other] for other in held)


def find_halts(rows: Sequence[Row]) -> list[Span]:
    """Return when trading was halted: from a row of type 7 with price -1 to one with price 1."""
    halts: list[Span] = []
    for row in rows:
        if row.type is not RowType.HALT:
            continue
        halted = bool(halts) and halts[-1][1] is None
        if row.price == -1 and not halted:
            halts.append((row.time_ns, None))
        elif row.price == 1 and halted:
            halts[-1] = (halts[-1][0], row.time_ns)
    return halts


def _opened(path: Path) -> TextIO:
    if not path.is_file():
        raise RecordingError(f"there is no file {path}")
    return path.open(newline="")


def _lines(path: Path, file: TextIO) -> Iterator[tuple[int, list[str]]]:
    """Yield the lines of a file with their numbers; refuse what is no text."""
    try:
        yield from enumerate(csv.reader(file), start=1)
    except (UnicodeDecodeError, csv.Error) as error:
        raise RecordingError(
            f"{path} is not a file of comma-separated text ({error}); give the vendor's .csv, unpacked"
        ) from error


def _same_aggressor(last: Row, row: Row) -> bool:
    executed = last.type is RowType.EXECUTE is row.type
    return executed and (last.time_ns, last.side) == (row.time_ns, row.side)


def _parse(where: str, line: int, cells: list[str]) -> Row:
    if len(cells) != len(_COLUMNS):
        raise RecordingError(
            f"{where}: {len(cells)} columns, expected {len(_COLUMNS)} ({', '.join(_COLUMNS)}); "
            "give the message file, not the order book file"
        )
    kind, order_id, size, price, direction = (
        _integer(where, name, text) for name, text in zip(_COLUMNS[1:], cells[1:], strict=True)
    )
    if kind not in set(RowType):
        raise RecordingError(f"{where}: type {kind} is not one of 1 to 7")
    if direction not in (1, -1):
        raise RecordingError(f"{where}: direction {direction} is neither 1 (buy) nor -1 (sell)")
    if RowType(kind).of_the_book and (order_id < 1 or size < 1):
        raise RecordingError(f"{where}: order id {order_id} and size {size} must be at least 1")
    side = Side.BUY if direction == 1 else Side.SELL
    return Row(line, _nanoseconds(where, cells[0]), RowType(kind), order_id, size, price, side)


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


def _in_units(where: str, price: int, unit: int) -> int:
    if price % unit:
        raise RecordingError(
            f"{where}: price {price} is not a multiple of the price unit {unit / PRICE_SCALE:g} ({unit} in"
            " the file); give a smaller --price-unit (price_unit in Python)"
        )
    return price // unit


def _levels(where: str, cells: list[str], unit: int) -> Shown:
    if len(cells) < 4 or len(cells) % 4:
        raise RecordingError(f"{where}: {len(cells)} columns, expected 4 a level (ask, size, bid, size)")
    try:
        numbers = list(map(int, cells))
    except ValueError:
        numbers = [_integer(where, "a level's number", cell) for cell in cells]
    bids, asks = (
        [
            (_in_units(where, price, unit), size)
            for price, size in zip(numbers[at::4], numbers[at + 1 :: 4], strict=True)
            if price != empty
        ]
        for at, empty in ((2, -EMPTY_PRICE), (0, EMPTY_PRICE))
    )
    return Shown(bids, asks, len(cells) // 4)
