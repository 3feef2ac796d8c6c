import builtins

import numpy as np
import pandas as pd
import pytest
from recorded_events import ACCOUNTS, one_of_each, quote_rows, realistic, write_names

from simlab.errors import RecordingError
from simlab.recording import TABLES, RunWriter, open_run


@pytest.fixture
def run(tmp_path):
    with RunWriter(tmp_path / "runs" / "first", config={"steps": 4}, manifest={"seed": 7}) as writer:
        write_names(writer)
        writer.events(one_of_each())
        writer.rows("quotes", quote_rows(np.arange(6)))
        news = {"step": [1, 2, 3], "instrument": [0, -1, 1], "headline": ["up", "all", "down"]}
        news |= {
            "content": [""] * 3,
            "sentiment": [1.0, 0.0, -1.0],
            "impact": [5.0, 0, -5],
            "source": ["x"] * 3,
        }
        writer.rows("news", news)
        writer.finish({"event_log_hash": "00ff"})
    return open_run(tmp_path / "runs" / "first")


@pytest.fixture
def empty(tmp_path):
    RunWriter(tmp_path / "empty", config={}).finish()
    return open_run(tmp_path / "empty")


def test_messages_are_readable(run):
    messages = run.messages()
    assert list(messages.columns) == list(TABLES["messages"].names)
    assert list(messages["sequence"]) == [0, 1, 3, 4, 5, 6, 7]
    assert list(messages["side"]) == ["sell", "buy", "buy", "sell", "buy", "sell", "sell"]
    assert list(messages["time_in_force"]) == ["gtc", "ioc", "none", "gtc", "none", "none", "fok"]
    assert list(messages["reason"]) == ["none", "none", "ioc_remainder", "none", "funds", "none", "none"]
    assert list(messages["instrument"]) == ["ABC", "ABC", "ABC", "ABC", "XYZ", "ABC", "XYZ"]
    assert list(messages["account"].cat.categories) == list(ACCOUNTS)
    assert list(messages.index[messages["post_only"]]) == [0]
    assert list(messages.index[messages["priority_kept"]]) == [3]
    assert list(messages.index[messages["market"]]) == [6]
    assert messages["price"][4] == 2**40


def test_trades_name_both_sides(run):
    (trade,) = run.trades().to_dict("records")
    assert trade == {
        "sequence": 2,
        "step": 1,
        "instrument": "ABC",
        "price": 101,
        "quantity": 5,
        "aggressor_side": "buy",
        "taker_order_id": 2,
        "taker_account": "noise/0",
        "maker_order_id": 1,
        "maker_account": "maker/0",
    }


def test_columns_instrument_and_steps_are_pushed_down(run):
    messages = run.messages(columns=["order_id", "step"], instrument="ABC", steps=(1, 3))
    assert list(messages.columns) == ["order_id", "step"]
    assert list(messages["order_id"]) == [2, 1]
    assert list(run.messages(steps=(3, None))["step"]) == [3, 3]
    assert list(run.messages(steps=(None, 1))["step"]) == [0, 0]
    assert list(run.messages(instrument="XYZ")["order_id"]) == [3, 4]


def test_news_of_an_instrument_include_what_concerns_all(run):
    assert list(run.news(instrument="XYZ")["headline"]) == ["all", "down"]
    assert run.news()["instrument"].isna().tolist() == [False, True, False]
    assert list(run.news(names=False)["instrument"]) == [0, -1, 1]


def test_missing_quotes_are_nan(run):
    quotes = run.quotes()
    assert quotes["best_bid"].isna().tolist() == [False, True] * 3
    assert quotes["last_price"].isna().all()
    assert quotes["best_ask"].dtype == np.float64
    assert quotes["volume"].dtype == np.int64


@pytest.mark.parametrize("table", TABLES)
def test_empty_table_has_its_columns_and_dtypes(empty, table):
    frame = empty.frame(table)
    assert list(frame.columns) == list(TABLES[table].names)
    assert len(frame) == 0
    named = {"instrument", "account", "taker_account", "maker_account"}
    for column in TABLES[table].columns:
        dtype = frame[column.name].dtype
        if column.categories:
            assert list(dtype.categories) == list(column.categories)
        elif column.dtype in ("int32", "int64") and column.nullable:
            assert dtype == np.float64
        elif column.dtype in ("int32", "int64", "float64", "bool") and column.name not in named:
            assert dtype == np.dtype(column.dtype)


def test_dtypes_do_not_depend_on_the_content(run, empty):
    for table in ("messages", "trades", "quotes", "news"):
        filled = run.frame(table, names=False).dtypes
        pd.testing.assert_series_equal(filled, empty.frame(table, names=False).dtypes)


def test_batches_are_small_and_complete(tmp_path):
    with RunWriter(tmp_path / "run", config={}, rows_per_part=3_000) as writer:
        writer.events(realistic(20_000))
    run = open_run(tmp_path / "run")
    batches = list(run.batches("messages", rows=1_000, names=False, steps=(100, None)))
    assert min(map(len, batches)) > 0
    assert max(map(len, batches)) <= 1_000
    joined = pd.concat(batches, ignore_index=True)
    pd.testing.assert_frame_equal(joined, run.messages(names=False, steps=(100, None)))


def test_sql_sees_every_table(run):
    counted = run.sql(
        "select name, count(*) as n from messages join instruments using (instrument) group by name"
    )
    assert dict(zip(counted["name"], counted["n"], strict=True)) == {"ABC": 5, "XYZ": 2}
    for table, rows in run.tables().items():
        assert run.sql(f"select count(*) as n from {table}")["n"][0] == rows
    assert run.sql("select event from messages where reason = 'funds'")["event"].tolist() == ["rejected"]


def test_sql_works_where_the_path_has_quotes(tmp_path):
    with RunWriter(tmp_path / "it's", config={}) as writer:
        writer.events(one_of_each())
    assert open_run(tmp_path / "it's").sql("select sum(quantity) as q from trades")["q"][0] == 5


def test_sql_errors_name_the_tables(run):
    with pytest.raises(RecordingError, match="tables: messages, trades"):
        run.sql("select * from orders")


def test_sql_without_duckdb_says_what_to_install(run, monkeypatch):
    real_import = builtins.__import__

    def without_duckdb(name, *arguments, **keywords):
        if name == "duckdb":
            raise ImportError(name)
        return real_import(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", without_duckdb)
    with pytest.raises(RecordingError, match=r'pip install "simlab\[sql\]"'):
        run.sql("select 1")


def test_run_describes_itself(run):
    assert run.finished
    assert run.event_log_hash == "00ff"
    assert run.manifest["seed"] == 7
    assert run.config == {"steps": 4}
    assert "finished; rows: messages 7, trades 1, quotes 6" in repr(run)
    assert run.agents()["strategy"][0] == "market_maker"
    assert list(run.instruments()["self_trade"]) == ["cancel_resting", "off"]


def test_unfinished_run_grows_while_it_is_read(tmp_path):
    with RunWriter(tmp_path / "run", config={}) as writer:
        run = open_run(tmp_path / "run")
        assert not run.finished
        for count in (1, 2):
            writer.events(one_of_each())
            writer.flush()
            assert len(run.trades(names=False)) == count


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (lambda run: run.frame("trade"), "did you mean 'trades'"),
        (lambda run: run.trades(columns=["prize"]), "did you mean 'price'"),
        (lambda run: run.trades(instrument="ABD"), "no instrument 'ABD'.*did you mean 'ABC'"),
        (lambda run: run.decisions(instrument="ABC"), "decisions has no column 'instrument'"),
        (lambda run: run.frame("agents", steps=(0, 1)), "agents has no column 'step'"),
    ],
)
def test_what_is_unknown_is_named_with_its_neighbour(run, read, message):
    with pytest.raises(RecordingError, match=message):
        read(run)


def test_missing_names_are_told(tmp_path):
    with RunWriter(tmp_path / "run", config={}) as writer:
        writer.events(one_of_each())
    with pytest.raises(RecordingError, match="names=False"):
        open_run(tmp_path / "run").trades()


def test_account_without_a_name_is_told(run, tmp_path):
    with RunWriter(tmp_path / "run", config={}) as writer:
        write_names(writer)
        events = one_of_each()
        events["account"][0] = 3
        writer.events(events)
    with pytest.raises(RecordingError, match="the table agents does not name"):
        open_run(tmp_path / "run").messages()


def test_folder_that_is_not_a_run_names_the_runs_nearby(run):
    runs = run.path.parent
    with pytest.raises(RecordingError, match=rf"{runs} is not a run: it has no manifest.json.*{run.path}"):
        open_run(runs)
    with pytest.raises(RecordingError, match=f"there is no such folder.*{run.path}"):
        open_run(runs / "frist")


def test_broken_manifest_is_told(run):
    (run.path / "manifest.json").write_text("{")
    with pytest.raises(RecordingError, match=r"cannot read .*manifest\.json"):
        open_run(run.path)
