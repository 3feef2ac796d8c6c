"""DBN files written with the format's own library are read back by event."""

from __future__ import annotations

from pathlib import Path

import pytest

from simlab.engine.reference import ReferenceOrderBook
from simlab.errors import RecordingError
from simlab.importing import compare_replay, import_databento, read_messages

dbn = pytest.importorskip("databento_dbn")

LAST = 128
HUGE = 2**63
"""An order id that does not fit into a signed word."""

AUCTION = [
    ("A", "B", 101, 4, HUGE + 1, LAST),
    ("A", "A", 100, 3, HUGE + 2, LAST),
    ("T", "N", 100, 3, 0, 0),
    ("F", "N", 100, 3, HUGE + 1, 0),
    ("F", "N", 100, 3, HUGE + 2, 0),
    ("M", "B", 101, 1, HUGE + 1, 0),
    ("C", "A", 100, 3, HUGE + 2, LAST),
    ("A", "B", 101, 2, HUGE + 3, LAST),
    ("T", "A", 101, 2, 0, 0),
    ("F", "B", 101, 1, HUGE + 1, 0),
    ("F", "B", 101, 1, HUGE + 3, 0),
    ("C", "B", 101, 1, HUGE + 1, 0),
    ("M", "B", 101, 1, HUGE + 3, LAST),
]


def _message(time_ns: int, instrument: int, row: tuple[str, str, int, int, int, int]) -> bytes:
    action, side, price, size, order_id, flags = row
    message = dbn.MBOMsg(
        publisher_id=1,
        instrument_id=instrument,
        ts_event=time_ns,
        order_id=order_id,
        price=price * 10**9,
        size=size,
        action=dbn.Action(action),
        side=dbn.Side(side),
        ts_recv=time_ns,
        flags=flags,
    )
    return bytes(message)


def _file(folder: Path, instruments: tuple[int, ...] = (7,), rows: int = len(AUCTION)) -> Path:
    metadata = dbn.Metadata(
        dataset="GLBX.MDP3",
        start=0,
        stype_in=dbn.SType.RAW_SYMBOL,
        stype_out=dbn.SType.INSTRUMENT_ID,
        schema=dbn.Schema.MBO,
        symbols=[],
        partial=[],
        not_found=[],
        mappings=[],
    )
    messages = [_message(t, i, row) for t, row in enumerate(AUCTION[:rows]) for i in instruments]
    path = folder / "day.dbn"
    path.write_bytes(metadata.encode() + b"".join(messages))
    return path


def test_the_table_starts_after_the_auction_with_ids_that_fit(tmp_path: Path) -> None:
    out = tmp_path / "day.parquet"
    steps: list[tuple[int, int]] = []
    summary = import_databento([_file(tmp_path)], out, progress=lambda *done: steps.append(done))
    messages, event_index, _ = read_messages(out)
    assert messages["order_id"].tolist()[:2] == [1, 2]
    assert messages["quantity"].tolist() == [1, 2, 2]
    assert event_index.tolist() == [2, 3, 4]
    assert (summary["order_ids"], summary["loaded_orders"], summary["price_unit"]) == ("renumbered", 1, 1.0)
    assert steps[-1] == (len(AUCTION), len(AUCTION))
    report = compare_replay(out, ReferenceOrderBook())
    assert (report["fills_equal"], report["quotes_equal"]) == (2, 3)


def test_one_of_several_instruments_must_be_named(tmp_path: Path) -> None:
    path = _file(tmp_path, (7, 8))
    with pytest.raises(RecordingError, match="among them 7 and 8; name one with instrument_id"):
        import_databento([path], tmp_path / "out.parquet")
    assert import_databento([path], tmp_path / "out.parquet", instrument_id=8)["rows"] == 3


def test_a_file_that_ends_in_an_auction_has_nothing_to_replay(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"day\.dbn is crossed at the end"):
        import_databento([_file(tmp_path, rows=2)], tmp_path / "out.parquet")
