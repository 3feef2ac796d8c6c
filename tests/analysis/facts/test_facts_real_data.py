"""The card of the S&P 500, 1999 to 2018, shows what the literature says it shows."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from simlab.analysis import facts
from simlab.analysis.facts import NOT_ENOUGH, SHOWN


@pytest.fixture(scope="module")
def index_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the daily S&P 500 of the arch package as a CSV file."""
    sp500 = pytest.importorskip("arch.data.sp500")
    path = tmp_path_factory.mktemp("prices") / "sp500.csv"
    sp500.load().rename_axis("Date").to_csv(path)
    return path


@pytest.fixture(scope="module")
def card(index_file: Path) -> pd.DataFrame:
    return facts.card(index_file).set_index("fact")


@pytest.mark.parametrize(
    "fact",
    [
        "absence of autocorrelation",
        "fat tails",
        "power-law tail",
        "volatility clustering",
        "clustering of squares",
        "slow decay of volatility",
        "intermittency",
        "conditional heavy tails",
        "leverage effect",
        "volume and volatility",
    ],
)
def test_shown(card: pd.DataFrame, fact: str) -> None:
    assert card.loc[fact, "verdict"] == SHOWN


def test_figures_are_those_known(card: pd.DataFrame) -> None:
    assert card.attrs == {"source": "sp500.csv", "interval": "1 row", "returns": 5_030, "notes": []}
    assert card.loc["absence of autocorrelation", "estimate"] == pytest.approx(-0.07, abs=0.01)
    assert card.loc["fat tails", "estimate"] == pytest.approx(8.2, abs=0.3)
    assert card.loc["power-law tail", "estimate"] == pytest.approx(3, abs=0.3)  # the inverse cubic law


def test_facts_about_orders_need_orders(card: pd.DataFrame) -> None:
    for fact in ("memory of order signs", "power law of order sizes", "concave impact"):
        assert card.loc[fact, "verdict"] == NOT_ENOUGH
        assert card.loc[fact, "description"].startswith("Needs orders and trades")


def test_weekly_returns_show_the_three_main_facts_too(index_file: Path) -> None:
    weekly = pd.read_csv(index_file, parse_dates=["Date"]).iloc[::5]
    path = index_file.with_name("weekly.csv")
    weekly.to_csv(path, index=False)
    card = facts.card(path, replications=200).set_index("fact")
    verdicts = card.loc[["absence of autocorrelation", "fat tails", "volatility clustering"], "verdict"]
    assert verdicts.tolist() == [SHOWN] * 3
