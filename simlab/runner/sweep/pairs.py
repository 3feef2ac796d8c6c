"""Run two arms of one experiment with common random numbers, pair by pair over seeds."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from simlab.analysis.compare import treatment_effects
from simlab.config import load
from simlab.config.load import resolved
from simlab.config.merge import parse_assignments
from simlab.runner.sweep.sweeping import sweep

__all__ = ["pair"]


def pair(
    config: str | Path | Mapping[str, Any],
    a: Sequence[str] | Mapping[str, Any],
    b: Sequence[str] | Mapping[str, Any],
    *,
    seeds: int = 20,
    measures: Sequence[str] = (),
    warmup: int = 0,
    workers: int | None = None,
    out: str | Path | None = None,
    console: Console | None = None,
) -> pd.DataFrame:
    """Compare two arms: the same worlds, seed by seed, with one thing changed.

    Every draw of simlab depends on the seed and on who draws, not on who else is there, so two runs of one
    seed share what did not change, and their difference varies less than two runs do.

    Parameters
    ----------
    config : path or mapping
        The experiment.
    a, b : mappings from dotted paths to values, or sequences of ``path=value``
        What each arm changes in it.
    seeds : int
        How many pairs; seeds 1, 2, ...
    measures, warmup
        As in a sweep.
    workers : int, optional
        Processes; as many as there are cores by default.
    out : path, optional
        Where the rows of all runs are kept; nowhere by default.
    console : Console, optional
        Where progress is shown.

    Returns
    -------
    DataFrame
        A row a measure, as `simlab.analysis.compare.treatment_effects`: the effect of b less a with the
        interval of pairs beside the one the same runs have without pairing.

    Example
    -------
    >>> pair("market.yaml", {}, {"instruments.ACME.tick_size": 5})  # doctest: +SKIP
    """
    arms = {"a": _changes(a), "b": _changes(b)}
    study = {
        "name": "pair",
        "experiment": resolved(load(config)),
        "treatments": arms,
        "seeds": seeds,
        "measures": list(measures),
        "warmup": warmup,
    }
    with tempfile.TemporaryDirectory(prefix="simlab-pair-") as folder:
        found = sweep(study, out=folder if out is None else out, workers=workers, console=console)
    failed = found[found["status"] == "failed"]
    effects = treatment_effects(found)
    effects.attrs = {"arms": arms, "failed": failed[["treatment", "seed", "error"]].to_dict("records")}
    return effects


def _changes(given: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    return {path: value for path, value, _ in parse_assignments(given)}
