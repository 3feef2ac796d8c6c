"""Replay an imported message table through an order book and compare with what the venue recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simlab.core.types import EventKind, Reason, Side
from simlab.importing.levels import Shown, ShownLevels
from simlab.importing.table import read_messages, read_truth

__all__ = ["ReplayBook", "check_import", "compare_replay"]

_Passive = tuple[int, int, int]
"""Order id, price, quantity."""


class ReplayBook(Protocol):
    """What a comparison needs of an order book; every book of `simlab.engine` has it."""

    def process(self, messages: NDArray[np.void]) -> NDArray[np.void]:
        """Apply messages in order; return their events."""

    def best_bid(self) -> int | None:
        """Return the highest buy price, or None."""

    def best_ask(self) -> int | None:
        """Return the lowest sell price, or None."""

    def snapshot(self, side: Side, *, depth: int | None = None) -> list[Any]:
        """Return the best levels of a side, best first, each with `price` and `quantity`."""


class _Truth(NamedTuple):
    fills: dict[int, list[_Passive]]
    quotes: dict[int, tuple[int | None, int | None]]


def check_import(table_path: Path, shown: Iterable[Shown] | None = None) -> dict[str, Any]:
    """Compare a message table with its truth on a compiled book; see `compare_replay`."""
    from simlab.engine.compiled import CompiledOrderBook

    return compare_replay(table_path, CompiledOrderBook(), shown)


def compare_replay(
    table_path: Path, book: ReplayBook, shown: Iterable[Shown] | None = None
) -> dict[str, Any]:
    """Send a message table to an empty book and count where it agrees with the recorded truth.

    Parameters
    ----------
    table_path : Path
        A message table; its truth must lie beside it.
    book : ReplayBook
        An empty book of one instrument with self-trade prevention off: all messages are of one account.
    shown : iterable of Shown, optional
        The recorded levels after each row of a file whose events are numbered by their last row, from 1.

    Returns
    -------
    dict
        Counts: `events`; `messages`; `refused` (reason to count); `recorded_fills`, `replayed_fills`;
        `fills_equal`, the recorded fills of events in which every resting order traded the same quantity at
        the same price; `recorded_volume`, `replayed_volume` (lots); `events_with_fills` and
        `events_in_recorded_order`, those whose fills also come in the recorded order; `quotes` and
        `quotes_equal`, best prices after each event; `book_rows` and `book_rows_equal`, rows of shown levels
        that are equal in all levels but the last (in the only one, where one is shown). `fill_agreement`,
        `quote_agreement` and `book_agreement` are the shares, in percent (None where nothing was recorded);
        `differing_events` has up to 20 indices of events whose fills, quotes or levels differ.

    Raises
    ------
    RecordingError
        When a table is missing or malformed.

    Example
    -------
    >>> from simlab.engine.reference import ReferenceOrderBook
    >>> compare_replay(Path("day.parquet"), ReferenceOrderBook())  # doctest: +SKIP
    """
    truth = _read_truth(read_truth(Path(table_path)))
    messages, event_index, _ = read_messages(Path(table_path))
    counts: Counter[str] = Counter(messages=len(messages))
    refused: Counter[str] = Counter()
    differing: list[int] = []
    levels = ShownLevels(book, shown) if shown is not None else None
    process: Callable[..., Any] = book.process if levels is None else levels.process
    for index, batch in _by_event(messages, event_index, truth):
        answers = process(batch) if levels is None else process(batch, index)
        counts["events"] += 1
        refusals = answers["reason"][answers["kind"] == EventKind.REJECTED]
        refused.update(Reason(reason).name.lower() for reason in refusals.tolist())
        equal = _count_fills(counts, _passive(answers), truth.fills.get(index, []))
        if index in truth.quotes:
            same = (book.best_bid(), book.best_ask()) == truth.quotes[index]
            counts["quotes"] += 1
            counts["quotes_equal"] += same
            equal = equal and same
        if not equal or (levels is not None and not levels.equal):
            differing.append(index)
    if levels is not None:
        levels.finish()
        counts.update(book_rows=levels.rows, book_rows_equal=levels.rows_equal)
    return _report(counts, refused, differing)


def _read_truth(table: pa.Table) -> _Truth:
    fills: dict[int, list[_Passive]] = {}
    quotes: dict[int, tuple[int | None, int | None]] = {}
    names = ("event_index", "record", "order_id", "price", "quantity", "best_bid", "best_ask")
    for index, record, *fill, bid, ask in zip(*(table[name].to_pylist() for name in names), strict=True):
        if record == "fill":
            fills.setdefault(index, []).append(tuple(fill))
        else:
            quotes[index] = (bid, ask)
    return _Truth(fills, quotes)


def _by_event(
    messages: NDArray[np.void], event_index: NDArray[np.int64], truth: _Truth
) -> Iterator[tuple[int, NDArray[np.void]]]:
    """Yield every event that has messages or a truth, in order."""
    indices = np.union1d(event_index, np.fromiter({*truth.fills, *truth.quotes}, np.int64))
    starts = np.searchsorted(event_index, indices, side="left")
    stops = np.searchsorted(event_index, indices, side="right")
    for index, start, stop in zip(indices.tolist(), starts, stops, strict=True):
        yield index, messages[start:stop]


def _passive(answers: NDArray[np.void]) -> list[_Passive]:
    fills = answers[answers["kind"] == EventKind.FILL]
    names = ("other_order_id", "price", "quantity")
    return list(zip(*(fills[name].tolist() for name in names), strict=True))


def _totals(fills: list[_Passive]) -> Counter[tuple[int, int]]:
    totals: Counter[tuple[int, int]] = Counter()
    for order_id, price, quantity in fills:
        totals[order_id, price] += quantity
    return totals


def _count_fills(counts: Counter[str], replayed: list[_Passive], recorded: list[_Passive]) -> bool:
    counts["recorded_volume"] += sum(quantity for _, _, quantity in recorded)
    counts["replayed_volume"] += sum(quantity for _, _, quantity in replayed)
    counts["replayed_fills"] += len(replayed)
    counts["recorded_fills"] += len(recorded)
    equal = _totals(replayed) == _totals(recorded)
    counts["fills_equal"] += len(recorded) if equal else 0
    if replayed or recorded:
        counts["events_with_fills"] += 1
        counts["events_in_recorded_order"] += replayed == recorded
    return equal


def _report(counts: Counter[str], refused: Counter[str], differing: list[int]) -> dict[str, Any]:
    names = (
        *("events", "messages", "recorded_fills", "replayed_fills", "fills_equal"),
        *("recorded_volume", "replayed_volume", "events_with_fills", "events_in_recorded_order"),
        *("quotes", "quotes_equal", "book_rows", "book_rows_equal"),
    )
    report: dict[str, Any] = {name: int(counts[name]) for name in names}
    report["refused"] = dict(sorted(refused.items()))
    report["fill_agreement"] = _percent(counts["fills_equal"], counts["recorded_fills"])
    report["quote_agreement"] = _percent(counts["quotes_equal"], counts["quotes"])
    report["book_agreement"] = _percent(counts["book_rows_equal"], counts["book_rows"])
    report["differing_events"] = differing[:20]
    return report


def _percent(part: int, whole: int) -> float | None:
    return 100.0 * part / whole if whole else None
