"""Check that the accounts of a market add up exactly."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.core.types import Side
from simlab.errors import SimlabError
from simlab.kernel.spec import SimulationSpec
from simlab.kernel.state import State

__all__ = ["audit", "reserved_cash", "resting_orders"]


def audit(spec: SimulationSpec, state: State) -> None:
    """Raise SimlabError at the first wrong sum: cash, inventory, each account's identity, reserves."""
    accounts, count = state.ledger.accounts, len(spec.instruments)
    positions = state.ledger.positions.reshape(-1, count)
    cash, lots, cost = _starting(spec, len(accounts))
    cash[: spec.agents] += state.granted
    _compare("sum of cash, money units", _sum(accounts["cash"]), _sum(cash))
    for i, instrument in enumerate(spec.instruments):
        held = _sum(positions["inventory"][:, i])
        _compare(f"sum of inventory of {instrument.name}, lots", held, _sum(lots[:, i]))
    wealth = (
        accounts["cash"]
        + positions["cost"].sum(axis=1)
        + accounts["fees"]
        - positions["realised"].sum(axis=1)
    )
    _compare_each(spec, "cash + cost + fees - realised", wealth, cash + cost)
    _check_reserves(spec, state)


def _sum(numbers: NDArray[np.int64]) -> int:
    """Sum without wrapping: the halves of the words apart, in Python's own integers."""
    return (int((numbers >> 32).sum()) << 32) + int((numbers & 0xFFFFFFFF).sum())


def _compare(what: str, found: int, expected: int) -> None:
    if found != expected:
        raise SimlabError(
            f"audit failed: {what} is {found}, it should be {expected}; this is a fault of simlab, please "
            "report it with the configuration"
        )


def _compare_each(spec: SimulationSpec, what: str, found: NDArray[Any], expected: NDArray[Any]) -> None:
    wrong = np.flatnonzero(found != expected)
    if len(wrong):
        account = int(wrong[0])
        _compare(f"{what} of {spec.account_name(account)}", found[account], expected[account])


def _starting(spec: SimulationSpec, total: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return what all accounts began with: cash (n,), lots (n, m), cost (n,)."""
    numbers = {item.name: i for i, item in enumerate(spec.instruments)}
    cash, cost = np.zeros(total, np.int64), np.zeros(total, np.int64)
    lots = np.zeros((total, len(numbers)), np.int64)
    first = 0
    for population in spec.populations:
        rows = slice(first, first + population.count)
        cash[rows] = population.account.cash
        for name, held in population.account.inventory:
            item = spec.instruments[numbers[name]]
            lots[rows, numbers[name]] = held
            cost[rows] += held * item.initial_price * item.multiplier
        first += population.count
    return cash, lots, cost


def _check_reserves(spec: SimulationSpec, state: State) -> None:
    """Compare what accounts hold in reserve with what their resting orders may use."""
    ledger, count = state.ledger, len(spec.instruments)
    resting, instrument, side = resting_orders(state)
    account, quantity = resting["account"].astype(np.int64), resting["quantity"]
    for wanted, column in ((Side.BUY, "open_buy"), (Side.SELL, "open_sell")):
        lots = np.zeros(len(ledger.positions), np.int64)
        mine = side == wanted
        np.add.at(lots, account[mine] * count + instrument[mine], quantity[mine])
        for i, item in enumerate(spec.instruments):
            what = f"lots on order ({wanted.name.lower()}) in {item.name}"
            _compare_each(spec, what, ledger.positions[column][i::count], lots[i::count])
    _compare_each(spec, "reserved cash", ledger.accounts["reserved"], reserved_cash(state))


def resting_orders(state: State) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows of all orders that rest, and the instrument and side of each."""
    book = state.book
    resting = book.orders[book.ids["row"][book.ids["row"] != 0]]
    instrument, side = np.divmod(book.nodes["side_list"][resting["level"]].astype(np.int64), 2)
    return resting, instrument, side


def reserved_cash(state: State) -> NDArray[np.int64]:
    """Return what the resting orders of each account may use, on the present terms, money units."""
    resting, instrument, side = resting_orders(state)
    terms = state.ledger.terms[instrument]
    signed = resting["price"] * terms["multiplier"] * np.where(side == Side.BUY, 1, -1)
    notional = np.abs(signed)
    ppm = np.maximum(0, np.maximum(terms["maker_ppm"], terms["taker_ppm"]))
    fee = notional // 1_000_000 * ppm - (-(notional % 1_000_000 * ppm) // 1_000_000)
    reserved = np.zeros(len(state.ledger.accounts), np.int64)
    np.add.at(reserved, resting["account"], resting["quantity"] * np.maximum(0, signed + fee))
    return reserved
