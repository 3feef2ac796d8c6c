"""Keep what an agent remembers: its decisions with their outcomes, its notes, its trades, what its lots cost.

All of it is plain data and bounded, so that it is saved and forked with the run and ten thousand decisions
take no more than ten.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from simlab.agents.hosts import Fill

__all__ = ["MAX_TRADES", "Deed", "Entry", "Memory", "Position", "side_of", "worth"]

MAX_TRADES = 64
"""Own trades that an agent remembers."""


@dataclass
class Deed:
    """One thing done, in words; of an order its id, lots, and what has become of it."""

    text: str
    order_id: int = 0
    quantity: int = 0
    filled: int = 0
    paid: int = 0
    """Sum of price times lots of the fills that were seen."""
    seen: int = 0
    """Lots of the fills that were seen."""
    resting: bool = False
    cancelled: bool = False

    @property
    def outcome(self) -> str:
        """What has become of an order, in a few words."""
        if not self.order_id:
            return ""
        price = f" at {_price(self.paid / self.seen)}" if self.seen else ""
        filled = f"filled {self.filled} of {self.quantity}{price}" if self.filled else "nothing filled"
        if self.filled >= self.quantity:
            return filled
        if self.cancelled:
            return f"{filled}, cancelled"
        return f"{filled}, {'resting' if self.resting else 'not in the book'}"


@dataclass
class Entry:
    """One decision: what was done and why, or why somebody else had to decide."""

    step: int
    deeds: list[Deed]
    reason: str = ""
    fallback: str = ""


@dataclass
class Position:
    """What an agent's lots of an instrument cost on average, price units, by the fills it has seen."""

    lots: int = 0
    average: float = 0.0

    def add(self, quantity: int, price: float) -> None:
        """Book a fill, `quantity` positive if bought; what closes a position leaves its average as it is."""
        lots = self.lots + quantity
        if self.lots * quantity >= 0:
            self.average = (self.average * self.lots + price * quantity) / lots if lots else 0.0
        elif lots * self.lots < 0:
            self.average = price
        elif lots == 0:
            self.average = 0.0
        self.lots = lots


@dataclass
class Memory:
    """What one agent remembers.

    Parameters
    ----------
    window : int
        Decisions kept.
    notes_kept : int
    """

    window: int
    notes_kept: int
    entries: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    trades: deque[tuple[str, Fill]] = field(default_factory=lambda: deque(maxlen=MAX_TRADES))
    positions: dict[int, Position] = field(default_factory=dict)
    worth: float | None = None
    """Cash and lots at mid prices when it first looked, money units."""
    looked: int = -1

    def look(self, observation: Any, i: int) -> None:
        """Take in what has happened to the agent since it last looked."""
        deeds = {it.order_id: it for entry in self.entries for it in entry.deeds if it.order_id}
        for it in deeds.values():
            it.resting = False
        for place, name in enumerate(observation.instruments):
            self._book(observation, i, place, name, deeds)
            for order in observation.resting(i, place):
                deed = deeds.get(order.order_id)
                if deed is not None:
                    deed.resting, deed.filled = True, max(0, deed.quantity - order.quantity)
        if self.worth is None:
            self.worth = worth(observation, i)
        self.looked = int(observation.step)

    def _book(self, observation: Any, i: int, place: int, name: str, deeds: dict[int, Deed]) -> None:
        held = int(observation.inventory[i, place])
        fills = observation.own_fills(i, place)
        if place not in self.positions or self.worth is None:
            # what was there at the beginning is taken at the price of that time
            before = held - sum(it.quantity for it in fills)
            self.positions[place] = Position(before, float(observation.mid[place]) if before else 0.0)
        position = self.positions[place]
        missed = held - position.lots - sum(it.quantity for it in fills)
        if missed:  # only the latest fills are told; the others are taken at the price of those
            position.add(missed, fills[0].price if fills else float(observation.mid[place]))
        for fill in fills:
            position.add(fill.quantity, fill.price)
            self.trades.append((name, fill))
            deed = deeds.get(fill.order_id)
            if deed is not None:
                deed.filled = min(deed.quantity, deed.filled + abs(fill.quantity))
                deed.seen += abs(fill.quantity)
                deed.paid += abs(fill.quantity) * fill.price

    def remember(self, entry: Entry) -> None:
        """Keep a decision, and forget the oldest beyond the window."""
        self.entries.append(entry)
        del self.entries[: max(0, len(self.entries) - self.window)]

    def cancelled(self, order_id: int | None = None) -> None:
        """Mark an own order, or all that rest, as cancelled by the agent."""
        for entry in self.entries:
            for deed in entry.deeds:
                if deed.order_id and (deed.order_id == order_id or (order_id is None and deed.resting)):
                    deed.cancelled = True

    def note(self, text: str) -> None:
        """Keep a note, and forget the oldest beyond their number."""
        if text:
            self.notes.append(text)
            del self.notes[: max(0, len(self.notes) - self.notes_kept)]


def worth(observation: Any, i: int) -> float:
    """Return an agent's cash and lots at mid prices, money units."""
    values = observation.inventory[i] * observation.mid * observation.multiplier
    return float(observation.cash[i]) + float(values.sum())


def side_of(quantity: int) -> str:
    """Return ``bought`` or ``sold``, of a fill's signed lots."""
    return "bought" if quantity > 0 else "sold"


def _price(value: float) -> str:
    return f"{value:.0f}" if value == int(value) else f"{value:.2f}"
