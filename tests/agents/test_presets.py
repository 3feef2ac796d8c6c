"""A preset is a strategy by another name, with other defaults, wherever it is declared."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import simlab
from simlab.agents.library import STRATEGIES
from simlab.agents.presets import preset
from simlab.agents.registry import resolve, source_files, strategies_in
from simlab.errors import ConfigError, StrategyError

PLUGIN = """
from simlab.agents.compiled import Parameter, compiled_strategy, market
from simlab.agents.library import STRATEGIES
from simlab.agents.presets import preset

@compiled_strategy("buyer", "Buys.", (Parameter("size", 1, "lots", "Size.", 1, 9, True),))
def buyer(view, me, rng, orders):
    market(orders, view, 0, int(me.parameters[0]))

big = preset(buyer, "big", "Buys more.", size=7)
calm = preset(STRATEGIES["momentum"], "calm", "Waits for an hour.", lookback=900)
momentum = STRATEGIES["momentum"]
"""


def test_the_defaults_are_those_of_the_preset_and_may_be_overridden() -> None:
    base = {"steps": 9, "instruments": {"A": {"initial_price": 10_000}}}
    for given, size in (({}, 25), ({"size": 3}, 3)):
        populations = {"p": {"strategy": "personality/aggressive", "parameters": given}}
        spec = simlab.build(simlab.validate(base | {"populations": populations}))
        [population] = spec.populations
        names = [it.name for it in population.strategy.parameters]
        assert population.parameters[0].tolist()[names.index("size")] == size
        assert population.strategy.base is STRATEGIES["value"]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [({"sise": 3}, "'personality/value' has no such parameter; did you mean 'size'"), ({"size": 0}, "size")],
)
def test_parameters_are_checked_like_those_of_the_strategy(parameters: dict[str, float], said: str) -> None:
    populations = {"p": {"strategy": "personality/value", "parameters": parameters}}
    with pytest.raises(ConfigError, match=said):
        simlab.validate(
            {"steps": 9, "instruments": {"A": {"initial_price": 100}}, "populations": populations}
        )


@pytest.mark.parametrize(
    ("defaults", "said"),
    [
        ({"lookbak": 5}, "'momentum' has no parameter 'lookbak'; did you mean 'lookback'"),
        ({"lookback": 0}, "lookback is 0; it must be a whole number from 1 to 1023 steps"),
        ({"size": 2.5}, "size is 2.5; it must be a whole number"),
    ],
)
def test_a_wrong_default_is_told(defaults: dict[str, float], said: str) -> None:
    with pytest.raises(StrategyError, match=said):
        preset(STRATEGIES["momentum"], "wrong", "Is wrong.", **defaults)


def test_presets_of_a_file_are_listed_and_run_and_found_again_by_another_process(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(PLUGIN)
    listed = strategies_in(file)
    assert [it.rpartition(":")[2] for it in listed] == ["big", "buyer", "calm"]
    big = resolve(f"{file}:big")
    assert source_files(big) == [file]
    pickled = tmp_path / "big.pickle"
    code = (
        "import pickle, sys; from pathlib import Path\n"
        "it = pickle.loads(Path(sys.argv[1]).read_bytes())\n"
        "print(it.name, it.parameters[0].default, it.base.name, it.defined_in)"
    )

    pickled.write_bytes(pickle.dumps(big))
    done = subprocess.run(
        [sys.executable, "-c", code, str(pickled)], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["big", "7", "buyer", str(file)]


def test_the_command_line_lists_presets_and_says_of_what_they_are() -> None:
    told = subprocess.run(
        [sys.executable, "-m", "simlab.cli", "strategies", "personality/neutral", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    described = json.loads(told.stdout)
    assert (described["name"], described["preset_of"]) == ("personality/neutral", "noise")
    listed = subprocess.run(
        [sys.executable, "-m", "simlab.cli", "strategies"], capture_output=True, text=True, check=True
    )
    assert sum("personality/" in line for line in listed.stdout.splitlines()) == 9
