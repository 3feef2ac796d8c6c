"""Make the plan of a sweep: a row for every run, with its parameters, its treatment and its seed."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis.compare import INDEXED, drawn_for
from simlab.analysis.libraries import library
from simlab.config.sweep import MOST_RUNS, SweepConfig, VariedConfig
from simlab.errors import ConfigError

_BELOW_ONE = float(np.nextafter(1.0, 0.0))

__all__ = ["changes_of", "make_plan", "plan_digest", "points_of"]


def make_plan(config: SweepConfig) -> pd.DataFrame:
    """Return all runs of a sweep, before any is made: a plan can be listed, cut and kept.

    Parameters
    ----------
    config : SweepConfig

    Returns
    -------
    DataFrame
        One row a run: ``run`` (from 0), ``point`` (from 0), ``treatment`` (empty without any), ``seed``, and
        a column for each parameter. Runs of one point and seed stand together, so pairs are done together.
        ``attrs["left_out"]`` is the number of points that break a constraint.

    Raises
    ------
    ConfigError
        When no point is left, there are too many runs, or a constraint cannot be read.

    Example
    -------
    >>> from simlab.config.sweep import load_sweep
    >>> market = {"steps": 10, "instruments": {"ACME": {"initial_price": 100}}}
    >>> varied = {"instruments.ACME.tick_size": [1, 5]}
    >>> make_plan(load_sweep({"experiment": market, "parameters": varied, "seeds": 2}))["seed"].tolist()
    [1, 2, 1, 2]
    """
    points, left_out = _kept(config, points_of(config))
    treatments, seeds = list(config.treatments) or [""], config.seed_list
    total = len(points) * len(treatments) * len(seeds)
    if total > MOST_RUNS:
        raise ConfigError(f"{total:,} runs; a sweep has at most {MOST_RUNS:,}: take fewer points or seeds")
    each = len(treatments) * len(seeds)
    plan = points.loc[points.index.repeat(each)].reset_index(drop=True)
    plan.insert(0, "point", np.repeat(np.arange(len(points)), each))
    plan.insert(1, "treatment", np.tile(np.array(treatments, object), len(points) * len(seeds)))
    plan.insert(2, "seed", np.tile(np.repeat(np.array(seeds, np.int64), len(treatments)), len(points)))
    plan.insert(0, "run", np.arange(len(plan)))
    plan.attrs["left_out"] = left_out
    return plan


def points_of(config: SweepConfig) -> pd.DataFrame:
    """Return the points of a design, a column for each parameter; without parameters there is one point."""
    names, design = list(config.parameters), config.design
    if design.kind == "grid":
        values = [config.parameters[name].values or () for name in names]
        return _frame(list(itertools.product(*values)), names)
    if design.kind == "list":
        return _listed(config, names)
    shares = np.minimum(_shares(design.kind, len(names), design.samples or 0, design.seed), _BELOW_ONE)
    columns = [spread(config.parameters[name], shares[:, i]) for i, name in enumerate(names)]
    return _frame(list(zip(*columns, strict=True)), names)


def _shares(kind: str, count: int, samples: int, seed: int) -> NDArray[np.float64]:
    """Return samples in the unit cube, (n, count)."""
    if kind in INDEXED:
        return drawn_for(kind, count, samples, seed)
    generator = np.random.Generator(np.random.PCG64(seed))
    if kind == "random":
        return generator.random((samples, count))
    found = library("scipy.stats.qmc").LatinHypercube(count, rng=generator).random(samples)
    return np.asarray(found, float)


def spread(varied: VariedConfig, shares: NDArray[np.float64]) -> list[Any]:
    """Return the values at shares, in [0, 1), of the way through what a parameter may be.

    Example
    -------
    >>> spread(VariedConfig(integers=(1, 4)), np.array([0.0, 0.3, 0.99]))
    [1, 2, 4]
    >>> spread(VariedConfig(values=("a", "b")), np.array([0.2, 0.6]))
    ['a', 'b']
    """
    if varied.values is not None:
        return [varied.values[int(share * len(varied.values))] for share in shares]
    if varied.integers is not None:
        first, last = (int(it) for it in varied.integers)
        return [first + int(share * (last - first + 1)) for share in shares]
    if varied.log_uniform is not None:
        low, high = np.log(varied.log_uniform)
        return [float(it) for it in np.exp(low + shares * (high - low))]
    assert varied.uniform is not None
    low, high = varied.uniform
    return [float(it) for it in low + shares * (high - low)]


def _frame(points: list[tuple[Any, ...]], names: list[str]) -> pd.DataFrame:
    """Return points as a frame; a column of lists or mappings stays one of objects."""
    columns = {}
    for i, name in enumerate(names):
        values = [point[i] for point in points]
        nested = any(isinstance(it, list | dict | tuple) for it in values)
        columns[name] = pd.Series(values, dtype=object if nested else None)
    return pd.DataFrame(columns, index=pd.RangeIndex(len(points)))


def _listed(config: SweepConfig, names: list[str]) -> pd.DataFrame:
    given = config.design.points
    if not isinstance(given, str):
        return _frame([tuple(point[name] for name in names) for point in given or ()], names)
    try:
        found = pd.read_csv(given)
    except (OSError, ValueError) as error:
        raise ConfigError(f"design.points: {given} cannot be read as CSV: {error}") from error
    missing = [name for name in names if name not in found]
    if missing:
        raise ConfigError(
            f"design.points: {given} has no column {missing[0]!r}; it has {', '.join(map(str, found))}"
        )
    return found[names]


def _kept(config: SweepConfig, points: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return the points that keep all constraints, and how many do not."""
    keep = np.ones(len(points), np.bool_)
    for condition in config.constraints:
        try:
            held = points.eval(condition, engine="python", local_dict={}, global_dict={})
        except Exception as error:  # pandas raises what its parser and the operators do
            raise ConfigError(
                f"constraints: {condition!r} cannot be read ({error}); write it with the names of parameters"
                " (in `backticks` where they have dots), numbers and < <= == != and or"
            ) from error
        if np.shape(held) != (len(points),) or np.asarray(held).dtype != np.bool_:
            raise ConfigError(f"constraints: {condition!r} is no condition: it is neither true nor false")
        keep &= np.asarray(held)
    if not keep.any():
        raise ConfigError("no point of the design keeps all constraints")
    return points[keep].reset_index(drop=True), int((~keep).sum())


def changes_of(config: SweepConfig, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a run puts on top of the experiment, by dotted path; later ones win."""
    varied = {config.path_of(name): _plain(row[name]) for name in config.parameters}
    return {**config.set, **varied, **config.treatments.get(row["treatment"], {})}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def plan_digest(config: SweepConfig, plan: pd.DataFrame) -> str:
    """Return what tells a plan from any other: what its runs are, and what is measured of them."""
    told = [changes_of(config, row) | {"seed": int(row["seed"])} for row in plan.to_dict("records")]
    what = [config.experiment, told, config.warmup, config.measures, config.keep]
    return hashlib.sha256(json.dumps(what, sort_keys=True, default=str).encode()).hexdigest()[:16]
