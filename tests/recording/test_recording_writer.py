import json
import platform

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml
from recorded_events import one_of_each, quote_rows, realistic, write_names

from simlab.core.types import EVENT_DTYPE, EventKind
from simlab.errors import RecordingError
from simlab.recording import TABLES, RunWriter, open_run
from simlab.recording.columns import EventColumns


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run"


def size_of(folder):
    return sum(file.stat().st_size for file in folder.glob("*.parquet"))


@pytest.mark.parametrize("call_size", [1, 777, 100_000])
@pytest.mark.parametrize("buffer_events", [64, 65_536])
def test_every_event_is_written_once_and_in_order(path, call_size, buffer_events):
    events = realistic(20_000)
    with RunWriter(
        path, config={}, rows_per_part=5_000, buffer_events=buffer_events, queue_buffers=2
    ) as writer:
        for start in range(0, len(events), call_size):
            writer.events(events[start : start + call_size])
    fills = events[events["kind"] == EventKind.FILL]
    others = events[events["kind"] != EventKind.FILL]
    trades = open_run(path).trades(names=False)
    messages = open_run(path).messages(names=False)
    np.testing.assert_array_equal(trades["sequence"], fills["sequence"])
    np.testing.assert_array_equal(trades["taker_order_id"], fills["order_id"])
    np.testing.assert_array_equal(trades["taker_account"], fills["account"])
    np.testing.assert_array_equal(trades["maker_order_id"], fills["other_order_id"])
    np.testing.assert_array_equal(trades["maker_account"], fills["other_account"])
    for column in ("sequence", "step", "order_id", "account", "instrument", "price", "quantity"):
        np.testing.assert_array_equal(messages[column], others[column])
    np.testing.assert_array_equal(messages["side"].cat.codes, others["side"])


def test_caller_may_reuse_its_memory(path):
    events = realistic(1_000)
    buffer = np.empty(100, EVENT_DTYPE)
    with RunWriter(path, config={}) as writer:
        for start in range(0, 1_000, 100):
            buffer[:] = events[start : start + 100]
            writer.events(buffer)
        steps = np.arange(4)
        rows = quote_rows(steps)
        writer.rows("quotes", rows)
        steps[:] = -1
        rows["best_bid"].data[:] = -1
    run = open_run(path)
    written = pd.concat([run.trades(names=False), run.messages(names=False)])
    assert sorted(written["order_id"].fillna(written["taker_order_id"])) == sorted(events["order_id"])
    quotes = run.quotes(names=False)
    assert list(quotes["step"]) == [0, 1, 2, 3]
    assert quotes["best_bid"][2] == 101


def test_a_message_takes_at_most_16_bytes(path):
    events = realistic(400_000)
    with RunWriter(path, config={}) as writer:
        writer.events(events)
    fills = int((events["kind"] == EventKind.FILL).sum())
    assert size_of(path / "messages") / (len(events) - fills) < 10
    assert size_of(path / "trades") / fills < 16


def test_parts_have_the_size_asked_for(path):
    with RunWriter(path, config={}, rows_per_part=1_000) as writer:
        writer.events(realistic(10_000))
    files = sorted((path / "messages").iterdir())
    rows = [pq.read_metadata(file).num_rows for file in files]
    assert [file.name for file in files[:2]] == ["part-00000.parquet", "part-00001.parquet"]
    assert set(rows[:-1]) == {1_000}
    assert 0 < rows[-1] <= 1_000


def test_slow_runs_get_parts_by_the_clock(path):
    with RunWriter(path, config={}, seconds_per_part=0.0) as writer:
        for step in range(3):
            writer.rows("quotes", quote_rows(np.array([step])))
            writer.flush()
        assert open_run(path).tables()["quotes"] == 3
    assert len(list((path / "quotes").iterdir())) == 1, "small parts are written again with what follows"
    assert list(open_run(path).quotes(names=False)["step"]) == [0, 1, 2]


def test_a_slow_run_has_few_files_and_every_row_once(path):
    events = realistic(40_000)
    with RunWriter(path, config={}, rows_per_part=10_000) as writer:
        for start in range(0, len(events), 700):
            writer.events(events[start : start + 700])
            writer.flush()
    run = open_run(path)
    sequences = np.concatenate([run.messages(names=False)["sequence"], run.trades(names=False)["sequence"]])
    assert sorted(sequences) == list(range(40_000))
    assert len(list((path / "messages").iterdir())) == 4
    assert run.tables() == run.manifest["counts"]


def test_flush_puts_everything_on_disk(path):
    with RunWriter(path, config={}) as writer:
        writer.events(one_of_each())
        writer.rows("quotes", quote_rows(np.arange(5)))
        assert open_run(path).tables()["quotes"] == 0
        writer.flush()
        tables = open_run(path).tables()
        assert (tables["messages"], tables["trades"], tables["quotes"]) == (7, 1, 5)


def test_static_tables_are_on_disk_at_once(path):
    with RunWriter(path, config={}) as writer:
        write_names(writer)
        assert open_run(path).tables()["agents"] == 3


def test_files_are_readable_without_simlab(path):
    with RunWriter(path, config={}) as writer:
        writer.events(one_of_each())
        writer.rows("quotes", quote_rows(np.arange(4)))
    messages = [
        frame["event"].astype(str).to_list()
        for frame in (
            pd.read_parquet(path / "messages"),
            pl.read_parquet(path / "messages" / "*.parquet").to_pandas(),
            duckdb.sql(f"select * from '{path}/messages/*.parquet'").df(),
        )
    ]
    assert messages[0] == ["accepted", "accepted", "cancelled", "replaced", "rejected", "expired", "accepted"]
    assert messages[0] == messages[1] == messages[2]
    assert pl.read_parquet(path / "quotes" / "*.parquet")["best_bid"].to_list() == [99, None, 101, None]


def test_manifest_tells_what_was_run(path):
    config = {"steps": 10, "market": {"instruments": ["ABC"]}}
    facts = {"seed": np.int64(7), "plugins": {"strategies/mine.py": "abc"}}
    writer = RunWriter(path, config=config, manifest=facts)
    assert json.loads((path / "manifest.json").read_text())["status"] == "running"
    writer.events(one_of_each())
    writer.finish({"event_log_hash": "00ff", "steps": np.int64(4)})
    manifest = json.loads((path / "manifest.json").read_text())
    assert manifest["status"] == "finished"
    assert manifest["seed"] == 7
    assert manifest["plugins"] == facts["plugins"]
    assert manifest["event_log_hash"] == "00ff"
    assert manifest["versions"]["python"] == platform.python_version()
    assert manifest["versions"]["numpy"] == np.__version__
    assert manifest["counts"] == dict.fromkeys(TABLES, 0) | {"messages": 7, "trades": 1}
    assert manifest["started"] <= manifest["ended"]
    assert manifest["seconds"] >= 0
    assert yaml.safe_load((path / "config.yaml").read_text()) == config
    assert not [file for file in path.rglob("*") if file.name.startswith(".")]


def test_folder_that_is_not_empty_is_refused(path):
    path.mkdir()
    (path / "thesis.txt").write_text("precious")
    with pytest.raises(RecordingError, match="not empty; record into another folder"):
        RunWriter(path, config={})
    assert [file.name for file in path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    "arguments", [{"config": {"x": object()}}, {"config": {}, "manifest": {"x": object()}}]
)
def test_what_is_not_plain_data_is_refused(path, arguments):
    with pytest.raises(RecordingError, match="plain data"):
        RunWriter(path, **arguments)


def test_key_of_the_recorder_is_refused(path):
    with pytest.raises(RecordingError, match="'status' is written by the recorder"):
        RunWriter(path, config={}, manifest={"status": "fine"})


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("quote", {}, r"no table 'quote'; did you mean 'quotes'\?"),
        ("quotes", {"best_bit": [1]}, r"no column 'best_bit'; did you mean 'best_bid'\?"),
        ("quotes", {"volume": None}, "missing column.* volume"),
        ("quotes", {"volume": [1, 2, 3]}, "differ in length"),
        ("quotes", {"volume": [1.5, 2]}, "quotes.volume must be int64"),
        ("quotes", {"volume": [1, None]}, r"1 missing value.* give every row"),
        ("quotes", {"instrument": [2**31, 0]}, "quotes.instrument must be int32"),
    ],
)
def test_rows_that_do_not_fit_are_refused(path, table, change, message):
    columns = quote_rows(np.arange(2)) | change
    columns = {name: values for name, values in columns.items() if values is not None}
    with RunWriter(path, config={}) as writer, pytest.raises(RecordingError, match=message):
        writer.rows(table, columns)


@pytest.mark.parametrize("sides", [["bid", "ask"], [0, 1], np.array([0, 1], np.uint8)])
def test_categories_are_given_as_text_or_number(path, sides):
    columns = {"step": [1, 1], "instrument": [0, 0], "side": sides, "level": [0, 0]}
    columns |= {"price": [99, 101], "depth": [5, 6], "orders": [1, 2]}
    with RunWriter(path, config={}) as writer:
        writer.rows("depth", columns)
    assert list(open_run(path).depth(names=False)["side"]) == ["bid", "ask"]


@pytest.mark.parametrize("sides", [["bid", "offer"], [0, 2]])
def test_unknown_categories_are_refused(path, sides):
    columns = {"step": [1, 1], "instrument": [0, 0], "side": sides, "level": [0, 0]}
    columns |= {"price": [99, 101], "depth": [5, 6], "orders": [1, 2]}
    with (
        RunWriter(path, config={}) as writer,
        pytest.raises(RecordingError, match=r"depth\.side must be category"),
    ):
        writer.rows("depth", columns)


def test_events_of_another_dtype_are_refused(path):
    with RunWriter(path, config={}) as writer, pytest.raises(RecordingError, match="EVENT_DTYPE"):
        writer.events(np.zeros((3, 8), np.int64))


def test_nothing_can_be_recorded_after_the_end(path):
    writer = RunWriter(path, config={})
    writer.finish()
    calls = [lambda: writer.events(one_of_each()), writer.flush, writer.finish]
    for call in calls:
        with pytest.raises(RecordingError, match=r"has ended \(finished\)"):
            call()


def test_event_columns_hand_over_at_their_capacity():
    given = []
    columns = EventColumns(100, lambda table, rows: given.append((table, rows.num_rows)))
    columns.add(realistic(1_000))
    columns.flush()
    assert max(rows for _, rows in given) == 100
    assert sum(rows for _, rows in given) == 1_000


def test_rows_that_come_one_at_a_time_are_kept_in_order(path):
    with RunWriter(path, config={}) as writer:
        for step in range(1_000):
            writer.rows("quotes", quote_rows(np.array([step])))
    quotes = open_run(path).quotes(names=False)
    assert list(quotes["step"]) == list(range(1_000))
    assert quotes["best_bid"].isna().sum() == 500


@pytest.mark.parametrize("size", ["rows_per_part", "queue_buffers", "buffer_events"])
def test_sizes_below_one_are_refused(path, size):
    with pytest.raises(RecordingError, match=f"{size} is 0 and must be at least 1"):
        RunWriter(path, config={}, **{size: 0})
    assert not path.exists()


def test_a_branch_shares_the_parts_of_another_recording(path, tmp_path, monkeypatch):
    monkeypatch.setattr("simlab.recording.parts._SMALL_ROWS", 100)
    events = realistic(20_000)
    events = events[events["kind"] != EventKind.FILL]
    with RunWriter(path, config={}, rows_per_part=5_000, buffer_events=5_000) as writer:
        writer.events(events)
    before = pq.read_table(path / "messages")
    rows = 5_000 + 1_234
    other = tmp_path / "branch"
    with RunWriter.branch(other, path, {"messages": rows}, step=7, config={}) as branch:
        assert open_run(other).reached == 7
        branch.events(events[rows:])
    assert pq.read_table(other / "messages").equals(before)
    first, second = sorted((other / "messages").iterdir())[:2]
    assert first.samefile(path / "messages" / first.name)
    assert not second.samefile(path / "messages" / second.name)
    assert pq.read_table(path / "messages").equals(before)
    with pytest.raises(RecordingError, match=r"has \d+ rows and should have 99999: parts of it are missing"):
        RunWriter.branch(tmp_path / "more", path, {"messages": 99_999}, step=7, config={})
