"""Import market-by-order files in Databento's DBN format: CME Globex and other venues.

Needs the extra ``databento`` (databento-dbn and zstandard). The files are read twice, in bounded
memory: once to find prices, ids and auctions, once to translate.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simlab.core.types import MessageKind, Side
from simlab.errors import RecordingError
from simlab.importing.compare import check_import
from simlab.importing.dbn import FIXED_PRICE_SCALE, read_events
from simlab.importing.orderflow import FRESH_ID, passive_fills, translate_event
from simlab.importing.recorded_book import Record, RecordedBook
from simlab.importing.table import (
    Fill,
    Message,
    Quote,
    check_target,
    not_above_zero,
    summarise,
    unit_in,
    write_tables,
)

__all__ = ["import_databento"]

Progress = Callable[[int, int], None]

_LARGEST_ID = 2**62  # leaves room for the ids given to unnamed senders


def import_databento(
    files: Sequence[Path],
    out: Path,
    *,
    instrument_id: int | None = None,
    price_unit: float | None = None,
    negative_prices: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Turn recorded market-by-order files into a message table and its truth.

    While an auction is open the book is crossed, and continuous matching cannot reproduce it. The table
    therefore starts after the last event that leaves the book crossed: the resting orders of that moment
    come first, in order of priority, as limit orders that do not trade.

    Parameters
    ----------
    files : sequence of Path
        DBN files of schema ``mbo`` (``.dbn`` or ``.dbn.zst``), in order of time.
    out : Path
        The message table, ``.parquet``; the truth is written beside it.
    instrument_id : int, optional
        Which instrument, needed where the files hold several.
    price_unit : float, optional
        Currency of one price unit; by default the largest unit that divides every price in the files.
    negative_prices : bool
        Take prices of 0 and below, which some markets have (calendar spreads, oil on 20 April 2020). The
        instrument that replays them needs a `price_band` that reaches so low.
    progress : callable, optional
        Called with (records done, records in all) while translating.

    Returns
    -------
    dict
        `rows`, `kinds`, `recorded_fills`, `skipped` (reason to count), `price_unit`, `price_range`,
        `time_range_ns`, `events`, `loaded_orders`, `order_ids` ("of the venue" or "renumbered"), `agreement`
        (see `compare_replay`).

    Raises
    ------
    RecordingError
        When a file is missing, malformed, cut off or out of order, the libraries are not installed, a price
        is not above 0 or not a multiple of the unit, or the book stays crossed to the end.

    Example
    -------
    >>> import_databento([Path("day.mbo.dbn.zst")], Path("day.parquet"))  # doctest: +SKIP
    """
    check_target(Path(out))
    paths = [Path(file) for file in files]
    survey = _survey(paths, instrument_id, negative_prices)
    unit = _unit(price_unit, survey)
    run = _Run(survey, unit)
    done = 0
    for index, records in enumerate(read_events(paths, instrument_id)):
        run.event(index, records)
        done += len(records)
        if progress is not None:
            progress(done, survey.records)
    price_unit = unit / FIXED_PRICE_SCALE
    source = ", ".join(path.name for path in paths)
    write_tables(
        Path(out),
        run.messages,
        run.fills,
        run.quotes,
        source=source,
        price_unit=price_unit,
        epoch="1970-01-01 UTC",
    )
    run.skipped["record of action N (no action)"] = survey.without_action
    run.skipped["cancel (left out) or modify (taken as an add) of an unknown order"] = run.book.unknown
    summary = summarise(run.messages, run.fills, skipped=run.skipped, price_unit=price_unit)
    order_ids = "renumbered" if run.numbers is not None else "of the venue"
    found = {"events": survey.events, "loaded_orders": run.loaded, "order_ids": order_ids}
    return summary | found | {"agreement": check_import(Path(out))}


@dataclass
class _Survey:
    """What a first reading finds."""

    records: int = 0
    without_action: int = 0
    events: int = 0
    first_event: int = 0
    """The event after which continuous trading starts; 0 when no event leaves the book crossed."""
    crossed: bool = False
    price_gcd: int = 0
    lowest_id: int = 1
    highest_id: int = 1

    def see(self, record: Record, negative_prices: bool) -> None:
        """Take note of one record."""
        self.without_action += record.action == "N"
        if record.action in "AMFT":
            self.highest_id = max(self.highest_id, record.order_id)
        if record.action in "AMF":
            if record.price <= 0 and not negative_prices:
                what = f"record {record.number}: price {record.price / FIXED_PRICE_SCALE:g}"
                raise not_above_zero(f"{what} of order {record.order_id}")
            self.price_gcd = math.gcd(self.price_gcd, record.price)
            self.lowest_id = min(self.lowest_id, record.order_id)


def _survey(paths: list[Path], instrument_id: int | None, negative_prices: bool) -> _Survey:
    survey = _Survey()
    book = RecordedBook()
    for index, records in enumerate(read_events(paths, instrument_id)):
        for record in records:
            book.apply(record)
            survey.see(record, negative_prices)
        survey.records += len(records)
        survey.events += 1
        survey.crossed = book.crossed()
        if survey.crossed:
            survey.first_event = index + 1
    if survey.crossed:
        raise RecordingError(
            f"the book of {paths[-1].name} is crossed at the end of the file (an auction is open), so no "
            "continuous trading follows that could be replayed; add the next file"
        )
    if not survey.price_gcd:
        raise RecordingError(
            f"no orders in {', '.join(path.name for path in paths)}; give files of schema mbo"
        )
    return survey


def _unit(price_unit: float | None, survey: _Survey) -> int:
    """Return the price unit in billionths of the currency."""
    if price_unit is None:
        return survey.price_gcd
    unit = unit_in(price_unit, FIXED_PRICE_SCALE)
    if unit <= 0 or unit.denominator != 1:
        raise RecordingError(
            f"the price unit {price_unit} is not a positive multiple of 1e-9; leave --price-unit out to use "
            f"{survey.price_gcd / FIXED_PRICE_SCALE}, which divides every price in the files"
        )
    if survey.price_gcd % unit.numerator:
        raise RecordingError(
            f"the price unit {price_unit} does not divide every price in the files; "
            f"use --price-unit {survey.price_gcd / FIXED_PRICE_SCALE}"
        )
    return unit.numerator


@dataclass
class _Run:
    """Translate events in order; holds what will be written."""

    survey: _Survey
    unit: int
    book: RecordedBook = field(default_factory=RecordedBook)
    messages: list[Message] = field(default_factory=list)
    fills: list[Fill] = field(default_factory=list)
    quotes: list[Quote] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    loaded: int = 0

    def __post_init__(self) -> None:
        renumber = self.survey.lowest_id < 1 or self.survey.highest_id > _LARGEST_ID
        self.numbers: dict[int, int] | None = {} if renumber else None
        self._fresh = _LARGEST_ID if renumber else self.survey.highest_id

    def event(self, index: int, records: list[Record]) -> None:
        """Translate one event, or fold it into the book that will be loaded."""
        continuous = not self.survey.first_event or index > self.survey.first_event
        if continuous:
            translated = translate_event(records, self.book, index, self.skipped)
            self.messages += [self._in_units(message) for message in translated]
            self.fills += [self._fill(index, record) for record in passive_fills(records)]
        else:
            self.skipped["record before the end of the last auction, folded into the loaded book"] += len(
                records
            )
        for record in records:
            self.book.apply(record)
        if index == self.survey.first_event and not continuous:
            self._load(index, records[-1].time_ns)
        if index >= self.survey.first_event:
            bid, ask = (self._price(self.book.best(side)) for side in Side)
            self.quotes.append(Quote(records[-1].time_ns, index, bid, ask))

    def _load(self, index: int, time_ns: int) -> None:
        for order_id, order in self.book.in_priority():
            row = (int(MessageKind.LIMIT), int(order.side), 0, order.price, order.size, order_id)
            self.messages.append(self._in_units(Message(time_ns, index, *row)))
            self.loaded += 1

    def _price(self, price: int | None) -> int | None:
        return None if price is None else price // self.unit

    def _in_units(self, message: Message) -> Message:
        return message._replace(price=message.price // self.unit, order_id=self._order_id(message.order_id))

    def _fill(self, index: int, record: Record) -> Fill:
        order_id = self._order_id(record.order_id)
        return Fill(record.time_ns, index, order_id, record.price // self.unit, record.size)

    def _order_id(self, order_id: int) -> int:
        if order_id == FRESH_ID:
            self._fresh += 1
            return self._fresh
        if self.numbers is None:
            return order_id
        return self.numbers.setdefault(order_id, len(self.numbers) + 1)
