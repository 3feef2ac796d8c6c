"""Searches for parameters, and what measures are sensitive to."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import simlab
from simlab.analysis.compare import drawn_for, read_sweep, sensitivity
from simlab.analysis.report import write_sweep_report
from simlab.config.fit import TargetConfig, load_fit
from simlab.errors import AnalysisError, ConfigError, SimlabError
from simlab.runner.fit import fit

pytest.importorskip("optuna")
pytest.importorskip("SALib")

QUICKSTART = str(Path(__file__).parents[3] / "configs" / "quickstart.yaml")
HALF_SPREAD, RATE = "populations.makers.parameters.half_spread", "populations.noise.activation.rate"
KNOWN = {HALF_SPREAD: 5.0, RATE: 0.02}
SEARCH: dict[str, Any] = {
    "name": "known",
    "experiment": QUICKSTART,
    "set": {"steps": 400},
    "parameters": {HALF_SPREAD: {"uniform": [1, 12]}, RATE: {"log_uniform": [0.002, 0.2]}},
    "seeds": 2,
    "trials": 60,
}


@pytest.fixture(scope="module")
def targets() -> dict[str, float]:
    """What runs with known parameters measure."""
    found = [simlab.run(QUICKSTART, record=False, seed=seed, steps=400, set=KNOWN) for seed in (1, 2)]
    markets = [outcome.summary["instruments"][0] for outcome in found]
    return {
        "spread": float(np.mean([it["mean_spread"] for it in markets])),
        "volume": float(np.mean([it["volume"] / 400 for it in markets])),
    }


@pytest.mark.slow
def test_a_search_finds_the_parameters_that_runs_were_made_with(
    targets: dict[str, float], tmp_path: Path
) -> None:
    found = fit(SEARCH | {"targets": targets}, out=tmp_path, workers=1)
    assert found.loss < 0.3  # a tenth of a target counts as 1, and this is its square
    assert found.best[HALF_SPREAD] == pytest.approx(KNOWN[HALF_SPREAD], abs=1.5)
    assert found.best[RATE] == pytest.approx(KNOWN[RATE], rel=0.3)
    again = simlab.load(found.folder / "best.yaml")
    assert again.steps == 400
    assert len(pd.read_csv(found.folder / "trials.csv")) == 60
    assert "Plotly" in (found.folder / "search.html").read_text()


@pytest.mark.slow
def test_a_search_that_was_interrupted_goes_on_to_the_same_end(
    targets: dict[str, float], tmp_path: Path
) -> None:
    study = SEARCH | {"targets": targets, "trials": 10, "set": {"steps": 100}}
    whole = fit(study, out=tmp_path / "whole", workers=1)
    fit(study | {"trials": 4}, out=tmp_path / "cut", workers=2)
    with pytest.raises(SimlabError, match="--resume"):
        fit(study, out=tmp_path / "cut")
    resumed = fit(study, out=tmp_path / "cut", workers=2, resume=True)
    pd.testing.assert_frame_equal(whole.trials, resumed.trials)
    with pytest.raises(SimlabError, match="another search"):
        fit(study | {"seeds": 3}, out=tmp_path / "cut", resume=True)


def test_facts_can_be_targets_and_trials_that_fail_are_told(tmp_path: Path) -> None:
    study = {
        "name": "facts",
        "experiment": QUICKSTART,
        "set": {"steps": 1500},
        "parameters": {"instruments.ACME.initial_price": [10_000, -5]},
        "targets": {"fact count": {"low": 3}},
        "seeds": 1,
        "trials": 6,
    }
    found = fit(study, out=tmp_path)
    assert found.best["instruments.ACME.initial_price"] == 10_000
    assert found.trials["error"].dropna().str.contains("price_band").all()
    assert found.trials["fact count"].dropna().between(0, 11).all()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"targets": {"spread": {"low": 3, "value": 2}}}, "must have a value, or a low"),
        ({"targets": {}}, "targets"),
        ({"parameters": {}}, "parameters"),
        ({"trails": 3}, "trials"),
    ],
)
def test_a_search_that_says_nothing_sensible_is_refused(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load_fit(SEARCH | {"targets": {"spread": 4}} | change)


def synthetic(kind: str, samples: int) -> pd.DataFrame:
    """Return a sweep of a measure that is x + 2 y, and knows nothing of z."""
    points = drawn_for(kind, 3, samples, 1)
    found = pd.DataFrame({"point": range(len(points)), "seed": 1, "treatment": "", "status": "finished"})
    found["depth"] = points[:, 0] + 2 * points[:, 1]
    found.attrs = {
        "measures": ["depth"],
        "parameters": ["x", "y", "z"],
        "design": {"kind": kind, "samples": samples, "seed": 1},
    }
    return found


def test_sobol_indices_are_the_shares_of_the_variance() -> None:
    table = sensitivity(synthetic("sobol", 512)).set_index("parameter")
    assert table["first"].tolist() == pytest.approx([0.2, 0.8, 0.0], abs=0.03)
    assert table["total"].tolist() == pytest.approx([0.2, 0.8, 0.0], abs=0.03)


def test_morris_effects_are_the_slopes() -> None:
    table = sensitivity(synthetic("morris", 20)).set_index("parameter")
    assert table["mu_star"].tolist() == pytest.approx([1.0, 2.0, 0.0], abs=1e-9)
    assert table["sigma"].tolist() == pytest.approx([0.0, 0.0, 0.0], abs=1e-9)


def test_indices_need_all_points_and_a_design_that_has_them() -> None:
    found = synthetic("sobol", 8)
    with pytest.raises(AnalysisError, match="need all"):
        sensitivity(found.iloc[1:])
    found.attrs["design"] = {"kind": "random", "samples": 8, "seed": 1}
    with pytest.raises(AnalysisError, match="sobol or morris"):
        sensitivity(found)


def test_a_measure_that_is_not_known_meets_no_target() -> None:
    assert math.isnan(TargetConfig(low=1.0, high=2.0).distance(math.nan))


def test_a_sweep_says_what_its_measures_are_sensitive_to(tmp_path: Path) -> None:
    study = {
        "name": "sensitive",
        "experiment": QUICKSTART,
        "set": {"steps": 200},
        "parameters": {
            HALF_SPREAD: {"uniform": [1, 12]},
            "instruments.ACME.maker_fee_ppm": {"integers": [0, 9]},
        },
        "design": {"kind": "morris", "samples": 4},
        "measures": ["spread"],
    }
    simlab.sweep(study, out=tmp_path, workers=1)
    found = read_sweep(tmp_path / "sensitive")
    table = sensitivity(found).set_index("parameter")
    assert table.loc[HALF_SPREAD, "mu_star"] > 3  # price units, over the whole range
    assert table.loc["instruments.ACME.maker_fee_ppm", "mu_star"] == 0  # these makers do not look at it
    page = write_sweep_report(found, tmp_path / "page.html").read_text()
    assert "Sensitivity" in page
    assert (
        json.loads((tmp_path / "sensitive" / "sweep.json").read_text())["sweep"]["design"]["kind"] == "morris"
    )
