"""Make the scikit-learn estimator that a YAML file names."""

from __future__ import annotations

import inspect
from contextlib import suppress
from importlib import import_module
from itertools import takewhile
from typing import Any

from simlab.agents.ml.libraries import library
from simlab.errors import StrategyError, did_you_mean

__all__ = ["estimator_steps", "make_estimator", "task_of"]

_EXAMPLE = "{sklearn.ensemble.HistGradientBoostingClassifier: {max_iter: 100}}"


def make_estimator(described: Any, *, seed: int) -> Any:
    """Return an estimator, or a pipeline of several, that has not been fitted.

    Parameters
    ----------
    described : str, mapping or list
        The path of a class of scikit-learn; ``{path: {parameter: value}}``; or a list of these, the steps of
        a pipeline. A parameter that is an estimator is described in the same way.
    seed : int
        What every `random_state` that is not given is set to, so that training is deterministic.

    Raises
    ------
    StrategyError
        When there is no such class, it is no estimator, or a parameter is unknown or refused.

    Example
    -------
    >>> make_estimator(["sklearn.preprocessing.StandardScaler", "sklearn.linear_model.SGDRegressor"], seed=3)
    Pipeline(steps=[('standardscaler', StandardScaler()),
                    ('sgdregressor', SGDRegressor(random_state=3))])
    """
    steps = estimator_steps(described, seed=seed)
    return steps[0] if len(steps) == 1 else library("sklearn.pipeline").make_pipeline(*steps)


def estimator_steps(described: Any, *, seed: int) -> list[Any]:
    """Return the steps of a pipeline, one for an estimator alone; see `make_estimator`."""
    if isinstance(described, list) and not described:
        raise StrategyError(f"estimator: the list is empty; write for example {_EXAMPLE}")
    steps = [_one(it) for it in (described if isinstance(described, list) else [described])]
    for step in steps:
        unset = [
            name
            for name, value in step.get_params().items()
            if name.endswith("random_state") and value is None
        ]
        step.set_params(**dict.fromkeys(unset, seed))
    return steps


def task_of(estimator: Any) -> str:
    """Return "classifier" or "regressor"; raises StrategyError for what is neither.

    Example
    -------
    >>> task_of(make_estimator("sklearn.linear_model.Ridge", seed=1))
    'regressor'
    """
    base = library("sklearn.base")
    for task in ("classifier", "regressor"):
        if getattr(base, f"is_{task}")(estimator):
            return task
    raise StrategyError(
        f"estimator: {type(estimator).__name__} neither classifies nor regresses; end with a step that does"
    )


def _one(described: Any) -> Any:
    path: Any = described
    parameters: Any = {}
    if isinstance(described, dict) and len(described) == 1:
        ((path, parameters),) = described.items()
    if not isinstance(path, str) or not isinstance(parameters, dict | None):
        raise StrategyError(f"estimator: {described!r} is none; write for example {_EXAMPLE}")
    kind = _class(path)
    given = {name: _value(value) for name, value in (parameters or {}).items()}
    known = kind._get_param_names()
    for name in given:
        if name not in known:
            raise StrategyError(f"estimator: {path} has no parameter {name!r}{did_you_mean(name, known)}")
    estimator = kind(**given)
    try:
        estimator._validate_params()
    except ValueError as error:
        raise StrategyError(f"estimator: {error}") from None
    return estimator


def _value(value: Any) -> Any:
    """Return a parameter, which may be an estimator itself."""
    nested = isinstance(value, dict) and len(value) == 1 and str(next(iter(value))).startswith("sklearn.")
    return _one(value) if nested or (isinstance(value, str) and value.startswith("sklearn.")) else value


def _class(path: str) -> Any:
    """Return a class of scikit-learn by its path; nothing else is imported for a YAML file."""
    place, _, name = path.rpartition(".")
    found = None
    if place.partition(".")[0] == "sklearn":
        with suppress(ImportError):
            found = getattr(import_module(place), name, None)
    if inspect.isclass(found) and issubclass(found, library("sklearn.base").BaseEstimator):
        return found
    raise StrategyError(f"estimator: there is no estimator {path!r} in scikit-learn{_nearest(path, name)}")


def _nearest(path: str, name: str) -> str:
    """Return what to put behind the complaint: the estimator of this name, or of the nearest path."""
    every = library("sklearn.utils.discovery").all_estimators()
    known = {
        ".".join([*takewhile(lambda part: part[0] != "_", kind.__module__.split(".")), it]): it
        for it, kind in every
    }
    same = [it for it, its_name in known.items() if its_name == name]
    near = f"; did you mean {same[0]!r}?" if same else did_you_mean(path, known, otherwise="")
    return near or f"; write for example {_EXAMPLE}"
