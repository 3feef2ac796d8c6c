"""Run again, from its journal, what was traded from outside: the same events, or it says where they end."""

from __future__ import annotations

import time
from contextlib import closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simlab.config import build
from simlab.core.hashing import hash_text
from simlab.errors import SimlabError
from simlab.kernel.simulation import Simulation
from simlab.recording import open_run
from simlab.runner.author import Author
from simlab.runner.journal import journal_folder, read
from simlab.runner.resume import config_of, require_same_code
from simlab.runner.run import outcome_of

__all__ = ["Replayed", "let_in", "replay_run"]

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
    again_dir: Path | None = None
    """Where it was recorded again, if it was."""

    @property
    def same(self) -> bool:
        """Whether nothing speaks against it being the same session."""
        return self.recorded_hash in (None, self.event_log_hash)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data that fits JSON."""
        again = None if self.again_dir is None else str(self.again_dir)
        return vars(self) | {"run_dir": str(self.run_dir), "again_dir": again, "same": self.same}


def replay_run(run_dir: Path | str, *, out: Path | str | None = None) -> Replayed:
    """Run a live session or a recorded episode again, as far as its journal goes, with nobody there.

    Parameters
    ----------
    run_dir : Path
        Its folder; a session that still runs is run again up to what is in the journal now.
    out : Path, optional
        Where it is recorded once more, in a folder of its own; without a journal.

    Raises
    ------
    SimlabError
        When it has no journal, its strategies' files have changed, or the journal is damaged.
    """
    folder = Path(run_dir)
    run = open_run(folder)
    journal = journal_folder(folder)
    if not journal.is_dir():
        raise SimlabError(
            f"{folder} has no {journal}: nobody traded from outside; `simlab verify` runs its file again"
        )
    config = config_of(folder)
    spec = build(config)
    require_same_code(run.manifest, spec, folder)
    author = None if out is None else Author(Path(out), config, spec)
    began_s = time.perf_counter()
    with author or nullcontext(), closing(Simulation(spec, sink=author)) as simulation:
        if author is not None:
            author.begin(simulation)
        rows = let_in(simulation, journal)
        simulation.advance(simulation.step)
        simulation.audit()
        again, seconds = None if author is None else author.folder, time.perf_counter() - began_s
        if author is not None:
            simulation.finish()
            author.finish(outcome_of(config, simulation, again, seconds).as_dict())
        recorded = run.manifest.get("event_log_hash") if run.finished else None
        return Replayed(
            folder, simulation.step, hash_text(simulation.event_log_hash), recorded, rows,
            simulation.messages, simulation.trades, round(seconds, 6), again,
        )  # fmt: skip


def let_in(simulation: Simulation, journal: Path, until: int | None = None) -> int:
    """Let what a journal holds enter a market that stands at its beginning; return how many rows it were.

    The market stands then where the last of them enters, at or before step `until`, if that is given; what
    entered at that step or later stays outside.
    """
    rows = waiting = 0
    for record in read(journal):
        if until is not None and record.step >= until:
            break
        if record.step > simulation.step or waiting > _MOST_WAITING:
            simulation.advance(record.step)
            waiting = 0
        if len(record.rows):
            simulation.replay(record.rows, record.texts)
            rows, waiting = rows + len(record.rows), waiting + len(record.rows)
    return rows
