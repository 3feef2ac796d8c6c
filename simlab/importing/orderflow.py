"""Derive what participants sent from what a venue recorded about one event of its matching.

A market-by-order feed tells how the book changed, not which order changed it. Within one event:

- an aggressor that traded and did not rest sent a limit order, immediate or cancel, of the traded
  quantity at the worst price it traded at;
- one that an add follows sent a limit order of the traded quantity and the remainder, at the add's price;
- one that has a fill of its own rested before: it modified its price to a marketable one;
- a cancel of an order that did not trade is sent first: the venue's self-trade prevention removed it
  before it could trade;
- a resting order that trades more than it showed has a hidden part (an iceberg): the next part is sent
  as a new order with the same id, last in the queue, and the aggressor is split around it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from simlab.core.types import MessageKind, Side, TimeInForce
from simlab.importing.recorded_book import Record, RecordedBook
from simlab.importing.table import Message

__all__ = ["FRESH_ID", "passive_fills", "translate_event"]

FRESH_ID = 0
"""Order id of a message whose sender the venue does not name; the importer puts an unused id there."""


@dataclass
class _Aggressor:
    order_id: int
    side: Side
    rested: bool = False
    traded: int = 0
    fills: list[Record] = field(default_factory=list)


def translate_event(
    records: list[Record], book: RecordedBook, event_index: int, skipped: Counter[str]
) -> list[Message]:
    """Turn the records of one event into the messages that cause them.

    Parameters
    ----------
    records : list of Record
        All records of the event, in order.
    book : RecordedBook
        The book before the event; it is not changed.
    event_index : int
        Put into the messages.
    skipped : Counter
        Counts records that give no message, by reason.

    Returns
    -------
    list of Message
        Prices in the records' own unit; an order id may be `FRESH_ID`.

    Example
    -------
    >>> record = Record(1, 0, "A", Side.BUY, price=100, size=5, order_id=7, last=True)
    >>> translate_event([record], RecordedBook(), 0, Counter())[0].quantity
    5
    """
    clears = [i for i, record in enumerate(records) if record.action == "R"]
    if not clears:
        return _Translation(records, book, event_index, skipped).run()
    time_ns = records[-1].time_ns
    messages = [
        Message(time_ns, event_index, int(MessageKind.CANCEL), int(order.side), 0, 0, 0, order_id)
        for order_id, order in book.in_priority()
    ]
    after = records[clears[-1] + 1 :]
    if after:
        messages += _Translation(after, RecordedBook(), event_index, skipped).run()
    return messages


def passive_fills(records: list[Record]) -> list[Record]:
    """Return the fills of resting orders in one event: all but an aggressor's own."""
    found = []
    aggressor = None
    for record in records:
        if record.action == "T":
            aggressor = record.order_id
        elif record.action == "F" and record.order_id != aggressor:
            found.append(record)
    return found


def _aggressors(records: list[Record], skipped: Counter[str]) -> list[_Aggressor]:
    """Group trades by aggressor; a trade's fills follow it in the file."""
    found: list[_Aggressor] = []
    current: _Aggressor | None = None
    for record in records:
        if record.action == "T":
            current = _join_trade(record, found, skipped)
        elif record.action == "F":
            _join_fill(record, current, skipped)
    for aggressor in found:
        if aggressor.traded != sum(fill.size for fill in aggressor.fills):
            skipped["trade in part or whole against orders that the feed does not show"] += 1
    return [aggressor for aggressor in found if aggressor.fills]


def _join_trade(record: Record, found: list[_Aggressor], skipped: Counter[str]) -> _Aggressor | None:
    if record.side is None:
        skipped["trade without an aggressor's side (auction or off the book)"] += 1
        return None
    if not found or found[-1].order_id != record.order_id or found[-1].side != record.side:
        found.append(_Aggressor(record.order_id, record.side))
    found[-1].traded += record.size
    return found[-1]


def _join_fill(record: Record, current: _Aggressor | None, skipped: Counter[str]) -> None:
    if current is None:
        skipped["fill without an aggressor's side (auction or off the book)"] += 1
    elif record.order_id == current.order_id:
        current.rested = True
    else:
        current.fills.append(record)


class _Translation:
    """Translate one event: the messages so far, and what is left of the resting orders it touches.

    `sizes` is what the records say is left of an order, `shown` what the messages sent so far leave of it;
    a message is due where they differ.
    """

    def __init__(
        self, records: list[Record], book: RecordedBook, event_index: int, skipped: Counter[str]
    ) -> None:
        self.records = records
        self.event_index = event_index
        self.messages: list[Message] = []
        self.aggressors = _aggressors(records, skipped)
        self.arrived = {aggressor.order_id for aggressor in self.aggressors}
        self.fills_left = Counter(fill.order_id for a in self.aggressors for fill in a.fills)
        self.before = {r.order_id: book.orders[r.order_id] for r in records if r.order_id in book.orders}
        self.sizes = Counter({order_id: order.size for order_id, order in self.before.items()})
        self.shown = self.sizes.copy()

    def run(self) -> list[Message]:
        changes = [r for r in self.records if r.action in "ACM" and r.order_id not in self.arrived]
        first = [r for r in changes if self._goes_first(r)]
        for record in first:
            self._cancel(record)
        for aggressor in self.aggressors:
            self._aggress(aggressor)
        for record in changes:
            if record.action == "C" and record not in first:
                self._cancel(record)
            elif record.action != "C":
                self._change(record)
        return self.messages

    def _send(
        self, kind: MessageKind, side: Side, price: int, quantity: int, order_id: int, *, ioc: bool = False
    ) -> None:
        time_in_force = int(TimeInForce.IOC if ioc else TimeInForce.GTC)
        row = (int(kind), int(side), time_in_force, price, quantity, order_id)
        self.messages.append(Message(self.records[-1].time_ns, self.event_index, *row))

    def _goes_first(self, record: Record) -> bool:
        untouched = record.order_id in self.before and record.order_id not in self.fills_left
        return record.action == "C" and untouched

    def _cancel(self, record: Record) -> None:
        order_id = record.order_id
        if not self.sizes[order_id]:
            return
        self.sizes[order_id] = left = max(self.sizes[order_id] - record.size, 0)
        if self.shown[order_id] == left:
            return
        kind = MessageKind.REPLACE if left else MessageKind.CANCEL
        self._send(kind, record.known_side(), record.price if left else 0, left, order_id)
        self.shown[order_id] = left

    def _last_of(self, order_id: int) -> Record | None:
        """Return the add or modify that says what is left of an order after the event, if any is."""
        found = [r for r in self.records if r.order_id == order_id and r.action in "ACM"]
        return found[-1] if found and found[-1].action != "C" else None

    def _aggress(self, aggressor: _Aggressor) -> None:
        """Take what was shown, show the hidden parts that traded too, then take those and rest."""
        replaces = aggressor.rested and aggressor.order_id in self.before
        kind = MessageKind.REPLACE if replaces else MessageKind.LIMIT
        hidden = self._hidden_parts(aggressor)
        shown = sum(fill.size for fill in aggressor.fills) - sum(hidden.values())
        left = self._last_of(aggressor.order_id)
        price = left.price if left else aggressor.fills[-1].price
        if hidden and shown:
            self._take(kind, aggressor, price, shown)
            kind = MessageKind.LIMIT
        self._show(aggressor, hidden)
        quantity = sum(hidden.values()) or shown
        if left is None:
            self._take(kind, aggressor, price, quantity)
        else:
            self._send(kind, aggressor.side, price, quantity + left.size, aggressor.order_id)

    def _take(self, kind: MessageKind, aggressor: _Aggressor, price: int, quantity: int) -> None:
        self._send(kind, aggressor.side, price, quantity, aggressor.order_id, ioc=kind == MessageKind.LIMIT)

    def _hidden_parts(self, aggressor: _Aggressor) -> dict[int, int]:
        """Return by order id the lots that traded beyond what the order showed."""
        hidden: Counter[int] = Counter()
        for fill in aggressor.fills:
            taken = min(fill.size, self.shown[fill.order_id])
            self.shown[fill.order_id] -= taken
            self.fills_left[fill.order_id] -= 1
            if fill.size > taken:
                hidden[fill.order_id] += fill.size - taken
        return dict(hidden)

    def _show(self, aggressor: _Aggressor, hidden: dict[int, int]) -> None:
        for order_id, traded in hidden.items():
            price = next(fill.price for fill in aggressor.fills if fill.order_id == order_id)
            left = None if self.fills_left[order_id] else self._last_of(order_id)
            self.shown[order_id] = left.size if left else 0
            size = traded + self.shown[order_id]
            self._send(MessageKind.LIMIT, Side(1 - aggressor.side), price, size, order_id)

    def _change(self, record: Record) -> None:
        """Send what an add or modify asks beyond what the trades did already."""
        order_id = record.order_id
        before = self.before.get(order_id)
        if before is not None and order_id in self.fills_left:
            self.sizes[order_id] = record.size
            if self.shown[order_id] == record.size and before.price == record.price:
                return
        kind = MessageKind.REPLACE if self.shown[order_id] else MessageKind.LIMIT
        self._send(kind, record.known_side(), record.price, record.size, order_id)
        self.sizes[order_id] = self.shown[order_id] = record.size
