"""What a sweep is going to run: designs, constraints, treatments, seeds, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from simlab.config.sweep import load_sweep
from simlab.errors import ConfigError
from simlab.runner.sweep import Sweep, make_plan
from simlab.runner.sweep.plan import changes_of

MARKET = {
    "name": "tiny",
    "steps": 50,
    "instruments": {"ACME": {"initial_price": 1000}},
    "populations": {"noise": {"strategy": "noise", "count": 20}},
}
TICK, COUNT = "instruments.ACME.tick_size", "populations.noise.count"


def plan(**more: Any) -> Any:
    return make_plan(load_sweep({"experiment": MARKET, **more}))


def test_a_grid_has_all_combinations_with_all_treatments_and_seeds() -> None:
    found = plan(
        parameters={TICK: [1, 5], "count": {"path": COUNT, "values": [10, 20, 30]}},
        treatments={"free": {}, "taxed": {"instruments.ACME.taker_fee_ppm": 100}},
        seeds={"first": 7, "count": 2},
    )
    assert len(found) == 2 * 3 * 2 * 2
    assert found["run"].tolist() == list(range(24))
    assert found.head(4)[["treatment", "seed"]].to_numpy().tolist() == [
        ["free", 7],
        ["taxed", 7],
        ["free", 8],
        ["taxed", 8],
    ]
    assert set(zip(found[TICK], found["count"], strict=True)) == {
        (t, c) for t in (1, 5) for c in (10, 20, 30)
    }


def test_what_a_run_changes_is_set_then_varied_then_treated() -> None:
    config = load_sweep(
        {
            "experiment": MARKET,
            "set": {"steps": 10, TICK: 2},
            "parameters": {TICK: [1, 5]},
            "treatments": {"long": {"steps": 20}},
        }
    )
    row = make_plan(config).to_dict("records")[1]
    assert changes_of(config, row) == {"steps": 20, TICK: 5}


@pytest.mark.parametrize("kind", ["random", "latin_hypercube"])
def test_samples_follow_from_their_seed_and_keep_their_ranges(kind: str) -> None:
    varied = {
        TICK: {"integers": [1, 5]},
        COUNT: {"values": [10, 20]},
        "rate": {"path": "populations.noise.activation.rate", "log_uniform": [0.01, 1.0]},
    }
    design = {"kind": kind, "samples": 200, "seed": 3}
    found, again = plan(parameters=varied, design=design), plan(parameters=varied, design=design)
    other = plan(parameters=varied, design=design | {"seed": 4})
    assert found.equals(again)
    assert not found.equals(other)
    assert set(found[TICK]) == {1, 2, 3, 4, 5}
    assert set(found[COUNT]) == {10, 20}
    assert found["rate"].between(0.01, 1.0).all()
    assert 0.3 < (found["rate"] < 0.1).mean() < 0.7
    if kind == "latin_hypercube":  # one sample in each of 200 equal parts
        parts = np.floor(np.log(found["rate"] / 0.01) / np.log(100) * 200)
        assert sorted(parts) == list(range(200))


def test_points_come_from_a_list_or_a_file(tmp_path: Path) -> None:
    points = [{TICK: 1, COUNT: 10}, {TICK: 5, COUNT: 30}]
    varied = {TICK: [1], COUNT: [1]}
    file = tmp_path / "points.csv"
    file.write_text(f"{TICK},{COUNT}\n1,10\n5,30\n")
    listed = plan(parameters=varied, design={"kind": "list", "points": points})
    read = plan(parameters=varied, design={"kind": "list", "points": str(file)})
    assert (
        listed[[TICK, COUNT]].to_numpy().tolist()
        == read[[TICK, COUNT]].to_numpy().tolist()
        == [[1, 10], [5, 30]]
    )


def test_points_that_break_a_constraint_are_left_out_and_counted() -> None:
    varied = {TICK: [1, 5], "count": {"path": COUNT, "values": [10, 20]}}
    found = plan(parameters=varied, constraints=[f"`{TICK}` < 5 or count < 20"])
    assert len(found) == 3
    assert found.attrs["left_out"] == 1


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"parameters": {TICK: {"uniform": [1, 2]}}}, "a grid takes a list of values"),
        ({"parameters": {TICK: [1]}, "constraints": ["count < 3"]}, "cannot be read"),
        ({"parameters": {TICK: [1]}, "constraints": [f"`{TICK}` + 1"]}, "neither true nor false"),
        ({"parameters": {TICK: [1]}, "constraints": [f"`{TICK}` > 9"]}, "no point of the design"),
        ({"parameters": {"seed": [1, 2]}}, "seeds are given by `seeds`"),
        ({"parameters": {TICK: [1], "t": {"path": TICK, "values": [2]}}}, "varies twice"),
        ({"seeds": [1, 1]}, "a seed is there twice"),
        ({"design": "random"}, "samples go with designs"),
        ({"design": {"kind": "random", "samples": 3}}, "needs parameters that vary"),
        ({"parameters": {TICK: {"uniform": [2, 1]}}}, "low below high"),
        ({"paramters": {}}, "parameters"),
        ({"parameters": {TICK: [1]}, "design": {"kind": "list", "points": [{"x": 1}]}}, "is no parameter"),
        ({"seeds": 10**8}, "10000000"),
    ],
)
def test_what_is_wrong_is_told(more: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told.replace("(", r"\(")):
        plan(**more)


def test_a_path_that_leads_nowhere_is_told_before_anything_runs() -> None:
    with pytest.raises(ConfigError, match="tick_size"):
        Sweep.of({"experiment": MARKET, "parameters": {"instruments.ACME.tik_size": [1, 2]}})


def test_the_name_of_a_study_is_that_of_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "tick_size"
    folder.mkdir()
    (folder / "study.yaml").write_text("experiment: market.yaml\n")
    config = load_sweep(folder / "study.yaml")
    assert config.name == "tick_size"
    assert config.experiment == str(folder / "market.yaml")
