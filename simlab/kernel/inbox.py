"""The one door: whatever comes from outside the loop waits here as plain rows, each with its step.

What waits is let in at the boundary before its step, in this order: populations that join or leave by plan,
news, shocks, then what came from outside the run (news, halts, messages, seats), each in the order in which
it came. A market that is fed the same entries does the same, so a journal of a session is its entries
written down.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlab.core.types import MESSAGE_DTYPE, MessageKind, SelfTrade, Side
from simlab.errors import SimlabError
from simlab.market.instruments import Instrument
from simlab.processes import NewsItem, Shock, ShockKind

__all__ = [
    "ENTRY",
    "MOST_ENTRIES",
    "Entry",
    "EntryKind",
    "Inbox",
    "Origin",
    "Text",
    "entry_of",
    "messages_in",
    "rows_of",
    "texts_from_json",
    "texts_to_json",
]

Text = NewsItem | Instrument
"""What is kept beside the rows."""

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
    """Account `target` is taken; one that was never taken begins with `amount` money units."""
    SEAT_GIVEN_BACK = 6
    """Account `target` is free again, its orders are cancelled."""
    INSTRUMENT = 7
    """The instrument `text` is added."""
    DELISTED = 8
    """Instrument `target` refuses orders for ever, and its orders are cancelled."""


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
_COLUMN = {name: "message_kind" if name == "kind" else name for name in MESSAGE_FIELDS}
"""Where a row keeps it."""


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
    text: Text | None = None


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
        self._written = _Written()
        self.number = number
        """The number of the next entry."""

    def __len__(self) -> int:
        return len(self._heap) + len(self._written)

    def put(self, kind: EntryKind, *, step: int, origin: Origin, **content: Any) -> Entry:
        """Add an entry; see `Entry` for its content.

        Raises
        ------
        SimlabError
            When too many wait.
        """
        self._require_room(1)
        entry = self.numbered(kind, step=step, origin=origin, **content)
        heapq.heappush(self._heap, entry)
        return entry

    def _require_room(self, count: int) -> None:
        if len(self) + count > MOST_ENTRIES:
            raise SimlabError(f"the inbox holds {MOST_ENTRIES} entries; let the market advance first")

    def numbered(self, kind: EntryKind, *, step: int, origin: Origin, **content: Any) -> Entry:
        """Return an entry with the next number, which does not wait here."""
        return Entry(step, origin, self.next_numbers(1), kind, **content)

    def next_numbers(self, count: int) -> int:
        """Return the first of some numbers that are given away now."""
        self.number += count
        return self.number - count

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
        """Take out what the run itself brings and is to be let in before `step`, in order."""
        found = []
        while self._heap and self._heap[0].step <= step:
            found.append(heapq.heappop(self._heap))
        return found

    def enter(self, rows: NDArray[np.void], texts: Sequence[Text], *, now: int) -> None:
        """Add what somebody wrote down of what came from outside; `now` is the next step. O(1).

        Raises
        ------
        SimlabError
            When it comes too late or too many wait. Rows that are not in the order of their steps are found
            when they are taken.
        """
        if not isinstance(rows, np.ndarray) or rows.dtype != ENTRY or rows.ndim != 1:
            raise SimlabError("entries must be a 1-D array of ENTRY, as a journal is told them")
        if not len(rows):
            return
        self._require_room(len(rows))
        self._written.add(rows, texts, now)

    def take_written(self, step: int) -> tuple[NDArray[np.void], Sequence[Text]]:
        """Take out what somebody wrote down for `step`: ``(n,) ENTRY``, and the texts that they count."""
        found = self._written.take(step)
        self.next_numbers(len(found[0]))
        return found

    @property
    def next_step(self) -> int | None:
        """The step of the first entry, or None."""
        steps = [self._heap[0].step] if self._heap else []
        steps += [self._written.next_step] if len(self._written) else []
        return min(steps, default=None)

    def to_rows(self) -> tuple[NDArray[np.void], list[Text]]:
        """Return all entries as ``(n,) ENTRY``, those from outside last, and the texts that they count."""
        rows, texts = rows_of(sorted(self._heap))
        written, more = self._written.waiting
        return np.concatenate([rows, _counted_from(written, len(texts))]), [*texts, *more]

    @classmethod
    def from_rows(cls, rows: NDArray[np.void], texts: list[Text], number: int) -> Inbox:
        """Return the inbox that `to_rows` wrote down."""
        outside = rows["origin"] == Origin.OUTSIDE
        inbox = cls((entry_of(row, texts) for row in rows[~outside]), number)
        if outside.any():
            inbox._written.add(rows[outside], texts, now=0)
        return inbox


class _Written:
    """Rows that somebody wrote down, in the order of their steps, until they are taken."""

    def __init__(self) -> None:
        self._rows, self._texts = np.zeros(0, ENTRY), list[Text]()
        self._steps = np.zeros(0, np.int64)
        self._taken = 0
        self._added: list[tuple[NDArray[np.void], Sequence[Text]]] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, rows: NDArray[np.void], texts: Sequence[Text], now: int) -> None:
        first = int(rows["step"][0])
        if first < now:
            raise SimlabError(
                f"an entry of step {first} comes too late: step {now} is next; replay what was written down"
                " before the market advances to it"
            )
        self._added.append((rows, texts))
        self._count += len(rows)

    @property
    def next_step(self) -> int:
        if self._taken < len(self._rows):
            return int(self._steps[self._taken])
        return int(self._added[0][0]["step"][0])

    @property
    def waiting(self) -> tuple[NDArray[np.void], list[Text]]:
        self._join()
        return self._rest()

    def _rest(self) -> tuple[NDArray[np.void], list[Text]]:
        """Return what is not taken of the joined rows, and no text that they do not count."""
        rows = self._rows[self._taken :]
        counted = rows["text"][rows["text"] >= 0]
        first = int(counted[0]) if len(counted) else len(self._texts)
        return _counted_from(rows, -first), self._texts[first:]

    def take(self, step: int) -> tuple[NDArray[np.void], Sequence[Text]]:
        if not self._count or self.next_step > step:
            return np.zeros(0, ENTRY), ()
        self._join()
        start, stop = self._taken, int(np.searchsorted(self._steps, step, "right"))
        self._taken, self._count = stop, self._count - (stop - start)
        return self._rows[start:stop], self._texts

    def _join(self) -> None:
        """Put all that was added into one table."""
        if not self._added:
            return
        rest, texts = self._rest()
        parts = [rest]
        for rows, more in self._added:
            parts.append(_counted_from(rows, len(texts)) if len(more) else rows)
            texts += more
        # plain bytes: a million short arrays of records would each have their type looked at
        self._rows = np.frombuffer(b"".join(map(np.ascontiguousarray, parts)), ENTRY)
        self._texts, self._taken, self._added = texts, 0, []
        self._steps = np.ascontiguousarray(self._rows["step"])
        if np.any(self._steps[1:] < self._steps[:-1]):
            raise SimlabError("entries are not in the order of their steps; replay them as they were written")


def _counted_from(rows: NDArray[np.void], first: int) -> NDArray[np.void]:
    """Return rows whose texts are counted from `first`."""
    if first:
        rows = rows.copy()
        rows["text"][rows["text"] >= 0] += first
    return rows


def rows_of(entries: Sequence[Entry]) -> tuple[NDArray[np.void], list[Text]]:
    """Return entries as ``(n,) ENTRY``, and the texts that they count."""
    rows = np.zeros(len(entries), ENTRY)
    texts: list[Text] = []
    for row, entry in zip(rows, entries, strict=True):
        for name in ("step", "number", "origin", "kind", "target", "amount"):
            row[name] = getattr(entry, name)
        for name, value in zip(MESSAGE_FIELDS, entry.message, strict=False):
            row[_COLUMN[name]] = value
        row["text"] = -1 if entry.text is None else len(texts)
        texts += [] if entry.text is None else [entry.text]
    return rows, texts


def entry_of(row: np.void, texts: Sequence[Text]) -> Entry:
    """Return the entry that a row describes."""
    kind = EntryKind(int(row["kind"]))
    message: tuple[int, ...] = ()
    if kind is EntryKind.MESSAGE:
        message = tuple(int(row[_COLUMN[name]]) for name in MESSAGE_FIELDS)
    return Entry(
        int(row["step"]), Origin(int(row["origin"])), int(row["number"]), kind, int(row["target"]),
        int(row["amount"]), message, texts[int(row["text"])] if row["text"] >= 0 else None,
    )  # fmt: skip


def messages_in(rows: NDArray[np.void]) -> NDArray[np.void]:
    """Return the messages that rows of that kind describe, ``(n,) MESSAGE_DTYPE``."""
    messages = np.zeros(len(rows), MESSAGE_DTYPE)
    for name in MESSAGE_FIELDS:
        messages[name] = rows[_COLUMN[name]]
    return messages


def texts_to_json(texts: Sequence[Text]) -> str:
    """Return news and instruments as JSON."""
    return json.dumps([[type(item).__name__, asdict(item)] for item in texts])


def texts_from_json(text: str | bytes) -> list[Text]:
    """Return what `texts_to_json` wrote."""
    return [_TEXTS[kind](**fields) for kind, fields in json.loads(text)]


def _instrument(**fields: Any) -> Instrument:
    """Return an instrument from what JSON kept of it."""
    given = {"price_band": tuple(fields["price_band"]), "self_trade": SelfTrade(fields["self_trade"])}
    return Instrument(**fields | given)


_TEXTS: dict[str, Any] = {"NewsItem": NewsItem, "Instrument": _instrument}
