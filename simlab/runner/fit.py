"""Search the parameters with which an experiment measures what it is to measure."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from simlab.analysis.libraries import library
from simlab.config import load
from simlab.config.fit import FitConfig, load_fit
from simlab.config.load import resolved
from simlab.config.source import dump
from simlab.config.sweep import VariedConfig
from simlab.core.files import require_writable_folder
from simlab.errors import SimlabError
from simlab.runner.sweep.pools import on_this_machine
from simlab.runner.sweep.work import FINISHED, Task, carry_out

__all__ = ["FITS_FOLDER", "Fitted", "fit"]

FITS_FOLDER = "fits"
"""Folder under the current one that searches are kept in."""

_BATCH = 4
"""Trials that are asked for together, however many workers there are, so that these change nothing."""
_WORST = 1e9
"""The loss of a trial that could not be run or measured."""


class Fitted:
    """What a search found.

    Attributes
    ----------
    best : dict
        The values of the best trial, by dotted path: what `simlab run --set` takes.
    loss : float
        Mean over the targets of the squared distance, in scales.
    trials : DataFrame
        A row a trial: ``trial``, ``loss``, the parameters, the measures that are targets, and ``error``.
    folder : Path
        Where ``trials.csv``, ``best.yaml`` and ``search.html`` are.
    """

    def __init__(self, best: dict[str, Any], trials: pd.DataFrame, folder: Path) -> None:
        self.best, self.trials, self.folder = best, trials, folder
        self.loss = float(trials["loss"].min())


def fit(
    config: str | Path | Mapping[str, Any] | FitConfig,
    *,
    out: str | Path = FITS_FOLDER,
    workers: int = 1,
    resume: bool = False,
    console: Console | None = None,
) -> Fitted:
    """Search for the parameters whose runs come nearest to the targets; by optuna's TPE sampler.

    A trial's measures are means over the seeds. The search does not depend on the workers, and one that was
    interrupted goes on.

    Parameters
    ----------
    config : path, mapping or FitConfig
    out : path
        Where the folder of the results, called as the search, is.
    workers : int
        Processes.
    resume : bool
        Go on with a search that was interrupted, or make it longer: raise `trials`.
    console : Console, optional
        Where progress is shown.

    Raises
    ------
    ConfigError
    SimlabError
        When there are results already and `resume` is not set, or they are of another search; or when no
        trial could be run.

    References
    ----------
    Bergstra, Bardenet, Bengio and Kegl 2011, Advances in Neural Information Processing Systems 24.
    """
    made = load_fit(config)
    optuna = library("optuna", "search")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder = Path(out) / made.name
    require_writable_folder(folder)
    experiment = resolved(load(made.experiment, set=made.set))
    rows = _begin(made, experiment, folder, resume)
    bar = Progress(
        TextColumn(made.name, style="bold"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("trials, best {task.fields[best]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=console is None,
    )
    with bar:
        task = bar.add_task("fit", total=made.trials, completed=len(rows), best=_best(rows))
        while len(rows) < made.trials:
            count = min(_BATCH, made.trials - len(rows))
            asked = _asked(optuna, made, rows, count)
            rows += _tried(made, experiment, asked, len(rows), workers)
            _keep(folder, rows)
            bar.update(task, completed=len(rows), best=_best(rows))
    return _ended(made, rows, folder)


def _best(rows: list[dict[str, Any]]) -> str:
    return f"{min(row['loss'] for row in rows):.3g}" if rows else "-"


def _begin(
    made: FitConfig, experiment: Mapping[str, Any], folder: Path, resume: bool
) -> list[dict[str, Any]]:
    """Write down what is searched; return the trials that were made."""
    told = made.model_dump(mode="json", exclude={"trials", "experiment"}) | {"experiment": experiment}
    known, told = folder / "fit.json", json.loads(json.dumps(told, default=str))
    if not known.exists():
        known.write_text(json.dumps(told, indent=2))
        return []
    if json.loads(known.read_text()) != told:
        raise SimlabError(f"{folder} has another search; give this one another name or --out")
    if not resume:
        raise SimlabError(f"{folder} has trials already; go on with --resume, or give another --out")
    kept = folder / "trials.jsonl"
    return [json.loads(line) for line in kept.read_text().splitlines()] if kept.exists() else []


def _asked(optuna: Any, made: FitConfig, rows: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """Return the next parameters to try: a function of the trials so far, so nothing else has to be kept."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        seed = made.seed + len(rows)
        sampler = optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)
    study = optuna.create_study(sampler=sampler)
    space = {name: _space(optuna, it) for name, it in made.parameters.items()}
    for row in rows:
        values = {name: _index(made.parameters[name], row["values"][name]) for name in space}
        study.add_trial(optuna.trial.create_trial(params=values, distributions=space, value=row["loss"]))
    trials = [study.ask(space) for _ in range(count)]
    return [{name: _value(made.parameters[name], trial.params[name]) for name in space} for trial in trials]


def _space(optuna: Any, varied: VariedConfig) -> Any:
    distributions = optuna.distributions
    if varied.values is not None:
        return distributions.CategoricalDistribution(list(range(len(varied.values))))
    if varied.integers is not None:
        return distributions.IntDistribution(*(int(it) for it in varied.integers))
    low, high = varied.uniform or varied.log_uniform or (0.0, 1.0)
    return distributions.FloatDistribution(low, high, log=varied.log_uniform is not None)


def _index(varied: VariedConfig, value: Any) -> Any:
    return varied.values.index(value) if varied.values is not None else value


def _value(varied: VariedConfig, chosen: Any) -> Any:
    return varied.values[chosen] if varied.values is not None else chosen


def _tried(
    made: FitConfig, experiment: Mapping[str, Any], asked: list[dict[str, Any]], first: int, workers: int
) -> list[dict[str, Any]]:
    """Run trials and return a row for each."""
    measures = tuple(made.targets)
    tasks = [
        Task(
            run=i * made.seeds + seed,
            seed=seed + 1,
            experiment=experiment,
            changes={made.parameters[name].path or name: value for name, value in values.items()},
            warmup=made.warmup,
            measures=measures,
        )
        for i, values in enumerate(asked)
        for seed in range(made.seeds)
    ]
    found = {row["run"]: row for row in on_this_machine(carry_out, tasks, workers)}
    rows = []
    for i, values in enumerate(asked):
        own = [found[i * made.seeds + seed] for seed in range(made.seeds)]
        rows.append({"trial": first + i, "values": values} | _judged(made, own))
    return rows


def _judged(made: FitConfig, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the loss of a trial's runs, what they measured, and what went wrong."""
    errors = [row["error"] for row in runs if row["status"] != FINISHED]
    if errors:
        return {"loss": _WORST, "measures": {}, "error": errors[0]}
    means = {name: float(np.mean([row[name] for row in runs])) for name in made.targets}
    loss = float(np.mean([target.distance(means[name]) ** 2 for name, target in made.targets.items()]))
    if not math.isfinite(loss):
        unknown = [name for name, it in means.items() if not math.isfinite(it)]
        return {"loss": _WORST, "measures": means, "error": f"not measured: {', '.join(unknown)}"}
    return {"loss": loss, "measures": means, "error": None}


def _keep(folder: Path, rows: list[dict[str, Any]]) -> None:
    """Write all trials, whole or not at all."""
    beside = folder / ".trials.part"
    beside.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    beside.replace(folder / "trials.jsonl")


def _ended(made: FitConfig, rows: list[dict[str, Any]], folder: Path) -> Fitted:
    """Return the result, and write it as files that people open."""
    trials = pd.DataFrame(
        [
            {
                "trial": row["trial"],
                "loss": row["loss"],
                **row["values"],
                **row["measures"],
                "error": row["error"],
            }
            for row in rows
        ]
    )
    best = min(rows, key=lambda row: row["loss"])
    if best["loss"] >= _WORST:
        raise SimlabError(
            f"none of {len(rows)} trials could be run and measured; the first said: {rows[0]['error']}"
        )
    chosen = made.set | {made.parameters[name].path or name: value for name, value in best["values"].items()}
    trials.to_csv(folder / "trials.csv", index=False)
    config = resolved(load(made.experiment, set=chosen))
    (folder / "best.yaml").write_text(dump(config))
    from simlab.analysis.figures import search

    drawn = search(trials, list(made.parameters))
    (folder / "search.html").write_text(drawn.to_html(include_plotlyjs=True))
    return Fitted(chosen, trials, folder)
