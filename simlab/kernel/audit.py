"""Check that a market's books add up exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from simlab.core.types import Side
from simlab.engine.compiled.arrays import K_ACCOUNT, K_LEVEL, L_PRICE, O_QUANTITY
from simlab.engine.compiled.tables import L_LIST
from simlab.errors import SimlabError
from simlab.market import ledger as m

if TYPE_CHECKING:
    from simlab.kernel.simulation import Simulation

__all__ = ["audit"]


def audit(simulation: Simulation) -> None:
    """Raise SimlabError at the first wrong sum: cash, inventory, each account's identity, reserves."""
    ledger, count = simulation.ledger, len(simulation.instruments)
    positions = ledger.positions.reshape(-1, count, 8)
    cash, lots, cost = _starting(simulation)
    _compare("sum of cash, money units", ledger.accounts[:, m.C_CASH].sum(), cash.sum())
    for i, instrument in enumerate(simulation.instruments):
        held = positions[:, i, m.P_INVENTORY].sum()
        _compare(f"sum of inventory of {instrument.name}, lots", held, lots[:, i].sum())
    wealth = (
        ledger.accounts[:, m.C_CASH]
        + positions[:, :, m.P_COST].sum(axis=1)
        + ledger.accounts[:, m.C_FEES]
        - positions[:, :, m.P_REALISED].sum(axis=1)
    )
    wrong = np.flatnonzero(wealth != cash + cost)
    if len(wrong):
        name = simulation.agent_name(int(wrong[0]))
        _compare(f"cash + cost + fees - realised of {name}", wealth[wrong[0]], (cash + cost)[wrong[0]])
    _check_reserves(simulation)


def _compare(what: str, found: int, expected: int) -> None:
    if found != expected:
        raise SimlabError(
            f"audit failed: {what} is {found}, it should be {expected}; this is a fault of simlab, please "
            "report it with the configuration"
        )


def _starting(simulation: Simulation) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what all accounts began with: cash (n,), lots (n, m), cost (n,)."""
    total, count = len(simulation.ledger.accounts), len(simulation.instruments)
    numbers = {item.name: i for i, item in enumerate(simulation.instruments)}
    cash, cost = np.zeros(total, np.int64), np.zeros(total, np.int64)
    lots = np.zeros((total, count), np.int64)
    first = 0
    for population in simulation.populations:
        rows = slice(first, first + population.count)
        cash[rows] = population.account.cash
        for name, held in population.account.inventory:
            item = simulation.instruments[numbers[name]]
            lots[rows, numbers[name]] = held
            cost[rows] += held * item.initial_price * item.multiplier
        first += population.count
    return cash, lots, cost


def _check_reserves(simulation: Simulation) -> None:
    """Compare what accounts hold in reserve with what their resting orders may use."""
    book, ledger, count = simulation.book, simulation.ledger, len(simulation.instruments)
    rows = book.ids[book.ids != 0]
    level = book.links[rows, K_LEVEL]
    side_list = book.levels[level, L_LIST]
    instrument, side = side_list >> 1, side_list & 1
    account, quantity = book.links[rows, K_ACCOUNT].astype(np.int64), book.orders[rows, O_QUANTITY]
    cell = account * count + instrument
    for wanted, column in ((Side.BUY, m.P_OPEN_BUY), (Side.SELL, m.P_OPEN_SELL)):
        resting = np.zeros(len(ledger.positions), np.int64)
        np.add.at(resting, cell[side == wanted], quantity[side == wanted])
        if not np.array_equal(resting, ledger.positions[:, column]):
            bad = int(np.flatnonzero(resting != ledger.positions[:, column])[0])
            name = simulation.agent_name(bad // count)
            _compare(
                f"lots on order ({wanted.name.lower()}) of {name}",
                ledger.positions[bad, column],
                resting[bad],
            )
    terms = ledger.instruments
    buys = side == Side.BUY
    notional = book.levels[level, L_PRICE] * terms[instrument, m.I_MULTIPLIER]
    ppm = np.maximum(0, terms[instrument][:, [m.I_MAKER_PPM, m.I_TAKER_PPM]].max(axis=1, initial=0))
    unit = notional - (-(notional // 1_000_000 * ppm * 1_000_000 + notional % 1_000_000 * ppm) // 1_000_000)
    reserved = np.zeros(len(ledger.accounts), np.int64)
    np.add.at(reserved, account[buys], (quantity * unit)[buys])
    wrong = np.flatnonzero(reserved != ledger.accounts[:, m.C_RESERVED])
    if len(wrong):
        name = simulation.agent_name(int(wrong[0]))
        _compare(f"reserved cash of {name}", ledger.accounts[wrong[0], m.C_RESERVED], reserved[wrong[0]])
