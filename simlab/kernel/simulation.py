"""Run an experiment: own the state, keep the compiled loop going, and let Python in where it is needed."""

from __future__ import annotations

from collections import deque
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from simlab.agents.compiled import MAX_MESSAGES
from simlab.core.types import EVENT_DTYPE, MessageKind, Side
from simlab.engine.compiled.arrays import S_EVENTS, S_ORDERS
from simlab.engine.compiled.book import grown
from simlab.engine.compiled.matching import NEED_EVENTS, NEED_LEVELS, NEED_ORDERS
from simlab.errors import ConfigError, SimlabError, StrategyError
from simlab.kernel import state as s
from simlab.kernel.assemble import assemble
from simlab.kernel.audit import audit
from simlab.kernel.delivery import NEED_FLIGHT
from simlab.kernel.loop import (
    PYTHON_AGENT,
    PYTHON_BATCH,
    QUOTES_FULL,
    SAMPLE,
    STOPPED,
    TOO_MANY_MESSAGES,
    advance,
)
from simlab.kernel.pinned import pin_book, pin_ledger, pin_world
from simlab.kernel.python_agents import PythonAgents
from simlab.kernel.sampling import account_columns, depth_columns, quote_columns
from simlab.kernel.spec import SimulationSpec
from simlab.kernel.summary import instrument_rows, population_rows
from simlab.market.ledger import I_HALTED_UNTIL, I_TRADES, I_VOLUME
from simlab.processes import NewsItem, Shock, ShockKind

__all__ = ["Simulation", "Sink"]

_BLOCK_STEPS = 4096
_BLOCK_CELLS = 1 << 22
_NEWS_SHOWN = 100


class Sink(Protocol):
    """Whoever is told what happened: a recorder, or any observer."""

    def events(self, events: NDArray[Any]) -> None:
        """Take ``(n,) EVENT_DTYPE`` events; the memory is used again after the call."""

    def rows(self, table: str, columns: dict[str, Any]) -> None:
        """Take rows of a sampled table as columns."""


class Simulation:
    """One running market.

    All state is in arrays (`book`, `ledger`, `world`) and in the outside world and Python strategies.

    Parameters
    ----------
    spec : SimulationSpec
        What to run.
    sink : Sink, optional
        Who is told of events and samples. It has no influence on the run.
    """

    def __init__(self, spec: SimulationSpec, sink: Sink | None = None) -> None:
        self.spec = spec
        parts = assemble(spec)
        self.instruments = parts.instruments
        self.populations = parts.populations
        self.book, self.ledger, self.world = parts.book, parts.ledger, parts.world
        self.views, self._me, self._functions = parts.views, parts.me, parts.functions
        self._sink = sink
        if sink is None:
            self.world.clock[[s.T_QUOTES_EVERY, s.T_DEPTH_EVERY, s.T_ACCOUNTS_EVERY]] = 0
        self.news: deque[NewsItem] = deque(maxlen=_NEWS_SHOWN)
        self._happenings: dict[int, list[NewsItem | Shock]] = {}
        self._block_end = 0
        self._schedule_populations()
        self._python = PythonAgents(self)
        self._bind()

    def _bind(self) -> None:
        """Collect the flat arguments of the compiled loop; to be called after any array was replaced."""
        words = self.book.events.view(np.uint64)
        bits = self.world.fundamental.view(np.int64)
        self.pinned_world = pin_world(self.world)
        pinned = (pin_book(self.book), pin_ledger(self.ledger), self.pinned_world)
        self._arguments = (*pinned, words, self.views, self._me, bits)

    @property
    def step(self) -> int:
        """The next step to run; the run is over when it equals ``spec.steps``."""
        return int(self.world.clock[s.T_STEP])

    @property
    def messages(self) -> int:
        """Messages that reached the market so far."""
        return int(self.world.clock[s.T_MESSAGES])

    @property
    def activations(self) -> int:
        """Decisions taken so far."""
        return int(self.world.clock[s.T_ACTIVATIONS])

    @property
    def trades(self) -> int:
        """Fills so far."""
        return int(self.ledger.instruments[:, I_TRADES].sum())

    @property
    def volume(self) -> int:
        """Lots traded so far, all instruments."""
        return int(self.ledger.instruments[:, I_VOLUME].sum())

    @property
    def resting_orders(self) -> int:
        """Orders that rest in all books."""
        return int(self.book.state[S_ORDERS])

    @property
    def event_log_hash(self) -> int:
        """The running hash of all events so far."""
        return int(self.world.clock[s.T_HASH].view(np.uint64))

    def mid(self, instrument: int = 0) -> float:
        """Return the last known mid price of an instrument, price units."""
        return float(self.views["mid"][instrument])

    def advance(self, until: int | None = None) -> None:
        """Run up to (not including) step `until`, the end by default."""
        until = self.spec.steps if until is None else min(until, self.spec.steps)
        while self.step < until:
            if self.step >= self._block_end:
                self._next_block()
            for happening in self._happenings.pop(self.step, ()):
                self._happen(happening)
            following = min((step for step in self._happenings if step > self.step), default=until)
            self._run(min(until, self._block_end, following))

    def _run(self, until: int) -> None:
        while True:
            status = advance(*self._arguments, until)
            if status == PYTHON_AGENT:
                self._python.act()
            elif status == STOPPED:
                return
            elif status == PYTHON_BATCH:
                self._python.act_together(int(self.world.clock[s.T_AGENT]))
            elif status == SAMPLE:
                self._sample(self.step - 1)
            elif status == QUOTES_FULL:
                self._flush_quotes()
            elif status == TOO_MANY_MESSAGES:
                raise StrategyError(
                    f"{self.agent_name(int(self.world.clock[s.T_AGENT]))} sent too many messages "
                    f"in one decision at step {self.step}; the most is {MAX_MESSAGES}"
                )
            else:
                self._make_room(status)

    def _make_room(self, need: int) -> None:
        """Grow what the next message needs, or empty the event buffer."""
        if need == NEED_FLIGHT:
            flight = np.zeros((2 * len(self.world.flight), 8), np.int64)
            flight[: len(self.world.flight)] = self.world.flight
            self.world = self.world._replace(flight=flight)
        elif need == NEED_EVENTS and self.book.state[S_EVENTS] > 0:
            self._flush_events()
            return
        elif need in (NEED_EVENTS, NEED_ORDERS, NEED_LEVELS):
            self.book = grown(self.book, need)
        else:
            raise SimlabError(f"the kernel stopped for an unknown reason ({need})")
        self._bind()

    def flush(self) -> None:
        """Hand all buffered events and samples to the sink."""
        self._flush_events()
        self._flush_quotes()

    def finish(self) -> None:
        """Flush, and sample the accounts as they are at the end."""
        self.flush()
        every = self.world.clock[s.T_ACCOUNTS_EVERY]
        if self._sink is not None and every > 0 and self.step % every != 0:
            self._sink.rows("accounts", account_columns(self, self.step - 1))

    def _flush_events(self) -> None:
        count = int(self.book.state[S_EVENTS])
        if count and self._sink is not None:
            self._sink.events(self.book.events[:count].view(EVENT_DTYPE).reshape(-1))
        self.book.state[S_EVENTS] = 0

    def _flush_quotes(self) -> None:
        count = int(self.world.clock[s.T_QUOTES])
        if count and self._sink is not None:
            self._sink.rows("quotes", quote_columns(self.world.quotes[:count]))
        self.world.clock[s.T_QUOTES] = 0

    def _sample(self, step: int) -> None:
        """Sample depth and accounts at the end of a step."""
        clock, plan = self.world.clock, self.spec.recording
        if self._sink is None:
            return
        if clock[s.T_DEPTH_EVERY] and step % clock[s.T_DEPTH_EVERY] == 0:
            self._sink.rows("depth", depth_columns(self.book, len(self.instruments), step, plan.depth_levels))
        if clock[s.T_ACCOUNTS_EVERY] and (step + 1) % clock[s.T_ACCOUNTS_EVERY] == 0:
            self._sink.rows("accounts", account_columns(self, step))

    def _next_block(self) -> None:
        """Fetch the outside world's next block of steps."""
        steps = max(64, min(_BLOCK_STEPS, _BLOCK_CELLS // len(self.instruments)))
        steps = min(steps, self.spec.steps - self.step)
        block = self.spec.world.block(self.step, steps)
        self.world = self.world._replace(fundamental=np.ascontiguousarray(block.fundamental, np.float64))
        self.world.clock[s.T_BLOCK_START] = self.step
        self._block_end = self.step + steps
        for happening in (*block.news, *block.shocks):
            self._happenings.setdefault(happening.step, []).append(happening)
        self._bind()

    def _schedule_populations(self) -> None:
        for population in self.populations:
            if population.joins > 0:
                self._plan(Shock(population.joins, ShockKind.JOIN, population=population.name))
            if population.leaves is not None:
                self._plan(Shock(population.leaves, ShockKind.LEAVE, population=population.name))

    def _plan(self, shock: Shock) -> None:
        self._happenings.setdefault(shock.step, []).append(shock)

    def _happen(self, happening: NewsItem | Shock) -> None:
        if isinstance(happening, NewsItem):
            self._publish(happening)
        elif happening.kind is ShockKind.HALT:
            targets = slice(None) if happening.instrument < 0 else happening.instrument
            until = happening.step + happening.duration
            halted = self.ledger.instruments[targets, I_HALTED_UNTIL]
            self.ledger.instruments[targets, I_HALTED_UNTIL] = np.maximum(halted, until)
        elif happening.kind is ShockKind.FAT_FINGER:
            order_id = int(self.world.clock[s.T_NEXT_ORDER_ID])
            self.world.clock[s.T_NEXT_ORDER_ID] += 1
            code = MessageKind.MARKET | Side(happening.side) << 8 | happening.instrument << 32
            self._send([(code, order_id, self.error_account, 0, happening.quantity, 0, 0, 0)])
        else:
            self._join_or_leave(happening)

    def _publish(self, item: NewsItem) -> None:
        self.news.append(item)
        targets = slice(None) if item.instrument < 0 else slice(item.instrument, item.instrument + 1)
        self.views["news_step"][targets] = item.step
        self.views["news_sentiment"][targets] = item.sentiment
        if self._sink is not None:
            fields = ("step", "instrument", "headline", "content", "sentiment", "impact", "source")
            self._sink.rows("news", {name: [getattr(item, name)] for name in fields})

    def _join_or_leave(self, shock: Shock) -> None:
        names = [population.name for population in self.populations]
        if shock.population not in names:
            raise ConfigError(
                f"shock at step {shock.step}: population {shock.population!r} is unknown; "
                f"known are {', '.join(names)}"
            )
        p = names.index(shock.population)
        row = self.world.populations[p]
        joins = shock.kind is ShockKind.JOIN
        row[s.P_PRESENT] = joins
        if not joins:
            first, count = int(row[s.P_FIRST]), int(row[s.P_COUNT])
            code = MessageKind.CANCEL_ALL | -1 << 32
            self._send([(code, 0, agent, 0, 0, 0, 0, 0) for agent in range(first, first + count)])

    def _send(self, rows: Any) -> None:
        """Put message rows, (n, 8), into the outbox; they are delivered when the loop goes on."""
        rows = np.asarray(rows, np.int64).reshape(-1, 8)
        clock = self.world.clock
        start = int(clock[s.T_OUT_COUNT])
        end = start + len(rows)
        if end + 1 > len(self.world.outbox):
            outbox = np.zeros((2 * end + 2, 8), np.int64)
            outbox[: start + 1] = self.world.outbox[: start + 1]
            self.world = self.world._replace(outbox=outbox)
            self._bind()
        self.world.outbox[start + 1 : end + 1] = rows
        clock[s.T_OUT_COUNT] = end

    @property
    def fee_account(self) -> int:
        """Number of the account that receives the fees."""
        return len(self.world.agents)

    @property
    def error_account(self) -> int:
        """Number of the account from which shocks trade."""
        return len(self.world.agents) + 1

    def agent_name(self, agent: int) -> str:
        """Return an agent's name: its population and its number therein."""
        if agent >= len(self.world.agents):
            return "exchange/fees" if agent == self.fee_account else "exchange/errors"
        p = int(self.world.agents[agent, s.G_POPULATION])
        return f"{self.populations[p].name}/{agent - int(self.world.populations[p, s.P_FIRST])}"

    def audit(self) -> None:
        """Raise SimlabError unless cash, inventory, reserves and every account's identity add up exactly."""
        audit(self)

    def summary(self) -> dict[str, list[dict[str, Any]]]:
        """Return a row for each population and each instrument: see `simlab.kernel.summary`."""
        return {"populations": population_rows(self), "instruments": instrument_rows(self)}
