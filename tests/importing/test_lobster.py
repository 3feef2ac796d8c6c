"""LOBSTER text becomes messages that reproduce its executions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simlab.core.types import MessageKind, Side, TimeInForce
from simlab.engine.reference import ReferenceOrderBook
from simlab.errors import RecordingError
from simlab.importing import compare_replay, import_lobster, read_messages, read_truth

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
    book_csv = _write(tmp_path, BOOK.replace("5859100,18", "5859000,18"), "orderbook.csv")
    import_lobster(_write(tmp_path, MORNING), out, orderbook_csv=book_csv)
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
    assert (summary["resting_before"], summary["seeded_orders"]) == (1, 1)
    assert summary["price_range"] == (58531, 58592)
    assert steps[-1] == (13, 13)


def test_orders_from_before_can_be_dropped(tmp_path: Path) -> None:
    out = tmp_path / "flow.parquet"
    summary = import_lobster(_write(tmp_path, MORNING), out, resting="drop")
    messages, _, _ = read_messages(out)
    assert 15000001 not in messages["order_id"]
    assert summary["skipped"]["row of an order that rested before the file (resting: drop)"] == 2
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
        ("34200.1,1,1,5,10000,1\n34200.2,4,1,6,10000,1\n", ["line 2", "size 6", "5 left", "type 4"]),
        ("34200.1,1,1,5,10000,1\n34200.2,2,1,5,10000,1\n", ["line 2", "leave some", "type 2"]),
        ("34200.1,1,1,5,10000,1\n34200.2,3,1,4,10000,1\n", ["line 2", "all of it", "type 3"]),
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
