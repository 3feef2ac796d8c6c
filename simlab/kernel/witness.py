"""Say in one line what agents saw when they decided, for the error of a decision that failed."""

from __future__ import annotations

from typing import Any

from simlab.kernel.spec import SimulationSpec
from simlab.kernel.state import State

__all__ = ["sight"]

_MOST_INSTRUMENTS = 3


def sight(spec: SimulationSpec, state: State, row: int, agent: int | None) -> str:
    """Return best prices with lots, last price and position of each instrument, and the account.

    Parameters
    ----------
    spec : SimulationSpec
    state : State
        In the step of the decision, before any message of it is delivered.
    row : int
        The row of `SimulationSpec.cast` that decides.
    agent : int or None
        Whose account; None for a population that decides as one.
    """
    population = state.populations[row]
    at, count = int(population["instruments_at"]), int(population["instruments"])
    numbers = state.lists[at : at + count].tolist()
    seen = [_instrument(spec, state, number, agent) for number in numbers[:_MOST_INSTRUMENTS]]
    if count > len(seen):
        seen.append(f"{count - len(seen)} more instruments")
    if agent is not None:
        cash, orders = int(state.ledger.accounts["cash"][agent]), int(state.book.owners["orders"][agent])
        seen.append(f"cash {cash:,}, resting orders {orders}")
    return "; ".join(seen)


def _instrument(spec: SimulationSpec, state: State, number: int, agent: int | None) -> str:
    view = state.views[number]
    sides = [_best(view, side) for side in ("bid", "ask")]
    told = f"{spec.instruments[number].name}: {', '.join(sides)}, last price {int(view['last_price']):,}"
    if view["halted"]:
        told += ", halted"
    if agent is not None:
        position = state.ledger.positions[agent * len(state.views) + number]
        told += f", inventory {int(position['inventory']):,}"
    return told


def _best(view: Any, side: str) -> str:
    lots = int(view[f"{side}_depth"])
    return f"{side} {int(view[f'best_{side}']):,} ({lots:,} lots)" if lots else f"no {side}"
