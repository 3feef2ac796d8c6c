"""Impact regressions on flows of known slope, order flow imbalance by hand, metaorders of known law."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import simlab
from simlab.analysis.quality import (
    kyle_lambda,
    metaorder_impact,
    metaorders,
    ofi,
    ofi_regression,
    trade_imbalance_regression,
)
from simlab.errors import AnalysisError

INSTRUMENTS = pd.DataFrame({"instrument": [0], "name": ["A"], "initial_price": [1000], "tick_size": [1]})
AGENTS = pd.DataFrame(
    {"account": [0, 1, 2], "name": ["x", "y", "z"], "population": ["big", "small", "small"]}
)


def _quotes(*rows: tuple[float, float, float, float]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["best_bid", "bid_depth", "best_ask", "ask_depth"])
    return table.assign(step=range(len(rows)), instrument=0)


def _linear_market(steps: int, slope: float, noise: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One trade a step whose signed volume moves the mid by `slope` a lot, and noise beside it."""
    rng = np.random.default_rng(seed)
    quantity = rng.integers(1, 20, steps)
    buy = rng.random(steps) < 0.5
    signed = np.where(buy, quantity, -quantity)
    mid = 1000 + np.cumsum(slope * signed + rng.normal(0, noise, steps))
    trades = pd.DataFrame({"step": range(steps), "instrument": 0, "quantity": quantity})
    trades["aggressor_side"] = np.where(buy, "buy", "sell")
    quotes = pd.DataFrame({"step": range(steps), "instrument": 0, "best_bid": mid - 1, "best_ask": mid + 1})
    return trades, quotes


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ((99, 5, 101, 4), (99, 8, 101, 4), 3),  # a bid comes in
        ((99, 5, 101, 4), (99, 5, 101, 1), 3),  # an ask is bought or withdrawn
        ((99, 5, 101, 4), (100, 2, 101, 4), 2),  # a better bid
        ((99, 5, 101, 4), (98, 7, 101, 4), -5),  # the best bid is gone
        ((99, 5, 101, 4), (99, 5, 100, 3), -3),  # a better ask
        ((99, 5, 101, 4), (99, 5, 102, 9), 4),  # the best ask is gone
        ((99, 5, 101, 4), (np.nan, np.nan, 101, 4), -5),  # no bid is left
        ((99, 5, np.nan, np.nan), (99, 5, 101, 4), -4),  # the first ask
        ((np.nan, np.nan, np.nan, np.nan), (np.nan, np.nan, np.nan, np.nan), 0),
    ],
)
def test_order_flow_imbalance_of_each_kind_of_change(before, after, expected: int) -> None:
    found = ofi(_quotes(before, after), INSTRUMENTS)

    assert found["ofi"].tolist() == [expected]
    assert found["step"].tolist() == [1]
    assert found["instrument"].tolist() == ["A"]


def test_order_flow_imbalance_in_batches_and_of_two_instruments(two_shares: simlab.Run) -> None:
    whole = ofi(two_shares.quotes(), two_shares.instruments())
    parts = ofi(two_shares.batches("quotes", rows=501), two_shares.instruments())

    pd.testing.assert_frame_equal(whole, parts)
    alone = ofi(two_shares.quotes(instrument="BOLT"), two_shares.instruments())
    both = whole[whole["instrument"] == "BOLT"].reset_index(drop=True)
    pd.testing.assert_frame_equal(both, alone)
    assert len(whole) == len(two_shares.quotes()) - 2


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_linear_impact_is_recovered(seed: int) -> None:
    trades, quotes = _linear_market(6_000, slope=0.05, noise=0.8, seed=seed)

    row = kyle_lambda(trades, quotes, INSTRUMENTS, interval=20).iloc[0]

    assert row["standard_error"] < 0.01
    assert abs(row["slope"] - 0.05) < 4 * row["standard_error"]
    assert row["low"] < row["slope"] < row["high"]
    assert row["observations"] == 299
    explained = 0.05**2 * 20 * 130 / (0.05**2 * 20 * 130 + 20 * 0.8**2)
    assert row["r2"] == pytest.approx(explained, abs=0.1)


def test_without_noise_the_regression_is_exact() -> None:
    trades, quotes = _linear_market(700, slope=0.25, noise=0.0, seed=0)

    row = trade_imbalance_regression(trades, quotes, INSTRUMENTS, interval=10).iloc[0]

    assert row["slope"] == pytest.approx(0.25)
    assert row["intercept"] == pytest.approx(0, abs=1e-9)
    assert row["r2"] == pytest.approx(1)


def test_the_stylised_book_of_the_paper_has_its_slope() -> None:
    """Every price holds `full` lots a side; lots come and go, and an empty price moves the best one."""
    rng, full, steps = np.random.default_rng(5), 5, 40_000
    bid_lots, ask_lots = (100 * full + rng.choice([-1, 1], steps).cumsum() for _ in range(2))
    quotes = pd.DataFrame({"step": range(steps), "instrument": 0})
    quotes["best_bid"], quotes["bid_depth"] = 1000 + bid_lots // full, bid_lots % full + 1
    quotes["best_ask"], quotes["ask_depth"] = 9000 - ask_lots // full, ask_lots % full + 1

    row = ofi_regression(quotes, INSTRUMENTS, interval=400).iloc[0]

    assert row["slope"] == pytest.approx(1 / (2 * full), rel=0.05)
    assert row["r2"] > 0.95
    assert row["mean_depth"] == pytest.approx(quotes[["bid_depth", "ask_depth"]].mean(axis=None))
    assert row["predicted_slope"] == pytest.approx(1 / (2 * row["mean_depth"]))


def test_in_a_run_order_flow_explains_more_than_trades(day: simlab.Run) -> None:
    flow = ofi_regression(day.quotes(), day.instruments()).iloc[0]
    trade = trade_imbalance_regression(day.trades(), day.quotes(), day.instruments()).iloc[0]

    assert 0 < trade["r2"] < flow["r2"] < 1
    assert flow["low"] > 0
    assert trade["low"] > 0
    assert flow["observations"] == trade["observations"] == 599


def test_regressions_in_batches(two_shares: simlab.Run) -> None:
    tables = two_shares.instruments()
    pd.testing.assert_frame_equal(
        ofi_regression(two_shares.quotes(), tables),
        ofi_regression(two_shares.batches("quotes", rows=301, names=False), tables),
        rtol=1e-9,
    )
    pd.testing.assert_frame_equal(
        kyle_lambda(two_shares.trades(), two_shares.quotes(), tables),
        kyle_lambda(two_shares.batches("trades", rows=97), two_shares.batches("quotes", rows=301), tables),
        rtol=1e-9,
    )


def test_regressions_refuse_too_little() -> None:
    trades, quotes = _linear_market(200, slope=0.05, noise=0.1, seed=0)

    with pytest.raises(AnalysisError, match="A: 19 intervals of 10 steps are too few"):
        kyle_lambda(trades, quotes, INSTRUMENTS, interval=10)
    with pytest.raises(AnalysisError, match="the order flow is the same in every interval"):
        kyle_lambda(trades[:0], quotes, INSTRUMENTS, interval=2)
    with pytest.raises(AnalysisError, match="the mid price is the same in every interval"):
        kyle_lambda(trades, quotes.assign(best_bid=9, best_ask=11), INSTRUMENTS, interval=2)
    with pytest.raises(AnalysisError, match="interval is 0 steps"):
        kyle_lambda(trades, quotes, INSTRUMENTS, interval=0)
    with pytest.raises(AnalysisError, match="quotes has no column 'bid_depth'"):
        ofi_regression(quotes, INSTRUMENTS)
    with pytest.raises(AnalysisError, match="there are no quotes"):
        ofi(quotes[:0].assign(bid_depth=0, ask_depth=0), INSTRUMENTS)


@pytest.mark.parametrize(("exponent", "seed"), [(0.5, 1), (0.5, 2), (1.0, 3), (0.25, 4)])
def test_power_law_of_metaorders_is_recovered(exponent: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    quantity = 10 ** rng.uniform(0.5, 3.5, 4_000)
    impact = 0.3 * quantity**exponent * (1 + rng.normal(0, 0.8, len(quantity)))

    curve, fits = metaorder_impact(
        pd.DataFrame({"quantity": quantity, "impact": impact}), bins=30, repetitions=100, seed=seed
    )

    assert fits["method"].tolist() == ["binned log-log", "least squares"]
    assert fits["exponent"].tolist() == pytest.approx([exponent] * 2, abs=0.06)
    assert fits["coefficient"].tolist() == pytest.approx([0.3] * 2, rel=0.35)
    assert (fits["low"] < fits["exponent"]).all()
    assert (fits["exponent"] < fits["high"]).all()
    assert curve["metaorders"].sum() == 4_000
    assert set(curve["metaorders"]) <= {133, 134}


def test_the_same_seed_gives_the_same_interval() -> None:
    rng = np.random.default_rng(0)
    orders = pd.DataFrame({"quantity": rng.integers(1, 100, 200)})
    orders["impact"] = np.sqrt(orders["quantity"]) + rng.normal(0, 2, 200)

    first, again = (metaorder_impact(orders, repetitions=50, seed=3).fits for _ in range(2))

    pd.testing.assert_frame_equal(first, again)
    assert not first["low"].equals(metaorder_impact(orders, repetitions=50, seed=4).fits["low"])


def test_impact_from_prices_scaled_by_volume_and_volatility() -> None:
    quantity = np.repeat([10.0, 40.0, 160.0, 640.0], 10)
    side = np.tile([1, -1], 20)
    orders = pd.DataFrame({"quantity": quantity, "side": side, "start_price": 500.0, "volume": 1000.0})
    orders["end_price"] = 500 + side * 6 * np.sqrt(quantity / 1000)
    orders["volatility"] = 3.0

    curve, fits = metaorder_impact(orders, repetitions=20)

    assert fits["exponent"].tolist() == pytest.approx([0.5, 0.5], abs=1e-4)
    assert fits["coefficient"].tolist() == pytest.approx([2, 2], rel=1e-3)
    assert curve["quantity"].tolist() == pytest.approx([0.01, 0.04, 0.16, 0.64])


def test_metaorder_impact_refuses_what_it_cannot_fit() -> None:
    orders = pd.DataFrame({"quantity": np.arange(1.0, 41), "impact": -1.0})

    with pytest.raises(AnalysisError, match="19 metaorders are too few"):
        metaorder_impact(orders[:19])
    with pytest.raises(AnalysisError, match="0 of 10 bins have a positive mean impact"):
        metaorder_impact(orders)
    with pytest.raises(AnalysisError, match="no column 'volatility'"):
        metaorder_impact(orders.assign(volume=1))
    with pytest.raises(AnalysisError, match="quantities must be above 0"):
        metaorder_impact(orders.assign(quantity=0))


def _fills(*rows: tuple[int, int, int, str, int, int]) -> pd.DataFrame:
    columns = ["step", "price", "quantity", "aggressor_side", "taker_account", "maker_account"]
    return pd.DataFrame(rows, columns=columns).assign(instrument=0)


def test_fills_are_grouped_into_metaorders() -> None:
    trades = _fills(
        (1, 101, 2, "buy", 0, 1),
        (3, 103, 2, "sell", 1, 0),  # account 0 buys on as a maker
        (4, 100, 7, "buy", 2, 1),  # somebody else
        (14, 105, 4, "buy", 0, 1),  # after a pause of 11 steps
        (15, 104, 1, "sell", 0, 1),  # the other side
    )
    steps = 20
    quotes = pd.DataFrame({"step": range(steps), "instrument": 0, "best_bid": 1000 + np.arange(steps)})
    quotes["best_ask"] = quotes["best_bid"] + 2

    found = metaorders(trades, quotes, AGENTS, INSTRUMENTS, populations=["big"], gap=10)

    assert found["side"].tolist() == [1, 1, -1]
    assert found["quantity"].tolist() == [4, 4, 1]
    assert found["fills"].tolist() == [2, 1, 1]
    assert found["average_price"].tolist() == [102, 105, 104]
    assert found["start_price"].tolist() == [1001, 1014, 1015]
    assert found["end_price"].tolist() == [1004, 1015, 1016]
    assert found["impact"].tolist() == [3, 1, -1]
    assert set(found["account"]) == {"x"}
    assert found["volume"].tolist() == [16] * 3
    longer = metaorders(trades, quotes, AGENTS, INSTRUMENTS, accounts=["x"], gap=11, period=5)
    assert longer["quantity"].tolist() == [8, 1]
    assert longer["volume"].tolist() == [4, 4]


def test_metaorders_of_a_run(day: simlab.Run) -> None:
    tables = day.agents(), day.instruments()
    whole = metaorders(day.trades(), day.quotes(), *tables, populations=["value", "noise"])
    parts = metaorders(
        day.batches("trades", rows=333, names=False), day.quotes(), *tables, populations=["value", "noise"]
    )

    pd.testing.assert_frame_equal(whole, parts)
    population = day.agents().set_index("name")["population"]
    trades = day.trades()
    of_them = sum(
        trades["quantity"][trades[role].map(population).isin(["value", "noise"])].sum()
        for role in ("taker_account", "maker_account")
    )
    assert whole["quantity"].sum() == of_them
    assert (whole["first_step"] <= whole["last_step"]).all()


def test_metaorders_names_what_it_does_not_know(day: simlab.Run) -> None:
    tables = day.trades(), day.quotes(), day.agents(), day.instruments()

    with pytest.raises(AnalysisError, match=r"no population 'values'; did you mean 'value'\?"):
        metaorders(*tables, populations=["values"])
    with pytest.raises(AnalysisError, match="no account is chosen"):
        metaorders(*tables)
    with pytest.raises(AnalysisError, match="none of the 5 chosen accounts traded"):
        metaorders(day.trades()[:0], *tables[1:], populations=["makers"])


def test_regressions_refuse_quotes_that_are_steps_apart(day: simlab.Run) -> None:
    quotes = day.quotes()
    seldom = quotes[quotes["step"] % 10 == 0]
    refused = r"quotes are 10 steps apart; .* recording\.quotes_every: 1"

    with pytest.raises(AnalysisError, match=refused):
        kyle_lambda(day.trades(), seldom, day.instruments())
    with pytest.raises(AnalysisError, match=refused):
        ofi_regression(seldom, day.instruments(), interval=100)
    with pytest.raises(AnalysisError, match=refused):
        metaorders(day.trades(), seldom, day.agents(), day.instruments(), populations=["makers"])


def test_sides_that_cannot_be_read_are_refused(day: simlab.Run) -> None:
    shouted = day.trades().assign(aggressor_side="SELL")
    wrong = "aggressor_side 'SELL' is neither 'buy' nor 'sell'"

    with pytest.raises(AnalysisError, match=wrong):
        kyle_lambda(shouted, day.quotes(), day.instruments())
    with pytest.raises(AnalysisError, match=wrong):
        metaorders(shouted, day.quotes(), day.agents(), day.instruments(), populations=["makers"])


def test_order_flow_refuses_quotes_out_of_order() -> None:
    quotes = _quotes((99, 5, 101, 4), (99, 8, 101, 4))

    for table in (quotes[::-1], [quotes[1:], quotes[:1]]):
        with pytest.raises(AnalysisError, match="not in order of steps: 0 follows 1"):
            ofi(table, INSTRUMENTS)
    with pytest.raises(AnalysisError, match="step -1 is negative"):
        ofi(quotes.assign(step=[-1, 0]), INSTRUMENTS)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"repetitions": 0}, "repetitions is 0; choose 1 or more"),
        ({"bins": 2}, "bins is 2; choose 3 or more"),
        ({"confidence": 2}, "confidence is 2; choose a share between 0 and 1"),
        ({"confidence": 1.0}, r"confidence is 1\.0"),
    ],
)
def test_parameters_of_impact_curves_out_of_range(parameters: dict[str, float], message: str) -> None:
    quantity = np.repeat([1.0, 4.0, 16.0, 64.0], 10)

    with pytest.raises(AnalysisError, match=message):
        metaorder_impact(pd.DataFrame({"quantity": quantity, "impact": quantity**0.5}), **parameters)


@pytest.mark.parametrize("parameters", [{"gap": -1}, {"period": 0}, {"gap": 0.5}])
def test_parameters_of_metaorders_out_of_range(day: simlab.Run, parameters: dict[str, float]) -> None:
    with pytest.raises(AnalysisError, match="must be a whole number of steps"):
        metaorders(
            day.trades(), day.quotes(), day.agents(), day.instruments(), populations=["makers"], **parameters
        )
