"""Write down who holds each account and what is traded: the static tables of a recording."""

from __future__ import annotations

from typing import Any

from simlab.kernel.simulation import Simulation

__all__ = ["agent_columns", "instrument_columns"]

_EXCHANGE = "exchange"
_COPIED = (
    "name",
    "initial_price",
    "tick_size",
    "lot_size",
    "multiplier",
    "price_unit",
    "maker_fee_ppm",
    "taker_fee_ppm",
    "description",
)


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


def instrument_columns(simulation: Simulation) -> dict[str, list[Any]]:
    """Return the columns of the table ``instruments``: one row an instrument, in the kernel's order."""
    instruments = simulation.spec.instruments
    columns: dict[str, list[Any]] = {name: [getattr(it, name) for it in instruments] for name in _COPIED}
    return columns | {
        "instrument": list(range(len(instruments))),
        "price_low": [it.price_band[0] for it in instruments],
        "price_high": [it.price_band[1] for it in instruments],
        "self_trade": [int(it.self_trade) for it in instruments],
    }
