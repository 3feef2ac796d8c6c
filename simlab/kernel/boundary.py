"""Deliver messages and customers' orders between two steps, and keep seats: what enters at a boundary."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.core.jit import jit
from simlab.core.rows import Tables, new_rows, opener, table, unpacked
from simlab.core.types import MESSAGE_DTYPE, MESSAGE_WORDS, MessageKind
from simlab.engine.compiled.events import DONE
from simlab.engine.compiled.matching import expire
from simlab.errors import SimlabError
from simlab.kernel.delivery import deliver, seal
from simlab.kernel.inbox import ENTRY, EntryKind, Origin
from simlab.kernel.spec import SimulationSpec
from simlab.kernel.state import CallLevel, Seat, State, find_state
from simlab.market.ledger import Ledger
from simlab.processes.customers import Desk

__all__ = [
    "Batch",
    "deliver_now",
    "desks_of",
    "endow_seat",
    "enter",
    "free_seat",
    "owners_in",
    "place_orders",
    "require_messages",
    "require_seats",
    "with_ids",
    "write_down",
]


_WORDS = MESSAGE_DTYPE.itemsize // 8


class Batch(Tables):
    """Room for messages that are delivered between two steps, and for the entries that they are."""

    messages = table(MESSAGE_WORDS)
    entries = table(ENTRY)

    def __init__(self, capacity: int = 4096) -> None:
        super().__init__(messages=new_rows(capacity, MESSAGE_WORDS), entries=new_rows(capacity, ENTRY))
        self._look()

    def _look(self) -> None:
        """Look at the same memory with all fields by name, and as plain words."""
        self.fields = self.messages.view(MESSAGE_DTYPE)
        self._plain = self.messages.view(np.int64).reshape(-1, _WORDS)

    def put(self, messages: NDArray[Any]) -> int:
        """Take ``(n,) MESSAGE_DTYPE``; return n. Room is made where there is not enough."""
        count = len(messages)
        if count > len(self.messages):
            self.messages, self.entries = new_rows(count, MESSAGE_WORDS), new_rows(count, ENTRY)
            self._look()
        # plain words are copied as one stretch of memory, records field by field
        self._plain[:count] = np.ascontiguousarray(messages).view(np.int64).reshape(-1, _WORDS)
        return count

    def rows(self, count: int) -> NDArray[Any]:
        """Return a copy of the first entries, ``(count,) ENTRY``."""
        return np.frombuffer(bytearray(self.entries[:count].tobytes()), ENTRY)


_find_batch = opener(Batch)


@jit
def enter(address, batch, count, number):
    """Give new orders ids of the market's own, and write down messages as entries, numbered from `number`.

    Returns `count`, or, having done nothing, which is the first that is not from a seat that is taken.
    """
    state, room = find_state(address), _find_batch(batch)
    for i in range(count):
        account = room.messages[i].account
        if account < 0 or account >= len(state.seats) or state.seats[account] != Seat.TAKEN:
            return i
    for i in range(count):
        message, entry = room.messages[i], room.entries[i]
        if unpacked(message.code)[0] <= MessageKind.MARKET:
            message.order_id = state.clock.next_order_id
            state.clock.next_order_id += 1
        write_down(entry, message, state.clock.step)
        entry.number = number + i
    return count


@jit
def write_down(entry, message, step):
    """Make an entry of a message that enters from outside before `step`; its number is left as it is."""
    kind, side, time_in_force, post_only, instrument = unpacked(message.code)
    entry.step = step
    entry.origin, entry.kind, entry.message_kind = Origin.OUTSIDE, EntryKind.MESSAGE, kind
    entry.side, entry.time_in_force, entry.post_only = side, time_in_force, post_only
    entry.instrument, entry.order_id, entry.account = instrument, message.order_id, message.account
    entry.price, entry.quantity, entry.expiry = message.price, message.quantity, message.expiry
    entry.target, entry.amount, entry.text = -1, 0, -1


@jit
def deliver_now(address, batch, start, stop):
    """Expire what ends before the next step, then deliver ``messages[start:stop]``.

    Returns (the first not delivered, DONE or what must grow).
    """
    state = find_state(address)
    first = state.book.counters.events
    need = expire(state.book, state.clock.step)
    seal(state, first, 0, 0)
    if need != DONE:
        return start, need
    messages = _find_batch(batch).messages
    for i in range(start, stop):
        messages[i].step = state.clock.step
        need = deliver(state, messages[i])
        if need != DONE:
            return i, need
    return stop, DONE


def with_ids(state: State, messages: NDArray[Any]) -> NDArray[Any]:
    """Return messages that can be delivered: a copy in which new orders have ids of the market's own."""
    copies = messages.copy()
    new = copies["kind"] <= MessageKind.MARKET.value
    count, next_id = int(np.count_nonzero(new)), int(state.clock["next_order_id"][0])
    copies["order_id"][new] = np.arange(next_id, next_id + count)
    state.clock["next_order_id"] += count
    return copies


def desks_of(spec: SimulationSpec, state: State) -> list[Desk]:
    """Return who works for customers: the agents of each such population, in each instrument they trade."""
    desks = []
    for row, it in zip(state.populations, spec.populations, strict=False):
        if it.customers is not None:
            at = int(row["instruments_at"])
            for number in state.lists[at : at + int(row["instruments"])].tolist():
                item = spec.instruments[number]
                desks.append(
                    Desk(it.customers, it.name, item.name, int(row["first"]), it.count, number, item.lot_size)
                )
    return desks


def place_orders(ledger: Ledger, rows: NDArray[Any], step: int) -> None:
    """Put customers' orders, ``(n,) ASSIGNMENT``, in the place of those that the accounts had before."""
    at = rows["account"] * len(ledger.terms) + rows["instrument"]
    for name in ("side", "limit", "limit_step", "quantity"):
        ledger.customers[name][at] = rows[name]
    ledger.customers["since"][at] = step


def require_messages(messages: Any) -> None:
    """Raise SimlabError unless these are messages."""
    if not isinstance(messages, np.ndarray) or messages.dtype != MESSAGE_DTYPE or messages.ndim != 1:
        raise SimlabError(
            "messages must be a 1-D array of MESSAGE_DTYPE; make one with np.zeros(n, MESSAGE_DTYPE)"
        )


def require_seats(state: State, messages: NDArray[Any]) -> None:
    """Raise SimlabError unless these are messages, all from seats that are taken."""
    require_messages(messages)
    for account in set(messages["account"].tolist()):
        if not 0 <= account < len(state.seats) or int(state.seats[account]) != Seat.TAKEN:
            raise SimlabError(f"account {account} is not a seat that is taken; take one with take_seat()")


def free_seat(state: State, population: int | None, *, new: bool) -> int | None:
    """Return the first account of a population, or of any, that is free, or None.

    One that was never taken comes first in each population; with `new` no other counts.
    """
    rows = state.populations if population is None else state.populations[population : population + 1]
    for row in rows[rows["level"] == CallLevel.OUTSIDE]:
        first = int(row["first"])
        seats = state.seats[first : first + int(row["count"])]
        for wanted in (Seat.NEW,) if new else (Seat.NEW, Seat.GIVEN_BACK):
            found = np.flatnonzero(seats == wanted)
            if len(found):
                return first + int(found[0])
    return None


def endow_seat(state: State, account: int, cash: int) -> None:
    """Let a seat be taken; one that never was begins with `cash`, money units."""
    if state.seats[account] == Seat.NEW:
        row = state.ledger.accounts[account]
        state.granted[account] += cash - row["cash"]
        row["cash"] = cash
    state.seats[account] = Seat.TAKEN


def owners_in(state: State, instrument: int) -> NDArray[np.int64]:
    """Return the accounts that have orders resting in an instrument, in order. O(orders of all books)."""
    book = state.book
    resting = book.orders[book.ids["row"][book.ids["row"] != 0]]
    mine = book.nodes["side_list"][resting["level"]] >> 1 == instrument
    return np.unique(resting["account"][mine]).astype(np.int64)
