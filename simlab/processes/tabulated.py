"""Read a fundamental value from a CSV or Parquet file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from simlab.errors import ConfigError, did_you_mean
from simlab.processes.fundamental import MAX_VALUE

__all__ = ["TabulatedValues"]


class TabulatedValues:
    """Hold the values of a file: one a row a step, or from a ``step`` column each until the next.

    Parameters
    ----------
    path : Path
        ``.csv`` or ``.parquet``.
    column : str
        The column with the values, price units.
    where : str
        What the values are for, put before every error.

    Raises
    ------
    ConfigError
        When the file or the column is missing, a value is not a finite number, or the steps do not begin
        at 0 and increase.
    """

    def __init__(self, path: Path, column: str, where: str) -> None:
        self._path = Path(path)
        self._where = where
        table = self._read()
        self._values = self._column(table, column)
        self._changes = self._steps(table) if "step" in table.column_names else None

    def steps(self, start: int, steps: int) -> NDArray[np.float64]:
        """Return the values of steps [start, start + steps), ``(steps,) float64``.

        Raises
        ------
        ConfigError
            When the file, one value a step, is too short.
        """
        if self._changes is not None:
            row = np.searchsorted(self._changes, np.arange(start, start + steps), side="right") - 1
            return self._values[row]
        self.check_length(start + steps)
        return self._values[start : start + steps]

    def check_length(self, steps: int) -> None:
        """Raise ConfigError when the file, one value a step, is too short for a run of `steps` steps."""
        if self._changes is None and steps > len(self._values):
            raise self._error(
                f"has {len(self._values)} rows, one a step, and step {steps - 1} is asked for; "
                "shorten the run, give a longer file, or add a column 'step' to hold values until the next"
            )

    def _error(self, text: str) -> ConfigError:
        return ConfigError(f"{self._where}: {self._path} {text}")

    def _read(self) -> pa.Table:
        if not self._path.is_file():
            raise self._error("does not exist; give the path of a .csv or .parquet file")
        if self._path.suffix not in (".csv", ".parquet"):
            raise self._error(f"ends in {self._path.suffix!r}; give a .csv or .parquet file")
        try:
            if self._path.suffix == ".csv":
                return pa.csv.read_csv(self._path)
            return pa.parquet.read_table(self._path)
        except pa.ArrowInvalid as error:
            raise self._error(f"cannot be read: {error}") from error

    def _column(self, table: pa.Table, column: str) -> NDArray[np.float64]:
        if column not in table.column_names:
            hint = did_you_mean(column, table.column_names, otherwise="it has")
            raise self._error(f"has no column {column!r}{hint}")
        if not (pa.types.is_integer(table[column].type) or pa.types.is_floating(table[column].type)):
            raise self._error(
                f"has text in column {column!r} (type {table[column].type}); it must hold numbers"
            )
        values = table[column].to_numpy().astype(np.float64)
        if not values.size:
            raise self._error("has no rows")
        if not np.all(np.isfinite(values)):
            row = int(np.argmin(np.isfinite(values)))
            raise self._error(f"has no finite number in column {column!r}, row {row + 1}")
        if np.max(np.abs(values)) > MAX_VALUE:
            row = int(np.argmax(np.abs(values)))
            raise self._error(
                f"has {values[row]:g} in column {column!r}, row {row + 1}; no price lies beyond "
                f"{MAX_VALUE:.0f} (are the values in price units?)"
            )
        return values

    def _steps(self, table: pa.Table) -> NDArray[np.int64]:
        if not pa.types.is_integer(table["step"].type) or table["step"].null_count:
            raise self._error(
                f"has a column 'step' of type {table['step'].type}; it must hold integers, none empty"
            )
        changes = table["step"].to_numpy().astype(np.int64)
        if changes[0] != 0:
            raise self._error(f"begins at step {changes[0]}; the first row must be of step 0")
        if np.any(np.diff(changes) <= 0):
            row = int(np.argmax(np.diff(changes) <= 0)) + 2
            raise self._error(
                f"has step {changes[row - 1]} in row {row}, not after the row above; sort it by step"
            )
        return changes
