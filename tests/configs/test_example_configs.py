"""Every file in configs/ runs, and shows what its description promises."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import simlab
from simlab.core.types import MessageKind, Side
from simlab.importing.table import Message, write_tables

CONFIGS = Path(__file__).parents[2] / "configs"
NEEDS_DATA = {"replay_es"}
ASKS_MODELS = {"llm_bubble", "llm_local"}
"""Run by tests/agents/llm/test_llm_configs.py."""
NAMES = sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def _run(name: str, out: Path, **options: Any) -> simlab.Run:
    run = simlab.run(CONFIGS / f"{name}.yaml", out=out, **options)
    assert isinstance(run, simlab.Run)
    return run


def _recorded(path: Path) -> Path:
    """Write a message table of one order, in place of the recorded order flow that nobody may pass on."""
    order = Message(0, 0, int(MessageKind.LIMIT), int(Side.BUY), 0, 19_199, 1, 1)
    write_tables(path, [order], [], [], source="made up", price_unit=0.25, epoch="none")
    return path


def _mid(quotes: pd.DataFrame) -> pd.Series:
    return (quotes["best_bid"] + quotes["best_ask"]) / 2


@pytest.mark.parametrize("name", NAMES)
def test_is_valid_and_bears_its_files_name(name: str, tmp_path: Path) -> None:
    recorded = f"populations.recorded.options.path={_recorded(tmp_path / 'flow.parquet')}"
    config = simlab.validate(CONFIGS / f"{name}.yaml", set=[recorded] if name in NEEDS_DATA else [])
    assert config.name == name
    assert config.description


@pytest.mark.parametrize("name", sorted(set(NAMES) - NEEDS_DATA - ASKS_MODELS))
def test_trades(name: str) -> None:
    outcome = simlab.run(CONFIGS / f"{name}.yaml", steps=600, record=False)
    assert isinstance(outcome, simlab.Outcome)
    assert outcome.trades > 20


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> simlab.Run:
    return _run("quickstart", tmp_path_factory.mktemp("quickstart"))


def test_quickstart_prices_follow_the_fundamental(quickstart: simlab.Run) -> None:
    quotes = quickstart.quotes()[100:]
    assert _mid(quotes).corr(quotes["fundamental"]) > 0.9
    assert abs((_mid(quotes) - quotes["fundamental"]).mean()) < 5
    spread = quotes["best_ask"] - quotes["best_bid"]
    assert spread.min() >= 1
    assert 2 <= spread.mean() <= 6
    assert spread.max() < 30


def test_quickstart_profits_make_sense(quickstart: simlab.Run) -> None:
    rows = {row["population"]: row for row in quickstart.manifest["populations"]}
    assert 5_000 < len(quickstart.trades()) < 50_000
    assert rows["value"]["pnl_mean"] > 0 > rows["noise"]["pnl_mean"]
    # What the makers earn is a part of the spread on what they trade, on a capital of 50,000,000.
    earned = rows["makers"]["pnl_mean"] * rows["makers"]["agents"] / rows["makers"]["volume"]
    assert -0.5 < earned < 2.5
    assert all(row["refused"] == 0 for row in rows.values())


def test_flash_crash_falls_and_recovers(tmp_path: Path) -> None:
    trades = _run("flash_crash", tmp_path).trades().set_index("step")["price"]
    before = trades.loc[1700:1799].mean()
    assert trades.loc[1800:1900].min() < before - 20
    assert abs(trades.loc[2100:2400].mean() - before) < 15


def test_large_tick_binds_the_spread(tmp_path: Path) -> None:
    run = _run("large_tick", tmp_path, steps=3000)
    quotes = run.quotes()[100:]
    assert (run.trades()["price"] % 10 == 0).all()
    assert ((quotes["best_ask"] - quotes["best_bid"]) == 10).mean() > 0.8


def test_latency_makes_makers_late(tmp_path: Path) -> None:
    run = _run("latency", tmp_path, steps=3000)
    refused = run.messages(columns=["account", "event", "reason"]).query("event == 'rejected'")
    assert set(refused["reason"]) == {"unknown_order"}
    assert refused["account"].astype(str).str.startswith("makers/").sum() > 100


def test_simultaneous_agents_do_not_see_each_other(tmp_path: Path) -> None:
    """Within a step nobody can cancel an order that was filled in it, so some cancels come too late."""
    run = _run("simultaneous", tmp_path)
    assert set(run.messages().query("event == 'rejected'")["reason"]) == {"unknown_order"}


def test_two_shares_move_together_and_one_halts(tmp_path: Path) -> None:
    run = _run("two_shares", tmp_path)
    values = run.quotes().pivot_table(index="step", columns="instrument", values="fundamental", observed=True)
    # Without the steps with news, whose impact is on one share alone.
    changes = np.log(values).diff().drop(index=run.news()["step"]).dropna()
    assert changes.corr().loc["ACME", "BOLT"] == pytest.approx(0.6, abs=0.05)
    halted = run.trades(steps=(4800, 5100))["instrument"]
    assert set(halted) == {"ACME"}
    assert "ACME wins a large contract" in set(run.news()["headline"])


def test_zero_intelligence_finds_the_competitive_price(tmp_path: Path) -> None:
    prices = _run("zero_intelligence", tmp_path).trades()["price"]
    assert prices.between(50, 150).all()
    assert prices[len(prices) // 2 :].mean() == pytest.approx(100, abs=10)


def test_the_double_auction_finds_the_equilibrium_and_finds_it_again(tmp_path: Path) -> None:
    run = _run("double_auction", tmp_path)
    days = run.allocation()
    assert days["price"].between(9_900, 10_100)[:10].all()
    assert days["price"].between(12_900, 13_100)[10:].all()
    assert days["efficiency"].mean() > 0.9
    assert days["efficiency"].max() <= 1
    prices = run.trades().groupby(run.trades()["step"] // 300)["price"].mean()
    assert prices[5:9].mean() == pytest.approx(10_000, rel=0.03)
    assert prices[15:].mean() == pytest.approx(13_000, rel=0.03)
    profits = run.customer_units().groupby("account")["profit"].sum()
    assert profits.min() >= 0
