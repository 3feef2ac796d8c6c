"""Declare every table of a recording: names, columns, types, units and meaning.

This is the one place where the layout of the files is decided. The unit and the description of each
column are stored in the Parquet files too, as field metadata (and the units once more as JSON in the
file's own metadata, which DuckDB shows), so that a recording explains itself without simlab.

Enumerations are stored as text behind a dictionary: compact in the file, a categorical in pandas, a
factor in R and plain text in DuckDB.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import TYPE_CHECKING

from simlab.core.types import EventKind, Reason, SelfTrade, Side, TimeInForce
from simlab.errors import RecordingError, did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["FORMAT_VERSION", "TABLES", "Column", "Table", "table_named"]

FORMAT_VERSION = 1
"""Version of the layout below; it rises when a reader of old files would have to know."""

_ALL_INSTRUMENTS = "-1 stands for all instruments"


@dataclass(frozen=True)
class Column:
    """One column: `dtype` is int32, int64, float64, bool, string or category (text from `categories`)."""

    name: str
    dtype: str
    unit: str
    description: str
    nullable: bool = False
    categories: tuple[str, ...] = ()

    @property
    def type(self) -> pa.DataType:
        """The Arrow type of the column."""
        import pyarrow as pa

        if self.dtype == "category":
            return pa.dictionary(pa.int8(), pa.string())
        return {"bool": pa.bool_(), "float64": pa.float64()}.get(self.dtype) or pa.type_for_alias(self.dtype)

    @property
    def field(self) -> pa.Field:
        """The Arrow field, with ``unit`` and ``description`` in its metadata."""
        import pyarrow as pa

        metadata = {"unit": self.unit, "description": self.description}
        return pa.field(self.name, self.type, nullable=self.nullable, metadata=metadata)


@dataclass(frozen=True)
class Table:
    """One table. A `static` one is small, describes the run, and is on disk as soon as it is given.
    The `incompressible` columns are too random for compression to be worth its time.

    Example
    -------
    >>> from simlab.recording import TABLES
    >>> TABLES["trades"].column("price").unit
    'price units'
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    static: bool = False
    incompressible: tuple[str, ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> Column:
        """Return a column by name; raises KeyError when there is none."""
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Column]:
        return {column.name: column for column in self.columns}

    @cached_property
    def schema(self) -> pa.Schema:
        """The Arrow schema, with units and descriptions in the metadata."""
        import pyarrow as pa

        metadata = {
            "table": self.name,
            "description": self.description,
            "units": json.dumps({column.name: column.unit for column in self.columns}),
            "format_version": str(FORMAT_VERSION),
        }
        return pa.schema([column.field for column in self.columns], metadata=metadata)

    def named(self, *dtypes: str) -> list[str]:
        """Return the names of the columns that have one of these dtypes."""
        return [column.name for column in self.columns if column.dtype in dtypes]


def _names(enum: type[IntEnum]) -> tuple[str, ...]:
    return tuple(member.name.lower() for member in enum)


def _category(name: str, categories: tuple[str, ...], description: str) -> Column:
    return Column(name, "category", "category", description, categories=categories)


_SEQUENCE = Column(
    "sequence", "int64", "1", "Place in the event log, from 0; a gap is an event of the other table"
)
_STEP = Column("step", "int64", "steps", "Step of the simulation")
_INSTRUMENT = Column("instrument", "int32", "index", "Row of the table instruments")
_ACCOUNT = Column("account", "int32", "index", "Row of the table agents")

_MESSAGES = Table(
    "messages",
    "Every event of the order book but the fills, in order",
    (
        _SEQUENCE,
        _STEP,
        _category(
            "event",
            tuple(name for name in _names(EventKind) if name != "fill"),
            "What the book answered to a message, or did to an order",
        ),
        Column("order_id", "int64", "id", "The order spoken of"),
        _ACCOUNT,
        _INSTRUMENT,
        _category("side", _names(Side), "Side of the order"),
        Column("price", "int64", "price units", "Limit price; 0 for a market order"),
        Column(
            "quantity",
            "int64",
            "lots",
            "What the message asked (accepted, rejected, replaced) or what left the book (the others)",
        ),
        _category(
            "time_in_force",
            (*_names(TimeInForce), "none"),
            "How long the order may live; known for accepted and replaced only, else none",
        ),
        Column("post_only", "bool", "flag", "The order may only add liquidity (accepted only)"),
        Column("market", "bool", "flag", "The order is a market order (accepted only)"),
        Column(
            "priority_kept", "bool", "flag", "The replaced order kept its place in the queue (replaced only)"
        ),
        _category("reason", _names(Reason), "Why the message was rejected or the order cancelled"),
    ),
    incompressible=("order_id", "account", "price", "quantity"),
)

_TRADES = Table(
    "trades",
    "Every fill, in order",
    (
        _SEQUENCE,
        _STEP,
        _INSTRUMENT,
        Column("price", "int64", "price units", "Price of the trade: the resting order's"),
        Column("quantity", "int64", "lots", "Lots traded"),
        _category("aggressor_side", _names(Side), "Side of the incoming order"),
        Column("taker_order_id", "int64", "id", "The incoming order"),
        Column("taker_account", "int32", "index", "Account of the incoming order; row of the table agents"),
        Column("maker_order_id", "int64", "id", "The resting order"),
        Column("maker_account", "int32", "index", "Account of the resting order; row of the table agents"),
    ),
    incompressible=("price", "quantity", "taker_account", "maker_order_id", "maker_account"),
)

_QUOTES = Table(
    "quotes",
    "The best prices of each instrument at the end of a step",
    (
        _STEP,
        _INSTRUMENT,
        Column(
            "best_bid", "int64", "price units", "Highest resting buy price; null when there is none", True
        ),
        Column("bid_depth", "int64", "lots", "Lots resting at the best bid; null when there is none", True),
        Column(
            "best_ask", "int64", "price units", "Lowest resting sell price; null when there is none", True
        ),
        Column("ask_depth", "int64", "lots", "Lots resting at the best ask; null when there is none", True),
        Column(
            "last_price", "int64", "price units", "Price of the latest trade; null before the first", True
        ),
        Column("volume", "int64", "lots", "Lots traded since the start of the run"),
        Column(
            "fundamental", "float64", "price units", "Fundamental value; null when the world has none", True
        ),
    ),
)

_DEPTH = Table(
    "depth",
    "The best levels of each side of each book at the end of a step",
    (
        _STEP,
        _INSTRUMENT,
        _category("side", ("bid", "ask"), "Side of the book"),
        Column("level", "int32", "levels", "Distance from the best price in occupied levels; 0 is the best"),
        Column("price", "int64", "price units", "Price of the level"),
        Column("depth", "int64", "lots", "Lots resting at the level"),
        Column("orders", "int64", "orders", "Orders resting at the level"),
    ),
)

_ACCOUNTS = Table(
    "accounts",
    "Every account's position in every instrument at the end of a step",
    (
        _STEP,
        _ACCOUNT,
        _INSTRUMENT,
        Column("cash", "int64", "money units", "Cash of the account, repeated in the row of each instrument"),
        Column("inventory", "int64", "lots", "Signed position"),
        Column(
            "cost", "int64", "money units", "Money tied up in the open position, signed like the inventory"
        ),
        Column("realised_pnl", "int64", "money units", "Profit realised by closing positions, before fees"),
        Column("fees", "int64", "money units", "Fees paid less rebates received"),
        Column(
            "mark_price", "float64", "price units", "Price the position is valued at; null when unknown", True
        ),
    ),
)

_NEWS = Table(
    "news",
    "News as it was published",
    (
        _STEP,
        Column("instrument", "int32", "index", f"Row of the table instruments; {_ALL_INSTRUMENTS}"),
        Column("headline", "string", "text", "Headline"),
        Column("content", "string", "text", "Body of the news"),
        Column("sentiment", "float64", "1", "From -1 (bad) to 1 (good)"),
        Column("impact", "float64", "price units", "What the news adds to the fundamental value"),
        Column("source", "string", "text", "Who published it"),
    ),
)

_CUSTOMER_ORDERS = Table(
    "customer_orders",
    "What accounts were given to trade for their customers; a new order takes the place of the last one",
    (
        _STEP,
        _ACCOUNT,
        _INSTRUMENT,
        _category("side", _names(Side), "What the customer wants"),
        Column("limit_price", "int64", "price units", "What the first lot size is worth, or costs"),
        Column("limit_step", "int64", "price units", "What each further one is worth less, or costs more"),
        Column("quantity", "int64", "lots", "Size of the order"),
    ),
)

_SEATS = Table(
    "seats",
    "Accounts that somebody outside took, or gave back",
    (
        _STEP,
        _ACCOUNT,
        _category("event", ("taken", "given_back"), "What became of the account"),
        Column(
            "cash", "int64", "money units", "Cash of the account then; when first taken, what it begins with"
        ),
    ),
)

_DECISIONS = Table(
    "decisions",
    "Who decided what, and why: of agents that explain themselves, or fall back on another strategy",
    (
        _STEP,
        _ACCOUNT,
        _category("source", ("llm", "ml", "heuristic", "none"), "Who decided; none: nobody, and it held"),
        Column("strategy", "string", "text", "Strategy that decided"),
        Column("action", "string", "text", "What was sent, in words"),
        Column("reason", "string", "text", "Reason that the agent gave", nullable=True),
        Column("fallback", "string", "text", "Why those who come before did not decide", nullable=True),
        Column("request", "string", "hash", "What a language model was asked", nullable=True),
        Column("calls", "int32", "calls", "Calls of a model, with retries", nullable=True),
        Column("tokens_in", "int64", "tokens", "Tokens that a model read", nullable=True),
        Column("tokens_out", "int64", "tokens", "Tokens that a model wrote", nullable=True),
        Column("cost", "float64", "currency", "Price of the calls", nullable=True),
        Column("ms", "float64", "ms", "How long the decision took", nullable=True),
        Column("cached", "int32", "calls", "Of the calls, those that a cassette answered", nullable=True),
        Column("facts", "string", "JSON", "Whatever else the strategy noted", nullable=True),
        Column("first_order", "int64", "order id", "Lowest id of the orders sent", nullable=True),
        Column(
            "last_order",
            "int64",
            "order id",
            "Highest of them; the account's ids between belong to no other decision",
            nullable=True,
        ),
        Column("orders", "int32", "orders", "Orders sent"),
    ),
)

_AGENTS = Table(
    "agents",
    "Who holds each account",
    (
        Column("account", "int32", "index", "Number of the account in every other table"),
        Column("name", "string", "text", "Unique name of the agent"),
        Column("population", "string", "text", "Population the agent belongs to"),
        Column("strategy", "string", "text", "Strategy the agent follows"),
    ),
    static=True,
)

_INSTRUMENTS = Table(
    "instruments",
    "What was traded and on which terms",
    (
        Column("instrument", "int32", "index", "Number of the instrument in every other table"),
        Column("name", "string", "text", "Unique name of the instrument"),
        Column("initial_price", "int64", "price units", "Price before the first trade"),
        Column("tick_size", "int64", "price units", "Prices are multiples of it"),
        Column("lot_size", "int64", "lots", "Quantities are multiples of it"),
        Column("multiplier", "int64", "money units", "What one lot costs at a price of one unit"),
        Column("price_unit", "float64", "currency", "What one price unit is worth; for display"),
        Column("price_low", "int64", "price units", "Lowest price an order may have"),
        Column("price_high", "int64", "price units", "Highest price an order may have"),
        Column("maker_fee_ppm", "int64", "ppm", "Fee of the resting side, parts per million of the notional"),
        Column(
            "taker_fee_ppm", "int64", "ppm", "Fee of the incoming side, parts per million of the notional"
        ),
        _category("self_trade", _names(SelfTrade), "What happens when an account meets its own order"),
        Column("description", "string", "text", "What the instrument is"),
    ),
    static=True,
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        _MESSAGES,
        _TRADES,
        _QUOTES,
        _DEPTH,
        _ACCOUNTS,
        _NEWS,
        _CUSTOMER_ORDERS,
        _SEATS,
        _DECISIONS,
        _AGENTS,
        _INSTRUMENTS,
    )
}
"""Every table of a recording by name."""


def table_named(name: str) -> Table:
    """Return the declaration of a table; raises RecordingError with the nearest name when there is none."""
    if name not in TABLES:
        raise RecordingError(
            f"there is no table {name!r}{did_you_mean(name, TABLES, otherwise='the tables are')}"
        )
    return TABLES[name]
