"""After a run the terminal shows what was refused, and why."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import simlab
from simlab.console import summary_tables
from simlab.console.summary import decision_lines, refusal_lines

POOR = {
    "steps": 20,
    "instruments": {"ACME": {"initial_price": 100}},
    "populations": {
        "poor": {"strategy": "noise", "count": 3},
        "rich": {"strategy": "noise", "account": {"borrowing": "free", "short_selling": "free"}},
    },
}


def _row(population: str, refused: int, **reasons: int) -> dict[str, Any]:
    return {"population": population, "refused": refused} | ({"refused_reasons": reasons} if reasons else {})


@pytest.mark.parametrize(
    ("row", "lines"),
    [
        (_row("a", 0, funds=0), []),
        (_row("a", 1, funds=1, price_band=0), ["1 message of a was refused: 1 funds"]),
        (_row("a", 5, funds=2, price_band=3), ["5 messages of a were refused: 3 price band, 2 funds"]),
        (_row("a", 1_500), ["1,500 messages of a were refused"]),
    ],
)
def test_refused_messages_are_a_line_a_population(row: dict[str, Any], lines: list[str]) -> None:
    assert refusal_lines([row]) == lines


def test_refusals_of_a_run_are_shown_and_recorded(tmp_path: Path) -> None:
    outcome = simlab.run(POOR, record=False)
    assert isinstance(outcome, simlab.Outcome)
    poor = next(row for row in outcome.summary["populations"] if row["population"] == "poor")
    assert outcome.refused >= poor["refused"] > 0
    shown = StringIO()
    Console(file=shown, width=120).print(summary_tables(outcome.summary, {"ACME": 0.01}))
    assert f"{poor['refused']} messages of poor were refused" in shown.getvalue()
    run = simlab.run(POOR, out=tmp_path)
    assert isinstance(run, simlab.Run)
    assert run.manifest["refused"] == outcome.refused
    assert run.summary == outcome.summary
    messages = run.messages()
    assert int((messages["event"] == "rejected").sum()) == outcome.refused


@pytest.mark.parametrize(
    ("row", "lines"),
    [
        ({}, []),
        ({"decisions": {}, "fallbacks": {}}, []),
        ({"decisions": {"heuristic": 1}}, ["1 decision of p: 1 by heuristic"]),
        (
            {"decisions": {"llm": 1_900, "ml": 99, "none": 1}, "fallbacks": {"llm timeout": 1}},
            [
                "2,000 decisions of p: 1,900 by llm, 99 by ml, 1 by nobody",
                "Decisions of p were passed on once: 1 llm timeout",
            ],
        ),
        (  # one decision may be passed on twice
            {"decisions": {"heuristic": 1}, "fallbacks": {"llm refusal": 1, "ml warming up": 1}},
            [
                "1 decision of p: 1 by heuristic",
                "Decisions of p were passed on 2 times: 1 llm refusal, 1 ml warming up",
            ],
        ),
    ],
)
def test_who_decided_is_told_and_why_others_did_not(row: dict[str, object], lines: list[str]) -> None:
    assert decision_lines([{"population": "p", **row}]) == lines
