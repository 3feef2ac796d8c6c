"""The commands take what their messages name, and print what was read and how far a replay agrees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from simlab.cli.app import app

VIEW = "34200.1,1,10,5,1000000,1\n34200.2,4,10,2,1000000,1\n34200.3,3,9,4,1000100,-1\n"
BOOK = "1000100,4,1000000,5\n1000100,4,1000000,3\n9999999999,0,1000000,3\n"
FREE = {"borrowing": "free", "short_selling": "free"}


def _json(*arguments: str | Path) -> Any:
    result = CliRunner().invoke(app, [str(it) for it in arguments])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def _error(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(it) for it in arguments])
    assert result.exit_code == 2
    assert result.stdout == ""
    return " ".join(result.stderr.split())


@pytest.fixture
def lobster(tmp_path: Path) -> tuple[Path, Path]:
    message, book = tmp_path / "message.csv", tmp_path / "book.csv"
    message.write_text(VIEW)
    book.write_text(BOOK)
    return message, book


def test_lobster_follows_its_book(tmp_path: Path, lobster: tuple[Path, Path]) -> None:
    message, book = lobster
    out = tmp_path / "flow.parquet"
    agreement = _json("import", "lobster", message, "--book", book, "--out", out)["agreement"]
    assert (agreement["book_rows"], agreement["book_rows_equal"], agreement["fill_agreement"]) == (
        3,
        3,
        100.0,
    )
    dropped = _json("import", "lobster", message, "--resting", "drop", "--out", out)
    assert list(dropped["skipped"].values()) == [1]
    assert "--book" in _error("import", "lobster", message, "--book", book, "--resting", "drop", "--out", out)


def test_what_a_message_names_is_an_option(tmp_path: Path, lobster: tuple[Path, Path]) -> None:
    message, _ = lobster
    out = tmp_path / "flow.parquet"
    message.write_text(VIEW.replace("1000000", "1000050"))
    assert "--price-unit" in _error("import", "lobster", message, "--out", out)
    assert _json("import", "lobster", message, "--price-unit", "0.005", "--out", out)["price_unit"] == 0.005
    message.write_text(VIEW.replace("1000000", "-100"))
    assert "--negative-prices" in _error("import", "lobster", message, "--out", out)
    low, _ = _json("import", "lobster", message, "--negative-prices", "--out", out)["price_range"]
    assert low == -1


def test_csv_takes_a_map(tmp_path: Path) -> None:
    names = {"time": "t", "id": "id", "action": "what", "side": "side"}
    layout: dict[str, Any] = {key: {"column": name} for key, name in names.items()}
    layout |= {key: {"column": key, "unit": 1} for key in ("price", "quantity")}
    (tmp_path / "map.yaml").write_text(yaml.safe_dump(layout))
    (tmp_path / "orders.csv").write_text("t,id,what,side,price,quantity\n5,1,add,bid,100,3\n")
    command = ("import", "csv", tmp_path / "orders.csv", "--map", tmp_path / "map.yaml", "--out")
    assert _json(*command, tmp_path / "flow.parquet")["rows"] == 1
    (tmp_path / "file").touch()
    assert "cannot write the message table" in _error(*command, tmp_path / "file" / "flow.parquet")


def test_a_run_goes_out_and_comes_back_and_says_how_far_it_agrees(tmp_path: Path) -> None:
    account = {**FREE, "reserve": False, "max_open_orders": 1_000_000}
    noise = {"strategy": "noise", "count": 20, "activation": {"rate": 0.3}, "account": FREE}
    market = {"steps": 200, "instruments": {"A": {"initial_price": 1000}}, "populations": {"noise": noise}}
    (tmp_path / "market.yaml").write_text(yaml.safe_dump(market))
    run = _json("run", tmp_path / "market.yaml", "--out", tmp_path, "--json", "--quiet")
    files = _json("export", "lobster", run["run_dir"], "--levels", "5", "--start-s", "0")
    table = tmp_path / "flow.parquet"
    _json("import", "lobster", files["message_file"], "--book", files["orderbook_file"], "--out", table)
    recorded = {"strategy": "replay", "options": {"path": str(table)}, "account": account}
    instruments = {"A": {"initial_price": 1000, "self_trade": "off"}}
    replay = {"steps": 200, "instruments": instruments, "populations": {"recorded": recorded}}
    (tmp_path / "replay.yaml").write_text(yaml.safe_dump(replay))
    [agreement] = _json("run", tmp_path / "replay.yaml", "--out", tmp_path, "--json", "--quiet")["replays"]
    assert agreement["replayed_volume"] == agreement["recorded_volume"] > 0
    assert agreement["fill_steps"] == agreement["fill_steps_equal"] > 0
    assert agreement["quotes"] == agreement["quotes_equal"] > 0
    assert agreement["refused"] == {}
    printed = CliRunner().invoke(app, ["run", str(tmp_path / "replay.yaml"), "--out", str(tmp_path)]).output
    assert "recorded beside the venue's record: volume" in " ".join(printed.split())

    replay["populations"]["noise"] = noise  # somebody else trades with the recorded orders
    (tmp_path / "replay.yaml").write_text(yaml.safe_dump(replay))
    [other] = _json("run", tmp_path / "replay.yaml", "--out", tmp_path, "--json", "--quiet")["replays"]
    assert other["fill_steps_equal"] < other["fill_steps"]
    assert other["quotes_equal"] < other["quotes"]
    assert set(other["refused"]) == {"unknown_order"}
