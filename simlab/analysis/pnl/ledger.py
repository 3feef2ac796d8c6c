"""Book fills a second time, from the recording alone, as `simlab.market.ledger` did during the run.

It is written anew rather than imported: reading a recording needs no simulator, and each checks the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from simlab.analysis.pnl.fills import (
    F_INSTRUMENT,
    F_MAKER,
    F_PRICE,
    F_QUANTITY,
    F_STEP,
    F_TAKER,
    T_MAKER_PPM,
    T_MULTIPLIER,
    T_TAKER_PPM,
    Fills,
)
from simlab.analysis.tables import require_steps
from simlab.core.jit import jit, jit_inline

__all__ = ["Ledger", "fee", "grid_of", "walk"]

Int64 = NDArray[np.int64]

# positions: (accounts * instruments, 3) int64; lots, money units, money units
P_INVENTORY, P_COST, P_REALISED = range(3)
# accounts: (accounts, 6) int64; cash and fees since the start, money units
A_CASH, A_FEES, A_FILLS, A_VOLUME, A_MAKER_VOLUME, A_NOTIONAL = range(6)

_GRID_POINTS = 500
_MILLION = 1_000_000


def fee(notional: Int64, ppm: Int64) -> Int64:
    """Return ``ceil(notional * ppm / 1e6)`` without overflow, money units: the fee of one side of a fill.

    Example
    -------
    >>> fee(np.array([999_900, 999_900]), np.array([30, -20])).tolist()
    [30, -19]
    """
    whole = notional // _MILLION
    return whole * ppm - (-((notional - whole * _MILLION) * ppm)) // _MILLION


_fee = jit_inline(fee)


@jit_inline
def _share(cost, part, whole):
    """Return ``floor(cost * part / whole)`` without overflow for lots below 2**31."""
    each = cost // whole
    return each * part + ((cost - each * whole) * part) // whole


@jit_inline
def _move(positions, row, signed, unit):
    """Book `signed` lots at `unit` money units a lot; closing takes out its share of cost, rounded down."""
    inventory, cost = positions[row, P_INVENTORY], positions[row, P_COST]
    positions[row, P_INVENTORY] = inventory + signed
    if inventory == 0 or (inventory > 0) == (signed > 0):
        positions[row, P_COST] = cost + signed * unit
        return
    held = abs(inventory)
    closed = min(held, abs(signed))
    back = closed if inventory > 0 else -closed
    removed = _share(cost, closed, held)
    positions[row, P_REALISED] += back * unit - removed
    positions[row, P_COST] = cost - removed + (signed + back) * unit


@jit_inline
def _book_side(accounts, account, signed, unit, paid):
    """Book cash, the fee and the counts of one side of a fill."""
    accounts[account, A_CASH] -= signed * unit + paid
    accounts[account, A_FEES] += paid
    accounts[account, A_FILLS] += 1
    accounts[account, A_VOLUME] += abs(signed)
    accounts[account, A_NOTIONAL] += abs(signed) * unit


@jit
def _book(fills, terms, instruments, positions, accounts, fee_account):
    """Book fills in their order: the taker, the maker, then the fee account if there is one (not -1).

    `terms` has a row a fill, `instruments` is their number.
    """
    for i in range(fills.shape[0]):
        instrument, signed = fills[i, F_INSTRUMENT], fills[i, F_QUANTITY]
        taker, maker = fills[i, F_TAKER], fills[i, F_MAKER]
        unit = fills[i, F_PRICE] * terms[i, T_MULTIPLIER]
        notional = abs(signed) * unit
        taker_fee = _fee(notional, terms[i, T_TAKER_PPM])
        maker_fee = _fee(notional, terms[i, T_MAKER_PPM])
        _book_side(accounts, taker, signed, unit, taker_fee)
        _move(positions, taker * instruments + instrument, signed, unit)
        _book_side(accounts, maker, -signed, unit, maker_fee)
        _move(positions, maker * instruments + instrument, -signed, unit)
        accounts[maker, A_MAKER_VOLUME] += abs(signed)
        if fee_account >= 0:
            accounts[fee_account, A_CASH] += taker_fee + maker_fee
            accounts[fee_account, A_FEES] -= taker_fee + maker_fee


class Ledger:
    """The accounts of all agents, booked from fills as `simlab.market.ledger` does it.

    Attributes
    ----------
    positions : (accounts, instruments, 3) int64
        Inventory (lots), cost and realised P&L (money units).
    accounts : (accounts, 6) int64
        Since the start: cash and fees (money units), fills, volume, volume as maker (lots), notional (money
        units).
    last_step : int
        Step of the latest fill, -1 before the first.
    """

    def __init__(self, source: Fills) -> None:
        self._source = source
        self._unit = source.initial_marks // 2 * source.terms[:, T_MULTIPLIER]
        self.positions = np.zeros((*source.initial_inventory.shape, 3), np.int64)
        self.positions[:, :, P_INVENTORY] = source.initial_inventory
        self.positions[:, :, P_COST] = source.initial_inventory * self._unit
        self.accounts = np.zeros((len(source.agents), 6), np.int64)
        self.last_step = -1

    def book(self, fills: Int64) -> None:
        """Book fills, which come after all those booked before."""
        if len(fills):
            self.last_step = int(fills[-1, F_STEP])
            rows = self.positions.reshape(-1, 3)
            terms, count = self._source.terms_of(fills), len(self._source.terms)
            _book(fills, terms, count, rows, self.accounts, self._source.fee_account)

    def snapshot(self, marks: Int64) -> Int64:
        """Return what every account has gained since the start, with positions at these marks.

        Parameters
        ----------
        marks : (instruments,) int64, half price units

        Returns
        -------
        (accounts, 5) int64, half money units
            Change of cash, change of the inventory's value, realised, unrealised P&L and fees.
        """
        value = self.positions[:, :, P_INVENTORY] @ (marks * self._source.terms[:, T_MULTIPLIER])
        at_start = 2 * self._source.initial_inventory @ self._unit
        cost, realised = (2 * self.positions[:, :, c].sum(axis=1) for c in (P_COST, P_REALISED))
        cash, fees = 2 * self.accounts[:, A_CASH], 2 * self.accounts[:, A_FEES]
        return np.stack([cash, value - at_start, realised, value - cost, fees], axis=1)


def grid_of(steps: int, every: int | None, points: int = _GRID_POINTS) -> Int64:
    """Return the steps at whose end P&L is taken: each `every` th and the last; about `points` by default.

    Example
    -------
    >>> grid_of(10, 4).tolist()
    [3, 7, 9]
    """
    if every is None:
        every = max(1, -(-steps // max(1, points)))
    require_steps(every, "every", 1)
    grid = np.arange(every - 1, steps, every)
    return grid if len(grid) and grid[-1] == steps - 1 else np.append(grid, steps - 1)


def walk(source: Fills, ledger: Ledger, grid: Iterable[int]) -> Iterator[int]:
    """Book all fills, and stop at the end of every step of a grid, so that the ledger can be looked at.

    Fills after the last step of the grid are booked before that stop.

    Example
    -------
    >>> source = Fills(trades, quotes, agents, instruments)  # doctest: +SKIP
    >>> ledger = Ledger(source)  # doctest: +SKIP
    >>> for step in walk(source, ledger, grid_of(source.steps, 100)):  # doctest: +SKIP
    ...     print(step, ledger.snapshot(source.marks(step))[:, :2].sum(axis=1) / 2)
    """
    stops = np.asarray(list(grid), np.int64)
    done = 0
    for fills in source:
        start = 0
        for cut in np.searchsorted(fills[:, F_STEP], stops[done:-1], side="right"):
            if cut == len(fills):
                break  # the next batch may have fills of the same step
            ledger.book(fills[start:cut])
            yield int(stops[done])
            done, start = done + 1, int(cut)
        ledger.book(fills[start:])
    for step in stops[done:]:
        yield int(step)
