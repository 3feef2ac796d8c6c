"""A run's manifest holds what its configuration does not: the code of plug-ins, and what they depend on."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import simlab
from simlab.agents.registry import resolve, source_files
from simlab.analysis.compare import compare
from simlab.errors import AnalysisError, StrategyError
from simlab.kernel.spec import Fallback
from simlab.runner.provenance import provenance

MODELLED = """
import hashlib
from pathlib import Path
from simlab.agents.each import agent_strategy
{imports}

@agent_strategy("modelled", "Trades as a file says.", options=("path",))
class Modelled:
    def __init__(self, path):
        self.size = int(Path(path).read_text())

    def decide(self, observation, orders):
        orders.limit("buy", 100, self.size)

    @staticmethod
    def provenance(options):
        {told}
"""
TOLD = "return {'model': hashlib.sha256(Path(options['path']).read_bytes()).hexdigest()}"


def _market(strategy: str, **population: Any) -> dict[str, Any]:
    return {
        "steps": 3,
        "instruments": {"ACME": {"initial_price": 100}},
        "populations": {"mine": {"strategy": strategy, "account": {"cash": 10_000}, **population}},
    }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Return the file of a model, beside the strategy that reads it."""
    (tmp_path / "modelled.py").write_text(MODELLED.format(imports="", told=TOLD))
    (tmp_path / "model.txt").write_text("3")
    return tmp_path / "model.txt"


def _run(model: Path, seed: int) -> simlab.Run:
    config = _market(f"{model.parent}/modelled.py:Modelled", options={"path": str(model)})
    run = simlab.run(config, seed=seed, out=model.parent / "runs")
    assert isinstance(run, simlab.Run)
    return run


def test_what_a_strategy_says_it_depends_on_is_kept_under_the_population(model: Path) -> None:
    assert _run(model, 1).manifest["provenance"] == {"mine": {"model": _sha256(model)}}


def test_another_model_in_the_same_place_is_another_treatment(model: Path) -> None:
    first = [_run(model, seed) for seed in (1, 2)]
    model.write_text("4")
    second = [_run(model, seed) for seed in (1, 2)]
    with pytest.raises(AnalysisError, match=r"mixes configurations: .* differ in provenance\.mine\.model"):
        compare({"one": [first[0], second[1]], "other": second})
    assert len(compare(first + second)) > 0


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("return {'model': 3}", r"must return texts by name, not \{'model': 3\}"),
        ("return options['model']", r"cannot say its provenance \(KeyError: 'model'\)"),
    ],
)
def test_a_provenance_that_is_none_is_refused_before_anything_is_written(
    model: Path, told: str, message: str
) -> None:
    (model.parent / "modelled.py").write_text(MODELLED.format(imports="", told=told))
    with pytest.raises(StrategyError, match=rf"populations\.mine: .*{message}"):
        _run(model, 1)
    assert not list((model.parent / "runs").iterdir())


def test_all_files_of_a_plugins_package_are_hashed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "provenance_pack"
    (package / "inner").mkdir(parents=True)
    for folder in (package, package / "inner"):
        (folder / "__init__.py").write_text("")
    (package / "inner" / "sizes.py").write_text("SIZE = 1\n")
    (package / "unused.py").write_text("")
    (package / "mine.py").write_text(
        MODELLED.format(imports="from provenance_pack.inner.sizes import SIZE", told="return {}")
    )
    (tmp_path / "model.txt").write_text("3")
    (tmp_path / "alias.py").write_text("from provenance_pack.mine import Modelled\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    options = {"path": str(tmp_path / "model.txt")}
    expected = {str(it): _sha256(it) for it in sorted(package.rglob("*.py"))}
    run = simlab.run(_market("provenance_pack.mine:Modelled", options=options), out=tmp_path / "runs")
    assert run.manifest["plugins"] == expected
    assert len(expected) == 5
    aliased = simlab.run(_market(f"{tmp_path}/alias.py:Modelled", options=options), out=tmp_path / "runs")
    alias = tmp_path / "alias.py"
    assert aliased.manifest["plugins"] == expected | {str(alias): _sha256(alias)}


def test_what_a_population_falls_back_on_is_kept_too(model: Path) -> None:
    config = _market(f"{model.parent}/modelled.py:Modelled", options={"path": str(model)})
    spec = simlab.build(simlab.load(config))
    [mine] = spec.populations
    behind = Fallback(mine.strategy, mine.parameters, mine.options)
    chained = replace(
        spec, populations=(replace(mine, strategy=resolve("noise"), options={}, fallback=(behind,)),)
    )
    kept = provenance(chained)
    assert kept["provenance"] == {"mine": {"fallback.0.model": _sha256(model)}}
    assert list(kept["plugins"]) == [str(model.parent / "modelled.py")]


def test_built_in_strategies_need_no_hashes(tmp_path: Path) -> None:
    run = simlab.run(_market("noise"), out=tmp_path)
    assert run.manifest["plugins"] == {}
    assert run.manifest["provenance"] == {}
    assert source_files(resolve("noise")) == []
