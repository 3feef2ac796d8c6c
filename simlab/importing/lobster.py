"""Import LOBSTER files: reconstructed NASDAQ order flow as comma-separated text.

A message file has only what happened in the levels that the order book file beside it shows. With that file
an order that was never submitted enters when its level comes into view, and one that changed out of view
changes when it is seen again, so the levels are those of the file after every row. Without it the ids tell
when such an order came (an exchange counts them up), and prices at which two orders would have traded tell
which of them is gone.

References
----------
Huang and Polak (2011), LOBSTER: limit order book reconstruction system.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from simlab.core.types import Side
from simlab.errors import RecordingError
from simlab.importing.compare import check_import
from simlab.importing.followed import CORRECTED, FollowedMarket
from simlab.importing.levels import Shown
from simlab.importing.lobster_files import (
    Row,
    RowType,
    file_units,
    find_halts,
    grouped,
    read_rows,
    read_shown,
)
from simlab.importing.table import Quote, check_target, summarise, write_tables

__all__ = ["import_lobster"]

_SKIPPED = {
    RowType.HIDDEN: "execution of a hidden order (type 5)",
    RowType.CROSS: "cross trade of an auction (type 6)",
    RowType.HALT: "trading halt message (type 7)",
}
_Progress = Callable[[int, int], None]


def import_lobster(
    message_csv: Path,
    out: Path,
    *,
    orderbook_csv: Path | None = None,
    resting: Literal["seed", "drop"] = "seed",
    price_unit: float = 0.01,
    negative_prices: bool = False,
    progress: _Progress | None = None,
) -> dict[str, Any]:
    """Turn a LOBSTER message file into a message table and its truth.

    Consecutive visible executions with one time and direction are one aggressor: an immediate-or-cancel
    limit order on the other side, of their whole size, at the worst of their prices. A partial
    cancellation becomes a replace with the quantity that remains. Event 0 is what rested before; every other
    event is numbered by its last row, from 1.

    Parameters
    ----------
    message_csv : Path
        The message file, without a header.
    out : Path
        The message table, ``.parquet``; the truth is written beside it.
    orderbook_csv : Path, optional
        The order book file that belongs to it: the book is made to follow it, and compared with it.
    resting : {"seed", "drop"}
        What to do, without an order book file, about orders that the file speaks of and never submits: send
        them when their ids say, with the quantity the file refers to, or leave out every row of theirs.
    price_unit : float
        Currency of one price unit.
    negative_prices : bool
        Take prices of 0 and below. The instrument that replays them needs a `price_band` that reaches so low.
    progress : callable, optional
        Called with (rows done, rows in all).

    Returns
    -------
    dict
        `rows`, `kinds`, `recorded_fills`, `skipped` (reason to count), `price_unit`, `price_range`,
        `time_range_ns` (since midnight), `events`; `never_submitted` (orders that rows speak of and none
        submits); `adjustments` (what was sent beyond the rows: reason to count); `hidden` and `crossed`
        (executions and volume of hidden orders and of auctions, which are in no book); `halts` (spans of ns
        since midnight, open where trading is not resumed) and `agreement` (see `compare_replay`).

    Raises
    ------
    RecordingError
        When a row breaks a rule; the message has the line, the value and the rule.

    Example
    -------
    >>> import_lobster(Path("AMZN_message_10.csv"), Path("amzn.parquet"))  # doctest: +SKIP
    """
    _check_options(resting, orderbook_csv)
    check_target(Path(out))
    unit = file_units(price_unit)
    rows = list(read_rows(Path(message_csv), unit, negative_prices=negative_prices))
    if not rows:
        raise RecordingError(f"{message_csv} has no rows; give a LOBSTER message file")
    translation = _Translation(rows, progress, levels_shown=orderbook_csv is not None)
    try:
        if orderbook_csv is None:
            translation.by_ids(drop=resting == "drop")
        else:
            translation.by_levels(read_shown(Path(orderbook_csv), len(rows), unit))
    except RecordingError as error:
        if str(error).startswith("line "):
            raise RecordingError(f"{message_csv}, {error}") from error
        raise
    market, halts = translation.market, find_halts(rows)
    write_tables(
        Path(out),
        market.messages,
        market.fills,
        translation.quotes,
        source=Path(message_csv).name,
        price_unit=price_unit,
        epoch="midnight of the trading day, exchange time",
        halts=halts,
    )
    shown = read_shown(Path(orderbook_csv), len(rows), unit) if orderbook_csv is not None else None
    summary = summarise(market.messages, market.fills, skipped=translation.skipped, price_unit=price_unit)
    return summary | {
        "events": translation.events,
        "never_submitted": market.never_submitted,
        "adjustments": dict(sorted(market.adjustments.items())),
        "hidden": _volume(rows, RowType.HIDDEN),
        "crossed": _volume(rows, RowType.CROSS),
        "halts": halts,
        "agreement": check_import(Path(out), shown),
    }


def _check_options(resting: str, orderbook_csv: Path | None) -> None:
    if resting not in ("seed", "drop"):
        raise RecordingError(f"resting {resting!r} is neither 'seed' nor 'drop'")
    if resting == "drop" and orderbook_csv is not None:
        raise RecordingError(
            "an order book file shows the orders that rested before, so they cannot be dropped; leave out"
            " --book (orderbook_csv in Python) or --resting drop"
        )


def _volume(rows: list[Row], kind: RowType) -> dict[str, int]:
    sizes = [row.size for row in rows if row.type is kind]
    return {"executions": len(sizes), "volume": sum(sizes)}


class _Translation:
    """Translate rows in order; holds what will be written."""

    def __init__(self, rows: list[Row], progress: _Progress | None, *, levels_shown: bool) -> None:
        self.rows = rows
        self.market = FollowedMarket(rows, levels_shown=levels_shown)
        self.quotes: list[Quote] = []
        self.skipped = Counter(_SKIPPED[row.type] for row in rows if row.type in _SKIPPED)
        self.events = 0
        self._progress = progress

    def by_ids(self, *, drop: bool) -> None:
        """Translate without an order book file: ids tell when an order came that no row submits."""
        market = self.market
        market.begin(0, self.rows[0].time_ns)
        if not drop:
            market.arrive(market.next_submitted)
        for group in self._groups():
            known = [row for row in group if not drop or market.knows(row) or row.type in _SKIPPED]
            if len(known) < len(group):
                reason = "row of an order that the file never submits (resting: drop)"
                self.skipped[reason] += len(group) - len(known)
            if not known:
                continue
            if not drop:
                market.arrive(known[0].order_id if known[0].type is RowType.SUBMIT else 0)
            market.apply(known)

    def by_levels(self, shown: Iterator[Shown]) -> None:
        """Translate so that the book has the shown levels after every row."""
        market, before, line = self.market, None, 0
        for group in self._groups():
            *_, now = islice(shown, group[-1].line - line)
            line = group[-1].line
            sent = len(market.messages)
            if before is None:
                market.begin(0, group[0].time_ns)
            _reveal(market, group, before, now)
            market.begin(group[-1].line, group[-1].time_ns)
            market.apply(group)
            _correct(market, now)
            if len(market.messages) > sent:
                bid, ask = (levels[0][0] if levels else None for levels in (now.bids, now.asks))
                self.quotes.append(Quote(group[-1].time_ns, group[-1].line, bid, ask))
            before = now

    def _groups(self) -> Iterator[list[Row]]:
        for group in grouped(self.rows):
            self.market.begin(group[-1].line, group[-1].time_ns)
            self.events += group[0].type.of_the_book
            yield group
            if self._progress is not None:
                self._progress(group[-1].line, len(self.rows))


def _edge(shown: Shown, side: Side) -> int | None:
    """Return the worst price that is shown, or None when the whole side is."""
    levels = shown.bids if side == Side.BUY else shown.asks
    return levels[-1][0] if len(levels) == shown.levels else None


def _within(side: Side, price: int, edge: int | None) -> bool:
    return edge is None or (price >= edge if side == Side.BUY else price <= edge)


def _reveal(market: FollowedMarket, group: list[Row], before: Shown | None, now: Shown) -> None:
    """Let what comes into view with an event enter before it, and what is gone by then leave."""
    effects: Counter[tuple[Side, int]] = Counter()
    for row in group:
        if row.type.of_the_book:
            effects[row.side, row.price] += row.size if row.type is RowType.SUBMIT else -row.size
    for side in Side:
        edge = _edge(now, side)
        if before is not None and (_edge(before, side) in (None, edge)):
            continue
        targets = dict(now.bids if side == Side.BUY else now.asks)
        prices = {*targets, *(price for price, _ in market.book.levels(side, edge))}
        for price in sorted(prices, reverse=side == Side.BUY):
            if before is None or not _within(side, price, _edge(before, side)):
                market.set_level(side, price, max(targets.get(price, 0) - effects[side, price], 0))


def _correct(market: FollowedMarket, now: Shown) -> None:
    """Bring the levels in view to what is shown, where no row says why they differ."""
    for side, levels in ((Side.BUY, now.bids), (Side.SELL, now.asks)):
        mine = list(market.book.levels(side, _edge(now, side)))
        if mine == levels:
            continue
        targets = dict(levels)
        for price in sorted({*targets, *dict(mine)}):
            if market.book.depth(side, price) != targets.get(price, 0):
                market.set_level(side, price, targets.get(price, 0))
                market.adjustments[CORRECTED] += 1
