"""The YAML of `simlab train`: which features, what is to be forecast, by what estimator."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from simlab.agents.features import STANDARD, FeatureSet
from simlab.agents.ml import make_estimator, task_of
from simlab.config.fields import Model, Name, Real, Step, Whole, described
from simlab.config.limits import SEED
from simlab.config.merge import from_dict, from_file
from simlab.config.problems import Problem, config_error, validated
from simlab.config.schema import Schema, clean
from simlab.config.source import Source
from simlab.errors import StrategyError

__all__ = ["LabelConfig", "TrainingConfig", "load_training", "training_schema"]


class LabelConfig(Model):
    """What is forecast: the move of the mid price from the end of one step to that of a later one."""

    kind: Literal["sign", "size"] = described(
        "sign", "`sign` (-1, 0 or 1, for classifiers) or `size` (ticks, for regressors)"
    )
    horizon: Step = described(20, "How far ahead", "steps", ge=1)
    dead_zone: Real = described(0.0, "Moves up to it have sign 0", "ticks", ge=0)


class TrainingConfig(Model):
    """How a model is trained from recorded runs."""

    description: str = described("", "For people")
    features: tuple[str, ...] = described(STANDARD, "Names of features, in order; see docs/ml.md")
    label: LabelConfig = described(LabelConfig(), "What is forecast")
    estimator: Any = described(
        {"sklearn.ensemble.HistGradientBoostingClassifier": {}},
        "An estimator of scikit-learn, `path` or `{path: {parameter: value}}`, or a list of the steps of a"
        " pipeline",
    )
    instruments: tuple[Name, ...] = described((), "Instruments to learn from; all if empty")
    test_share: Real = described(
        0.3, "Part of every run, its end, that scores are computed on; the model does not learn from it", "1",
        gt=0, lt=1,
    )  # fmt: skip
    every: Whole = described(1, "Learn from every n-th step", "steps", ge=1, le=10**6)
    seed: Whole = described(1, "Every random draw follows from it", ge=0, bound=SEED)

    def estimator_made(self) -> Any:
        """Return the estimator, which has not been fitted."""
        return make_estimator(self.estimator, seed=self.seed)


@cache
def training_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of a file for `simlab train`; do not change it.

    Example
    -------
    >>> training_schema()["$defs"]["LabelConfig"]["properties"]["horizon"]["unit"]
    'steps'
    """
    made: Schema = clean(TrainingConfig.model_json_schema())
    return made


def load_training(config: str | Path | Mapping[str, Any] | TrainingConfig) -> TrainingConfig:
    """Load and check how a model is to be trained.

    Raises
    ------
    ConfigError
        Listing every problem with its path, file and line.

    Example
    -------
    >>> load_training({"label": {"horizon": 5}}).label.horizon
    5
    """
    if isinstance(config, TrainingConfig):
        return config
    source = from_dict(config) if isinstance(config, Mapping) else from_file(Path(os.fspath(config)))
    source.data.pop("name", None)
    made = validated(TrainingConfig, source, training_schema())
    problems = list(_problems(made, source))
    if problems:
        raise config_error(problems, source)
    return made


def _problems(config: TrainingConfig, source: Source) -> Iterator[Problem]:
    """Yield what the schema cannot say."""
    try:
        own = FeatureSet(config.features).own
        if own:
            yield Problem(("features",), f"{own[0]!r} is an agent's own and in no recording; leave it out")
    except StrategyError as error:
        yield Problem(("features",), str(error).removeprefix("features: "))
    try:
        task = task_of(config.estimator_made())
    except StrategyError as error:
        yield Problem(("estimator",), str(error).removeprefix("estimator: "))
        return
    wanted = "classifier" if config.label.kind == "sign" else "regressor"
    if task != wanted:
        other = "size" if config.label.kind == "sign" else "sign"
        yield Problem(
            ("estimator",),
            f"is a {task}, and the {config.label.kind} of a move is forecast by a {wanted}; choose another,"
            f" or label: {{kind: {other}}}",
        )
