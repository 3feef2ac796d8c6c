"""The recorder's thread: take events and rows from the queue and write them as parts."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pyarrow as pa

from simlab.recording.columns import EventColumns
from simlab.recording.manifest import write_reached
from simlab.recording.parts import ROW_GROUP_ROWS, PartWriter
from simlab.recording.queue import RecordQueue
from simlab.recording.schema import TABLES

__all__ = ["Recorder"]

_GATHERED_BYTES = 32 << 20
_MOST_PIECES = 256


class Recorder:
    """Consume a `RecordQueue` in a thread until it is closed or something fails.

    Parameters
    ----------
    folder : Path
        The run folder.
    queue : RecordQueue
    rows_per_part : int
        Rows after which a part is finished.
    seconds_per_part : float
        Seconds after which everything gathered becomes a part.

    Attributes
    ----------
    completed : bool
        Whether all that was handed over is on disk.
    error : BaseException or None
        Why the thread stopped before.
    reached : int or None
        The latest step that was committed and is on disk.
    """

    def __init__(
        self, folder: Path, queue: RecordQueue, *, rows_per_part: int, seconds_per_part: float
    ) -> None:
        self.completed = False
        self.error: BaseException | None = None
        self.reached: int | None = None
        self._folder = folder
        self._queue = queue
        self._seconds_per_part = min(seconds_per_part, threading.TIMEOUT_MAX)
        self._group_rows = min(ROW_GROUP_ROWS, rows_per_part)
        self._parts = parts = {
            name: PartWriter(folder / name, table, rows_per_part) for name, table in TABLES.items()
        }
        self._gathered = {name: _Gathered() for name in TABLES}
        # the sink must not refer to self: a cycle would keep the buffers alive long after the run
        self._events = EventColumns(self._group_rows, lambda table, rows: parts[table].write(rows))
        # a daemon: a writer that nobody finished must not keep the process alive
        self._thread = threading.Thread(target=self._run, name=f"recorder of {folder.name}", daemon=True)

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def join(self) -> None:
        """Wait for the end of the work; the queue must be closed."""
        self._thread.join()

    def counts(self) -> dict[str, int]:
        """Return the number of rows in finished parts of each table."""
        return {name: part.rows_published for name, part in self._parts.items()}

    def _run(self) -> None:
        try:
            self._record()
        finally:
            # whatever went wrong, the caller must not wait for this thread
            self._queue.abort()

    def _record(self) -> None:
        try:
            self._consume()
            self.completed = True
        except (OSError, MemoryError, ValueError, TypeError, IndexError, pa.ArrowException) as error:
            self.error = error
        finally:
            for part in self._parts.values():
                part.discard()

    def _consume(self) -> None:
        deadline = time.monotonic() + self._seconds_per_part
        while (work := self._queue.take(max(0.0, deadline - time.monotonic()))) is not None:
            if work.events is not None:
                self._events.add(work.events)
                self._queue.release()
            if work.rows is not None:
                self._gather(*work.rows)
            if work.flush or work.commit is not None or time.monotonic() >= deadline:
                self._publish()
                deadline = time.monotonic() + self._seconds_per_part
            if work.commit is not None:
                write_reached(self._folder, work.commit.step)
                self.reached = work.commit.step
                self._queue.committed(work.commit.number)
            if work.flush:
                self._queue.flushed()
        self._publish()

    def _gather(self, table: str, rows: pa.Table) -> None:
        gathered = self._gathered[table]
        gathered.add(rows)
        if gathered.rows >= self._group_rows or gathered.bytes >= _GATHERED_BYTES:
            self._write_gathered(table)

    def _write_gathered(self, table: str) -> None:
        gathered = self._gathered[table]
        if gathered.rows:
            self._parts[table].write(gathered.take())

    def _publish(self) -> None:
        self._events.flush()
        for table, part in self._parts.items():
            self._write_gathered(table)
            part.publish()


class _Gathered:
    """Rows of one table that wait to be written."""

    def __init__(self) -> None:
        self._pieces: list[pa.Table] = []
        self.rows = 0
        self.bytes = 0

    def add(self, rows: pa.Table) -> None:
        self._pieces.append(rows)
        self.rows += rows.num_rows
        self.bytes += rows.nbytes
        if len(self._pieces) >= _MOST_PIECES:
            # a table of one row takes kilobytes; many together take what their values take
            self._pieces = [pa.concat_tables(self._pieces).combine_chunks()]

    def take(self) -> pa.Table:
        rows = pa.concat_tables(self._pieces)
        self._pieces, self.rows, self.bytes = [], 0, 0
        return rows
