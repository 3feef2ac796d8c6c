"""The markets that show a family of strategies do what their descriptions say, with several seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import simlab

CONFIGS = Path(__file__).parents[2] / "configs"


def rows(name: str, seed: int = 1, **options: Any) -> dict[str, dict[str, Any]]:
    """Run a market, unrecorded; return its populations' rows by name."""
    outcome = simlab.run(CONFIGS / f"{name}.yaml", seed=seed, record=False, **options)
    assert isinstance(outcome, simlab.Outcome)
    return {row["population"]: row for row in outcome.summary["populations"]}


def total(name: str, population: str, column: str = "pnl_mean", **options: Any) -> float:
    return float(sum(rows(name, seed, **options)[population][column] for seed in (1, 2, 3)))


def recorded(name: str, out: Path, **options: Any) -> simlab.Run:
    run = simlab.run(CONFIGS / f"{name}.yaml", out=out, **options)
    assert isinstance(run, simlab.Run)
    return run


def test_makers_of_all_kinds_live_on_the_same_trades() -> None:
    found = [rows("market_makers", seed) for seed in (1, 2, 3)]
    for maker in ("dealer", "avellaneda_stoikov", "gueant"):
        assert min(row[maker]["fills"] for row in found) > 100
        assert sum(row[maker]["pnl_mean"] for row in found) > 0
        assert all(row[maker]["refused"] == 0 for row in found)


def test_all_execution_strategies_buy_what_they_should_in_their_own_way(tmp_path: Path) -> None:
    trades = recorded("execution", tmp_path).trades()
    steps = np.arange(60, 3_601, 60)
    shares = {}
    for name in ("twap", "vwap", "participation", "almgren_chriss"):
        own = trades[trades["taker_account"].astype(str).str.startswith(name)]
        assert own["quantity"].sum() == 300
        assert own["step"].max() < 3_700
        done = own.groupby("step")["quantity"].sum()
        shares[name] = np.array([done[done.index < step].sum() for step in steps]) / 300
    even = steps / 3_600
    assert np.abs(shares["twap"] - even).max() < 0.03
    curve = np.array([3, 2, 1.5, 1, 1, 1, 1, 1, 1, 1.5, 2, 3])
    along = np.interp(even, np.linspace(0, 1, 13), np.concatenate([[0], np.cumsum(curve)]) / curve.sum())
    assert np.abs(shares["vwap"] - along).max() < 0.03
    kappa = np.arccosh(1 + 0.5 * 60**2 * 0.00002 * 0.6**2 / 0.5) / 60
    optimal = 1 - np.sinh(kappa * (3_600 - steps)) / np.sinh(kappa * 3_600)
    assert np.abs(shares["almgren_chriss"] - optimal)[1:].max() < 0.01  # at first the book is thin
    assert (optimal - even).max() > 0.1
    share_of_volume = 300 / trades.query("step < @last", local_dict={"last": 3_600})["quantity"].sum()
    assert share_of_volume < 0.1


@pytest.mark.slow
def test_an_arbitrageur_keeps_a_fund_at_what_is_in_it(tmp_path: Path) -> None:
    def gap(arbitrageurs: int) -> float:
        options = [f"populations.arbitrageur.count={arbitrageurs}"]
        quotes = recorded("arbitrage", tmp_path / str(arbitrageurs), set=options).quotes()
        mids = (quotes["best_bid"] + quotes["best_ask"]) / 2
        by_name = mids.set_axis([quotes["step"], quotes["instrument"]]).unstack()
        return float((by_name["FUND"] - by_name["OAK"] - by_name["ELM"]).iloc[100:].abs().mean())

    assert gap(1) < 0.4 * gap(0)  # what it leaves is its threshold and the spreads
    assert total("arbitrage", "arbitrageur") > 0


def test_news_pays_the_quick_more_than_the_late_and_costs_those_who_doubt_it() -> None:
    for seed in (1, 2, 3):
        pnl = {name: row["pnl_mean"] for name, row in rows("news", seed).items()}
        assert pnl["quick"] > pnl["late"] > 0 > pnl["contrary"]


def test_a_spoofer_gains_what_those_lose_who_read_the_book() -> None:
    honest = {"set": ["populations.spoofer.parameters.layers=0"]}
    assert total("spoofing", "readers") < -5_000 < total("spoofing", "readers", **honest)
    assert total("spoofing", "spoofer") > total("spoofing", "spoofer", **honest) + 20_000


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_characters_trade_as_they_are_called(seed: int) -> None:
    found = rows("personalities", seed)
    assert len(found) == 9
    assert min(row["fills"] for row in found.values()) > 0
    each = {name: row["volume"] / row["agents"] for name, row in found.items()}
    assert each["aggressive"] > 5 * each["value"] > 25 * each["conservative"]
    assert found["value"]["pnl_mean"] > 0 > found["noise"]["pnl_mean"]
