"""Let in at a step's boundary what was planned, what outside processes bring, and what somebody sends."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from math import isfinite
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.core.types import MESSAGE_DTYPE, MESSAGE_WORDS, MessageKind
from simlab.errors import ConfigError, SimlabError, did_you_mean
from simlab.kernel.boundary import (
    Batch,
    desks_of,
    endow_seat,
    enter,
    free_seat,
    owners_in,
    place_orders,
    require_messages,
    require_seats,
    with_ids,
)
from simlab.kernel.inbox import (
    Entry,
    EntryKind,
    Inbox,
    Origin,
    Text,
    entry_of,
    messages_in,
    rows_of,
    texts_from_json,
    texts_to_json,
)
from simlab.kernel.listing import add_instrument, with_instrument
from simlab.kernel.spec import SimulationSpec
from simlab.kernel.state import Seat, State
from simlab.market.instruments import MAX_MONEY, MAX_PRICE, Instrument
from simlab.market.ledger import FOR_EVER
from simlab.processes import Customers, NewsItem, Outside, OutsideState, ShockKind

__all__ = ["Door"]

_BLOCK_STEPS = 4096
_BLOCK_CELLS = 1 << 22
_NEWS_SHOWN = 100
_MOST_STEPS = 10**12
_NOTHING = np.zeros(0, MESSAGE_DTYPE)
_MOST_TOGETHER = 1 << 16
"""Messages that were written down and are delivered in one call: their events are copied."""

Journal = Callable[[NDArray[Any], list[Text]], None]
"""Takes ``(n,) ENTRY``, which is its own to keep, and the texts that they count."""


class Door:
    """Keep the inbox and the outside processes of one market, and change its state as entries are let in.

    Parameters
    ----------
    spec : SimulationSpec
    state : State
    batch : Batch
        Room for what is delivered.
    deliver : callable ((n,) MESSAGE_DTYPE) -> (m,) EVENT_DTYPE
        Delivers messages at once.
    published : callable (NewsItem) -> None
        Told of news.
    listed : callable (SimulationSpec) -> None
        Told of the specification with a new instrument.
    assigned : callable (int, (n,) ASSIGNMENT) -> None
        Told of the step and the orders that customers give in it.
    seated : callable (Entry) -> None
        Told of a seat that was taken or given back.
    """

    def __init__(
        self,
        spec: SimulationSpec,
        state: State,
        *,
        batch: Batch,
        deliver: Callable[[NDArray[Any]], NDArray[Any]],
        published: Callable[[NewsItem], None],
        listed: Callable[[SimulationSpec], None],
        assigned: Callable[[int, NDArray[Any]], None],
        seated: Callable[[Entry], None],
    ) -> None:
        self._spec, self._state, self._batch = spec, state, batch
        self._deliver, self._published, self._listed = deliver, published, listed
        self._assigned, self._seated = assigned, seated
        prices = {it.name: float(it.initial_price) for it in spec.instruments if it not in spec.added}
        self._outside = Outside(spec.outside, seed=spec.seed, initial_prices=prices)
        self._outside_state = self._block_before = self._outside.start()
        self._customers = Customers(desks_of(spec, state), spec.seed)
        self._opened = -1
        """The step for which everything was let in last."""
        self._inbox = Inbox()
        self.news: deque[NewsItem] = deque(maxlen=_NEWS_SHOWN)
        """News that can be seen, oldest first."""
        self.journal: Journal | None = None
        """Told of everything that enters from outside, once a call."""
        for p, population in enumerate(spec.populations):
            if population.joins > 0:
                self._inbox.put(EntryKind.JOIN, step=population.joins, origin=Origin.PLAN, target=p)
            if population.leaves is not None:
                self._inbox.put(EntryKind.LEAVE, step=population.leaves, origin=Origin.PLAN, target=p)

    @property
    def step(self) -> int:
        """The step before whose boundary the market stands."""
        return int(self._state.clock["step"][0])

    def next_stop(self, until: int) -> int:
        """Return up to which step the market may run without looking here again."""
        waiting = self._inbox.next_step
        bounds = (until, self._outside_state.next_step, until if waiting is None else waiting)
        return self._customers.next_step(int(self._state.clock["customers_step"][0]), min(bounds))

    def open(self) -> None:
        """Let in what waits for the next step, after expiring what ends before it."""
        if self._opened == self.step and self._inbox.next_step != self.step:
            return
        if self.step >= self._outside_state.next_step and self.step < self._spec.steps:
            self._next_block()
        self._deliver(_NOTHING)
        self._give_out()
        for entry in self._inbox.take(self.step):
            self._let_in(entry)
        self._let_in_written(*self._inbox.take_written(self.step))
        self._opened = self.step

    def close(self) -> None:
        """Let in what waits for the step before which the market stands still, so that it can be seen."""
        if self.step < self._spec.steps or self._inbox.next_step == self.step:
            self.open()

    def _next_block(self) -> None:
        """Have the outside processes make their next block of steps."""
        step, spec = self.step, self._spec
        steps = max(64, min(_BLOCK_STEPS, _BLOCK_CELLS // len(spec.instruments)))
        self._block_before = self._outside_state
        block, self._outside_state = self._outside.advance(self._outside_state, min(steps, spec.steps - step))
        constant = np.array([float(item.initial_price) for item in spec.added])
        values = np.concatenate(
            [block.fundamental, np.broadcast_to(constant, (len(block.fundamental), len(constant)))], axis=1
        )
        self._state.fundamental = (values + self._state.published_impact).reshape(-1)
        self._state.clock["block_start"] = step
        for item in block.news:
            self._inbox.put_news(item)
        names, errors = [it.name for it in spec.populations], int(self._state.ledger.exchange["errors"][0])
        for shock in block.shocks:
            if shock.kind in (ShockKind.JOIN, ShockKind.LEAVE):
                self._population(shock.population, f"shock at step {shock.step}")
            self._inbox.put_shock(shock, names, errors)

    def _give_out(self) -> None:
        """Give customers' orders to those who get some in this step; what they had on order is withdrawn."""
        state, step = self._state, self.step
        if state.clock["customers_step"][0] > step:
            return
        state.clock["customers_step"] = step + 1
        rows = self._customers.at(step)
        if not len(rows):
            return
        quoted = rows[state.book.owners["orders"][rows["account"]] > 0]
        if len(quoted):
            self._deliver(with_ids(state, _cancel_all(quoted["account"], quoted["instrument"])))
        place_orders(state.ledger, rows, step)
        self._assigned(step, rows)

    def submit(self, messages: NDArray[Any]) -> NDArray[Any]:
        """Deliver messages at once and return their events; see `simlab.kernel.interface.Market`."""
        self.open()
        require_messages(messages)
        batch, number = self._batch, self._inbox.number
        count = batch.put(messages)
        if enter(self._state.address, batch.address, count, number) < count:
            require_seats(self._state, messages)
        self._inbox.next_numbers(count)
        if self.journal is not None and count:
            self.journal(batch.rows(count), [])
        return self._deliver(batch.fields[:count])

    def note(self, rows: NDArray[Any]) -> None:
        """Number entries that compiled code let in and wrote down, and tell who keeps a journal."""
        first = self._inbox.next_numbers(len(rows))
        rows["number"] = np.arange(first, first + len(rows))
        if self.journal is not None and len(rows):
            self.journal(rows, [])

    def publish(self, headline: str, instrument: int, **content: Any) -> NewsItem:
        """Publish news; see `simlab.kernel.interface.Market`."""
        number = self._instrument(instrument)
        numbers = {name: float(content[name]) for name in ("sentiment", "impact")}
        texts = {name: str(content[name]) for name in ("content", "source")}
        if not (isfinite(numbers["sentiment"]) and abs(numbers["impact"]) <= MAX_PRICE):
            raise SimlabError(
                f"news {headline!r}: sentiment {numbers['sentiment']} and impact {numbers['impact']} must be"
                f" finite, and the impact at most {MAX_PRICE} price units"
            )
        self.open()
        item = NewsItem(self.step, number, str(headline), **texts, **numbers)
        self._let_in(self._note(EntryKind.NEWS, text=item))
        return item

    def halt(self, steps: int, instrument: int) -> None:
        """Halt trading; see `simlab.kernel.interface.Market`."""
        number, length = self._instrument(instrument), _whole(steps, "steps")
        if not 1 <= length <= _MOST_STEPS:
            raise SimlabError(f"a halt lasts 1 to {_MOST_STEPS} steps, not {steps}")
        self.open()
        self._let_in(self._note(EntryKind.HALT, target=number, amount=length))

    def list_instrument(self, instrument: Instrument) -> int:
        """Add an instrument; see `simlab.kernel.interface.Market`."""
        with_instrument(self._spec, instrument)
        self.open()
        self._let_in(self._note(EntryKind.INSTRUMENT, text=instrument))
        return len(self._spec.instruments) - 1

    def delist(self, instrument: int) -> None:
        """Take an instrument off the market; see `simlab.kernel.interface.Market`."""
        number = _whole(instrument, "instrument")
        if number < 0 or self._state.ledger.terms["halted_until"][self._instrument(number)] == FOR_EVER:
            raise SimlabError(
                f"instrument {number} is not one that is listed; give the number of one that is"
            )
        self.open()
        self._let_in(self._note(EntryKind.DELISTED, target=number))

    def take_seat(self, population: str | None, cash: int | None) -> int:
        """Take a free account; see `simlab.kernel.interface.Market`."""
        money = None if cash is None else _whole(cash, "cash")
        if money is not None and not 0 <= money <= MAX_MONEY:
            raise SimlabError(f"cash {money} is not in the range of 0 to {MAX_MONEY} money units")
        self.open()
        p = None if population is None else self._population(population, "take_seat")
        account = free_seat(self._state, p, new=money is not None)
        if account is None:
            where = "" if population is None else f" in population {population!r}"
            kind = "" if money is None else " that was never taken, as one with other cash must be"
            raise SimlabError(
                f"no seat is free{where}{kind}; wait until one is given back, or raise the count of a"
                " population with `strategy: outside`"
            )
        amount = int(self._state.ledger.accounts["cash"][account]) if money is None else money
        self._let_in(self._note(EntryKind.SEAT_TAKEN, target=account, amount=amount))
        return account

    def give_back(self, account: int) -> None:
        """Give a seat back; see `simlab.kernel.interface.Market`."""
        number = _whole(account, "account")
        require_seats(self._state, _cancel_all(np.array([number])))
        self.open()
        self._let_in(self._note(EntryKind.SEAT_GIVEN_BACK, target=number))

    def replay(self, rows: NDArray[Any], texts: Sequence[Text]) -> None:
        """Let what a journal was told enter again; see `Simulation.replay`."""
        self._inbox.enter(rows, texts, now=self.step)

    def _note(self, kind: EntryKind, **content: Any) -> Entry:
        """Give an entry from outside its number, and tell who keeps a journal."""
        entry = self._inbox.numbered(kind, step=self.step, origin=Origin.OUTSIDE, **content)
        if self.journal is not None:
            self.journal(*rows_of([entry]))
        return entry

    def _population(self, name: str, where: str) -> int:
        names = [population.name for population in self._spec.populations]
        if name not in names:
            raise ConfigError(f"{where}: there is no population {name!r}{did_you_mean(name, names)}")
        return names.index(name)

    def _instrument(self, instrument: int) -> int:
        """Return the number of an instrument, or -1 for all."""
        number, count = _whole(instrument, "instrument"), len(self._spec.instruments)
        if not -1 <= number < count:
            raise SimlabError(f"instrument {number} is unknown; they are 0 to {count - 1}, -1 for all")
        return number

    def _let_in_written(self, rows: NDArray[Any], texts: Sequence[Text]) -> None:
        """Let in what came from outside another session: messages that follow one another together."""
        if not len(rows):
            return
        spoken = rows["kind"] == EntryKind.MESSAGE
        changes = np.flatnonzero(spoken[1:] != spoken[:-1]) + 1
        for start, stop in pairwise([0, *changes.tolist(), len(rows)]):
            if not spoken[start]:
                for row in rows[start:stop]:
                    self._let_in(self._known(entry_of(row, texts)))
                continue
            for at in range(start, stop, _MOST_TOGETHER):
                messages = messages_in(rows[at : min(at + _MOST_TOGETHER, stop)])
                require_seats(self._state, messages)
                self._deliver(with_ids(self._state, messages))

    def _known(self, entry: Entry) -> Entry:
        """Return an entry that somebody wrote down; raises SimlabError where it cannot be of this market."""
        seats, place = self._state.seats, entry.target
        if entry.text is not None:
            fits = entry.kind in (EntryKind.NEWS, EntryKind.INSTRUMENT)
        elif entry.kind in (EntryKind.SEAT_TAKEN, EntryKind.SEAT_GIVEN_BACK):
            fits = 0 <= place < len(seats) and seats[place] != Seat.NONE
        else:
            lowest = {EntryKind.HALT: -1, EntryKind.DELISTED: 0}
            fits = entry.kind in lowest and lowest[entry.kind] <= place < len(self._spec.instruments)
        if fits:
            return entry
        raise SimlabError(
            f"an entry of step {entry.step}, {entry.kind.name} {place}, is not of this market; replay it with"
            " the configuration of the session in which it was written down"
        )

    def _let_in(self, entry: Entry) -> None:
        state = self._state
        if isinstance(entry.text, NewsItem):
            self._publish(entry.text, moves=entry.origin is Origin.OUTSIDE)
        elif entry.text is not None:
            self._list(entry.text)
        elif entry.kind is EntryKind.HALT:
            halted = state.ledger.terms["halted_until"][_rows(entry.target)]
            np.maximum(halted, entry.step + entry.amount, out=halted)
        elif entry.kind is EntryKind.MESSAGE:
            self._deliver(with_ids(state, messages_in(rows_of([entry])[0])))
        elif entry.kind is EntryKind.SEAT_TAKEN:
            endow_seat(state, entry.target, entry.amount)
            self._seated(entry)
        elif entry.kind is EntryKind.SEAT_GIVEN_BACK:
            state.seats[entry.target] = Seat.GIVEN_BACK
            self._deliver(with_ids(state, _cancel_all(np.array([entry.target]))))
            self._seated(entry)
        elif entry.kind is EntryKind.DELISTED:
            state.ledger.terms["halted_until"][entry.target] = FOR_EVER
            self._deliver(with_ids(state, _cancel_all(owners_in(state, entry.target), entry.target)))
        else:
            self._join_or_leave(state.populations[entry.target], entry.kind is EntryKind.JOIN)

    def _list(self, instrument: Instrument) -> None:
        """Add an instrument, whose fundamental value the outside processes know nothing of."""
        self._spec = with_instrument(self._spec, instrument)
        add_instrument(self._spec, self._state)
        self._listed(self._spec)

    def _join_or_leave(self, population: Any, joins: bool) -> None:
        population["present"] = joins
        if joins or not population["count"]:
            return
        agents = np.arange(population["first"], population["first"] + population["count"])
        cancels = _cancel_all(agents)
        flight = self._state.flight
        late = np.isin(flight["account"], agents) & (flight["order_id"] > 0)
        # what is still on its way arrives as a cancel of orders that are gone, which does nothing
        flight["code"][late] = cancels.view(MESSAGE_WORDS)["code"][0]
        self._deliver(with_ids(self._state, cancels))

    def _publish(self, item: NewsItem, *, moves: bool) -> None:
        """Show an item; `moves` says that its impact is still to be added to the fundamental."""
        self.news.append(item)
        targets = _rows(item.instrument)
        self._state.views["news_step"][targets] = item.step
        self._state.views["news_sentiment"][targets] = item.sentiment
        if moves and item.impact:
            self._state.published_impact[targets] += item.impact
            values = self._state.fundamental.reshape(-1, len(self._spec.instruments))
            values[self.step - int(self._state.clock["block_start"][0]) :, targets] += item.impact
        self._published(item)

    def write_to(self, state: State) -> None:
        """Write down in a state what waits here and how the outside processes stand."""
        state.inbox, waiting = self._inbox.to_rows()
        texts = json.dumps([texts_to_json(waiting), texts_to_json(self.news)])
        state.texts = np.frombuffer(texts.encode(), np.uint8).copy()
        state.outside_levels = self._outside_state.levels.copy()
        state.outside_memory = self._outside_state.memory.ravel().copy()
        state.block_levels = self._block_before.levels.copy()
        state.block_memory = self._block_before.memory.ravel().copy()
        state.clock["outside_step"] = self._outside_state.next_step
        state.clock["inbox_number"] = self._inbox.number

    def read_from(self, state: State) -> None:
        """Go on from what `write_to` wrote down."""
        waiting, shown = (texts_from_json(it) for it in json.loads(state.texts.tobytes()))
        self._inbox = Inbox.from_rows(state.inbox, waiting, int(state.clock["inbox_number"][0]))
        step, start = int(state.clock["outside_step"][0]), int(state.clock["block_start"][0])
        self._outside_state = OutsideState(step, state.outside_levels, state.outside_memory)
        self._block_before = OutsideState(start, state.block_levels, state.block_memory)
        self.news.clear()
        self.news.extend(shown)


def _whole(value: Any, name: str) -> int:
    """Return a whole number, or raise SimlabError."""
    try:
        return index(value)
    except TypeError:
        raise SimlabError(f"{name} {value!r} is not a whole number; give an int") from None


def _rows(instrument: int) -> slice:
    """Return the rows of an instrument, or of all for -1."""
    return slice(None) if instrument < 0 else slice(instrument, instrument + 1)


def _cancel_all(accounts: NDArray[np.int64], instruments: NDArray[np.int64] | int = -1) -> NDArray[Any]:
    """Return messages that cancel all orders of accounts, in one instrument each or in all."""
    cancels = np.zeros(len(accounts), MESSAGE_DTYPE)
    cancels["kind"], cancels["instrument"], cancels["account"] = MessageKind.CANCEL_ALL, instruments, accounts
    return cancels
