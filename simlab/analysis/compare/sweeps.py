"""Say what parameters and treatments of a sweep do to its measures, with intervals."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from simlab.analysis.libraries import library
from simlab.analysis.statistics import Effect, independent, paired
from simlab.errors import AnalysisError

__all__ = [
    "FACTS",
    "PLANNED",
    "TOURNAMENT",
    "is_sweep",
    "parameter_effects",
    "read_sweep",
    "treatment_effects",
]

PLANNED = ("run", "point", "treatment", "seed")
"""Columns of a sweep's plan, before those of the parameters."""
FACTS = ("status", "error", "event_log_hash", "steps", "messages", "trades", "seconds", "run_dir")
"""What a row says of a run beside its measures."""
MOST_LEVELS = 12
"""Values of a parameter up to which each is compared with the first."""

TOURNAMENT = "tournament.json"
"""File beside a sweep's rows that says which of its parameters are strategies, and who played them."""
_SWEEP, _ROWS = "sweep.json", "runs.parquet"


def is_sweep(place: str | Path) -> bool:
    """Tell whether a folder holds the results of a sweep."""
    return "://" in str(place) or Path(place, _SWEEP).is_file()


def read_sweep(place: str | Path) -> pd.DataFrame:
    """Return the runs of a sweep, which may be going on, a row each, as `simlab.sweep` does.

    Parameters
    ----------
    place : path or URL
        The folder of its results.

    Raises
    ------
    AnalysisError
        When nothing of a sweep can be read there.
    """
    try:
        known = _json(place, _SWEEP)
        found = pd.read_parquet(f"{place}/{_ROWS}")
    except (OSError, ValueError) as error:
        raise AnalysisError(f"{place} has no results of a sweep yet: {error}") from error
    found = found.drop_duplicates("run", keep="last").sort_values("run", ignore_index=True)
    parameters = list(known["sweep"].get("parameters", {}))
    measures = [name for name in found if name not in (*PLANNED, *FACTS, *parameters)]
    found.attrs = {
        "place": str(place),
        "name": known["sweep"]["name"],
        "description": known["sweep"].get("description", ""),
        "parameters": parameters,
        "treatments": list(known["sweep"].get("treatments", {})),
        "design": known["sweep"]["design"],
        "measures": measures,
    }
    if (played := _json(place, TOURNAMENT, needed=False)) is not None:
        found.attrs["tournament"] = played
    return found


def _json(place: str | Path, name: str, *, needed: bool = True) -> Any:
    """Return what a file of a sweep says; None where one that is not needed is not there."""
    try:
        if "://" in str(place):
            with library("fsspec", "cluster").open(f"{place}/{name}", "rb") as file:
                return json.load(file)
        return json.loads(Path(place, name).read_text())
    except FileNotFoundError:
        if needed:
            raise
        return None


def treatment_effects(found: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """Compare every treatment with the first, pair by pair: same point, same seed, one thing changed.

    Parameters
    ----------
    found : DataFrame
        The runs of a sweep with treatments.
    confidence : float

    Returns
    -------
    DataFrame
        One row a treatment and measure: ``measure``, ``a``, ``b``, ``mean_a``, ``mean_b``, ``difference`` (b
        less a) with ``low`` and ``high``, those that the same runs have when they are not paired
        (``unpaired_low``, ``unpaired_high``; differences between points taken out), ``variance_ratio`` (of
        the unpaired difference over the paired: how many times as many runs would be needed without pairs),
        ``effect`` (d_z), ``p``, ``p_holm`` and ``pairs``.

    Raises
    ------
    AnalysisError
        When there are fewer than two treatments.

    Example
    -------
    >>> runs = pd.DataFrame({"point": 0, "treatment": ["x", "y"] * 3, "seed": [1, 1, 2, 2, 3, 3],
    ...                      "status": "finished", "spread": [1.0, 2.0, 5.0, 6.1, 9.0, 9.9]})
    >>> runs.attrs = {"measures": ["spread"], "treatments": ["x", "y"]}
    >>> table = treatment_effects(runs)
    >>> round(float(table["difference"][0]), 3), int(table["variance_ratio"][0])
    (1.0, 3161)
    """
    names = list(dict.fromkeys(found["treatment"]))
    if len(names) < 2:
        raise AnalysisError("there is one treatment; `treatments:` of a sweep names what to compare")
    done = found[found["status"] == "finished"].set_index(["point", "seed"])
    rows = []
    for measure in found.attrs["measures"]:
        samples = {name: group[measure].dropna() for name, group in done.groupby("treatment")}
        for name in names[1:]:
            rows.append(
                {"measure": measure, "a": names[0], "b": name}
                | _pairs(samples.get(names[0]), samples.get(name), confidence)
            )
    return _corrected(pd.DataFrame(rows))


def _pairs(a: pd.Series | None, b: pd.Series | None, confidence: float) -> dict[str, Any]:
    if a is None or b is None:
        return {"pairs": 0, "p": np.nan}
    both = a.index.intersection(b.index)
    a, b = a.loc[both], b.loc[both]
    if a.empty:
        return {"pairs": 0, "p": np.nan}
    together = paired(a.to_numpy(float), b.to_numpy(float), confidence)
    alone = _between_points_left_out(a, b, confidence)
    difference = (b - a).to_numpy(float)
    within = [it - it.groupby("point").transform("mean") for it in (a, b)]
    spread = sum(float((it**2).mean()) for it in within)
    centred = difference - (b - a).groupby("point").transform("mean").to_numpy(float)
    shared = float((centred**2).mean())
    return {
        "mean_a": float(a.mean()),
        "mean_b": float(b.mean()),
        "difference": together.difference,
        "low": together.low,
        "high": together.high,
        "unpaired_low": alone.low,
        "unpaired_high": alone.high,
        "variance_ratio": spread / shared if shared > 0 else np.nan,
        "effect": together.effect,
        "p": together.p,
        "pairs": len(both),
    }


def _between_points_left_out(a: pd.Series, b: pd.Series, confidence: float) -> Effect:
    """Compare two samples as if they were not paired, each point's mean taken out."""
    level = (a.groupby("point").transform("mean") + b.groupby("point").transform("mean")) / 2
    return independent((a - level).to_numpy(float), (b - level).to_numpy(float), confidence)


def parameter_effects(found: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """Say what each parameter of a sweep does to each measure.

    A parameter of up to twelve values is compared value by value with the first: pair by pair over all runs
    that have a partner equal in all else (the other parameters, treatment, seed), or as independent samples
    where there are none. One of more
    values has its rank correlation (Spearman) with the measure.

    Parameters
    ----------
    found : DataFrame
        The runs of a sweep.
    confidence : float

    Returns
    -------
    DataFrame
        ``parameter``, ``measure``, ``kind`` (paired, independent, rank correlation), ``a``, ``b`` (values),
        ``estimate`` (difference of means, or correlation), ``low``, ``high``, ``p``, ``p_holm``, ``runs``.

    Example
    -------
    >>> runs = pd.DataFrame({"point": [0, 0, 1, 1], "treatment": "", "seed": [1, 2, 1, 2],
    ...                      "tick": [1, 1, 5, 5], "status": "finished", "spread": [1.0, 2.0, 3.0, 4.2]})
    >>> runs.attrs = {"measures": ["spread"], "parameters": ["tick"]}
    >>> parameter_effects(runs)[["kind", "estimate"]].values.tolist()
    [['paired', 2.1]]
    """
    done = found[found["status"] == "finished"]
    rows = [
        row
        for parameter in found.attrs["parameters"]
        for measure in found.attrs["measures"]
        for row in _effects(done, parameter, measure, found.attrs["parameters"], confidence)
    ]
    columns = ["parameter", "measure", "kind", "a", "b", "estimate", "low", "high", "p", "runs"]
    return _corrected(pd.DataFrame(rows, columns=columns))


def _effects(
    done: pd.DataFrame, parameter: str, measure: str, parameters: Sequence[str], confidence: float
) -> Iterator[dict[str, Any]]:
    known = done[done[measure].notna()]
    levels = list(dict.fromkeys(known[parameter]))
    about = {"parameter": parameter, "measure": measure}
    if len(levels) > MOST_LEVELS:
        yield about | _correlation(known[parameter], known[measure], confidence)
        return
    others = [*(it for it in parameters if it != parameter), "treatment", "seed"]
    samples = {level: known[known[parameter] == level].set_index(others)[measure] for level in levels}
    for level in levels[1:]:
        a, b = samples[levels[0]], samples[level]
        both = a.index.intersection(b.index)
        pairs = a.index.is_unique and b.index.is_unique and len(both) > 1
        a, b = (a.loc[both], b.loc[both]) if pairs else (a, b)
        effect = (paired if pairs else independent)(a.to_numpy(float), b.to_numpy(float), confidence)
        yield about | {
            "kind": "paired" if pairs else "independent",
            "a": str(levels[0]),
            "b": str(level),
            "estimate": effect.difference,
            "low": effect.low,
            "high": effect.high,
            "p": effect.p,
            "runs": len(a) + len(b),
        }


def _correlation(x: pd.Series, y: pd.Series, confidence: float) -> dict[str, Any]:
    """Return Spearman's rank correlation; its interval by Fisher's z (Fieller et al. 1957)."""
    stats = library("scipy.stats")
    result, n = stats.spearmanr(x.astype(float), y.astype(float)), len(x)
    r = float(result.statistic)
    half = float(stats.norm.isf((1 - confidence) / 2)) * (1.06 / (n - 3)) ** 0.5 if n > 3 else np.nan
    z = np.arctanh(np.clip(r, -0.999999, 0.999999))
    about = {"kind": "rank correlation", "a": "", "b": "", "estimate": r, "runs": n}
    ends = {"low": float(np.tanh(z - half)), "high": float(np.tanh(z + half))}
    return about | ends | {"p": float(result.pvalue)}


def _corrected(table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with p-values corrected for the number of rows (Holm)."""
    tested = table["p"].notna() if len(table) else pd.Series(dtype=bool)
    table["p_holm"] = np.nan
    if tested.any():
        adjust = library("statsmodels.stats.multitest").multipletests
        table.loc[tested, "p_holm"] = adjust(table.loc[tested, "p"], method="holm")[1]
    return table
