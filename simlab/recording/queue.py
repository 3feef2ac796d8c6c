"""Carry events and rows from the kernel to the recorder's thread in bounded memory.

Events travel in a fixed pool of buffers that is allocated once: a fresh array for every call would cost
the kernel ten times the copy itself in page faults.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlab.core.types import EVENT_DTYPE

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["ClosedError", "Commit", "RecordQueue", "Work"]


_EVENT_WORDS = EVENT_DTYPE.itemsize // 8
_TABLE_OVERHEAD_BYTES = 4096  # what an Arrow table of few rows takes beside its values


def _memory(rows: pa.Table) -> int:
    return rows.nbytes + _TABLE_OVERHEAD_BYTES


class ClosedError(Exception):
    """Say that the queue takes nothing more."""


class Commit(NamedTuple):
    """That everything of the steps before `step` has been handed over; `number` counts these from 1."""

    step: int
    number: int


class Work(NamedTuple):
    """What the recorder's thread is to do next: any of the three, in this order."""

    events: NDArray[np.void] | None = None
    """Events to write; to be given back with `RecordQueue.release`."""
    rows: tuple[str, pa.Table] | None = None
    """The name of a table and rows for it."""
    flush: bool = False
    """Whether to put on disk what is buffered."""
    commit: Commit | None = None
    """That everything it speaks of has now been given; to be put on disk, and then said to be there."""


class _Buffer:
    """A stretch of memory for events, filled from the front."""

    def __init__(self, capacity: int) -> None:
        self._words = np.empty((capacity, _EVENT_WORDS), np.int64)
        self.used = 0

    @property
    def room(self) -> int:
        return len(self._words) - self.used

    @property
    def events(self) -> NDArray[np.void]:
        return self._words[: self.used].view(EVENT_DTYPE).ravel()

    def append(self, words: NDArray[np.int64]) -> None:
        self._words[self.used : self.used + len(words)] = words
        self.used += len(words)


class RecordQueue:
    """Hold at most `buffers` buffers of `buffer_events` events and `row_bytes` bytes of rows.

    Producers wait while it is full and get `ClosedError` once it is closed or its consumer is gone, so a
    dead consumer cannot leave them waiting.

    Parameters
    ----------
    buffers : int, at least 2
    buffer_events : int
        Events that fit into a buffer.
    row_bytes : int
        Bytes of waiting rows above which `put_rows` waits; one larger table passes alone.
    """

    def __init__(self, buffers: int, buffer_events: int, row_bytes: int) -> None:
        self._free = [_Buffer(buffer_events) for _ in range(buffers)]
        self._filled: deque[_Buffer] = deque()
        self._in_work: _Buffer | None = None
        self._rows: deque[tuple[str, pa.Table]] = deque()
        self._row_bytes = 0
        self._row_bytes_limit = row_bytes
        self._put = self._taken = (0, 0)  # events and tables of rows
        self._marks: deque[tuple[tuple[int, int], Commit]] = deque()
        self._commits = self._commits_done = 0
        self._flushes_wanted = 0
        self._flushes_taken = 0
        self._flushes_done = 0
        self._closed = False
        self._consumer_gone = False
        self._changed = threading.Condition()

    def put_events(self, events: NDArray[np.void]) -> None:
        """Copy ``(n,) EVENT_DTYPE`` into the queue; waits while there is no room."""
        # plain words are copied as one stretch of memory, records field by field
        words = np.ascontiguousarray(events).view(np.int64).reshape(-1, _EVENT_WORDS)
        start = 0
        while start < len(words):
            with self._changed:
                buffer = self._buffer_with_room()
                stop = min(start + buffer.room, len(words))
                buffer.append(words[start:stop])
                self._put = (self._put[0] + stop - start, self._put[1])
                if not buffer.room:
                    self._changed.notify_all()
            start = stop

    def _buffer_with_room(self) -> _Buffer:
        self._changed.wait_for(lambda: self._closed or self._free or self._tail_has_room())
        self._check_open()
        if not self._tail_has_room():
            self._filled.append(self._free.pop())
        return self._filled[-1]

    def _tail_has_room(self) -> bool:
        return bool(self._filled) and self._filled[-1].room > 0

    def put_rows(self, table: str, rows: pa.Table) -> None:
        """Hand over rows, which nobody may change any more; waits while there is no room."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._fits(rows))
            self._check_open()
            self._rows.append((table, rows))
            self._put = (self._put[0], self._put[1] + 1)
            self._row_bytes += _memory(rows)
            self._changed.notify_all()

    def _fits(self, rows: pa.Table) -> bool:
        return not self._rows or self._row_bytes + _memory(rows) <= self._row_bytes_limit

    def flush(self) -> None:
        """Wait until everything handed over so far is on disk."""
        with self._changed:
            self._check_open()
            self._flushes_wanted += 1
            mine = self._flushes_wanted
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._consumer_gone or self._flushes_done >= mine)
            if self._flushes_done < mine:
                raise ClosedError

    def commit(self, step: int) -> int:
        """Say that everything of the steps before `step` has been handed over; return its number."""
        with self._changed:
            self._check_open()
            self._commits += 1
            self._marks.append((self._put, Commit(step, self._commits)))
            self._changed.notify_all()
            return self._commits

    def wait_for(self, number: int) -> bool:
        """Wait until what a commit spoke of is on disk; False when the consumer is gone before."""
        with self._changed:
            self._changed.wait_for(lambda: self._consumer_gone or self._commits_done >= number)
            return self._commits_done >= number

    def _check_open(self) -> None:
        if self._closed:
            raise ClosedError

    def close(self) -> None:
        """Take nothing more; the consumer still gets what is waiting."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abort(self) -> None:
        """Say, as the consumer, that nobody will take anything any more."""
        with self._changed:
            self._closed = self._consumer_gone = True
            self._changed.notify_all()

    def take(self, timeout_s: float) -> Work | None:
        """Return the next work, or None when the queue is closed and empty.

        A buffer is given when it is full; a flush, the end, or `timeout_s` without work give what there is.
        """
        with self._changed:
            timed_out = not self._changed.wait_for(self._has_work, timeout_s)
            self._flushes_taken = self._flushes_wanted
            flush = timed_out or self._flushes_done < self._flushes_taken
            whole = not (flush or self._closed or self._marks)
            events = None if whole and not self._has_full_block() else self._take_block()
            rows = self._take_rows()
            commit = self._take_marks(0 if events is None else len(events), rows is not None)
            if events is None and rows is None and commit is None and self._closed and not flush:
                return None
            return Work(events, rows, flush and not self._filled and not self._rows, commit)

    def _take_marks(self, events: int, rows: bool) -> Commit | None:
        """Count what is given now, and return the latest commit of which everything has been given."""
        self._taken = (self._taken[0] + events, self._taken[1] + rows)
        commit = None
        while self._marks and all(
            taken >= put for taken, put in zip(self._taken, self._marks[0][0], strict=True)
        ):
            commit = self._marks.popleft()[1]
        return commit

    def _has_work(self) -> bool:
        flush = self._flushes_done < self._flushes_wanted
        return bool(self._closed or flush or self._marks or self._rows or self._has_full_block())

    def _has_full_block(self) -> bool:
        return bool(self._filled) and self._filled[0].room == 0

    def _take_block(self) -> NDArray[np.void] | None:
        if not self._filled:
            return None
        self._in_work = self._filled.popleft()
        return self._in_work.events

    def _take_rows(self) -> tuple[str, pa.Table] | None:
        if not self._rows:
            return None
        table, rows = self._rows.popleft()
        self._row_bytes -= _memory(rows)
        self._changed.notify_all()
        return table, rows

    def release(self) -> None:
        """Give back the buffer whose events were taken last."""
        with self._changed:
            if self._in_work is not None:
                self._in_work.used = 0
                self._free.append(self._in_work)
                self._in_work = None
                self._changed.notify_all()

    def committed(self, number: int) -> None:
        """Say, as the consumer, that what a commit spoke of is on disk."""
        with self._changed:
            self._commits_done = number
            self._changed.notify_all()

    def flushed(self) -> None:
        """Say, as the consumer, that the flush taken last is done."""
        with self._changed:
            self._flushes_done = self._flushes_taken
            self._changed.notify_all()
