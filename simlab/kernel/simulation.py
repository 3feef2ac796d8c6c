"""Run an experiment: own the state, keep the compiled loop going, and let Python in where it is needed."""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from simlab.agents.compiled import MAX_MESSAGES
from simlab.core.rows import grown
from simlab.core.types import EVENT_DTYPE, MESSAGE_DTYPE, MessageKind
from simlab.engine.compiled.book import grow
from simlab.engine.compiled.events import NEED_EVENTS, NEED_LEVELS, NEED_ORDERS
from simlab.errors import ConfigError, SimlabError, StrategyError, did_you_mean
from simlab.kernel.assemble import assemble, bind_strategies
from simlab.kernel.audit import audit
from simlab.kernel.callbacks import Callbacks, put_messages
from simlab.kernel.delivery import NEED_FLIGHT
from simlab.kernel.inbox import Entry, EntryKind, Inbox, Origin
from simlab.kernel.loop import Stop, advance
from simlab.kernel.sampling import account_columns, depth_columns, quote_columns
from simlab.kernel.spec import SimulationSpec
from simlab.kernel.summary import instrument_rows, population_rows
from simlab.processes import NewsItem, Outside, ShockKind

__all__ = ["Simulation", "Sink"]

_BLOCK_STEPS = 4096
_BLOCK_CELLS = 1 << 22
_NEWS_SHOWN = 100
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

    def __init__(self, spec: SimulationSpec, sink: Sink | None = None) -> None:
        self.spec = spec
        self.state = assemble(spec)
        self._sink = sink
        if sink is None:
            for name in ("quotes_every", "depth_every", "accounts_every"):
                self.state.clock[name] = 0
        self._outside = Outside(
            spec.outside,
            seed=spec.seed,
            initial_prices={item.name: float(item.initial_price) for item in spec.instruments},
        )
        self._outside_state = self._outside.start()
        self._inbox = Inbox()
        self._schedule_populations()
        self.news: deque[NewsItem] = deque(maxlen=_NEWS_SHOWN)
        self._functions = bind_strategies(spec, self.state)
        self._callbacks = Callbacks(spec, self.state)

    def fork(self, sink: Sink | None = None) -> Self:
        """Return a copy that goes on from here on its own: with the same draws, to the same end.

        What is buffered for the sink is handed over first.

        Raises
        ------
        StrategyError
            When the object of a strategy cannot be copied.
        """
        self.flush()
        other = type(self).__new__(type(self))
        other.__dict__.update(self.__dict__)
        other.state = self.state.copy()
        other._sink = sink
        if sink is None:
            for name in ("quotes_every", "depth_every", "accounts_every"):
                other.state.clock[name] = 0
        other._inbox = self._inbox.copy()
        other.news = self.news.copy()
        other._callbacks = self._callbacks.copy(other.state)
        return other

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

    def advance(self, until: int | None = None) -> None:
        """Run up to (not including) step `until`, the end by default."""
        until = self.spec.steps if until is None else min(until, self.spec.steps)
        while self.step < until:
            self._open_step()
            following = self._inbox.next_step
            self._run(min(until, self._outside_state.next_step, until if following is None else following))

    def deciding(self) -> str:
        """Return who decides now, or did last; may be asked from another thread."""
        agent = int(self.state.clock["agent"][0])
        return self.spec.account_name(agent) if agent < self.spec.agents else "a population"

    def _run(self, until: int) -> None:
        state = self.state
        while True:
            try:
                status = advance(state.address, until)
            except Exception as error:  # a compiled strategy's; the loop itself raises nothing
                raise StrategyError(
                    f"{self.deciding()}: the compiled strategy failed at step {self.step} "
                    f"({type(error).__name__}: {error})"
                ) from error
            if status == Stop.EACH:
                self._callbacks.act()
            elif status == Stop.REACHED:
                return
            elif status == Stop.BATCH:
                self._callbacks.act_together(int(state.clock["agent"][0]))
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

    def flush(self) -> None:
        """Hand all buffered events and samples to the sink."""
        self._flush_events()
        self._flush_quotes()

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

    def _open_step(self) -> None:
        """Let in what waits for the next step."""
        if self.step >= self._outside_state.next_step:
            self._next_block()
        for entry in self._inbox.take(self.step):
            self._let_in(entry)

    def _next_block(self) -> None:
        """Have the outside processes make their next block of steps."""
        steps = max(64, min(_BLOCK_STEPS, _BLOCK_CELLS // max(1, len(self.spec.instruments))))
        steps = min(steps, self.spec.steps - self.step)
        block, self._outside_state = self._outside.advance(self._outside_state, steps)
        self.state.fundamental = np.array(block.fundamental, np.float64).reshape(-1)
        self.state.clock["block_start"] = self.step
        for item in block.news:
            self._inbox.put_news(item)
        for shock in block.shocks:
            if shock.kind in (ShockKind.JOIN, ShockKind.LEAVE):
                self._population(shock.population, f"shock at step {shock.step}")
            self._inbox.put_shock(shock, self._population_names, self.error_account)

    @property
    def _population_names(self) -> list[str]:
        return [population.name for population in self.spec.populations]

    def _population(self, name: str, where: str) -> int:
        names = self._population_names
        if name not in names:
            raise ConfigError(f"{where}: there is no population {name!r}{did_you_mean(name, names)}")
        return names.index(name)

    def _schedule_populations(self) -> None:
        for p, population in enumerate(self.spec.populations):
            if population.joins > 0:
                self._inbox.put(EntryKind.JOIN, step=population.joins, origin=Origin.PLAN, target=p)
            if population.leaves is not None:
                self._inbox.put(EntryKind.LEAVE, step=population.leaves, origin=Origin.PLAN, target=p)

    def _let_in(self, entry: Entry) -> None:
        state = self.state
        if entry.kind is EntryKind.NEWS:
            self._publish(entry.text)
        elif entry.kind is EntryKind.HALT:
            targets = slice(None) if entry.target < 0 else slice(entry.target, entry.target + 1)
            halted = state.ledger.terms["halted_until"][targets]
            np.maximum(halted, entry.step + entry.amount, out=halted)
        elif entry.kind is EntryKind.MESSAGE:
            self._send_entry(entry)
        elif entry.kind in (EntryKind.JOIN, EntryKind.LEAVE):
            self._join_or_leave(entry.target, entry.kind is EntryKind.JOIN)

    def _send_entry(self, entry: Entry) -> None:
        message = np.zeros(1, MESSAGE_DTYPE)
        names = MESSAGE_DTYPE.names or ()
        message[0] = (*entry.message, *[0] * (len(names) - len(entry.message)))
        if message["kind"][0] <= MessageKind.MARKET:
            message["order_id"] = self.state.clock["next_order_id"]
            self.state.clock["next_order_id"] += 1
        put_messages(self.state, message)

    def _publish(self, item: NewsItem) -> None:
        self.news.append(item)
        self._callbacks.news = tuple(self.news)
        targets = slice(None) if item.instrument < 0 else slice(item.instrument, item.instrument + 1)
        self.state.views["news_step"][targets] = item.step
        self.state.views["news_sentiment"][targets] = item.sentiment
        if self._sink is not None:
            self._sink.rows("news", {name: [getattr(item, name)] for name in _NEWS_FIELDS})

    def _join_or_leave(self, p: int, joins: bool) -> None:
        row = self.state.populations[p]
        row["present"] = joins
        if joins:
            return
        cancels = np.zeros(int(row["count"]), MESSAGE_DTYPE)
        cancels["kind"], cancels["instrument"] = MessageKind.CANCEL_ALL, -1
        cancels["account"] = np.arange(int(row["first"]), int(row["first"]) + len(cancels))
        put_messages(self.state, cancels)

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
            "populations": population_rows(self.spec, self.state),
            "instruments": instrument_rows(self.spec, self.state),
        }
