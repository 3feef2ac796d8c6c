"""Say in a few rows how a run went: per population and per instrument."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.core.types import Reason
from simlab.kernel.decisions import Tally
from simlab.kernel.spec import SimulationSpec
from simlab.kernel.state import State

__all__ = ["instrument_rows", "population_rows", "profits"]

_ALL = slice(None)


def profits(state: State, accounts: NDArray[np.int64] | slice = _ALL) -> NDArray[np.float64]:
    """Return each account's profit so far, or that of some, marked at the mid: (n,) float64, money units."""
    ledger = state.ledger
    positions = ledger.positions.reshape(-1, len(state.views))[accounts]
    value = state.views["mid"] * ledger.terms["multiplier"]
    unrealised = positions["inventory"] * value - positions["cost"]
    return (positions["realised"] + unrealised).sum(axis=1) - ledger.accounts["fees"][accounts]


def population_rows(spec: SimulationSpec, state: State, tallies: Mapping[int, Tally]) -> list[dict[str, Any]]:
    """Return a row for each population.

    Its agents, orders, refused messages, also by reason, fills, volume (lots), and the mean and standard
    deviation (with divisor n) of its agents' profit in money units. For populations that say who decided: how
    often who did (`decisions`), and how often who before did not, and why (`fallbacks`).
    """
    made, rows = profits(state), []
    for p, population in enumerate(spec.populations):
        first, stats = int(state.populations["first"][p]), state.ledger.stats[p]
        own = made[first : first + population.count]
        rows.append(
            {
                "population": population.name,
                "strategy": population.strategy.name,
                "agents": population.count,
                "orders": int(stats["orders"]),
                "refused": int(stats["refused"].sum()),
                "refused_reasons": _by_reason(stats["refused"]),
                "fills": int(stats["fills"]),
                "volume": int(stats["volume"]),
                "pnl_mean": float(own.mean()) if len(own) else 0.0,
                "pnl_std": float(own.std()) if len(own) else 0.0,
            }
            | _deciders(tallies.get(p))
        )
    return rows


def _deciders(tally: Tally | None) -> dict[str, dict[str, int]]:
    """Return who decided, and who did not and why, most first."""
    if tally is None:
        return {}
    counts = {"decisions": +tally.decisions, "fallbacks": +tally.fallbacks}
    return {name: dict(it.most_common()) for name, it in counts.items() if it}


def _by_reason(refused: NDArray[np.int64]) -> dict[str, int]:
    """Return how many messages were refused for each reason that came up, by its name."""
    return {Reason(int(code)).name: int(refused[code]) for code in np.flatnonzero(refused)}


def instrument_rows(spec: SimulationSpec, state: State) -> list[dict[str, Any]]:
    """Return a row for each instrument.

    Its trades, volume (lots), mean spread (price units), volatility (standard deviation, with divisor n, of
    the mid's relative change a step) and last price (price units).
    """
    rows = []
    for item, tape, terms in zip(spec.instruments, state.tape, state.ledger.terms, strict=True):
        count = float(tape["return_count"])
        mean = tape["returns"] / count if count else 0.0
        variance = tape["squares"] / count - mean**2 if count else math.nan
        rows.append(
            {
                "instrument": item.name,
                "trades": int(terms["trades"]),
                "volume": int(terms["volume"]),
                "mean_spread": float(tape["spreads"] / tape["spread_count"])
                if tape["spread_count"]
                else math.nan,
                "volatility": math.sqrt(max(0.0, variance)) if count else math.nan,
                "last_price": int(terms["last_price"]),
            }
        )
    return rows
