"""One episode: a market that is traded from seats, recorded if that is asked for."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.config import ExperimentConfig
from simlab.core.hashing import hash_text
from simlab.kernel.inbox import ENTRY, Text
from simlab.kernel.simulation import Simulation
from simlab.kernel.spec import Capacities, SimulationSpec
from simlab.runner.author import Author
from simlab.runner.journal import Journal, Record, journal_folder
from simlab.runner.run import outcome_of

__all__ = ["Episode"]

_ROOM = Capacities(orders=256, levels=128, events=1024, quotes=64, messages=64)
"""Little, so that what many markets use stays in the processor's caches; all of it grows."""


class Episode:
    """Keep one market and, below `record`, its run folder with a journal of what its learners send.

    Parameters
    ----------
    config : ExperimentConfig
    spec : SimulationSpec
        What is built from it.
    record : Path, optional
    """

    def __init__(self, config: ExperimentConfig, spec: SimulationSpec, record: Path | None) -> None:
        self._config, self._author, self._journal = config, None, None
        self._began_s = time.perf_counter()
        if record is None:
            self.simulation = Simulation(replace(spec, capacities=_ROOM))
            return
        self._author = Author(record, config, spec)
        self.simulation = Simulation(spec, sink=self._author)
        self._journal = Journal(journal_folder(self._author.folder), sync="off")
        self.simulation.journal = self._write
        self._author.begin(self.simulation)

    def _write(self, rows: NDArray[Any], texts: list[Text]) -> None:
        assert self._journal is not None
        self._journal.append(Record(int(rows["step"][0]), rows, texts))

    @property
    def folder(self) -> Path | None:
        """The run's folder, if it is recorded."""
        return None if self._author is None else self._author.folder

    @property
    def event_log_hash(self) -> str:
        """The hash of all events so far."""
        return hash_text(self.simulation.event_log_hash)

    def advance(self, step: int) -> None:
        """Run up to a step, and let in what the outside brings before it."""
        self.simulation.advance(step)

    def _end_journal(self) -> None:
        if self._journal is not None:
            self._journal.append(Record(self.simulation.step, np.zeros(0, ENTRY)))
            self._journal.close()
            self._journal = None

    def finish(self) -> None:
        """End the recording of an episode that came to its end, if that was not done."""
        if self._journal is None or self._author is None:
            return
        self._end_journal()
        self.simulation.finish()
        self.simulation.audit()
        seconds = time.perf_counter() - self._began_s
        self._author.finish(outcome_of(self._config, self.simulation, self.folder, seconds).as_dict())

    def close(self) -> None:
        """Close what the market keeps open; a recording that is not ended says where the episode was left."""
        if self._journal is not None and self._author is not None:
            self._end_journal()
            step, steps = self.simulation.step, self.simulation.spec.steps
            left = KeyboardInterrupt(f"the episode was left at step {step} of {steps}")
            self._author.__exit__(KeyboardInterrupt, left, None)
        self.simulation.close()
