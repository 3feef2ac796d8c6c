"""A recorded run written as LOBSTER files comes back as the same market."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

import simlab
from simlab.core.types import Side
from simlab.errors import RecordingError
from simlab.exporting import export_lobster
from simlab.importing import import_lobster

FREE = {"borrowing": "free", "short_selling": "free"}
MARKET: dict[str, Any] = {
    "name": "busy",
    "steps": 600,
    "seed": 3,
    "step_duration_s": 0.5,
    "instruments": {"ACME": {"initial_price": 1000, "self_trade": "cancel_resting"}},
    "shocks": [{"kind": "halt", "step": 300, "duration": 20}],
    "populations": {
        "noise": {
            "strategy": "noise",
            "count": 30,
            "parameters": {"offset": 8, "max_size": 9},
            "activation": {"rate": 0.3},
            "account": FREE,
        },
        "makers": {
            "strategy": "market_maker",
            "count": 2,
            "parameters": {"half_spread": 2, "size": 6},
            "activation": {"period": 5, "stagger": True},
            "account": FREE,
        },
    },
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> simlab.Run:
    return simlab.run(MARKET, out=tmp_path_factory.mktemp("runs"))


@pytest.mark.parametrize("levels", [1, 5, 10])
def test_the_round_trip_gives_every_row(run: simlab.Run, tmp_path: Path, levels: int) -> None:
    written = export_lobster(run.path, tmp_path, levels=levels)
    summary = import_lobster(
        Path(written["message_file"]),
        tmp_path / "flow.parquet",
        orderbook_csv=Path(written["orderbook_file"]),
    )
    agreement = summary["agreement"]
    assert agreement["book_rows"] == written["rows"] > 1000
    assert agreement["book_rows_equal"] == agreement["book_rows"]
    assert agreement["refused"] == {}
    assert agreement["recorded_fills"] == agreement["fills_equal"] == len(run.trades())
    assert agreement["replayed_volume"] == run.trades()["quantity"].sum()
    assert summary["halts"] == [((34_200 + 150) * 10**9, (34_200 + 160) * 10**9)]


def test_without_the_order_book_file_nothing_is_refused(run: simlab.Run, tmp_path: Path) -> None:
    written = export_lobster(run.path, tmp_path, levels=5)
    summary = import_lobster(Path(written["message_file"]), tmp_path / "flow.parquet")
    assert summary["agreement"]["refused"] == {}
    assert summary["agreement"]["fill_agreement"] == 100.0


def _rows(path: str) -> list[list[str]]:
    return list(csv.reader(Path(path).open()))


def test_the_files_are_as_the_vendor_writes_them(run: simlab.Run, tmp_path: Path) -> None:
    written = export_lobster(run.path, tmp_path, levels=3, date="2012-06-21")
    stem = "ACME_2012-06-21_34200000_34500000"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{stem}_message_3.csv",
        f"{stem}_orderbook_3.csv",
    ]
    messages, books = _rows(written["message_file"]), _rows(written["orderbook_file"])
    assert len(messages) == len(books) == written["rows"]
    assert {len(row) for row in messages} == {6}
    assert {len(row) for row in books} == {12}
    assert books[0].count("0") == 5  # all levels but one are empty
    assert {cell for cell in books[0] if len(cell) >= 10} == {"9999999999", "-9999999999"}
    assert {row[1] for row in messages} == {"1", "2", "3", "4", "7"} - (
        {"2"} if not _reductions(run) else set()
    )
    assert messages[0][0] == "34200.000000000"
    times = [float(row[0]) for row in messages]
    assert times == sorted(times)


def _reductions(run: simlab.Run) -> int:
    messages = run.messages()
    return int(((messages["event"] == "replaced") & messages["priority_kept"]).sum())


def test_the_last_row_is_the_book_at_the_end(run: simlab.Run, tmp_path: Path) -> None:
    written = export_lobster(run.path, tmp_path, levels=2)
    [*_, row] = _rows(written["orderbook_file"])
    last = run.quotes().iloc[-1]
    wanted = [last["best_ask"] * 100, last["ask_depth"], last["best_bid"] * 100, last["bid_depth"]]
    assert [int(cell) for cell in row[:4]] == [int(value) for value in wanted]


def test_replacements_are_new_orders_and_reductions_keep_their_number(tmp_path: Path) -> None:
    (tmp_path / "mover.py").write_text(MOVER)
    config = {
        "steps": 5,
        "instruments": {"ACME": {"initial_price": 100}},
        "populations": {"mover": {"strategy": f"{tmp_path}/mover.py:Mover", "account": FREE}},
    }
    run = simlab.run(config, out=tmp_path / "runs")
    written = export_lobster(run.path, levels=1)
    assert Path(written["message_file"]).parent == run.path / "lobster"
    rows = [",".join(row[1:]) for row in _rows(written["message_file"])]
    assert rows == [
        "1,1,5,9900,1",
        "2,1,2,9900,1",
        "3,1,3,9900,1",
        "1,2,4,9800,1",
        "3,2,4,9800,1",
    ]


MOVER = """
from simlab.agents.each import agent_strategy


@agent_strategy("mover", "Moves one order.")
class Mover:
    def decide(self, observation, orders):
        step = observation.step
        if step == 0:
            self.id = orders.limit("buy", 99, 5)
        elif step == 1:
            orders.replace(self.id, 99, 3)
        elif step == 2:
            orders.replace(self.id, 98, 4)
        elif step == 3:
            orders.limit("buy", 90, 1)  # out of view
        else:
            orders.cancel(self.id)
"""


def test_an_instrument_must_be_named_where_there_are_several(tmp_path: Path) -> None:
    instruments = {name: {"initial_price": 100} for name in ("ACME", "BETA")}
    run = simlab.run({"steps": 2, "instruments": instruments}, out=tmp_path)
    with pytest.raises(RecordingError, match="several instruments; name one with --instrument: ACME, BETA"):
        export_lobster(run.path)
    with pytest.raises(RecordingError, match="no instrument 'ACNE'"):
        export_lobster(run.path, instrument="ACNE")
    assert export_lobster(run.path, instrument="BETA")["rows"] == 0


def test_prices_that_do_not_fit_are_refused(run: simlab.Run, tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"--price-unit 0\.0001"):
        export_lobster(run.path, tmp_path, price_unit=1e-6)
    with pytest.raises(RecordingError, match="empty level"):
        export_lobster(run.path, tmp_path, price_unit=10_000)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(run: simlab.Run, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RecordingError, match=r"cannot write into .*file: .*choose another folder"):
        export_lobster(run.path, tmp_path / "file")


def test_every_change_is_in_the_file_when_all_levels_are(run: simlab.Run, tmp_path: Path) -> None:
    written = export_lobster(run.path, tmp_path, levels=1000)
    assert written["out_of_view"] == 0
    best = {side: [] for side in Side}
    for row in _rows(written["orderbook_file"]):
        best[Side.SELL].append(int(row[0]))
        best[Side.BUY].append(int(row[2]))
    assert all(bid < ask for bid, ask in zip(best[Side.BUY], best[Side.SELL], strict=True))
