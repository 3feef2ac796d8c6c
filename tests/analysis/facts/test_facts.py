"""Each fact is shown by a series made to have it, and not by one made without."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

import simlab
from simlab.analysis import facts
from simlab.analysis.facts import NOT_ENOUGH, NOT_SHOWN, SHOWN, Evidence, OrderFlow, from_prices, from_returns
from simlab.analysis.facts.cards import FACTS
from simlab.analysis.statistics import Options
from simlab.errors import AnalysisError

FEW = Options(replications=100)
SEEDS = 40


def _noise(seed: int, n: int = 1_000) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n) * 0.01


def _garch(seed: int, n: int, leverage: float = 0.0, reaction: float = 0.12) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(n)
    returns, variance = np.zeros(n), 1.0
    for t in range(n):
        returns[t] = variance**0.5 * noise[t]
        weight = leverage * 2 * (returns[t] < 0) if leverage else reaction
        variance = 0.03 + weight * returns[t] ** 2 + 0.85 * variance
    return returns


def _flow(**fields: np.ndarray) -> Evidence:
    empty = {"signs": np.empty(0, np.int8), "sizes": np.empty(0, int), "net_volume": np.empty(0)}
    flow = OrderFlow(**(empty | {"mid_changes": np.empty(0)} | fields))
    return Evidence("orders", "1 step", _noise(0), flow=flow)


def test_white_noise_shows_nothing_but_absence_of_autocorrelation() -> None:
    verdicts = Counter(
        (find.__name__, find(from_returns(_noise(seed)), FEW).verdict)
        for seed in range(SEEDS)
        for find in (facts.absence_of_autocorrelation, facts.fat_tails, facts.volatility_clustering,
                     facts.clustering_of_squares, facts.slow_decay, facts.intermittency)
    )  # fmt: skip
    assert verdicts["absence_of_autocorrelation", SHOWN] >= SEEDS - 1
    for name in (
        "fat_tails",
        "volatility_clustering",
        "clustering_of_squares",
        "slow_decay",
        "intermittency",
    ):
        assert verdicts[name, NOT_SHOWN] >= SEEDS - 1, name


def test_white_noise_has_no_tail_and_no_asymmetry() -> None:
    shown = Counter(
        find.__name__
        for seed in range(10)
        for find in (facts.power_law_of_returns, facts.gain_loss_asymmetry, facts.aggregational_gaussianity,
                     facts.conditional_heavy_tails, facts.leverage_effect, facts.asymmetry_of_time_scales)
        if find(from_returns(_noise(seed, 2_000)), FEW).verdict != NOT_SHOWN
    )  # fmt: skip
    assert max(shown.values(), default=0) <= 1, shown


def test_an_autoregression_is_not_free_of_autocorrelation() -> None:
    for seed in range(5):
        noise, values = _noise(seed), np.zeros(1_000)
        for t in range(1, 1_000):
            values[t] = 0.3 * values[t - 1] + noise[t]
        found = facts.absence_of_autocorrelation(from_returns(values), FEW)
        assert found.verdict == NOT_SHOWN
        assert found.estimate == pytest.approx(0.3, abs=0.1)
        assert found.description.endswith("Lag 1.")


def test_student_returns_have_fat_tails_that_are_lost_in_sums() -> None:
    source = from_returns(np.random.default_rng(0).standard_t(4, 4_000))
    assert facts.fat_tails(source, FEW).verdict == SHOWN
    tail = facts.power_law_of_returns(source, FEW)
    assert tail.verdict == SHOWN
    assert tail.low < 3.4 < tail.high  # the exponent 4 is reached only far beyond the largest twentieth
    assert facts.aggregational_gaussianity(source, FEW).verdict == SHOWN
    assert facts.conditional_heavy_tails(source, FEW).verdict == SHOWN
    assert facts.volatility_clustering(source, FEW).verdict == NOT_SHOWN


def test_garch_returns_cluster_and_their_residuals_are_normal() -> None:
    source = from_returns(_garch(1, 4_000))
    found = [facts.volatility_clustering, facts.clustering_of_squares, facts.intermittency, facts.fat_tails]
    assert [find(source, FEW).verdict for find in found] == [SHOWN] * 4
    assert facts.conditional_heavy_tails(source, FEW).verdict == NOT_SHOWN
    assert facts.absence_of_autocorrelation(source, FEW).verdict == SHOWN
    assert facts.leverage_effect(source, FEW).verdict == NOT_SHOWN


def test_losses_that_raise_volatility_are_a_leverage_effect() -> None:
    assert facts.leverage_effect(from_returns(_garch(2, 4_000, leverage=0.12)), FEW).verdict == SHOWN


def test_crashes_are_a_gain_loss_asymmetry_and_rallies_are_not() -> None:
    returns = _noise(4, 3_000)
    returns[::50] -= 0.05
    assert facts.gain_loss_asymmetry(from_returns(returns), FEW).verdict == SHOWN
    assert facts.gain_loss_asymmetry(from_returns(-returns), FEW).verdict == NOT_SHOWN


def test_volume_goes_with_volatility_whatever_its_trend() -> None:
    returns = _noise(5, 2_000)
    trend = np.exp(np.arange(2_000) / 500)
    prices = np.exp(np.r_[0.0, returns.cumsum()])
    with_volume = from_prices(prices, np.r_[1.0, trend * (1 + 100 * np.abs(returns))])
    found = facts.volume_and_volatility(with_volume, FEW)
    assert found.verdict == SHOWN
    assert found.estimate > 0.8
    without = from_prices(prices, np.r_[1.0, trend * np.random.default_rng(6).uniform(1, 2, 2_000)])
    assert facts.volume_and_volatility(without, FEW).verdict == NOT_SHOWN


def _long_memory(d: float, n: int, seed: int) -> np.ndarray:
    """Return fractionally integrated noise, by its moving average."""
    lags = np.arange(1, n)
    weights = np.r_[1.0, np.cumprod((lags - 1 + d) / lags)]
    noise = np.random.default_rng(seed).standard_normal(2 * n)
    return np.fft.irfft(np.fft.rfft(noise, 4 * n) * np.fft.rfft(weights, 4 * n))[n : 2 * n]


def _split_orders(seed: int, n: int) -> np.ndarray:
    """Return signs of ten traders who split orders of ``P(length > x) = x^-1.5``: their exponent is 0.5."""
    rng = np.random.default_rng(seed)
    traders = 10
    lengths = np.floor(rng.random((traders, n)) ** (-1 / 1.5)).astype(int)
    sides = rng.choice(np.array([-1, 1], np.int8), (traders, n))
    signs = [np.repeat(side, np.minimum(length, n))[:n] for side, length in zip(sides, lengths, strict=True)]
    turn = rng.integers(traders, size=n)
    placed = np.zeros(traders, int)
    result = np.empty(n, np.int8)
    for k, trader in enumerate(turn):
        result[k] = signs[trader][placed[trader]]
        placed[trader] += 1
    return result


def _persistent_chain(seed: int, n: int, rho: float) -> np.ndarray:
    """Return signs of a Markov chain: their autocorrelation is ``rho^lag``, which is no long memory."""
    stays = np.random.default_rng(seed).random(n) < (1 + rho) / 2
    return np.cumprod(np.where(stays, 1, -1)).astype(np.int8)


def test_split_orders_have_signs_of_long_memory() -> None:
    found = [facts.memory_of_order_signs(_flow(signs=_split_orders(seed, 20_000)), FEW) for seed in range(6)]
    assert sum(finding.verdict == SHOWN for finding in found) >= 5
    assert np.mean([finding.estimate for finding in found]) == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize(("n", "rho", "most"), [(1_000, 0.9, 2), (2_000, 0.9, 1), (10_000, 0.8, 0)])
def test_signs_of_a_markov_chain_have_no_long_memory(n: int, rho: float, most: int) -> None:
    verdicts = [
        facts.memory_of_order_signs(_flow(signs=_persistent_chain(seed, n, rho)), FEW).verdict
        for seed in range(12)
    ]
    assert verdicts.count(SHOWN) <= most


@pytest.mark.parametrize(("n", "most"), [(1_000, 4), (5_000, 1)])
def test_volatility_of_a_garch_process_does_not_decay_slowly(n: int, most: int) -> None:
    verdicts = [
        facts.slow_decay(from_returns(_garch(seed, n, reaction=0.1)), FEW).verdict for seed in range(12)
    ]
    assert verdicts.count(SHOWN) <= most


def test_a_coin_has_no_memory_and_few_orders_do_not_tell() -> None:
    coin = np.random.default_rng(1).choice(np.array([-1, 1], np.int8), 8_192)
    found = facts.memory_of_order_signs(_flow(signs=coin), FEW)
    assert found.verdict == NOT_SHOWN
    assert "At the lowest n^0.4 frequencies it is" in found.description
    assert facts.memory_of_order_signs(_flow(signs=coin[:999]), FEW).verdict == NOT_ENOUGH


def test_slow_decay_estimates_the_exponent() -> None:
    n, held, shown = 32_768, 0, 0
    for seed in range(5):
        sides = np.random.default_rng(seed).choice([-1, 1], n)
        found = facts.slow_decay(from_returns(np.exp(0.7 * _long_memory(0.4, n, seed)) * sides), FEW)
        held += found.low < 1 - 2 * 0.4 < found.high
        shown += found.verdict == SHOWN
    assert held >= 4
    assert shown >= 4


def test_sizes_of_orders() -> None:
    rng = np.random.default_rng(0)
    pareto = np.rint(20 * (1 + rng.pareto(1.5, 5_000))).astype(int)
    found = facts.power_law_of_order_sizes(_flow(sizes=pareto), FEW)
    assert found.verdict == SHOWN
    assert found.estimate == pytest.approx(1.5, abs=0.3)
    normal = np.rint(rng.normal(1_000, 100, 5_000)).astype(int)
    assert facts.power_law_of_order_sizes(_flow(sizes=normal), FEW).verdict == NOT_SHOWN
    few = facts.power_law_of_order_sizes(_flow(sizes=rng.integers(1, 20, 5_000)), FEW)
    assert few.verdict == NOT_ENOUGH
    assert "distinct values" in few.description


@pytest.mark.parametrize("exponent", [1.5, 2.0, 2.5])
def test_sizes_of_whole_lots_have_the_exponent_of_the_amounts(exponent: float) -> None:
    held = 0
    for seed in range(5):
        lots = np.floor(np.random.default_rng(seed).random(30_000) ** (-1 / exponent)).astype(int)
        found = facts.power_law_of_order_sizes(_flow(sizes=lots), FEW)
        assert found.verdict == SHOWN
        assert found.high - found.low < 0.5
        held += found.low < exponent < found.high
    assert held >= 4


def test_sizes_without_a_power_law() -> None:
    sizes = np.random.default_rng(0).geometric(0.03, 50_000)
    found = facts.power_law_of_order_sizes(_flow(sizes=sizes), FEW)
    assert found.verdict == NOT_SHOWN
    assert found.description.endswith("Exponential fits better.")


def test_one_move_in_a_quiet_series_leaves_a_whole_card() -> None:
    prices = np.full(1_000, 100.0)
    prices[500] = 101
    table = facts.card(from_prices(prices)).set_index("fact")
    assert len(table) == len(FACTS)
    assert table.loc["volatility clustering", "verdict"] == NOT_ENOUGH
    reason = r"The statistic is undefined in \d+ of 500 bootstrap samples, for hardly anything varies"
    assert table["description"].str.match(reason).sum() >= 3


def test_arrivals() -> None:
    rng = np.random.default_rng(0)
    assert facts.order_clustering(_flow(orders=rng.poisson(5, 2_000) * 1.0), FEW).verdict == NOT_SHOWN
    bursts = rng.poisson(5 * rng.gamma(2, 0.5, 2_000)) * 1.0
    assert facts.order_clustering(_flow(orders=bursts), FEW).verdict == SHOWN
    assert facts.dispersed_waiting_times(_flow(waiting=rng.geometric(0.1, 3_000)), FEW).verdict == NOT_SHOWN
    weibull = 1 + np.floor(10 * rng.weibull(0.6, 3_000)).astype(int)
    assert facts.dispersed_waiting_times(_flow(waiting=weibull), FEW).verdict == SHOWN
    busy = facts.dispersed_waiting_times(_flow(waiting=np.r_[np.ones(990, int), 2 * np.ones(10, int)]), FEW)
    assert busy.verdict == NOT_ENOUGH


def test_volume_of_a_gamma_is_skewed_and_of_a_poisson_is_not() -> None:
    rng = np.random.default_rng(0)
    prices = np.exp(np.r_[0.0, _noise(0, 3_000).cumsum()])
    gamma = facts.skewed_volume(from_prices(prices, rng.gamma(2, 10, 3_001)), FEW)
    assert gamma.verdict == SHOWN
    assert gamma.estimate == pytest.approx(1.0, abs=0.2)
    poisson = facts.skewed_volume(from_prices(prices, rng.poisson(5, 3_001)), FEW)
    assert poisson.verdict == NOT_SHOWN


@pytest.mark.parametrize(("power", "verdict"), [(0.5, SHOWN), (1.0, NOT_SHOWN), (1.6, NOT_SHOWN)])
def test_impact_power(power: float, verdict: str) -> None:
    rng = np.random.default_rng(0)
    net = np.rint(rng.pareto(2.0, 4_000) * 10) * rng.choice([-1, 1], 4_000)
    changes = np.sign(net) * np.abs(net) ** power + rng.standard_normal(4_000)
    found = facts.concave_impact(_flow(net_volume=net, mid_changes=changes), FEW)
    assert found.estimate == pytest.approx(power, abs=0.1)
    assert found.verdict == verdict


def test_prices_that_fall_when_they_are_bought_are_no_concave_impact() -> None:
    rng = np.random.default_rng(0)
    net = np.rint(rng.pareto(2.0, 4_000) * 10) * rng.choice([-1, 1], 4_000)
    changes = -np.sign(net) * np.abs(net) ** 0.5
    assert facts.concave_impact(_flow(net_volume=net, mid_changes=changes), FEW).verdict == NOT_SHOWN


@pytest.mark.parametrize(
    ("returns", "told"),
    [(_noise(0, 100), "100 returns, and 250 are needed"), (np.zeros(500), "All returns are the same")],
)
def test_too_little_data_is_said(returns: np.ndarray, told: str) -> None:
    found = facts.fat_tails(from_returns(returns))
    assert found.verdict == NOT_ENOUGH
    assert found.description.startswith(told)
    assert np.isnan(found.estimate)


def test_what_a_source_lacks_is_said() -> None:
    table = facts.card(from_returns(_noise(0)), replications=100).set_index("fact")
    assert table.loc["memory of order signs", "description"].startswith("The source is returns only")
    prices = from_prices(np.exp(_noise(0)))
    assert facts.memory_of_order_signs(prices).description.startswith("Needs orders and trades")
    assert facts.volume_and_volatility(prices).description.startswith("The source has no volume")
    assert facts.order_clustering(_flow()).description.startswith("Needs messages")


def test_the_card_of_a_run_is_whole_and_the_same_every_time(day: simlab.Run) -> None:
    table = facts.card(day, replications=100)
    pd.testing.assert_frame_equal(table, facts.card(day, replications=100))
    assert list(table.columns) == ["fact", "estimate", "low", "high", "verdict", "unit", "description"]
    assert table["fact"].is_unique
    known = table[table["verdict"] != NOT_ENOUGH]
    assert len(known) > 10
    assert (known["low"] <= known["high"]).all()
    assert table.loc[table["verdict"] == NOT_ENOUGH, ["estimate", "low", "high"]].isna().all(axis=None)
    assert table.attrs["source"] == day.path.name
    assert table.attrs["interval"].endswith("steps")


def test_tables_of_a_run_give_the_card_of_the_run(day: simlab.Run) -> None:
    source = facts.from_tables(quotes=day.quotes(), trades=day.trades(), messages=day.messages())
    pd.testing.assert_frame_equal(
        facts.card(source, replications=100), facts.card(day.path, replications=100)
    )


def test_an_unfinished_run_is_called_so_with_the_step_it_reaches(killed: simlab.Run) -> None:
    table = facts.card(killed, replications=50)
    assert table.attrs["notes"] == [f"the run is {killed.status}"]
    assert "recorded to step 4,000 of 6,000" in killed.status
    assert table.attrs["returns"] == (4_000 - 1) // int(table.attrs["interval"].split()[0])
    assert not facts.card(from_returns(_noise(0)), replications=50).attrs["notes"]


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_the_command_says_that_a_run_is_unfinished(killed: simlab.Run, options: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "simlab.cli", "facts", str(killed.path), *options],
        capture_output=True,
        text=True,
        check=True,
    )
    said = done.stderr if options else done.stdout
    assert "recorded to step 4,000 of 6,000" in " ".join(said.split())


def test_a_note_that_is_not_of_all_instruments_names_them(two_shares: simlab.Run, tmp_path: Path) -> None:
    folder = shutil.copytree(two_shares.path, tmp_path / "one_sided")
    bolt = int(two_shares.instruments().set_index("name").loc["BOLT", "instrument"])
    for file in (folder / "quotes").glob("*.parquet"):
        table = pq.read_table(file)
        hidden = pc.if_else(pc.equal(table["instrument"], bolt), None, table["best_bid"])
        place = table.schema.get_field_index("best_bid")
        pq.write_table(table.set_column(place, table.schema.field(place), hidden), file)
    notes = facts.card(simlab.open(folder), replications=50).attrs["notes"]
    assert notes == ["BOLT: prices are those of trades, for no two quotes have both sides"]


def test_a_run_of_two_shares_has_a_card_of_each(two_shares: simlab.Run) -> None:
    table = facts.card(two_shares, replications=50)
    assert table["instrument"].unique().tolist() == ["ACME", "BOLT"]
    one = facts.card(two_shares, instrument="BOLT", replications=50)
    both = table[table["instrument"] == "BOLT"].drop(columns="instrument").reset_index(drop=True)
    pd.testing.assert_frame_equal(both, one)


def test_options_of_runs_are_refused_for_prices(tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match="instrument and every are for runs"):
        facts.card(from_returns(_noise(0)), every=10)
    with pytest.raises(simlab.RecordingError, match="is not a run"):
        facts.card(tmp_path / "nowhere")
    with pytest.raises(AnalysisError, match="there is no file"):
        facts.card(tmp_path / "nowhere.csv")
