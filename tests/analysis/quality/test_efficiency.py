"""Efficiency on processes whose answer is known, gains from trade by hand, recovery after a made shock."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import simlab
from simlab.analysis.quality import (
    allocative_efficiency,
    efficiency,
    equilibrium,
    resilience,
    signature_plot,
    smiths_alpha,
    variance_ratio,
)
from simlab.analysis.tables import Mids
from simlab.errors import AnalysisError

INSTRUMENTS = pd.DataFrame({"instrument": [0], "name": ["A"], "initial_price": [1000], "tick_size": [1]})


def _walk(seed: int, count: int = 20_000) -> np.ndarray:
    return 1000 * np.exp(np.random.default_rng(seed).normal(0, 1e-4, count).cumsum())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_random_walk_has_variance_ratio_1_and_a_flat_signature(seed: int) -> None:
    ratios = variance_ratio(_walk(seed))
    signature = signature_plot(_walk(seed), intervals=[1, 2, 10, 50])

    assert ratios["ratio"].tolist() == pytest.approx([1] * 4, abs=0.15)
    assert (ratios["z"].abs() < 3).all()
    assert signature["ratio"].tolist() == pytest.approx([1] * 4, abs=0.15)
    assert signature["realised_variance"].iloc[0] == pytest.approx((1000 * 1e-4) ** 2, rel=0.2)


def test_bounce_lowers_and_trend_raises_both() -> None:
    rng = np.random.default_rng(7)
    bounce = _walk(7) + rng.choice([-0.2, 0.2], 20_000)
    trend = pd.Series(_walk(8)).rolling(20).mean().dropna().to_numpy()

    for prices, sign in ((bounce, -1), (trend, 1)):
        ratios, signature = variance_ratio(prices, lags=[2, 10]), signature_plot(prices, intervals=[1, 10])
        assert (sign * (ratios["ratio"] - 1) > 0.1).all()
        assert (sign * ratios["z"] > 5).all()
        assert (ratios["p_value"] < 1e-6).all()
        assert sign * (signature["ratio"].iloc[1] - 1) > 0.1


def test_variance_ratio_of_alternating_prices_by_hand() -> None:
    """Two-step returns of a price that goes up and down are 0, so the ratio is 0."""
    assert variance_ratio([100.0, 101.0] * 200, lags=[2])["ratio"].item() == pytest.approx(0, abs=0.01)


def test_prices_must_be_usable() -> None:
    walk = _walk(1, 100)

    with pytest.raises(AnalysisError, match=r"price 3 is nan"):
        variance_ratio(np.where(np.arange(100) == 3, np.nan, walk))
    with pytest.raises(AnalysisError, match="prices reach -1"):
        variance_ratio(np.append(walk, -1))
    with pytest.raises(AnalysisError, match="the price never changes"):
        variance_ratio(np.full(100, 5.0))
    with pytest.raises(AnalysisError, match="lag 100 does not fit 100 prices"):
        variance_ratio(walk, lags=[100])
    with pytest.raises(AnalysisError, match=r"prices have shape \(29,\)"):
        signature_plot(walk[:29])
    with pytest.raises(AnalysisError, match="interval 0 does not fit"):
        signature_plot(walk, intervals=[0])
    with pytest.raises(AnalysisError, match="never changes over the shortest interval"):
        signature_plot([100.0, 101.0] * 20, intervals=[2, 3])


def _tracking(phi: float, count: int = 40_000) -> pd.DataFrame:
    """Quotes whose mid follows a fundamental with an AR(1) error of standard deviation 1 a step."""
    rng = np.random.default_rng(11)
    error = np.zeros(count)
    shocks = rng.normal(0, 1, count)
    for step in range(1, count):
        error[step] = phi * error[step - 1] + shocks[step]
    fundamental = 1000 + rng.normal(0, 0.5, count).cumsum()
    mid = fundamental + error
    quotes = pd.DataFrame({"step": range(count), "instrument": 0, "best_bid": mid - 1, "best_ask": mid + 1})
    return quotes.assign(fundamental=fundamental)


def test_the_error_of_an_autoregression_is_measured() -> None:
    row = efficiency(_tracking(phi=0.9), INSTRUMENTS, interval=200).iloc[0]

    deviation = 1 / np.sqrt(1 - 0.9**2)
    assert row["rmse"] == pytest.approx(deviation, rel=0.05)
    assert row["mean_absolute_error"] == pytest.approx(deviation * np.sqrt(2 / np.pi), rel=0.05)
    assert row["bias"] == pytest.approx(0, abs=0.2)
    assert row["phi"] == pytest.approx(0.9, abs=0.01)
    assert row["half_life"] == pytest.approx(np.log(0.5) / np.log(0.9), rel=0.1)
    shared, own = 0.25 * 200, 2 * deviation**2
    assert row["return_correlation"] == pytest.approx(np.sqrt(shared / (shared + own)), abs=0.05)


def test_relative_error_and_bias_by_hand() -> None:
    rng = np.random.default_rng(0)
    fundamental = 1000 + rng.normal(0, 1, 60).cumsum()
    quotes = pd.DataFrame({"step": range(60), "instrument": 0, "fundamental": fundamental})
    quotes = quotes.assign(best_bid=1.01 * fundamental - 3, best_ask=1.01 * fundamental + 3)

    row = efficiency(quotes, INSTRUMENTS, interval=1).iloc[0]

    assert row["relative_error"] == pytest.approx(100)
    assert row["bias"] == pytest.approx(0.01 * fundamental.mean())
    assert row["return_correlation"] == pytest.approx(1)


def test_half_life_counts_steps_where_quotes_are_sparse() -> None:
    every = efficiency(_tracking(phi=0.98), INSTRUMENTS).iloc[0]
    third = efficiency(_tracking(phi=0.98).iloc[2::3], INSTRUMENTS, interval=30).iloc[0]

    assert third["half_life"] == pytest.approx(every["half_life"], rel=0.1)
    assert third["observations"] * 3 == pytest.approx(every["observations"], abs=3)


def test_efficiency_in_batches_skips_one_sided_quotes(two_shares: simlab.Run) -> None:
    quotes = two_shares.quotes()
    quotes["best_bid"] = quotes["best_bid"].mask(quotes["step"] == 700)

    whole = efficiency(quotes, two_shares.instruments())
    parts = efficiency(
        [quotes[start : start + 333] for start in range(0, len(quotes), 333)], two_shares.instruments()
    )

    pd.testing.assert_frame_equal(whole, parts, rtol=1e-9)
    known = quotes.dropna(subset=["best_bid", "best_ask"])
    error = (known["best_bid"] + known["best_ask"]) / 2 - known["fundamental"]
    expected = (error**2).groupby(known["instrument"], observed=True).mean() ** 0.5
    assert whole["rmse"].tolist() == pytest.approx(expected.tolist())


def test_efficiency_needs_a_fundamental() -> None:
    quotes = _tracking(0.5, 100)

    with pytest.raises(AnalysisError, match="A: 0 quotes have both sides and a fundamental"):
        efficiency(quotes.assign(fundamental=np.nan), INSTRUMENTS)
    with pytest.raises(AnalysisError, match="A: 9 changes over 10 steps are too few"):
        efficiency(quotes, INSTRUMENTS)
    with pytest.raises(AnalysisError, match="there are no quotes"):
        efficiency(quotes[:0], INSTRUMENTS)


def _values(demand: list[float], supply: list[float]) -> pd.DataFrame:
    """One buyer and one seller for each value, with one unit each."""
    buyers = [(f"b{place}", "buy", 0, value) for place, value in enumerate(demand)]
    sellers = [(f"s{place}", "sell", 0, value) for place, value in enumerate(supply)]
    return pd.DataFrame(buyers + sellers, columns=["account", "side", "unit", "value"])


def _trades(*pairs: tuple[str, str, int]) -> pd.DataFrame:
    """Buyer, seller, quantity; the buyer is the aggressor."""
    table = pd.DataFrame(pairs, columns=["taker_account", "maker_account", "quantity"])
    return table.assign(aggressor_side="buy")


@pytest.mark.parametrize(
    ("demand", "supply", "expected"),
    [
        ([10, 8, 6, 4], [3, 5, 7, 9], (2, 6, 7, 6.5, 10)),
        ([10, 8], [3, 5], (2, 5, 8, 6.5, 10)),  # all trade: the last units bound the price
        ([10], [3, 5, 7], (1, 3, 5, 4, 7)),
        ([5, 5, 5], [5, 5], (2, 5, 5, 5, 0)),  # a trade without gain is a trade
        ([4], [6], (0, 4, 6, 5, 0)),
    ],
)
def test_equilibrium_of_small_schedules(demand, supply, expected) -> None:
    row = equilibrium(_values(demand, supply)).iloc[0]

    assert tuple(row[["quantity", "low", "high", "price", "surplus"]]) == expected


def test_equilibrium_without_sellers_has_no_price() -> None:
    row = equilibrium(_values([4], [])).iloc[0]

    assert row["quantity"] == 0
    assert row["high"] == np.inf
    assert np.isnan(row["price"])


def test_efficiency_of_perfect_poor_and_harmful_trade() -> None:
    values = _values([10, 8, 6], [3, 5, 9])

    def of(*pairs: tuple[str, str, int]) -> float:
        return float(allocative_efficiency(_trades(*pairs), values)["efficiency"].item())

    assert of(("b1", "s0", 1), ("b0", "s1", 1)) == 1  # who trades with whom does not matter
    assert of(("b0", "s0", 1)) == 0.7
    assert of(("b2", "s0", 1), ("b0", "s1", 1)) == 0.8  # an extra-marginal buyer displaces another
    assert of(("b2", "s2", 1)) == -0.3
    assert of() == 0


def test_units_are_used_in_order_and_by_side() -> None:
    values = pd.DataFrame(
        [("b", "buy", 0, 10), ("b", "buy", 1, 8), ("s", "sell", 0, 3), ("s", "sell", 1, 5)],
        columns=["account", "side", "unit", "value"],
    )
    sold = pd.DataFrame({"taker_account": ["s"], "maker_account": ["b"], "quantity": [1]})

    one = allocative_efficiency(sold.assign(aggressor_side="sell"), values).iloc[0]
    two = allocative_efficiency(_trades(("b", "s", 2)), values).iloc[0]

    assert (one["realised"], one["volume"], one["surplus"]) == (7, 1, 10)
    assert (two["realised"], two["volume"], two["efficiency"]) == (10, 2, 1)
    with pytest.raises(AnalysisError, match=r"account 'b' bought its unit 2 in period 0"):
        allocative_efficiency(_trades(("b", "s", 3)), values)


def test_periods_start_with_fresh_units() -> None:
    values = pd.concat([_values([10], [4]).assign(period=day) for day in (1, 2, 3)], ignore_index=True)
    values.loc[values["period"] == 3, "value"] *= 2
    trades = _trades(("b0", "s0", 1), ("b0", "s0", 1)).assign(period=[1, 3])

    table = allocative_efficiency([trades[:1], trades[1:]], values)

    assert table["period"].tolist() == [1, 2, 3]
    assert table["surplus"].tolist() == [6, 6, 12]
    assert table["efficiency"].tolist() == [1, 0, 1]


def test_values_are_checked() -> None:
    values = _values([10], [4])

    with pytest.raises(AnalysisError, match="side 'bid' is not one of buy, sell"):
        equilibrium(values.assign(side="bid"))
    with pytest.raises(AnalysisError, match="do not count 0, 1"):
        equilibrium(values.assign(unit=1))
    with pytest.raises(AnalysisError, match="a value is missing"):
        equilibrium(values.assign(value=np.nan))
    with pytest.raises(AnalysisError, match="no gains from trade"):
        allocative_efficiency(_trades(("b0", "s0", 1)), _values([4], [10]))
    with pytest.raises(AnalysisError, match="trades are of 2 instruments"):
        allocative_efficiency(_trades(("b0", "s0", 1), ("b0", "s0", 1)).assign(instrument=[0, 1]), values)
    with pytest.raises(AnalysisError, match="trades has no column 'period'"):
        allocative_efficiency(_trades(("b0", "s0", 1)), values.assign(period=1))


def test_smiths_alpha() -> None:
    assert smiths_alpha([200.0, 200.0], 200) == 0
    assert smiths_alpha([190, 210, 200, 200], 200) == pytest.approx(100 * np.sqrt(50) / 200)
    with pytest.raises(AnalysisError, match="no trade prices"):
        smiths_alpha([], 200)
    with pytest.raises(AnalysisError, match="the equilibrium price is nan"):
        smiths_alpha([100], np.nan)


def _shocked(out: slice, **columns: object) -> pd.DataFrame:
    quotes = pd.DataFrame({"step": range(300), "instrument": 0, "best_bid": 999.0, "best_ask": 1001.0})
    quotes = quotes.assign(bid_depth=20.0, ask_depth=30.0)
    for name, value in columns.items():
        quotes.loc[out, name] = value
    return quotes


def test_recovery_is_counted_from_the_shock() -> None:
    table = resilience(_shocked(slice(100, 139), best_bid=980.0, bid_depth=2.0), INSTRUMENTS, 100)
    table = table.set_index("measure")

    assert table["recovery"].to_dict() == {"spread": 40, "depth": 40, "mid": 40}
    assert table["left"].all()
    assert not table["censored"].any()
    assert table["extreme"].to_dict() == {"spread": 21, "depth": 32, "mid": 990.5}
    assert table.loc["depth", ["level", "low", "high"]].tolist() == [50, 49, 51]


def test_a_short_visit_to_the_band_is_no_recovery() -> None:
    quotes = _shocked(slice(100, 139), best_bid=980.0)
    quotes.loc[110:114, "best_bid"] = 999.0

    held = resilience(quotes, INSTRUMENTS, 100, hold=10).set_index("measure")["recovery"]
    visited = resilience(quotes, INSTRUMENTS, 100, hold=5).set_index("measure")["recovery"]

    assert (held["mid"], visited["mid"]) == (40, 10)


def test_what_never_returns_is_censored_and_an_empty_side_is_outside() -> None:
    quotes = _shocked(slice(102, 299), best_ask=np.nan, ask_depth=np.nan)

    table = resilience(quotes, INSTRUMENTS, 100, horizon=150).set_index("measure")

    assert table["censored"].all()
    assert set(table["recovery"]) == {150}
    assert table.loc["depth", "extreme"] == 20


def test_what_does_not_react_has_not_left() -> None:
    table = resilience(_shocked(slice(150, 160), best_bid=900.0), INSTRUMENTS, 100, reaction=10)

    assert not table["left"].any()
    assert set(table["recovery"]) == {0}


def test_resilience_needs_quotes_around_the_shock() -> None:
    with pytest.raises(AnalysisError, match="A has 0 quotes before step 0"):
        resilience(_shocked(slice(0, 0)), INSTRUMENTS, 0)
    with pytest.raises(AnalysisError, match="no quotes around step 900"):
        resilience(_shocked(slice(0, 0)), INSTRUMENTS, 900)


def test_mids_of_a_run_go_through_both_series_measures(day: simlab.Run) -> None:
    mids = Mids(day.quotes(), day.instruments()).series(0)

    assert np.isfinite(variance_ratio(mids)).all(axis=None)
    signature = signature_plot(mids)
    assert signature["interval"].is_monotonic_increasing
    assert (signature["realised_variance"] > 0).all()


def test_a_sampled_walk_is_tested_at_the_quotes_and_not_between_them() -> None:
    """Carried forward to every step, a random walk sampled every 10 steps would look like one of lag 10."""
    walk = np.round(1e6 + 100 * np.random.default_rng(4).standard_normal(20_000).cumsum())
    table = pd.DataFrame({"instrument": [0], "name": ["A"], "initial_price": [10**6]})
    quotes = pd.DataFrame(
        {"step": range(20_000), "instrument": 0, "best_bid": walk - 1, "best_ask": walk + 1}
    )
    mids = Mids(quotes[quotes["step"] % 10 == 0], table)

    assert mids.sampled(0).tolist() == walk[::10].tolist()
    assert (variance_ratio(mids.sampled(0))["z"].abs() < 3).all()
    with pytest.raises(AnalysisError, match="quotes are 10 steps apart"):
        mids.series(0)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"hold": 0}, "hold=0 must be a whole number of steps, at least 1"),
        ({"before": 1}, "before=1 must be"),
        ({"reaction": -1}, "reaction=-1 must be"),
        ({"horizon": -1}, "horizon=-1 must be"),
        ({"width": -1.0}, r"width is -1\.0 standard deviations"),
        ({"width": np.nan}, "width is nan"),
    ],
)
def test_parameters_of_resilience_out_of_range(
    day: simlab.Run, parameters: dict[str, float], message: str
) -> None:
    with pytest.raises(AnalysisError, match=message):
        resilience(day.quotes(), day.instruments(), 1_000, **parameters)


def test_resilience_refuses_quotes_that_are_steps_apart(day: simlab.Run) -> None:
    quotes = day.quotes()

    with pytest.raises(AnalysisError, match=r"quotes are 10 steps apart; .* recording\.quotes_every: 1"):
        resilience(quotes[quotes["step"] % 10 == 0], day.instruments(), 1_000)


def test_pricing_errors_refuse_quotes_out_of_order(day: simlab.Run) -> None:
    with pytest.raises(AnalysisError, match="not in order of steps"):
        efficiency(day.quotes()[::-1], day.instruments())


def test_allocation_refuses_sides_it_does_not_know() -> None:
    values = pd.DataFrame({"account": ["b", "s"], "side": ["buy", "sell"], "unit": 0, "value": [10, 3]})
    trades = pd.DataFrame({"quantity": [1], "aggressor_side": ["Buy"], "taker_account": ["b"]})

    with pytest.raises(AnalysisError, match="aggressor_side 'Buy' is neither 'buy' nor 'sell'"):
        allocative_efficiency(trades.assign(maker_account="s"), values)
