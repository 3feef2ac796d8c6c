"""Run an experiment: own the state, keep the compiled loop going, and let Python in where it is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from simlab.agents.compiled import MAX_MESSAGES
from simlab.core.rows import grown
from simlab.core.types import EVENT_DTYPE
from simlab.engine.compiled.book import grow
from simlab.engine.compiled.events import DONE, NEED_EVENTS, NEED_LEVELS, NEED_ORDERS
from simlab.errors import SimlabError, StrategyError
from simlab.kernel.assemble import assemble, bind_strategies, require_state_of
from simlab.kernel.audit import audit
from simlab.kernel.boundary import Batch, deliver_now
from simlab.kernel.callbacks import Callbacks
from simlab.kernel.delivery import NEED_FLIGHT
from simlab.kernel.door import Door, Journal
from simlab.kernel.inbox import Entry, Text
from simlab.kernel.loop import Stop, advance
from simlab.kernel.rebase import rebase
from simlab.kernel.sampling import (
    account_columns,
    assignment_columns,
    depth_columns,
    instrument_columns,
    quote_columns,
    seat_columns,
)
from simlab.kernel.snapshots import AccountSnapshot, BookSnapshot, account_of, book_of
from simlab.kernel.spec import SimulationSpec
from simlab.kernel.state import Phase, State
from simlab.kernel.summary import instrument_rows, population_rows
from simlab.market.instruments import Instrument
from simlab.processes import NewsItem

__all__ = ["Simulation", "Sink"]

_NEVER = 2**62
_NEWS_FIELDS = ("step", "instrument", "headline", "content", "sentiment", "impact", "source")


class Sink(Protocol):
    """Whoever is told what happened: a recorder, or any observer."""

    def events(self, events: NDArray[Any]) -> None:
        """Take ``(n,) EVENT_DTYPE`` events; the memory is used again after the call."""

    def rows(self, table: str, columns: dict[str, Any]) -> None:
        """Take rows of a sampled table as columns."""


class Simulation:
    """One running market.

    Parameters
    ----------
    spec : SimulationSpec
        What to run.
    sink : Sink, optional
        Who is told of events and samples. It has no influence on the run.

    Attributes
    ----------
    state : State
        All of the market's tables.
    """

    _digest: tuple[SimulationSpec | None, int] = (None, 0)

    def __init__(self, spec: SimulationSpec, sink: Sink | None = None) -> None:
        self.spec = spec
        self.state = assemble(spec)
        self._sink = sink
        self._paused, self._batch = False, Batch()
        self._set_samples()
        self.pulse: Callable[[], None] | None = None
        """Called whenever the compiled loop lets Python in, also in the midst of a step."""
        self._door = self._new_door()
        self._functions = bind_strategies(spec, self.state)
        self._callbacks = Callbacks(spec, self.state)
        self._tell_decisions()

    def close(self) -> None:
        """Close what strategies keep open (clients, files); a market that goes on opens it again."""
        self._callbacks.close()

    def _new_door(self) -> Door:
        return Door(
            self.spec,
            self.state,
            batch=self._batch,
            deliver=self._deliver,
            published=self._published,
            listed=self._listed,
            assigned=self._assigned,
            seated=self._seated,
        )

    def _tell_decisions(self) -> None:
        if self._sink is not None:
            self._callbacks.decisions.sink = partial(self._sink.rows, "decisions")

    @property
    def resources(self) -> Sequence[Any]:
        """What strategies keep open now; those with a method `status` can tell a person how they are."""
        return self._callbacks.resources

    def capture(self) -> State:
        """Return a copy of the whole state, with all that strategies remember; see `restore`.

        What is buffered for the sink is handed over first.

        Raises
        ------
        StrategyError
            When the object of a strategy cannot be pickled.
        """
        self._require_boundary()
        self.flush()
        state = self.state.copy()
        self._write_down(state)
        return state

    def kept(self) -> dict[str, NDArray[Any]]:
        """Return copies of what decides how the market goes on, by name; see `State.kept` and `capture`."""
        self._require_boundary()
        self.flush()
        self._write_down(self.state)
        return {name: array.copy() for name, array in self.state.kept().items()}

    def _write_down(self, state: State) -> None:
        """Put into a state what is kept beside it while the market runs."""
        self._door.write_to(state)
        state.memory_of_strategies = np.frombuffer(self._callbacks.remember(), np.uint8).copy()
        if self._digest[0] is not self.spec:  # of a million parameters it takes a while
            self._digest = self.spec, self.spec.digest()
        state.clock["specification"] = self._digest[1]

    @classmethod
    def restore(cls, spec: SimulationSpec, state: State, sink: Sink | None = None) -> Self:
        """Return a market that goes on from a captured state, to the end that the original comes to.

        Parameters
        ----------
        spec : SimulationSpec
            That of the original; its length, recording and capacities may differ.
        state : State
            What `capture` returned; it is copied.
        sink : Sink, optional

        Raises
        ------
        SimlabError
            When the state is not one of this specification.
        """
        require_state_of(spec, state)
        return cls._go_on(spec, state.copy(), sink, None)

    def fork(self, sink: Sink | None = None, *, spec: SimulationSpec | None = None) -> Self:
        """Return a copy that goes on from here on its own: with the same draws, to the same end.

        With another specification it goes on as that says; see `simlab.kernel.rebase`. What is buffered for
        the sink is handed over first.

        Raises
        ------
        StrategyError
            When the object of a strategy cannot be copied.
        ConfigError
            When the specification differs in what cannot change in a running market.

        Example
        -------
        >>> from dataclasses import replace
        >>> from simlab.config import build, load
        >>> spec = build(load({"steps": 10, "instruments": {"ACME": {"initial_price": 100}}}))
        >>> market = Simulation(spec)
        >>> _ = market.advance(5)
        >>> longer = market.fork(spec=replace(spec, steps=20))
        >>> longer.advance(), longer.step, market.step
        (True, 20, 5)
        """
        if spec is not None:
            return self._go_on(spec, rebase(self.spec, self.capture(), spec), sink, None)
        self._require_boundary()
        self.flush()
        state = self.state.copy()
        self._door.write_to(state)
        return self._go_on(self.spec, state, sink, self._callbacks)

    @classmethod
    def _go_on(cls, spec: SimulationSpec, state: State, sink: Sink | None, like: Callbacks | None) -> Self:
        """Return a market that goes on from a state, with strategies like others or as pickled there."""
        market = cls.__new__(cls)
        market.spec, market.state, market._sink, market.pulse = spec, state, sink, None
        market._paused, market._batch = False, Batch()
        market._set_samples()
        market._door = market._new_door()
        market._door.read_from(state)
        market._functions = bind_strategies(spec, state)
        memory = state.memory_of_strategies.tobytes()
        market._callbacks = Callbacks(spec, state, memory) if like is None else like.copy(state)
        market._callbacks.news = tuple(market.news)
        market._tell_decisions()
        return market

    def _set_samples(self) -> None:
        """Sample what the recording plan says, or nothing without a sink."""
        for name in ("quotes_every", "depth_every", "accounts_every"):
            self.state.clock[name] = getattr(self.spec.recording, name) if self._sink is not None else 0

    @property
    def step(self) -> int:
        """The next step to run; the run is over when it equals ``spec.steps``."""
        return int(self.state.clock["step"][0])

    @property
    def messages(self) -> int:
        """Messages that reached the market so far."""
        return int(self.state.clock["messages"][0])

    @property
    def activations(self) -> int:
        """Decisions taken so far."""
        return int(self.state.clock["activations"][0])

    @property
    def trades(self) -> int:
        """Fills so far."""
        return int(self.state.ledger.terms["trades"].sum())

    @property
    def volume(self) -> int:
        """Lots traded so far, all instruments."""
        return int(self.state.ledger.terms["volume"].sum())

    @property
    def resting_orders(self) -> int:
        """Orders that rest in all books."""
        return int(self.state.book.counters["orders"][0])

    @property
    def event_log_hash(self) -> int:
        """The running hash of all events so far."""
        return int(self.state.clock["hash"][0])

    def mid(self, instrument: int = 0) -> float:
        """Return the last known mid price of an instrument, price units."""
        return float(self.state.views["mid"][instrument])

    def advance(self, until: int | None = None, *, decisions: int | None = None) -> bool:
        """Run up to (not including) step `until`; see `simlab.kernel.interface.Market`."""
        until = self.spec.steps if until is None else min(until, self.spec.steps)
        if decisions is not None and decisions < 1:
            raise SimlabError(f"a slice of {decisions} decisions is none at all; ask for 1 or more")
        if not self._paused:
            self._require_boundary()
        self.state.clock["pause_at"] = _NEVER if decisions is None else self.activations + decisions
        while self._paused or self.step < until:
            if not self._paused:
                self._door.open()
            self._paused = False
            if not self._run(self._door.next_stop(until)):
                self._paused = True
                return False
        self._door.close()
        return True

    def _require_boundary(self) -> None:
        if self._paused:
            raise SimlabError(f"step {self.step} is under way, in slices; let the market advance to its end")
        if int(self.state.clock["phase"][0]) != Phase.BEGIN:
            raise SimlabError(
                f"step {self.step} is under way: a strategy that decides, or one that failed; a market takes"
                " calls, and can be copied, between two steps only"
            )

    def deciding(self) -> str:
        """Return who decides now, or did last; may be asked from another thread."""
        agent = int(self.state.clock["agent"][0])
        return self.spec.account_name(agent) if agent < self.spec.agents else "a population"

    def _run(self, until: int) -> bool:
        """Run to step `until`; False when paused before."""
        state = self.state
        while True:
            if self.pulse is not None:
                self.pulse()
            try:
                status = advance(state.address, until)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # a compiled strategy's; the loop itself raises nothing
                raise self.failure(error) from error
            if status == Stop.REACHED:
                return True
            if status == Stop.PAUSED:
                return False
            self.attend(status)

    def attend(self, status: int) -> None:
        """Do what the compiled loop stopped for: for whoever steps the state by its address."""
        if status == Stop.EACH:
            self._callbacks.act()
        elif status == Stop.BATCH:
            self._callbacks.act_together(int(self.state.clock["agent"][0]))
        elif status == Stop.SAMPLE:
            self._sample(self.step - 1)
        elif status == Stop.QUOTES_FULL:
            self._flush_quotes()
        elif status == Stop.TOO_MANY_MESSAGES:
            raise StrategyError(
                f"{self.deciding()} sent too many messages in one decision at step {self.step}; "
                f"the most is {MAX_MESSAGES}"
            )
        else:
            self._make_room(status)

    def free_until(self, until: int) -> int:
        """Return up to which step the state may be run by its address, without a call in between.

        There the outside brings something: `advance` to that step lets it in.
        """
        return self._door.next_stop(min(until, self.spec.steps))

    def note(self, rows: NDArray[Any]) -> None:
        """Number and tell the journal of messages, ``(n,) ENTRY``, that were delivered by the address.

        They must be from seats that are taken, and new orders have ids of the market's own: what `submit`
        sees to. The journal keeps the rows.
        """
        self._door.note(rows)

    def failure(self, error: BaseException) -> StrategyError:
        """Return the error of the compiled strategy that raised it: who decided, when, and where."""
        return self._callbacks.compiled_failure(error)

    def _make_room(self, need: int) -> None:
        """Grow what the next message needs, or empty the event buffer."""
        state = self.state
        if need == NEED_FLIGHT:
            state.flight = grown(state.flight, 2 * len(state.flight))
        elif need == NEED_EVENTS and state.book.counters["events"][0] > 0:
            self._flush_events()
        elif need in (NEED_EVENTS, NEED_ORDERS, NEED_LEVELS):
            grow(state.book, need)
        else:
            raise SimlabError(f"the kernel stopped for an unknown reason ({need})")

    def flush(self, *, quotes: bool = True) -> None:
        """Hand all that is buffered to the sink; without `quotes`, which nobody waits for, all but those."""
        self._flush_events()
        if quotes:
            self._flush_quotes()
        self._callbacks.decisions.flush()

    def finish(self) -> None:
        """Flush, and sample the accounts as they are at the end."""
        self.flush()
        every = self.state.clock["accounts_every"][0]
        if self._sink is not None and every > 0 and self.step % every != 0:
            self._sink.rows("accounts", account_columns(self.state, self.step - 1))

    def _flush_events(self) -> None:
        counters = self.state.book.counters
        count = int(counters["events"][0])
        if count and self._sink is not None:
            self._sink.events(self.state.book.events[:count].view(EVENT_DTYPE))
        counters["events"] = 0

    def _flush_quotes(self) -> None:
        count = int(self.state.clock["quotes"][0])
        if count and self._sink is not None:
            self._sink.rows("quotes", quote_columns(self.state.quotes[:count]))
        self.state.clock["quotes"] = 0

    def _sample(self, step: int) -> None:
        """Sample depth and accounts at the end of a step."""
        clock = self.state.clock[0]
        if self._sink is None:
            return
        if clock["depth_every"] and step % clock["depth_every"] == 0:
            self._sink.rows("depth", depth_columns(self.state, step, self.spec.recording.depth_levels))
        if clock["accounts_every"] and (step + 1) % clock["accounts_every"] == 0:
            self._sink.rows("accounts", account_columns(self.state, step))

    @property
    def news(self) -> Sequence[NewsItem]:
        """The latest 100 news that can be seen, oldest first."""
        return tuple(self._door.news)

    @property
    def journal(self) -> Journal | None:
        """Told once a call of what enters from outside, before it does, so that `replay` can let it in again.

        It takes ``(n,) ENTRY``, which is its own to keep, and the news and instruments that they count.
        """
        return self._door.journal

    @journal.setter
    def journal(self, journal: Journal | None) -> None:
        self._door.journal = journal

    def replay(self, rows: NDArray[Any], texts: Sequence[Text] = ()) -> None:
        """Let what a journal was told enter again, each entry at the boundary of its step.

        It may be called piece by piece while the market advances, in the order in which the journal was told.

        Raises
        ------
        SimlabError
            When the step of an entry is over, or too many wait; `advance`, when it is not one of this market.
        """
        self._door.replay(rows, texts)

    def submit(self, messages: NDArray[Any]) -> NDArray[Any]:
        """Deliver messages between two steps; see `simlab.kernel.interface.Market`."""
        self._require_boundary()
        return self._door.submit(messages)

    def publish(
        self,
        headline: str,
        *,
        instrument: int = -1,
        content: str = "",
        sentiment: float = 0.0,
        impact: float = 0.0,
        source: str = "",
    ) -> NewsItem:
        """Publish news; see `simlab.kernel.interface.Market`."""
        self._require_boundary()
        return self._door.publish(
            headline, instrument, content=content, sentiment=sentiment, impact=impact, source=source
        )

    def halt(self, steps: int, *, instrument: int = -1) -> None:
        """Halt trading; see `simlab.kernel.interface.Market`."""
        self._require_boundary()
        self._door.halt(steps, instrument)

    def list_instrument(self, instrument: Instrument) -> int:
        """Add an instrument; see `simlab.kernel.interface.Market`."""
        self._require_boundary()
        return self._door.list_instrument(instrument)

    def delist(self, instrument: int) -> None:
        """Take an instrument off the market; see `simlab.kernel.interface.Market`."""
        self._require_boundary()
        self._door.delist(instrument)

    def take_seat(self, population: str | None = None, *, cash: int | None = None) -> int:
        """Take a free account; see `simlab.kernel.interface.Market`."""
        self._require_boundary()
        return self._door.take_seat(population, cash)

    def give_back(self, account: int) -> None:
        """Give a seat back; see `simlab.kernel.interface.Market`."""
        self._require_boundary()
        self._door.give_back(account)

    def snapshot(self, instrument: int = 0, *, depth: int = 10) -> BookSnapshot:
        """Return an instrument's book as it is now."""
        if not 0 <= instrument < len(self.spec.instruments):
            raise SimlabError(
                f"instrument {instrument} is unknown; they are 0 to {len(self.spec.instruments) - 1}"
            )
        return book_of(self.state, instrument, depth)

    def account(self, account: int) -> AccountSnapshot:
        """Return an account as it is now."""
        total = len(self.state.ledger.accounts)
        if not 0 <= account < total:
            raise SimlabError(f"account {account} is unknown; they are 0 to {total - 1}")
        return account_of(self.state, account)

    def _deliver(self, messages: NDArray[Any]) -> NDArray[Any]:
        """Deliver messages at once; return their events."""
        state, batch, parts = self.state, self._batch, []
        count = batch.put(messages)
        counters = state.book.counters
        first, done, need = int(counters["events"][0]), 0, NEED_EVENTS
        while need != DONE:
            done, need = deliver_now(state.address, batch.address, done, count)
            if need == NEED_EVENTS or need == DONE:
                made = state.book.events[first : int(counters["events"][0])].tobytes()
                parts.append(np.frombuffer(bytearray(made), EVENT_DTYPE))
                first = 0
            if need != DONE:
                self._make_room(need)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _listed(self, spec: SimulationSpec) -> None:
        self.spec = spec
        if self._sink is not None:
            number = len(spec.instruments) - 1
            self._sink.rows("instruments", instrument_columns(spec.instruments[-1:], first=number))

    def _assigned(self, step: int, rows: NDArray[Any]) -> None:
        if self._sink is not None:
            self._sink.rows("customer_orders", assignment_columns(step, rows))

    def _seated(self, entry: Entry) -> None:
        if self._sink is not None:
            self._sink.rows("seats", seat_columns(self.state, entry))

    def _published(self, item: NewsItem) -> None:
        self._callbacks.news = self.news
        if self._sink is not None:
            self._sink.rows("news", {name: [getattr(item, name)] for name in _NEWS_FIELDS})

    @property
    def fee_account(self) -> int:
        """Number of the account that receives the fees."""
        return int(self.state.ledger.exchange["fees"][0])

    @property
    def error_account(self) -> int:
        """Number of the account from which shocks trade."""
        return int(self.state.ledger.exchange["errors"][0])

    def agent_name(self, agent: int) -> str:
        """Return an agent's name: its population and its number therein."""
        return self.spec.account_name(agent)

    def audit(self) -> None:
        """Raise SimlabError unless cash, inventory, reserves and every account's identity add up exactly."""
        audit(self.spec, self.state)

    def summary(self) -> dict[str, list[dict[str, Any]]]:
        """Return a row for each population and each instrument: see `simlab.kernel.summary`."""
        return {
            "populations": population_rows(self.spec, self.state, self._callbacks.tallies),
            "instruments": instrument_rows(self.spec, self.state),
        }
