"""Be the one author of a run's recording: begin it, keep it up while the run goes on, and end it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, NamedTuple, Self

from numpy.typing import NDArray

from simlab.config import ExperimentConfig, resolved
from simlab.core.files import require_writable_folder
from simlab.errors import RecordingError
from simlab.kernel.sampling import instrument_columns
from simlab.kernel.simulation import Simulation
from simlab.kernel.spec import SimulationSpec
from simlab.recording import RunWriter
from simlab.runner.provenance import provenance
from simlab.runner.tables import agent_columns

__all__ = ["KEPT_AFTER_S", "Author", "Position", "deciding", "interrupted", "new_folder", "under_way"]

KEPT_AFTER_S = 5.0
"""Seconds after which what happened is put on disk, whatever ends the process then; to these comes one slice
of steps of about a tenth of a second, or one step or decision where that takes longer."""


_KNOWN_BEFORE = ("name", "seed", "steps", "run_dir")


class Position(NamedTuple):
    """How far a recording is: the step that is next, and the rows of each table before it."""

    step: int = 0
    rows: Mapping[str, int] = MappingProxyType({})
    commit: int = 0
    """The number of the commit that `Author.settle` waits for; of this process alone."""


class Author(AbstractContextManager["Author"]):
    """Write all of a recording: configuration, manifest, tables, how far it reaches, and how it ended.

    It is the kernel's sink, and nothing else writes into the folder. Leaving its context with an error ends
    the recording as that of a run that failed.

    Parameters
    ----------
    parent : Path
        Where the run's own folder is made, ``<name>-<seed>-<n>``.
    config : ExperimentConfig
    spec : SimulationSpec
        What is built from it.
    """

    def __init__(self, parent: Path, config: ExperimentConfig, spec: SimulationSpec) -> None:
        known = _known(config, spec)
        folder = new_folder(parent, f"{config.name}-{config.seed}")
        self._start(RunWriter(folder, config=resolved(config), manifest=known))

    @classmethod
    def reopen(cls, folder: Path, position: Position) -> Self:
        """Go on with a recording at a position that it had; what was recorded after that is removed.

        Raises
        ------
        RecordingError
            When it is no recording, or never came so far.
        """
        author = cls.__new__(cls)
        author._start(RunWriter.reopen(folder, position.rows, step=position.step))
        return author

    @classmethod
    def branch(
        cls,
        place: Path,
        config: ExperimentConfig,
        spec: SimulationSpec,
        source: Path,
        position: Position,
        parent: Mapping[str, Any],
    ) -> Self:
        """Begin a recording in a new folder of a place with what another one has up to a position.

        The folder is ``<name>-<seed>-at-<step>-<n>``. See `RunWriter.branch`; `parent` says in the manifest
        what it goes on from.
        """
        known = _known(config, spec) | {"parent": parent}
        folder = new_folder(place, f"{config.name}-{config.seed}-at-{position.step}")
        author = cls.__new__(cls)
        author._start(
            RunWriter.branch(
                folder,
                source,
                position.rows,
                step=position.step,
                config=resolved(config),
                manifest=known,
            )
        )
        return author

    def _start(self, writer: RunWriter) -> None:
        self._writer = writer
        self._kept_s = time.monotonic()
        self._commit = 0
        self._simulation: Simulation | None = None

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self._writer.path

    def events(self, events: NDArray[Any]) -> None:
        """Record events, as the kernel hands them over."""
        self._writer.events(events)

    def rows(self, table: str, columns: Mapping[str, Any]) -> None:
        """Record rows of a table, as the kernel hands them over."""
        self._writer.rows(table, columns)

    def begin(self, simulation: Simulation) -> None:
        """Take note of what is recorded; record who holds each account and what is traded, unless it is."""
        self._simulation = simulation
        simulation.pulse = self.keep_up
        if not self._writer.given["instruments"]:
            self.rows("instruments", instrument_columns(simulation.spec.instruments))
        if not self._writer.given["agents"]:
            self.rows("agents", agent_columns(simulation))

    def position(self) -> Position:
        """Return how far the recording is now; between two steps, so that it can go on from there.

        It is on disk some time after the next `keep_up` that does something, or when `settle` returns.
        """
        step = 0
        if self._simulation is not None:
            self._simulation.flush()
            step = self._simulation.step
        return Position(step, self._writer.given, self._commit + 1)

    def is_due(self, position: Position) -> bool:
        """Return whether a position was sent to the disk, so that `settle` may be called from any thread."""
        return self._commit >= position.commit

    def settle(self, position: Position) -> bool:
        """Wait until a position is on disk; False when the recorder failed before."""
        if not self.is_due(position):
            self._keep()
        return self._writer.wait_for(position.commit)

    def keep_up(self) -> None:
        """Put on disk what happened so far, if the last time was long enough ago; does not wait for the disk.

        It may be called in the midst of a step, which then does not count.
        """
        if time.monotonic() - self._kept_s >= KEPT_AFTER_S:
            self.keep()

    def keep(self) -> None:
        """Put on disk what happened so far, now; does not wait for the disk."""
        self._keep()
        self._kept_s = time.monotonic()

    def _keep(self) -> None:
        if self._simulation is not None:
            self._simulation.flush()
            self._commit = self._writer.commit(self._simulation.step)

    def finish(self, facts: Mapping[str, Any]) -> None:
        """End the recording of a run that came to its end, with what is known of it now."""
        step = None
        if self._simulation is not None:
            self._simulation.flush()
            step = self._simulation.step
        self._writer.finish({key: it for key, it in facts.items() if key not in _KNOWN_BEFORE}, step=step)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the recording of a run that failed.

        Everything before the step under way is kept, and why it failed. A recording that failed itself, which
        is the error then, stays as it is.
        """
        if error is None:
            return
        facts: dict[str, Any] = {"failed": {"error": type(error).__name__, "message": str(error)}}
        if self._simulation is not None:
            facts["failed"] |= {"step": self._simulation.step, "agent": deciding(self._simulation)}
            error.add_note(f"what happened before step {self._simulation.step} is recorded in {self.folder}")
            with suppress(RecordingError):
                self._keep()
        reason = interrupted(error) if isinstance(error, KeyboardInterrupt) else error
        self._writer.abandon(reason, facts)


def _known(config: ExperimentConfig, spec: SimulationSpec) -> dict[str, Any]:
    """Return what is known of a run before it begins."""
    return {"name": config.name, "seed": config.seed, "steps": config.steps} | provenance(spec)


def deciding(simulation: Simulation) -> str | None:
    """Return whose decision is under way, where the kernel can tell; it may be called from another thread."""
    tell = getattr(simulation, "deciding", None)
    return str(tell()) or None if callable(tell) else None


def interrupted(error: KeyboardInterrupt) -> str:
    """Say when a run was interrupted; without words of its own that was before its first step."""
    return str(error) or "interrupted before the first step"


def under_way(simulation: Simulation) -> str:
    """Say what a simulation is doing; it may be called from another thread."""
    who = deciding(simulation)
    return f"step {simulation.step} was under way" + (f", and {who} was deciding" if who else "")


def new_folder(parent: Path, stem: str) -> Path:
    """Make and return ``parent/stem-<n>`` with the first free n; two runs at once get two folders.

    Raises
    ------
    RecordingError
        When nothing can be written there.
    """
    require_writable_folder(parent)
    n = 1
    while True:
        folder = parent / f"{stem}-{n}"
        try:
            folder.mkdir()
        except FileExistsError:
            n += 1
        else:
            return folder
