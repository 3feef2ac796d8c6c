"""LOBSTER text becomes messages that reproduce its executions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simlab.core.types import MessageKind, Side, TimeInForce
from simlab.engine.reference import ReferenceOrderBook
from simlab.errors import RecordingError
from simlab.importing import compare_replay, import_lobster, read_halts, read_messages, read_truth, truth_path
from simlab.importing.followed import ENTERED, GONE, MOVED, SHRUNK, UNNAMED
from simlab.importing.lobster_files import read_shown
from simlab.importing.table import unit_in

MORNING = """\
34200.004241176,1,16113575,18,5853300,1
34200.004260640,1,16113584,18,5853200,1
34200.025551909,1,16120456,18,5859100,-1
34200.025579546,1,16120480,18,5859200,-1
34200.201743000,4,16120456,18,5859100,-1
34200.201743000,5,0,7,5859100,-1
34200.201743000,4,16120480,5,5859200,-1
34200.300000001,2,16113575,8,5853300,1
34200.400000000,7,0,0,-1,-1
34200.500000000,4,16113575,10,5853300,1
34200.600000000,3,16113584,18,5853200,1
34200.700000000,4,15000001,40,5853100,1
34200.800000000,3,15000001,60,5853100,1
"""

BOOK = """\
9999999999,0,5853300,18
9999999999,0,5853300,18
5859100,18,5853300,18
5859100,18,5853300,18
5859200,18,5853300,18
5859200,18,5853300,18
5859200,13,5853300,18
5859200,13,5853300,10
5859200,13,5853300,10
5859200,13,5853200,18
5859200,13,5853100,100
5859200,13,5853100,60
5859200,13,-9999999999,0
"""


def _write(folder: Path, text: str, name: str = "message.csv") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_executions_of_one_time_and_direction_are_one_aggressor(tmp_path: Path) -> None:
    out = tmp_path / "flow.parquet"
    import_lobster(_write(tmp_path, MORNING), out)
    messages, _, time_ns = read_messages(out)
    taker = messages[time_ns == 34200_201743000]
    assert len(taker) == 1
    assert (taker["kind"][0], taker["side"][0]) == (MessageKind.LIMIT, Side.BUY)
    assert taker["time_in_force"][0] == TimeInForce.IOC
    assert (taker["price"][0], taker["quantity"][0]) == (58592, 23)
    assert np.count_nonzero(messages["order_id"] == taker["order_id"][0]) == 1


def test_a_partial_cancellation_is_a_replace_with_what_remains(tmp_path: Path) -> None:
    out = tmp_path / "flow.parquet"
    import_lobster(_write(tmp_path, MORNING), out)
    messages, _, time_ns = read_messages(out)
    replace = messages[time_ns == 34200_300000001][0]
    assert (replace["kind"], replace["order_id"]) == (MessageKind.REPLACE, 16113575)
    assert (replace["price"], replace["quantity"]) == (58533, 10)


def test_a_replay_gives_every_visible_fill_and_best_price(tmp_path: Path) -> None:
    out = tmp_path / "flow.parquet"
    book_csv = _write(tmp_path, BOOK, "orderbook.csv")
    import_lobster(_write(tmp_path, MORNING), out, orderbook_csv=book_csv)
    report = compare_replay(out, ReferenceOrderBook())
    assert report["recorded_fills"] == report["fills_equal"] == 4
    assert report["refused"] == {}
    assert report["quotes"] == report["quotes_equal"] == 10
    assert report["events_in_recorded_order"] == report["events_with_fills"] == 3


def test_a_wrong_truth_is_noticed(tmp_path: Path) -> None:
    out = tmp_path / "flow.parquet"
    book_csv = _write(tmp_path, BOOK, "orderbook.csv")
    import_lobster(_write(tmp_path, MORNING), out, orderbook_csv=book_csv)
    truth = read_truth(out)
    asks = [ask and ask - (ask == 58591) for ask in truth["best_ask"].to_pylist()]
    pq.write_table(truth.set_column(7, truth.schema.field(7), pa.array(asks)), truth_path(out))
    report = compare_replay(out, ReferenceOrderBook())
    assert report["quotes_equal"] == 8
    assert report["differing_events"] == [3, 4]


def test_the_summary_tells_what_is_left_out(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    summary = import_lobster(
        _write(tmp_path, MORNING), tmp_path / "flow.parquet", progress=lambda *done: steps.append(done)
    )
    assert summary["skipped"] == {
        "execution of a hidden order (type 5)": 1,
        "trading halt message (type 7)": 1,
    }
    assert summary["kinds"] == {"cancel": 2, "limit": 8, "replace": 1}
    assert summary["never_submitted"] == 1
    assert summary["adjustments"] == {ENTERED: 1}
    assert summary["hidden"] == {"executions": 1, "volume": 7}
    assert summary["halts"] == [(34200_400000000, None)]
    assert summary["price_range"] == (58531, 58592)
    assert steps[-1] == (13, 13)


def test_orders_from_before_can_be_dropped(tmp_path: Path) -> None:
    out = tmp_path / "flow.parquet"
    summary = import_lobster(_write(tmp_path, MORNING), out, resting="drop")
    messages, _, _ = read_messages(out)
    assert 15000001 not in messages["order_id"]
    assert summary["skipped"]["row of an order that the file never submits (resting: drop)"] == 2
    assert read_truth(out).num_rows == 3
    assert compare_replay(out, ReferenceOrderBook())["fill_agreement"] == 100.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("34200.1,1,1,5,100\n", ["line 1", "5 columns", "direction"]),
        ("34200.1,1,1,5,10000,1\n34200.2,1,x,5,10000,1\n", ["line 2", "order id", "'x'"]),
        ("34200.1,9,1,5,10000,1\n", ["line 1", "type 9", "1 to 7"]),
        ("34200.1,1,1,5,10000,2\n", ["line 1", "direction 2"]),
        ("34200.1,1,1,0,10000,1\n", ["line 1", "size 0"]),
        ("noon,1,1,5,10000,1\n", ["line 1", "'noon'", "seconds after midnight"]),
        ("34200.2,1,1,5,10000,1\n34200.1,1,2,5,10000,1\n", ["line 2", "34200.1", "before"]),
        ("34200.1,1,1,5,10050,1\n", ["line 1", "10050", "multiple", "0.01"]),
        ("34200.1,1,1,5,10000,1\n34200.2,4,1,6,10000,1\n", ["line 2", "size 6", "5 left", "exceed"]),
        ("34200.1,1,1,5,10000,1\n34200.2,2,1,5,10000,1\n", ["line 2", "leave some", "type 2"]),
        ("34200.1,1,1,5,10000,1\n34200.2,3,1,6,10000,1\n", ["line 2", "size 6", "5 left", "exceed"]),
        ("34200.1,1,1,5,10000,1\n34200.2,3,1,5,10000,1\n34200.3,3,1,5,10000,1\n", ["line 3", "nothing left"]),
        ("34200.1,1,1,5,0,1\n", ["line 1", "price 0", "--negative-prices"]),
        ("34200.1,1,1,5,-100,-1\n", ["line 1", "price -0.01", "price_band"]),
        ("34200.1,1,1,3000000000,10000,1\n", ["order 1", "3000000000 lots", "10 times as large"]),
        ("34200.1,1,1,5,10000,1\n34200.2,1,1,5,10000,1\n", ["line 2", "order 1", "already"]),
        ("", ["no rows"]),
    ],
)
def test_a_broken_row_is_named(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(RecordingError) as caught:
        import_lobster(_write(tmp_path, text), tmp_path / "flow.parquet")
    assert [word for word in words if word not in str(caught.value)] == []
    assert not (tmp_path / "flow.parquet").exists()


def test_a_book_file_of_another_length_is_refused(tmp_path: Path) -> None:
    book_csv = _write(tmp_path, BOOK.split("\n", 1)[1], "orderbook.csv")
    with pytest.raises(RecordingError, match="12 rows and the message file 13"):
        import_lobster(_write(tmp_path, MORNING), tmp_path / "flow.parquet", orderbook_csv=book_csv)


LATE = """\
34200.0,1,100,10,1000000,1
34200.1,1,101,10,1000200,-1
34200.2,3,101,10,1000200,-1
34900.0,1,499,10,1000600,-1
34900.1,3,500,10,1000500,1
"""
"""Order 500, never submitted, came into view after 499; at the start it would have traded with 101."""


def test_an_order_enters_when_its_id_says(tmp_path: Path) -> None:
    out = tmp_path / "flow.parquet"
    summary = import_lobster(_write(tmp_path, LATE), out)
    assert summary["agreement"]["replayed_fills"] == 0
    assert summary["agreement"]["refused"] == {}
    messages, event_index, _ = read_messages(out)
    entered = (messages["order_id"] == 500) & (messages["kind"] == MessageKind.LIMIT)
    assert event_index[entered].tolist() == [5]


def test_an_order_that_would_trade_when_its_id_says_waits(tmp_path: Path) -> None:
    text = LATE.replace("3,500,10,1000500", "3,50,10,1000500")
    out = tmp_path / "flow.parquet"
    summary = import_lobster(_write(tmp_path, text), out)
    assert summary["agreement"]["replayed_fills"] == 0
    messages, event_index, _ = read_messages(out)
    assert event_index[messages["order_id"] == 50].tolist() == [0, 2, 4, 5]  # makes way for 101, comes back


def test_what_shrank_out_of_view_is_no_damage(tmp_path: Path) -> None:
    text = "34200.0,1,100,200,1000000,1\n34201.0,3,100,100,1000000,1\n"
    summary = import_lobster(_write(tmp_path, text), tmp_path / "flow.parquet")
    assert summary["adjustments"] == {SHRUNK: 1}
    assert summary["kinds"] == {"cancel": 1, "limit": 1}


VIEW = """\
34200.1,1,10,5,1000000,1
34200.2,1,11,5,1000200,1
34200.3,3,11,5,1000200,1
34200.4,4,12,4,1000100,1
34200.5,3,12,2,1000100,1
34200.6,4,10,3,1000000,1
"""
"""One level of the book: 10 leaves the view when 11 comes; behind 11 comes 12, and of 10 some lots go."""

VIEW_BOOK = """\
1000500,9,1000000,8
1000500,9,1000200,5
1000500,9,1000100,6
1000500,9,1000100,2
1000500,9,1000000,4
1000500,9,1000000,1
"""


def test_the_book_follows_what_came_and_went_out_of_view(tmp_path: Path) -> None:
    out = tmp_path / "flow.parquet"
    book_csv = _write(tmp_path, VIEW_BOOK, "orderbook.csv")
    summary = import_lobster(_write(tmp_path, VIEW), out, orderbook_csv=book_csv)
    agreement = summary["agreement"]
    assert (agreement["book_rows"], agreement["book_rows_equal"]) == (6, 6)
    assert (agreement["recorded_volume"], agreement["replayed_volume"], agreement["refused"]) == (7, 7, {})
    # 3 lots that no row names stood before 10 at the start, and 9 on the other side; later 4 lots are gone
    assert summary["adjustments"] == {ENTERED: 1, UNNAMED: 2, GONE: 1, SHRUNK: 1}
    messages, event_index, _ = read_messages(out)
    assert event_index[messages["order_id"] == 12].tolist() == [3, 5]


def test_an_order_behind_others_trades_first_if_the_file_says_so(tmp_path: Path) -> None:
    text = "34200.1,1,10,5,1000000,1\n34200.2,1,11,5,1000000,1\n34200.3,4,11,5,1000000,1\n"
    text += "34200.4,2,10,1,1000000,1\n"
    summary = import_lobster(_write(tmp_path, text), tmp_path / "flow.parquet")
    assert summary["adjustments"] == {MOVED: 1}
    assert summary["agreement"]["fill_agreement"] == 100.0


def test_executions_of_one_order_at_one_time_are_two_aggressors(tmp_path: Path) -> None:
    text = "34200.1,1,10,5,1000000,1\n34200.3,4,10,2,1000000,1\n34200.3,4,10,2,1000000,1\n"
    summary = import_lobster(_write(tmp_path, text), tmp_path / "flow.parquet")
    assert (summary["agreement"]["recorded_fills"], summary["agreement"]["replayed_fills"]) == (2, 2)


def test_a_wrong_level_behind_the_best_is_noticed(tmp_path: Path) -> None:
    two_levels = "1000500,9,1000000,5,9999999999,0,990000,1\n"
    three_levels = two_levels.replace("990000,1", "990000,1,9999999999,0,-9999999999,0")
    text = "34200.1,1,10,5,1000000,1\n"
    import_lobster(_write(tmp_path, text), tmp_path / "flow.parquet")
    for book, equal in ((two_levels, 0), (three_levels, 0)):
        shown = list(read_shown(_write(tmp_path, book, "orderbook.csv"), 1, 100))
        report = compare_replay(tmp_path / "flow.parquet", ReferenceOrderBook(), shown)
        assert (report["book_rows"], report["book_rows_equal"]) == (1, equal)


def test_a_halt_lasts_until_trading_is_resumed(tmp_path: Path) -> None:
    text = "34200.1,1,10,5,1000000,1\n34201,7,0,0,-1,-1\n34202,7,0,0,-1,-1\n34203,7,0,0,0,-1\n"
    text += "34204,7,0,0,1,-1\n34210,7,0,0,-1,-1\n"
    import_lobster(_write(tmp_path, text), tmp_path / "flow.parquet")
    assert read_halts(tmp_path / "flow.parquet") == [(34201 * 10**9, 34204 * 10**9), (34210 * 10**9, None)]


def test_an_order_book_file_and_dropped_orders_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="leave out --book"):
        import_lobster(
            _write(tmp_path, VIEW),
            tmp_path / "flow.parquet",
            orderbook_csv=_write(tmp_path, VIEW_BOOK, "orderbook.csv"),
            resting="drop",
        )


def test_a_folder_that_cannot_be_written_is_named_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordingError, match=r"cannot write the message table .*file"):
        import_lobster(tmp_path / "absent.csv", tmp_path / "file" / "flow.parquet")


@pytest.mark.parametrize("unit", [float("nan"), float("inf")])
def test_a_price_unit_is_a_finite_number(unit: float) -> None:
    with pytest.raises(RecordingError, match=r"price unit .* is not a finite number"):
        unit_in(unit, 10_000)


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "packed.csv").write_bytes(bytes(range(128, 256)) * 10)
    with pytest.raises(RecordingError, match=r"packed\.csv is not a file of comma-separated text"):
        import_lobster(tmp_path / "packed.csv", tmp_path / "out.parquet")
