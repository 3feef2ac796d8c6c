"""State what an order book does: the contract that every implementation passes the same tests for.

A book holds the resting orders of one or more instruments. Messages go in, events come out; nothing
else happens: no clock, no randomness, no logging. The same messages always give the same events.

Rules
-----
Priority is by price, then by arrival at that price. Trades happen at the resting order's price.

Every message is answered. Checks are made in this order, and the first that fails is the one reason of
the one REJECTED event (whose fields repeat the message's):

1. LIMIT and MARKET: INVALID_KIND, UNKNOWN_INSTRUMENT, INVALID_ACCOUNT (not in [0, accounts)),
   INVALID_SIDE (not 0 or 1), INVALID_QUANTITY (not in [1, MAX_QUANTITY]), INVALID_TIME_IN_FORCE (not
   GTC, IOC or FOK; post-only with anything but a GTC limit order), INVALID_ORDER_ID (below 1),
   DUPLICATE_ORDER_ID (an order of this id rests), INVALID_EXPIRY (below 0, or set and before the
   present step), then POST_ONLY_WOULD_TRADE (it meets an opposite best price, whoever owns it) and
   FOK_NOT_FILLABLE.
2. CANCEL: UNKNOWN_ORDER, NOT_OWNER. The message's instrument is not looked at.
3. REPLACE: UNKNOWN_ORDER, NOT_OWNER, INVALID_QUANTITY, INVALID_TIME_IN_FORCE (anything but GTC),
   INVALID_EXPIRY, and POST_ONLY_WOULD_TRADE if flagged and the price is marketable and priority would be
   lost.
4. CANCEL_ALL: INVALID_ACCOUNT, UNKNOWN_INSTRUMENT (neither -1, all, nor a known one).

A limit or market order that passes gives ACCEPTED first (price 0 for a market order), then a FILL for
each resting order it meets, best first. A GTC limit order's remainder rests; an IOC limit order's
remainder gives CANCELLED(IOC_REMAINDER), a market order's CANCELLED(MARKET_REMAINDER). A market order may
be GTC or IOC (no difference) or FOK. FOK trades in full or is refused.

Self-trade prevention is set per instrument. When the next resting order is the incoming order's own:
CANCEL_RESTING cancels it, CANCELLED(SELF_TRADE), and matching goes on; CANCEL_INCOMING ends the incoming
order with CANCELLED(SELF_TRADE) for its remainder; CANCEL_BOTH does both, the resting order's event
first. FOK counts only what it could truly trade: with CANCEL_RESTING own orders are skipped in the
count, with CANCEL_INCOMING and CANCEL_BOTH the count ends at the first own order.

CANCEL gives CANCELLED(REQUESTED) with the order's price and remaining quantity. CANCEL_ALL does so for
each of the account's orders, oldest accepted first (of one instrument, or of all with instrument -1); it
may give no event at all.

REPLACE sets price and remaining quantity. With the price unchanged and the quantity not raised the
order keeps its place: REPLACED with FLAG_PRIORITY_KEPT. Otherwise REPLACED, and the order arrives anew,
trades if marketable (as a GTC limit order; self-trade prevention applies), and its remainder rests last
at its price. It keeps id, account, side and its age for CANCEL_ALL. Its expiry becomes the message's
unless that is 0.

`advance(step)` sets the present step and expires orders whose `expiry` lies before it: EXPIRED events by
(expiry, order_id). Steps never go back.

`process` gives events memory of their own, which nobody else writes to. With ``out=`` it writes them to the
beginning of that array and returns this part of it: nothing is allocated or copied, and the caller alone says
when the memory may be used again. Should `out` become too small, the events go to memory of their own after
all; the array that is returned always holds all of them.

A book can be copied with `copy.deepcopy` and pickled; the copy goes on by itself, as the book would.

Events carry a sequence number that counts from 0 without a gap, and the step. `side` of CANCELLED,
EXPIRED and REPLACED is the order's own; for REJECTED it is the message's (0 when it is not valid). `flags`
is set only on ACCEPTED (time in force, post-only, market) and REPLACED. See `simlab.core.types.EVENT_DTYPE`.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from simlab.core.hashing import HASH_SEED, hash_rows
from simlab.core.types import SelfTrade, Side

__all__ = ["ORDER_DTYPE", "Level", "OrderBook", "state_hash"]

ORDER_DTYPE = np.dtype(
    [
        ("instrument", "<i8"),
        ("side", "<i8"),
        ("price", "<i8"),
        ("quantity", "<i8"),
        ("order_id", "<i8"),
        ("account", "<i8"),
        ("expiry", "<i8"),
        ("reserved", "<i8"),
    ]
)
"""One resting order: 64 bytes; `quantity` is what remains, lots."""


class Level(NamedTuple):
    """One price level: price in price units, quantity resting in lots, number of orders."""

    price: int
    quantity: int
    orders: int


@runtime_checkable
class OrderBook(Protocol):
    """Match orders by price and time. The module's text is the contract."""

    instruments: int
    accounts: int

    def __init__(
        self, instruments: int = 1, *, accounts: int = 1, self_trade: SelfTrade | int = SelfTrade.OFF
    ) -> None: ...

    def set_self_trade(self, instrument: int, policy: SelfTrade | int) -> None:
        """Set what happens when an account meets itself in one instrument, from the next message on."""

    def process(self, messages: NDArray[np.void], *, out: NDArray[np.void] | None = None) -> NDArray[np.void]:
        """Apply ``(n,) MESSAGE_DTYPE`` messages in order; return all their events, ``(m,) EVENT_DTYPE``.

        They are written to the beginning of `out`, ``(k,) EVENT_DTYPE``, if it is given and large enough.
        """

    def apply(
        self,
        kind: int,
        side: int = 0,
        price: int = 0,
        quantity: int = 0,
        order_id: int = 0,
        account: int = 0,
        instrument: int = 0,
        time_in_force: int = 0,
        post_only: int = 0,
        expiry: int = 0,
    ) -> NDArray[np.void]:
        """Apply one message; return its events, ``(m,) EVENT_DTYPE``, valid until the next call."""

    def advance(self, step: int) -> NDArray[np.void]:
        """Set the present step; return the EXPIRED events. Raises EngineError when `step` goes back."""

    def best_bid(self, instrument: int = 0) -> int | None:
        """Return the highest buy price, or None. O(1)."""

    def best_ask(self, instrument: int = 0) -> int | None:
        """Return the lowest sell price, or None. O(1)."""

    def snapshot(self, side: Side | int, *, depth: int | None = None, instrument: int = 0) -> list[Level]:
        """Return the best `depth` levels of a side (all of them by default), best first."""

    def orders(self, side: Side | int | None = None, *, instrument: int = 0) -> NDArray[np.void]:
        """Return resting orders in priority order, ``(n,) ORDER_DTYPE``; bids before asks for side None."""

    def orders_of(self, account: int) -> list[int]:
        """Return the ids of an account's resting orders, oldest first."""

    def queue_position(self, order_id: int) -> int | None:
        """Return how many lots stand before an order at its price, or None if it does not rest."""

    def resting_orders(self, instrument: int | None = None) -> int:
        """Return the number of resting orders of one instrument, or of all."""

    def state_hash(self) -> int:
        """Return a 64-bit hash of all resting orders in priority order, the present step and the sequence."""

    def check(self) -> None:
        """Raise EngineError at the first broken invariant: order of levels, sums, queues, not crossed."""


def state_hash(book: OrderBook, step: int, sequence: int) -> int:
    """Hash a book's logical content: equal for implementations that hold the same orders."""
    state = HASH_SEED
    for instrument in range(book.instruments):
        rows = np.ascontiguousarray(book.orders(instrument=instrument))
        state = np.uint64(hash_rows(state, rows.view(np.uint64).reshape(-1, 8), 0, len(rows)))
    last = np.array([[step, sequence, 0, 0, 0, 0, 0, 0]], np.int64).view(np.uint64)
    return int(hash_rows(state, last, 0, 1))
