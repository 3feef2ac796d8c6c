"""Fork a recorded run: branch off the market as it was before a step, with something changed from there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from operator import index
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlab.agents.strategy import Decider
from simlab.analysis import Run, open_run
from simlab.config import ExperimentConfig, build, load
from simlab.console.progress import SilentProgress, TerminalProgress
from simlab.core.files import require_writable_folder
from simlab.core.hashing import hash_text
from simlab.core.types import EventKind
from simlab.errors import ConfigError, RecordingError, SimlabError
from simlab.kernel.simulation import Simulation, Sink
from simlab.kernel.spec import Fallback, Population, SimulationSpec
from simlab.recording import TABLES
from simlab.runner.author import Author, Position
from simlab.runner.interrupts import Interrupts
from simlab.runner.lineage import (
    PARENT,
    changes_between,
    journal_of,
    keep_ancestors,
    nearest,
    origin,
    origin_folder,
    parents,
)
from simlab.runner.replay import let_in
from simlab.runner.resume import config_of, require_same_code
from simlab.runner.run import Outcome, advance, carry_out

__all__ = ["fork", "fork_run"]


def fork(
    run: Run | str | Path,
    *,
    at: int,
    set: Sequence[str] | Mapping[str, Any] = (),
    seed: int | None = None,
    steps: int | None = None,
    out: str | Path | None = None,
    record: bool = True,
    progress: bool = False,
) -> Run | Outcome:
    """Go on with a recorded run from a step, with something changed: a branch that shares what came before.

    The market is taken from the nearest checkpoint at or before the step and run up to it (from the beginning
    where there is none). Whatever is not changed draws what it would have drawn, so a fork and its parent, or
    two forks, are a pair with common random numbers. A fork without changes has the event log of its parent.

    Parameters
    ----------
    run : Run or path
        The parent: finished, failed, killed or still running, as far as it is recorded.
    at : int
        The first step that may be another; what is planned for the start of it (news, shocks) has happened.
    set, seed, steps
        Values put on top of the parent's configuration, as in `simlab.config.load`. What may change, and
        what a change does, is said in `simlab.kernel.rebase`.
    out : path, optional
        The folder in which the fork's own folder ``<name>-<seed>-at-<step>-<n>`` is made; that of the parent
        by default, with which it shares files where both are on one disk.
    record, progress
        As in `simlab.run`.

    Returns
    -------
    Run
        The recording, which reads as any other, from step 0; or an `Outcome` when nothing was recorded.

    Raises
    ------
    ConfigError
        When something is changed that cannot change in a running market.
    SimlabError
        When there is no such step, the recording cannot be made again, or the strategies' files have changed.

    Example
    -------
    >>> import tempfile, simlab
    >>> market = {"name": "m", "steps": 20, "instruments": {"ACME": {"initial_price": 100}},
    ...           "populations": {"noise": {"strategy": "noise", "count": 5}}}
    >>> parent = simlab.run(market, out=tempfile.mkdtemp())
    >>> taxed = simlab.fork(parent, at=10, set={"instruments.ACME.taker_fee_ppm": 1000})
    >>> taxed.manifest["parent"]["changes"]
    {'instruments.ACME.taker_fee_ppm': [0, 1000]}
    >>> simlab.fork(parent, at=10).event_log_hash == parent.event_log_hash
    True
    """
    folder = run.path if isinstance(run, Run) else Path(run)
    outcome = fork_run(folder, at, set=set, seed=seed, steps=steps, out=out, record=record, progress=progress)
    return open_run(outcome.run_dir) if outcome.run_dir is not None else outcome


def fork_run(
    run_dir: Path,
    at: int,
    *,
    set: Sequence[str] | Mapping[str, Any] = (),
    seed: int | None = None,
    steps: int | None = None,
    out: str | Path | None = None,
    record: bool = True,
    progress: bool = False,
    interrupts: Interrupts | None = None,
) -> Outcome:
    """Fork a run; see `fork`. Returns the outcome instead of the opened recording."""
    run, at = open_run(run_dir), _whole(at)
    _require_recorded(run, at)
    old = config_of(run.path)
    config = load(old, set=set, seed=seed, steps=steps)
    if at >= config.steps:
        raise ConfigError(
            f"--at {at}: the fork ends there, with {config.steps} steps, so there is nothing to run; fork"
            " earlier, or let it be longer with --steps"
        )
    recorded = record and config.recording.enabled
    place = _beside(run.path) if out is None else Path(out)
    if recorded:
        require_writable_folder(place)
    stood = _stand(run, old, at, progress, interrupts)
    with closing(stood.market) as market:
        added = market.spec.added
        spec = build(config)
        spec = replace(spec, instruments=(*spec.instruments, *added), added=added)
        forked = market.fork(spec=spec)
    author = None
    if recorded:
        said = _said(run, at, forked, changes_between(old, config))
        author = Author.branch(place, config, spec, run.path, stood.position, said)

    def begin(sink: Sink | None) -> Simulation:
        if author is not None:
            keep_ancestors(run, author.folder, stood.journal)
            origin(author.folder).write(forked, position=stood.position, extra=b'{"seconds": 0.0}')
        return forked.fork(sink)

    return carry_out(config, spec, author, begin, progress=progress, interrupts=interrupts)


def _whole(at: Any) -> int:
    try:
        return index(at)
    except TypeError:
        raise SimlabError(f"at={at!r} is no step; give a whole number") from None


def _beside(folder: Path) -> Path:
    """Return the folder that a folder is in."""
    return folder.resolve().parent if folder.name in ("", "..") else folder.parent


class _Stood(NamedTuple):
    """A market that stands before a step, how far its recording was there, and the journal it followed."""

    market: Simulation
    position: Position
    journal: Path | None


class _Counting:
    """Count the rows that a recorder would be given."""

    def __init__(self, rows: Mapping[str, int]) -> None:
        self.given = dict.fromkeys(TABLES, 0) | dict(rows)

    def events(self, events: NDArray[Any]) -> None:
        """Count events."""
        fills = int(np.count_nonzero(events["kind"] == EventKind.FILL))
        self.given["trades"] += fills
        self.given["messages"] += len(events) - fills

    def rows(self, table: str, columns: dict[str, Any]) -> None:
        """Count rows."""
        self.given[table] += len(next(iter(columns.values())))


def _require_recorded(run: Run, at: int) -> None:
    """Raise SimlabError unless a run has a market that stands before a step."""
    reached = run.reached
    if reached is None:
        raise RecordingError(
            f"{run.path} does not say how far it is recorded; go on with it: simlab resume {run.path}"
        )
    if not 0 <= at <= reached:
        more = "" if run.finished else f", or go on with it first: simlab resume {run.path}"
        raise SimlabError(
            f"--at {at}: {run.path} is {run.status}, and has steps 0 to {reached}; choose one of them{more}"
        )
    parent = run.manifest.get(PARENT)
    if parent is not None and at < parent["step"]:
        raise SimlabError(
            f"--at {at}: {run.path} is itself a fork from step {parent['step']}, and before that it is its"
            f" parent; fork that: simlab fork {parent['path']} --at {at}"
        )


def _stand(
    run: Run, config: ExperimentConfig, at: int, progress: bool, interrupts: Interrupts | None
) -> _Stood:
    """Make the market of a run again as it was before a step, from what is nearest."""
    spec = build(config)
    require_same_code(run.manifest, spec, run.path)
    journal = journal_of(run.path)
    followed = journal is not None and PARENT not in run.manifest
    checkpoint = None if followed else nearest(run.path, at)
    _require_answers(run, spec, at, 0 if checkpoint is None else checkpoint.step)
    counting = _Counting({} if checkpoint is None else checkpoint.position.rows)
    market = Simulation(spec, counting) if checkpoint is None else checkpoint.restore(spec, counting)
    try:
        if journal is not None and followed:
            let_in(market, journal, at)
        shown = replace(spec, steps=at, name=f"{spec.name} to step {at}")
        with TerminalProgress(shown) if progress and market.step < at else SilentProgress() as bar:
            bar.begin(market)
            advance(market, at, bar, None, interrupts)
        market.flush()
        _require_same(run, at, counting.given)
    except BaseException:
        market.close()
        raise
    rows = {name: 0 if TABLES[name].static else count for name, count in counting.given.items()}
    return _Stood(market, Position(at, rows), journal)


def _require_answers(run: Run, spec: SimulationSpec, at: int, start: int) -> None:
    """Raise SimlabError when steps must be run again in which a language model would be asked again."""
    if start == at:
        return
    for population in spec.populations:
        deciders: tuple[Population | Fallback, ...] = (population, *population.fallback)
        for it in deciders:
            if _asks(it):
                steps = ", ".join(map(str, sorted(_checkpoint_steps(run.path)))) or "none"
                raise SimlabError(
                    f"--at {at}: populations.{population.name} asks a language model, which would answer anew"
                    f" in steps {start} to {at - 1}; fork at the step of a checkpoint (there are {steps}), or"
                    " record with llm.cassette.mode: auto"
                )


def _asks(decider: Population | Fallback) -> bool:
    """Say whether a model would be asked again, and nothing that it answered be read."""
    settings = decider.options.get("llm")
    if decider.strategy.decider is not Decider.LLM or settings is None:
        return False
    return (settings.get("cassette") or {}).get("mode", "off") in ("off", "record")


def _checkpoint_steps(folder: Path) -> set[int]:
    files = [*folder.glob("checkpoints/*.checkpoint"), *origin_folder(folder).glob("*.checkpoint")]
    return {int(it.stem.split("-")[0]) for it in files}


def _require_same(run: Run, at: int, given: Mapping[str, int]) -> None:
    """Raise SimlabError unless as many events came about again as are recorded."""
    for table in ("messages", "trades"):
        before, after = (run.count(table, before=step) for step in (at, at + 1))
        if not before <= given[table] <= after:
            raise SimlabError(
                f"{run.path} has {before} rows of {table} before step {at}, and {given[table]} came about"
                " when it was run again: another version recorded it, or a strategy draws elsewhere; see what"
                f" differs with simlab verify {run.path}, and fork a run that is the same again"
            )


def _said(run: Run, at: int, forked: Simulation, changes: dict[str, list[Any]]) -> dict[str, Any]:
    """Return what the manifest says of the parent."""
    said = {
        "path": str(run.path.resolve()),
        "event_log_hash": run.event_log_hash,
        "step": at,
        "hash_at_step": hash_text(forked.event_log_hash),
        "changes": changes,
    }
    above = parents(run.manifest)
    return said | ({PARENT: above[-1]} if above else {})
