"""Show on stderr how far a run is."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numba
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.status import Status
from rich.text import Text

from simlab.core.jit import JIT
from simlab.kernel.simulation import Simulation
from simlab.kernel.spec import SimulationSpec

__all__ = ["Progress", "SilentProgress", "TerminalProgress"]


class Progress(AbstractContextManager["Progress"], Protocol):
    """Be told about a run before its first step and after each slice of steps."""

    def begin(self, simulation: Simulation) -> None:
        """Take note of the simulation before its first step."""

    def update(self, simulation: Simulation) -> None:
        """Take note of where the simulation is."""


class SilentProgress(Progress):
    """Show nothing."""

    def begin(self, simulation: Simulation) -> None:
        """Ignore the simulation."""

    def update(self, simulation: Simulation) -> None:
        """Ignore the simulation."""

    def __exit__(self, *_: object) -> None:
        return None


class _StatusColumn(ProgressColumn):
    """How what strategies keep open is, also while a step takes long."""

    def render(self, task: Task) -> Text:
        simulation = task.fields["simulation"]
        resources = simulation.resources if simulation is not None else ()
        return Text("  ".join(it.status() for it in resources if hasattr(it, "status")))


_COMPILING = "compiling (first run only, about a minute)…"


class TerminalProgress(Progress):
    """Show a bar with steps, messages per second, the mid price, and the time left.

    What strategies keep open and can tell how it is (`status`), as a client of language models does its calls
    and their cost, is shown too.

    Until the first slice is done, and when nothing is in the compilation cache, it says that simlab is
    being compiled: that takes a while, once.
    """

    def __init__(self, spec: SimulationSpec, console: Console | None = None) -> None:
        console = console or Console(stderr=True)
        self._bar = RichProgress(
            TextColumn(spec.name, style="bold"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TextColumn("{task.fields[rate]}"),
            TextColumn("{task.fields[mids]}"),
            _StatusColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("run", total=spec.steps, rate="", mids="", simulation=None)
        self._names = sorted(instrument.name for instrument in spec.instruments)
        self._compiling = Status(_COMPILING, console=console) if _is_first_run() else None
        self._started_s = 0.0
        self._messages = 0

    def __enter__(self) -> Self:
        if self._compiling is None:
            self._start()
        elif self._compiling.console.is_terminal:
            self._compiling.start()
        else:
            self._compiling.console.print(self._compiling.status)
        return self

    def begin(self, simulation: Simulation) -> None:
        """Show how what strategies keep open is, from now on."""
        self._bar.update(self._task, simulation=simulation)

    def update(self, simulation: Simulation) -> None:
        """Redraw the bar."""
        if self._compiling is not None:
            self._compiling.stop()
            self._compiling = None
            self._start()
            self._messages = simulation.messages
        elapsed_s = max(time.perf_counter() - self._started_s, 1e-9)
        rate = (simulation.messages - self._messages) / elapsed_s
        shown = [f"{name} {simulation.mid(i):,.1f}" for i, name in enumerate(self._names[:3])]
        self._bar.update(
            self._task, completed=simulation.step, rate=f"{rate:,.0f} messages/s", mids="  ".join(shown)
        )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._compiling is not None:
            self._compiling.stop()
        self._bar.stop()

    def _start(self) -> None:
        self._started_s = time.perf_counter()
        self._bar.start()


def _is_first_run() -> bool:
    folder = Path(numba.config.CACHE_DIR)  # type: ignore[attr-defined]
    # the loop is what takes long, and what small compiled helpers of the configuration do not tell of
    return JIT and (not folder.is_dir() or next(folder.rglob("loop.advance-*.nbc"), None) is None)
