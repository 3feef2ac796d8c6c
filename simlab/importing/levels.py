"""Compare the best levels of a book with those a venue showed, row by row of its file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlab.core.types import EventKind, Side

__all__ = ["Shown", "ShownLevels"]

_Side = list[tuple[int, int]]


class Shown(NamedTuple):
    """The levels a venue showed after one row of a file: (price, lots), best first, without empty ones.

    `levels` is how many the file has on each side.
    """

    bids: _Side
    asks: _Side
    levels: int


class ShownLevels:
    """Feed events to a book and compare it with the levels after every row.

    An event may stand for several rows: those of one aggressor's executions, and rows that change nothing.
    The rows before its last are compared with the book after each message and each fill of it, in order.

    Attributes
    ----------
    rows, rows_equal : int
        Rows compared so far, and those equal in all levels but the last (in the only one, if it is one).
    equal : bool
        Whether all rows of the latest event were equal.
    """

    def __init__(self, book: Any, shown: Iterable[Shown]) -> None:
        self._book = book
        self._shown = iter(shown)
        self._line = 0
        self.rows = self.rows_equal = 0
        self.equal = True

    def process(self, batch: NDArray[np.void], line: int) -> NDArray[np.void]:
        """Apply the messages of the event that ends with a row; return their events."""
        rows = [next(self._shown) for _ in range(line - self._line)]
        self._line = line
        if len(rows) < 2:
            answers = self._book.process(batch)
            self._compare(rows, [])
            return answers
        before = self._states(rows[0])
        answers = [self._one(batch[i : i + 1], rows[0], before) for i in range(len(batch))]
        self._compare(rows, before)
        return np.concatenate(answers) if answers else self._book.process(batch)

    def finish(self) -> None:
        """Compare the rows after the last event."""
        rows = list(self._shown)
        if rows:
            self._compare(rows, self._states(rows[0]))

    def _compare(self, rows: list[Shown], states: list[tuple[_Side, _Side]]) -> None:
        if rows:
            states = [*states, self._top(rows[-1], 0)]
        at, wrong = 0, 0
        for row in rows:
            depth = _compared(row)
            wanted = (row.bids[:depth], row.asks[:depth])
            found = next((i for i in range(at, len(states)) if states[i] == wanted), None)
            wrong += found is None or (row is rows[-1] and states[-1] != wanted)
            at = at if found is None else found
        self.rows += len(rows)
        self.rows_equal += len(rows) - wrong
        self.equal = not wrong

    def _states(self, row: Shown) -> list[tuple[_Side, _Side]]:
        return [self._top(row, 0)]

    def _top(self, row: Shown, more: int) -> tuple[_Side, _Side]:
        depth = _compared(row) + more
        bids, asks = (self._book.snapshot(side, depth=depth) for side in (Side.BUY, Side.SELL))
        return [(it.price, it.quantity) for it in bids], [(it.price, it.quantity) for it in asks]

    def _one(self, message: NDArray[np.void], row: Shown, states: list[tuple[_Side, _Side]]) -> Any:
        """Apply one message; append the book after each of its fills, and after all."""
        deep = self._top(row, 16)
        answers = self._book.process(message).copy()
        fills = answers[answers["kind"] == EventKind.FILL]
        for fill in fills[:-1]:
            side = deep[1 if fill["side"] == Side.BUY else 0]
            _take(side, int(fill["price"]), int(fill["quantity"]))
            depth = _compared(row)
            states.append((deep[0][:depth], deep[1][:depth]))
        states.append(self._top(row, 0))
        return answers


def _compared(row: Shown) -> int:
    return max(row.levels - 1, 1)


def _take(side: _Side, price: int, quantity: int) -> None:
    for i, (at, lots) in enumerate(side):
        if at == price:
            side[i : i + 1] = [(at, lots - quantity)] if lots > quantity else []
            return
