"""Keep what enters a market in append-only files, before it is acknowledged, and read it again.

A journal is a folder of segments, ``<first sequence>.journal``, and a segment is one frame after the other:

=========  ==========================================================================================
24 bytes   magic, length of the payload, sequence, CRC-32 of the payload, CRC-32 of the four before
payload    step, number of rows, lengths of texts and service; the rows (`ENTRY`), news and instruments
           as JSON, the service's bytes
4 to 11    zeros up to a multiple of 8 bytes, then an end mark
=========  ==========================================================================================

The process may die while a frame is written: the last one is then shorter than its header says, or sectors
of it are zero where a power cut kept the file's new length but not all that was in it. Such a torn tail was
never acknowledged, and is dropped. Anything else that does not fit its checksum was damaged later, and is an
error: also in the last frame, in which no sector is zero as it was written.
"""

from __future__ import annotations

import os
import struct
import threading
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from simlab.errors import SimlabError
from simlab.kernel.inbox import ENTRY, Text, texts_from_json, texts_to_json

__all__ = ["Journal", "JournalDamaged", "JournalError", "Record", "journal_folder", "read"]

_MAGIC = 0x314A4C53  # "SLJ1"
_TRAILERS = [bytes(-(length + 4) % 8) + b"\xffEND" for length in range(8)]
"""What stands behind a payload, by its length modulo 8."""
_HEADER = struct.Struct("<IIQI")
_SIZES = struct.Struct("<qIIII")
_CHECK = struct.Struct("<I")
_FIRST = _HEADER.size + _CHECK.size
_SECTOR_BYTES = 512
_MOST_BYTES = 1 << 28
"""The longest payload."""


def journal_folder(run_dir: Path) -> Path:
    """Return where a run keeps the journal of what entered it from outside."""
    return run_dir / "journal"


class JournalError(SimlabError):
    """Report a journal that cannot be written, or goes on where it should not."""


class JournalDamaged(JournalError):  # noqa: N818 -- it says what is the matter
    """Report a journal that does not say any more what was written: file, offset, and what to do."""


class Record(NamedTuple):
    """What one frame holds: what entered together, and the step that the market had reached."""

    step: int
    rows: NDArray[Any]
    """``(n,) ENTRY``; read-only when read."""
    texts: Sequence[Text] = ()
    """News and instruments, as the rows count them."""
    service: bytes = b""
    """What whoever keeps the journal adds; opaque."""
    sequence: int = -1
    """Number of the frame; given by `Journal.append`."""


class Journal:
    """Append frames to a folder, from one thread; `sync` may be called from another.

    Parameters
    ----------
    folder : Path
        Made if it does not exist. A torn tail in it is cut off.
    sync : {"always", "interval", "off"}
        Whether a frame is on disk when `append` returns, or when whoever appends next calls `sync` (it is
        `due` after `interval_ms`), or when the operating system likes. A frame survives the end of the
        process in any case.
    interval_ms : float
    start : int
        Number of the first frame in an empty folder, or the next one where more were lost than the folder
        shows: of a power cut a checkpoint may know more than the journal.
    segment_bytes : int
        A segment that is as long is followed by another.
    limit_bytes : int
        The oldest segments go when all together are longer, and a checkpoint has what they hold.

    Raises
    ------
    JournalDamaged, JournalError

    Example
    -------
    >>> import tempfile
    >>> import numpy as np
    >>> folder = Path(tempfile.mkdtemp())
    >>> journal = Journal(folder)
    >>> journal.append(Record(3, np.zeros(2, ENTRY), service=b"who"))
    0
    >>> journal.close()
    >>> [(it.sequence, it.step, len(it.rows), it.service) for it in read(folder)]
    [(0, 3, 2, b'who')]
    """

    def __init__(
        self,
        folder: Path,
        *,
        sync: Literal["always", "interval", "off"] = "interval",
        interval_ms: float = 50.0,
        start: int = 0,
        segment_bytes: int = 64 << 20,
        limit_bytes: int = 16 << 30,
    ) -> None:
        self._folder, self._mode, self._interval_s = folder, sync, interval_ms / 1000
        self._segment_bytes, self._limit_bytes = segment_bytes, limit_bytes
        self._lock = threading.Lock()
        self._unsynced_since: float | None = None
        self._broken: BaseException | None = None
        folder.mkdir(parents=True, exist_ok=True)
        self.next_sequence = start
        """The number of the next frame."""
        segments = _segments(folder)
        if segments:
            first, path = segments[-1]
            count, self._length = _whole_part(path, first)
            self.next_sequence = first + count
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
            os.ftruncate(self._file, self._length)
            os.fsync(self._file)
        if not segments or start > self.next_sequence:
            if segments:
                os.close(self._file)
            self.next_sequence = start
            self._open_segment()

    def _open_segment(self) -> None:
        path = self._folder / f"{self.next_sequence:020d}.journal"
        self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        self._length = 0
        _sync_folder(self._folder)

    def append(self, record: Record) -> int:
        """Write a record as one frame, in one call of the operating system; return its number.

        Raises
        ------
        JournalError
            When it cannot be written; nothing of it is in the journal then.
        """
        if self._broken is not None:
            self._refuse(self._broken)
        if self._length >= self._segment_bytes:
            self._next_segment()
        pieces, length = _frame(record, self.next_sequence)
        try:
            _write_all(self._file, pieces, length)
        except OSError as error:
            self._take_back(error)
        self._length += length
        self.next_sequence += 1
        if self._unsynced_since is None:
            self._unsynced_since = time.monotonic()
        if self._mode == "always":
            self.sync()
        return self.next_sequence - 1

    @property
    def due(self) -> float | None:
        """When `sync` is to be called next, `time.monotonic` seconds; None when it is not."""
        if self._mode != "interval" or self._unsynced_since is None:
            return None
        return self._unsynced_since + self._interval_s

    def sync(self) -> None:
        """Put all frames that were appended before the call on disk."""
        with self._lock:
            self._unsynced_since = None
            try:
                os.fdatasync(self._file)
            except OSError as error:  # what was not written may be lost, and later calls do not tell
                self._broken = error
                self._refuse(error)

    def rotate(self, checkpoint_sequence: int) -> None:
        """Begin a new segment, after a checkpoint that holds every frame up to this number.

        Older segments stay, so that the session can be replayed from its beginning, unless all together are
        longer than the limit.
        """
        self._next_segment()
        segments = _segments(self._folder)
        sizes = [path.stat().st_size for _, path in segments]
        for i, (_, path) in enumerate(segments[:-1]):
            if sum(sizes[i:]) <= self._limit_bytes or segments[i + 1][0] > checkpoint_sequence + 1:
                break
            path.unlink()

    def _next_segment(self) -> None:
        if not self._length:
            return
        self.sync()
        with self._lock:
            os.close(self._file)
            self._open_segment()

    def close(self) -> None:
        """Put everything on disk and end."""
        if self._broken is None:
            self.sync()
            self._broken = ValueError("it is closed")
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1

    def _take_back(self, error: OSError) -> NoReturn:
        """Remove what was written of a frame, and say why there is no more."""
        try:
            os.ftruncate(self._file, self._length)
        except OSError:
            self._broken = error
        self._refuse(error)

    def _refuse(self, error: BaseException) -> NoReturn:
        raise JournalError(
            f"cannot write to the journal {self._folder}: {error}; what was acknowledged is in it; remove the"
            " cause (a full or broken disk) and start again"
        ) from error


def read(folder: Path, after: int = -1) -> Iterator[Record]:
    """Read the records of all frames whose number is greater than `after`, in order; a torn tail is dropped.

    A million frames of one row take some seconds, a thousand of a thousand rows some tenths.

    Raises
    ------
    JournalDamaged
        When a file is damaged, or frames are missing.
    """
    segments = _segments(folder)
    if not segments:
        return
    ends = [*(first for first, _ in segments[1:]), None]
    expected = after + 1
    for (first, path), end in zip(segments, ends, strict=True):
        if end is not None and end <= expected:
            continue
        if first > expected:
            _missing(path, expected, first)
        data = path.read_bytes()
        sequence = first
        for at, length in _frames(data, path, first, is_last=end is None):
            if sequence >= expected:
                yield _record(data, at, sequence, length)
            sequence += 1
        if end is not None and sequence != end:
            _missing(path, sequence, end)
        expected = max(expected, sequence)


def _missing(path: Path, expected: int, found: int) -> NoReturn:
    raise JournalDamaged(
        f"journal {path.parent}: frames {expected} to {found - 1} are missing, before or at the end of"
        f" {path.name}; put the segments that hold them back, or go on from a later checkpoint"
    )


def _segments(folder: Path) -> list[tuple[int, Path]]:
    """Return (number of the first frame, file) of all segments, in order."""
    return sorted((int(it.stem), it) for it in folder.glob("*.journal") if it.stem.isdecimal())


def _frame(record: Record, sequence: int) -> tuple[list[Any], int]:
    """Return the pieces of a frame, and its length."""
    rows = record.rows
    if rows.dtype != ENTRY or rows.ndim != 1:
        raise JournalError(f"rows must be (n,) ENTRY, not {rows.shape} of {rows.dtype}")
    texts = texts_to_json(record.texts).encode() if record.texts else b""
    sizes = _SIZES.pack(record.step, len(rows), len(texts), len(record.service), 0)
    content: list[Any] = [sizes, np.ascontiguousarray(rows).view(np.uint8).data, texts, record.service]
    length = len(sizes) + rows.nbytes + len(texts) + len(record.service)
    if length > _MOST_BYTES:
        raise JournalError(f"a record of {length} bytes is too long for one frame of {_MOST_BYTES}; split it")
    check = 0
    for piece in content:
        check = crc32(piece, check)
    header = _HEADER.pack(_MAGIC, length, sequence, check)
    trailer = _TRAILERS[length % 8]
    return [header, _CHECK.pack(crc32(header)), *content, trailer], _FIRST + length + len(trailer)


def _frame_bytes(length: int) -> int:
    return _FIRST + length + len(_TRAILERS[length % 8])


def _write_all(file: int, pieces: list[Any], length: int) -> None:
    written = os.writev(file, pieces)
    if written < length:  # a signal, or a disk that is nearly full
        rest = memoryview(b"".join(pieces))
        while written < length:
            written += os.write(file, rest[written:])


def _record(data: bytes, at: int, sequence: int, length: int) -> Record:
    step, count, texts, service, _ = _SIZES.unpack_from(data, at + _FIRST)
    start = at + _FIRST + _SIZES.size
    rows = np.frombuffer(data, ENTRY, count, start)
    start += rows.nbytes
    given = texts_from_json(data[start : start + texts]) if texts else ()
    start += texts
    return Record(step, rows, given, data[start : start + service], sequence)


def _frames(data: bytes, path: Path, first: int, *, is_last: bool) -> Iterator[tuple[int, int]]:
    """Iterate over (offset, length of the payload) of the whole frames of a segment."""
    view, at, sequence, size = memoryview(data), 0, first, len(data)
    while at < size:
        length = _length_at(view, at, sequence)
        if length is None:
            if not (is_last and _is_torn(data, at)):
                raise JournalDamaged(
                    f"journal {path}: frame {sequence}, at offset {at}, is not what was written; restore the"
                    f" file from a copy, or give up what follows with `truncate -s {at}` and by removing"
                    " later segments"
                )
            return
        yield at, length
        at += _frame_bytes(length)
        sequence += 1


def _length_at(view: memoryview, at: int, sequence: int) -> int | None:
    """Return the length of the payload of the frame at an offset; None when it is not whole."""
    if at + _FIRST > len(view):
        return None
    magic, length, found, check = _HEADER.unpack_from(view, at)
    start = at + _FIRST
    if _CHECK.unpack_from(view, start - _CHECK.size)[0] != crc32(view[at : start - _CHECK.size]):
        return None
    end = at + _frame_bytes(length)
    whole = magic == _MAGIC and found == sequence and end <= len(view)
    payload_end = start + length
    if whole and crc32(view[start:payload_end]) == check and view[payload_end:end] == _TRAILERS[length % 8]:
        return int(length)
    return None


def _is_torn(data: bytes, at: int) -> bool:
    """Return whether a frame that is not whole is one whose writing was cut short."""
    if at + _FIRST > len(data):
        return True
    magic, length, *_ = _HEADER.unpack_from(data, at)
    header = data[at : at + _HEADER.size]
    if magic == _MAGIC and _CHECK.unpack_from(data, at + _HEADER.size)[0] == crc32(header):
        end = at + _frame_bytes(length)
        return end > len(data) or (not any(data[end:]) and _has_empty_sector(data[:end], at))
    mark = _MAGIC.to_bytes(4, "little")
    return mark not in data[at + 1 :] and _has_empty_sector(data, at)


def _has_empty_sector(data: bytes, at: int) -> bool:
    """Return whether all that some sector of the disk holds from an offset on is zero."""
    following = range(at - at % _SECTOR_BYTES + _SECTOR_BYTES, len(data), _SECTOR_BYTES)
    return any(not any(data[start:stop]) for start, stop in pairwise([at, *following, len(data)]))


def _whole_part(path: Path, first: int) -> tuple[int, int]:
    """Return how many whole frames a last segment has, and where they end."""
    data, count, end = path.read_bytes(), 0, 0
    for at, length in _frames(data, path, first, is_last=True):
        count, end = count + 1, at + _frame_bytes(length)
    return count, end


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
