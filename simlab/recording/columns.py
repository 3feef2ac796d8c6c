"""Turn events and the caller's columns into Arrow tables, a whole array at a time.

Events are split into the tables messages and trades inside column buffers that are allocated once and
used for every row group.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from simlab.core.jit import jit, jit_inline
from simlab.core.rows import Tables, column, opener, part, record, table, unpacked
from simlab.core.types import (
    EVENT_WORDS,
    FLAG_MARKET,
    FLAG_POST_ONLY,
    FLAG_PRIORITY_KEPT,
    EventKind,
    Reason,
    unpack_accounts,
)
from simlab.errors import RecordingError, did_you_mean
from simlab.recording.arrays import numbers_array, text_array, values_array
from simlab.recording.schema import TABLES, Column, Table

__all__ = ["EventColumns", "arrow_table"]

_TIME_IN_FORCE_BITS = 3
_BAD_CODE = -1  # not a valid index into a dictionary: Arrow refuses it


def _code_of(names: Sequence[str], enum: type[EventKind] | type[Reason]) -> NDArray[np.int8]:
    codes = np.full(256, _BAD_CODE, np.int8)
    for member in enum:
        if member.name.lower() in names:
            codes[member] = names.index(member.name.lower())
    return codes


_EVENT_CODES = _code_of(TABLES["messages"].column("event").categories, EventKind)
_REASON_CODES = _code_of(TABLES["messages"].column("reason").categories, Reason)
_TIME_IN_FORCE_UNKNOWN = np.full(256, _TIME_IN_FORCE_BITS, np.uint8)
_TIME_IN_FORCE_UNKNOWN[[EventKind.ACCEPTED, EventKind.REPLACED]] = 0

_NUMPY_TYPES = {"category": np.int8, "bool": np.bool_, "int32": np.int32, "int64": np.int64}


def _buffers_of(name: str) -> type[Tables]:
    """Return the class of the column buffers of a table."""
    columns = {it.name: column(_NUMPY_TYPES[it.dtype]) for it in TABLES[name].columns}
    return type(f"_{name.capitalize()}", (Tables,), columns | {"__module__": __name__})


_Messages, _Trades = _buffers_of("messages"), _buffers_of("trades")


class _Split(Tables):
    """Events, and the column buffers that they are split into."""

    events = table(EVENT_WORDS)
    messages = part(_Messages)
    trades = part(_Trades)
    rows = record([("done", "i8"), ("capacity", "i8"), ("messages", "i8"), ("trades", "i8")])
    event_codes = column("i1")
    reason_codes = column("i1")
    no_time_in_force = column("u1")


_find_split = opener(_Split)
_accounts = jit_inline(unpack_accounts)


def _wrap(column: Column, values: NDArray[Any]) -> pa.Array:
    if column.dtype != "category":
        return numbers_array(values)
    return pa.DictionaryArray.from_arrays(numbers_array(values), text_array(column.categories))


class EventColumns:
    """Split event rows into messages and trades.

    Parameters
    ----------
    capacity : int
        Rows to gather for each of the two tables before `sink` gets them.
    sink : callable (str, pa.Table) -> None
        Called with the name of the table and its rows, which are valid during the call only.
    """

    def __init__(self, capacity: int, sink: Callable[[str, pa.Table], None]) -> None:
        self._sink = sink
        buffers = (
            kind(**{name: np.empty(capacity, field.dtype) for name, field in kind.FIELDS.items()})
            for kind in (_Messages, _Trades)
        )
        self._split = _Split(
            messages=next(buffers),
            trades=next(buffers),
            event_codes=_EVENT_CODES,
            reason_codes=_REASON_CODES,
            no_time_in_force=_TIME_IN_FORCE_UNKNOWN,
        )
        self._split.rows["capacity"] = capacity

    def add(self, events: NDArray[np.void]) -> None:
        """Split ``(n,) EVENT_DTYPE`` events and keep copies."""
        split = self._split
        split.events = np.ascontiguousarray(events).view(EVENT_WORDS)
        split.rows["done"] = 0
        while split.rows["done"][0] < len(events):
            _split(split.address)
            for name in ("messages", "trades"):
                if split.rows[name][0] == split.rows["capacity"][0]:
                    self._give(name)

    def flush(self) -> None:
        """Give the sink what is gathered."""
        for name in ("messages", "trades"):
            if self._split.rows[name][0]:
                self._give(name)

    def _give(self, name: str) -> None:
        count, buffers = int(self._split.rows[name][0]), getattr(self._split, name)
        arrays = [_wrap(it, getattr(buffers, it.name)[:count]) for it in TABLES[name].columns]
        self._sink(name, pa.Table.from_arrays(arrays, schema=TABLES[name].schema))
        self._split.rows[name] = 0


@jit_inline
def _split_trade(trades, t, event, side, instrument):
    trades.sequence[t] = event.sequence
    trades.step[t] = event.step
    trades.instrument[t] = instrument
    trades.price[t] = event.price
    trades.quantity[t] = event.quantity
    trades.aggressor_side[t] = side
    trades.taker_order_id[t] = event.order_id
    trades.maker_order_id[t] = event.other_order_id
    trades.taker_account[t], trades.maker_account[t] = _accounts(event.accounts)


@jit
def _split(address):
    """Write events into columns in one pass until one table is full or all are written."""
    split = _find_split(address)
    rows, messages = split.rows, split.messages
    for i in range(rows.done, len(split.events)):
        if rows.messages == rows.capacity or rows.trades == rows.capacity:
            rows.done = i
            return
        event = split.events[i]
        kind, side, reason, flags, instrument = unpacked(event.code)
        if kind == EventKind.FILL:
            _split_trade(split.trades, rows.trades, event, side, instrument)
            rows.trades += 1
            continue
        m = rows.messages
        messages.sequence[m] = event.sequence
        messages.step[m] = event.step
        messages.event[m] = split.event_codes[kind]
        messages.order_id[m] = event.order_id
        messages.account[m], _ = _accounts(event.accounts)
        messages.instrument[m] = instrument
        messages.side[m] = side
        messages.price[m] = event.price
        messages.quantity[m] = event.quantity
        messages.time_in_force[m] = (flags & _TIME_IN_FORCE_BITS) | split.no_time_in_force[kind]
        messages.post_only[m] = (flags & FLAG_POST_ONLY) != 0
        messages.market[m] = (flags & FLAG_MARKET) != 0
        messages.priority_kept[m] = (flags & FLAG_PRIORITY_KEPT) != 0
        messages.reason[m] = split.reason_codes[reason]
        rows.messages = m + 1
    rows.done = len(split.events)


def arrow_table(table: Table, columns: Mapping[str, Any]) -> pa.Table:
    """Copy the caller's columns into an Arrow table, checked against the schema.

    Parameters
    ----------
    table : Table
    columns : mapping of str to (n,) array or list
        All columns of the table. Missing values are None, NaN or the mask of a masked array. Categories
        are given as text or as indices into `Column.categories`.

    Raises
    ------
    RecordingError
        When a column is missing or unknown, lengths differ, or values do not fit the column's type.
    """
    _check_names(table, columns)
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise RecordingError(
            f"{table.name}: columns differ in length: {lengths}; give one value a row to each"
        )
    arrays = [_array(table, column, columns[column.name]) for column in table.columns]
    return pa.Table.from_arrays(arrays, schema=table.schema)


def _check_names(table: Table, columns: Mapping[str, Any]) -> None:
    unknown = [name for name in columns if name not in table.names]
    if unknown:
        hint = did_you_mean(unknown[0], table.names, otherwise="its columns are")
        raise RecordingError(f"{table.name} has no column {unknown[0]!r}{hint}")
    missing = [name for name in table.names if name not in columns]
    if missing:
        raise RecordingError(
            f"{table.name}: missing column(s) {', '.join(missing)}; give every column of the table"
        )


def _array(table: Table, column: Column, values: Any) -> pa.Array:
    try:
        array = _categories(column, values) if column.categories else values_array(values).cast(column.type)
    except (
        pa.ArrowInvalid,
        pa.ArrowTypeError,
        pa.ArrowNotImplementedError,
        IndexError,
        OverflowError,
    ) as error:
        message = f"{table.name}.{column.name} must be {column.dtype} ({column.unit}): {error}"
        raise RecordingError(message) from error
    if array.null_count and not column.nullable:
        raise RecordingError(
            f"{table.name}.{column.name} has {array.null_count} missing value(s) (None or NaN) and may have "
            "none; give every row a value"
        )
    return array


def _categories(column: Column, values: Any) -> pa.Array:
    names = text_array(column.categories)
    codes = values_array(values)
    if pa.types.is_string(codes.type) or pa.types.is_large_string(codes.type):
        codes = _codes_of_text(codes, names)
    return pa.DictionaryArray.from_arrays(codes.cast(pa.int8()), names)


def _codes_of_text(text: pa.Array, names: pa.Array) -> pa.Array:
    codes = pc.index_in(text, value_set=names)
    unknown = pc.and_(pc.is_null(codes), pc.is_valid(text))
    if pc.any(unknown).as_py():
        value = text.filter(unknown)[0].as_py()
        raise pa.ArrowInvalid(f"{value!r} is none of {', '.join(names.to_pylist())}")
    return codes
