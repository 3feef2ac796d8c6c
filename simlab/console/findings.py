"""Show what the analysis found as tables for a terminal."""

from __future__ import annotations

from typing import Any, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table
from rich.text import Text

__all__ = ["comparison_tables", "facts_table"]

_WIDE = 110


def facts_table(source: str, card: Any, explain: bool = False) -> Group:
    """Return a card of stylised facts, `simlab.analysis.facts.card`: a line a fact, definitions on demand."""
    title = "\n".join([f"Stylised facts: {source}", *(f"note: {note}" for note in card.attrs["notes"])])
    several = ["instrument"] if "instrument" in card.columns else []
    table = _table(title, [*several, "fact"], ["estimate", "95% interval"], "verdict")
    for row in card.to_dict("records"):
        known = row["estimate"] == row["estimate"]
        estimate = f"{row['estimate']:.3g}" if known else "-"
        interval = _interval(row["low"], row["high"]) if known else "-"
        cells = [*(row[name] for name in several), row["fact"], estimate, interval, row["verdict"]]
        table.add_row(*(Text(cell) for cell in cells))
    definitions = dict(zip(card["fact"], card["description"], strict=True)) if explain else {}
    return Group(table, *(Text(f"{fact}: {meaning}") for fact, meaning in definitions.items()))


def comparison_tables(found: Any, width: int) -> Group:
    """Return a comparison, `simlab.analysis.compare.compare`: a table for each pair of treatments.

    In less than 110 columns, the `width` of the terminal, the two means make room for their difference.
    """
    pairs = found.groupby(["a", "b"], sort=False)
    shown = ["A", "B"] if width >= _WIDE else []
    tables = (_pair_table(a, b, rows, found.attrs["warmup"], shown) for (a, b), rows in pairs)
    return Group(*(Text(f"note: {note}") for note in found.attrs["notes"]), *tables)


def _pair_table(a: str, b: str, rows: Any, warmup: int, shown: list[str]) -> Table:
    most = rows.loc[(rows["seeds_a"] + rows["seeds_b"]).idxmax()]  # a measure may be missing in some runs
    seeds = "1 paired seed" if most.seeds_a == 1 else f"{most.seeds_a} paired seeds"
    seeds = seeds if most.paired else f"{most.seeds_a} and {most.seeds_b} seeds"
    seeds += f"; the first {warmup:,} steps left out" if warmup else ""
    numbers = [*shown, "B - A", "95% interval", "effect", "p (Holm)"]
    table = _table(f"A: {a}\nB: {b}\n{seeds}", ["measure"], numbers, "verdict")
    for row in rows.itertuples(index=False):
        means = [_number(mean) for mean in (row.mean_a, row.mean_b)] if shown else []
        cells = [row.measure, *means, _number(row.difference), _interval(row.low, row.high)]
        cells += [_number(row.effect), _number(row.p_holm), _verdict(row)]
        table.add_row(*(Text(cell) for cell in cells))
    units = {unit: [row.measure for row in rows.itertuples() if row.unit == unit] for unit in rows["unit"]}
    table.caption = "; ".join(f"{', '.join(measures)}: {unit}" for unit, measures in units.items())
    table.caption_justify = "left"
    return table


def _verdict(row: Any) -> str:
    if row.verdict.endswith("is higher"):
        return "B is higher" if row.difference > 0 else "A is higher"
    return str(row.verdict)


def _table(title: str, texts: list[str], numbers: list[str], last: str) -> Table:
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in (*texts, *numbers, last):
        justify: Literal["left", "right"] = "right" if name in numbers else "left"
        table.add_column(name, justify=justify, no_wrap=name != last)
    return table


def _interval(low: float, high: float) -> str:
    return "-" if low != low else f"[{_number(low)}, {_number(high)}]"


def _number(value: float) -> str:
    if value != value:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
