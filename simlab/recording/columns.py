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

from simlab.core.jit import jit
from simlab.core.types import (
    E_ACCOUNTS,
    E_CODE,
    E_ORDER_ID,
    E_OTHER_ORDER_ID,
    E_PRICE,
    E_QUANTITY,
    E_SEQUENCE,
    E_STEP,
    FLAG_MARKET,
    FLAG_POST_ONLY,
    FLAG_PRIORITY_KEPT,
    EventKind,
    Reason,
)
from simlab.errors import RecordingError, did_you_mean
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

_FILL = int(EventKind.FILL)
_MESSAGE_COLUMNS = (
    "sequence", "step", "event", "order_id", "account", "instrument", "side", "price", "quantity",
    "time_in_force", "post_only", "market", "priority_kept", "reason",
)  # fmt: skip
_TRADE_COLUMNS = (
    "sequence", "step", "instrument", "price", "quantity", "aggressor_side", "taker_order_id",
    "taker_account", "maker_order_id", "maker_account",
)  # fmt: skip

_NUMPY_TYPES = {"category": np.int8, "bool": np.bool_, "int32": np.int32, "int64": np.int64}


class _TableColumns:
    """Buffers for one row group of one table."""

    def __init__(self, table: Table, names: Sequence[str], capacity: int) -> None:
        self.table = table
        self.capacity = capacity
        self.rows = 0
        self.buffers: list[NDArray[Any]] = [
            np.empty(capacity, _NUMPY_TYPES[table.column(name).dtype]) for name in names
        ]
        self._by_name = dict(zip(names, self.buffers, strict=True))

    def arrow(self) -> pa.Table:
        """Return the rows as a table that is valid until the buffers are used again."""
        arrays = [_wrap(column, self._by_name[column.name][: self.rows]) for column in self.table.columns]
        return pa.Table.from_arrays(arrays, schema=self.table.schema)


def _wrap(column: Column, values: NDArray[Any]) -> pa.Array:
    if column.dtype != "category":
        return pa.array(values)
    return pa.DictionaryArray.from_arrays(pa.array(values), pa.array(column.categories, pa.string()))


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
        self._messages = _TableColumns(TABLES["messages"], _MESSAGE_COLUMNS, capacity)
        self._trades = _TableColumns(TABLES["trades"], _TRADE_COLUMNS, capacity)

    def add(self, events: NDArray[np.void]) -> None:
        """Split ``(n,) EVENT_DTYPE`` events and keep copies."""
        words = np.ascontiguousarray(events).view(np.int64).reshape(-1, 8)
        messages, trades = self._messages, self._trades
        done = 0
        while done < len(words):
            done, messages.rows, trades.rows = _split(
                words, done, messages.rows, trades.rows, _EVENT_CODES, _REASON_CODES, _TIME_IN_FORCE_UNKNOWN,
                *messages.buffers, *trades.buffers,
            )  # fmt: skip
            for columns in (messages, trades):
                if columns.rows == columns.capacity:
                    self._give(columns)

    def flush(self) -> None:
        """Give the sink what is gathered."""
        for columns in (self._messages, self._trades):
            if columns.rows:
                self._give(columns)

    def _give(self, columns: _TableColumns) -> None:
        self._sink(columns.table.name, columns.arrow())
        columns.rows = 0


@jit
def _split(
    words, start, m, t, event_codes, reason_codes, no_time_in_force,
    m_sequence, m_step, m_event, m_order_id, m_account, m_instrument, m_side, m_price, m_quantity,
    m_time_in_force, m_post_only, m_market, m_priority_kept, m_reason,
    t_sequence, t_step, t_instrument, t_price, t_quantity, t_aggressor_side, t_taker_order_id,
    t_taker_account, t_maker_order_id, t_maker_account,
):  # fmt: skip
    """Write events into columns in one pass until one table is full; return (next event, rows, rows)."""
    for i in range(start, words.shape[0]):
        if m == m_sequence.shape[0] or t == t_sequence.shape[0]:
            return i, m, t
        code, accounts = words[i, E_CODE], words[i, E_ACCOUNTS]
        kind, side, flags = code & 0xFF, (code >> 8) & 0xFF, (code >> 24) & 0xFF
        if kind == _FILL:
            t_sequence[t] = words[i, E_SEQUENCE]
            t_step[t] = words[i, E_STEP]
            t_instrument[t] = code >> 32
            t_price[t] = words[i, E_PRICE]
            t_quantity[t] = words[i, E_QUANTITY]
            t_aggressor_side[t] = side
            t_taker_order_id[t] = words[i, E_ORDER_ID]
            t_taker_account[t] = accounts
            t_maker_order_id[t] = words[i, E_OTHER_ORDER_ID]
            t_maker_account[t] = accounts >> 32
            t += 1
            continue
        m_sequence[m] = words[i, E_SEQUENCE]
        m_step[m] = words[i, E_STEP]
        m_event[m] = event_codes[kind]
        m_order_id[m] = words[i, E_ORDER_ID]
        m_account[m] = accounts
        m_instrument[m] = code >> 32
        m_side[m] = side
        m_price[m] = words[i, E_PRICE]
        m_quantity[m] = words[i, E_QUANTITY]
        m_time_in_force[m] = (flags & _TIME_IN_FORCE_BITS) | no_time_in_force[kind]
        m_post_only[m] = (flags & FLAG_POST_ONLY) != 0
        m_market[m] = (flags & FLAG_MARKET) != 0
        m_priority_kept[m] = (flags & FLAG_PRIORITY_KEPT) != 0
        m_reason[m] = reason_codes[(code >> 16) & 0xFF]
        m += 1
    return words.shape[0], m, t


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
        array = _categories(column, values) if column.categories else _plain(values).cast(column.type)
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


def _plain(values: Any) -> pa.Array:
    if isinstance(values, np.ma.MaskedArray):
        return pa.array(values.data.copy(), mask=np.ma.getmaskarray(values), from_pandas=True)
    if isinstance(values, np.ndarray):
        values = values.copy()  # Arrow would go on looking at the caller's memory
    return pa.array(values, from_pandas=True)


def _categories(column: Column, values: Any) -> pa.Array:
    names = pa.array(column.categories, pa.string())
    codes = _plain(values)
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
