"""Declare all of a running market in tables: book, ledger, agents, what is due, messages on their way."""

from __future__ import annotations

import hashlib
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.compiled import ME_DTYPE, VIEW_DTYPE
from simlab.agents.history import HISTORY_DTYPE
from simlab.agents.strategy import MAX_MEMORY, MAX_PARAMETERS
from simlab.core.random import RNG_DTYPE
from simlab.core.rows import Tables, column, opener, part, record, table
from simlab.core.types import MESSAGE_WORDS
from simlab.engine.compiled.tables import Book
from simlab.kernel.inbox import ENTRY
from simlab.market.ledger import Ledger

__all__ = [
    "AGENT",
    "ARRIVAL",
    "MEMORY",
    "PARAMETERS",
    "PLACE",
    "POPULATION",
    "QUOTE",
    "TAPE",
    "TRAVELLING",
    "Activated",
    "CallLevel",
    "Phase",
    "Seat",
    "State",
    "find_state",
]


def _row(kind: str, *names: str) -> list[tuple[str, str]]:
    return [(name, kind) for name in names]


AGENT = np.dtype(
    [("key", "u8"), ("due", "i8"), ("next", "i4"), ("population", "i4"), ("cursor", "i4"), ("thinking", "i4")]
)
"""One agent: the key of its random streams, the step it is due, the next agent due in the same bucket, how
many of its explicit steps are past, and how many steps it thought before it sent what it sends now.
"""


class CallLevel(IntEnum):
    """At which level a population's strategy is called."""

    COMPILED = 0
    BATCH = 1
    EACH = 2
    OUTSIDE = 3
    """Never: its accounts are seats."""


class Activated(IntEnum):
    """How a population's agents become due."""

    EVERY_STEP = 0
    BY_RATE = 1
    BY_PERIOD = 2
    BY_STEPS = 3
    NEVER = 4


class Seat(IntEnum):
    """What an account is for somebody outside."""

    NONE = 0
    """It belongs to an agent."""
    NEW = 1
    TAKEN = 2
    GIVEN_BACK = 3


POPULATION = np.dtype(
    [
        ("key", "u8"),
        ("log_quiet", "f8"),
        ("signal_noise", "f8"),
        *_row("i8", "first", "count", "present", "due_count", "level", "address"),
        *_row("i8", "activated", "period", "steps_at", "steps"),
        *_row("i8", "latency_low", "latency_high"),
        *_row("i8", "depth", "orders", "signal"),
        ("salt", "u8"),
        *_row("i8", "instruments_at", "instruments"),
        *_row("i8", "parameters_at", "parameters_each", "memory_at"),
    ]
)
"""One population: its agents, how its strategy is called and what it sees.

`log_quiet` is the logarithm of the probability not to act in a step. `instruments_at` and `steps_at` point
into `State.lists`, `parameters_at` and `memory_at` into the tables of these names; `parameters_each` is 1
when each agent has parameters of its own, else 0. `address` is where its compiled function is. What a
population falls back on has a row of its own after all populations, with the same agents and a `salt` that
its draws are told apart by.
"""

PARAMETERS = np.dtype([("values", "f8", (MAX_PARAMETERS,))])
MEMORY = np.dtype([("values", "f8", (MAX_MEMORY,))])

PLACE = np.dtype([("place", "u8"), ("actor", "i8")])
"""Who acts in a step: the place drawn, and an agent or (numbered after all agents) a batch population."""

TRAVELLING = np.dtype([*MESSAGE_WORDS.descr[:-1], ("next", "i8")])
"""One message on its way; `next` chains those that arrive in the same step, and the free rows."""

ARRIVAL = np.dtype(_row("i8", "first", "last"))
"""The messages that arrive in one step of a ring of steps."""

QUOTE = np.dtype(
    [
        *_row("i8", "step", "instrument", "best_bid", "bid_depth", "best_ask", "ask_depth"),
        *_row("i8", "last_price", "volume"),
        ("fundamental", "f8"),
    ]
)
"""One instrument at the end of a step, as it is recorded."""

TAPE = np.dtype(_row("f8", "spreads", "spread_count", "last_mid", "returns", "squares", "return_count"))
"""Sums over the steps of one instrument, for the summary."""

SEEN = np.dtype(
    _row(
        "i8", "step", "agent", "best_bid", "bid_depth", "best_ask", "ask_depth", "last_price", "cash",
        "inventory", "open_orders", "next_order_id",
    )
)  # fmt: skip
"""What an agent written in Python is shown at once, of its first instrument; the rest it asks for."""


class Phase(IntEnum):
    """Where in a step the loop is."""

    BEGIN = 0
    EXPIRE = 1
    ARRIVE = 2
    COLLECT = 3
    ACT = 4
    DEFERRED = 5
    END = 6


CLOCK = np.dtype(
    [
        ("hash", "u8"),
        *_row("i8", "step", "phase", "simultaneous", "next_order_id", "messages", "activations", "pause_at"),
        *_row("i8", "active", "cursor", "slot", "agent", "looked", "parameters"),
        *_row("i8", "out_count", "out_cursor", "repeat"),
        *_row("i8", "free_message", "top_message", "in_flight"),
        *_row("i8", "inbox_number", "outside_step", "customers_step", "listens"),
        ("specification", "u8"),
        *_row("i8", "block_start", "quotes", "quotes_every", "depth_every", "accounts_every"),
    ]
)
"""Where the loop is.

`active` actors of the step stand in `State.places`, of which `cursor` have acted; `slot` is the next of the
present agent's instruments. `looked` is a Python agent that is to forget the fills it saw, `parameters` the
row that `State.me` shows; both -1 for none. `repeat` counts an agent's messages of one decision. Customers'
orders have been given out for all steps before `customers_step`. `listens` says that a strategy looks at
shouts. The loop returns before the decision after `pause_at` of them.
"""


class State(Tables):
    """All of a running market."""

    book = part(Book)
    ledger = part(Ledger)
    clock = record(CLOCK)
    agents = table(AGENT)
    populations = table(POPULATION)
    instrument_keys = column("u8")
    lists = column("i8")
    """Instruments and explicit steps of all populations, one after the other."""
    parameters = table(PARAMETERS)
    memory = table(MEMORY)
    wheel = column("i4")
    """First agent due in each bucket of steps, -1 for none."""
    places = table(PLACE)
    sorting = table(PLACE)
    buckets = column("i8")
    due = column("i4")
    """Agents of batch populations that are due, from each population's first agent on."""
    flight = table(TRAVELLING)
    arrivals = table(ARRIVAL)
    outbox = table(MESSAGE_WORDS)
    """Row 0 is the head of an `ORDERS_DTYPE` record, the messages of the present decision follow."""
    fundamental = column("f8")
    """Values from step `clock.block_start` on, instrument by instrument."""
    quotes = table(QUOTE)
    tape = table(TAPE)
    views = table(VIEW_DTYPE)
    history = table(HISTORY_DTYPE)
    """`HISTORY_STEPS` rows for each instrument, used in turn; none where no strategy needs them."""
    me = record(ME_DTYPE)
    rng = record(RNG_DTYPE)
    seen = record(SEEN)
    seats = column("i1")
    """What each agent's account is for somebody outside, a `Seat`."""
    granted = column("i8")
    """What each agent's account began with beyond what its population's do, money units."""
    published_impact = column("f8")
    """What was published from outside has moved each fundamental by, for good."""
    outside_levels = column("f8")
    """Of the outside processes, before step `clock.outside_step`."""
    outside_memory = column("f8")
    """What each fundamental remembers of its past, `REMEMBERED` numbers an instrument."""
    block_levels = column("f8")
    """The levels before step `clock.block_start`, so that those before any step of the block follow."""
    block_memory = column("f8")
    """What they remembered before it."""
    inbox = table(ENTRY)
    """What waits to be let in; filled when the state is captured, as are the next two."""
    texts = column("u1")
    """The news that waits, and the news that can be seen: JSON."""
    memory_of_strategies = column("u1")
    """What strategies written in Python remember: a pickle."""

    def hash(self) -> str:
        """Return 16 hexadecimal digits that stand for all that decides how the market goes on.

        Room that is not used, what is only buffered for the recorder, and the objects of Python strategies
        do not count. Two states with one hash were reached by the same events.
        """
        digest = hashlib.blake2b(digest_size=8)
        for name, array in self.to_arrays().items():
            if name not in _LEFT_OUT:
                used = self._used(name, array)
                names = [it for it in used.dtype.names or () if it not in _COLUMNS_LEFT_OUT]
                for column_ in [used[it] for it in names] or [used]:
                    digest.update(np.ascontiguousarray(column_).tobytes())
        return digest.hexdigest()

    def kept(self) -> dict[str, NDArray[Any]]:
        """Return of each array the first rows that decide how a market between two steps goes on.

        All others are zero, or used anew.
        """
        return {
            name: array[:0] if name in _USED_ANEW else self._used(name, array)
            for name, array in self.to_arrays().items()
        }

    def _used(self, name: str, array: NDArray[Any]) -> NDArray[Any]:
        """Return the rows of a pool up to the highest that was ever used."""
        counters, clock = self.book.counters[0], self.clock[0]
        ends = {
            "book.orders": counters["top_order"],
            "book.levels": counters["top_level"],
            "book.nodes": counters["top_level"],
            "book.heap": counters["expiring"] + 1,
            "flight": clock["top_message"],
        }
        return array[: int(ends[name])] if name in ends else array


_LEFT_OUT = {
    "book.ids", "book.prices", "book.events", "places", "sorting", "buckets", "due", "outbox", "fundamental",
    "quotes", "me", "rng", "seen", "block_levels", "block_memory", "memory_of_strategies",
}  # fmt: skip
"""What follows from the rest, or is used anew in every step."""

_USED_ANEW = {"book.events", "places", "sorting", "buckets", "due", "quotes"}
"""Of these, what is empty between two steps once the recorder has been given it."""

_COLUMNS_LEFT_OUT = {
    "address", "due_count", "active", "cursor", "slot", "agent", "looked", "parameters", "repeat",
    "out_cursor", "events", "quotes", "quotes_every", "depth_every", "accounts_every", "block_start",
    "unused", "number", "inbox_number", "specification", "customers_step", "pause_at",
}  # fmt: skip


find_state = opener(State)
"""Give compiled code the state at an address."""
