"""Train a model from recorded runs, score it, and write it down with its card."""

from __future__ import annotations

import os
import shlex
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from simlab.agents.features import FEATURES_VERSION, FeatureSet
from simlab.agents.ml import save_model, single_threaded, task_of, versions
from simlab.agents.ml.store import strengths
from simlab.config.training import TrainingConfig, load_training
from simlab.core.files import require_writable_folder
from simlab.errors import AnalysisError
from simlab.recording import Run, open_run
from simlab.runner.training.card import write_card, write_figures
from simlab.runner.training.dataset import Dataset, make_dataset
from simlab.runner.training.scores import importances, labels, score_rows

__all__ = ["Trained", "train"]

_DECILES = 10


@dataclass(frozen=True)
class Trained:
    """A model that was trained: where it is, and what its card says."""

    folder: Path
    card: dict[str, Any]


def train(
    config: str | Path | dict[str, Any] | TrainingConfig,
    runs: Sequence[str | Path | Run],
    *,
    out: str | Path | None = None,
    shuffle_labels: bool = False,
    progress: Callable[[str], None] = lambda what: None,
) -> Trained:
    """Train a model from recorded runs.

    The same file and runs give the same model, byte for byte, however many threads there are.

    Parameters
    ----------
    config : path, mapping or TrainingConfig
        See docs/ml.md.
    runs : sequence
        Recorded runs, or their folders.
    out : path, optional
        The model's folder: by default ``models/NAME``, where NAME is the file's.
    shuffle_labels : bool
        Learn from labels in a random order: the same model, but it has learned nothing. For comparisons.
    progress : callable, optional
        Told in a few words what is being done.

    Raises
    ------
    ConfigError
        When the configuration is wrong.
    RecordingError, AnalysisError
        When the runs do not have what it takes.
    StrategyError
        When the estimator cannot be fitted, or stored in a form that can be trusted.
    """
    loaded = load_training(config)
    place = Path(config) if isinstance(config, str | Path) else None
    folder = Path(out) if out is not None else _default_folder(place)
    require_writable_folder(folder)
    if not runs:
        raise AnalysisError("there are no runs to learn from; name the folders of one or more")
    opened = [it if isinstance(it, Run) else open_run(it) for it in runs]
    learn, score, told = make_dataset(opened, loaded, progress)
    estimator = loaded.estimator_made()
    progress(f"fitting {_name(estimator)} to {len(learn):,} rows")
    _fit(estimator, learn, loaded, shuffle_labels)
    progress(f"scoring on {len(score):,} rows")
    names, kind, dead_zone = loaded.features, loaded.label.kind, loaded.label.dead_zone
    task = task_of(estimator)
    card: dict[str, Any] = {
        "estimator": _name(estimator),
        "task": task,
        "label": loaded.label.model_dump(),
        "features": {
            "version": FEATURES_VERSION,
            "names": list(names),
            "described": FeatureSet(names).describe(),
        },
        "training": {
            "runs": told,
            "test_share": loaded.test_share,
            "rows_learned": len(learn),
            "rows_scored": len(score),
            "shuffled_labels": shuffle_labels,
        },
        "scores": score_rows(estimator, learn, score, kind, dead_zone),
        "importances": importances(estimator, score, names, kind, dead_zone, loaded.seed),
        "versions": versions(),
        "config": loaded.model_dump(mode="json"),
        "command": _command(place, opened, folder, shuffle_labels),
    }
    card = save_model(folder, estimator, card)
    write_card(folder, card)
    progress("drawing")
    write_figures(folder, card, _deciles(estimator, task, score))
    return Trained(folder, card)


def _default_folder(place: Path | None) -> Path:
    if place is None:
        raise AnalysisError("say where the model is to go: give out, a folder")
    return Path("models") / place.stem


def _name(estimator: Any) -> str:
    """Return what an estimator is called: its class, or those of a pipeline's steps."""
    steps = [step for _, step in getattr(estimator, "steps", [])] or [estimator]
    return " + ".join(type(step).__name__ for step in steps)


def _fit(estimator: Any, learn: Dataset, config: TrainingConfig, shuffle_labels: bool) -> None:
    target = labels(learn.move, config.label.kind, config.label.dead_zone)
    if shuffle_labels:
        target = np.random.default_rng(config.seed).permutation(target)
    if config.label.kind == "sign" and len(np.unique(target)) < 2:
        raise AnalysisError(
            f"all {len(target):,} moves over {config.label.horizon} steps have sign {int(target[0])}, and"
            f" there is nothing to tell apart; make dead_zone ({config.label.dead_zone:g} ticks) smaller"
        )
    with single_threaded(), warnings.catch_warnings():
        warnings.simplefilter("error", category=_convergence_warning())
        try:
            estimator.fit(learn.x, target)
        except (ValueError, TypeError, ArithmeticError, Warning) as error:
            raise AnalysisError(f"{_name(estimator)} could not be fitted: {error}") from error


def _convergence_warning() -> type[Warning]:
    from sklearn.exceptions import ConvergenceWarning

    return ConvergenceWarning


def _deciles(estimator: Any, task: str, data: Dataset) -> list[dict[str, float]]:
    """Return the mean forecast and the mean move of tenths of the rows, by forecast."""
    fall, rise = strengths(estimator, task, data.x).T
    forecast = rise if task == "regressor" else rise - fall
    order = np.argsort(forecast, kind="stable")
    parts = [it for it in np.array_split(order, _DECILES) if len(it)]
    return [{"forecast": float(forecast[it].mean()), "move": float(data.move[it].mean())} for it in parts]


def _command(place: Path | None, runs: Sequence[Run], folder: Path, shuffle_labels: bool) -> str:
    """Return the command that trains the same model, or nothing where there is no file."""
    if place is None:
        return ""
    paths = [os.path.relpath(it) for it in (place, *(run.path for run in runs))]
    words = ["simlab", "train", *paths, "--out", os.path.relpath(folder)]
    return shlex.join([*words, *["--shuffle-labels"] * shuffle_labels])
