"""Keep the results of a sweep in a folder, on a disk or in a bucket: a row a run, readable while it grows."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from simlab.analysis.libraries import library
from simlab.errors import RecordingError

__all__ = ["PLAN", "ROWS", "RUNS", "SWEEP", "Store"]

SWEEP, PLAN, ROWS, RUNS = "sweep.json", "plan.parquet", "runs.parquet", "runs"
"""What the sweep was, its plan, the folder of parts with a row a run, and the folder of recordings."""


class Store:
    """One folder, by path or by a URL that fsspec knows (``s3://bucket/folder``).

    Files appear whole or not at all: on a disk by renaming, in a bucket because an object is one write.

    Parameters
    ----------
    place : str or Path
    """

    def __init__(self, place: str | Path) -> None:
        text = os.fspath(place)
        self.remote = "://" in text
        if self.remote:
            self._files, self._root = library("fsspec.core", "cluster").url_to_fs(text)
        self.place = text.rstrip("/") if self.remote else str(Path(text))

    def __truediv__(self, name: str) -> str:
        return f"{self.place}/{name}"

    def write(self, name: str, data: bytes) -> None:
        """Write a file anew.

        Raises
        ------
        RecordingError
            When it cannot be written.
        """
        try:
            if self.remote:
                self._files.pipe_file(f"{self._root}/{name}", data)
                return
            target = Path(self.place, name)
            target.parent.mkdir(parents=True, exist_ok=True)
            beside = target.with_name(f".{target.name}.{os.getpid()}.part")
            beside.write_bytes(data)
            beside.replace(target)
        except Exception as error:  # a bucket's library raises its own
            raise RecordingError(f"{self / name} cannot be written: {error}") from error

    def read(self, name: str) -> bytes | None:
        """Return what a file holds, or None where there is none."""
        try:
            if self.remote:
                found: bytes = self._files.cat_file(f"{self._root}/{name}")
                return found
            return Path(self.place, name).read_bytes()
        except FileNotFoundError:
            return None

    def names(self, folder: str) -> list[str]:
        """Return the names of the files in a folder, in order."""
        if self.remote:
            self._files.invalidate_cache()
            inside = f"{self._root}/{folder}"
            found = self._files.ls(inside, detail=False) if self._files.exists(inside) else []
            return sorted(str(it).rsplit("/", 1)[-1] for it in found)
        where = Path(self.place, folder)
        names = [it.name for it in where.iterdir()] if where.is_dir() else []
        return sorted(name for name in names if not name.startswith("."))

    def remove(self, name: str) -> None:
        """Remove a file."""
        if self.remote:
            self._files.rm_file(f"{self._root}/{name}")
        else:
            Path(self.place, name).unlink()

    def bring(self, folder: Path, name: str) -> None:
        """Copy a folder from the disk into the store."""
        for file in sorted(it for it in folder.rglob("*") if it.is_file()):
            self.write(f"{name}/{file.relative_to(folder).as_posix()}", file.read_bytes())

    def write_json(self, name: str, data: Mapping[str, Any]) -> None:
        """Write plain data."""
        self.write(name, json.dumps(data, indent=2, default=str).encode())

    def write_frame(self, name: str, frame: pd.DataFrame) -> None:
        """Write a table as Parquet."""
        buffer = io.BytesIO()
        frame.to_parquet(buffer, index=False)
        self.write(name, buffer.getvalue())

    def read_frame(self, name: str) -> pd.DataFrame:
        """Return a table."""
        data = self.read(name)
        if data is None:
            raise RecordingError(f"{self / name} is not there")
        return pd.read_parquet(io.BytesIO(data))

    def rows(self) -> pd.DataFrame:
        """Return the rows of all runs so far, in the order of the plan; the latest row of a run counts."""
        parts = [self.read_frame(f"{ROWS}/{name}") for name in self.names(ROWS)]
        if not parts:
            return pd.DataFrame({"run": pd.Series(dtype="int64"), "status": pd.Series(dtype=object)})
        together = pd.concat(parts, ignore_index=True)
        return together.drop_duplicates("run", keep="last").sort_values("run", ignore_index=True)

    def add_rows(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Add the rows of runs that have ended, as a part of its own."""
        if rows:
            self.write_frame(f"{ROWS}/part-{len(self.names(ROWS)):06d}.parquet", pd.DataFrame(rows))

    def compact(self, frame: pd.DataFrame) -> None:
        """Put one file in the place of all parts, for a sweep that is done."""
        old = self.names(ROWS)
        self.write_frame(f"{ROWS}/whole.parquet", frame)
        for name in old:
            if name != "whole.parquet":
                self.remove(f"{ROWS}/{name}")
