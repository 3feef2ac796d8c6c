"""Comparisons: treatments found, seeds paired, figures checked against scipy, and no ranking on one seed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests

import simlab
from simlab.analysis.compare import NO_DIFFERENCE, ONE_SEED, compare, run_measures, warmup
from simlab.analysis.compare.treatments import _difference_labels
from simlab.errors import AnalysisError

CONFIG = Path(__file__).parents[3] / "configs" / "quickstart.yaml"
SEEDS = tuple(range(1, 9))
MAKERS = "populations.makers.count"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[int, int], simlab.Run]:
    """Return runs by number of market makers and seed."""
    out = tmp_path_factory.mktemp("runs")
    return {
        (makers, seed): simlab.run(CONFIG, steps=1_500, seed=seed, set=[f"{MAKERS}={makers}"], out=out)
        for makers in (5, 1)
        for seed in SEEDS
    }


def test_runs_of_one_configuration_are_a_treatment_paired_by_seed(runs: dict) -> None:
    table = compare(list(runs.values()))
    assert set(table["a"]) == {f"{MAKERS}=5"}
    assert set(table["b"]) == {f"{MAKERS}=1"}
    assert table.attrs["treatments"] == {f"{MAKERS}=5": {MAKERS: 5}, f"{MAKERS}=1": {MAKERS: 1}}
    assert table["paired"].all()
    row = table.set_index("measure").loc["spread"]
    spreads = {makers: [run_measures(runs[makers, seed])["spread"] for seed in SEEDS] for makers in (5, 1)}
    test = stats.ttest_rel(spreads[1], spreads[5])
    interval = test.confidence_interval(0.95)
    assert row["p"] == pytest.approx(test.pvalue)
    assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high))
    assert table.set_index("measure").loc["depth", "verdict"] == f"{MAKERS}=5 is higher"
    assert row["unit"] == "price units"


def test_p_values_are_corrected_over_all_rows(runs: dict) -> None:
    table = compare(list(runs.values()))
    tested = table[table["p"].notna()]
    assert len(tested) >= 7
    np.testing.assert_allclose(tested["p_holm"], multipletests(tested["p"], method="holm")[1])
    shown = table["verdict"] != NO_DIFFERENCE
    assert (shown == (table["p_holm"] < 0.05)).all()
    assert (table["p"] < 0.05).sum() > shown.sum() > 0


def test_other_seeds_are_not_paired(runs: dict) -> None:
    groups = {"many": [runs[5, 1], runs[5, 2], runs[5, 3]], "few": [runs[1, 2], runs[1, 3], runs[1, 4]]}
    table = compare(groups).set_index("measure")
    assert not table["paired"].any()
    assert set(table["effect_kind"]) == {"g"}
    spreads = [[run_measures(run)["spread"] for run in group] for group in groups.values()]
    test = stats.ttest_ind(spreads[1], spreads[0], equal_var=False)
    assert table.loc["spread", "p"] == pytest.approx(test.pvalue)


def test_one_seed_is_never_ranked(runs: dict) -> None:
    table = compare([runs[5, 1], runs[1, 1]])
    assert set(table["verdict"]) == {ONE_SEED}
    assert table["difference"].notna().all()
    assert table[["low", "high", "effect", "p", "p_holm"]].isna().all(axis=None)
    uneven = compare([runs[5, 1], runs[5, 2], runs[1, 1]])
    assert set(uneven["verdict"]) == {ONE_SEED}


def test_one_seed_is_not_ranked_among_others_that_are(runs: dict) -> None:
    table = compare({"a": [runs[5, 1], runs[5, 2]], "b": [runs[1, 1]], "c": [runs[1, 1], runs[1, 2]]})
    verdicts = table.groupby("b")["verdict"].agg(set)
    assert verdicts["b"] == {ONE_SEED}
    assert ONE_SEED not in verdicts["c"]


def test_equal_measures_show_no_difference_and_constant_ones_cannot_be_ranked(runs: dict) -> None:
    def measure(run: simlab.Run) -> dict[str, float]:
        makers = float(run.config["populations"]["makers"]["count"])
        return {"constant": 1.0, "makers": makers, "only with many": makers} if makers > 1 else {
            "constant": 1.0, "makers": makers,
        }  # fmt: skip

    table = compare(list(runs.values()), measures=measure).set_index("measure")
    assert table.loc["constant", "verdict"] == NO_DIFFERENCE
    assert table.loc["makers", "verdict"] == "no variation between seeds: cannot rank"
    assert table.loc["makers", "difference"] == -4.0
    assert table.loc["only with many", "verdict"] == "not measured in b"


def test_names_label_treatments_where_they_tell(runs: dict, tmp_path: Path) -> None:
    other = simlab.run(CONFIG, steps=1_500, set=["name=thin", f"{MAKERS}=1"], out=tmp_path)
    table = compare([runs[5, 1], other])
    assert (table["a"][0], table["b"][0]) == ("quickstart", "thin")


def test_the_warm_up_is_left_out(runs: dict) -> None:
    pair = [runs[5, 1], runs[1, 1]]
    table = compare(pair, warmup=500)
    assert table.attrs["warmup"] == 500
    whole, later = (run_measures(runs[5, 1], steps) for steps in (0, 500))
    quotes = runs[5, 1].quotes(steps=(500, None))
    assert later["spread"] == pytest.approx((quotes["best_ask"] - quotes["best_bid"]).mean())
    pnl = runs[5, 1].pnl(every=500)
    makers = pnl[pnl["population"] == "makers"].set_index("step")["total"]
    assert later["P&L makers"] == makers[1_499] - makers[499]
    assert whole["P&L makers"] == makers[1_499]


def test_the_longest_warm_up_of_all_runs_is_taken(runs: dict) -> None:
    settled = [run for run in runs.values() if warmup(run)["steps"].notna().all()]
    groups = {
        makers: [run for run in settled if run.config["populations"]["makers"]["count"] == makers]
        for makers in (5, 1)
    }
    pair = [group[0] for group in groups.values()]
    found = [int(warmup(run)["steps"].max()) for run in pair]
    assert found[0] != found[1]
    table = compare(pair, warmup="auto")
    assert table.attrs["warmup"] == sorted(found)[-1]
    spreads = table.set_index("measure").loc["spread", ["mean_a", "mean_b"]]
    for run, mean in zip(pair, spreads, strict=True):
        quotes = run.quotes(steps=(sorted(found)[-1], None))
        assert mean == pytest.approx((quotes["best_ask"] - quotes["best_bid"]).mean())


def test_a_run_that_has_not_settled_wants_the_steps_in_numbers(tmp_path: Path) -> None:
    short = [simlab.run(CONFIG, steps=150, set=[f"{MAKERS}={makers}"], out=tmp_path) for makers in (5, 0)]
    with pytest.raises(AnalysisError, match=r"give (warmup in steps|the steps to leave out)"):
        compare(short, warmup="auto")


def test_labels_tell_treatments_apart_that_differ_in_many_keys(tmp_path: Path) -> None:
    changes = {
        "baseline": [],
        "many": [f"populations.{name}.count=2" for name in ("noise", "value", "momentum")],
        "makers": [f"{MAKERS}=1"],
    }
    runs = {
        name: [simlab.run(CONFIG, steps=300, seed=seed, set=keys, out=tmp_path / name) for seed in (1, 2)]
        for name, keys in changes.items()
    }
    table = compare(
        [run for group in runs.values() for run in group], measures=lambda run: {"x": run.manifest["seed"]}
    )
    labels = [table["a"][0], *table["b"].unique()]
    assert len(set(labels)) == 3
    assert f"{MAKERS}=1" in labels[2]
    assert [table.attrs["treatments"][label][MAKERS] for label in labels] == [5, 5, 1]


def test_labels_that_cannot_tell_are_numbered() -> None:
    keys = [f"k{number}" for number in range(6)]
    configs = [dict.fromkeys(keys, 0)] + [dict.fromkeys(keys, 0) | {key: 1} for key in keys]
    labels = _difference_labels(configs)
    assert len(set(labels)) == 7
    assert labels[1] == "k0=1, k1=0, k2=0 and 3 more"
    assert labels[0] == "k0=0, k1=0, k2=0 and 3 more (treatment 1)"
    assert labels[6] == "k0=0, k1=0, k2=0 and 3 more (treatment 7)"


def test_values_that_look_alike_are_told_apart() -> None:
    assert len(set(_difference_labels([{"key": 1}, {"key": "1"}]))) == 2


def test_measures_agree_with_market_quality_where_a_side_is_often_empty(thin: simlab.Run) -> None:
    found = run_measures(thin)
    quality = thin.quality().set_index("measure")["value"]
    assert 0.2 < found["two-sided quotes"] < 0.9
    assert found["two-sided quotes"] == pytest.approx(quality["quotes with both sides"] / 100)
    assert found["spread"] == pytest.approx(quality["quoted spread"])
    assert found["depth"] == pytest.approx(quality["depth at the best price"])
    assert found["volume"] == pytest.approx(quality["volume"] / 2_000)


def test_volume_after_a_warm_up_is_that_of_all_later_trades(thin: simlab.Run) -> None:
    trades = thin.trades(steps=(500, None))
    assert run_measures(thin, 500)["volume"] == pytest.approx(trades["quantity"].sum() / 1_500)


def test_a_market_without_spreads_still_has_volume_and_depth(tmp_path: Path) -> None:
    run = simlab.run({"steps": 10, "instruments": {"ACME": {"initial_price": 100}}}, out=tmp_path)
    assert run_measures(run) == {"two-sided quotes": 0.0, "volatility": 0.0, "volume": 0.0, "depth": 0.0}


def test_measures_of_several_instruments_name_them(two_shares: simlab.Run) -> None:
    found = run_measures(two_shares)
    quotes = two_shares.quotes(instrument="BOLT").dropna(subset=["best_bid", "best_ask"])
    assert found["spread BOLT"] == pytest.approx((quotes["best_ask"] - quotes["best_bid"]).mean())
    mid = (quotes["best_bid"] + quotes["best_ask"]) / 2
    assert found["pricing error BOLT"] == pytest.approx(((mid - quotes["fundamental"]) ** 2).mean() ** 0.5)
    assert {"volatility ACME", "volume BOLT", "depth ACME", "P&L noise"} <= set(found)


def test_runs_that_differ_in_length_are_called_so(runs: dict, tmp_path: Path) -> None:
    assert compare([runs[5, 1], runs[1, 1]]).attrs["notes"] == []
    short = simlab.run(CONFIG, steps=300, seed=1, set=[f"{MAKERS}=1"], out=tmp_path)
    notes = compare({"long": [runs[5, 1]], "short": [short]}).attrs["notes"]
    assert len(notes) == 1
    assert notes[0].startswith("runs differ in length: steps 1,500 (long), 300 (short); P&L is of whole runs")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_the_command_says_that_runs_differ_in_length(runs: dict, tmp_path: Path, options: list[str]) -> None:
    short = simlab.run(CONFIG, steps=300, seed=1, out=tmp_path)
    command = [sys.executable, "-m", "simlab.cli", "compare", str(runs[5, 1].path), str(short.path), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = done.stderr if options else done.stdout
    assert "runs differ in length: steps 1,500 (" in " ".join(said.split())


def test_any_treatment_may_be_the_baseline(runs: dict) -> None:
    given = [runs[5, 1], runs[5, 2], runs[1, 1], runs[1, 2]]
    first = compare(given).set_index("measure")
    turned = compare(given, baseline=runs[1, 2]).set_index("measure")
    assert turned["a"].unique().tolist() == first["b"].unique().tolist()
    np.testing.assert_allclose(turned["difference"], -first["difference"])
    pd.testing.assert_frame_equal(turned, compare(given, baseline=f"{MAKERS}=1").set_index("measure"))
    assert list(turned) == list(first)


def test_a_baseline_that_is_not_compared_is_refused(runs: dict) -> None:
    given = {"few": [runs[1, 1]], "many": [runs[5, 1]]}
    with pytest.raises(AnalysisError, match=r"the baseline 'mny' is not compared; did you mean 'many'\?"):
        compare(given, baseline="mny")
    with pytest.raises(AnalysisError, match="is not compared; give it among the runs too"):
        compare(given, baseline=runs[5, 2])


def test_without_quotes_profit_and_volume_are_compared(tmp_path: Path) -> None:
    keys = {"recording": {"quotes_every": 0}}
    runs = [
        simlab.run(CONFIG, steps=300, seed=seed, out=tmp_path, set=keys | {MAKERS: makers})
        for makers in (5, 1)
        for seed in (1, 2)
    ]
    table = compare(runs).set_index("measure")
    known = table[["mean_a", "mean_b"]].notna().all(axis=1)
    assert {"P&L noise", "P&L makers", "volume"} <= set(table.index[known])
    assert set(table.loc[~known, "verdict"]) == {"not measured in a"}
    assert set(table.index[~known]) == {"two-sided quotes", "spread", "volatility", "depth"}


def test_refusals(runs: dict, tmp_path: Path) -> None:
    with pytest.raises(AnalysisError, match=r"there are 1 treatments .* it takes two"):
        compare([runs[5, 1], runs[5, 2]])
    with pytest.raises(AnalysisError, match=r"one run twice: treatment .* with seed 1"):
        compare([runs[5, 1], runs[5, 1], runs[1, 1]])
    with pytest.raises(AnalysisError, match=rf"'mixed' mixes configurations: .* differ in {MAKERS}"):
        compare({"mixed": [runs[5, 1], runs[1, 2]], "b": [runs[1, 1]]})
    with pytest.raises(AnalysisError, match="'b' has no runs"):
        compare({"a": [runs[5, 1]], "b": []})
    with pytest.raises(AnalysisError, match="warmup is 1500; it is 'auto', or steps from 0 to 1499"):
        compare([runs[5, 1], runs[1, 1]], warmup=1_500)
    with pytest.raises(AnalysisError, match="warmup is for the default measures"):
        compare([runs[5, 1], runs[1, 1]], warmup=10, measures=lambda run: {"x": 1.0})
    with pytest.raises(AnalysisError, match=r"confidence is 2\.0"):
        compare([runs[5, 1], runs[1, 1]], confidence=2.0)


def test_an_unfinished_run_is_refused(runs: dict, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    shutil.copytree(runs[1, 1].path, folder)
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    (folder / "manifest.json").write_text(json.dumps(manifest | {"status": "running"}), encoding="utf-8")
    with pytest.raises(AnalysisError, match=r"killed is unfinished \(running\); run it to its end"):
        compare([runs[5, 1], simlab.open(folder)])


def test_the_share_of_decisions_that_were_passed_on_is_compared(explained: simlab.Run) -> None:
    table = explained.decisions()
    table["population"] = table["account"].astype(str).str.partition("/")[0]
    late = table[table["step"] >= 50].groupby("population")["fallback"]
    measured = run_measures(explained, 50)
    shares = {name: it for name, it in measured.items() if name.startswith("passed on")}
    assert shares == {
        "passed on secretive": 0.0,
        "passed on thinkers": pytest.approx(late.count()["thinkers"] / late.size()["thinkers"]),
    }
    assert 0 < shares["passed on thinkers"] < 1


def test_nobody_who_says_nothing_passes_on(runs: dict) -> None:
    assert not [name for name in run_measures(runs[5, 1]) if name.startswith("passed on")]
