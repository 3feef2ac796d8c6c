"""Price series from files and arrays, and order-level tables: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simlab
from simlab.analysis.facts import from_csv, from_prices, from_returns, from_run, from_tables
from simlab.errors import AnalysisError

DAYS = pd.date_range("2024-01-01", periods=40).strftime("%Y-%m-%d").tolist()
CLOSES = [str(100 + day) for day in range(40)]


def _file(folder: Path, rows: list[str], header: str = "date,close") -> Path:
    path = folder / "prices.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


def _rows(**changed: tuple[int, str]) -> list[str]:
    columns = {"date": list(DAYS), "close": list(CLOSES)}
    for name, (row, text) in changed.items():
        columns[name][row] = text
    return [f"{date},{close}" for date, close in zip(columns["date"], columns["close"], strict=True)]


def test_reads_returns(tmp_path: Path) -> None:
    source = from_csv(_file(tmp_path, _rows()))
    np.testing.assert_allclose(source.returns, np.diff(np.log(np.arange(100.0, 140.0))))
    assert (source.name, source.interval, source.volume) == ("prices.csv", "1 row", None)


def test_names_of_columns_are_taken_without_regard_to_case(tmp_path: Path) -> None:
    rows = [f"1,{date},{close},{7 * k}" for k, (date, close) in enumerate(zip(DAYS, CLOSES, strict=True))]
    source = from_csv(_file(tmp_path, rows, "Open,Timestamp,CLOSE,Volume"))
    assert source.volume is not None
    assert source.volume[:2].tolist() == [7.0, 14.0]


def test_blank_lines_at_the_end_are_no_rows(tmp_path: Path) -> None:
    assert len(from_csv(_file(tmp_path, [*_rows(), "", ""])).returns) == 39


@pytest.mark.parametrize(
    "header",
    [
        ["Price,Close,High,Volume", "Ticker,MSFT,MSFT,MSFT", "Date,,,"],  # yfinance
        [",Close,High,Volume", ",MSFT,MSFT,MSFT", "Date,,,"],
        ["Ticker,MSFT,MSFT,MSFT", "Price,Close,High,Volume", "Datetime,,,"],
        ["Price,Close,High,Volume", "Ticker,MSFT,MSFT,MSFT", ",,,"],
        [",Close,High,Volume", "Date,,,"],
    ],
)
def test_headers_of_several_rows_are_read(tmp_path: Path, header: list[str]) -> None:
    rows = [f"{row},999,{7 * k}" for k, row in enumerate(_rows())]
    source = from_csv(_file(tmp_path, [*header[1:], *rows], header[0]))
    np.testing.assert_allclose(source.returns, np.diff(np.log(np.arange(100.0, 140.0))))
    assert source.volume is not None
    assert source.volume[:2].tolist() == [7.0, 14.0]


def test_errors_below_a_header_of_several_rows_name_the_line_of_the_file(tmp_path: Path) -> None:
    rows = ["Ticker,MSFT", "Date,", *_rows(close=(3, "0"))]
    with pytest.raises(AnalysisError, match="line 7: Close is '0'"):
        from_csv(_file(tmp_path, rows, "Price,Close"))


def test_what_pandas_writes_with_two_levels_is_read(tmp_path: Path) -> None:
    columns = pd.MultiIndex.from_product([["Close", "Volume"], ["MSFT"]], names=["Price", "Ticker"])
    values = np.column_stack([np.arange(100.0, 140.0), np.arange(40)])
    table = pd.DataFrame(values, pd.DatetimeIndex(DAYS, name="Date"), columns)
    table.to_csv(tmp_path / "two.csv")
    assert len(from_csv(tmp_path / "two.csv").returns) == 39


@pytest.mark.parametrize("header", ["Date,Time,close", "time,DATE,close", "day,time,close"])
def test_date_and_time_may_stand_in_two_columns(tmp_path: Path, header: str) -> None:
    times = [("2024-01-01", f"{9 + k // 60:02}:{k % 60:02}:30") for k in range(100)]
    first = 1 if header.startswith("time") else 0
    rows = [f"{row[first]},{row[1 - first]},{100 + k}" for k, row in enumerate(times)]
    assert len(from_csv(_file(tmp_path, rows, header)).returns) == 99
    with pytest.raises(AnalysisError, match=r"line 3: .*'2024-01-01 09:00:30' is there twice"):
        from_csv(_file(tmp_path, [rows[0], *rows], header))


@pytest.mark.parametrize(
    ("rows", "header", "told"),
    [
        (_rows(close=(3, "0")), "date,close", "line 5: close is '0', not a positive number"),
        (_rows(close=(3, "-1")), "date,close", "line 5: close is '-1'"),
        (_rows(close=(3, "n/a")), "date,close", "line 5: close is 'n/a'"),
        (_rows(close=(3, "")), "date,close", "line 5: close is empty"),
        (_rows(close=(3, "inf")), "date,close", "line 5: close is 'inf'"),
        (_rows(date=(3, "")), "date,close", "line 5: date is empty; write dates as 2024-01-31"),
        (_rows(date=(3, "31/12/2024")), "date,close", "line 5: date is '31/12/2024', not an ISO date"),
        (_rows(date=(3, DAYS[2])), "date,close", "line 5: date '2024-01-03' is there twice"),
        (_rows(date=(3, "2023-01-01")), "date,close", "line 5: .* sort rows by date, oldest first"),
        ([*_rows()[:5], "", *_rows()[5:]], "date,close", "line 7: date is empty"),
        (_rows()[:29], "date,close", "29 rows of prices; a series has at least 30"),
        (_rows(), "date,adj close", "no close column; it has date, adj close. If 'adj close' is meant"),
        (_rows(), "month,close", "no date column; it has month, close. Name the column date"),
        (
            [f"{row},{row[:10]}" for row in _rows()],
            "date,close,timestamp",
            "'date' and 'timestamp' could each be the date",
        ),
        (
            [f"{row},noon" for row in _rows()],
            "date,close,time",
            "line 2: date and time is '2024-01-01 noon', not an ISO date; write .* and times as 09:30:00",
        ),
        (
            ["Ticker,AAA,BBB", "Date,,", *_rows()],
            "Price,Close,Close",
            "has prices of 2: AAA, BBB; facts are found in one, so save a file each",
        ),
        ([f"{row},1" for row in _rows()], "date,close,Close", "'close' and 'Close' could each be the close"),
        (
            [row.replace(",", ";") + ",25" for row in _rows()],
            "date;close",
            "line 1: semicolons separate the columns; save the file with commas between columns, and",
        ),
        (
            [f"{row},35" for row in _rows()],
            "date,close",
            r"line 2: 3 fields \(2024-01-01,100,35\), and the header has 2; write numbers with a",
        ),
        (
            [*_rows()[:7], f"{DAYS[7]},1,234.5", *_rows()[8:]],
            "date,close",
            r"line 9: 3 fields .* no thousands separators \(1234\.5, not 1234,5 or 1,234\.5\)",
        ),
        (
            [*_rows()[:7], DAYS[7], *_rows()[8:]],
            "date,close",
            "line 9: 1 field .* the header has 2; give the",
        ),
        (_rows(close=(3, '"1,234.5"')), "date,close", "line 5: close is '1,234.5', not a positive number"),
        (
            [f'"two\nlines",{row}' for row in _rows(close=(3, "0"))],
            "note,date,close",
            "line 8: close is '0'",
        ),
        ([f"{row},1" for row in _rows()], "date,close,close", "'close' and 'close' could each be the close"),
        (
            [f"{row},x" for row in _rows()],
            "date,close,volume",
            "line 2: volume is 'x', not a number of 0 or more",
        ),
    ],
)
def test_says_file_line_and_remedy(tmp_path: Path, rows: list[str], header: str, told: str) -> None:
    with pytest.raises(AnalysisError, match=rf"prices\.csv.*{told}"):
        from_csv(_file(tmp_path, rows, header))


def test_no_file_and_no_table(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="there is no file"):
        from_csv(tmp_path / "missing.csv")
    (tmp_path / "empty.csv").write_text("", encoding="utf-8")
    with pytest.raises(AnalysisError, match=r"cannot read .*empty\.csv"):
        from_csv(tmp_path / "empty.csv")


def test_arrays_are_checked() -> None:
    with pytest.raises(AnalysisError, match="return 1 is nan"):
        from_returns([0.1, np.nan])
    with pytest.raises(AnalysisError, match="shape"):
        from_returns(np.zeros((2, 2)))
    with pytest.raises(AnalysisError, match="price 2 is 0"):
        from_prices([1.0, 2.0, 0.0])
    with pytest.raises(AnalysisError, match="2 prices and 1 volumes; give one each"):
        from_prices([1.0, 2.0], [1.0])
    with pytest.raises(AnalysisError, match=r"prices has shape \(\); prices are one series"):
        from_prices(5.0)
    with pytest.raises(AnalysisError, match=r"prices: prices are not numbers .* give a list of numbers"):
        from_prices(["100", "1,5"])
    with pytest.raises(AnalysisError, match=r"volumes are one series"):
        from_prices([1.0, 2.0], 5.0)


def test_an_ordinary_file_of_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_bytes(("\ufeffdate,close\r\n" + "\r\n".join(_rows())).encode())
    assert len(from_csv(path).returns) == 39


def _trades(**columns: object) -> pd.DataFrame:
    table = {
        "step": [0, 0, 1, 3, 3, 4],
        "price": [100, 101, 101, 99, 99, 100],
        "quantity": [1, 2, 3, 4, 5, 6],
        "aggressor_side": ["buy", "buy", "sell", "sell", "sell", "buy"],
        "taker_order_id": [7, 7, 8, 9, 9, 10],
    }
    return pd.DataFrame(table | columns)


def test_fills_of_one_order_count_once_however_the_batches_are_cut() -> None:
    whole = from_tables(trades=_trades())
    assert whole.flow is not None
    assert whole.flow.signs.tolist() == [1, -1, -1, 1]
    assert whole.flow.sizes.tolist() == [3, 3, 9, 6]
    cut = from_tables(trades=[_trades()[:1], _trades()[1:4], _trades()[4:]])
    assert cut.flow is not None
    assert cut.flow.signs.tolist() == whole.flow.signs.tolist()
    assert cut.flow.sizes.tolist() == whole.flow.sizes.tolist()
    np.testing.assert_array_equal(cut.returns, whole.returns)
    assert cut.volume is not None
    assert whole.volume is not None
    np.testing.assert_array_equal(cut.volume, whole.volume)


def test_volume_and_orders_are_those_after_a_price_up_to_the_next() -> None:
    quotes = pd.DataFrame(
        {"step": range(5), "best_bid": [99.0] * 5, "best_ask": [101.0, 101, 103, 103, np.nan]}
    )
    messages = pd.DataFrame(
        {"step": [0, 1, 1, 3, 4], "event": ["accepted", "accepted", "cancelled", *["accepted"] * 2]}
    )
    source = from_tables(quotes=quotes, trades=_trades(), messages=messages, every=1)
    assert source.volume is not None
    assert source.flow is not None
    assert source.flow.orders is not None
    assert source.flow.waiting is not None
    np.testing.assert_allclose(source.returns, [0.0, np.log(1.01), 0.0])
    assert source.volume.tolist() == [3.0, 0.0, 9.0]
    assert source.flow.orders.tolist() == [1.0, 0.0, 1.0]
    assert source.flow.waiting.tolist() == [1, 2, 1]
    assert source.flow.net_volume.tolist() == [-3.0, 0.0, -9.0]


def test_prices_are_those_of_trades_where_quotes_lack_a_side() -> None:
    one_sided = pd.DataFrame({"step": range(5), "best_bid": [99.0] * 5, "best_ask": [np.nan] * 4 + [101.0]})
    source = from_tables(quotes=one_sided, trades=_trades(), every=1, name="thin")
    np.testing.assert_array_equal(source.returns, from_tables(trades=_trades(), every=1).returns)
    assert source.name == "thin"
    assert source.notes == ("prices are those of trades, for no two quotes have both sides",)
    assert source.flow is not None
    assert not len(source.flow.net_volume)
    with pytest.raises(AnalysisError, match="fewer than two quotes with both sides;"):
        from_tables(quotes=one_sided)
    with pytest.raises(AnalysisError, match="with both sides and trades at one step only"):
        from_tables(quotes=one_sided, trades=_trades()[:2])


def test_the_grid_is_coarse_enough_for_the_price_to_move() -> None:
    moves = np.zeros(5_001)
    moves[::4] = 1
    quotes = pd.DataFrame(
        {"step": range(5_001), "best_bid": 1_000 + moves.cumsum(), "best_ask": 1_001 + moves.cumsum()}
    )
    assert from_tables(quotes=quotes).interval == "2 steps"
    assert from_tables(quotes=quotes, every=7).interval == "7 steps"


def test_tables_that_cannot_be_read_are_refused() -> None:
    with pytest.raises(AnalysisError, match="fewer than two quotes with both sides;"):
        from_tables(quotes=[])
    with pytest.raises(AnalysisError, match="several instruments"):
        from_tables(trades=_trades(instrument=[0, 0, 0, 1, 1, 1]))
    with pytest.raises(AnalysisError, match="step 1 comes after step 4"):
        from_tables(trades=_trades(step=[0, 0, 4, 1, 3, 3]))
    with pytest.raises(AnalysisError, match="BUY"):
        from_tables(trades=_trades(aggressor_side="BUY"))
    with pytest.raises(AnalysisError, match="every is 9 steps"):
        from_tables(trades=_trades(), every=9)


def test_prices_at_or_below_0_have_no_log_returns() -> None:
    quotes = pd.DataFrame({"step": range(5), "best_bid": [9, 1, -3, 1, 9], "best_ask": [11, 3, -1, 3, 11]})
    with pytest.raises(AnalysisError, match=r"has prices down to -2; .* take prices above 0"):
        from_tables(quotes=quotes, every=4)


def test_a_run_gives_all_its_trades_and_orders(day: simlab.Run) -> None:
    source = from_run(day)
    assert source.flow is not None
    trades = day.trades()
    assert source.flow.sizes.sum() == trades["quantity"].sum()
    assert len(source.flow.signs) == trades["taker_order_id"].nunique()


def test_a_run_of_several_instruments_wants_a_name(two_shares: simlab.Run) -> None:
    with pytest.raises(AnalysisError, match="2 instruments: ACME, BOLT"):
        from_run(two_shares)
    assert from_run(two_shares, "BOLT").name.endswith("BOLT")
