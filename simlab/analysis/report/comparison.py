"""The sections of a page that shows several runs side by side."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd

from simlab.analysis import figures
from simlab.analysis.report.elements import (
    Cell,
    Code,
    Element,
    Figure,
    Note,
    Section,
    Table,
    Text,
    attempt,
    number,
)
from simlab.analysis.report.reading import INSTRUMENTS_SHOWN, Reading
from simlab.analysis.report.sections import config_section, flat, in_own_unit
from simlab.analysis.report.words import Tile, count, price_change
from simlab.errors import AnalysisError

__all__ = ["comparison_sections", "comparison_tiles", "labels"]

RUNS_SHOWN = 8
"""Runs with lines and columns of their own; the comparison table takes all."""
DIFFERENCES_SHOWN = 200
POPULATIONS_SHOWN = 50
OVERVIEW_INSTRUMENTS = 3
_ABSENT = Cell("\N{EN DASH}", "")


def labels(readings: Sequence[Reading]) -> list[str]:
    """Return a name for each run: that of its folder, with what makes it unique where folders share one."""
    names = [reading.run.path.name for reading in readings]
    counts = Counter(names)
    longer = [
        f"{reading.run.path.parent.name}/{name}" if counts[name] > 1 else name
        for name, reading in zip(names, readings, strict=True)
    ]
    counts, seen = Counter(longer), Counter[str]()
    result = []
    for name in longer:
        seen[name] += 1
        result.append(f"{name} ({seen[name]})" if counts[name] > 1 else name)
    return result


def comparison_sections(readings: Sequence[Reading]) -> list[Section]:
    """Return all sections of the page of several runs."""
    named = dict(zip(labels(readings), readings, strict=True))
    shown = dict(list(named.items())[:RUNS_SHOWN])
    return [
        _summary(named, shown),
        Section("differences", "What differs", _differences(shown)),
        Section("comparison", "Comparison", attempt("Comparison", lambda: _compared(readings))),
        _market(shown),
        _profits(shown),
        _configs(shown),
        _provenance(shown),
    ]


def comparison_tiles(readings: Sequence[Reading]) -> list[Tile]:
    """Return the key figures of a comparison."""
    seeds = {reading.run.manifest.get("seed") for reading in readings}
    return [
        Tile("Runs", f"{len(readings):,}", count(len(seeds), "seed")),
        Tile("Trades", f"{sum(reading.rows['trades'] for reading in readings):,}", "in all runs"),
        Tile("Different keys", f"{len(_different(_configurations(readings))):,}", "of the configuration"),
    ]


def _summary(named: dict[str, Reading], shown: dict[str, Reading]) -> Section:
    different = _different(_configurations(named.values()))
    said = f"{count(len(named), 'run')} side by side, which differ in {count(len(different), 'key')}"
    said += f": {', '.join(list(different)[:5])}" if different else ""
    said += " and others." if len(different) > 5 else "."
    elements: list[Element] = [Text(said)]
    if len(shown) < len(named):
        elements.append(
            Note(f"The first {len(shown)} of {len(named)} runs have lines and columns of their own.")
        )
    unfinished = [label for label, reading in named.items() if not reading.run.finished]
    if unfinished:
        elements.append(Note(f"Not finished, and shown as far as they went: {', '.join(unfinished[:10])}."))
    return Section("summary", "Summary", [*elements, _overview(shown)])


def _overview(shown: dict[str, Reading]) -> Table:
    columns = [("run", False), ("seed", True), ("steps", True), ("agents", True), ("trades", True)]
    columns += [("instrument", False), ("last price", True), ("mean spread", True)]
    columns += [("volatility (per step)", True)]
    rows = []
    for label, reading in shown.items():
        for name in reading.shown_instruments[:OVERVIEW_INSTRUMENTS]:
            spread = reading.measure(name, "quoted spread")
            rows.append(
                [
                    Cell(label, label),
                    Cell(str(reading.run.manifest.get("seed", "")), reading.run.manifest.get("seed", "")),
                    number(reading.steps, 0),
                    number(reading.traders, 0),
                    number(reading.rows["trades"], 0),
                    Cell(name, name),
                    number(price_change(reading, name)[1]),
                    number(None if spread is None else spread * reading.price_unit(name), 4),
                    number(reading.measure(name, "volatility"), 3, significant=True),
                ]
            )
    most = max(len(reading.instruments) for reading in shown.values())
    caption = "Prices and spread in currency."
    if most > OVERVIEW_INSTRUMENTS:
        caption += f" The first {OVERVIEW_INSTRUMENTS} instruments of each run."
    return Table("Runs", columns, rows, caption)


def _configurations(readings: Iterable[Reading]) -> list[dict[str, str]]:
    return [dict(flat(reading.config, text=partial(json.dumps, default=str))) for reading in readings]


def _different(configurations: list[dict[str, str]]) -> list[str]:
    """Return the keys, in order, that do not have the same value in all configurations."""
    keys = dict.fromkeys(key for configuration in configurations for key in configuration)
    return [key for key in keys if len({configuration.get(key) for configuration in configurations}) > 1]


def _differences(shown: dict[str, Reading]) -> list[Element]:
    configurations = _configurations(shown.values())
    different = _different(configurations)
    if not different:
        return [Text("The resolved configurations are the same.")]
    elements: list[Element] = []
    if len(different) > DIFFERENCES_SHOWN:
        left = len(different) - DIFFERENCES_SHOWN
        elements.append(Note(f"{left:,} more keys differ; each run's config.yaml has them all."))
    rows = [
        [Cell(key, key), *(_value(configuration.get(key)) for configuration in configurations)]
        for key in different[:DIFFERENCES_SHOWN]
    ]
    columns = [("key", False), *((label, False) for label in shown)]
    return [*elements, Table("Keys that differ", columns, rows, "A dash: the run has no such key.")]


def _value(text: str | None) -> Cell:
    return _ABSENT if text is None else Cell(text.strip('"'), text)


def _market(shown: dict[str, Reading]) -> Section:
    section = Section("market", "Market")
    names = dict.fromkeys(name for reading in shown.values() for name in reading.shown_instruments)
    if len(names) > INSTRUMENTS_SHOWN:
        section.elements.append(Note(f"{len(names) - INSTRUMENTS_SHOWN} more instruments are left out."))
    for place, name in enumerate(list(names)[:INSTRUMENTS_SHOWN]):
        holders = {label: it for label, it in shown.items() if name in it.shown_instruments}
        elements = [
            *attempt("Prices", partial(_prices, name, holders)),
            *attempt("Spreads", partial(_spreads, name, holders)),
            *attempt("Market quality", partial(_quality, name, holders)),
        ]
        section.parts.append(Section(f"market-{place}", name, elements))
    return section


def _common_unit(name: str, holders: dict[str, Reading]) -> float | None:
    units = {reading.price_unit(name) for reading in holders.values()}
    return units.pop() if len(units) == 1 else None


def _quotes(name: str, holders: dict[str, Reading]) -> tuple[dict[str, Any], dict[str, Any]]:
    quoted = {label: it for label, it in holders.items() if it.rows["quotes"]}
    if not quoted:
        raise AnalysisError(next(iter(holders.values())).missing("quotes"))
    tables = {label: reading.table("quotes", name) for label, reading in quoted.items()}
    return tables, {label: reading.steps for label, reading in quoted.items()}


def _prices(name: str, holders: dict[str, Reading]) -> Figure:
    tables, steps = _quotes(name, holders)
    drawn = figures.prices(tables, price_unit=_common_unit(name, holders), steps=steps)
    return Figure(drawn, f"Mid price of {name}", "The mid price of each run, over each other.")


def _spreads(name: str, holders: dict[str, Reading]) -> Figure:
    tables, steps = _quotes(name, holders)
    drawn = figures.spreads(tables, price_unit=_common_unit(name, holders), steps=steps)
    return Figure(drawn, f"Spread of {name}", "The quoted spread of each run, mean over ranges of steps.")


def _quality(name: str, holders: dict[str, Reading]) -> Table:
    found = {}
    for label, reading in holders.items():
        table = reading.quality[reading.quality["instrument"] == name]
        found[label] = {row.measure: in_own_unit(reading, name, row) for row in table.itertuples()}
    measures = dict.fromkeys(measure for rows in found.values() for measure in rows)
    rows = []
    for measure in measures:
        cells = [found[label].get(measure) for label in holders]
        unit = next(cell[1] for cell in cells if cell is not None)
        values = [_ABSENT if cell is None else cell[0] for cell in cells]
        rows.append([Cell(measure, measure), *values, Cell(unit, unit)])
    columns = [("measure", False), *((label, True) for label in holders), ("unit", False)]
    return Table(f"Market quality of {name}", columns, rows, "Defined in docs/analysis.md.")


def _profits(shown: dict[str, Reading]) -> Section:
    return Section("pnl", "Profit and loss", attempt("P&L", lambda: _pnl(shown)))


def _pnl(shown: dict[str, Reading]) -> Iterable[Element]:
    rows = pd.concat(
        [
            reading.by_population.assign(run=label, population=lambda it: it["population"].astype(str))
            for label, reading in shown.items()
        ]
    )
    if rows.empty:
        raise AnalysisError("the runs have no agents")
    units = {reading.money_unit for reading in shown.values()}
    unit = units.pop() if len(units) == 1 else None
    money = "money units" if unit is None else "currency"
    by_size = rows.groupby("population")["total"].agg(lambda it: it.abs().max()).nlargest(POPULATIONS_SHOWN)
    drawn = rows[rows["population"].isin(by_size.index[: figures.SHOWN])]
    caption = "Profit and loss of all agents of a population at the end of each run, after fees."
    if len(by_size) > figures.SHOWN:
        caption += f" The {figures.SHOWN} populations with the largest gain or loss."
    yield Figure(figures.pnl_by_run(drawn, money_unit=unit), "P&L by population and run", caption)
    wide = rows.pivot(index="population", columns="run", values="total").reindex(by_size.index)
    cells = [
        [Cell(name, name), *(number(row[label] * (unit or 1.0)) for label in shown)]
        for name, row in wide.iterrows()
    ]
    columns = [("population", False), *((label, True) for label in shown)]
    left = rows["population"].nunique() - len(by_size)
    more = f" The {len(by_size)} populations with the largest gain or loss; {left} more." if left else ""
    yield Table("P&L by population and run", columns, cells, f"In {money}, after fees.{more}")


def _configs(shown: dict[str, Reading]) -> Section:
    elements = [
        replace(element, title=f"{label}: {element.title}") if isinstance(element, Code) else element
        for label, reading in shown.items()
        for element in config_section(reading).elements
    ]
    return Section("config", "Configurations", elements)


def _provenance(shown: dict[str, Reading]) -> Section:
    left_out = ("populations", "instruments")
    facts = {
        label: dict(flat({key: it for key, it in reading.run.manifest.items() if key not in left_out}))
        for label, reading in shown.items()
    }
    keys = dict.fromkeys(key for rows in facts.values() for key in rows)
    rows = [[Cell(key), *(Cell(facts[label].get(key, "\N{EN DASH}")) for label in shown)] for key in keys]
    columns = [("key", False), *((label, False) for label in shown)]
    caption = "The same file, seed and versions give the same event-log hash, on any machine."
    return Section("provenance", "Provenance", [Table("Manifests", columns, rows, caption, sortable=False)])


def _compared(readings: Sequence[Reading]) -> Iterable[Element]:
    from simlab.analysis.compare import compare

    table = compare([reading.run for reading in readings])
    yield from (Note(f"{note[0].upper()}{note[1:]}.") for note in table.attrs["notes"])
    for (a, b), rows in table.groupby(["a", "b"], sort=False, observed=True):
        yield from _pair(str(a), str(b), rows)


def _pair(a: str, b: str, rows: pd.DataFrame) -> Iterable[Element]:
    """Return the effect of one treatment against the baseline: as a picture and a table."""
    judged = rows[rows[["effect", "effect_low", "effect_high"]].notna().all(axis=1)]
    if len(judged):
        drawn = judged[["measure", "effect", "effect_low", "effect_high"]]
        drawn = drawn.set_axis(["measure", "estimate", "low", "high"], axis=1)
        caption = (
            f"Each measure of {b} less that of {a}, in standard deviations, with its 95% interval; right of "
            "zero it is higher. Intervals are of one measure each, not corrected for their number."
        )
        axis = "effect size (standard deviations)"
        yield Figure(figures.forest(drawn, label="measure", x=axis), f"{b} against {a}", caption)
    columns = [("measure", False), ("verdict on b", False), ("mean b", True), ("mean a", True)]
    columns += [("b less a", True), ("95% interval", True), ("p (Holm)", True), ("unit", False)]
    row = rows.iloc[0]
    pairing = "paired by seed" if row["paired"] else "not paired"
    caption = (
        f"b is {b} ({count(int(row['seeds_b']), 'seed')}), a is {a} ({count(int(row['seeds_a']), 'seed')}), "
    )
    caption += (
        f"{pairing}. P-values are corrected for the number of measures (Holm), and the verdict follows."
    )
    cells = [_compared_row(it, b) for it in rows.itertuples()]
    yield Table(f"{b} against {a}", columns, cells, caption)


def _compared_row(row: Any, b: str) -> list[Cell]:
    low, high = (number(value, 3, significant=True) for value in (row.low, row.high))
    interval = f"{low.text} to {high.text}" if pd.notna(row.low) else low.text
    verdict, badge = str(row.verdict), "open"
    if verdict.endswith("is higher"):
        verdict, badge = ("higher" if verdict.startswith(b) else "lower"), "good"
    return [
        Cell(str(row.measure), str(row.measure)),
        Cell(verdict, verdict, badge),
        *(number(value, 4, significant=True) for value in (row.mean_b, row.mean_a, row.difference)),
        Cell(interval, low.key),
        number(row.p_holm, 3),
        Cell(str(row.unit), str(row.unit)),
    ]
