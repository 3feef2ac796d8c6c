"""Know the agents of populations inside the market: how they are called, who is shown, what they have.

They are nobody's who connects: no client can register as one, and none trades from its account.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from simlab.agents.strategy import Calling
from simlab.kernel.simulation import Simulation
from simlab.kernel.spec import SimulationSpec
from simlab.kernel.state import State
from simlab.kernel.summary import profits

__all__ = ["AGENTS_SHOWN", "POSITIONS_SHOWN", "Inside", "shown_of"]

AGENTS_SHOWN = 500
"""Agents that are told of at once, most."""
POSITIONS_SHOWN = 3_000
"""The same in markets of many instruments: as many agents as have so many positions, but `_FEW`."""
_FEW = 20
_RANKED = 500_000
"""Positions that are marked anew, at a request, to say who is among the best and the worst."""


@dataclass(frozen=True)
class _Population:
    """Accounts `first` to ``first + count - 1``."""

    name: str
    first: int
    count: int
    personality: str


class _Holding(Struct, gc=False):
    """Lots, and what they cost, money units."""

    quantity: int
    cost: int


class InsideRow(Struct, gc=False):
    """An agent with its account, money units; the same names as of agents from outside."""

    agent_id: str
    name: str
    personality: str
    population: str
    account: int
    starting_capital: int
    cash: int
    positions: dict[str, _Holding]
    total_value: float
    pnl: float
    created_at: float
    connected: bool = True


class Inside:
    """The agents of a market's populations, but for seats.

    Their ids are ``population-number``, their names ``population/number`` as in recordings; so are those of
    populations that trade as clients.

    Parameters
    ----------
    spec : SimulationSpec, optional
        Of the market; without it there is nobody.

    Example
    -------
    >>> from simlab.config import build, load
    >>> data = {"steps": 10, "instruments": {"ACME": {"initial_price": 100}}}
    >>> inside = Inside(build(load({**data, "populations": {"noise": {"strategy": "noise", "count": 3}}})))
    >>> inside.id_of(2), inside.account_of("noise-2"), inside.account_of("noise-3"), inside.count
    ('noise-2', 2, None, 3)
    """

    def __init__(self, spec: SimulationSpec | None = None) -> None:
        self.populations: list[_Population] = []
        first = 0
        for it in spec.populations if spec is not None else ():
            if it.strategy.level is not Calling.OUTSIDE:
                personality = f"{it.name}: {it.strategy.summary}"
                self.populations.append(_Population(it.name, first, it.count, personality))
            first += it.count
        self.count = sum(it.count for it in self.populations)
        """How many there are."""
        self._by_name = {it.name: it for it in self.populations}
        self._firsts = [it.first for it in self.populations]
        self._made = np.zeros(first)
        """Each account's profit when it was last looked at, to choose by."""
        self._at = 0

    def __contains__(self, agent_id: str) -> bool:
        return self.account_of(agent_id) is not None

    def account_of(self, agent_id: str) -> int | None:
        """Return the account of an agent; None if nobody inside is called so."""
        name, _, number = agent_id.rpartition("-")
        population = self._by_name.get(name)
        if population is None or not (number.isascii() and number.isdecimal()) or len(number) > 10:
            return None
        if str(int(number)) != number or int(number) >= population.count:
            return None
        return population.first + int(number)

    def id_of(self, account: int) -> str | None:
        """Return how the agent of an account is called; None for seats and the exchange's own."""
        found = self._population(account)
        return None if found is None else f"{found.name}-{account - found.first}"

    def _population(self, account: int) -> _Population | None:
        place = bisect_right(self._firsts, account) - 1
        found = self.populations[place] if place >= 0 else None
        return found if found is not None and account < found.first + found.count else None

    def shown(self, simulation: Simulation, created_at: float) -> list[InsideRow]:
        """Return the agents that matter: see `shown_of`.

        Cost is bounded: where there are very many, not all profits by which they are chosen are looked at
        each time, but a part after the other; those of the agents returned are all of this moment.
        """
        state = simulation.state
        most = min(AGENTS_SHOWN, max(_FEW, POSITIONS_SHOWN // len(state.views)))
        if self.count > most:
            self._look(state)
        parts = [(it.first, it.count) for it in self.populations]
        return self.rows(state, shown_of(self._made, parts, most), created_at)

    def _look(self, state: State) -> None:
        """Look at the next accounts' profits."""
        part = slice(self._at, min(self._at + 1 + _RANKED // len(state.views), len(self._made)))
        self._made[part] = profits(state, part)
        self._at = part.stop % len(self._made)

    def rows(self, state: State, accounts: NDArray[np.int64], created_at: float) -> list[InsideRow]:
        """Return agents by their accounts, marked at the mid."""
        own = state.ledger.positions.reshape(-1, len(state.views))[accounts]
        lots, costs = own["inventory"], own["cost"]
        cash = state.ledger.accounts["cash"][accounts]
        worth = (lots * (state.views["mid"] * state.ledger.terms["multiplier"])).sum(axis=1)
        # An account's identity (simlab.market.ledger) says what it began with, inventory at its cost.
        began = (
            cash + costs.sum(axis=1) + state.ledger.accounts["fees"][accounts] - own["realised"].sum(axis=1)
        )
        columns = (accounts, began, cash, cash + worth, profits(state, accounts), lots, costs)
        rows = []
        for account, *money, held, paid in zip(*(it.tolist() for it in columns), strict=True):
            population = self._population(account)
            assert population is not None
            number = account - population.first
            positions = {
                str(k): _Holding(quantity, cost)
                for k, (quantity, cost) in enumerate(zip(held, paid, strict=True), 1)
                if quantity
            }
            starting, has, value, pnl = money
            rows.append(
                InsideRow(
                    f"{population.name}-{number}", f"{population.name}/{number}", population.personality,
                    population.name, account, starting, has, positions, value, pnl, created_at,
                )
            )  # fmt: skip
        return rows


def shown_of(made: NDArray[np.float64], parts: list[tuple[int, int]], most: int) -> NDArray[np.int64]:
    """Return which accounts are shown of many, in their order.

    Every population has the same share of them, and what a small one leaves goes to the others; of a share
    one half has the population's highest profits, the other its lowest. Of equal profits the first is shown.

    Parameters
    ----------
    made : (accounts,) float64, money units
        Each account's profit.
    parts : list of (int, int)
        First account and number of accounts of each population.
    most : int

    Example
    -------
    >>> shown_of(np.array([5.0, 1.0, 2.0, 3.0, 4.0, 9.0]), [(0, 5), (5, 1)], 3).tolist()
    [0, 1, 5]
    """
    chosen = []
    for (first, count), share in zip(parts, _shares([count for _, count in parts], most), strict=True):
        if share == count:
            chosen.append(np.arange(first, first + count))
            continue
        own = made[first : first + count]
        best = _highest(own, (share + 1) // 2)
        rest = np.delete(np.arange(count), best)
        worst = rest[_highest(-own[rest], share // 2)]
        chosen.append(first + np.sort(np.concatenate((best, worst))))
    return np.concatenate(chosen) if chosen else np.zeros(0, np.int64)


def _shares(counts: list[int], most: int) -> list[int]:
    """Return how many of each are shown: the same of all, but those that have fewer."""
    shares, left = [0] * len(counts), most
    by_size = sorted(range(len(counts)), key=lambda it: counts[it])
    for rank, place in enumerate(by_size):
        shares[place] = min(counts[place], left // (len(counts) - rank))
        left -= shares[place]
    return shares


def _highest(values: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """Return the places of the highest values, of equal ones the first. O(values)."""
    if count == 0:
        return np.zeros(0, np.int64)
    least = np.partition(values, len(values) - count)[len(values) - count]
    above = np.flatnonzero(values > least)
    return np.concatenate((above, np.flatnonzero(values == least)[: count - len(above)]))
