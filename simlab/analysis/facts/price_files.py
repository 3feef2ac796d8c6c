"""Read a file of prices for stylised facts, checked line by line."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis.facts.evidence import Evidence, from_prices
from simlab.errors import AnalysisError

__all__ = ["LEAST_ROWS", "from_csv"]

LEAST_ROWS = 30
"""Fewest prices that are a series; most facts need far more, and say so."""

_DATES = ("date", "timestamp", "datetime", "time", "day")
_CLOSE = "close"
_VOLUME = "volume"
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def from_csv(path: str | Path) -> Evidence:
    """Read a price series from a CSV file with a date column, a `close` column and perhaps a `volume` column.

    The names of columns are taken without regard to case; the date column is called date, timestamp,
    datetime, time or day, or there are two, date (or day) and time. Dates are ISO 8601 (``2024-01-31``,
    ``2024-01-31 09:30``), oldest first, none twice. A header of three rows, as yfinance writes it (names,
    ticker, and the name of the date column alone), is read for a single ticker. Other columns are
    not read. A return spans one row, whatever time lies between rows. Numbers have a decimal point and no
    thousands separators; a file with semicolons between columns, or with commas inside numbers, is refused,
    for it cannot be told what its commas mean.

    Parameters
    ----------
    path : path
        Comma-separated, with a header.

    Returns
    -------
    Evidence

    Raises
    ------
    AnalysisError
        When the file cannot be read, a line has more or fewer fields than the header, a column is missing or
        ambiguous, a date is missing, unreadable, repeated or out of order, a price is not a positive number,
        a volume is not a number of 0 or more, or there are fewer than 30 rows. The message names the file,
        the line and the remedy.

    Example
    -------
    >>> import tempfile, pathlib
    >>> file = pathlib.Path(tempfile.mkdtemp()) / "prices.csv"
    >>> days = pd.date_range("2024-01-01", periods=40).strftime("%Y-%m-%d")
    >>> pd.DataFrame({"Date": days, "Close": range(100, 140)}).to_csv(file, index=False)
    >>> len(from_csv(file).returns)
    39
    """
    path = Path(path)
    table = _read_table(path)
    columns = _Columns(path, [str(name) for name in table.columns])
    dates, close = columns.dates(), columns.one(_CLOSE)
    if close is None:
        raise columns.no_close()
    volume = columns.one(_VOLUME)
    if len(table) < LEAST_ROWS:
        raise AnalysisError(f"{path} has {len(table)} rows of prices; a series has at least {LEAST_ROWS}")
    _check_dates(path, _joined(table[dates]), " and ".join(dates))
    prices = _numbers(path, table[close], close, positive=True)
    traded = None if volume is None else _numbers(path, table[volume], volume, positive=False)
    return from_prices(prices, traded, name=path.name, interval="1 row")


def _read_table(path: Path) -> pd.DataFrame:
    """Return the table as text; its index holds the line of each row in the file."""
    try:
        lines = _lines(path)
    except FileNotFoundError as error:
        raise AnalysisError(f"there is no file {path}; give a CSV with a date and a close column") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, str(error).strip()) from error
    while lines and not any(lines[-1][1]):
        lines.pop()
    if not lines:
        raise _unreadable(path, "it is empty")
    header, first = _header(path, lines)
    for separator, name in _SEPARATORS.items():
        if len(header) == 1 and separator in header[0]:
            raise AnalysisError(
                f"{path}, line {lines[0][0]}: {name} separate the columns; save the file with commas between "
                "columns, and with points, not commas, in numbers (1234.5)"
            )
    rows = [(line, fields or [""] * len(header)) for line, fields in lines[first:]]
    for line, fields in rows:
        if len(fields) != len(header):
            raise _miscounted(path, line, fields, header)
    return pd.DataFrame(
        [fields for _, fields in rows], index=[line for line, _ in rows], columns=header, dtype=str
    )


def _header(path: Path, lines: list[tuple[int, list[str]]]) -> tuple[list[str], int]:
    """Return the names of the columns, and the number of rows that they take.

    That is one, but where pandas wrote columns with several levels there is a row a level, and then one with
    the name of the index alone.
    """
    top = lines[0][1]
    for levels, (_, fields) in enumerate(lines[1:3], 1):
        index = fields[0].strip().lower() if len(fields) == len(top) else None
        if index in (*_DATES, "" if levels > 1 else None) and len(top) > 1 and not any(fields[1:]):
            return _named_by_levels(path, [row for _, row in lines[:levels]], index or "date"), levels + 1
    return top, 1


def _named_by_levels(path: Path, levels: list[list[str]], index: str) -> list[str]:
    """Return the names of columns that several rows name: one says open or close, another of what."""
    known = [any(name.strip().lower() == _CLOSE for name in row) for row in levels]
    names = known.index(True) if True in known else 0
    of = {name.strip() for k, row in enumerate(levels) if k != names for name in row[1:]}
    if len(of) > 1:
        raise AnalysisError(
            f"{path} has prices of {len(of)}: {', '.join(sorted(of))}; facts are found in one, so save "
            "a file each"
        )
    return [index, *levels[names][1:]]


def _lines(path: Path) -> list[tuple[int, list[str]]]:
    """Return the fields of each row, and the line of the file on which it begins."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        found, first = [], 1
        for fields in reader:
            found.append((first, fields))
            first = reader.line_num + 1
    return found


def _unreadable(path: Path, why: str) -> AnalysisError:
    return AnalysisError(
        f"cannot read {path} as a CSV file: {why}; save it as comma-separated UTF-8 text with a header"
    )


def _miscounted(path: Path, line: int, fields: list[str], header: list[str]) -> AnalysisError:
    remedy = "give the line a value, or nothing between commas, for each column"
    if len(fields) > len(header):
        remedy = (
            "write numbers with a decimal point and no thousands separators (1234.5, not 1234,5 or 1,234.5), "
            "or name the further columns in the header"
        )
    count = f"{len(fields)} field{'s' * (len(fields) != 1)}"
    return _at(path, line, f"{count} ({','.join(fields)}), and the header has {len(header)}; {remedy}")


class _Columns:
    """The columns of a file, found by their names without regard to case."""

    def __init__(self, path: Path, names: list[str]) -> None:
        self._path = path
        self._names = names

    def dates(self) -> list[str]:
        """Return the name of the date column, or those of two that hold the date and the time of day."""
        found = {known: self._named(known) for known in _DATES if self._named(known)}
        if len(found) == 2 and "time" in found and ("date" in found or "day" in found):
            return [self._single(names, known) for known, names in sorted(found.items())]
        if not found:
            raise AnalysisError(
                f"{self._path} has no date column; it has {self._listed()}. Name the column date"
            )
        return [self._single([name for names in found.values() for name in names], "date")]

    def one(self, wanted: str) -> str | None:
        """Return the name of the column, or None when there is none."""
        found = self._named(wanted)
        return self._single(found, wanted) if found else None

    def no_close(self) -> AnalysisError:
        """Return what to say when there is no close column."""
        near = next((name for name in self._names if _CLOSE in name.lower() or "price" in name.lower()), None)
        remedy = "Name the column of prices close" if near is None else f"If {near!r} is meant, name it close"
        return AnalysisError(f"{self._path} has no close column; it has {self._listed()}. {remedy}")

    def _named(self, wanted: str) -> list[str]:
        return [name for name in self._names if name.strip().lower() == wanted]

    def _single(self, found: list[str], what: str) -> str:
        if len(found) > 1:
            raise AnalysisError(
                f"{self._path}: {' and '.join(map(repr, found))} could each be the {what} column; "
                "remove or rename all but one"
            )
        return found[0]

    def _listed(self) -> str:
        return ", ".join(self._names)


def _joined(columns: pd.DataFrame) -> pd.Series:
    """Return dates as texts; those of two columns with a space between, where both say something."""
    texts = [columns.iloc[:, place].str.strip() for place in range(columns.shape[1])]
    return texts[0] if len(texts) == 1 else (texts[0] + " " + texts[1]).str.strip()


def _check_dates(path: Path, texts: pd.Series, column: str) -> None:
    dates = pd.to_datetime(texts, format="ISO8601", errors="coerce", utc=True)
    unknown = np.flatnonzero(dates.isna())
    if len(unknown):
        row = unknown[0]
        text = texts.iloc[row]
        what = f"{column} is {text!r}, not an ISO date" if text else f"{column} is empty"
        remedy = "write dates as 2024-01-31" + (" and times as 09:30:00" if " and " in column else "")
        raise _at(path, texts.index[row], f"{what}; {remedy}")
    moments = dates.to_numpy("datetime64[ns]")
    wrong = np.flatnonzero(moments[1:] <= moments[:-1])
    if len(wrong):
        row = wrong[0] + 1
        line, text, before = texts.index[row], texts.iloc[row], texts.iloc[row - 1]
        if moments[row] == moments[row - 1]:
            raise _at(path, line, f"{column} {text!r} is there twice; keep one row a date")
        raise _at(path, line, f"{column} {text!r} comes after {before!r}; sort rows by date, oldest first")


def _numbers(path: Path, texts: pd.Series, column: str, *, positive: bool) -> NDArray[np.float64]:
    values = pd.to_numeric(texts.str.strip(), errors="coerce").to_numpy(float)
    allowed = values > 0 if positive else values >= 0
    wrong = np.flatnonzero(~(np.isfinite(values) & allowed))
    if len(wrong):
        row = wrong[0]
        text = texts.iloc[row].strip()
        rule = "a positive number" if positive else "a number of 0 or more"
        what = f"{column} is {text!r}" if text else f"{column} is empty"
        raise _at(path, texts.index[row], f"{what}, not {rule} such as 1234.5; correct the row or remove it")
    return values


def _at(path: Path, line: int, what: str) -> AnalysisError:
    return AnalysisError(f"{path}, line {line}: {what}")
