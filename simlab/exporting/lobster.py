"""Write a recorded run as LOBSTER files: what happens within the best levels, and those levels after it.

The files follow the vendor's: no header; time in seconds after midnight; types 1 to 4 and 7; the resting
order's id and direction; prices in ten-thousandths; empty levels filled. Orders are numbered anew as they
come to rest, and a replacement that loses its place is a deletion and a submission under a new number, as at
the exchange.

References
----------
Huang and Polak (2011), LOBSTER: limit order book reconstruction system.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

from simlab.core.types import Side
from simlab.errors import RecordingError
from simlab.exporting.changes import Change, RecordedChanges
from simlab.importing.lobster_files import EMPTY_PRICE, PRICE_SCALE, RowType
from simlab.importing.table import unit_in
from simlab.recording import Run, open_run

__all__ = ["MAX_LEVELS", "export_lobster"]

MAX_LEVELS = 1000
_TYPES = {
    "add": RowType.SUBMIT,
    "reduce": RowType.REDUCE,
    "remove": RowType.DELETE,
    "execute": RowType.EXECUTE,
}
_SECOND_NS = 10**9
_DAY_S = 86_400


def export_lobster(
    run: Run | Path | str,
    out: Path | None = None,
    *,
    levels: int = 10,
    instrument: str | None = None,
    start_s: float = 34_200.0,
    date: str = "2000-01-03",
    price_unit: float | None = None,
) -> dict[str, Any]:
    """Write the message and the order book file of one instrument of a recorded run.

    A step begins at `start_s` plus its number times the run's ``step_duration_s``; the messages of a step
    follow one another by a nanosecond. Halts of the configuration are rows of type 7. Memory follows the
    resting orders, not the length of the run.

    Parameters
    ----------
    run : Run or path
        A recording, finished or not.
    out : Path, optional
        The folder to write into; by default ``lobster`` in the run's folder.
    levels : int
        Price levels a side, 1 to 1000; what happens behind them is not written.
    instrument : str, optional
        Which instrument, needed where the run has several.
    start_s : float
        Seconds after midnight at which the run starts; 34,200 is 9:30.
    date : str
        The day in the files' names.
    price_unit : float, optional
        Currency of one price unit, if not the instrument's own: a multiple of 0.0001.

    Returns
    -------
    dict
        `message_file`, `orderbook_file`, `levels`, `rows`, `kinds` (of the rows written), `out_of_view`
        (changes behind the levels, not written) and `price_unit`.

    Raises
    ------
    RecordingError
        When the recording cannot be read or the files cannot be written, the instrument is not named or
        not known, or prices do not fit the format.

    Example
    -------
    >>> export_lobster("runs/quickstart-1-1", levels=5)  # doctest: +SKIP
    """
    opened = open_run(run) if isinstance(run, Path | str) else run
    if not 1 <= levels <= MAX_LEVELS:
        raise RecordingError(f"levels is {levels}; a LOBSTER file has 1 to {MAX_LEVELS} levels")
    if not 0 <= start_s < _DAY_S:
        raise RecordingError(f"start_s is {start_s}; give seconds after midnight, 0 to {_DAY_S}")
    name, unit = _instrument(opened, instrument)
    price_unit = unit if price_unit is None else price_unit
    folder = Path(out) if out is not None else opened.path / "lobster"
    duration_s = float(opened.config["step_duration_s"])
    end_s = start_s + duration_s * int(opened.config["steps"])
    stem = f"{name}_{date}_{round(start_s * 1000)}_{round(end_s * 1000)}"
    files = [folder / f"{stem}_{which}_{levels}.csv" for which in ("message", "orderbook")]
    clock = _Clock(round(start_s * _SECOND_NS), max(round(duration_s * _SECOND_NS), 1))
    with _Files(files) as (messages, books):
        view = _View(RecordedChanges(opened, name), levels, _scale(price_unit), messages, books, clock)
        view.write(_halts(opened, name))
    return {
        "message_file": str(files[0]),
        "orderbook_file": str(files[1]),
        "levels": levels,
        "rows": sum(view.kinds.values()),
        "kinds": {kind.name.lower(): view.kinds[kind] for kind in RowType if view.kinds[kind]},
        "out_of_view": view.out_of_view,
        "price_unit": price_unit,
    }


def _instrument(run: Run, name: str | None) -> tuple[str, float]:
    table = run.instruments()
    units = dict(zip(table["name"], table["price_unit"].tolist(), strict=True))
    if name is None and len(units) == 1:
        return next(iter(units.items()))
    if name not in units:
        what = "has several instruments" if name is None else f"has no instrument {name!r}"
        raise RecordingError(f"{run.path} {what}; name one with --instrument: {', '.join(units)}")
    return str(name), units[name]


def _scale(price_unit: float) -> int:
    """Return what one price unit is in the files' ten-thousandths."""
    scale = unit_in(price_unit, PRICE_SCALE)
    if scale <= 0 or scale.denominator != 1:
        raise RecordingError(
            f"a price unit of {price_unit:g} is not a multiple of the 0.0001 in which a LOBSTER file counts;"
            " write prices as if a unit were worth more, with --price-unit 0.0001 (price_unit in Python)"
        )
    return scale.numerator


def _halts(run: Run, instrument: str) -> list[tuple[int, int]]:
    """Return the steps (first, end) in which the configuration halts an instrument; none overlap."""
    spans: list[tuple[int, int]] = []
    shocks = [it for it in run.config.get("shocks", ()) if it["kind"] == "halt"]
    for shock in sorted(shocks, key=lambda it: it["step"]):
        if shock["instrument"] not in (None, instrument):
            continue
        first, end = shock["step"], shock["step"] + shock["duration"]
        if spans and first <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], end))
        else:
            spans.append((first, end))
    return spans


class _Files:
    """Open files under other names and rename them when all went well; remove them otherwise."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = paths
        self._partial = [path.with_name(f"{path.name}.partial") for path in paths]
        self._stack = ExitStack()

    def __enter__(self) -> list[TextIO]:
        folder = self._paths[0].parent
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return [
                self._stack.enter_context(path.open("w", encoding="ascii", newline="\n"))
                for path in self._partial
            ]
        except OSError as error:
            self._stack.close()
            raise RecordingError(
                f"cannot write into {folder}: {error.strerror or error}; choose another folder with --out"
            ) from error

    def __exit__(self, kind: object, *_: object) -> None:
        self._stack.close()
        for partial, path in zip(self._partial, self._paths, strict=True):
            if kind is None:
                os.replace(partial, path)
            else:
                partial.unlink(missing_ok=True)


class _Clock:
    """Turn steps, and places in a step, into seconds after midnight."""

    def __init__(self, start_ns: int, step_ns: int) -> None:
        self._start_ns = start_ns
        self._step_ns = step_ns

    def text(self, step: int, place: int = 0) -> str:
        ns = self._start_ns + step * self._step_ns + min(place, self._step_ns - 1)
        return f"{ns // _SECOND_NS}.{ns % _SECOND_NS:09d}"


class _View:
    """Write each change that falls within the levels in view, and the levels after it."""

    def __init__(
        self,
        changes: RecordedChanges,
        levels: int,
        scale: int,
        messages: TextIO,
        books: TextIO,
        clock: _Clock,
    ) -> None:
        self.kinds: Counter[RowType] = Counter()
        self.out_of_view = 0
        self._changes = changes
        self._levels = levels
        self._scale = scale
        self._messages = messages
        self._books = books
        self._clock = clock
        self._edges: dict[Side, int | None] = dict.fromkeys(Side)

    def write(self, halts: list[tuple[int, int]]) -> None:
        """Write all rows."""
        marks = iter([(step, price) for span in halts for step, price in zip(span, (-1, 1), strict=True)])
        mark = next(marks, None)
        for change in self._changes:
            while mark is not None and mark[0] <= change.step:
                self._row(RowType.HALT, self._clock.text(mark[0]), f"0,0,{mark[1]},-1")
                mark = next(marks, None)
            self._change(change)

    def _change(self, change: Change) -> None:
        edge = self._edges[change.side]
        buys = change.side == Side.BUY
        if edge is not None and (change.price < edge if buys else change.price > edge):
            self.out_of_view += 1
            return
        time = self._clock.text(change.step, change.place)
        price, direction = change.price * self._scale, 1 if buys else -1
        self._row(_TYPES[change.kind], time, f"{change.order},{change.size},{price},{direction}")

    def _row(self, kind: RowType, time: str, rest: str) -> None:
        self.kinds[kind] += 1
        self._messages.write(f"{time},{int(kind)},{rest}\n")
        sides = [self._side(side) for side in (Side.SELL, Side.BUY)]
        self._books.write(",".join(f"{ask},{bid}" for ask, bid in zip(*sides, strict=True)) + "\n")

    def _side(self, side: Side) -> Iterator[str]:
        """Return ``price,size`` of each level; note the worst price in view."""
        shown = list(islice(self._changes.book.levels(side), self._levels))
        self._edges[side] = shown[-1][0] if len(shown) == self._levels else None
        empty = EMPTY_PRICE if side == Side.SELL else -EMPTY_PRICE
        for price, lots in shown:
            if abs(price * self._scale) >= EMPTY_PRICE:
                raise RecordingError(
                    f"price {price} is {price * self._scale} in a LOBSTER file, which cannot be told from an"
                    " empty level; write prices as if a unit were worth less, with --price-unit 0.0001"
                )
            yield f"{price * self._scale},{lots}"
        yield from [f"{empty},0"] * (self._levels - len(shown))
