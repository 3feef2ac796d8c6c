"""Make all runs of a plan, keep a row of each, and go on where a sweep was interrupted."""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from simlab.analysis.compare import FACTS, PLANNED
from simlab.config import load
from simlab.config.load import resolved
from simlab.config.sweep import SweepConfig, experiment_source, load_sweep
from simlab.errors import SimlabError
from simlab.runner.sweep.plan import changes_of, make_plan, plan_digest
from simlab.runner.sweep.pools import on_dask, on_this_machine
from simlab.runner.sweep.store import PLAN, RUNS, SWEEP, Store
from simlab.runner.sweep.work import FAILED, FINISHED, Task, carry_out

__all__ = ["SWEEPS_FOLDER", "Sweep", "sweep"]

SWEEPS_FOLDER = "sweeps"
"""Folder under the current one that results are kept in."""

_KEPT_AFTER_S = 2.0
"""Seconds after which rows are written, so that there are few files."""
_FAILURES_SHOWN = 20


@dataclass(frozen=True)
class Sweep:
    """A sweep before anything runs: what it is, its plan, and the experiment as it is without changes."""

    config: SweepConfig
    plan: pd.DataFrame
    experiment: Mapping[str, Any]

    @classmethod
    def of(cls, config: str | Path | Mapping[str, Any] | SweepConfig) -> Sweep:
        """Load a sweep and make its plan.

        Raises
        ------
        ConfigError
            When the sweep, the experiment, or what the first run changes in it is wrong.
        """
        made = load_sweep(config)
        plan = make_plan(made)
        experiment = resolved(load(experiment_source(made)))
        found = cls(made, plan, experiment)
        first = found.tasks(plan.head(1))[0]
        load(first.experiment, set=first.changes, seed=first.seed)
        return found

    @property
    def digest(self) -> str:
        """What tells this sweep from any other."""
        return plan_digest(self.config.model_copy(update={"experiment": dict(self.experiment)}), self.plan)

    def tasks(self, rows: pd.DataFrame, folder: str | None = None) -> list[Task]:
        """Return the runs of some rows of the plan; recordings go into `folder` where they are kept."""
        config = self.config
        return [
            Task(
                run=int(row["run"]),
                seed=int(row["seed"]),
                experiment=self.experiment,
                changes=changes_of(config, row),
                warmup=config.warmup,
                measures=config.measures,
                folder=folder if config.keep == "runs" else None,
            )
            for row in rows.to_dict("records")
        ]


def sweep(
    config: str | Path | Mapping[str, Any] | SweepConfig | Sweep,
    *,
    out: str | Path = SWEEPS_FOLDER,
    workers: int | None = None,
    dask: str | None = None,
    resume: bool = False,
    console: Console | None = None,
) -> pd.DataFrame:
    """Make all runs of a sweep and return a row for each.

    Parameters
    ----------
    config : path, mapping, SweepConfig or Sweep
    out : path or URL
        Where the folder of the results, called as the sweep, is; ``s3://bucket/folder`` too.
    workers : int, optional
        Processes of this machine; as many as it has cores by default.
    dask : str, optional
        Address of a Dask scheduler, whose workers make the runs instead.
    resume : bool
        Go on with a sweep that was interrupted: runs that have finished are not made again.
    console : Console, optional
        Where progress and failures are shown.

    Returns
    -------
    DataFrame
        The plan (see `make_plan`), and for each run ``status`` (finished or failed), ``error``,
        ``event_log_hash``, ``steps``, ``messages``, ``trades``, ``seconds`` and its measures. It does not
        depend on the workers, but for ``seconds``. `attrs`: ``parameters`` and ``measures`` (names of
        columns) and ``place``.

    Raises
    ------
    ConfigError, RecordingError
    SimlabError
        When there are results already and `resume` is not set, or they are of another sweep.

    Example
    -------
    >>> market = {"steps": 10, "instruments": {"ACME": {"initial_price": 100}}}
    >>> sweep({"experiment": market, "seeds": 20}, out="results")  # doctest: +SKIP
    """
    made = config if isinstance(config, Sweep) else Sweep.of(config)
    store = Store(f"{os.fspath(out)}/{made.config.name}")
    done = _begin(made, store, resume)
    left = made.plan[~made.plan["run"].isin(done)]
    sends = store.remote and made.config.keep == "runs"
    work: Callable[[Task], dict[str, Any]] = _Sending(store.place) if sends else carry_out
    tasks = made.tasks(left, None if store.remote else str(Path(store.place, RUNS).resolve()))
    if dask is not None:
        rows = on_dask(work, tasks, dask)
    else:
        rows = on_this_machine(work, tasks, workers or os.cpu_count() or 1)
    _collect(made, store, rows, len(done), console)
    found = _together(made, store)
    store.compact(store.rows())
    return found


def _begin(made: Sweep, store: Store, resume: bool) -> set[int]:
    """Write down what the sweep is; return the runs that are done."""
    known = store.read(SWEEP)
    if known is None:
        description = made.config.model_dump(mode="json", exclude_none=True)
        store.write_frame(PLAN, _storable(made.plan))
        store.write_json(SWEEP, {"digest": made.digest, "sweep": description, "experiment": made.experiment})
        return set()
    if json.loads(known)["digest"] != made.digest:
        raise SimlabError(
            f"{store.place} has results of another sweep (its plan, experiment or measures differ); give this"
            " one another name or --out"
        )
    if not resume:
        raise SimlabError(f"{store.place} has results already; go on with --resume, or give another --out")
    rows = store.rows()
    return set(rows.loc[rows["status"] == FINISHED, "run"].astype(int))


def _storable(plan: pd.DataFrame) -> pd.DataFrame:
    """Return a plan as Parquet has it: a parameter of several types, or nested, as JSON."""
    mixed = [name for name in plan if plan[name].dtype == object and name != "treatment"]
    return plan.assign(**{name: plan[name].map(json.dumps) for name in mixed})


@dataclass(frozen=True)
class _Sending:
    """Make a run in a temporary folder, and send its recording into the bucket."""

    place: str

    def __call__(self, task: Task) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="simlab-sweep-") as folder:
            row = carry_out(replace(task, folder=folder))
            if row["status"] == FINISHED:
                Store(self.place).bring(Path(folder, row["run_dir"]), f"{RUNS}/{row['run_dir']}")
        return row


def _collect(
    made: Sweep, store: Store, rows: Iterator[dict[str, Any]], done: int, console: Console | None
) -> None:
    """Keep rows as they come, a part every few seconds; what has come is kept whatever happens then."""
    planned = {int(row["run"]): row for row in _storable(made.plan).to_dict("records")}
    waiting: list[dict[str, Any]] = []
    kept_s, failures = time.monotonic(), 0
    bar, task = _bar(made, done, console)
    try:
        with bar:
            for row in rows:
                waiting.append(planned[int(row["run"])] | row)
                if isinstance(bar, Progress):
                    bar.advance(task)
                if row["status"] == FAILED:
                    failures += 1
                    _tell_failure(made, row, failures, console)
                if time.monotonic() - kept_s >= _KEPT_AFTER_S:
                    store.add_rows(waiting)
                    waiting, kept_s = [], time.monotonic()
    except KeyboardInterrupt:
        store.add_rows(waiting)
        count = len(store.rows())
        raise KeyboardInterrupt(
            f"{count:,} of {len(made.plan):,} runs are in {store.place}; go on with --resume"
        ) from None
    store.add_rows(waiting)


def _bar(made: Sweep, done: int, console: Console | None) -> tuple[AbstractContextManager[Any], Any]:
    if console is None:
        return nullcontext(), None
    bar = Progress(
        TextColumn("{task.description}", style="bold"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("runs"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    return bar, bar.add_task(made.config.name, total=len(made.plan), completed=done)


def _tell_failure(made: Sweep, row: Mapping[str, Any], number: int, console: Console | None) -> None:
    if console is None or number > _FAILURES_SHOWN:
        return
    planned = made.plan.iloc[int(row["run"])]
    what = ", ".join(f"{name}={planned[name]}" for name in ("treatment", "seed", *made.config.parameters))
    console.print(f"run {row['run']} ({what}) failed: {row['error']}", highlight=False, markup=False)
    if number == _FAILURES_SHOWN:
        console.print("further failures are in the column `error`")


def _together(made: Sweep, store: Store) -> pd.DataFrame:
    """Return plan and rows side by side."""
    rows = store.rows().drop(columns=[name for name in made.plan if name != "run"], errors="ignore")
    found = made.plan.merge(rows, on="run", how="left", validate="one_to_one")
    measures = [str(name) for name in rows if name not in (*PLANNED, *FACTS)]
    found.attrs = {
        "place": store.place,
        "parameters": list(made.config.parameters),
        "measures": measures,
        "design": made.config.design.model_dump(mode="json"),
        "left_out": made.plan.attrs.get("left_out", 0),
    }
    return found
