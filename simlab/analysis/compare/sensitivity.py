"""Say how much of a measure's variation each parameter of a sweep makes: Sobol indices, Morris screening."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis.libraries import library
from simlab.errors import AnalysisError

__all__ = ["INDEXED", "drawn_for", "sensitivity"]

INDEXED: dict[str, dict[str, Any]] = {"sobol": {"calc_second_order": False}, "morris": {"num_levels": 4}}
"""The designs that have indices, and how their points are drawn; the analysis must know the same."""


def drawn_for(kind: str, count: int, samples: int, seed: int) -> NDArray[np.float64]:
    """Return the points of a design in the unit cube, ``(points, count)``; the same for the same arguments.

    Example
    -------
    >>> drawn_for("sobol", 2, 8, 1).shape, drawn_for("morris", 2, 10, 1).shape
    ((32, 2), (30, 2))
    """
    sample = library(f"SALib.sample.{kind}", "search").sample
    return np.asarray(sample(_unit_cube(count), samples, seed=seed, **INDEXED[kind]), float)


def _unit_cube(count: int) -> dict[str, Any]:
    return {"num_vars": count, "names": [str(i) for i in range(count)], "bounds": [[0.0, 1.0]] * count}


def sensitivity(found: pd.DataFrame) -> pd.DataFrame:
    """Return how sensitive each measure is to each parameter, of means over the seeds of a point.

    Parameters
    ----------
    found : DataFrame
        The runs of a sweep with a design ``sobol`` or ``morris``, all of them finished.

    Returns
    -------
    DataFrame
        ``measure``, ``parameter``, and for Sobol ``first`` (share of the variance that the parameter makes
        alone), ``total`` (with all that others do together with it), each with the half width of its 95%
        interval (``first_half``, ``total_half``); for Morris ``mu_star`` (mean absolute elementary effect, in
        the measure's unit over the parameter's whole range) with ``mu_star_half``, and ``sigma``.

    Raises
    ------
    AnalysisError
        When a point has no run that finished: these designs need all.

    References
    ----------
    Sobol 2001, Mathematics and Computers in Simulation 55, 271-280; Saltelli et al. 2010, Computer Physics
    Communications 181, 259-270; Morris 1991, Technometrics 33, 161-174; Campolongo et al. 2007, Environmental
    Modelling & Software 22, 1509-1518.
    """
    design, parameters = found.attrs["design"], found.attrs["parameters"]
    if design["kind"] not in INDEXED:
        raise AnalysisError(
            f"a {design['kind']} design has no indices; draw points by {' or '.join(INDEXED)}"
        )
    points = drawn_for(design["kind"], len(parameters), design["samples"], design["seed"])
    rows = []
    done = found[found["status"] == "finished"]
    for measure in found.attrs["measures"]:
        means = done.groupby("point")[measure].mean().reindex(range(len(points)))
        if means.isna().any():
            missing = int(means.isna().sum())
            raise AnalysisError(f"{missing} of {len(points)} points have no {measure}; the indices need all")
        rows += _indices(design, points, means.to_numpy(float), measure, parameters)
    return pd.DataFrame(rows)


def _indices(
    design: dict[str, Any], points: Any, values: Any, measure: str, parameters: list[str]
) -> list[dict[str, Any]]:
    kind, problem = design["kind"], _unit_cube(len(parameters))
    if np.ptp(values) == 0:
        raise AnalysisError(f"{measure} is {values[0]:g} at every point: no parameter moves it")
    analyze = library(f"SALib.analyze.{kind}", "search").analyze
    given = (values,) if kind == "sobol" else (points, values)
    made = analyze(problem, *given, seed=design["seed"], **INDEXED[kind])
    names = {
        "sobol": {"first": "S1", "first_half": "S1_conf", "total": "ST", "total_half": "ST_conf"},
        "morris": {"mu_star": "mu_star", "mu_star_half": "mu_star_conf", "sigma": "sigma"},
    }[kind]
    return [
        {
            "measure": measure,
            "parameter": parameter,
            **{name: float(made[key][i]) for name, key in names.items()},
        }
        for i, parameter in enumerate(parameters)
    ]
