"""Show what the analysis found as tables for a terminal."""

from __future__ import annotations

from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

__all__ = ["comparison_tables", "facts_table"]


def facts_table(source: str, card: Any, explain: bool = False) -> Table:
    """Return a card of stylised facts, `simlab.analysis.facts.card`: a line a fact, definitions on demand."""
    several = ["instrument"] if "instrument" in card.columns else []
    table = _table(f"Stylised facts: {source}", [*several, "fact"], ["estimate", "95% interval"], "verdict")
    if explain:
        table.add_column("what it is")
    for row in card.to_dict("records"):
        known = row["estimate"] == row["estimate"]
        estimate = f"{row['estimate']:.3g}" if known else "-"
        interval = _interval(row["low"], row["high"]) if known else "-"
        cells = [*(row[name] for name in several), row["fact"], estimate, interval, row["verdict"]]
        table.add_row(*(Text(cell) for cell in (*cells, *([row["description"]] if explain else []))))
    return table


def comparison_tables(found: Any) -> Group:
    """Return a comparison, `simlab.analysis.compare.compare`: a table for each pair of treatments."""
    pairs = found.groupby(["a", "b"], sort=False)
    return Group(*(_pair_table(a, b, rows, found.attrs["warmup"]) for (a, b), rows in pairs))


def _pair_table(a: str, b: str, rows: Any, warmup: int) -> Table:
    most = rows.loc[(rows["seeds_a"] + rows["seeds_b"]).idxmax()]  # a measure may be missing in some runs
    pairing = f"{most.seeds_a} paired seeds" if most.paired else f"{most.seeds_a} and {most.seeds_b} seeds"
    pairing += f"; the first {warmup:,} steps left out" if warmup else ""
    numbers = ["A", "B", "B - A", "95% interval", "effect", "p (Holm)"]
    table = _table(f"A: {a}\nB: {b}\n{pairing}", ["measure"], numbers, "verdict")
    for row in rows.itertuples(index=False):
        cells = [f"{row.measure} ({row.unit})", *map(_number, (row.mean_a, row.mean_b, row.difference))]
        cells += [_interval(row.low, row.high), _number(row.effect), _number(row.p_holm)]
        verdict = row.verdict
        if verdict.endswith("is higher"):
            verdict = "B is higher" if row.difference > 0 else "A is higher"
        table.add_row(*(Text(cell) for cell in (*cells, verdict)))
    return table


def _table(title: str, texts: list[str], numbers: list[str], last: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in (*texts, *numbers, last):
        justify: Literal["left", "right"] = "right" if name in numbers else "left"
        table.add_column(name, justify=justify, no_wrap=name not in ("measure", "verdict"))
    return table


def _interval(low: float, high: float) -> str:
    return "-" if low != low else f"[{_number(low)}, {_number(high)}]"


def _number(value: float) -> str:
    if value != value:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
