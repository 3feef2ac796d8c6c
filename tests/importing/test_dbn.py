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


Rows = list[tuple[str, str, int, int, int, int]]


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


def _file(
    folder: Path,
    instruments: tuple[int, ...] = (7,),
    rows: Rows = AUCTION,
    *,
    name: str = "day.dbn",
    start_ns: int = 0,
) -> Path:
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
    messages = [_message(start_ns + t, i, row) for t, row in enumerate(rows) for i in instruments]
    path = folder / name
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
    with pytest.raises(RecordingError, match="among them 7 and 8; name one with --instrument-id 7"):
        import_databento([path], tmp_path / "out.parquet")
    assert import_databento([path], tmp_path / "out.parquet", instrument_id=8)["rows"] == 3


def test_a_file_that_ends_in_an_auction_has_nothing_to_replay(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"day\.dbn is crossed at the end"):
        import_databento([_file(tmp_path, rows=AUCTION[:2])], tmp_path / "out.parquet")


QUIET: Rows = [("A", "B" if i % 2 else "A", 99 + 2 * (1 - i % 2), 1, i + 1, LAST) for i in range(20)]
"""Twenty resting orders, each an event of its own."""


def test_the_agreement_of_a_replay_is_part_of_the_summary(tmp_path: Path) -> None:
    agreement = import_databento([_file(tmp_path)], tmp_path / "out.parquet")["agreement"]
    assert (agreement["recorded_volume"], agreement["replayed_volume"]) == (2, 2)
    assert (agreement["quotes"], agreement["quotes_equal"], agreement["refused"]) == (3, 3, {})


def test_a_record_without_an_action_is_skipped(tmp_path: Path) -> None:
    rows: Rows = [*QUIET[:3], ("N", "N", 0, 0, 0, LAST), *QUIET[3:]]
    summary = import_databento([_file(tmp_path, rows=rows)], tmp_path / "out.parquet")
    assert summary["skipped"] == {"record of action N (no action)": 1}
    assert summary["rows"] == 20


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
@pytest.mark.parametrize("compressed", [False, True])
def test_a_file_that_is_cut_off_says_where_it_ends(tmp_path: Path, share: float, compressed: bool) -> None:
    path = _file(tmp_path, rows=QUIET, start_ns=10**18)
    content = path.read_bytes()
    records = int((len(content) * share - (len(content) - 56 * len(QUIET))) // 56)
    if compressed:
        content = pytest.importorskip("zstandard").compress(content)
        path = tmp_path / "day.dbn.zst"
    path.write_bytes(content[: int(len(content) * share)])
    where = f"after record {records}" if records >= 0 and not compressed else "it ends"
    with pytest.raises(RecordingError, match=rf"{path.name} is cut off: .*{where}"):
        import_databento([path], tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_a_file_that_ends_within_an_event_is_cut_off(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"within an event .* after record 12 \(1970-01-01.*cut off"):
        import_databento([_file(tmp_path, rows=AUCTION[:-1])], tmp_path / "out.parquet")


@pytest.mark.parametrize("starts", [(0, 10), (100, 0), (0, 0)])
def test_files_that_overlap_or_come_in_reverse_are_refused(tmp_path: Path, starts: tuple[int, int]) -> None:
    moved = [[(*row[:4], row[4] + 100 * n, row[5]) for row in QUIET] for n in range(2)]
    files = [
        _file(tmp_path, rows=rows, name=f"{n}.dbn", start_ns=start)
        for n, (rows, start) in enumerate(zip(moved, starts, strict=True))
    ]
    with pytest.raises(RecordingError, match=r"1\.dbn begins at .* before .*0\.dbn ends .*in order of time"):
        import_databento(files, tmp_path / "out.parquet")


def test_files_that_follow_one_another_are_taken(tmp_path: Path) -> None:
    rest = [(*row[:4], row[4] + 100, row[5]) for row in QUIET]
    files = [_file(tmp_path, rows=QUIET), _file(tmp_path, rows=rest, name="next.dbn", start_ns=100)]
    assert import_databento(files, tmp_path / "out.parquet")["rows"] == 40


SPREAD: Rows = [("A", "B", -2, 1, 1, LAST), ("A", "A", 0, 1, 2, LAST), ("A", "B", -3, 1, 3, LAST)]


def test_prices_of_zero_and_below_are_imported_only_when_asked_for(tmp_path: Path) -> None:
    path, out = _file(tmp_path, rows=SPREAD), tmp_path / "out.parquet"
    with pytest.raises(RecordingError, match=r"record 1: price -2 of order 1 .*--negative-prices"):
        import_databento([path], out)
    assert not out.exists()
    summary = import_databento([path], out, negative_prices=True)
    assert summary["price_range"] == (-3, 0)
    assert summary["agreement"]["quotes_equal"] == 3


def test_an_instrument_that_is_not_in_the_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="no records of instrument 9; it has those of 7, 8"):
        import_databento([_file(tmp_path, (7, 8))], tmp_path / "out.parquet", instrument_id=9)
