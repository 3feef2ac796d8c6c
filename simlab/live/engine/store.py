"""Keep a live market on disk: its recording, its journal and its checkpoints, in one run folder."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct, msgpack

from simlab.config.live import LiveJournalConfig
from simlab.core.hashing import hash_text
from simlab.kernel.simulation import Simulation
from simlab.live.engine.decisions import Said
from simlab.live.engine.floor import Floor
from simlab.live.engine.log import Log
from simlab.live.engine.orders import Order, Orders
from simlab.live.engine.pacing import Pace
from simlab.live.engine.reading import Listing
from simlab.live.engine.registry import Agent, Registry
from simlab.live.engine.tape import CANDLE, PRINT, Tape
from simlab.live.settings import checkpoints_folder
from simlab.runner.author import Author
from simlab.runner.checkpoint import Checkpoint, Checkpoints, Taken, take
from simlab.runner.journal import Journal, journal_folder

__all__ = ["CHECKPOINT_ROWS", "Kept", "Store"]

CHECKPOINT_ROWS = 125_000
"""Rows of the journal after which a checkpoint is due, whatever the time: what a restart reads again."""


class Kept(Struct, array_like=True):
    """What a checkpoint holds beside the market; `sequence` is the last frame of the journal in it."""

    sequence: int
    orders: list[Order]
    agents: list[Agent]
    guests: list[int]
    made: int
    listings: list[Listing]
    news: list[dict[str, Any]]
    news_made: int
    paused: bool
    steps_per_second: Any
    entered: int
    trades: int
    volume: int
    tape: dict[str, bytes]
    decisions: list[Said] = []

    @classmethod
    def of(cls, sequence: int, floor: Floor, registry: Registry, listings: list[Listing], pace: Pace) -> Kept:
        """Return what is to be kept now."""
        return cls(
            sequence, list(floor.orders), list(registry.agents.values()), list(registry.guests),
            registry.made, listings, list(floor.news.items), floor.news.made, pace.paused,
            pace.steps_per_second, floor.entered, floor.tape.trades, floor.tape.volume,
            {name: rows.tobytes() for name, rows in floor.tape.to_arrays().items()},
            floor.decisions.all(),
        )  # fmt: skip

    @classmethod
    def in_(cls, checkpoint: Checkpoint) -> Kept:
        """Return what a checkpoint holds."""
        return msgpack.decode(checkpoint.extra, type=cls)

    def tape_again(self) -> Tape:
        """Return the tape."""
        tape = Tape(self.trades, self.volume)
        rows = {
            name: np.frombuffer(data, CANDLE if name.startswith("candles") else PRINT)
            for name, data in self.tape.items()
        }
        tape.read_arrays(rows)
        return tape

    def orders_again(self) -> Orders:
        """Return the orders."""
        return Orders(self.orders)


class Store:
    """What is on disk of one market that runs.

    Parameters
    ----------
    author : Author
    simulation : Simulation
    settings : LiveJournalConfig
    start : int
        The number of the journal's next frame, where a checkpoint knows it.
    """

    def __init__(
        self, author: Author, simulation: Simulation, settings: LiveJournalConfig, *, start: int = 0
    ) -> None:
        self._author, self._simulation, self._settings = author, simulation, settings
        always = settings.sync == "always"
        self._journal = Journal(
            journal_folder(author.folder),
            sync="off" if always else settings.sync,  # one sync a batch, and not one a frame
            interval_ms=settings.interval_ms,
            start=start,
        )
        self.log = Log(self._journal, always=always)
        simulation.journal = self.log.entered
        self._checkpoints = Checkpoints(checkpoints_folder(author.folder))
        self._saved_s = time.monotonic()
        self._saved_rows = 0
        self._covered: int | None = None
        """The last frame of the journal in the latest checkpoint, until it is written."""
        self._syncing: asyncio.Future[None] | None = None
        self._stopped = False
        self.ended = False

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return self._author.folder

    def keep_up(self, kept: Callable[[int], Kept]) -> None:
        """Do what is due, between two steps: the recording, a checkpoint; `kept` says what goes with it."""
        if self.ended:
            return
        self._author.keep_up()
        if self._checkpoints.busy:
            return
        if self._covered is not None:
            self._journal.rotate(self._covered)
            self._covered = None
        rows = self.log.rows - self._saved_rows
        if rows >= CHECKPOINT_ROWS or time.monotonic() - self._saved_s >= self._settings.checkpoint_s:
            self._covered = self._journal.next_sequence - 1
            taken = self._take(kept)
            self._author.keep()
            self._checkpoints.begin(taken, self._author.settle)
            self._saved_s, self._saved_rows = time.monotonic(), self.log.rows

    def _take(self, kept: Callable[[int], Kept]) -> Taken:
        """Return a copy of all that a restart needs, as it is now."""
        extra = msgpack.encode(kept(self._journal.next_sequence - 1))
        return take(self._simulation, position=self._author.position(), extra=extra)

    def sync_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have the journal put on disk when it is due, without waiting for it."""
        due_s = self._journal.due
        if due_s is not None and self._syncing is None and not (self.ended or self._stopped):
            self._syncing = loop.create_future()
            loop.call_later(max(0.0, due_s - time.monotonic()), self._sync, loop)

    def stop_syncing(self) -> None:
        """Leave the disk alone until `end`, for the loop is about to close."""
        self._stopped = True

    def _sync(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.ended or self._stopped:
            return
        running = loop.run_in_executor(None, self._journal.sync)
        self._syncing = running

        def done(future: asyncio.Future[None]) -> None:
            self._syncing = None
            if not future.cancelled():
                future.exception()  # the next append says what is wrong
            self.sync_soon(loop)

        running.add_done_callback(done)

    def end(self, kept: Callable[[int], Kept]) -> None:
        """Bring everything to an end: a last checkpoint, and the recording as one that is finished."""
        if self.ended:
            return
        self.ended = True
        simulation, author = self._simulation, self._author
        self._checkpoints.begin(self._take(kept), author.settle)
        self._checkpoints.wait()
        self._journal.close()
        simulation.journal = None
        simulation.finish()
        simulation.audit()
        author.finish(
            {
                "event_log_hash": hash_text(simulation.event_log_hash),
                "messages": simulation.messages,
                "trades": simulation.trades,
                **simulation.summary(),
            }
        )
