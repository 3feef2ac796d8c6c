"""Make features and labels from recorded runs, and split them by time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.features import FeatureSet, future_move
from simlab.config.training import TrainingConfig
from simlab.errors import AnalysisError, RecordingError, did_you_mean
from simlab.recording import Run
from simlab.runner.history import recorded_history, recorded_news

__all__ = ["Dataset", "make_dataset"]


@dataclass(frozen=True)
class Dataset:
    """What is learned from, or scored on: a row a step and instrument.

    `x` is ``(n, k)`` features, `move` what the mid price then did over the horizon and `past` what it did
    over the horizon before, both ``(n,)`` ticks.
    """

    x: NDArray[np.float64]
    move: NDArray[np.float64]
    past: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.move)


def make_dataset(
    runs: Sequence[Run], config: TrainingConfig, progress: Callable[[str], None]
) -> tuple[Dataset, Dataset, list[dict[str, Any]]]:
    """Return what to learn from, what to score on, and what each run contributed.

    Every run is split by time: its first part is learned from, its last scored on. Between them lies a gap
    as long as the horizon, so that no label reaches into what is scored.

    Raises
    ------
    RecordingError
        When a run is unfinished, or has not recorded what the features need.
    AnalysisError
        When nothing is left to learn from or to score on.
    """
    features = FeatureSet(config.features)
    parts: tuple[list[Dataset], list[Dataset]] = ([], [])
    told: list[dict[str, Any]] = []
    for run in runs:
        progress(f"reading {run.path}")
        if not run.finished:
            raise RecordingError(f"{run.path}: {run.status}; train on runs that came to their end")
        rows = [0, 0]
        for name, number, tick in _instruments(run, config):
            whole = _rows(run, name, number, tick, features, config)
            for i, use in enumerate(_split(whole, config)):
                parts[i].append(use)
                rows[i] += len(use)
        known = {name: run.manifest.get(name) for name in ("seed", "steps", "event_log_hash")}
        told.append({"run": run.path.name, **known, "rows": rows})
    learn, score = (_joined(part, len(features)) for part in parts)
    for what, data in (("learn from", learn), ("score on", score)):
        if not len(data):
            raise AnalysisError(
                f"there is nothing to {what}: the features take {features.warm_up} steps, the label"
                f" {config.label.horizon}, and both sides of the book must have orders; record longer runs"
            )
    return learn, score, told


def _instruments(run: Run, config: TrainingConfig) -> list[tuple[str, int, int]]:
    """Return name, number and tick size of the instruments to learn from."""
    there = run.instruments().set_index("name")
    for name in config.instruments:
        if name not in there.index:
            raise AnalysisError(f"{run.path} has no instrument {name!r}{did_you_mean(name, there.index)}")
    wanted = config.instruments or tuple(there.index)
    return [(name, int(there["instrument"][name]), int(there["tick_size"][name])) for name in wanted]


def _rows(
    run: Run, name: str, number: int, tick: int, features: FeatureSet, config: TrainingConfig
) -> Dataset:
    """Return a row for every step of an instrument, NaN where something is not known."""
    history, horizon = recorded_history(run, name, levels=features.depth), config.label.horizon
    mid = history["mid"]
    past = np.full(len(mid), np.nan)
    past[horizon:] = (mid[horizon:] - mid[:-horizon]) / tick
    x = features.table(history, tick_size=tick, news=recorded_news(run), instrument=number)
    return Dataset(x, future_move(mid, horizon, tick), past)


def _split(rows: Dataset, config: TrainingConfig) -> tuple[Dataset, Dataset]:
    steps = np.arange(len(rows))
    known = np.isfinite(rows.x).all(axis=1) & np.isfinite(rows.move) & np.isfinite(rows.past)
    use = known & (steps % config.every == 0)
    cut = round((1.0 - config.test_share) * len(rows))
    learn, score = use & (steps < cut - config.label.horizon), use & (steps >= cut)
    return _chosen(rows, learn), _chosen(rows, score)


def _chosen(rows: Dataset, use: NDArray[np.bool_]) -> Dataset:
    return Dataset(rows.x[use], rows.move[use], rows.past[use])


def _joined(parts: list[Dataset], columns: int) -> Dataset:
    if not parts:
        return Dataset(np.zeros((0, columns)), np.zeros(0), np.zeros(0))
    return Dataset(*(np.concatenate([getattr(it, name) for it in parts]) for name in ("x", "move", "past")))
