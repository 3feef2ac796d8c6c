"""Attribution, mark-outs and transfers: they add up to P&L, and say what they are said to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simlab
from simlab.analysis.pnl import attribution, leaderboard, markouts, pnl, transfers
from simlab.analysis.quality import spreads
from simlab.errors import AnalysisError

PARTS = ["spread", "adverse_selection", "inventory", "fees"]
AGENTS = pd.DataFrame(
    {
        "account": range(5),
        "name": ["m/0", "m/1", "n/0", "exchange/fees", "exchange/errors"],
        "population": ["m", "m", "n", "exchange", "exchange"],
    }
)
STEPS = 12


class World(NamedTuple):
    """Tables of a small random market, and what each account held at its start."""

    trades: pd.DataFrame
    quotes: pd.DataFrame
    instruments: pd.DataFrame
    accounts: pd.DataFrame
    held: np.ndarray

    @property
    def tables(self) -> tuple[pd.DataFrame, ...]:
        """Return what the measures read."""
        return self.trades, self.quotes, AGENTS, self.instruments, self.accounts


@st.composite
def worlds(draw: st.DrawFn) -> World:
    """Draw fills, quotes with empty sides, fees, multipliers and inventories at the start."""
    count = draw(st.integers(1, 2))
    price, side, who = st.integers(1, 200), st.sampled_from(["buy", "sell"]), st.sampled_from([0, 1, 2, 4])
    instrument, step, lots = st.integers(0, count - 1), st.integers(0, STEPS - 1), st.integers(1, 30)
    rows = draw(st.lists(st.tuples(step, instrument, price, lots, side, who, who), max_size=25))
    names = (
        "step",
        "instrument",
        "price",
        "quantity",
        "aggressor_side",
        "taker_account",
        "maker_account",
    )
    trades = pd.DataFrame(sorted(rows, key=lambda row: row[0]), columns=list(names))
    each = st.tuples(st.none() | price, st.none() | price)
    best = draw(st.lists(each, min_size=STEPS * count, max_size=STEPS * count))
    quotes = pd.DataFrame(best, columns=["best_bid", "best_ask"], dtype=float)
    quotes.insert(0, "instrument", np.tile(np.arange(count), STEPS))
    quotes.insert(0, "step", np.repeat(np.arange(STEPS), count))
    ppm = st.lists(st.integers(-90_000, 90_000), min_size=count, max_size=count)
    instruments = pd.DataFrame(
        {
            "instrument": range(count),
            "name": [f"I{i}" for i in range(count)],
            "initial_price": draw(st.lists(price, min_size=count, max_size=count)),
            "multiplier": draw(st.lists(st.sampled_from([1, 7]), min_size=count, max_size=count)),
            "maker_fee_ppm": draw(ppm),
            "taker_fee_ppm": draw(ppm),
        }
    )
    start = draw(st.lists(st.integers(-40, 40), min_size=5 * count, max_size=5 * count))
    held = np.array(start).reshape(5, count)
    marks = draw(st.lists(st.integers(1, 400).map(lambda half: half / 2), min_size=count, max_size=count))
    return World(trades, quotes, instruments, sampled(trades, held, marks, draw(step)), held)


def sampled(trades: pd.DataFrame, held: np.ndarray, marks: list[float], first: int) -> pd.DataFrame:
    """Return the table accounts: sampled at the end of a step and of the last."""
    frames = []
    for step in sorted({first, STEPS - 1}):
        inventory = held.copy()
        for row in trades[trades["step"] <= step].itertuples():
            signed = row.quantity if row.aggressor_side == "buy" else -row.quantity
            inventory[row.taker_account, row.instrument] += signed
            inventory[row.maker_account, row.instrument] -= signed
        account, instrument = np.indices(held.shape)
        columns = {"step": step, "account": account.ravel(), "instrument": instrument.ravel()}
        columns |= {"inventory": inventory.ravel(), "mark_price": np.tile(marks, len(held))}
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, ignore_index=True)


def gained(world: World) -> list[float]:
    """Return what each account gained, from cash and positions alone, trade by trade."""
    terms = world.instruments.to_dict("records")
    cash, inventory = [0] * 5, world.held.copy()
    for row in world.trades.itertuples():
        term = terms[row.instrument]
        signed = row.quantity if row.aggressor_side == "buy" else -row.quantity
        notional = row.price * row.quantity * term["multiplier"]
        for account, role, lots in (
            (row.taker_account, "taker", signed),
            (row.maker_account, "maker", -signed),
        ):
            paid = -(-notional * term[f"{role}_fee_ppm"] // 1_000_000)
            inventory[account, row.instrument] += lots
            cash[account] -= lots * row.price * term["multiplier"] + paid
            cash[3] += paid
    closing = world.accounts.groupby("instrument")["mark_price"].last()
    multiplier = world.instruments["multiplier"]
    end = inventory @ (closing * multiplier).to_numpy()
    start = world.held @ (world.instruments["initial_price"] * multiplier).to_numpy()
    return (np.array(cash) + end - start).tolist()


@settings(max_examples=60, deadline=None)
@given(world=worlds(), horizon=st.integers(0, 2 * STEPS))
def test_parts_add_up_exactly_to_what_was_gained(world: World, horizon: int) -> None:
    parts = attribution(*world.tables, by="agent", horizon=horizon)
    assert parts["total"].tolist() == gained(world)
    assert parts[PARTS].sum(axis=1).tolist() == parts["total"].tolist()
    assert sum(parts["fees"]) == 0
    for part in PARTS:
        roles = parts[f"{part}_maker"] + parts[f"{part}_taker"]
        rest = parts["inventory_initial"] if part == "inventory" else 0.0
        assert (roles + rest).tolist() == parts[part].tolist()


@settings(max_examples=60, deadline=None)
@given(world=worlds(), every=st.integers(1, STEPS), rows=st.integers(1, 9))
def test_pnl_ends_at_what_was_gained(world: World, every: int, rows: int) -> None:
    whole = pnl(*world.tables, by="agent", every=every)
    end = whole[whole["step"] == STEPS - 1]
    assert end["total"].tolist() == gained(world)
    assert (end["realised"] + end["unrealised"] - end["fees"]).tolist() == gained(world)
    cut = [world.trades.iloc[start : start + rows] for start in range(0, len(world.trades), rows)]
    parts = pnl(iter(cut), *world.tables[1:], by="agent", every=every)
    pd.testing.assert_frame_equal(whole, parts, check_exact=True)


@settings(max_examples=30, deadline=None)
@given(world=worlds())
def test_initial_inventory_is_found_from_the_first_sample(world: World) -> None:
    parts = attribution(*world.tables, by="agent")
    closing = world.accounts.groupby("instrument")["mark_price"].last()
    change = (closing - world.instruments["initial_price"]) * world.instruments["multiplier"]
    assert parts["inventory_initial"].tolist() == (world.held @ change.to_numpy()).tolist()


@settings(max_examples=30, deadline=None)
@given(world=worlds(), horizon=st.none() | st.integers(0, STEPS))
def test_transfers_are_antisymmetric(world: World, horizon: int | None) -> None:
    matrix = transfers(*world.tables, horizon=horizon, by="agent").to_numpy()
    assert (matrix == -matrix.T).all()


@settings(max_examples=30, deadline=None)
@given(world=worlds())
def test_transfers_sum_to_trading_pnl_before_fees(world: World) -> None:
    parts = attribution(*world.tables, by="population")
    matrix = transfers(*world.tables)
    assert matrix.index.tolist() == matrix.columns.tolist() == parts["population"].tolist()
    expected = parts["total"] - parts["fees"] - parts["inventory_initial"]
    assert matrix.sum(axis=1).tolist() == expected.tolist()


@pytest.mark.parametrize("name", ["day", "two_shares"])
@pytest.mark.parametrize("horizon", [0, 1, 10, 100_000])
def test_total_is_that_of_pnl_whatever_the_horizon(
    name: str, horizon: int, request: pytest.FixtureRequest
) -> None:
    run = request.getfixturevalue(name)
    parts, series = run.attribution(by="agent", horizon=horizon), run.pnl(by="agent", every=10_000)
    assert parts["agent"].tolist() == series["agent"].tolist()
    assert parts["total"].tolist() == series["total"].tolist()
    assert parts[PARTS].sum().sum() == 0


def test_market_makers_earn_the_spread_and_lose_by_markouts(day: simlab.Run) -> None:
    parts = day.attribution().set_index("population")
    assert parts.loc["makers", "spread_maker"] > 0 > parts.loc["makers", "adverse_selection_maker"]
    assert parts.loc["noise", "spread_taker"] < 0
    assert parts.loc["momentum", "spread"] == parts.loc["momentum", "spread_taker"] < 0


def test_each_part_by_hand() -> None:
    trades, quotes, agents, instruments = by_hand()
    parts = attribution(trades, quotes, agents, instruments, horizon=1).set_index("population")
    # reference mid 100 (the initial one), mid a step after that of the fill 98.5, closing mid 104
    assert parts.loc["takers", PARTS].tolist() == [3 * (100 - 102), 3 * (98.5 - 100), 3 * (104 - 98.5), -4.0]
    assert parts.loc["makers", PARTS].tolist() == [6.0, 4.5, -16.5, 0.0]
    assert parts.loc["makers", "spread_maker"] == 6.0
    assert parts.loc["makers", "spread_taker"] == 0.0
    assert parts["total"].tolist() == [2.0, -6.0]


def test_markouts_by_hand() -> None:
    table = markouts(*by_hand(), horizons=(0, 1, 9))
    assert len(table) == 2 * 2 * 3
    taken = table[(table["population"] == "takers") & (table["role"] == "taker")].set_index("horizon")
    # at horizon 0 the mid is that at the end of the fill's own step, 100.5
    assert taken["markout"].tolist() == [3 * (100.5 - 102), 3 * (98.5 - 102), 3 * (104 - 102)]
    assert taken["adverse_selection"].tolist() == [1.5, -4.5, 12.0]
    assert taken["volume"].tolist() == [3, 3, 3]
    made = table[(table["population"] == "takers") & (table["role"] == "maker")]
    assert (made[["volume", "spread", "markout"]] == 0).all(axis=None)


def test_markouts_agree_with_attribution(two_shares: simlab.Run) -> None:
    tables = two_shares.trades(), two_shares.quotes(), two_shares.agents(), two_shares.instruments()
    table = markouts(*tables, horizons=[10])
    parts = attribution(*tables, horizon=10).set_index("population")
    for role in ("maker", "taker"):
        own = table[table["role"] == role].set_index("population")
        for part in ("spread", "adverse_selection"):
            assert own[part].tolist() == parts[f"{part}_{role}"].tolist()


@pytest.mark.parametrize("horizon", [0, 1, 10, 100])
def test_spread_and_adverse_selection_are_the_realised_half_spread(day: simlab.Run, horizon: int) -> None:
    parts = day.attribution(horizon=horizon)
    table = spreads(day.trades(), day.quotes(), day.instruments(), horizons=[horizon]).iloc[0]
    for role, sign in (("maker", 1), ("taker", -1)):
        kept = (parts[f"spread_{role}"] + parts[f"adverse_selection_{role}"]).sum()
        assert 2 * kept / table["volume"] == pytest.approx(sign * table[f"realised_{horizon}"], rel=1e-9)
        impact = parts[f"adverse_selection_{role}"].sum()
        assert 2 * impact / table["volume"] == pytest.approx(-sign * table[f"price_impact_{horizon}"])


def test_what_takes_the_mid_of_every_step_refuses_quotes_that_are_farther_apart(day: simlab.Run) -> None:
    quotes = day.quotes()
    seldom = quotes[quotes["step"] % 10 == 0]
    tables = day.trades(), seldom, day.agents(), day.instruments()
    refused = r"quotes are 10 steps apart; .* recording\.quotes_every: 1"
    with pytest.raises(AnalysisError, match=refused):
        attribution(*tables, horizon=10)
    with pytest.raises(AnalysisError, match=refused):
        markouts(*tables, horizons=[100])
    with pytest.raises(AnalysisError, match=refused):
        transfers(*tables, horizon=10)

    # the last quote marks the positions at the end, so there both agree
    until = day.trades().query("step <= @seldom['step'].max()")
    tables = until, seldom, day.agents(), day.instruments()
    all_quotes = until, quotes[quotes["step"] <= seldom["step"].max()], *tables[2:]
    pd.testing.assert_frame_equal(transfers(*tables), transfers(*all_quotes))
    pd.testing.assert_frame_equal(
        pnl(*tables, every=10_000), pnl(*all_quotes, every=10_000), check_exact=True
    )


def test_transfers_by_hand() -> None:
    matrix = transfers(*by_hand(), horizon=1)
    assert matrix.loc["makers", "takers"] == 3 * (102 - 98.5)
    assert transfers(*by_hand()).loc["takers", "makers"] == 3 * (104 - 102)


def by_hand() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return a purchase of three lots at 102, in step 0 of four."""
    trades = pd.DataFrame(
        {
            "step": [0],
            "instrument": "ACME",
            "price": 102,
            "quantity": 3,
            "aggressor_side": "buy",
            "taker_account": "t",
            "maker_account": "m",
        }
    )
    quotes = pd.DataFrame(
        {
            "step": range(4),
            "instrument": "ACME",
            "best_bid": [99, 98, 97, 103],
            "best_ask": [102, 99, 99, 105],
        }
    )
    agents = pd.DataFrame({"account": [0, 1], "name": ["t", "m"], "population": ["takers", "makers"]})
    instruments = pd.DataFrame(
        {
            "instrument": [0],
            "name": ["ACME"],
            "initial_price": [100],
            "multiplier": [1],
            "maker_fee_ppm": [0],
            "taker_fee_ppm": [10_000],
        }
    )
    return trades, quotes, agents, instruments


def test_horizons_must_be_whole_steps() -> None:
    for wrong in (-1, 2.5):
        with pytest.raises(
            AnalysisError, match=f"horizon={wrong} must be a whole number of steps, at least 0"
        ):
            attribution(*by_hand(), horizon=wrong)  # type: ignore[arg-type]
    with pytest.raises(AnalysisError, match="at least one horizon"):
        markouts(*by_hand(), horizons=())


def test_transfers_between_too_many_are_refused() -> None:
    trades, quotes, _, instruments = by_hand()
    many = pd.DataFrame({"account": range(7_100), "population": "p"})
    many["name"] = "p/" + many["account"].astype(str)
    with pytest.raises(AnalysisError, match=r'transfers between 7,100 agents .* give by="population"'):
        transfers(trades, quotes, many, instruments, by="agent")


def test_leaderboard_ranks_by_total_of_attribution(two_shares: simlab.Run) -> None:
    tables = two_shares.trades(), two_shares.quotes(), two_shares.agents(), two_shares.instruments()
    board = leaderboard(*tables).set_index("agent")
    parts = attribution(*tables, by="agent").set_index("agent")
    assert board["total"].tolist() == parts.loc[board.index, "total"].tolist()
    assert board["total"].is_monotonic_decreasing
