"""Read market-by-order records from Databento's DBN files, an event of the exchange at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from simlab.core.types import Side
from simlab.errors import RecordingError
from simlab.importing.recorded_book import Record

__all__ = ["FIXED_PRICE_SCALE", "read_events"]

FIXED_PRICE_SCALE = 10**9
"""DBN prices count billionths of the currency."""

_UNDEFINED_PRICE = 2**63 - 1
_UNDEFINED_TIME = 2**64 - 1
_CHUNK_BYTES = 1 << 20
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_SHOWN = 10
_FLAG_LAST = 128
_FLAG_SNAPSHOT = 32
_SIDES = {"B": Side.BUY, "A": Side.SELL, "N": None}
_ACTIONS = {"A", "C", "M", "T", "F", "R", "N"}


def read_events(paths: Sequence[Path], instrument_id: int | None = None) -> Iterator[list[Record]]:
    """Yield the records of each event, in order; prices in billionths of the currency.

    A file that begins with a snapshot begins with a clear (action R). A record of action N changes nothing,
    but may end an event. Records of other instruments are left out when `instrument_id` is given.

    Raises
    ------
    RecordingError
        When the libraries are not installed; a file is missing, is not DBN of schema ``mbo``, or is cut off;
        a file begins before the one before it ends; or the files hold several instruments and none is named.
    """
    number = 0
    earlier: tuple[Path, int] | None = None
    for path in paths:
        event: list[Record] = []
        received_ns = 0
        for first, message in _of_instrument(path, instrument_id):
            at_ns = message.ts_event if message.ts_recv == _UNDEFINED_TIME else message.ts_recv
            if first:
                _check_follows(path, at_ns, earlier)
            received_ns = max(received_ns, at_ns)
            number += 1
            record = _record(path, number, message)
            if first and int(message.flags) & _FLAG_SNAPSHOT:
                event.append(record._replace(action="R", last=False))
            event.append(record)
            if record.last:
                yield event
                event = []
        if event:
            raise RecordingError(
                f"{path} ends within an event of the exchange, after record {event[-1].number} "
                f"({_time(event[-1].time_ns)}), which is not the last of its event: the file is cut off, "
                "or was asked for with a limit; download it again, by times"
            )
        earlier = (path, received_ns) if received_ns else earlier


def _check_follows(path: Path, begins_ns: int, earlier: tuple[Path, int] | None) -> None:
    if earlier is not None and begins_ns < earlier[1]:
        before, ended_ns = earlier
        raise RecordingError(
            f"{path} begins at {_time(begins_ns)}, before {before} ends ({_time(ended_ns)}); give each file "
            "once, in order of time"
        )


def _time(time_ns: int) -> str:
    seconds, rest = divmod(time_ns, 10**9)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{rest:09d} UTC"


def _of_instrument(path: Path, instrument_id: int | None) -> Iterator[tuple[bool, Any]]:
    """Yield (is the first, message) of one instrument."""
    only: int | None = None
    others: set[int] = set()
    for message in _decode(path):
        if not hasattr(message, "action") or not hasattr(message, "order_id"):
            raise RecordingError(f"{path} holds {type(message).__name__} records; give files of schema mbo")
        if instrument_id is not None and message.instrument_id != instrument_id:
            others.add(message.instrument_id)
            continue
        first = only is None
        if first:
            only = message.instrument_id
        elif message.instrument_id != only:
            raise RecordingError(
                f"{path} holds several instruments, among them {only} and {message.instrument_id}; name one "
                f"with --instrument-id {only} (instrument_id={only} in Python)"
            )
        yield first, message
    if only is None and others:
        raise RecordingError(
            f"{path} has no records of instrument {instrument_id}; it has those of "
            f"{', '.join(map(str, sorted(others)[:_SHOWN]))}{' and more' if len(others) > _SHOWN else ''}"
        )


def _decode(path: Path) -> Iterator[Any]:
    """Yield the records of a file; raise RecordingError where it is damaged or ends too early."""
    try:
        import databento_dbn
        import zstandard
    except ModuleNotFoundError as error:
        raise RecordingError(
            f"reading {path} needs {error.name}, which is not installed; "
            "install the extra: pip install 'simlab[databento]'"
        ) from error
    if not path.is_file():
        raise RecordingError(f"there is no file {path}")
    decoder = databento_dbn.DBNDecoder()
    count, last_ns = 0, None
    try:
        for chunk in _chunks(path, zstandard):
            decoder.write(chunk)
            for record in decoder.decode():
                if isinstance(record, databento_dbn.Metadata):
                    last_ns = last_ns or 0
                    continue
                count, last_ns = count + 1, record.ts_event
                yield record
    except (databento_dbn.DBNError, zstandard.ZstdError) as error:
        raise RecordingError(f"{path} is not a DBN file of schema mbo: {error}") from error
    except EOFError as error:
        raise _cut_off(path, count, last_ns, str(error)) from error
    if last_ns is None:
        raise _cut_off(path, 0, None, "its header is not whole")
    if left := len(decoder.buffer()):
        raise _cut_off(path, count, last_ns, f"{left} bytes of a record are left")


def _cut_off(path: Path, count: int, last_ns: int | None, why: str) -> RecordingError:
    where = f"after record {count} of the file ({_time(last_ns)})" if last_ns else "before its first record"
    return RecordingError(f"{path} is cut off: it ends {where}, {why}; download it again")


def _chunks(path: Path, zstandard: Any) -> Iterator[bytes]:
    """Yield a file's bytes, decompressed where it begins like zstd; EOFError when a frame is not whole."""
    with path.open("rb") as file:
        compressed = file.read(len(_ZSTD_MAGIC)) == _ZSTD_MAGIC
        file.seek(0)
        frame = None
        while chunk := file.read(_CHUNK_BYTES):
            if not compressed:
                yield chunk
                continue
            while chunk:
                frame = frame or zstandard.ZstdDecompressor().decompressobj()
                yield frame.decompress(chunk)
                chunk, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    if frame is not None:
        raise EOFError("within a compressed frame")


def _record(path: Path, number: int, message: Any) -> Record:
    action = str(message.action)
    side = _SIDES[str(message.side)]
    if action not in _ACTIONS:
        raise RecordingError(
            f"record {number} ({path}) has the action {action!r}, expected one of A C M T F R N"
        )
    if side is None and action in "ACM":
        raise RecordingError(
            f"record {number} ({path}) has the action {action} and no side; only trades and fills "
            "may have none"
        )
    if message.price == _UNDEFINED_PRICE and action not in "RN":
        raise RecordingError(f"record {number} ({path}) has the action {action} and no price")
    return Record(
        number,
        message.ts_event,
        action,
        side,
        message.price,
        message.size,
        message.order_id,
        bool(int(message.flags) & _FLAG_LAST),
    )
