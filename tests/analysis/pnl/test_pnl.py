"""P&L over time and the leaderboard, against the ledger's own books as the run recorded them."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simlab
from simlab.analysis.pnl import leaderboard, max_drawdown, pnl, sharpe
from simlab.errors import AnalysisError

CONFIGS = Path(__file__).parents[3] / "configs"

MONEY = ["cash", "inventory_value", "realised", "unrealised", "fees", "total"]
NOISE = {
    "strategy": "noise",
    "parameters": {"limit_share": 0.5, "market_share": 0.3, "cancel_share": 0.2, "max_size": 9},
    "activation": {"rate": 0.2},
}
ENDOWED = {
    "name": "endowed",
    "steps": 500,
    "instruments": {
        "ACME": {"initial_price": 1_000, "multiplier": 7, "maker_fee_ppm": -130, "taker_fee_ppm": 370},
        "BOLT": {"initial_price": 300, "lot_size": 3, "taker_fee_ppm": 1_500},
    },
    "populations": {
        "rich": NOISE | {"count": 6, "account": {"cash": 10**7, "inventory": 90, "short_selling": "free"}},
        "poor": NOISE | {"count": 6, "account": {"cash": 10**7, "short_selling": "free"}},
    },
    "shocks": [
        {"kind": "fat_finger", "step": 30, "instrument": "ACME", "side": "sell", "quantity": 60},
        {"kind": "fat_finger", "step": 300, "instrument": "BOLT", "side": "buy", "quantity": 60},
    ],
    "recording": {"accounts_every": 70},
}


@pytest.fixture(scope="module")
def endowed(tmp_path_factory: pytest.TempPathFactory) -> simlab.Run:
    """Return a run with two instruments, fees, a multiplier, inventories at the start and shocks."""
    return simlab.run(ENDOWED, out=tmp_path_factory.mktemp("endowed"))


@pytest.fixture(params=["day", "two_shares", "endowed"])
def run(request: pytest.FixtureRequest) -> simlab.Run:
    """Return each of the recorded runs."""
    return request.getfixturevalue(request.param)


def tables(run: simlab.Run, names: bool = False) -> tuple[pd.DataFrame, ...]:
    """Return what the measures read, whole."""
    large = {name: run.frame(name, names=names) for name in ("trades", "quotes", "accounts")}
    return large["trades"], large["quotes"], run.agents(), run.instruments(), large["accounts"]


def cut(frame: pd.DataFrame, rows: int) -> list[pd.DataFrame]:
    """Cut a table into batches."""
    return [frame.iloc[start : start + rows] for start in range(0, len(frame), rows)]


def booked(run: simlab.Run, step: int) -> pd.DataFrame:
    """Return per account what the ledger's own table says at a step; positions at their marks."""
    rows = run.accounts(names=False, steps=(step, step + 1))
    multiplier = run.instruments()["multiplier"].to_numpy()[rows["instrument"]]
    rows["value"] = rows["inventory"] * rows["mark_price"] * multiplier
    kept = {"cash": "first", "fees": "first", "value": "sum", "realised_pnl": "sum", "cost": "sum"}
    return rows.groupby("account").agg(kept)


def wealth_at_start(run: simlab.Run) -> np.ndarray:
    """Return each account's cash and inventory at initial prices, as the configuration gives them."""
    config, agents = run.config, run.agents()
    instruments = run.instruments()
    start = np.zeros(len(agents))
    for name, population in config["populations"].items():
        account = population["account"]
        held = account.get("inventory") or 0
        each = [held.get(i, 0) if isinstance(held, dict) else held for i in instruments["name"]]
        value = (each * instruments["initial_price"] * instruments["multiplier"]).sum()
        start[agents["population"] == name] = account["cash"] + value
    return start


def last(table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the last step."""
    return table[table["step"] == table["step"].max()].reset_index(drop=True)


def test_total_is_the_change_of_wealth_for_every_account(run: simlab.Run) -> None:
    end = booked(run, run.accounts(columns=["step"])["step"].max())
    result = last(run.pnl(by="agent"))
    assert result["agent"].tolist() == run.agents()["name"].tolist()
    expected = end["cash"] + end["value"] - wealth_at_start(run)
    assert result["total"].tolist() == expected.tolist()
    assert result["total"].abs().sum() > 0


@pytest.fixture(scope="module")
def unquoted(tmp_path_factory: pytest.TempPathFactory) -> dict[int, simlab.Run]:
    """Return a run with quotes of every step (1) and one without any (0)."""
    recording = {"accounts_every": 250}
    return {
        every: simlab.run(
            CONFIGS / "two_shares.yaml",
            steps=1_100,
            out=tmp_path_factory.mktemp("runs"),
            set={"recording": recording | {"quotes_every": every}},
        )
        for every in (0, 1)
    }


@pytest.mark.parametrize("by", ["agent", "population"])
def test_without_quotes_the_accounts_mark_positions(unquoted: dict[int, simlab.Run], by: str) -> None:
    every, none = unquoted[1], unquoted[0]
    assert not len(none.quotes())
    assert last(none.pnl(by=by))["total"].abs().sum() > 0
    pd.testing.assert_frame_equal(last(none.pnl(by=by)), last(every.pnl(by=by)))
    pd.testing.assert_frame_equal(none.transfers(by=by), every.transfers(by=by))
    sampled = none.accounts(columns=["step"])["step"].unique()
    assert len(sampled) > 4
    at_samples = [run.pnl(by=by, every=1) for run in (none, every)]
    at_samples = [it[it["step"].isin(sampled)].reset_index(drop=True) for it in at_samples]
    pd.testing.assert_frame_equal(*at_samples)


def test_without_quotes_what_takes_the_mid_of_every_step_is_refused(unquoted: dict[int, simlab.Run]) -> None:
    with pytest.raises(AnalysisError, match=r"the marks of accounts are \d+ steps apart; .*quotes_every: 1"):
        unquoted[0].attribution()


def test_one_sample_at_the_end_is_no_mid_of_every_step(tmp_path: Path) -> None:
    quiet = {"quotes_every": 0}
    run = simlab.run(CONFIGS / "quickstart.yaml", steps=300, set={"recording": quiet}, out=tmp_path)
    assert run.accounts()["step"].unique().tolist() == [299]
    assert last(run.pnl())["total"].abs().sum() > 0
    with pytest.raises(AnalysisError, match="marks of accounts are 300 steps apart"):
        run.attribution()


def test_accounts_that_can_be_read_only_once_mark_positions_too(unquoted: dict[int, simlab.Run]) -> None:
    run = unquoted[0]
    tables = (run.trades(), run.quotes(), run.agents(), run.instruments())
    once = pnl(*tables, run.batches("accounts", rows=20))
    pd.testing.assert_frame_equal(once, run.pnl())


def test_without_quotes_and_accounts_the_keys_that_record_them_are_named(
    unquoted: dict[int, simlab.Run],
) -> None:
    run = unquoted[0]
    tables = (run.trades(), run.quotes(), run.agents(), run.instruments())
    with pytest.raises(AnalysisError, match=r"quotes_every: 1, or at least with recording\.accounts_every"):
        pnl(*tables, run.accounts()[:0])
    with pytest.raises(AnalysisError, match="there are no quotes"):
        pnl(*tables)


def test_realised_and_fees_are_the_ledgers_own(run: simlab.Run) -> None:
    end = booked(run, run.accounts(columns=["step"])["step"].max())
    result = last(run.pnl(by="agent"))
    assert result["realised"].tolist() == end["realised_pnl"].tolist()
    assert result["fees"].tolist() == end["fees"].tolist()
    assert result["unrealised"].tolist() == (end["value"] - end["cost"]).tolist()
    assert result["realised"].abs().sum() > 0


def test_every_sample_of_the_ledger_is_met_on_the_way(endowed: simlab.Run) -> None:
    result = endowed.pnl(by="agent", every=70)
    assert result["step"].unique().tolist() == [69, 139, 209, 279, 349, 419, 489, 499]
    for step, rows in result.groupby("step"):
        ledger = booked(endowed, int(step))
        assert rows["realised"].tolist() == ledger["realised_pnl"].tolist()
        assert rows["fees"].tolist() == ledger["fees"].tolist()


def test_shocks_and_fees_reach_the_exchanges_accounts(endowed: simlab.Run) -> None:
    result = last(endowed.pnl(by="agent")).set_index("agent")
    assert result.loc["exchange/fees", "total"] > 0
    assert result.loc["exchange/errors", "fees"] > 0


def test_both_sums_give_the_total_in_every_row(run: simlab.Run) -> None:
    result = run.pnl()
    assert (result["cash"] + result["inventory_value"]).tolist() == result["total"].tolist()
    by_position = result["realised"] + result["unrealised"] - result["fees"]
    assert by_position.tolist() == result["total"].tolist()


@pytest.mark.parametrize("name", ["day", "two_shares"])
def test_populations_sum_to_zero_at_every_step(name: str, request: pytest.FixtureRequest) -> None:
    result = request.getfixturevalue(name).pnl()
    assert set(result["population"]) == set(request.getfixturevalue(name).agents()["population"])
    assert (result.groupby("step")[["cash", "total", "fees"]].sum() == 0).all(axis=None)
    assert result["total"].abs().max() > 0


def test_all_gain_what_inventories_from_the_start_gained(endowed: simlab.Run) -> None:
    end = endowed.accounts(names=False).groupby("instrument")["mark_price"].last()
    terms = endowed.instruments()
    gain = 6 * 90 * ((end - terms["initial_price"]) * terms["multiplier"]).sum()
    assert last(endowed.pnl())["total"].sum() == gain != 0


def test_agents_add_up_to_their_population(run: simlab.Run) -> None:
    population = run.agents().set_index("name")["population"]
    agents = run.pnl(by="agent", every=250)
    agents["population"] = agents["agent"].map(population)
    whole = run.pnl(every=250)
    assert len(whole) > len(population.unique())
    for name, rows in whole.groupby("population"):
        summed = agents[agents["population"] == name].groupby("step")[MONEY].sum()
        pd.testing.assert_frame_equal(summed, rows.set_index("step")[MONEY], check_exact=True)


@pytest.mark.parametrize("rows", [1, 13, 1_000])
def test_batches_do_not_change_a_bit(endowed: simlab.Run, rows: int) -> None:
    trades, quotes, agents, instruments, accounts = tables(endowed)
    whole = pnl(trades, quotes, agents, instruments, accounts, by="agent", every=9)
    parts = pnl(
        cut(trades, rows), cut(quotes, rows), agents, instruments, cut(accounts, rows), by="agent", every=9
    )
    pd.testing.assert_frame_equal(whole, parts, check_exact=True)


def test_iterators_that_can_be_read_once_do(endowed: simlab.Run) -> None:
    trades, quotes, agents, instruments, accounts = tables(endowed)
    once: Iterator[pd.DataFrame] = iter(cut(trades, 50))
    parts = pnl(once, iter(cut(quotes, 50)), agents, instruments, iter(cut(accounts, 50)))
    pd.testing.assert_frame_equal(parts, endowed.pnl(), check_exact=True)


def test_batches_are_let_go_once_read(endowed: simlab.Run) -> None:
    trades, quotes, agents, instruments, _ = tables(endowed)
    given: list[weakref.ref[pd.DataFrame]] = []
    most = 0

    def counted() -> Iterator[pd.DataFrame]:
        nonlocal most
        for start in range(0, len(trades), 20):
            frame = trades.iloc[start : start + 20].copy()
            given.append(weakref.ref(frame))
            most = max(most, sum(reference() is not None for reference in given))
            yield frame

    pnl(counted(), quotes, agents, instruments)
    assert 1 <= most <= 3 < len(trades) / 20


def test_names_and_numbers_give_the_same(endowed: simlab.Run) -> None:
    by_name = pnl(*tables(endowed, names=True))
    pd.testing.assert_frame_equal(by_name, pnl(*tables(endowed)), check_exact=True)


def test_account_numbers_may_be_any(day: simlab.Run) -> None:
    trades, quotes, agents, instruments, _ = tables(day)
    renamed = agents.assign(account=1_000 - 3 * agents["account"])
    changed = trades.assign(
        maker_account=1_000 - 3 * trades["maker_account"], taker_account=1_000 - 3 * trades["taker_account"]
    )
    expected = pnl(trades, quotes, agents, instruments)
    pd.testing.assert_frame_equal(pnl(changed, quotes, renamed, instruments), expected, check_exact=True)


def test_without_accounts_the_last_mid_closes(day: simlab.Run) -> None:
    trades, quotes, agents, instruments, accounts = tables(day)
    end = quotes[quotes["best_bid"].notna() & quotes["best_ask"].notna()].iloc[-1]
    mid = (end["best_bid"] + end["best_ask"]) / 2
    inventory = accounts[accounts["step"] == accounts["step"].max()].groupby("account")["inventory"].sum()
    result = last(pnl(trades, quotes, agents, instruments, by="agent"))
    assert result["inventory_value"].tolist() == (inventory * mid).tolist()


def test_closing_mark_is_that_of_the_accounts() -> None:
    trades, quotes, agents, instruments = one_trade()
    quotes.loc[quotes.index[-1], "best_ask"] = np.nan
    accounts = pd.DataFrame(
        {"step": 9, "account": [0, 1], "instrument": 0, "inventory": [2, -2], "mark_price": 108.5}
    )
    result = last(pnl(trades, quotes, agents, instruments, accounts))
    assert result["total"].tolist() == [2 * (108.5 - 101), -2 * (108.5 - 101)]
    earlier = accounts.assign(step=5)
    assert last(pnl(trades, quotes, agents, instruments, earlier))["total"].tolist() == [
        2 * (mids_of_one_trade()[8] - 101),
        -2 * (mids_of_one_trade()[8] - 101),
    ]


def test_a_self_trade_costs_only_fees() -> None:
    trades, quotes, agents, instruments = one_trade()
    trades["maker_account"] = 0
    instruments["taker_fee_ppm"] = 10_000
    result = last(pnl(trades, quotes, agents, instruments))
    assert result["total"].tolist() == [-3.0, 0.0]  # 1% of 202, rounded up


def test_grid_has_about_five_hundred_steps_and_the_last(day: simlab.Run) -> None:
    steps = day.pnl()["step"].unique()
    assert steps.tolist() == list(range(11, 6_000, 12))
    assert day.pnl(every=5_000)["step"].unique().tolist() == [4_999, 5_999]
    assert day.pnl(every=10_000)["step"].unique().tolist() == [5_999]


def test_trades_after_the_last_quote_count() -> None:
    trades, quotes, agents, instruments = one_trade()
    result = pnl(trades.assign(step=25), quotes, agents, instruments, every=4)
    assert result["step"].unique().tolist() == [3, 7, 25]
    assert last(result)["cash"].tolist() == [-202.0, 202.0]


def test_leaderboard_agrees_with_pnl(run: simlab.Run) -> None:
    board = run.leaderboard().set_index("agent")
    series = run.pnl(by="agent", every=run.leaderboard().attrs["every"])
    end = last(series).set_index("agent")
    traders = run.agents().loc[lambda agents: agents["population"] != "exchange", "name"]
    assert sorted(board.index) == sorted(traders)
    for column in ("total", "realised", "unrealised", "fees"):
        assert board[column].tolist() == end.loc[board.index, column].tolist()
    best = series[series["agent"] == board.index[0]]["total"]
    assert board["max_drawdown"].iloc[0] == max_drawdown(best)
    assert board["sharpe"].iloc[0] == pytest.approx(float(sharpe(best)))


def test_leaderboard_counts_fills_and_volume(run: simlab.Run) -> None:
    trades, board = run.trades(), run.leaderboard().set_index("agent")
    for agent in board.index[[0, len(board) // 2, -1]]:
        made, took = (trades[trades[f"{role}_account"] == agent] for role in ("maker", "taker"))
        assert board.loc[agent, "fills"] == len(made) + len(took)
        assert board.loc[agent, "volume"] == made["quantity"].sum() + took["quantity"].sum()
        expected = made["quantity"].sum() / max(1, board.loc[agent, "volume"])
        assert board.loc[agent, "maker_share"] == expected


def test_leaderboard_is_ordered_by_total_then_name() -> None:
    trades, quotes, agents, instruments = one_trade()
    more = pd.DataFrame({"account": [2, 3], "name": ["zoe", "ann"], "population": "idle"})
    board = leaderboard(trades, quotes, pd.concat([agents, more]), instruments)
    assert board["agent"].tolist() == ["a", "ann", "zoe", "b"]
    assert board["rank"].tolist() == [1, 2, 2, 4]
    assert np.isnan(board["maker_share"][1])


def test_leaderboard_measures_turnover_and_drawdown() -> None:
    trades, quotes, agents, instruments = one_trade()
    board = leaderboard(trades, quotes, agents, instruments, every=1).set_index("agent")
    held = np.array([0, 0, 0, *2 * mids_of_one_trade()[3:]])
    assert board.loc["a", "turnover"] == pytest.approx(202 / (2 * held.mean()))
    assert board.loc["a", "max_drawdown"] == 0
    assert board.loc["b", "max_drawdown"] == 2 * (110.0 - 101)


def one_trade() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return ten steps in which the mid rises from 101 to 110 and `a` buys two from `b` at 101 in step 3."""
    trades = pd.DataFrame(
        {
            "step": [3],
            "instrument": 0,
            "price": 101,
            "quantity": 2,
            "aggressor_side": "buy",
            "taker_account": 0,
            "maker_account": 1,
        }
    )
    mids = mids_of_one_trade()
    quotes = pd.DataFrame({"step": range(10), "instrument": 0, "best_bid": mids - 1, "best_ask": mids + 1})
    agents = pd.DataFrame({"account": [0, 1], "name": ["a", "b"], "population": ["takers", "makers"]})
    instruments = pd.DataFrame(
        {
            "instrument": [0],
            "name": ["ACME"],
            "initial_price": [100],
            "multiplier": [1],
            "maker_fee_ppm": [0],
            "taker_fee_ppm": [0],
        }
    )
    return trades, quotes, agents, instruments


def mids_of_one_trade() -> np.ndarray:
    """Return its mids at the end of each step."""
    return np.arange(101.0, 111.0)


def test_too_many_cells_are_refused() -> None:
    trades, quotes, agents, instruments = one_trade()
    long = pd.concat([quotes, quotes.tail(1).assign(step=3_999_999)])
    with pytest.raises(AnalysisError, match=r'64,000,000 cells.* give by="population" or a larger every'):
        pnl(trades, long, agents, instruments, by="agent", every=1)
    with pytest.raises(AnalysisError, match=r"50,000,000; give a larger every"):
        pnl(trades, long, agents, instruments, every=1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"price": 10.25}, "price 10.25 is not whole"),
        ({"taker_account": 7}, "taker_account 7 is unknown; give it a row in the table agents"),
        ({"instrument": 4}, "instrument 4 is unknown; give the quotes"),
        ({"aggressor_side": "bid"}, "'bid' is neither 'buy' nor 'sell'"),
    ],
)
def test_tables_that_contradict_each_other_are_named(change: dict[str, object], message: str) -> None:
    trades, quotes, agents, instruments = one_trade()
    with pytest.raises(AnalysisError, match=message):
        pnl(trades.assign(**change), quotes, agents, instruments)


def test_trades_out_of_order_are_refused() -> None:
    trades, quotes, agents, instruments = one_trade()
    backwards = [trades, trades.assign(step=2)]
    with pytest.raises(AnalysisError, match="not in order of steps"):
        pnl(backwards, quotes, agents, instruments)


def test_mids_off_the_half_units_are_refused() -> None:
    trades, quotes, agents, instruments = one_trade()
    with pytest.raises(AnalysisError, match="not a multiple of half a price unit"):
        pnl(trades, quotes.assign(best_bid=100.3), agents, instruments)


def test_unknown_options_are_refused() -> None:
    with pytest.raises(AnalysisError, match="by='strategy' is unknown"):
        pnl(*one_trade(), by="strategy")
    with pytest.raises(AnalysisError, match="every=0 must be a whole number of steps, at least 1"):
        pnl(*one_trade(), every=0)


def test_missing_columns_are_named() -> None:
    trades, quotes, agents, instruments = one_trade()
    with pytest.raises(AnalysisError, match="trades has no column 'price'"):
        pnl(trades.drop(columns="price"), quotes, agents, instruments)


def test_a_run_without_trades_earned_nothing(tmp_path: Path) -> None:
    quiet = simlab.run(ENDOWED | {"populations": {}, "shocks": [], "steps": 20}, out=tmp_path)
    assert (last(quiet.pnl())[MONEY] == 0).all(axis=None)
    assert quiet.leaderboard().empty
