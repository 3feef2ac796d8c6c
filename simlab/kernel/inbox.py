"""The one door: whatever comes from outside the loop waits here as plain rows, each with its step.

What waits is let in at the boundary before its step, in this order: populations that join or leave by plan,
news, shocks, then what came from outside the run (news, halts, messages, seats), each in the order in which
it came. A market that is fed the same entries does the same, so a journal of a session is its entries
written down.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlab.core.types import MessageKind, Side
from simlab.errors import SimlabError
from simlab.market.instruments import Instrument
from simlab.processes import NewsItem, Shock, ShockKind

__all__ = ["ENTRY", "MESSAGE_FIELDS", "MOST_ENTRIES", "Entry", "EntryKind", "Inbox", "Origin", "entry_of"]

MOST_ENTRIES = 1 << 20
"""Entries that may wait at once."""


class Origin(IntEnum):
    """Where an entry comes from; of one step, the lower enter first."""

    PLAN = 0
    NEWS = 1
    SHOCKS = 2
    OUTSIDE = 3


class EntryKind(IntEnum):
    """What an entry does when it is let in."""

    JOIN = 0
    """Population `target` begins to act."""
    LEAVE = 1
    """Population `target` stops to act and cancels its orders."""
    NEWS = 2
    """The item `text` is published."""
    HALT = 3
    """Instrument `target` (-1 for all) refuses orders for `amount` steps."""
    MESSAGE = 4
    """`message` is delivered."""
    SEAT_TAKEN = 5
    """Account `target` is taken."""
    SEAT_GIVEN_BACK = 6
    """Account `target` is free again, its orders are cancelled."""
    INSTRUMENT = 7
    """The instrument `text` is added."""


ENTRY = np.dtype(
    [
        ("step", "<i8"),
        ("number", "<i8"),
        ("origin", "u1"),
        ("kind", "u1"),
        ("message_kind", "u1"),
        ("side", "u1"),
        ("time_in_force", "u1"),
        ("post_only", "u1"),
        ("instrument", "<i4"),
        ("target", "<i8"),
        ("amount", "<i8"),
        ("order_id", "<i8"),
        ("account", "<i8"),
        ("price", "<i8"),
        ("quantity", "<i8"),
        ("expiry", "<i8"),
        ("text", "<i8"),
    ],
    align=True,
)
"""One entry as a row; `text` counts what is kept beside the rows, news and instruments, from 0, or is -1."""


MESSAGE_FIELDS = (
    "kind", "side", "time_in_force", "post_only", "instrument", "order_id", "account", "price", "quantity",
    "expiry",
)  # fmt: skip
"""What an entry keeps of a message, in this order."""


class Entry(NamedTuple):
    """One entry; of two, the one that is let in first is the smaller."""

    step: int
    origin: Origin
    number: int
    kind: EntryKind
    target: int = -1
    amount: int = 0
    message: tuple[int, ...] = ()
    """Its `MESSAGE_FIELDS`."""
    text: NewsItem | Instrument | None = None


class Inbox:
    """Keep entries until their step.

    Example
    -------
    >>> inbox = Inbox()
    >>> _ = inbox.put(EntryKind.HALT, step=7, origin=Origin.SHOCKS, target=0, amount=3)
    >>> [entry.kind.name for entry in inbox.take(7)], inbox.next_step
    (['HALT'], None)
    """

    def __init__(self, entries: Iterable[Entry] = (), number: int = 0) -> None:
        self._heap = sorted(entries)
        self.number = number
        """The number of the next entry."""

    def __len__(self) -> int:
        return len(self._heap)

    def __iter__(self) -> Iterator[Entry]:
        return iter(sorted(self._heap))

    def copy(self) -> Inbox:
        """Return an inbox with the same entries."""
        return Inbox(self._heap, self.number)

    def put(self, kind: EntryKind, *, step: int, origin: Origin, **content: Any) -> Entry:
        """Add an entry; see `Entry` for its content.

        Raises
        ------
        SimlabError
            When too many wait.
        """
        if len(self._heap) >= MOST_ENTRIES:
            raise SimlabError(f"the inbox holds {MOST_ENTRIES} entries; let the market advance first")
        entry = self.numbered(kind, step=step, origin=origin, **content)
        heapq.heappush(self._heap, entry)
        return entry

    def numbered(self, kind: EntryKind, *, step: int, origin: Origin, **content: Any) -> Entry:
        """Return an entry with the next number, which does not wait here."""
        self.number += 1
        return Entry(step, origin, self.number - 1, kind, **content)

    def put_news(self, item: NewsItem) -> None:
        """Add an item that the news process made."""
        self.put(EntryKind.NEWS, step=item.step, origin=Origin.NEWS, text=item)

    def put_shock(self, shock: Shock, populations: list[str], errors_account: int) -> None:
        """Add a shock; a fat finger trades from the account `errors_account`."""
        where = {"step": shock.step, "origin": Origin.SHOCKS}
        if shock.kind is ShockKind.HALT:
            self.put(EntryKind.HALT, **where, target=shock.instrument, amount=shock.duration)
        elif shock.kind is ShockKind.FAT_FINGER:
            order = (MessageKind.MARKET, Side(shock.side), 0, 0, shock.instrument, 0, errors_account, 0)
            self.put(EntryKind.MESSAGE, **where, message=(*order, shock.quantity, 0))
        else:
            kind = EntryKind.JOIN if shock.kind is ShockKind.JOIN else EntryKind.LEAVE
            self.put(kind, **where, target=populations.index(shock.population))

    def take(self, step: int) -> list[Entry]:
        """Take out what is to be let in before `step`, in order."""
        found = []
        while self._heap and self._heap[0].step <= step:
            found.append(heapq.heappop(self._heap))
        return found

    @property
    def next_step(self) -> int | None:
        """The step of the first entry, or None."""
        return self._heap[0].step if self._heap else None

    def enter(self, entries: Iterable[Entry]) -> None:
        """Add entries that somebody wrote down, in the order given, as coming from outside."""
        for entry in entries:
            content = entry._asdict() | {"origin": Origin.OUTSIDE}
            self.put(**{name: content[name] for name in content if name != "number"})

    def to_rows(self) -> tuple[NDArray[np.void], list[NewsItem | Instrument]]:
        """Return all entries as ``(n,) ENTRY`` in order, and the texts that they count."""
        rows = np.zeros(len(self._heap), ENTRY)
        texts: list[NewsItem | Instrument] = []
        for row, entry in zip(rows, sorted(self._heap), strict=True):
            for name in ("step", "number", "origin", "kind", "target", "amount"):
                row[name] = getattr(entry, name)
            for name, value in zip(MESSAGE_FIELDS, entry.message, strict=False):
                row["message_kind" if name == "kind" else name] = value
            row["text"] = -1 if entry.text is None else len(texts)
            texts += [] if entry.text is None else [entry.text]
        return rows, texts

    @classmethod
    def from_rows(cls, rows: NDArray[np.void], texts: list[NewsItem | Instrument], number: int) -> Inbox:
        """Return the inbox that `to_rows` wrote down."""
        return cls((entry_of(row, texts) for row in rows), number)


def entry_of(row: np.void, texts: list[NewsItem | Instrument]) -> Entry:
    """Return the entry that a row describes."""
    kind = EntryKind(int(row["kind"]))
    message: tuple[int, ...] = ()
    if kind is EntryKind.MESSAGE:
        message = tuple(int(row["message_kind" if name == "kind" else name]) for name in MESSAGE_FIELDS)
    return Entry(
        int(row["step"]), Origin(int(row["origin"])), int(row["number"]), kind, int(row["target"]),
        int(row["amount"]), message, texts[int(row["text"])] if row["text"] >= 0 else None,
    )  # fmt: skip
