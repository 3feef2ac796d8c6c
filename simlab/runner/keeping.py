"""Write checkpoints as a run goes on: when they are due, and when it is told to stop.

A checkpoint is worth something when what was recorded before it is on disk, which happens every few seconds
(`KEPT_AFTER_S`). So a market is copied at a step that was chosen, and the latest copy is written then. While
one waits to be written, another takes its place only so often that these copies cost half a hundredth of the
time, however fast the run is and however many agents it has.
"""

from __future__ import annotations

import json
import time

from simlab.config.models import CheckpointConfig
from simlab.kernel.simulation import Simulation
from simlab.runner.author import Author
from simlab.runner.checkpoint import CHECKPOINTS_FOLDER, Checkpoint, Checkpoints, Taken, take

__all__ = ["Keeper", "spent_s"]

_NEVER = 2**62
_RUN_FOR_COPY = 200
"""How much longer than a copy took a market runs before the next copy that may never be written."""


class Keeper:
    """Write the checkpoints of one recorded run.

    Parameters
    ----------
    simulation : Simulation
    author : Author
        Its recording.
    plan : CheckpointConfig, optional
        When; only when it is told to stop if not given.
    started_s : float
        When the run would have started had it never stopped, `time.perf_counter` seconds.
    """

    def __init__(
        self, simulation: Simulation, author: Author, plan: CheckpointConfig | None, started_s: float
    ) -> None:
        self._simulation, self._author, self._started_s = simulation, author, started_s
        self._every = None if plan is None else plan.every
        keep = CheckpointConfig().keep if plan is None else plan.keep
        self._checkpoints = Checkpoints(author.folder / CHECKPOINTS_FOLDER, keep)
        self._kept_step = simulation.step
        self._taken: Taken | None = None
        self._next_copy_s = 0.0

    @property
    def next_step(self) -> int:
        """The step before which the next checkpoint is due."""
        step = self._simulation.step
        return _NEVER if self._every is None else step - step % self._every + self._every

    def keep_up(self) -> None:
        """Take a checkpoint if one is due, and write the one taken last when its recording goes to the disk.

        It waits only for one that is still being written.
        """
        self._begin()
        step = self._simulation.step
        due = self._every is not None and step % self._every == 0 and step != self._kept_step
        if due and step < self._simulation.spec.steps and self._is_worth_it():
            self._kept_step = step
            began_s = time.perf_counter()
            self._taken = take(self._simulation, position=self._author.position(), extra=self._extra())
            ended_s = time.perf_counter()
            self._next_copy_s = ended_s + _RUN_FOR_COPY * (ended_s - began_s)
        self._author.keep_up()
        self._begin()

    def _begin(self) -> None:
        """Write the copy that waits, if its recording was sent to the disk, as may happen in a step."""
        if self._taken is not None and self._author.is_due(self._taken.position):
            self._checkpoints.begin(self._taken, self._author.settle)
            self._taken = None

    def _is_worth_it(self) -> bool:
        return self._taken is None or time.perf_counter() >= self._next_copy_s

    def stop(self) -> str:
        """Write a checkpoint now, and say how to go on from it."""
        position = self._author.position()
        if self._author.settle(position):
            self._checkpoints.write(self._simulation, position=position, extra=self._extra())
        return f"go on with `simlab resume {self._author.folder}`"

    def end(self) -> None:
        """Wait for what is still being written."""
        self._checkpoints.wait()

    def _extra(self) -> bytes:
        return json.dumps({"seconds": time.perf_counter() - self._started_s}).encode()


def spent_s(checkpoint: Checkpoint | None) -> float:
    """Return how long a run had taken when its checkpoint was written, seconds."""
    return 0.0 if checkpoint is None else float(json.loads(checkpoint.extra)["seconds"])
