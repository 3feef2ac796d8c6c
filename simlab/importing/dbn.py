"""Read market-by-order records from Databento's DBN files, an event of the exchange at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from simlab.core.types import Side
from simlab.errors import RecordingError
from simlab.importing.recorded_book import Record

__all__ = ["FIXED_PRICE_SCALE", "read_events"]

FIXED_PRICE_SCALE = 10**9
"""DBN prices count billionths of the currency."""

_UNDEFINED_PRICE = 2**63 - 1
_CHUNK_BYTES = 1 << 20
_FLAG_LAST = 128
_FLAG_SNAPSHOT = 32
_SIDES = {"B": Side.BUY, "A": Side.SELL, "N": None}
_ACTIONS = {"A", "C", "M", "T", "F", "R"}


def read_events(paths: Sequence[Path], instrument_id: int | None = None) -> Iterator[list[Record]]:
    """Yield the records of each event, in order; prices in billionths of the currency.

    A file that begins with a snapshot begins with a clear (action R). What the last file leaves open at
    its end counts as one event. Records of other instruments are left out when `instrument_id` is given.

    Raises
    ------
    RecordingError
        When the libraries are not installed, a file is missing or is not DBN of schema ``mbo``, or the
        files hold several instruments and none is named.
    """
    event: list[Record] = []
    number = 0
    for path in paths:
        for first, message in _of_instrument(path, instrument_id):
            number += 1
            record = _record(path, number, message)
            if first and int(message.flags) & _FLAG_SNAPSHOT:
                event.append(record._replace(action="R", last=False))
            event.append(record)
            if record.last:
                yield event
                event = []
    if event:
        yield event


def _of_instrument(path: Path, instrument_id: int | None) -> Iterator[tuple[bool, Any]]:
    """Yield (is the first, message) of one instrument."""
    only: int | None = None
    for message in _decode(path):
        if not hasattr(message, "action") or not hasattr(message, "order_id"):
            raise RecordingError(f"{path} holds {type(message).__name__} records; give files of schema mbo")
        if instrument_id is not None and message.instrument_id != instrument_id:
            continue
        first = only is None
        if first:
            only = message.instrument_id
        elif message.instrument_id != only:
            raise RecordingError(
                f"{path} holds several instruments, among them {only} and {message.instrument_id}; "
                "name one with instrument_id"
            )
        yield first, message


def _decode(path: Path) -> Iterator[Any]:
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
    with path.open("rb") as file:
        source = zstandard.ZstdDecompressor().stream_reader(file) if path.suffix == ".zst" else file
        try:
            while chunk := source.read(_CHUNK_BYTES):
                decoder.write(chunk)
                records = decoder.decode()
                yield from (r for r in records if not isinstance(r, databento_dbn.Metadata))
        except (databento_dbn.DBNError, zstandard.ZstdError) as error:
            raise RecordingError(f"{path} is not a DBN file of schema mbo: {error}") from error


def _record(path: Path, number: int, message: Any) -> Record:
    action = str(message.action)
    side = _SIDES[str(message.side)]
    if action not in _ACTIONS:
        raise RecordingError(
            f"record {number} ({path}) has the action {action!r}, expected one of A C M T F R"
        )
    if side is None and action in "ACM":
        raise RecordingError(
            f"record {number} ({path}) has the action {action} and no side; only trades and fills "
            "may have none"
        )
    if message.price == _UNDEFINED_PRICE and action != "R":
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
