"""Run one experiment from its configuration to a recorded, audited run folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from simlab.analysis import Run, open_run
from simlab.config import ConfigLike, ExperimentConfig, build, load
from simlab.console.progress import Progress, SilentProgress, TerminalProgress
from simlab.core.files import require_writable_folder
from simlab.core.hashing import hash_text
from simlab.kernel.simulation import Simulation
from simlab.kernel.spec import SimulationSpec
from simlab.runner.author import Author, interrupted, under_way
from simlab.runner.interrupts import Interrupts, Terminated
from simlab.runner.keeping import Keeper

__all__ = ["RUNS_FOLDER", "Outcome", "advance", "carry_out", "execute", "outcome_of", "run"]

RUNS_FOLDER = "runs"
"""Folder under the current one that run folders are made in."""

_SLICE_S = 0.1
_SLICE_STEPS = 4096
"""The most steps at once, however fast they were: those to come may be slow."""


@dataclass(frozen=True)
class Outcome:
    """How a run went.

    `run_dir` is None when it was not recorded. `seconds` is the time of stepping, with compilation.
    `summary` has the rows of `Simulation.summary` under ``populations`` and ``instruments``, as `Run.summary`
    has them of a recording.
    """

    name: str
    seed: int
    steps: int
    run_dir: Path | None
    event_log_hash: str
    messages: int
    trades: int
    seconds: float
    summary: dict[str, Any]

    @property
    def refused(self) -> int:
        """Messages that the market refused; `summary` says whose they were and why."""
        return sum(int(row["refused"]) for row in self.summary["populations"])

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data that fits JSON."""
        fields = {key: value for key, value in vars(self).items() if key != "summary"}
        folder = str(self.run_dir) if self.run_dir is not None else None
        return fields | {"run_dir": folder, "refused": self.refused} | self.summary


def run(
    config: ConfigLike,
    *,
    out: str | Path | None = None,
    record: bool = True,
    progress: bool = False,
    set: Sequence[str] | Mapping[str, Any] = (),
    seed: int | None = None,
    steps: int | None = None,
) -> Run | Outcome:
    """Load, run, record and audit one experiment.

    Parameters
    ----------
    config : path, mapping or ExperimentConfig
    out : path, optional
        The folder in which the run folder ``<name>-<seed>-<n>`` is made; ``runs`` by default.
    record : bool
        Without recording nothing is written; the event-log hash is the same.
    progress : bool
        Show a progress bar on stderr.
    set, seed, steps
        Values put on top of the configuration, as in `simlab.config.load`.

    Returns
    -------
    Run
        The recording, opened; or an `Outcome` when nothing was recorded.

    Raises
    ------
    ConfigError, PluginError, StrategyError, RecordingError
    KeyboardInterrupt
        When interrupted, after the recording was brought to a clean end.

    Notes
    -----
    Whatever else a strategy raises comes through as it is, also after a clean end of the recording: it holds
    everything before the step under way, in all tables, and `Run.status` says why it ends there.

    Example
    -------
    >>> outcome = run({"steps": 10, "instruments": {"ACME": {"initial_price": 100}}}, record=False)
    >>> outcome.trades
    0
    """
    loaded = load(config, set=set, seed=seed, steps=steps)
    outcome = execute(loaded, out=out, record=record, progress=progress)
    return open_run(outcome.run_dir) if outcome.run_dir is not None else outcome


def execute(
    config: ExperimentConfig,
    *,
    out: str | Path | None = None,
    record: bool = True,
    progress: bool = False,
    interrupts: Interrupts | None = None,
) -> Outcome:
    """Run a loaded configuration; see `run`. Returns the outcome instead of the opened recording.

    `interrupts`, where given, is told what is under way, to say it when a second Ctrl-C ends the process.
    """
    parent = Path(out) if out is not None else Path(RUNS_FOLDER)
    recorded = record and config.recording.enabled
    if recorded:
        require_writable_folder(parent)  # before the work: drawing a million agents takes a while
    spec = build(config)
    author = Author(parent, config, spec) if recorded else None
    return carry_out(
        config, spec, author, partial(Simulation, spec), progress=progress, interrupts=interrupts
    )


def carry_out(
    config: ExperimentConfig,
    spec: SimulationSpec,
    author: Author | None,
    begin: Callable[[Author | None], Simulation],
    *,
    spent_s: float = 0.0,
    progress: bool,
    interrupts: Interrupts | None,
) -> Outcome:
    """Run what a configuration says to its end, from the market that `begin` returns; see `execute`.

    `spent_s` is how long it took up to there.
    """
    bar = TerminalProgress(spec) if progress else SilentProgress()
    try:
        with author or nullcontext():
            return _stepped(config, author, begin, spent_s, bar, interrupts)
    except KeyboardInterrupt as interruption:
        where = f"; what was recorded is in {author.folder}" if author is not None else ""
        raise type(interruption)(f"{interrupted(interruption)}{where}") from None


def _stepped(
    config: ExperimentConfig,
    author: Author | None,
    begin: Callable[[Author | None], Simulation],
    spent_s: float,
    bar: Progress,
    interrupts: Interrupts | None,
) -> Outcome:
    started_s = time.perf_counter() - spent_s
    with bar, closing(begin(author)) as simulation:
        if interrupts is not None:
            interrupts.describe = partial(under_way, simulation)
        keeper = None
        if author is not None:
            author.begin(simulation)
            keeper = Keeper(simulation, author, config.checkpoint, started_s)
        bar.begin(simulation)
        advance(simulation, simulation.spec.steps, bar, keeper, interrupts)
    simulation.finish()
    simulation.audit()
    run_dir = author.folder if author is not None else None
    outcome = outcome_of(config, simulation, run_dir, time.perf_counter() - started_s)
    if author is not None:
        author.finish(outcome.as_dict())
    return outcome


def outcome_of(
    config: ExperimentConfig, simulation: Simulation, run_dir: Path | None, seconds: float
) -> Outcome:
    """Return how a run went that has come to its end."""
    return Outcome(
        name=config.name,
        seed=config.seed,
        steps=simulation.step,
        run_dir=run_dir,
        event_log_hash=hash_text(simulation.event_log_hash),
        messages=int(simulation.messages),
        trades=int(simulation.trades),
        seconds=round(seconds, 6),
        summary=simulation.summary(),
    )


def advance(
    simulation: Simulation,
    total: int,
    bar: Progress,
    keeper: Keeper | None,
    interrupts: Interrupts | None,
) -> None:
    """Step to a step in slices of about a tenth of a second, between which signals are heard.

    Raises
    ------
    KeyboardInterrupt
        Saying at which step it was interrupted or terminated.
    """
    steps = 1
    try:
        while simulation.step < total:
            began_s = time.perf_counter()
            until = min(simulation.step + steps, total)
            simulation.advance(until if keeper is None else min(until, keeper.next_step))
            elapsed_s = time.perf_counter() - began_s
            steps = max(1, min(_SLICE_STEPS, int(steps * min(8.0, _SLICE_S / max(elapsed_s, 1e-9)))))
            bar.update(simulation)
            if keeper is not None:
                keeper.keep_up()
            if interrupts is not None and interrupts.heard:
                raise KeyboardInterrupt
            if interrupts is not None and interrupts.terminated and simulation.step < total:
                again = "" if keeper is None else f"; {keeper.stop()}"
                raise Terminated(f"terminated at step {simulation.step} of {total}{again}")
        if keeper is not None:
            keeper.end()
    except Terminated:
        raise
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted at step {simulation.step} of {total}") from None
