"""The markets with language models in configs/ run: from a cassette, or with the real small model."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from typer.testing import CliRunner

import simlab
from simlab.agents.llm.local import model_file
from simlab.cli.app import app
from simlab.errors import SimlabError
from simlab.runner.rehearsal import rehearse

ROOT = Path(__file__).parents[3]
BUBBLE = ROOT / "configs" / "llm_bubble.yaml"
LOCAL = ROOT / "configs" / "llm_local.yaml"
BELOW = ["instruments.ACME.initial_price=700"]


@pytest.fixture(scope="module")
def bubble(tmp_path_factory: pytest.TempPathFactory) -> simlab.Run:
    run = simlab.run(BUBBLE, out=tmp_path_factory.mktemp("bubble"))
    assert isinstance(run, simlab.Run)
    return run


def test_the_bubble_runs_from_its_cassette_with_language_models_deciding(bubble: simlab.Run) -> None:
    decisions = bubble.decisions()
    assert len(decisions) == 8 * 6
    asked = decisions[decisions["calls"].notna()]
    assert (asked["cached"] == asked["calls"]).all()
    assert (decisions["source"] == "llm").sum() > 24
    assert decisions.loc[decisions["source"] == "llm", "reason"].str.len().gt(0).mean() > 0.9
    assert decisions.loc[decisions["source"] != "llm", "fallback"].notna().all()
    assert len(bubble.trades()) > 20


def test_it_is_the_same_every_time_and_there_is_one_below_the_worth(
    bubble: simlab.Run, tmp_path: Path
) -> None:
    again = simlab.run(BUBBLE, record=False)
    below = simlab.run(BUBBLE, set=BELOW, out=tmp_path)
    assert again.event_log_hash == bubble.manifest["event_log_hash"]
    assert below.manifest["event_log_hash"] != bubble.manifest["event_log_hash"]
    assert bubble.quotes()["best_ask"].iloc[0] > 1000 > below.quotes()["best_bid"].iloc[0]


def test_what_was_not_recorded_ends_the_run_with_the_nearest_request() -> None:
    with pytest.raises(SimlabError, match=r"has no answer for (?s:.*)the nearest recorded request") as caught:
        simlab.run(BUBBLE, record=False, seed=2)
    assert "During task" not in str(caught.value)
    assert ".py" not in str(caught.value)  # nobody's code is at fault
    assert not getattr(caught.value.__cause__, "__notes__", ())


def test_a_rehearsal_counts_the_decisions_and_asks_nobody(bubble: simlab.Run) -> None:
    prices = ["llm.prices={smollm2: {input: 1.0, output: 2.0}}"]
    rows = {it.population: it for it in rehearse(simlab.load(BUBBLE, set=prices))}
    assert {name: it.decisions for name, it in rows.items()} == {
        name: bubble.decisions()["account"].astype(str).str.startswith(f"{name}/").sum()
        for name in ("value", "momentum", "makers", "optimists", "pessimists")
    }
    value = rows["value"]
    assert [it["role"] for it in value.prompt] == ["system", "user"]
    assert 200 < value.prompt_tokens / value.decisions < 1200
    assert value.cost == pytest.approx((value.prompt_tokens + 2 * value.answer_tokens) / 1e6)
    assert value.cost < value.most_cost


def test_dry_run_prints_the_first_prompts_and_the_cost() -> None:
    shown = CliRunner().invoke(app, ["run", str(BUBBLE), "--dry-run"])
    assert shown.exit_code == 0, shown.output
    for text in ("value, system:", "You are value/0, a trader", "best bid", "makers", "no price"):
        assert text in shown.output
    rows = [
        json.loads(it)
        for it in CliRunner().invoke(app, ["run", str(BUBBLE), "--dry-run", "--json"]).output.split("\n")
        if it
    ]
    assert sum(row["decisions"] for row in rows) == 48


def test_nothing_to_rehearse_is_said() -> None:
    shown = CliRunner().invoke(
        app, ["run", str(ROOT / "configs" / "quickstart.yaml"), "--dry-run", "--steps", "5"]
    )
    assert shown.exit_code == 2
    assert "no population has a language model" in shown.output


@pytest.mark.slow
@pytest.mark.skipif(
    find_spec("xllamacpp") is None or model_file("smollm2") is None,
    reason="needs the small local model: pip install -e '.[local-llm]' && simlab models get smollm2",
)
def test_the_small_model_trades_in_the_local_market(tmp_path: Path) -> None:
    run = simlab.run(LOCAL, out=tmp_path, steps=42)
    decisions = run.decisions()
    assert len(decisions) == 3
    assert (decisions["tokens_out"] > 5).all()
    assert (decisions["source"] == "llm").any()


def test_the_local_market_is_valid_and_small() -> None:
    (row,) = rehearse(simlab.validate(LOCAL))
    assert row.decisions == 15
    assert row.prompt_tokens / row.decisions < 700
