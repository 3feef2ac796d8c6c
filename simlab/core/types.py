"""Name the things of a market and fix how they lie in memory.

Messages and events are rows of eight 64-bit words. Compiled code reads and writes them whole word by word
(`MESSAGE_WORDS`, `EVENT_WORDS`); everybody else reads the same memory with all fields by name
(`MESSAGE_DTYPE`, `EVENT_DTYPE`). Word 0, the code, holds the small fields: `pack` puts them together,
`unpack` takes them apart.

Prices are int64 price units, quantities int64 lots; time is an integer step.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np

__all__ = [
    "EVENT_DTYPE",
    "EVENT_WORDS",
    "FLAG_MARKET",
    "FLAG_POST_ONLY",
    "FLAG_PRIORITY_KEPT",
    "MAX_QUANTITY",
    "MESSAGE_DTYPE",
    "MESSAGE_WORDS",
    "NO_EXPIRY",
    "EventKind",
    "MessageKind",
    "Reason",
    "SelfTrade",
    "Side",
    "TimeInForce",
    "pack",
    "pack_accounts",
    "unpack",
    "unpack_accounts",
]


class Side(IntEnum):
    """Side of an order (never of a book: those are bid and ask)."""

    BUY = 0
    SELL = 1


class TimeInForce(IntEnum):
    """How long an order may live: until cancelled, now or never in part, now or never in full."""

    GTC = 0
    IOC = 1
    FOK = 2


class SelfTrade(IntEnum):
    """What happens when an order meets a resting order of its own account."""

    OFF = 0
    CANCEL_RESTING = 1
    CANCEL_INCOMING = 2
    CANCEL_BOTH = 3


class MessageKind(IntEnum):
    """What an account asks of a book."""

    LIMIT = 0
    MARKET = 1
    CANCEL = 2
    REPLACE = 3
    CANCEL_ALL = 4


class EventKind(IntEnum):
    """What a book answers."""

    ACCEPTED = 0
    REJECTED = 1
    FILL = 2
    CANCELLED = 3
    REPLACED = 4
    EXPIRED = 5


class Reason(IntEnum):
    """Why a message was refused or an order ended.

    1 to 19 come from the order book, 20 to 39 from the market's admission rules, 40 and up say why an
    order was cancelled.
    """

    NONE = 0
    # from the order book
    INVALID_KIND = 1
    INVALID_SIDE = 2
    INVALID_QUANTITY = 3
    INVALID_ORDER_ID = 4
    DUPLICATE_ORDER_ID = 5
    UNKNOWN_ORDER = 6
    NOT_OWNER = 7
    UNKNOWN_INSTRUMENT = 8
    INVALID_TIME_IN_FORCE = 9
    INVALID_EXPIRY = 10
    POST_ONLY_WOULD_TRADE = 11
    FOK_NOT_FILLABLE = 12
    INVALID_ACCOUNT = 13
    # from the market's admission rules
    MARKET_HALTED = 20
    PRICE_OFF_TICK = 21
    QUANTITY_OFF_LOT = 22
    PRICE_BAND = 23
    FUNDS = 24
    SHORT_LIMIT = 25
    POSITION_LIMIT = 26
    RATE_LIMIT = 27
    OPEN_ORDER_LIMIT = 28
    MONEY_LIMIT = 29
    DELISTED = 30
    # why an order was cancelled
    REQUESTED = 40
    SELF_TRADE = 41
    IOC_REMAINDER = 42
    MARKET_REMAINDER = 43


NO_EXPIRY = 0
"""Value of `expiry` for an order that never expires."""

MAX_QUANTITY = 2**31 - 1
"""Largest quantity of one order, lots."""

# Flags of an ACCEPTED or REPLACED event; the two lowest bits are the time in force.
FLAG_POST_ONLY = 4
FLAG_MARKET = 8
FLAG_PRIORITY_KEPT = 16

MESSAGE_DTYPE = np.dtype(
    [
        ("kind", "u1"),
        ("side", "u1"),
        ("time_in_force", "u1"),
        ("post_only", "u1"),
        ("instrument", "<i4"),
        ("order_id", "<i8"),
        ("account", "<i8"),
        ("price", "<i8"),
        ("quantity", "<i8"),
        ("expiry", "<i8"),
        ("step", "<i8"),
        ("tag", "<i8"),
    ]
)
"""One message: 64 bytes. `price` in price units, `quantity` in lots, `expiry` the last step alive."""

MESSAGE_WORDS = np.dtype(
    [
        ("code", "i8"),
        ("order_id", "i8"),
        ("account", "i8"),
        ("price", "i8"),
        ("quantity", "i8"),
        ("expiry", "i8"),
        ("step", "i8"),
        ("tag", "i8"),
    ],
    align=True,
)
"""The words of a message; its `code` packs kind, side, time in force, post-only and instrument."""

EVENT_DTYPE = np.dtype(
    [
        ("kind", "u1"),
        ("side", "u1"),
        ("reason", "u1"),
        ("flags", "u1"),
        ("instrument", "<i4"),
        ("sequence", "<i8"),
        ("step", "<i8"),
        ("order_id", "<i8"),
        ("account", "<i4"),
        ("other_account", "<i4"),
        ("price", "<i8"),
        ("quantity", "<i8"),
        ("other_order_id", "<i8"),
    ]
)
"""One event: 64 bytes.

For a FILL `order_id` and `account` are the taker's, `other_order_id` and `other_account` the maker's and
`side` is the aggressor's. For other kinds the `other_` fields are 0. `price` and `quantity` are what the
message asked (ACCEPTED, REJECTED, REPLACED) or what left the book (CANCELLED, EXPIRED); a CANCELLED with
reason IOC_REMAINDER, MARKET_REMAINDER or SELF_TRADE may speak of an order that never rested.
"""

EVENT_WORDS = np.dtype(
    [
        ("code", "i8"),
        ("sequence", "i8"),
        ("step", "i8"),
        ("order_id", "i8"),
        ("accounts", "i8"),
        ("price", "i8"),
        ("quantity", "i8"),
        ("other_order_id", "i8"),
    ],
    align=True,
)
"""The words of an event.

Its `code` packs kind, side, reason, flags and instrument, its `accounts` both accounts.
"""


def pack(kind: Any, side: Any, third: Any, fourth: Any, instrument: Any) -> Any:
    """Put the small fields of a message or an event into its code, as they lie in memory (little endian).

    `third` and `fourth` are time in force and post-only of a message, reason and flags of an event. Works
    on integers, arrays of int64 and in compiled code; kind to `fourth` must lie in [0, 255].

    Example
    -------
    >>> unpack(pack(MessageKind.MARKET, Side.SELL, 0, 0, -1))
    (1, 1, 0, 0, -1)
    """
    return kind | (side << 8) | (third << 16) | (fourth << 24) | (instrument << 32)


def unpack(code: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Take a code apart: the inverse of `pack`."""
    return code & 0xFF, (code >> 8) & 0xFF, (code >> 16) & 0xFF, (code >> 24) & 0xFF, code >> 32


def pack_accounts(account: Any, other_account: Any) -> Any:
    """Put both accounts of an event into one word; each must lie in [-2**31, 2**31)."""
    return (account & 0xFFFFFFFF) | (other_account << 32)


def unpack_accounts(accounts: Any) -> tuple[Any, Any]:
    """Take both accounts of an event apart, as numbers from 0; -1 comes back as 2**32 - 1."""
    return accounts & 0xFFFFFFFF, accounts >> 32
