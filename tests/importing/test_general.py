"""Order events of any venue become messages by a map of their columns, with the venue's trades as truth."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from simlab.core.types import MessageKind
from simlab.errors import RecordingError
from simlab.importing import from_frame, import_csv, read_messages, read_truth
from simlab.importing.followed import ENTERED, GONE, MOVED, SHRUNK
from simlab.importing.frames import read_csv
from simlab.importing.mapping import load_map

ORDERS = """\
id,time,price,volume,action,direction
1,1000,99.00,0.50000000,created,bid
2,1000,98.00,1.00000000,created,bid
3,1000,101.00,0.20000000,created,ask
4,1000,100.50,0.30000000,created,ask
5,1001,101.00,0.05000000,created,ask
6,1002,101.00,0.60000000,created,bid
6,1002,100.50,0.30000000,changed,bid
4,1002,100.50,0.00000000,deleted,ask
6,1002,101.00,0.10000000,changed,bid
3,1002,101.00,0.00000000,deleted,ask
6,1002,101.00,0.05000000,changed,bid
5,1002,101.00,0.00000000,deleted,ask
6,1003,101.00,0.05000000,deleted,bid
1,1004,99.00,0.40000000,changed,bid
2,1005,98.50,1.00000000,changed,bid
7,1006,102.00,0.10000000,created,ask
8,1006,102.00,0.10000000,created,bid
8,1006,102.00,0.10000000,deleted,bid
9,1007,102.00,500.00000000,created,ask
10,1008,97.00,0.10000000,deleted,bid
7,1009,102.00,0.00000000,deleted,ask
"""
"""A snapshot of four; 6 takes 4, 3 and 5; 8 crosses and is gone; 9 is too large, 10 and a taker unknown."""

TRADES = """\
price,amount,buy_order_id,sell_order_id,side
100.50,0.30000000,6,4,buy
101.00,0.20000000,6,3,buy
101.00,0.05000000,6,5,buy
102.00,0.10000000,12,7,buy
"""

LAYOUT: dict[str, Any] = {
    "time": {"column": "time", "unit": "ms"},
    "id": {"column": "id"},
    "action": {"column": "action", "values": {"created": "add", "changed": "change", "deleted": "delete"}},
    "side": {"column": "direction"},
    "price": {"column": "price", "unit": 0.01},
    "quantity": {"column": "volume", "unit": 1e-8},
    "filters": [{"column": "volume", "at_most": 21}],
    "snapshot": "first_time",
    "trades": {
        "file": "trades.csv",
        "price": {"column": "price"},
        "quantity": {"column": "amount"},
        "buy": {"column": "buy_order_id"},
        "sell": {"column": "sell_order_id"},
        "aggressor": {"column": "side"},
    },
}


def _changed(**changes: Any) -> dict[str, Any]:
    return {key: value for key, value in (LAYOUT | changes).items() if value is not None}


def _import(folder: Path, orders: str = ORDERS, deals: str = TRADES, **changes: Any) -> dict[str, Any]:
    (folder / "orders.csv").write_text(orders)
    (folder / "trades.csv").write_text(deals)
    (folder / "map.yaml").write_text(yaml.safe_dump(_changed(**changes)))
    return import_csv(folder / "orders.csv", folder / "map.yaml", folder / "flow.parquet")


def test_a_crypto_venues_order_events_replay_with_its_trades(tmp_path: Path) -> None:
    summary = _import(tmp_path)
    agreement = summary["agreement"]
    assert agreement["recorded_fills"] == agreement["fills_equal"] == 4
    assert agreement["recorded_volume"] == agreement["replayed_volume"] == 65_000_000
    assert agreement["refused"] == {}
    assert summary["snapshot_orders"] == 4
    assert summary["skipped"] == {
        "row that a filter leaves out": 1,
        "row of an order that no row adds": 1,
    }
    assert summary["crossed_rows"] == {"count": 1, "lines": [18]}
    assert (summary["price_unit"], summary["quantity_unit"]) == (0.01, 1e-08)
    assert summary["adjustments"] == {}


def test_the_messages_are_what_the_traders_sent(tmp_path: Path) -> None:
    _import(tmp_path)
    messages, event_index, time_ns = read_messages(tmp_path / "flow.parquet")
    assert event_index.tolist() == [0, 0, 0, 0, 5, 6, 6, 13, 14, 15, 15, 16, 20]
    sent = messages[event_index > 5]
    kinds = [MessageKind(kind).name.lower() for kind in sent["kind"]]
    assert kinds == ["limit", "limit", "cancel", "replace", "cancel", "limit", "limit", "limit"]
    taker, remainder, *_, moved, _, last = sent
    assert (taker["price"], taker["quantity"], taker["time_in_force"]) == (10_100, 55_000_000, 1)
    assert (remainder["order_id"], remainder["price"], remainder["quantity"]) == (6, 10_100, 5_000_000)
    assert (moved["order_id"], moved["price"], moved["quantity"]) == (2, 9_850, 100_000_000)
    assert (last["price"], last["quantity"]) == (10_200, 10_000_000)
    assert time_ns[-1] == 1009 * 10**6


def test_a_frame_gives_what_a_file_gives(tmp_path: Path) -> None:
    summary = _import(tmp_path)
    frames = [pd.read_csv(tmp_path / name) for name in ("orders.csv", "trades.csv")]
    other = from_frame(frames[0], LAYOUT, tmp_path / "other.parquet", trades=frames[1])
    assert other["agreement"] == summary["agreement"]
    assert read_truth(tmp_path / "other.parquet").equals(read_truth(tmp_path / "flow.parquet"))


def test_a_compressed_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "orders.csv.gz").write_bytes(gzip.compress(ORDERS.encode()))
    layout = {key: value for key, value in LAYOUT.items() if key != "trades"}
    assert import_csv(tmp_path / "orders.csv.gz", layout, tmp_path / "flow.parquet")["events"] == 20


def test_without_trades_a_smaller_quantity_is_a_cancel_in_part(tmp_path: Path) -> None:
    orders = "".join(ORDERS.splitlines(keepends=True)[i] for i in (0, 1, 14))
    summary = _plain(tmp_path, orders)
    assert summary["kinds"] == {"limit": 1, "replace": 1}


def _plain(folder: Path, orders: str, **changes: Any) -> dict[str, Any]:
    (folder / "orders.csv").write_text(orders)
    layout = _changed(trades=None, **changes)
    return import_csv(folder / "orders.csv", layout, folder / "flow.parquet")


PLAIN_ACTIONS = {"column": "action"}


def test_reduce_and_execute_say_what_goes(tmp_path: Path) -> None:
    orders = "id,time,price,volume,action,direction\na-1,1,99,5,add,buy\na-1,2,99,1,reduce,buy\n"
    orders += "a-1,3,99,3,execute,buy\nb-2,4,99,1,add,buy\na-1,5,99,1,reduce,buy\n"
    summary = _plain(tmp_path, orders, action=PLAIN_ACTIONS, quantity={"column": "volume", "unit": 1})
    assert summary["kinds"] == {"cancel": 1, "limit": 3, "replace": 1}
    assert summary["order_ids"] == "renumbered"
    assert summary["agreement"]["replayed_volume"] == 3


def test_a_trade_beyond_a_resting_order_that_nobody_ended_cancels_it(tmp_path: Path) -> None:
    orders = "id,time,price,volume,action,direction\n1,1,100,1,add,sell\n2,1,101,1,add,sell\n"
    orders += "3,2,100.5,1,add,buy\n4,3,101,1,add,buy\n2,3,101,0,delete,sell\n"
    trades = "price,amount,buy_order_id,sell_order_id,side\n101,1,4,2,buy\n"
    summary = _import(tmp_path, orders, trades, action=PLAIN_ACTIONS, snapshot="none")
    assert summary["adjustments"] == {ENTERED: 1, GONE: 1}  # 1 is gone, so 3, which crossed it, may enter
    assert summary["agreement"]["fill_agreement"] == 100.0


def test_trades_that_no_resting_order_can_have_made_stay_in_the_truth(tmp_path: Path) -> None:
    trades = TRADES + "97.00,0.10000000,9,11,sell\n"
    summary = _import(tmp_path, deals=trades)
    assert summary["agreement"]["fills_equal"] == 4
    assert summary["agreement"]["recorded_fills"] == 5
    assert [key for key in summary["skipped"] if key.startswith("trade whose resting order")]


def test_an_order_that_trades_before_its_turn_gets_it(tmp_path: Path) -> None:
    orders = "id,time,price,volume,action,direction\n1,1,100,1,add,sell\n2,1,100,1,add,sell\n"
    orders += "2,2,100,1,execute,sell\n1,3,100,0,delete,sell\n"
    summary = _plain(tmp_path, orders, action=PLAIN_ACTIONS)
    assert summary["adjustments"] == {MOVED: 1}
    assert SHRUNK not in summary["adjustments"]


ROW = "id,time,price,volume,action,direction\n1,5,99.00,0.5,created,bid\n"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("2,4,99.00,0.5,created,bid", ["line 3", "time.sort: true"]),
        ("2,x,99.00,0.5,created,bid", ["line 3", "time 'x'", "not a number"]),
        ("2,6,99.005,0.5,created,bid", ["line 3", "price 99.005", "0.01", "round: true"]),
        ("2,6,abc,0.5,created,bid", ["line 3", "price 'abc'"]),
        ("2,6,-1.00,0.5,created,bid", ["line 3", "price -1.00", "--negative-prices"]),
        ("2,6,99.00,-0.5,created,bid", ["line 3", "quantity -0.5", "below 0"]),
        (
            "2,6,99.00,30,created,bid",
            ["line 3", "3000000000 lots", "2147483647", "quantity.unit of 0.0000001"],
        ),
        ("2,6,99e9,0.5,created,bid", ["line 3", "price units", "price.unit of 100"]),
        ("2,6,99.00,0.5,create,bid", ["line 3", "'create'", "did you mean 'created'", "ignore"]),
        ("2,6,99.00,0.5,created,offer", ["line 3", "'offer'", "side.values"]),
        ("1,6,99.00,0.5,created,bid", ["line 3", "order 1", "already"]),
    ],
)
def test_a_row_that_breaks_a_rule_is_named(tmp_path: Path, row: str, words: list[str]) -> None:
    with pytest.raises(RecordingError) as caught:
        _plain(tmp_path, f"{ROW}{row}\n", filters=[])
    assert [word for word in [*words, "orders.csv"] if word not in str(caught.value)] == []
    assert not (tmp_path / "flow.parquet").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"tiem": {}}, ["map.yaml: tiem", "did you mean 'time'"]),
        ({"side": {"column": "direction", "value": {}}}, ["side.value", "did you mean 'values'"]),
        (
            {"action": {"column": "action", "values": {"created": "added"}}},
            ["action.values.created", "'added'"],
        ),
        ({"price": {"column": "price"}}, ["price.unit", "missing"]),
        ({"price": {"column": "price", "unit": 0}}, ["price.unit", "greater than 0"]),
        ({"filters": [{"column": "volume"}]}, ["filters.0", "at least one of"]),
        ({"id": {"column": "order"}}, ["no column 'order'", "id of the map"]),
        ({"quantity": {"column": "volumes", "unit": 1e-8}}, ["no column 'volumes'", "did you mean 'volume'"]),
        ({"trades": {"price": {"column": "p"}, "quantity": {"column": "q"}}}, ["either maker", "or buy"]),
    ],
)
def test_a_map_that_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(RecordingError) as caught:
        _import(tmp_path, **changes)
    assert [word for word in words if word not in str(caught.value)] == []


def test_rounding_is_asked_for(tmp_path: Path) -> None:
    coarse = {"column": "volume", "unit": "1e-7", "round": True}
    orders = f"{ROW}2,6,99.00,0.00000004,created,bid\n3,6,99.00,30.123456789,created,bid\n"
    summary = _plain(tmp_path, orders, filters=[], quantity=coarse)
    messages, _, _ = read_messages(tmp_path / "flow.parquet")
    assert messages["quantity"].tolist() == [5_000_000, 301_234_568]
    assert summary["skipped"] == {"row of an order of no lot": 1}


def test_rows_can_be_brought_into_order(tmp_path: Path) -> None:
    orders = f"{ROW}1,4,99.00,0.5,created,bid\n".replace("1,5,99.00,0.5,created", "1,5,99.00,0,deleted")
    summary = _plain(tmp_path, orders, time={"column": "time", "unit": "s", "sort": True})
    assert summary["time_range_ns"] == (4 * 10**9, 5 * 10**9)


def test_times_can_be_text(tmp_path: Path) -> None:
    orders = ROW.replace(",5,", ",2020-04-20T14:00:00.5Z,")
    summary = _plain(tmp_path, orders, time={"column": "time", "unit": "iso"})
    assert summary["time_range_ns"][0] == 1_587_391_200_500_000_000


def test_a_file_of_which_nothing_is_left_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"no rows left .*filter leaves out"):
        _plain(tmp_path, ROW, filters=[{"column": "direction", "equals": "none"}])


def test_the_map_of_the_manual_is_valid() -> None:
    page = (Path(__file__).parents[2] / "docs" / "replay.md").read_text()
    [block] = [it.split("```")[0] for it in page.split("```yaml\n")[1:] if "snapshot:" in it]
    layout = load_map(yaml.safe_load(block))
    assert layout.quantity.unit * 100_000_000 == 1
    assert layout.trades is not None


def test_a_row_longer_than_the_header_is_no_row(tmp_path: Path) -> None:
    for text in ("a,b\n1,2,9\n3,4,5\n", "a,b\n1,2\n3,4,5\n"):
        (tmp_path / "long.csv").write_text(text)
        with pytest.raises(RecordingError, match=r"long\.csv cannot be read"):
            read_csv(tmp_path / "long.csv")
