"""State the tables that recorded order flow is turned into, and write and read them.

An import gives two Parquet files. The message table (`MESSAGE_SCHEMA`) holds what participants sent and
can be sent again. The truth (`TRUTH_SCHEMA`, ``<name>.truth.parquet`` beside it) holds what the venue
answered, so that a replay can be checked. Both carry their units in the metadata of the fields.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from simlab.core.types import MAX_QUANTITY, MESSAGE_DTYPE, MessageKind, Side
from simlab.errors import RecordingError

__all__ = [
    "MAX_PRICE",
    "MESSAGE_SCHEMA",
    "TRUTH_SCHEMA",
    "Fill",
    "Message",
    "Quote",
    "Span",
    "check_target",
    "fitting_quantity_unit",
    "not_above_zero",
    "read_halts",
    "read_messages",
    "read_truth",
    "summarise",
    "truth_path",
    "unit_in",
    "write_tables",
]

MAX_PRICE = 2**31 - 1
"""Largest price, up or down, that an instrument's `price_band` can allow, price units."""

Span = tuple[int, int | None]
"""First nanosecond and the one after the last; None for no end."""


def _field(name: str, kind: pa.DataType, unit: str, *, nullable: bool = False) -> pa.Field:
    return pa.field(name, kind, nullable=nullable, metadata={"unit": unit})


MESSAGE_SCHEMA = pa.schema(
    [
        _field("time_ns", pa.int64(), "nanoseconds since the epoch named in the table's metadata"),
        _field("event_index", pa.int64(), "position of the exchange's event in the file, from 0"),
        _field("kind", pa.uint8(), "simlab.core.types.MessageKind: 0 limit, 1 market, 2 cancel, 3 replace"),
        _field("side", pa.uint8(), "simlab.core.types.Side: 0 buy, 1 sell"),
        _field("time_in_force", pa.uint8(), "simlab.core.types.TimeInForce: 0 GTC, 1 IOC"),
        _field("price", pa.int64(), "price units; 0 for a cancel"),
        _field("quantity", pa.int64(), "lots; 0 for a cancel"),
        _field("order_id", pa.int64(), "the venue's order id, or a number in its place, at least 1"),
    ]
)
"""What participants sent, in order. Messages of one `event_index` belong to one event of the exchange."""

TRUTH_SCHEMA = pa.schema(
    [
        _field("time_ns", pa.int64(), "nanoseconds since the epoch named in the table's metadata"),
        _field("event_index", pa.int64(), "position of the exchange's event in the file, from 0"),
        _field("record", pa.string(), "fill: a resting order traded; quote: best prices after the event"),
        _field("order_id", pa.int64(), "the resting order of a fill", nullable=True),
        _field("price", pa.int64(), "price units of a fill", nullable=True),
        _field("quantity", pa.int64(), "lots of a fill", nullable=True),
        _field("best_bid", pa.int64(), "price units of a quote; null for an empty side", nullable=True),
        _field("best_ask", pa.int64(), "price units of a quote; null for an empty side", nullable=True),
    ]
)
"""What the venue recorded: passive fills in order of execution, and best prices after each event."""


class Message(NamedTuple):
    """One row of the message table; see `MESSAGE_SCHEMA` for units."""

    time_ns: int
    event_index: int
    kind: int
    side: int
    time_in_force: int
    price: int
    quantity: int
    order_id: int


class Fill(NamedTuple):
    """One recorded fill of a resting order."""

    time_ns: int
    event_index: int
    order_id: int
    price: int
    quantity: int


class Quote(NamedTuple):
    """Recorded best prices after an event; None for an empty side."""

    time_ns: int
    event_index: int
    best_bid: int | None
    best_ask: int | None


def truth_path(table: Path) -> Path:
    """Name the truth that belongs to a message table.

    Example
    -------
    >>> truth_path(Path("flow/es.parquet")).name
    'es.truth.parquet'
    """
    return table.with_name(f"{table.stem}.truth.parquet")


def write_tables(
    out: Path,
    messages: list[Message],
    fills: list[Fill],
    quotes: list[Quote],
    *,
    source: str,
    price_unit: float,
    epoch: str,
    halts: Sequence[Span] = (),
) -> None:
    """Write the message table to `out` and the truth beside it, each by atomic rename.

    Parameters
    ----------
    out : Path
        Ends in ``.parquet``; missing folders are made.
    source : str
        Where the flow comes from, kept in the metadata.
    price_unit : float
        Currency of one price unit, kept in the metadata.
    epoch : str
        What `time_ns` counts from, in words, kept in the metadata.
    halts : sequence of Span
        When the venue halted trading, kept in the metadata.

    Raises
    ------
    RecordingError
        When `out` does not end in ``.parquet`` or cannot be written, or a price or quantity is more than a
        market takes.
    """
    check_target(out)
    _check_bounds(messages, price_unit)
    metadata = {"source": source, "price_unit": repr(price_unit), "epoch": epoch, "halts": json.dumps(halts)}
    _write(out, MESSAGE_SCHEMA.with_metadata(metadata), _columns(Message._fields, messages))
    truth: list[tuple[Any, ...]] = [(*fill[:2], "fill", *fill[2:], None, None) for fill in fills]
    truth += [(*quote[:2], "quote", None, None, None, *quote[2:]) for quote in quotes]
    truth.sort(key=lambda row: row[1])  # stable: fills before the quote of their event
    _write(truth_path(out), TRUTH_SCHEMA.with_metadata(metadata), _columns(TRUTH_SCHEMA.names, truth))


def check_target(out: Path) -> None:
    """Raise RecordingError, before any work, when a message table cannot be written to `out`."""
    if out.suffix != ".parquet":
        raise RecordingError(f"the message table {out} must end in .parquet; use {out.name}.parquet")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        reason = error.strerror or error
        raise RecordingError(
            f"cannot write the message table {out}: {reason}; choose another folder"
        ) from error
    if out.is_dir():
        raise RecordingError(f"cannot write the message table {out}: it is a folder; give it another name")


def not_above_zero(what: str) -> RecordingError:
    """Return the error of a price that most markets do not have, where `what` names place and price."""
    return RecordingError(
        f"{what} is not above 0, which no market takes unless its price_band reaches so low; where such"
        " prices are real (calendar spreads, oil on 20 April 2020), import with --negative-prices"
        " (negative_prices=True in Python)"
    )


def fitting_quantity_unit(quantity: int) -> int:
    """Return the smallest power of ten of lots that brings a quantity within `MAX_QUANTITY`.

    Example
    -------
    >>> fitting_quantity_unit(30_000_000_000)
    100
    """
    unit = 10
    while quantity // unit > MAX_QUANTITY:
        unit *= 10
    return unit


def _check_bounds(messages: list[Message], price_unit: float) -> None:
    for message in messages:
        where = f"order {message.order_id} (event {message.event_index})"
        if message.quantity > MAX_QUANTITY:
            raise RecordingError(
                f"{where} has {message.quantity} lots, more than the {MAX_QUANTITY} that an order can have;"
                f" count in a lot {fitting_quantity_unit(message.quantity)} times as large"
            )
        if abs(message.price) > MAX_PRICE:
            raise RecordingError(
                f"{where} has the price {message.price}, beyond the {MAX_PRICE} price units that a market can"
                f" have; give a price unit larger than {price_unit:g}"
            )


def _columns(names: Iterable[str], rows: list[Any]) -> dict[str, list[Any]]:
    return {name: [row[i] for row in rows] for i, name in enumerate(names)}


def _write(path: Path, schema: pa.Schema, columns: Mapping[str, list[Any]]) -> None:
    partial = path.with_name(path.name + ".partial")
    pq.write_table(pa.table(dict(columns), schema=schema), partial, compression="zstd")
    os.replace(partial, path)


def _require(path: Path) -> None:
    if not path.exists():
        raise RecordingError(f"there is no file {path}; make it with an import of recorded order flow")


def _read(path: Path, schema: pa.Schema) -> pa.Table:
    _require(path)
    table = pq.read_table(path)
    if table.schema.names != schema.names:
        raise RecordingError(
            f"{path} has the columns {table.schema.names}, expected {schema.names}; import the flow again"
        )
    return table


def read_messages(table: Path) -> tuple[NDArray[np.void], NDArray[np.int64], NDArray[np.int64]]:
    """Read a message table as messages of account 0 and instrument 0.

    Returns
    -------
    messages : (n,) MESSAGE_DTYPE
    event_index : (n,) int64
        Not decreasing.
    time_ns : (n,) int64

    Raises
    ------
    RecordingError
        When the file is missing or has other columns.
    """
    data = _read(Path(table), MESSAGE_SCHEMA)
    messages = np.zeros(data.num_rows, MESSAGE_DTYPE)
    for name in ("kind", "side", "time_in_force", "price", "quantity", "order_id"):
        messages[name] = data[name].to_numpy()
    return messages, data["event_index"].to_numpy(), data["time_ns"].to_numpy()


def read_halts(table: Path) -> list[Span]:
    """Read when the venue of a message table halted trading, in nanoseconds of the table's clock.

    Raises
    ------
    RecordingError
        When the file is missing.
    """
    _require(Path(table))
    metadata = pq.read_schema(table).metadata or {}
    return [(first, end) for first, end in json.loads(metadata.get(b"halts", b"[]"))]


def read_truth(table: Path) -> pa.Table:
    """Read the truth beside a message table, as an Arrow table in `TRUTH_SCHEMA`.

    Raises
    ------
    RecordingError
        When the file is missing or has other columns.
    """
    return _read(truth_path(Path(table)), TRUTH_SCHEMA)


def summarise(
    messages: list[Message], fills: list[Fill], *, skipped: Mapping[str, int], price_unit: float
) -> dict[str, Any]:
    """Describe an import: counts, kinds, what was left out and why, ranges of price and time."""
    prices = [m.price for m in messages if m.kind != MessageKind.CANCEL]
    kinds = [MessageKind(m.kind).name.lower() for m in messages]
    return {
        "rows": len(messages),
        "kinds": {kind: kinds.count(kind) for kind in sorted(set(kinds))},
        "buys": sum(m.side == Side.BUY for m in messages),
        "recorded_fills": len(fills),
        "skipped": {reason: count for reason, count in sorted(skipped.items()) if count},
        "price_unit": price_unit,
        "price_range": (min(prices), max(prices)) if prices else None,
        "time_range_ns": (messages[0].time_ns, messages[-1].time_ns) if messages else None,
    }


def unit_in(price_unit: float, scale: int) -> Fraction:
    """Return a price unit as a number of ``1 / scale`` of the currency, exactly as it is written.

    Raises
    ------
    RecordingError
        When it is not a finite number.

    Example
    -------
    >>> unit_in(0.01, 10_000)
    Fraction(100, 1)
    """
    if not isfinite(price_unit):
        raise RecordingError(f"the price unit {price_unit} is not a finite number; use one such as 0.01")
    return Fraction(str(price_unit)) * scale
