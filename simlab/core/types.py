"""Name the things of a market and fix how they lie in memory.

Messages and events are rows of eight 64-bit words. Compiled code reads and writes them as
``(n, 8) int64`` arrays through the column constants below; everybody else reads the same memory as a
structured array (`MESSAGE_DTYPE`, `EVENT_DTYPE`) with named fields. Word 0 packs the small fields
(little endian): kind, side, two more bytes, and the instrument in the upper half.

Prices are int64 price units, quantities int64 lots; time is an integer step.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np

__all__ = [
    "EVENT_DTYPE",
    "FLAG_MARKET",
    "FLAG_POST_ONLY",
    "FLAG_PRIORITY_KEPT",
    "MAX_QUANTITY",
    "MESSAGE_DTYPE",
    "NO_EXPIRY",
    "EventKind",
    "MessageKind",
    "Reason",
    "SelfTrade",
    "Side",
    "TimeInForce",
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

# Columns of a message row.
M_CODE, M_ORDER_ID, M_ACCOUNT, M_PRICE, M_QUANTITY, M_EXPIRY, M_STEP, M_TAG = range(8)

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

# Columns of an event row.
E_CODE, E_SEQUENCE, E_STEP, E_ORDER_ID, E_ACCOUNTS, E_PRICE, E_QUANTITY, E_OTHER_ORDER_ID = range(8)

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
