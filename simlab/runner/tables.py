"""Write down who holds each account: a static table of a recording."""

from __future__ import annotations

from typing import Any

from simlab.kernel.simulation import Simulation

__all__ = ["agent_columns"]

_EXCHANGE = "exchange"


def agent_columns(simulation: Simulation) -> dict[str, list[Any]]:
    """Return the columns of the table ``agents``: one row an account, the exchange's own two last."""
    names, populations, strategies = [], [], []
    for population in simulation.spec.populations:
        names += [f"{population.name}/{i}" for i in range(population.count)]
        populations += [population.name] * population.count
        strategies += [population.strategy.name] * population.count
    own = [simulation.agent_name(account) for account in (simulation.fee_account, simulation.error_account)]
    return {
        "account": list(range(len(names) + len(own))),
        "name": names + own,
        "population": populations + [_EXCHANGE] * len(own),
        "strategy": strategies + [_EXCHANGE] * len(own),
    }
