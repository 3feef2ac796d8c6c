"""The report's section on decisions: who decided, what it earned, why others did not."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from pathlib import Path

import pytest

import simlab
from simlab.analysis.report import write_report


def _section(run: simlab.Run, folder: Path) -> str:
    """Return the section of a run's report as text, without figures, each cell after a bar."""
    page = write_report(run, folder / "report.html").read_text(encoding="utf-8")
    found = re.search(r'<section id="decisions".*?</section>', page, re.DOTALL)
    assert found is not None
    without = re.sub(r"<script.*?</script>", " ", found[0], flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", without.replace("<td", "|<td"))).split())


@pytest.fixture(scope="module")
def section(explained: simlab.Run, tmp_path_factory: pytest.TempPathFactory) -> str:
    return _section(explained, tmp_path_factory.mktemp("report"))


def test_who_decided_is_told_in_a_sentence_and_a_table(section: str, explained: simlab.Run) -> None:
    table = explained.decisions()
    counts = table["source"].value_counts()
    assert f"{len(table):,} decisions were written down" in section
    assert f"{counts['llm']:,} by llm" in section
    assert f"{counts['heuristic']:,} by heuristic" in section
    calls, cached = int(table["calls"].sum()), int(table["cached"].sum())
    assert f"{calls:,} calls, {cached:,} of them from a cassette" in section
    assert f"{int(table['tokens_in'].sum()):,} tokens read" in section
    assert f"at a cost of {table['cost'].sum():,.4f}" in section
    thinkers = table[table["account"].astype(str).str.startswith("thinkers")]
    failed = thinkers[thinkers["source"] == "heuristic"]
    share = 100 * len(failed) / len(thinkers)
    assert f"| thinkers | heuristic | noise | {len(failed)} | {share:.1f} |" in section


def test_what_decisions_earned_is_in_currency(section: str, explained: simlab.Run) -> None:
    by_source = explained.pnl_by_source().set_index(["population", "source"])
    for name in ("llm", "heuristic", "initial inventory"):
        row = by_source.loc["thinkers", name]
        earned = f"{row['total'] * 0.01:,.2f}".replace("-", "\N{MINUS SIGN}")
        assert re.search(rf"\| thinkers \| {name} \| [^a-z]*\| {earned} \|", section)


def test_every_fallback_is_counted_with_its_reason(section: str, explained: simlab.Run) -> None:
    passed = explained.manifest["populations"][-1]["fallbacks"]
    assert set(passed) == {"llm invalid answer"}
    times = passed["llm invalid answer"]
    assert f"| thinkers | llm invalid answer | {times} | no JSON; llm is not the end of it: " in section


def test_decisions_are_shown_with_reason_action_and_outcome(section: str, explained: simlab.Run) -> None:
    rows = section[section.index("calls tokens cost time (s)") :].split("|")[1:]
    shown = [[cell.strip() for cell in rows[place : place + 10]] for place in range(0, len(rows), 10)]
    assert len(shown) == 40
    assert {(row[1].partition("/")[0], row[2]) for row in shown} == {
        ("thinkers", "llm"),
        ("thinkers", "heuristic"),
        ("secretive", "heuristic"),
    }
    steps = [int(row[0]) for row in shown]
    assert steps == sorted(steps)
    recorded = explained.decisions().set_index(["step", "account"])
    for step, agent, _, why, action, outcome, *_ in shown:
        row = recorded.loc[(int(step), agent)]
        assert (action, outcome) == (row["action"], row["outcome"])
        assert why.startswith((str(row["reason"])[:60], "(after llm invalid answer: no JSON"))
    assert "more)" in section  # of 2,400 characters 2,000 are shown


def test_a_run_whose_agents_say_nothing_has_no_such_section(day: simlab.Run, tmp_path: Path) -> None:
    page = write_report(day, tmp_path / "report.html").read_text(encoding="utf-8")
    assert 'id="decisions"' not in page


def test_without_quotes_of_every_step_there_is_no_markout(
    explained_market: Callable[..., simlab.Run], tmp_path: Path
) -> None:
    run = explained_market(tmp_path, recording={"quotes_every": 10}, steps=60)
    section = _section(run, tmp_path)
    assert "were worth at the end" in section
    row = run.pnl_by_source(horizon=None).iloc[0]
    gain = f"{row['gain'] * 0.01:,.2f}".replace("-", "\N{MINUS SIGN}")
    assert f"| \N{EN DASH} | {gain} |" in section
