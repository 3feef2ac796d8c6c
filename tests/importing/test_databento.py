"""CME Globex order flow replays with the venue's own fills and best prices."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from simlab.engine.reference import ReferenceOrderBook
from simlab.errors import RecordingError
from simlab.importing import compare_replay, import_databento, read_truth

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "es_mbo"
FILES = [DATA / f"esh4-glbx-mdp3-202312{day}.mbo.dbn.zst" for day in (24, 25)]

needs_data = pytest.mark.skipif(not DATA.is_dir(), reason=f"recorded CME order flow is not at {DATA}")


Imported = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Imported:
    pytest.importorskip("databento_dbn")
    out = tmp_path_factory.mktemp("es") / "day.parquet"
    return out, import_databento(FILES[1:], out)


@needs_data
def test_a_day_of_e_mini_futures_replays_in_full(day: Imported) -> None:
    out, summary = day
    assert summary["price_unit"] == 0.25
    assert summary["loaded_orders"] == 8834
    assert list(summary["skipped"]) == [
        "record before the end of the last auction, folded into the loaded book"
    ]
    report = compare_replay(out, ReferenceOrderBook())
    assert report["recorded_fills"] == 6229
    assert report["quotes"] == 46097
    assert report["fills_equal"] == report["recorded_fills"]
    assert report["quotes_equal"] == report["quotes"]
    assert report["refused"] == {}
    # in 58 events the feed lists one order after others that stood behind it: most are icebergs; in all of
    # them the orders' totals are equal
    assert report["events_with_fills"] - report["events_in_recorded_order"] == 58


@needs_data
def test_the_day_before_adds_nothing_that_the_snapshot_does_not_say(day: Imported, tmp_path: Path) -> None:
    import_databento(FILES, tmp_path / "both.parquet")
    one, both = read_truth(day[0]), read_truth(tmp_path / "both.parquet")
    columns = ["time_ns", "record", "order_id", "price", "quantity", "best_bid", "best_ask"]
    assert both.select(columns).equals(one.select(columns))


@needs_data
@pytest.mark.parametrize(("price_unit", "word"), [(0.5, "divide"), (0.0, "positive")])
def test_a_price_unit_that_cannot_be_is_refused(tmp_path: Path, price_unit: float, word: str) -> None:
    pytest.importorskip("databento_dbn")
    with pytest.raises(RecordingError, match=rf"{word}.*0\.25"):
        import_databento(FILES[1:], tmp_path / "es.parquet", price_unit=price_unit)


def test_a_file_that_is_not_dbn_is_named(tmp_path: Path) -> None:
    pytest.importorskip("databento_dbn")
    path = tmp_path / "prices.dbn"
    path.write_text("time,price\n" * 10)
    with pytest.raises(RecordingError, match=r"prices\.dbn is not a DBN file"):
        import_databento([path], tmp_path / "out.parquet")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    pytest.importorskip("databento_dbn")
    with pytest.raises(RecordingError, match=r"no file .*absent\.dbn"):
        import_databento([tmp_path / "absent.dbn"], tmp_path / "out.parquet")


def test_a_missing_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "databento_dbn", None)
    with pytest.raises(RecordingError, match=r"simlab\[databento\]"):
        import_databento([tmp_path / "day.dbn"], tmp_path / "out.parquet")
