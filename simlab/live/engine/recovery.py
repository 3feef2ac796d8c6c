"""Go on with a market that was killed or stopped: its latest checkpoint, then the journal after it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from simlab.config.live import TRADERS
from simlab.core.types import MessageKind
from simlab.kernel.inbox import EntryKind, messages_in
from simlab.kernel.simulation import Simulation
from simlab.kernel.spec import SimulationSpec
from simlab.kernel.state import Seat
from simlab.live.engine.decisions import DecisionShelf, Said
from simlab.live.engine.floor import Floor, Intent
from simlab.live.engine.inside import Inside
from simlab.live.engine.log import parts_of
from simlab.live.engine.news import NewsShelf
from simlab.live.engine.orders import Order, Orders
from simlab.live.engine.reading import Listing
from simlab.live.engine.registry import Agent, Registry
from simlab.live.engine.store import Kept
from simlab.live.engine.tape import Tape
from simlab.live.settings import checkpoints_folder
from simlab.runner.author import Author, Position
from simlab.runner.checkpoint import Checkpoints
from simlab.runner.journal import Record, journal_folder, read

__all__ = ["Recovered", "begin", "recover"]


class Recovered(NamedTuple):
    """A market with all that was remembered of it."""

    floor: Floor
    registry: Registry
    listings: list[Listing]
    author: Author
    paused: bool = False
    steps_per_second: Any = None
    next_sequence: int = 0


def begin(spec: SimulationSpec, author: Author, listings: list[Listing]) -> Recovered:
    """Return a market at its beginning."""
    floor = Floor(Orders(), Tape(), NewsShelf(), author)
    floor.now_s = time.time()
    floor.open(Simulation(spec, sink=floor))
    author.begin(floor.simulation)
    return Recovered(floor, Registry(inside=Inside(spec)), listings, author)


def recover(spec: SimulationSpec, run_dir: Path, listings: list[Listing]) -> Recovered:
    """Return a market as it was when it was last heard of.

    Parameters
    ----------
    spec : SimulationSpec
        That of the run.
    run_dir : Path
        Its folder.
    listings : list of Listing
        What is listed at the beginning, for a run that was killed before its first checkpoint.

    Raises
    ------
    JournalDamaged, RecordingError, SimlabError
    """
    checkpoint = Checkpoints(checkpoints_folder(run_dir)).latest()
    if checkpoint is None:
        market = begin(spec, Author.reopen(run_dir, Position()), listings)
        sequence = -1
    else:
        kept = Kept.in_(checkpoint)
        author = Author.reopen(run_dir, checkpoint.position)
        floor = Floor(kept.orders_again(), kept.tape_again(), NewsShelf(kept.news, kept.news_made), author)
        floor.entered, floor.decisions = kept.entered, DecisionShelf(kept.decisions)
        floor.open(checkpoint.restore(spec, floor))
        author.begin(floor.simulation)
        registry = Registry(kept.agents, kept.guests, kept.made, inside=Inside(spec))
        market = Recovered(
            floor, registry, kept.listings, author, kept.paused, kept.steps_per_second, kept.sequence + 1
        )
        sequence = kept.sequence
    again = _Again(market)
    for record in read(journal_folder(run_dir), after=sequence):
        again.take(record)
        sequence = record.sequence
    floor = market.floor
    floor.flush()
    market.registry.orphan(_guests(floor.simulation, market.registry), floor.orders.accounts_open())
    floor.news.fresh()
    floor.touched.clear()
    return market._replace(
        paused=again.paused, steps_per_second=again.steps_per_second, next_sequence=sequence + 1
    )


def _guests(simulation: Simulation, registry: Registry) -> Iterator[int]:
    """Yield the seats that are taken and no agent's: those of guests."""
    first = 0
    for population in simulation.spec.populations:
        if population.name == TRADERS:
            seats = simulation.state.seats[first : first + population.count]
            for account in (first + np.flatnonzero(seats == Seat.TAKEN)).tolist():
                if account not in registry.by_account:
                    yield account
        first += population.count


class _Again:
    """Let the journal's frames happen again."""

    def __init__(self, market: Recovered) -> None:
        self._floor, self._registry, self._listings = market.floor, market.registry, market.listings
        self.paused, self.steps_per_second = market.paused, market.steps_per_second
        self._ids: list[int | str | None] = []

    def take(self, record: Record) -> None:
        """Let one frame happen: the steps before it, what the service knew, then what entered."""
        floor = self._floor
        floor.now_s, parts = parts_of(record)
        if record.step > floor.simulation.step:
            floor.simulation.advance(record.step)
            floor.flush()
        for kind, content in parts:
            self._know(kind, content)
        if not len(record.rows):
            return
        if record.rows["kind"][0] == EntryKind.MESSAGE:
            self._deliver(messages_in(record.rows))
        else:
            floor.simulation.replay(record.rows, record.texts)
            floor.simulation.advance(floor.simulation.step)
            floor.flush()

    def _know(self, kind: str, content: Any) -> None:
        if kind == "ids":
            self._ids = content
        elif kind == "agent":
            self._registry.add(msgspec.convert(content, Agent))
            self._registry.made += 1
        elif kind == "claim":
            agent = self._registry.agents[content[0]]
            agent.token_hash, agent.cancel_on_disconnect, agent.shown_hash = content[1:]
        elif kind == "guest":
            self._floor.orders.forget(content)
            self._registry.guests[content] = None
        elif kind == "pace":
            self.paused, self.steps_per_second = content
        elif kind == "news":
            self._floor.news.expect(*content)
        elif kind == "decision":
            self._floor.decisions.take(msgspec.convert(content, Said), self._floor.rows)
        elif kind == "listings":
            self._listings[:] = msgspec.convert(content, list[Listing])
        elif kind == "listing":
            self._listings.append(msgspec.convert(content, Listing))

    def _deliver(self, messages: NDArray[Any]) -> None:
        if messages["kind"][0] == MessageKind.CANCEL_ALL:
            self._floor.deliver(messages, ())
            return
        self._floor.deliver(messages, self._intents(messages))

    def _intents(self, messages: NDArray[Any]) -> Sequence[Intent]:
        """Return what messages were meant to do, with the orders that they are or name."""
        names = ("kind", "side", "time_in_force", "post_only", "instrument", "order_id", "account",
                 "price", "quantity")  # fmt: skip
        ids, intents = iter(self._ids), []
        open_ = self._floor.orders.open
        for kind, side, time_in_force, post_only, instrument, order_id, account, price, quantity in zip(
            *(messages[name].tolist() for name in names), strict=True
        ):
            order = open_.get(order_id) if kind > MessageKind.MARKET else None
            if order is None:
                client_id = next(ids) if kind <= MessageKind.MARKET else None
                order = Order(
                    client_id, account, instrument, side, kind, time_in_force, post_only, price, quantity
                )
            intents.append(Intent(kind, order, price, quantity))
        return intents
