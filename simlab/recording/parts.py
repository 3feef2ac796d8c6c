"""Write one table as a sequence of Parquet files that appear whole or not at all.

A part is written under a temporary name in the folder of its table, synced, and renamed: whoever kills
the process leaves every part that has its final name readable.

Encodings are chosen by measurement. Integers are stored as bit-packed differences, which on event streams
is both several times faster and smaller than Parquet's default dictionary, and readable everywhere. What
is random even then (ids, accounts, prices, quantities of the event log) is not compressed again: zstd
would save 4 % of the bytes for 12 % of the time. Categories carry no statistics: computing them costs half
as much as storing the column, and nobody prunes by them.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from simlab.errors import RecordingError
from simlab.recording.schema import Table

__all__ = ["ROW_GROUP_ROWS", "PartWriter", "cut_parts", "part_files", "share_parts"]

_SMALL_ROWS = 1 << 16
"""A part of fewer rows is written again, under its name, with what comes after it."""

ROW_GROUP_ROWS = 1 << 18
"""Rows a row group: small enough to skip by step, large enough to compress."""


def part_files(folder: Path) -> list[Path]:
    """Return the finished parts of a table's folder in the order they were written."""
    return sorted(folder.glob("part-*.parquet"))


class PartWriter:
    """Write rows of one table into parts of about `rows_per_part` rows.

    A part that is published small, because time was up, is written once more with the rows that follow it, so
    that a slow run is on disk every few seconds and yet has few files.

    Parameters
    ----------
    folder : Path
        The table's folder; made with the first part. Parts that it has are gone on with.
    table : Table
    rows_per_part : int
    """

    def __init__(self, folder: Path, table: Table, rows_per_part: int) -> None:
        sizes = [pq.read_metadata(file).num_rows for file in part_files(folder)]
        self._small_rows = min(_SMALL_ROWS, rows_per_part)
        self._rows = sizes.pop() if sizes and sizes[-1] < self._small_rows else 0
        self._parts = len(sizes)
        self._rows_before = sum(sizes)
        self.rows_published = self._rows_before + self._rows
        self._folder = folder
        self._table = table
        self._rows_per_part = rows_per_part
        self._file: pa.NativeFile | None = None
        self._parquet: pq.ParquetWriter | None = None

    def write(self, rows: pa.Table) -> None:
        """Append rows as one or more row groups; publish the part once it is large enough."""
        parquet = self._parquet or self._open()
        parquet.write_table(rows, row_group_size=ROW_GROUP_ROWS)
        self._rows += rows.num_rows
        if self._rows >= self._rows_per_part:
            self.publish()

    def _open(self) -> pq.ParquetWriter:
        table = self._table
        self._folder.mkdir(parents=True, exist_ok=True)
        self._file = pa.OSFile(str(self._temporary), "wb")
        self._parquet = _parquet_writer(self._file, table)
        if self._rows:  # what was published small, in this part's place
            self._parquet.write_table(pq.read_table(self._final, schema=table.schema, partitioning=None))
        return self._parquet

    @property
    def _final(self) -> Path:
        return self._folder / f"part-{self._parts:05d}.parquet"

    @property
    def _temporary(self) -> Path:
        return _temporary(self._final)

    def publish(self) -> None:
        """Give the open part, if there is one, its final name."""
        if self._parquet is None or self._file is None:
            return
        self._parquet.close()
        self._file.close()
        _sync(self._temporary)
        os.replace(self._temporary, self._final)
        self.rows_published = self._rows_before + self._rows
        if self._rows >= self._small_rows:
            self._rows_before += self._rows
            self._parts += 1
            self._rows = 0
        self._parquet = self._file = None

    def discard(self) -> None:
        """Throw the open part away, after a failure; what was published stays."""
        for opened in (self._parquet, self._file):
            with suppress(OSError):
                if opened is not None:
                    opened.close()
        with suppress(OSError):
            self._temporary.unlink(missing_ok=True)
        self._parquet = self._file = None


def cut_parts(folder: Path, table: Table, rows: int) -> None:
    """Remove all rows of a table but the first `rows`; whatever ends the process meanwhile, these are there.

    Raises
    ------
    RecordingError
        When there are fewer.
    """
    sizes = {file: pq.read_metadata(file).num_rows for file in part_files(folder)}
    total = sum(sizes.values())
    if rows > total:
        raise RecordingError(
            f"{folder} has {total} rows and should have {rows}: parts of it are missing; restore them, or run"
            " again from the beginning into another folder"
        )
    for file, count in reversed(sizes.items()):
        total -= count
        if total >= rows:
            file.unlink()
        elif total + count > rows:
            _shorten(file, table, rows - total, file)
    for file in folder.glob(".part-*.writing"):
        file.unlink()


def share_parts(source: Path, folder: Path, table: Table, rows: int) -> None:
    """Give another recording the first `rows` rows of a table, without a copy: its parts are links.

    A part is never written to once it has its name, so each of the two may go on, be cut, or be deleted. Only
    the part in which the rows end is copied, up to there, and all are where the disk has no links.

    Parameters
    ----------
    source, folder : Path
        The table's folders in the one recording and in the other.
    table : Table
    rows : int

    Raises
    ------
    RecordingError
        When there are fewer.
    """
    wanted = rows
    for file in part_files(source):
        if not wanted:
            return
        count = pq.read_metadata(file).num_rows
        folder.mkdir(parents=True, exist_ok=True)
        if count <= wanted:
            _link(file, folder / file.name)
        else:
            _shorten(file, table, wanted, folder / file.name)
        wanted -= min(count, wanted)
    if wanted:
        raise RecordingError(
            f"{source} has {rows - wanted} rows and should have {rows}: parts of it are missing; restore them"
        )


def _link(file: Path, other: Path) -> None:
    try:
        os.link(file, other)
    except OSError:  # another disk, or one without links
        shutil.copyfile(file, other)


def _shorten(file: Path, table: Table, rows: int, final: Path) -> None:
    """Write the first rows of a part under a name, which may be its own."""
    kept = pq.read_table(file, schema=table.schema, partitioning=None).slice(0, rows)
    temporary = _temporary(final)
    with pa.OSFile(str(temporary), "wb") as opened, _parquet_writer(opened, table) as parquet:
        parquet.write_table(kept, row_group_size=ROW_GROUP_ROWS)
    _sync(temporary)
    os.replace(temporary, final)


def _temporary(final: Path) -> Path:
    return final.with_name(f".{final.name}.writing")


def _parquet_writer(file: pa.NativeFile, table: Table) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        file,
        table.schema,
        compression={name: _compression(table, name) for name in table.names},
        use_dictionary=table.named("category", "string"),
        column_encoding=dict.fromkeys(table.named("int32", "int64"), "DELTA_BINARY_PACKED"),
        write_statistics=table.named("int32", "int64", "float64"),
    )


def _compression(table: Table, column: str) -> str:
    return "NONE" if column in table.incompressible else "ZSTD"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
