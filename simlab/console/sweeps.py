"""Show the plan of a sweep, and what came out, as tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd
from rich.table import Table

__all__ = ["fit_table", "pair_table", "plan_table", "sweep_table"]

_ROWS_SHOWN = 100


def plan_table(plan: pd.DataFrame) -> Table:
    """Return the runs that will be made, the first fifty of many."""
    table = Table(title=f"{len(plan):,} runs", title_justify="left")
    columns = [name for name in plan if name != "treatment" or plan[name].any()]
    for name in columns:
        table.add_column(str(name), justify="left" if name == "treatment" else "right")
    for row in plan[columns].head(_ROWS_SHOWN).itertuples(index=False):
        table.add_row(*(_short(value) for value in row))
    if len(plan) > _ROWS_SHOWN:
        table.caption = f"and {len(plan) - _ROWS_SHOWN:,} more"
    if left_out := plan.attrs.get("left_out"):
        table.caption = (
            f"{table.caption or ''} {left_out:,} points break a constraint and are left out".strip()
        )
    return table


def sweep_table(found: pd.DataFrame) -> Table:
    """Return each measure at each point and treatment: its mean over the seeds, and the standard error."""
    measures, parameters = found.attrs["measures"], found.attrs["parameters"]
    keys = [*parameters, *(["treatment"] if found["treatment"].any() else [])]
    failed = int((found["status"] == "failed").sum())
    table = Table(title=f"{len(found):,} runs, means over the seeds", title_justify="left")
    for name in [*keys, "runs", "measure", "mean", "standard error"]:
        table.add_column(str(name), justify="left" if name in ("treatment", "measure") else "right")
    done = found[found["status"] == "finished"]
    groups = list(done.groupby(["point", "treatment"], sort=True))
    shown = groups[: max(1, _ROWS_SHOWN // max(1, len(measures)))]
    for _, group in shown:
        for i, name in enumerate(measures):
            where = [_short(group[key].iloc[0]) if i == 0 else "" for key in keys]
            runs = f"{len(group):,}" if i == 0 else ""
            table.add_row(*where, runs, name, _short(group[name].mean()), _short(group[name].sem()))
        table.add_section()
    told = (
        [f"and {len(groups) - len(shown):,} more points and treatments"] if len(groups) > len(shown) else []
    )
    told += [f"{failed:,} runs failed; the column `error` says why"] if failed else []
    table.caption = "; ".join(told) or None
    return table


def pair_table(effects: pd.DataFrame) -> Table:
    """Return the effect of each measure with its interval, with and without pairs."""
    arms, failed = effects.attrs["arms"], effects.attrs["failed"]
    told = {name: ", ".join(f"{path}={value}" for path, value in it.items()) for name, it in arms.items()}
    title = f"b less a; a: {told['a'] or 'as the file says'}; b: {told['b'] or 'as the file says'}"
    table = Table(title=title, title_justify="left")
    for name in (
        "measure",
        "mean of a",
        "b less a",
        "95% paired",
        "95% not paired",
        "variance ratio",
        "p (Holm)",
    ):
        table.add_column(name, justify="left" if name == "measure" else "right")
    for row in effects.itertuples():
        table.add_row(
            row.measure,
            _short(row.mean_a),
            _short(row.difference),
            f"{_short(row.low)} to {_short(row.high)}",
            f"{_short(row.unpaired_low)} to {_short(row.unpaired_high)}",
            f"{row.variance_ratio:.1f}",
            f"{row.p_holm:.2g}",
        )
    pairs = "unknown" if effects.empty else str(effects["pairs"].max())
    caption = f"{pairs} pairs; variance ratio: how many times as many runs it would take without pairs"
    table.caption = caption + (f"; {len(failed)} runs failed: {failed[0]['error']}" if failed else "")
    return table


def fit_table(trials: pd.DataFrame, best: Mapping[str, Any]) -> Table:
    """Return the ten best trials of a search, and what to set for the best."""
    table = Table(title=f"the best of {len(trials):,} trials", title_justify="left")
    shown = [name for name in trials if name != "error"]
    for name in shown:
        table.add_column(str(name), justify="right")
    for row in trials.sort_values("loss").head(10)[shown].itertuples(index=False):
        table.add_row(*(_short(value) for value in row))
    table.caption = " ".join(f"--set {path}={value}" for path, value in best.items())
    return table


def _short(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)
