"""Do one run of a sweep and say in a row how it went, wherever the worker is."""

from __future__ import annotations

import gc
import itertools
import math
import tempfile
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing import parent_process
from pathlib import Path
from typing import Any

from simlab.analysis import open_run
from simlab.analysis.compare import UNITS, run_measures
from simlab.config import ExperimentConfig, load
from simlab.errors import AnalysisError, SimlabError, did_you_mean
from simlab.runner.run import Outcome, execute

__all__ = ["FAILED", "FINISHED", "Task", "carry_out", "summary_measures"]

FINISHED, FAILED = "finished", "failed"

_FACT = "fact "
"""Before the name of a stylised fact, whose estimate is a measure; ``fact count`` is how many are shown."""

_COLLECTED_EVERY = 8
_MADE = itertools.count()
"""Runs that this process has made."""


@dataclass(frozen=True)
class Task:
    """One run to be made: plain data, so that it can be sent to another machine.

    `experiment` is the whole configuration, `changes` what is put on top by dotted path. `measures` are names
    of those to keep, all if empty. `folder` is where the recording stays, None for nowhere.
    """

    run: int
    seed: int
    experiment: Mapping[str, Any]
    changes: Mapping[str, Any] = field(default_factory=dict)
    warmup: int = 0
    measures: tuple[str, ...] = ()
    folder: str | None = None


def carry_out(task: Task) -> dict[str, Any]:
    """Make a run and return its row: ``run``, ``status``, ``error``, ``event_log_hash``, counts and measures.

    What goes wrong is told in the row and raises nothing, so that the other runs go on.
    """
    made = next(_MADE)
    if made % _COLLECTED_EVERY == 1:
        gc.collect()  # a market is a circle of objects: without this its tables wait for the collector
    if made == 1 and parent_process() is not None:
        gc.freeze()  # what a worker has loaded and compiled stays: looking through it takes as long as a run
    row: dict[str, Any] = {"run": task.run, "status": FINISHED, "error": None}
    try:
        config = load(task.experiment, set=task.changes, seed=task.seed)
        return row | _made(task, config)
    except SimlabError as error:
        return row | {"status": FAILED, "error": f"{type(error).__name__}: {error}"}
    except Exception as error:  # a plug-in may raise anything
        where = traceback.extract_tb(error.__traceback__)[-1]
        told = f"{type(error).__name__}: {error} ({where.filename}, line {where.lineno}, in {where.name})"
        return row | {"status": FAILED, "error": told}


def _made(task: Task, config: ExperimentConfig) -> dict[str, Any]:
    if task.folder is not None:
        outcome = execute(config, out=task.folder)
        return _facts(outcome) | _chosen(task, _recorded(outcome, task))
    if not _needs_recording(task):
        outcome = execute(config, record=False)
        return _facts(outcome) | _chosen(task, summary_measures(outcome))
    with tempfile.TemporaryDirectory(prefix="simlab-sweep-") as folder:
        outcome = execute(config, out=folder)
        return _facts(outcome) | _chosen(task, _recorded(outcome, task)) | {"run_dir": None}


def _facts(outcome: Outcome) -> dict[str, Any]:
    names = ("event_log_hash", "steps", "messages", "trades", "seconds")
    folder = outcome.run_dir.name if outcome.run_dir is not None else None
    return {name: getattr(outcome, name) for name in names} | {"run_dir": folder}


def _recorded(outcome: Outcome, task: Task) -> dict[str, float]:
    if outcome.run_dir is None:
        raise AnalysisError("the experiment records nothing; leave recording.enabled at true")
    run = open_run(Path(outcome.run_dir))
    found = run_measures(run, task.warmup)
    if any(name.startswith(_FACT) for name in task.measures):
        card = run.facts()
        found |= {f"{_FACT}{row.fact}": float(row.estimate) for row in card.itertuples()}
        found[f"{_FACT}count"] = float((card["verdict"] == "shown").sum())
    return found


def _needs_recording(task: Task) -> bool:
    """Tell whether measures are asked for that the run itself does not keep."""
    kept = ("P&L", "spread", "volatility", "volume")
    return task.warmup > 0 or not all(name.startswith(kept) for name in task.measures)


def summary_measures(outcome: Outcome) -> dict[str, float]:
    """Return the measures of `run_measures` that a run keeps without being recorded, under the same names.

    P&L by population, money units; of each market the mean spread (price units), the volatility (per step)
    and the volume (lots a step). With several instruments the name of the instrument follows.
    """
    found: dict[str, float] = {}
    for row in outcome.summary["populations"]:
        found[f"P&L {row['population']}"] = float(row["pnl_mean"] * row["agents"])
    markets = outcome.summary["instruments"]
    for row in markets:
        suffix = f" {row['instrument']}" if len(markets) > 1 else ""
        found[f"spread{suffix}"] = float(row["mean_spread"])
        found[f"volatility{suffix}"] = float(row["volatility"])
        found[f"volume{suffix}"] = row["volume"] / max(outcome.steps, 1)
    return found


def _chosen(task: Task, found: Mapping[str, float]) -> dict[str, float]:
    """Return the measures asked for; NaN for one that could not be measured in this run."""
    for name in task.measures:
        if name not in found and not name.startswith((*UNITS, _FACT)):
            known = did_you_mean(name, list(found), otherwise="the measures are")
            raise AnalysisError(f"there is no measure {name!r}{known}")
    return {name: found.get(name, math.nan) for name in task.measures or found}
