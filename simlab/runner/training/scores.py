"""Score a model against those that know nothing: the majority, and that moves go on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.ml import library, single_threaded
from simlab.runner.training.dataset import Dataset

__all__ = ["importances", "labels", "score_rows"]

_REPEATS = 5
_MOST_ROWS = 2_000
"""Rows on which importances are computed, taken evenly."""


def labels(move: NDArray[np.float64], kind: str, dead_zone: float) -> NDArray[Any]:
    """Return what is forecast of moves in ticks: themselves, or their signs with 0 up to the dead zone.

    Example
    -------
    >>> labels(np.array([-3.0, 1.0, 2.0]), "sign", 1.0).tolist()
    [-1, 0, 1]
    """
    if kind == "size":
        return move
    return np.where(np.abs(move) > dead_zone, np.sign(move), 0.0).astype(np.int64)


def score_rows(
    estimator: Any, learn: Dataset, score: Dataset, kind: str, dead_zone: float
) -> list[dict[str, Any]]:
    """Return the scores of the model, of the baselines, and of the model on what it learned from.

    `edge` is the mean move in the direction forecast, ticks, over the rows where there is one, and `share`
    their share: a forecast is worth trading on when its edge is more than what the trade costs.
    """
    before = labels(learn.move, kind, dead_zone)
    persistence = labels(score.past, kind, dead_zone)
    rows = []
    for who, data in (("model", score), ("model, before", learn)):
        truth = labels(data.move, kind, dead_zone)
        with single_threaded():
            guess = estimator.predict(data.x)
            shares = estimator.predict_proba(data.x) if hasattr(estimator, "predict_proba") else None
        found = (
            _sign_scores(truth, guess, estimator, shares)
            if kind == "sign"
            else _size_scores(truth, guess, before)
        )
        rows.append({"forecast by": who, **found, **_edge(guess, data.move)})
    truth = labels(score.move, kind, dead_zone)
    if kind == "sign":
        values, counts = np.unique(before, return_counts=True)
        known, name = np.full(len(truth), values[np.argmax(counts)]), "majority"
        baselines = [
            (name, known, _sign_scores(truth, known)),
            ("persistence", persistence, _sign_scores(truth, persistence)),
        ]
    else:
        mean = np.full(len(truth), before.mean())
        baselines = [
            ("mean", mean, _size_scores(truth, mean, before)),
            ("persistence", persistence, _size_scores(truth, persistence, before)),
        ]
    rows[1:1] = [{"forecast by": who, **found, **_edge(guess, score.move)} for who, guess, found in baselines]
    return rows


def importances(
    estimator: Any, data: Dataset, names: tuple[str, ...], kind: str, dead_zone: float, seed: int
) -> list[dict[str, Any]]:
    """Return by how much a score falls when a feature is shuffled, largest first, with standard deviation.

    The score is minus the logarithmic loss, balanced accuracy where there are no probabilities, or R².
    """
    use = np.linspace(0, len(data) - 1, min(len(data), _MOST_ROWS)).astype(np.int64)
    scoring = "r2" if kind == "size" else "balanced_accuracy"
    if kind == "sign" and hasattr(estimator, "predict_proba"):
        scoring = "neg_log_loss"
    with single_threaded():
        truth = labels(data.move, kind, dead_zone)[use]
        found = library("sklearn.inspection").permutation_importance(
            estimator, data.x[use], truth, n_repeats=_REPEATS, random_state=seed,
            scoring=_scorer(scoring, estimator),
        )  # fmt: skip
    rows = [
        {"feature": name, "importance": float(mean), "std": float(std)}
        for name, mean, std in zip(names, found.importances_mean, found.importances_std, strict=True)
    ]
    return sorted(rows, key=lambda row: -row["importance"])


def _scorer(name: str, estimator: Any) -> Any:
    """Return a scorer; the logarithmic loss of what has all classes, whichever are in the data."""
    if name != "neg_log_loss":
        return name
    return lambda model, x, truth: -_log_loss(truth, estimator.classes_, model.predict_proba(x))


def _log_loss(truth: NDArray[Any], classes: NDArray[Any], shares: NDArray[np.float64]) -> float:
    """Return the mean of minus the logarithm of the probability given to what happened; at most of 1e-12."""
    given = np.where(truth[:, None] == np.asarray(classes)[None, :], shares, 0.0).sum(axis=1)
    return float(-np.log(np.maximum(given, 1e-12)).mean())


def _sign_scores(
    truth: NDArray[Any], guess: NDArray[Any], estimator: Any = None, shares: NDArray[np.float64] | None = None
) -> dict[str, Any]:
    recalls = [float((guess[truth == it] == it).mean()) for it in np.unique(truth)]
    return {
        "accuracy": float((guess == truth).mean()),
        "balanced accuracy": float(np.mean(recalls)),
        "log loss": None if shares is None else _log_loss(truth, estimator.classes_, shares),
    }


def _size_scores(truth: NDArray[Any], guess: NDArray[Any], before: NDArray[Any]) -> dict[str, Any]:
    """R² compares with the mean of what was learned from, which is all that was known then."""
    error, spread = truth - guess, truth - before.mean()
    total = float((spread**2).sum())
    varies = guess.std() > 0 and truth.std() > 0
    return {
        "R2": 1.0 - float((error**2).sum()) / total if total > 0 else None,
        "mean error (ticks)": float(np.abs(error).mean()),
        "correlation": float(np.corrcoef(truth, guess)[0, 1]) if varies else None,
    }


def _edge(guess: NDArray[Any], move: NDArray[np.float64]) -> dict[str, Any]:
    direction = np.sign(guess)
    some = direction != 0
    return {
        "edge (ticks)": float((direction * move)[some].mean()) if some.any() else None,
        "share": float(some.mean()),
    }
