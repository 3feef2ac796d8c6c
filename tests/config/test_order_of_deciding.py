"""What a population falls back on, and which language model its strategy is told to ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

import simlab
from simlab.config import build, load, resolved
from simlab.errors import ConfigError

PLUGIN = '''
from simlab.agents.batch import batch_strategy
from simlab.agents.strategy import Decider


@batch_strategy("asks", "Passes everything on.", decider=Decider.LLM, open_parameters=True)
class Asks:
    """Ask nobody."""

    def __init__(self, llm: dict | None = None) -> None:
        self.llm = llm

    def decide(self, observation, orders) -> None:
        orders.pass_on(range(len(observation.agents)), "asks nobody")
'''
MODEL = {"model": "m", "cassette": {"mode": "auto", "path": "tapes/a.sqlite"}, "budget": {"calls": 5}}
MONEY = {"cash": 10**7}
NOISE = {"strategy": "noise", "parameters": {"max_size": {"uniform": [1, 5]}}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "asks.py").write_text(PLUGIN, encoding="utf-8")
    return tmp_path


def written(folder: Path, population: dict[str, Any], **top: Any) -> Path:
    content = {
        "steps": 20,
        "instruments": {"ACME": {"initial_price": 1000}},
        "populations": {
            "p": {"strategy": "asks.py:Asks", "count": 3, "account": {"cash": 10**7}} | population
        },
    }
    path = folder / "market.yaml"
    path.write_text(yaml.safe_dump(content | top), encoding="utf-8")
    return path


def test_a_population_is_told_the_model_with_its_own_words_on_top(folder: Path) -> None:
    own = {"temperature": 0.5, "budget": {"tokens": 9}, "cassette": {"mode": "replay"}}
    population = {"llm": own, "parameters": {"patience": {"uniform": [0, 1]}}}
    spec = build(load(written(folder, population, llm=MODEL, step_duration_s=2)))
    [made] = spec.populations
    assert made.parameter_names == ("patience",)
    told = made.options["llm"]
    assert (told["model"], told["temperature"], told["timeout_s"]) == ("m", 0.5, 60.0)
    assert told["budget"] == {"calls": 5, "tokens": 9, "money": None}
    assert told["cassette"] == {"mode": "replay", "path": str(folder / "tapes" / "a.sqlite")}
    assert told["thinking"]["ms_per_step"] == 2000


def test_a_run_falls_back_and_its_resolved_file_runs_again(folder: Path, tmp_path: Path) -> None:
    path = written(folder, {"fallback": [NOISE]}, llm=MODEL)
    run = simlab.run(path, out=tmp_path / "runs")
    rows = run.decisions()
    assert set(rows["source"]) == {"heuristic"}
    assert set(rows["fallback"]) == {"llm asks nobody"}
    again = tmp_path / "elsewhere" / "again.yaml"
    again.parent.mkdir()
    again.write_text((run.path / "config.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    assert (
        simlab.run(again, out=tmp_path / "runs").manifest["event_log_hash"] == run.manifest["event_log_hash"]
    )
    assert run.manifest["populations"][0]["fallbacks"] == {"llm asks nobody": 60}


def test_a_chain_needs_no_model(folder: Path) -> None:
    config = load(written(folder, {"fallback": [NOISE]}))
    assert build(config).populations[0].options == {"llm": None}
    assert resolved(config)["llm"] is None


@pytest.mark.parametrize(
    ("population", "top", "message"),
    [
        ({}, {}, r"populations.p.strategy: 'asks.py:Asks': .*needs a model: add a section llm"),
        ({"llm": {"modle": "m"}}, {}, r"populations.p.llm.modle: .*did you mean 'model'"),
        (
            {"llm": {"budget": {"calls": -1}}},
            {"llm": MODEL},
            r"populations.p.llm.budget.calls: -1: must be at least 0",
        ),
        ({}, {"llm": {"model": "m", "cassette": {"mode": "auto"}}}, r"llm.cassette: .*auto needs a path"),
        ({"options": {"llm": {}}}, {"llm": MODEL}, r"populations.p.options.llm: .*beside options"),
        ({"strategy": "noise", "llm": {"model": "m"}}, {}, r"populations.p.llm: .*asks no language model"),
        (
            {"strategy": "noise", "fallback": [NOISE]},
            {},
            "0.strategy: .*'noise' always decides by itself",
        ),
        ({"fallback": [{"strategy": "nois"}]}, {}, r"fallback.0.strategy: 'nois': .*did you mean 'noise'"),
        ({"fallback": [{"strategy": "outside"}]}, {}, r"fallback.0.strategy: .*reserves seats"),
        (
            {"fallback": [{"strategy": "noise", "parameters": {"max_sise": 3}}]},
            {},
            r"populations.p.fallback.0.parameters.max_sise: .*did you mean 'max_size'",
        ),
        (
            {"parameters": {f"p{i}": i for i in range(13)}},
            {"llm": MODEL},
            "13 parameters; an agent has at most 12",
        ),
    ],
)
def test_what_cannot_be_is_refused(folder: Path, population: Any, top: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(written(folder, population, **top))


def test_the_order_is_model_learner_rule(folder: Path) -> None:
    rules = PLUGIN.replace("decider=Decider.LLM, ", "").replace('"asks"', '"rules"').replace("Asks", "Rules")
    (folder / "rules.py").write_text(rules.replace("Decider.LLM", "Decider.HEURISTIC"), encoding="utf-8")
    population = {"strategy": "rules.py:Rules", "fallback": [{"strategy": "asks.py:Asks"}]}
    with pytest.raises(ConfigError, match=r"'asks' \(llm\) comes after 'rules' \(heuristic\)"):
        load(written(folder, population, llm=MODEL))
