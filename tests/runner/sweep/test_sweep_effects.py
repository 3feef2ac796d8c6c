"""What treatments and parameters do, pair by pair, in tables, on the page and on the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import simlab
from simlab.analysis.compare import is_sweep, parameter_effects, read_sweep, treatment_effects
from simlab.analysis.report import write_sweep_report
from simlab.errors import AnalysisError

MARKET: dict[str, Any] = {
    "name": "tiny",
    "steps": 200,
    "instruments": {"ACME": {"initial_price": 1000}},
    "populations": {
        "noise": {"strategy": "noise", "count": 30},
        "makers": {"strategy": "market_maker", "count": 2},
    },
}


def runs(effect: float, noise: float) -> pd.DataFrame:
    """Return runs in which y is one higher than x by `effect`, in worlds that differ much."""
    generator = np.random.default_rng(1)
    worlds = generator.normal(0, 10, 40)
    rows = [
        {"point": 0, "treatment": name, "seed": seed, "status": "finished", "depth": world + shift}
        for seed, world in enumerate(worlds)
        for name, shift in (("x", 0.0), ("y", effect + generator.normal(0, noise)))
    ]
    found = pd.DataFrame(rows)
    found.attrs = {"measures": ["depth"], "parameters": [], "treatments": ["x", "y"]}
    return found


def test_pairs_find_what_samples_that_are_not_paired_cannot() -> None:
    [row] = treatment_effects(runs(0.5, 0.5)).itertuples()
    assert row.low < 0.5 < row.high
    assert row.low > 0 > row.unpaired_low
    assert 100 < row.variance_ratio < 2000  # (100 + 100) / 0.25 = 800 expected


def test_no_effect_is_found_where_there_is_none() -> None:
    [row] = treatment_effects(runs(0.0, 0.5)).itertuples()
    assert row.low < 0 < row.high
    assert row.p_holm > 0.05


def test_many_values_are_correlated_and_few_compared() -> None:
    generator = np.random.default_rng(2)
    tick = generator.uniform(0, 1, 60)
    found = pd.DataFrame({"point": range(60), "treatment": "", "seed": 1, "status": "finished", "tick": tick})
    found["spread"] = tick + generator.normal(0, 0.2, 60)
    found["noise"] = generator.normal(0, 1, 60)
    found.attrs = {"measures": ["spread", "noise"], "parameters": ["tick"]}
    spread, noise = parameter_effects(found).itertuples()
    assert spread.kind == "rank correlation"
    assert 0.6 < spread.low < spread.estimate < spread.high < 1
    assert noise.low < 0 < noise.high


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a sweep in which a run fails."""
    out = tmp_path_factory.mktemp("sweeps")
    study = {
        "name": "ticks",
        "description": "Ticks & <makers>",
        "experiment": MARKET,
        "parameters": {
            "instruments.ACME.tick_size": [1, 5],
            "price": {"path": "instruments.ACME.initial_price", "values": [1000, -5]},
        },
        "treatments": {"few": {}, "many": {"populations.makers.count": 4}},
        "seeds": 3,
    }
    simlab.sweep(study, out=out, workers=1)
    return out / "ticks"


def test_a_sweep_is_read_from_its_folder(swept: Path, tmp_path: Path) -> None:
    found = read_sweep(swept)
    assert is_sweep(swept)
    assert not is_sweep(tmp_path)
    assert found.attrs["parameters"] == ["instruments.ACME.tick_size", "price"]
    assert "spread" in found.attrs["measures"]
    assert (found["status"] == "failed").sum() == 12
    with pytest.raises(AnalysisError, match="no results of a sweep"):
        read_sweep(tmp_path)


def test_the_page_of_a_sweep_has_effects_figures_and_failures(swept: Path, tmp_path: Path) -> None:
    page = write_sweep_report(read_sweep(swept), tmp_path / "page.html").read_text()
    for part in ("Effects of treatments", "Effects of parameters", "Runs that failed", "variance ratio"):
        assert part in page
    assert "Ticks &amp; &lt;makers&gt;" in page
    done = subprocess.run(
        [sys.executable, "-m", "simlab.cli", "report", str(swept)], capture_output=True, text=True, check=True
    )
    assert Path(done.stdout.strip()).is_file()


def test_pairs_on_the_command_line() -> None:
    file, made = Path(__file__).parents[3] / "configs" / "quickstart.yaml", "populations.makers.count"
    arms = ["--set", f"{made}=1", "--set", "steps=300", "--vs", f"{made}=4", "--vs", "steps=300"]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "simlab.cli",
            "pair",
            str(file),
            *arms,
            "--seeds",
            "6",
            "--workers",
            "1",
            "--json",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    rows = {row["measure"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert rows["volume"]["pairs"] == 6
    assert rows["volume"]["variance_ratio"] > 1
    alone = [
        simlab.run(file, record=False, seed=seed, steps=300, set={made: 4}).summary["instruments"]
        for seed in range(1, 7)
    ]
    assert rows["volume"]["mean_b"] == pytest.approx(np.mean([row["volume"] / 300 for [row] in alone]))
