"""Rules, a trained model and language models in one market, from a cassette: no key, no network."""

from __future__ import annotations

from pathlib import Path

import pytest

import simlab
from simlab.analysis.report import write_report

CONFIG = Path(__file__).parents[2] / "configs" / "mixed_agents.yaml"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> simlab.Run:
    made = simlab.run(CONFIG, out=tmp_path_factory.mktemp("mixed"))
    assert isinstance(made, simlab.Run)
    return made


def test_all_three_decide(run: simlab.Run) -> None:
    rows = {row["population"]: row for row in run.manifest["populations"]}
    assert rows["thinkers"]["decisions"]["llm"] >= 15
    assert rows["learners"]["decisions"]["ml"] > 1000
    assert rows["learners"]["fallbacks"] == {"ml warming up": rows["learners"]["decisions"]["heuristic"]}
    assert rows["contrarians"]["orders"] > 0


def test_the_decisions_say_who_why_and_for_how_much(run: simlab.Run) -> None:
    rows = run.decisions()
    asked = rows[rows["source"] == "llm"]
    assert asked["reason"].notna().all()
    assert asked["request"].nunique() == len(asked)
    assert (asked["cached"] == asked["calls"]).all()
    assert (asked["tokens_in"] > 100).all()
    assert set(rows["source"]) == {"llm", "ml", "heuristic"}


def test_it_is_the_same_again(run: simlab.Run) -> None:
    again = simlab.run(CONFIG, record=False)
    assert isinstance(again, simlab.Outcome)
    assert again.event_log_hash == run.manifest["event_log_hash"] == "c34291920566c32c"


def test_what_it_depends_on_is_in_the_manifest(run: simlab.Run) -> None:
    assert {"thinkers", "learners"} <= set(run.manifest["provenance"])


def test_it_is_reported(run: simlab.Run, tmp_path: Path) -> None:
    page = write_report(run, tmp_path / "report.html")
    assert page.stat().st_size > 1_000_000
