"""The section on who decided what, and why."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis import figures
from simlab.analysis.report.elements import (
    Cell,
    Element,
    Figure,
    Section,
    Table,
    Text,
    attempt,
    folded,
    number,
)
from simlab.analysis.report.reading import Reading
from simlab.analysis.report.words import count, decided

__all__ = ["decisions_section"]

SAMPLE = 40
"""Decisions that are shown."""
HELD = 4
"""Of these in which agents held, of a population and source."""
REASONS_SHOWN = 50


def decisions_section(reading: Reading) -> Section:
    """Return what is known of the decisions of a run that has any."""
    makers: dict[str, Callable[[Reading], Element | Iterable[Element]]] = {
        "Who decided": _who,
        "P&L by source": _earned,
        "Fallbacks": _fallbacks,
        "Times": _times,
        "Decisions": _sample,
    }
    section = Section("decisions", "Decisions", [Text(_headline(reading.decisions))])
    for what, make in makers.items():
        section.elements += attempt(what, partial(make, reading))
    return section


def _headline(table: pd.DataFrame) -> str:
    said = f"{count(len(table), 'decision')} were written down: {decided(table['source'])}."
    passed = int(table["fallback"].notna().sum())
    if passed:
        said += f" {passed:,} of them came to who decided because others before did not."
    calls, cached = int(table["calls"].sum()), int(table["cached"].sum())
    if calls:
        said += f" Models were asked in {count(calls, 'call')}, {_of(cached, calls)} from a cassette: "
        said += (
            f"{int(table['tokens_in'].sum()):,} tokens read and {int(table['tokens_out'].sum()):,} written"
        )
        cost = float(table["cost"].sum())
        said += f", at a cost of {cost:,.4f}." if cost else "."
    return said


def _of(some: int, whole: int) -> str:
    return "all" if some == whole else "none" if not some else f"{some:,} of them"


def _who(reading: Reading) -> Table:
    table = reading.decisions
    asked = bool(table["calls"].notna().any())
    columns = [("population", False), ("who decided", False), ("strategy", False), ("decisions", True)]
    columns += [("share (%)", True), ("orders", True), ("refused", True), ("filled (lots)", True)]
    columns += [("calls", True), ("cached", True), ("tokens read", True), ("tokens written", True)] * asked
    columns += [("cost (currency)", True), ("mean time (s)", True)] * asked
    of_all = table.groupby("population", observed=True).size()
    cells = []
    for (population, source, strategy), rows in table.groupby(
        ["population", "source", "strategy"], observed=True
    ):
        row = [Cell(it, it) for it in (population, _named(source), strategy)]
        sums = [len(rows), 100 * len(rows) / of_all[population], *rows[["orders", "refused", "filled"]].sum()]
        row += [number(value, 1 if place == 1 else 0) for place, value in enumerate(sums)]
        if asked:
            spent = rows[["calls", "cached", "tokens_in", "tokens_out"]].sum()
            row += [number(it, 0) for it in spent]
            row += [number(rows["cost"].sum(), 4), number(rows["ms"].mean() / 1e3)]
        cells.append(row)
    caption = "What was spent on a decision before it was passed on stands with who decided in the end."
    return Table("Who decided", columns, cells, caption if asked else "")


def _earned(reading: Reading) -> Iterable[Element]:
    table = reading.by_source
    if (traded := table["fills"] > 0).any():
        drawn = figures.pnl_by_source(table[traded], money_unit=reading.money_unit)
        caption = "What the fills of orders sent in decisions were worth against the mid "
        caption += "10 steps later (mark-out), what the price did to them afterwards, and fees. "
        if table["markout"].isna().all():
            caption = "What the fills of orders sent in decisions were worth at the end, and fees. "
        caption += "The total (diamond) is without the cost of models."
        yield Figure(drawn, "P&L by who decided", caption)
    unit = reading.money_name
    columns = [("population", False), ("who decided", False), ("decisions", True), ("fills", True)]
    columns += [("volume (lots)", True), (f"mark-out ({unit})", True), (f"gain ({unit})", True)]
    columns += [(f"fees ({unit})", True), (f"P&L ({unit})", True), ("cost of models (currency)", True)]
    cells = [
        [
            Cell(row.population, row.population),
            Cell(_named(row.source), row.source),
            *(number(it, 0) for it in (row.decisions, row.fills, row.volume)),
            *(number(reading.in_money(it)) for it in (row.markout, row.gain, row.fees, row.total)),
            number(row.cost, 4),
        ]
        for row in table.itertuples()
    ]
    caption = "Mark-out: against the mid 10 steps after the fill; gain: against that at the end of the run; "
    caption += "P&L: gain less fees, which over all rows of a population adds up to its P&L. "
    yield Table("What decisions earned", columns, cells, f"{caption}Defined in docs/analysis.md.")


def _fallbacks(reading: Reading) -> Iterable[Element]:
    table = reading.decisions[["step", "population", "fallback"]].dropna(subset="fallback")
    kinds = {kind for row in reading.run.summary["populations"] for kind in row.get("fallbacks", ())}
    # of a run that has not ended the kinds are not known, and who is next must be told by its first word
    next_story = re.compile(f"; (?=(?:{'|'.join(map(re.escape, sorted(kinds))) or 'llm |ml |heuristic '}))")
    stories = [
        (row.step, row.population, *story.partition(": ")[::2])
        for row in table.itertuples()
        for story in next_story.split(row.fallback)
    ]
    if not stories:
        yield Text("No decision was passed on.")
        return
    told = pd.DataFrame(stories, columns=["step", "population", "why", "detail"])
    caption = "How often a strategy handed a decision on to the next of its population, and why."
    drawn = figures.fallbacks(told, steps=reading.steps)
    yield Figure(drawn, "Fallbacks over time", caption)
    rows = told.groupby(["population", "why"], observed=True)["detail"].agg(["size", "first"])
    rows = rows.sort_values("size", ascending=False, kind="stable").reset_index()
    cells = [
        [Cell(row.population, row.population), Cell(row.why, row.why), number(row.size, 0), folded(row.first)]
        for row in rows.head(REASONS_SHOWN).itertuples(index=False)
    ]
    columns = [("population", False), ("who did not decide, and why", False), ("times", True)]
    yield Table("Fallbacks", [*columns, ("the first time", False)], cells)


def _times(reading: Reading) -> Iterable[Element]:
    if reading.decisions["ms"].isna().all():
        return
    caption = "How long decisions took, as it was measured when the models were asked. Boxes hold the middle "
    caption += "half with the median (line) and the mean (dashed), whiskers reach from the 5th to the 95th "
    yield Figure(figures.thinking_times(reading.decisions), "Time of decisions", f"{caption}percentile.")


def _sample(reading: Reading) -> Table:
    table = reading.decisions
    shown = table.loc[_chosen(table)]
    asked = bool(shown["calls"].notna().any())
    columns = [("step", True), ("agent", False), ("who decided", False), ("why", False)]
    columns += [("action", False), ("outcome", False)]
    columns += [("calls", True), ("tokens", True), ("cost", True), ("time (s)", True)] * asked
    cells = []
    for row in shown.itertuples():
        words = [Cell(str(row.account), str(row.account)), Cell(_named(row.source), row.source)]
        words += [folded(_why(row)), folded(row.action), Cell(row.outcome, row.outcome)]
        spent = [number(row.calls, 0), number(row.tokens_in + row.tokens_out, 0), number(row.cost, 4)]
        spent.append(number(row.ms / 1e3))
        cells.append([number(row.step, 0), *words, *spent * asked])
    caption = "All decisions. "
    if len(shown) < len(table):
        caption = (
            f"{len(shown)} of {len(table):,} decisions, of every population and whoever decided; all are "
        )
        caption += "in run.decisions(). "
    return Table("Decisions", columns, cells, f"{caption}Outcomes are those at the end of the recording.")


def _why(row: Any) -> str:
    """Return the reason that was given, why those before did not decide, and what else was noted."""
    texts = (row.reason, f"(after {row.fallback})" if isinstance(row.fallback, str) else None, row.facts)
    return " ".join(text for text in texts if isinstance(text, str))


def _chosen(table: pd.DataFrame) -> pd.Index:
    """Return the places of decisions to show: of each population and source alike, evenly over time.

    Decisions in which an agent just held come last, and where it gave no reason they are not shown, unless
    there are no others.
    """
    acted = table["action"] != "hold"
    told = acted | table["reason"].notna() | table["fallback"].notna()
    shown = table.assign(acted=acted)[told if told.any() else slice(None)]
    groups = [
        rows.index[_evenly(len(rows), SAMPLE if key[-1] else HELD)]
        for key, rows in shown.groupby(["population", "source", "acted"], observed=True)
    ]
    left, chosen = min(SAMPLE, sum(map(len, groups))), []
    for place, index in enumerate(sorted(groups, key=len)):
        taken = min(len(index), -(-left // (len(groups) - place)))
        chosen += list(index[_evenly(len(index), taken)])
        left -= taken
    return pd.Index(sorted(chosen))


def _evenly(count: int, most: int) -> NDArray[np.int64]:
    return np.linspace(0, count - 1, min(count, most)).astype(np.int64)


def _named(source: str) -> str:
    return "nobody" if source == "none" else source
