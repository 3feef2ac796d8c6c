"""Run a live session again in batch, from its journal: the same events, or the run says where it ended."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simlab.config import build
from simlab.core.hashing import hash_text
from simlab.errors import SimlabError
from simlab.kernel.simulation import Simulation
from simlab.live.journal import read
from simlab.live.settings import journal_folder
from simlab.recording import open_run
from simlab.runner.resume import config_of, require_same_code

__all__ = ["Replayed", "replay_run"]

_MOST_WAITING = 1 << 18
"""Rows of one step that wait to be let in: memory stays bounded however long the market stood still."""


@dataclass(frozen=True)
class Replayed:
    """How a session went when it was run again; `recorded_hash` is None where it did not come to an end."""

    run_dir: Path
    step: int
    event_log_hash: str
    recorded_hash: str | None
    rows: int
    messages: int
    trades: int
    seconds: float

    @property
    def same(self) -> bool:
        """Whether nothing speaks against it being the same session."""
        return self.recorded_hash in (None, self.event_log_hash)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data that fits JSON."""
        return vars(self) | {"run_dir": str(self.run_dir), "same": self.same}


def replay_run(run_dir: Path | str) -> Replayed:
    """Run a live session again, as far as its journal goes, without a clock and without clients.

    Parameters
    ----------
    run_dir : Path
        Its folder; a session that still runs is run again up to what is in the journal now.

    Raises
    ------
    SimlabError
        When it is no live session, its strategies' files have changed, or the journal is damaged.
    """
    folder = Path(run_dir)
    run = open_run(folder)
    journal = journal_folder(folder)
    if not journal.is_dir():
        raise SimlabError(
            f"{folder} is not a live session: it has no {journal}; `simlab run` runs its file again"
        )
    spec = build(config_of(folder))
    require_same_code(run.manifest, spec, folder)
    began_s, rows, waiting = time.perf_counter(), 0, 0
    with closing(Simulation(spec)) as simulation:
        for record in read(journal):
            if record.step > simulation.step or waiting > _MOST_WAITING:
                simulation.advance(record.step)
                waiting = 0
            if len(record.rows):
                simulation.replay(record.rows, record.texts)
                rows, waiting = rows + len(record.rows), waiting + len(record.rows)
        simulation.advance(simulation.step)
        simulation.audit()
        recorded = run.manifest.get("event_log_hash") if run.finished else None
        return Replayed(
            folder, simulation.step, hash_text(simulation.event_log_hash), recorded, rows,
            simulation.messages, simulation.trades, round(time.perf_counter() - began_s, 6),
        )  # fmt: skip
