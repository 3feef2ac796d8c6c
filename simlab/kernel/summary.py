"""Say in a few rows how a run went: per population and per instrument."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from simlab.kernel import state as s
from simlab.market import ledger as m

if TYPE_CHECKING:
    from simlab.kernel.simulation import Simulation

__all__ = ["instrument_rows", "population_rows", "profits"]


def profits(simulation: Simulation) -> NDArray[np.float64]:
    """Return each account's profit so far, marked at the mid: (accounts,) float64, money units."""
    ledger, count = simulation.ledger, len(simulation.instruments)
    positions = ledger.positions.reshape(-1, count, 8)
    value = simulation.views["mid"] * ledger.instruments[:, m.I_MULTIPLIER]
    unrealised = positions[:, :, m.P_INVENTORY] * value - positions[:, :, m.P_COST]
    return (positions[:, :, m.P_REALISED] + unrealised).sum(axis=1) - ledger.accounts[:, m.C_FEES]


def population_rows(simulation: Simulation) -> list[dict[str, Any]]:
    """Return a row for each population.

    Its agents, orders, refused messages, fills, volume (lots), and the mean and standard deviation of its
    agents' profit in money units.
    """
    made, rows = profits(simulation), []
    for p, population in enumerate(simulation.populations):
        first = int(simulation.world.populations[p, s.P_FIRST])
        own, stats = made[first : first + population.count], simulation.ledger.stats[p]
        rows.append(
            {
                "population": population.name,
                "strategy": population.strategy.name,
                "agents": population.count,
                "orders": int(stats[m.T_ORDERS]),
                "refused": int(stats[m.T_REFUSED]),
                "fills": int(stats[m.T_FILLS]),
                "volume": int(stats[m.T_VOLUME]),
                "pnl_mean": float(own.mean()) if len(own) else 0.0,
                "pnl_std": float(own.std()) if len(own) else 0.0,
            }
        )
    return rows


def instrument_rows(simulation: Simulation) -> list[dict[str, Any]]:
    """Return a row for each instrument.

    Its trades, volume (lots), mean spread (price units), volatility (standard deviation of the mid's relative
    change a step) and last price (price units).
    """
    rows = []
    for i, item in enumerate(simulation.instruments):
        tape, terms = simulation.world.tape[i], simulation.ledger.instruments[i]
        spreads, returns = tape[s.X_SPREAD_COUNT], tape[s.X_RETURN_COUNT]
        mean = tape[s.X_RETURNS] / returns if returns else 0.0
        rows.append(
            {
                "instrument": item.name,
                "trades": int(terms[m.I_TRADES]),
                "volume": int(terms[m.I_VOLUME]),
                "mean_spread": float(tape[s.X_SPREADS] / spreads) if spreads else math.nan,
                "volatility": math.sqrt(max(0.0, tape[s.X_SQUARES] / returns - mean**2))
                if returns
                else math.nan,
                "last_price": int(terms[m.I_LAST_PRICE]),
            }
        )
    return rows
