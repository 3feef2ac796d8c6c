"""The sections of the page of a sweep: what parameters and treatments do to its measures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from simlab.analysis.compare import INDEXED, UNITS, parameter_effects, sensitivity, treatment_effects
from simlab.analysis.figures import forest, indices, responses
from simlab.analysis.report.elements import (
    Cell,
    Element,
    Figure,
    Note,
    Section,
    Table,
    Text,
    attempt,
    folded,
    number,
)
from simlab.analysis.report.tournament import ecology_section
from simlab.analysis.report.words import Tile, count

__all__ = ["sweep_sections", "sweep_tiles"]

_MEASURES_DRAWN = 6
_FAILURES_SHOWN = 100
_SHOWN_BELOW = 0.05


def sweep_tiles(found: pd.DataFrame) -> list[Tile]:
    """Return the key figures of a sweep."""
    failed = int((found["status"] == "failed").sum())
    return [
        Tile("Runs", f"{len(found):,}", f"{count(failed, 'failure')}" if failed else "none failed"),
        Tile("Parameters", f"{len(found.attrs['parameters']):,}", count(found["point"].nunique(), "point")),
        Tile("Seeds", f"{found['seed'].nunique():,}", count(found["treatment"].nunique(), "treatment")),
        Tile("Time", f"{found['seconds'].sum() / 60:,.1f} min", "of all runs together"),
    ]


def sweep_sections(found: pd.DataFrame) -> list[Section]:
    """Return all sections of the page of a sweep."""
    sections = [Section("summary", "Summary", _summary(found))]
    if "tournament" in found.attrs:
        sections.insert(0, ecology_section(found))
    if found["treatment"].nunique() > 1:
        sections.append(
            Section("treatments", "Treatments", attempt("Treatments", lambda: _treatments(found)))
        )
    if found.attrs["parameters"]:
        parts = [
            Section(f"parameter-{i}", name, _parameter(found, name))
            for i, name in enumerate(found.attrs["parameters"])
        ]
        sections.append(Section("parameters", "Parameters", _parameters(found), parts))
    if found.attrs.get("design", {}).get("kind") in INDEXED:
        made = attempt("Sensitivity", lambda: _sensitivity(found))
        sections.insert(1, Section("sensitivity", "Sensitivity", made))
    if (found["status"] == "failed").any():
        sections.append(Section("failures", "Failures", [_failures(found)]))
    return sections


def _summary(found: pd.DataFrame) -> list[Element]:
    measures = found.attrs["measures"]
    values = found[found["status"] == "finished"][measures].astype(float)
    rows = [
        [
            Cell(name, name),
            Cell(_unit(name), _unit(name)),
            *(
                number(float(it), 4, significant=True)
                for it in values[name].agg(["mean", "std", "min", "max"])
            ),
            number(float(values[name].notna().sum()), 0),
        ]
        for name in measures
    ]
    columns = [("measure", False), ("unit", False), ("mean", True), ("standard deviation", True)]
    columns += [("least", True), ("most", True), ("runs", True)]
    made: list[Element] = [Text(found.attrs["description"])] if found.attrs["description"] else []
    return [*made, Table("All runs", columns, rows)]


def _unit(measure: str) -> str:
    return next((unit for name, unit in UNITS.items() if measure.startswith(name)), "")


def _treatments(found: pd.DataFrame) -> list[Element]:
    table = treatment_effects(found)
    rows = [
        [
            Cell(row.measure, row.measure),
            Cell(row.b, row.b),
            number(row.mean_a, 4, significant=True),
            number(row.difference, 4, significant=True),
            *_interval(row.low, row.high),
            *_interval(row.unpaired_low, row.unpaired_high),
            number(row.variance_ratio, 1),
            number(row.p_holm, 4),
            number(row.pairs, 0),
        ]
        for row in table.itertuples()
    ]
    columns = [
        ("measure", False),
        ("treatment", False),
        (f"mean of {table['a'][0]}", True),
        ("difference", True),
    ]
    columns += [
        ("paired 95%", False),
        ("not paired 95%", False),
        ("variance ratio", True),
        ("p (Holm)", True),
    ]
    columns += [("pairs", True)]
    drawn = table.assign(
        label=table["measure"] + " " + table["b"],
        estimate=table["effect"],
        low=table["effect"] - 1.96 / np.sqrt(table["pairs"]),
        high=table["effect"] + 1.96 / np.sqrt(table["pairs"]),
    ).dropna(subset=["estimate"])
    told = (
        f"Each treatment less {table['a'][0]}, run by run with the same point and seed. The variance ratio is"
        " how many times as many runs it would take for the same interval without pairs."
    )
    made: list[Element] = [Text(told), Table("Effects of treatments", columns, rows)]
    if len(drawn):
        caption = (
            "In standard deviations of the paired difference (d_z), with an approximate interval of 95%."
        )
        made.append(
            Figure(forest(drawn, label="label", x="effect (standard deviations)"), "Effect sizes", caption)
        )
    return made


def _interval(low: float, high: float) -> list[Cell]:
    ends = [number(it, 4, significant=True).text for it in (low, high)]
    return [Cell("\N{EN DASH}" if np.isnan(low) else f"{ends[0]} to {ends[1]}", low)]


def _parameters(found: pd.DataFrame) -> list[Element]:
    table = parameter_effects(found)
    if table.empty:
        return [Note("No parameter has two values with runs that finished.")]
    rows = [
        [
            Cell(row.parameter, row.parameter),
            Cell(row.measure, row.measure),
            Cell(f"{row.b} less {row.a}" if row.b else "rank correlation", row.kind),
            number(row.estimate, 4, significant=True),
            *_interval(row.low, row.high),
            number(row.p_holm, 4),
            Cell("shown", 1, "shown") if row.p_holm < _SHOWN_BELOW else Cell("not shown", 0, "not shown"),
        ]
        for row in table.itertuples()
    ]
    columns = [("parameter", False), ("measure", False), ("what", False), ("estimate", True), ("95%", False)]
    columns += [("p (Holm)", True), ("verdict", False)]
    caption = "Differences are pair by pair where a run has a partner that is equal in all else."
    return [Table("Effects of parameters", columns, rows, caption)]


def _parameter(found: pd.DataFrame, parameter: str) -> list[Element]:
    done, measures = found[found["status"] == "finished"], _drawn(found)
    caption = "Means over all runs at a value, with their 95% intervals."
    if len(measures) < len(found.attrs["measures"]):
        caption += f" The first {len(measures)} of {len(found.attrs['measures'])} measures."
    return attempt(parameter, lambda: Figure(responses(done, parameter, measures), parameter, caption))


def _drawn(found: pd.DataFrame) -> Sequence[str]:
    known = [name for name in found.attrs["measures"] if found[name].notna().any()]
    return known[:_MEASURES_DRAWN]


def _sensitivity(found: pd.DataFrame) -> list[Element]:
    table = sensitivity(found)
    told = "How much of each measure's variation over the design each parameter makes; 95% intervals."
    figures = [Figure(indices(table, name), name, told, half=True) for name in _drawn(found)]
    numbers = [name for name in table if name not in ("measure", "parameter")]
    rows = [
        [
            Cell(row["measure"]),
            Cell(row["parameter"]),
            *(number(row[name], 3, significant=True) for name in numbers),
        ]
        for row in table.to_dict("records")
    ]
    columns = [
        ("measure", False),
        ("parameter", False),
        *((name.replace("_", " "), True) for name in numbers),
    ]
    return [*figures, Table("Indices", columns, rows)]


def _failures(found: pd.DataFrame) -> Table:
    failed = found[found["status"] == "failed"].head(_FAILURES_SHOWN)
    rows = [
        [number(row["run"], 0), Cell(str(row["treatment"])), number(row["seed"], 0), folded(row["error"])]
        for row in failed.to_dict("records")
    ]
    columns = [("run", True), ("treatment", False), ("seed", True), ("error", False)]
    return Table("Runs that failed", columns, rows)
