"""Follow every limit order through its queue, from the event log alone.

Messages and trades share one sequence, so merged in its order they tell the state of every queue at every
event. Orders and price levels are found by sorting, once a batch, and a compiled loop then goes over the
events with plain indices: memory follows the live orders and levels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis.tables import Frames, batches, instrument_names, numbers, signs
from simlab.core.jit import jit
from simlab.errors import AnalysisError

__all__ = ["MESSAGE_COLUMNS", "OUTCOMES", "TRADE_COLUMNS", "limit_orders"]

MESSAGE_COLUMNS = (
    "sequence",
    "step",
    "event",
    "order_id",
    "instrument",
    "side",
    "price",
    "quantity",
    "time_in_force",
    "market",
    "priority_kept",
    "reason",
)
TRADE_COLUMNS = ("sequence", "step", "quantity", "taker_order_id", "maker_order_id")
OUTCOMES = ("filled", "cancelled", "expired", "replaced", "resting")
"""How the stay of an order in a queue ends; the last are those that the end of the recording finds there."""

_FILLED, _CANCELLED, _EXPIRED, _REPLACED, _RESTING = range(len(OUTCOMES))

# What an event does to the queues, and the columns of an event row.
_PASS, _ENTER, _SHRINK, _MOVE, _FILL, _CANCEL, _EXPIRE, _REMAINDER, _SELF_TRADE = range(9)
_SEQUENCE, _STEP, _CODE, _ORDER_ID, _OTHER_ID, _INSTRUMENT, _SIDE, _PRICE, _QUANTITY = range(9)
_EVENT_WIDTH = 9

# Columns of a row that stands for an order in a queue.
_ALIVE, _LEVEL, _REMAINING, _ID, _WHERE, _BUY, _AT, _WHOLE, _AHEAD, _START, _FIRST, _END, _DONE, _HOW = range(
    14
)
_ORDER_WIDTH = 14
_NEVER = -1
_DEAD_LEVEL = -1


def limit_orders(messages: Frames, trades: Frames, instruments: pd.DataFrame) -> Iterator[pd.DataFrame]:
    """Iterate over the stays of limit orders in their queues, each with what stood before it and its end.

    A stay begins when an order comes to rest: on arrival, with what it did not trade at once, or when a
    replacement gives it a new place. It ends by the last fill, cancellation, expiry, the next replacement
    that loses priority, or the end of the recording. Orders that never rest have no stay. Lots ahead are
    exact: all that rests at the price on arrival.

    Parameters
    ----------
    messages, trades : Frames
        The tables of a recording from its first event, in order; of all instruments, or of the same ones.
    instruments : DataFrame
        ``instrument``, ``name``.

    Yields
    ------
    DataFrame
        Stays in the order they ended: ``order_id``, ``instrument`` (name, categorical), ``side`` (``buy``,
        ``sell``, categorical), ``price`` (price units), ``quantity`` (lots that came to rest, less what a
        replacement took away), ``ahead`` (lots), ``start``, ``first_fill`` (NaN when none), ``end`` (steps),
        ``filled`` (lots), ``outcome`` (categorical of `OUTCOMES`).

    Raises
    ------
    AnalysisError
        When an event speaks of an order that never came, or takes more lots than are left: the tables do not
        belong together, or do not start with the first event.

    Example
    -------
    >>> stays = pd.concat(limit_orders(run.messages(), run.trades(), run.instruments()))  # doctest: +SKIP
    >>> stays.groupby("outcome").size()  # doctest: +SKIP
    """
    queues = _Queues()
    names = instrument_names(instruments)
    for events in _merged(messages, trades, instruments):
        yield _named(queues.advance(events), names)
    yield _named(queues.end(), names)


def _named(stays: NDArray[np.int64], names: dict[int, str]) -> pd.DataFrame:
    labels = list(names.values())
    position = {number: place for place, number in enumerate(names)}
    distinct, place = np.unique(stays[:, _WHERE], return_inverse=True)
    codes = np.array([position[int(number)] for number in distinct], np.int64)[place]
    first = stays[:, _FIRST].astype(float)
    first[first == _NEVER] = np.nan
    return pd.DataFrame(
        {
            "order_id": stays[:, _ID],
            "instrument": pd.Categorical.from_codes(codes, categories=labels),
            "side": pd.Categorical.from_codes(1 - stays[:, _BUY], categories=["buy", "sell"]),
            "price": stays[:, _AT],
            "quantity": stays[:, _WHOLE],
            "ahead": stays[:, _AHEAD],
            "start": stays[:, _START],
            "first_fill": first,
            "end": stays[:, _END],
            "filled": stays[:, _DONE],
            "outcome": pd.Categorical.from_codes(stays[:, _HOW], categories=list(OUTCOMES)),
        }
    )


def _merged(messages: Frames, trades: Frames, instruments: pd.DataFrame) -> Iterator[NDArray[np.int64]]:
    """Merge two streams of events by sequence; no row of one is held back longer than the other needs."""
    left = (_message_events(frame, instruments) for frame in batches(messages, MESSAGE_COLUMNS, "messages"))
    right = (_trade_events(frame) for frame in batches(trades, TRADE_COLUMNS, "trades"))
    sources = (left, right)
    held = [next(source, None) for source in sources]
    while waiting := [rows for rows in held if rows is not None]:
        bound = min(int(rows[-1, _SEQUENCE]) for rows in waiting)
        ready = [rows[: _count_to(rows, bound)] for rows in waiting]
        held = [_rest(rows, bound, source) for rows, source in zip(held, sources, strict=True)]
        events = np.concatenate(ready)
        yield events[np.argsort(events[:, _SEQUENCE], kind="stable")]


def _count_to(rows: NDArray[np.int64], bound: int) -> int:
    return int(np.searchsorted(rows[:, _SEQUENCE], bound, side="right"))


def _rest(
    rows: NDArray[np.int64] | None, bound: int, source: Iterator[NDArray[np.int64]]
) -> NDArray[np.int64] | None:
    """Return the rows after the bound, those that follow from the source when there are none, or None."""
    if rows is None or _count_to(rows, bound) == len(rows):
        return next(source, None)
    return rows[_count_to(rows, bound) :]


def _message_events(messages: pd.DataFrame, instruments: pd.DataFrame) -> NDArray[np.int64]:
    events = np.empty((len(messages), _EVENT_WIDTH), np.int64)
    for column, name in (
        (_SEQUENCE, "sequence"),
        (_STEP, "step"),
        (_ORDER_ID, "order_id"),
        (_PRICE, "price"),
        (_QUANTITY, "quantity"),
    ):
        events[:, column] = messages[name]
    events[:, _CODE] = _codes(messages)
    events[:, _OTHER_ID] = events[:, _ORDER_ID]
    events[:, _INSTRUMENT] = numbers(messages["instrument"], instruments, "instrument")
    events[:, _SIDE] = signs(messages["side"], "messages: side") > 0
    return events


def _codes(messages: pd.DataFrame) -> NDArray[np.int64]:
    event, reason = messages["event"], messages["reason"]
    rests = (messages["time_in_force"] == "gtc") & ~messages["market"]
    kept = messages["priority_kept"]
    remainder = reason.isin(["ioc_remainder", "market_remainder"])
    cancelled = event == "cancelled"
    cases = [
        ((event == "accepted") & rests, _ENTER),
        ((event == "replaced") & kept, _SHRINK),
        ((event == "replaced") & ~kept, _MOVE),
        (cancelled & remainder, _REMAINDER),
        (cancelled & (reason == "self_trade"), _SELF_TRADE),
        (cancelled, _CANCEL),
        (event == "expired", _EXPIRE),
    ]
    return np.select([case.to_numpy() for case, _ in cases], [code for _, code in cases], _PASS)


def _trade_events(trades: pd.DataFrame) -> NDArray[np.int64]:
    events = np.zeros((len(trades), _EVENT_WIDTH), np.int64)
    for column, name in (
        (_SEQUENCE, "sequence"),
        (_STEP, "step"),
        (_ORDER_ID, "maker_order_id"),
        (_OTHER_ID, "taker_order_id"),
        (_QUANTITY, "quantity"),
    ):
        events[:, column] = trades[name]
    events[:, _CODE] = _FILL
    return events


def _no_orders() -> NDArray[np.int64]:
    return np.empty((0, _ORDER_WIDTH), np.int64)


@dataclass
class _Queues:
    """The live orders, the levels they rest at, and the order that came in last."""

    orders: NDArray[np.int64] = field(default_factory=_no_orders)
    levels: NDArray[np.int64] = field(default_factory=lambda: np.empty((0, 3), np.int64))
    depths: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    incoming: NDArray[np.int64] = field(default_factory=lambda: np.array([_NEVER]))
    step: int = 0

    def advance(self, events: NDArray[np.int64]) -> NDArray[np.int64]:
        """Apply ``(n, 9)`` events in order; return the stays that they ended, ``(m, 14)``."""
        orders, slots, others = self._slots(events)
        levels, depths, places = self._places(events, orders)
        ended = np.empty((len(events), _ORDER_WIDTH), np.int64)
        count = _apply(events, slots, others, places, orders, depths, self.incoming, ended)
        if count < 0:
            raise _misfit(events[~count])
        self.step = max(self.step, int(events[:, _STEP].max()))
        self._keep_alive(orders, levels, depths)
        return ended[:count]

    def end(self) -> NDArray[np.int64]:
        """Return the stays that nothing has ended."""
        self.orders[:, _END] = self.step
        self.orders[:, _HOW] = _RESTING
        return self.orders

    def _slots(
        self, events: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Give a row to every order that is live or spoken of: the live ones first, then as they appear."""
        live = len(self.orders)
        spoken = np.concatenate([self.orders[:, _ID], events[:, _ORDER_ID], events[:, _OTHER_ID]])
        slots, ids = pd.factorize(spoken)
        orders = np.zeros((len(ids), _ORDER_WIDTH), np.int64)
        orders[:live] = self.orders
        orders[:, _ID] = ids
        return orders, slots[live : live + len(events)], slots[live + len(events) :]

    def _places(
        self, events: NDArray[np.int64], orders: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Number the levels that have orders or get some; return them, their depths and those of events."""
        entering = (events[:, _CODE] == _ENTER) | (events[:, _CODE] == _MOVE)
        keys = events[np.ix_(entering, [_INSTRUMENT, _SIDE, _PRICE])]
        known = np.concatenate([self.levels, keys])
        place = _same_rows(known)
        levels = np.empty((int(place.max(initial=_NEVER)) + 1, known.shape[1]), np.int64)
        levels[place] = known
        depths = np.zeros(len(levels), np.int64)
        depths[place[: len(self.levels)]] = self.depths
        places = np.full(len(events), _DEAD_LEVEL)
        places[entering] = place[len(self.levels) :]
        alive = orders[:, _ALIVE] == 1
        orders[alive, _LEVEL] = place[orders[alive, _LEVEL]]
        return levels, depths, places

    def _keep_alive(
        self, orders: NDArray[np.int64], levels: NDArray[np.int64], depths: NDArray[np.int64]
    ) -> None:
        self.orders = orders[orders[:, _ALIVE] == 1]
        used = depths > 0
        self.levels, self.depths = levels[used], depths[used]
        self.orders[:, _LEVEL] = (np.cumsum(used) - 1)[self.orders[:, _LEVEL]]


def _same_rows(rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number the distinct rows of ``(n, k)`` in order of appearance; return the number of each row."""
    place = np.zeros(len(rows), np.int64)
    for column in rows.T:
        codes = pd.factorize(column)[0]
        place = pd.factorize(place * (codes.max(initial=0) + 1) + codes)[0]
    return place


def _misfit(event: NDArray[np.int64]) -> AnalysisError:
    return AnalysisError(
        f"event {event[_SEQUENCE]} at step {event[_STEP]} does not fit order {event[_ORDER_ID]}: the order "
        "does not rest, or has fewer lots left; give messages and trades of the same run and instruments, "
        "from the first event on"
    )


@jit
def _apply(events, slots, others, places, orders, depths, incoming, ended):
    """Apply events to the queues; return the number of stays that ended, or ``~row`` of what does not fit."""
    count = 0
    for row in range(len(events)):
        event = events[row]
        order = orders[slots[row]]
        code = event[_CODE]
        if code == _FILL:
            taker = orders[others[row]]
            if order[_ALIVE] == 0 or order[_REMAINING] < event[_QUANTITY]:
                return ~row
            if taker[_ALIVE] == 1:
                _take(taker, event[_QUANTITY], depths)
            _fill(order, event, depths)
            if order[_REMAINING] == 0:
                _end(order, event, _FILLED, depths, ended[count])
                count += 1
        elif code == _PASS:
            incoming[0] = _NEVER
        elif code == _ENTER:
            _enter(order, event, places[row], depths)
            incoming[0] = order[_ID]
        elif code == _REMAINDER or order[_ALIVE] == 0:
            if code != _REMAINDER and code != _SELF_TRADE:
                return ~row
        elif code == _SHRINK:
            _shrink(order, event[_QUANTITY], depths)
        elif code == _SELF_TRADE and incoming[0] == order[_ID]:
            _take(order, order[_REMAINING], depths)
        elif code == _MOVE:
            _end(order, event, _REPLACED, depths, ended[count])
            count += 1
            _enter(order, event, places[row], depths)
            incoming[0] = order[_ID]
        else:
            _end(order, event, _EXPIRED if code == _EXPIRE else _CANCELLED, depths, ended[count])
            count += 1
    return count


@jit
def _enter(order, event, level, depths):
    """Place an order last at its level; what it trades at once leaves again with the fills that follow."""
    order[_ALIVE] = 1
    order[_LEVEL] = level
    order[_WHERE] = event[_INSTRUMENT]
    order[_BUY] = event[_SIDE]
    order[_AT] = event[_PRICE]
    order[_AHEAD] = depths[level]
    order[_START] = event[_STEP]
    order[_FIRST] = _NEVER
    order[_WHOLE] = event[_QUANTITY]
    order[_REMAINING] = event[_QUANTITY]
    order[_DONE] = 0
    depths[level] += event[_QUANTITY]


@jit
def _take(order, quantity, depths):
    """Take away lots that never came to rest; without any left the order has no stay."""
    order[_WHOLE] -= quantity
    order[_REMAINING] -= quantity
    depths[order[_LEVEL]] -= quantity
    if order[_REMAINING] == 0:
        order[_ALIVE] = 0


@jit
def _shrink(order, quantity, depths):
    removed = order[_REMAINING] - quantity
    order[_WHOLE] -= removed
    order[_REMAINING] = quantity
    depths[order[_LEVEL]] -= removed


@jit
def _fill(order, event, depths):
    order[_REMAINING] -= event[_QUANTITY]
    order[_DONE] += event[_QUANTITY]
    depths[order[_LEVEL]] -= event[_QUANTITY]
    if order[_FIRST] == _NEVER:
        order[_FIRST] = event[_STEP]


@jit
def _end(order, event, outcome, depths, ended):
    depths[order[_LEVEL]] -= order[_REMAINING]
    order[_END] = event[_STEP]
    order[_HOW] = outcome
    for column in range(_ORDER_WIDTH):
        ended[column] = order[column]
    order[_ALIVE] = 0
