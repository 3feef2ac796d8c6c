"""P&L put down to who decided: by hand, and added up to what the attribution finds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simlab
from simlab.analysis.pnl import decision_gains, pnl_by_source
from simlab.errors import AnalysisError

INSTRUMENTS = pd.DataFrame(
    {
        "instrument": [0],
        "name": ["ACME"],
        "initial_price": [100],
        "multiplier": [10],
        "maker_fee_ppm": [0],
        "taker_fee_ppm": [10_000],
    }
)
AGENTS = pd.DataFrame(
    {
        "account": [7, 8, 9],
        "name": ["a/0", "a/1", "exchange/fees"],
        "population": ["a", "a", "exchange"],
        "strategy": "s",
    }
)
QUOTES = pd.DataFrame(
    {"step": range(4), "instrument": 0, "best_bid": [99, 101, 103, 103], "best_ask": [101, 103, 105, 106]}
)
TRADES = pd.DataFrame(
    {
        "step": [0, 2],
        "instrument": 0,
        "price": [101, 103],
        "quantity": [5, 2],
        "aggressor_side": ["buy", "sell"],
        "taker_order_id": [12, 20],
        "taker_account": [7, 7],
        "maker_order_id": [11, 13],
        "maker_account": [8, 8],
    }
)
DECISIONS = pd.DataFrame(
    {
        "account": [7, 8, 8],
        "source": ["llm", "heuristic", "none"],
        "first_order": [12.0, 11.0, np.nan],
        "last_order": [12.0, 13.0, np.nan],
        "orders": [1, 2, 0],
        "calls": [1.0, 2.0, np.nan],
        "cost": [0.25, 0.5, np.nan],
    }
)


def test_gains_of_decisions_by_hand() -> None:
    rows = decision_gains(DECISIONS, TRADES, QUOTES, AGENTS, INSTRUMENTS, horizon=1)
    # step 0: 5 lots at 101, the mid is 102 a step later and 104.5 at the end; the taker's fee is 1% of 5050
    assert rows.loc[0, ["fills", "volume", "markout", "gain", "fees"]].tolist() == [1, 5, 50.0, 175.0, 51]
    # the maker sold these, and bought 2 at 103, with 104.5 at both times, as maker without a fee
    assert rows.loc[1, ["fills", "volume", "markout", "gain", "fees"]].tolist() == [2, 7, -20.0, -145.0, 0]
    assert rows.loc[2, ["fills", "volume", "markout", "gain", "fees"]].tolist() == [0, 0, 0.0, 0.0, 0]


def test_sources_by_hand() -> None:
    table = pnl_by_source(DECISIONS, TRADES, QUOTES, AGENTS, INSTRUMENTS, horizon=1)
    assert table["source"].tolist() == ["llm", "heuristic", "none", "not recorded"]
    assert table["decisions"].tolist() == [1, 1, 1, 0]
    assert table["total"].tolist() == [175.0 - 51, -145.0, 0.0, -30.0 - 21]  # 1% of 2060, rounded
    assert table["calls"].tolist() == [1, 2, 0, 0]
    assert table["cost"].tolist() == [0.25, 0.5, 0.0, 0.0]


def test_sources_add_up_to_what_a_population_earned(explained: simlab.Run) -> None:
    table = explained.pnl_by_source()
    assert set(table["population"]) == {"thinkers", "secretive"}
    assert set(table.loc[table["population"] == "thinkers", "source"]) == {
        "llm",
        "heuristic",
        "initial inventory",
    }
    assert "not recorded" in set(table.loc[table["population"] == "secretive", "source"])
    assert (table.loc[table["source"].isin(["llm", "heuristic"]), "fills"] > 0).all()
    attributed = explained.attribution().set_index("population")
    parts = table.groupby("population")[["total", "fees"]].sum()
    assert parts["total"].to_dict() == attributed.loc[parts.index, "total"].to_dict()
    assert (-parts["fees"]).to_dict() == attributed.loc[parts.index, "fees"].to_dict()


def test_what_a_decision_earned_is_in_the_same_row(explained: simlab.Run) -> None:
    rows = explained.decision_gains()
    assert rows["volume"].tolist() == rows["filled"].tolist()
    by_source = explained.pnl_by_source().query("population == 'thinkers'").set_index("source")
    mine = rows[rows["account"].astype(str).str.startswith("thinkers")].groupby("source", observed=True)
    assert mine["gain"].sum()["llm"] == by_source.loc["llm", "gain"]
    assert mine["markout"].sum()["heuristic"] == by_source.loc["heuristic", "markout"]
    # what the model's failed answers cost stays with the decisions that the rule took over
    assert (by_source.loc["heuristic", ["calls", "decisions"]] > 0).all()
    assert by_source.loc["heuristic", "calls"] == 2 * by_source.loc["heuristic", "decisions"]


def test_the_same_from_batches_as_from_whole_tables(explained: simlab.Run) -> None:
    whole = [explained.frame(name, names=False) for name in ("decisions", "trades", "quotes")]
    small = [list(explained.batches(name, names=False, rows=7)) for name in ("trades", "quotes")]
    tables = (explained.agents(), explained.instruments(), explained.accounts(names=False))
    expected = pnl_by_source(*whole, *tables)
    pd.testing.assert_frame_equal(pnl_by_source(whole[0], *small, *tables), expected)


def test_a_markout_takes_quotes_of_every_step(
    explained_market: Callable[..., simlab.Run], tmp_path: Path
) -> None:
    sparse = explained_market(tmp_path, recording={"quotes_every": 10})
    with pytest.raises(AnalysisError, match="a mark-out takes the mid of every step"):
        sparse.pnl_by_source()
    table = sparse.pnl_by_source(horizon=None)
    assert table["markout"].isna().all()
    assert (table["gain"] != 0).any()


def test_accounts_by_name_are_refused(explained: simlab.Run) -> None:
    tables = [explained.trades(), explained.quotes(), explained.agents(), explained.instruments()]
    with pytest.raises(AnalysisError, match=r"read them with names=False"):
        decision_gains(explained.decisions(), *tables)
    stranger = explained.frame("decisions", names=False).assign(account=99)
    with pytest.raises(AnalysisError, match="account 99 is unknown"):
        pnl_by_source(stranger, *tables)


def test_a_run_without_decisions_has_none(day: simlab.Run) -> None:
    assert day.decisions().empty
    assert {"outcome", "filled", "refused"} <= set(day.decisions().columns)
    assert day.pnl_by_source().empty
    assert "gain" in day.decision_gains().columns
