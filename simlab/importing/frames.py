"""Read the columns of a table by a map, row by row, and say which row is wrong."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import pandas as pd

from simlab.core.types import MAX_QUANTITY, Side
from simlab.errors import RecordingError, did_you_mean
from simlab.importing.mapping import Action, Column, EventMap, Filter, Numbers, Trades
from simlab.importing.table import MAX_PRICE, not_above_zero

__all__ = ["Event", "Ids", "Table", "Trade", "as_text", "read_csv", "read_events", "read_trades", "trade_ids"]

_NS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
_WHOLE = re.compile(r"[1-9][0-9]{0,17}").fullmatch
_SIDES = {"buy": Side.BUY, "sell": Side.SELL}


class Event(NamedTuple):
    """One row of the events: `line` for messages; price in price units, quantity in lots."""

    line: int
    time_ns: int
    order_id: int
    action: Action
    side: Side
    price: int
    quantity: int


class Trade(NamedTuple):
    """One trade; `taker` is 0 where the venue does not name it."""

    line: int
    maker: int
    taker: int
    price: int
    quantity: int


class Ids:
    """Turn the venue's order ids into positive integers: themselves where they are, or numbers from 1.

    Parameters
    ----------
    columns : lists of str
        All order ids that will be asked for.
    """

    def __init__(self, *columns: list[str]) -> None:
        texts = {text for column in columns for text in column}
        self.renumbered = not all(_WHOLE(text) for text in texts)
        self.highest = len(texts) if self.renumbered else max(map(int, texts), default=0)
        self._numbers: dict[str, int] = {}

    def of(self, text: str) -> int:
        """Return the number of an id."""
        return self._numbers.setdefault(text, len(self._numbers) + 1) if self.renumbered else int(text)


def read_csv(path: Path) -> pd.DataFrame:
    """Read a file of comma-separated values as text, so that no digit is lost."""
    if not path.is_file():
        raise RecordingError(f"there is no file {path}")
    try:
        with warnings.catch_warnings():  # a row longer than the header would else move or lose its cells
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False)
    except (ValueError, UnicodeDecodeError, OSError, pd.errors.ParserWarning) as error:
        raise RecordingError(f"{path} cannot be read as comma-separated values: {error}") from error


def as_text(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a frame's values as text; a float in the fewest digits that give it back."""
    return pd.DataFrame(
        {
            name: [np.format_float_positional(it, trim="-") for it in column]
            if column.dtype.kind == "f"
            else column.astype(str)
            for name, column in frame.items()
        },
        dtype=str,
    )


@dataclass(frozen=True)
class Table:
    """A frame of text with its name, and the line that its first row has there."""

    frame: pd.DataFrame
    name: str
    first_line: int

    def column(self, key: str, column: str) -> list[str]:
        """Return a column's values; `key` of the map names it in an error."""
        if column not in self.frame.columns:
            known = [str(name) for name in self.frame.columns]
            hint = did_you_mean(column, known, otherwise="it has")
            raise RecordingError(f"{self.name} has no column {column!r} ({key} of the map){hint}")
        return self.frame[column].tolist()

    def where(self, row: int) -> str:
        """Name a row, counted from 0."""
        return f"{self.name}, line {row + self.first_line}"

    def numbers(self, key: str, numbers: Numbers, kept: Sequence[int]) -> dict[int, int]:
        """Return the value in units of each kept row."""
        column = self.column(key, numbers.column)
        found: dict[int, int] = {}
        for row in kept:
            steps = _decimal(self.where(row), key, column[row]) / numbers.unit
            whole = int(steps.to_integral_value())
            if whole != steps and not numbers.round:
                raise RecordingError(
                    f"{self.where(row)}: {key} {column[row]} is not a multiple of its unit"
                    f" {numbers.unit.normalize():f}; give a smaller unit, or round: true"
                )
            found[row] = whole
        return found

    def choices(
        self, key: str, column: str, values: Mapping[str, str], kept: Sequence[int]
    ) -> dict[int, str]:
        """Return what each kept row's value stands for."""
        given = self.column(key, column)
        for row in kept:
            if given[row] not in values:
                raise RecordingError(
                    f"{self.where(row)}: {key} {given[row]!r} is not among {key}.values"
                    f"{did_you_mean(given[row], values)}"
                    + ("; map it to ignore to leave such rows out" if key == "action" else "")
                )
        return {row: values[given[row]] for row in kept}

    def kept(self, filters: tuple[Filter, ...], key: str = "filters") -> list[int]:
        """Return the rows that all filters keep."""
        rows = list(range(len(self.frame)))
        for number, it in enumerate(filters):
            column = self.column(f"{key}.{number}.column", it.column)
            rows = [row for row in rows if self._fits(f"{key}.{number}", row, column[row], it)]
        return rows

    def _fits(self, key: str, row: int, text: str, it: Filter) -> bool:
        if it.equals not in (None, text) or (it.among is not None and text not in it.among):
            return False
        if it.not_among is not None and text in it.not_among:
            return False
        if it.at_least is None and it.at_most is None:
            return True
        value = _decimal(self.where(row), key, text)
        return (it.at_least is None or value >= it.at_least) and (it.at_most is None or value <= it.at_most)


def _decimal(where: str, key: str, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("nan")
    if not value.is_finite():
        raise RecordingError(f"{where}: {key} {text!r} is not a number")
    return value


def read_events(
    table: Table, layout: EventMap, ids: Ids, excluded: Counter[str], *, negative_prices: bool = False
) -> Iterator[Event]:
    """Yield the events of a table, in order, each checked; count in `excluded` what is left out."""
    kept = table.kept(layout.filters)
    excluded["row that a filter leaves out"] += len(table.frame) - len(kept)
    times = _times(table, layout, kept)
    if layout.time.sort:
        kept.sort(key=times.__getitem__)
    actions = table.choices("action", layout.action.column, layout.action.values, kept)
    kept = [row for row in kept if actions[row] != "ignore"]
    excluded["row of an action that is ignored"] += len(actions) - len(kept)
    sides = table.choices("side", layout.side.column, layout.side.values, kept)
    prices = table.numbers("price", layout.price, kept)
    quantities = table.numbers("quantity", layout.quantity, kept)
    order_ids = table.column("id", layout.id.column)
    last_ns: int | None = None
    for row in kept:
        if last_ns is not None and times[row] < last_ns:
            raise RecordingError(
                f"{table.where(row)}: the time lies before that of the row above; set time.sort: true in the"
                " map to bring rows into order"
            )
        last_ns, line = times[row], row + table.first_line
        order_id, side = ids.of(order_ids[row]), _SIDES[sides[row]]
        event = Event(line, last_ns, order_id, cast(Action, actions[row]), side, prices[row], quantities[row])
        _check(table.where(row), event, layout, negative_prices)
        yield event


def _check(where: str, event: Event, layout: EventMap, negative_prices: bool) -> None:
    price, quantity = event.price * layout.price.unit, event.quantity * layout.quantity.unit
    if event.action in ("add", "change"):
        if event.price <= 0 and not negative_prices:
            raise not_above_zero(f"{where}: price {price:f}")
        if abs(event.price) > MAX_PRICE:
            raise RecordingError(
                f"{where}: price {price:f} is {event.price} price units, beyond {MAX_PRICE}; use a price.unit"
                f" of {_fitting(event.price, layout.price.unit, MAX_PRICE):f}"
            )
    if event.quantity < 0:
        raise RecordingError(f"{where}: quantity {quantity:f} is below 0")
    if event.quantity > MAX_QUANTITY:
        unit = _fitting(event.quantity, layout.quantity.unit, MAX_QUANTITY)
        raise RecordingError(
            f"{where}: quantity {quantity:f} is {event.quantity} lots, more than the {MAX_QUANTITY} an order"
            f" can have; use a quantity.unit of {unit:f}, with round: true where that does not divide"
            " every quantity"
        )


def _fitting(value: int, unit: Decimal, most: int) -> Decimal:
    """Return the smallest unit, a power of ten times the present one, in which a value fits."""
    factor = 10
    while abs(value) // factor >= most:
        factor *= 10
    return (unit * factor).normalize()


def _times(table: Table, layout: EventMap, kept: Sequence[int]) -> dict[int, int]:
    column = table.column("time", layout.time.column)
    if layout.time.unit == "iso":
        return {row: _instant(table.where(row), column[row]) for row in kept}
    scale = _NS[layout.time.unit]
    return {row: int(_decimal(table.where(row), "time", column[row]) * scale) for row in kept}


def _instant(where: str, text: str) -> int:
    try:
        return int(pd.Timestamp(text).as_unit("ns").value)
    except ValueError as error:
        raise RecordingError(f"{where}: time {text!r} is not a time in ISO 8601") from error


def trade_ids(table: Table, trades: Trades) -> dict[str, list[str]]:
    """Return the columns of a table of trades that hold order ids, by their key in the map."""
    columns = {key: getattr(trades, key) for key in ("maker", "taker", "buy", "sell")}
    return {key: table.column(f"trades.{key}", it.column) for key, it in columns.items() if it is not None}


def read_trades(table: Table, layout: EventMap, ids: Ids, excluded: Counter[str]) -> list[Trade]:
    """Return the trades of a table, in its order, each checked."""
    trades = layout.trades
    if trades is None:
        return []
    kept = table.kept(trades.filters, "trades.filters")
    excluded["trade that a filter leaves out"] += len(table.frame) - len(kept)
    prices = table.numbers("trades.price", _counted(trades.price, layout.price), kept)
    quantities = table.numbers("trades.quantity", _counted(trades.quantity, layout.quantity), kept)
    makers, takers = _parties(table, trades, kept)
    return [
        Trade(
            row + table.first_line,
            ids.of(makers[row]),
            ids.of(takers[row]) if row in takers else 0,
            prices[row],
            quantities[row],
        )
        for row in kept
    ]


def _counted(column: Column, numbers: Numbers) -> Numbers:
    return numbers.model_copy(update={"column": column.column})


def _parties(table: Table, trades: Trades, kept: Sequence[int]) -> tuple[dict[int, str], dict[int, str]]:
    """Return the order ids of the resting and of the arriving side, by row."""
    columns = trade_ids(table, trades)
    if trades.aggressor is None:
        taker = columns.get("taker")
        return {row: columns["maker"][row] for row in kept}, {
            row: taker[row] for row in kept
        } if taker else {}
    sides = table.choices("trades.aggressor", trades.aggressor.column, trades.aggressor.values, kept)
    other = {"buy": "sell", "sell": "buy"}
    makers = {row: columns[other[side]][row] for row, side in sides.items()}
    return makers, {row: columns[side][row] for row, side in sides.items()}
