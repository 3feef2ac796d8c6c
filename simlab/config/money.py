"""Refuse what could make money wrap at 2^63, as far as the file alone decides it.

An account, with all that it has on order, may be worth `MAX_VALUE` (2^60) money units at the most, at any
price of the bands and with the highest fees; so sums of a few such numbers fit 64 bits. What orders add is
refused when they arrive. All sums here are of Python's own integers, which do not wrap.
"""

from __future__ import annotations

from collections.abc import Iterator

from simlab.config.limits import AGENTS, MAX_POSITIONS, MAX_VALUE
from simlab.config.models import ExperimentConfig, PopulationConfig
from simlab.config.problems import Problem
from simlab.market.instruments import dearest_lot, lot_limit

__all__ = ["money_problems"]

_MAX_SUM = 2**62
_REMEDY = "narrow its price_band, or choose a larger money unit (a smaller multiplier)"


def money_problems(config: ExperimentConfig) -> Iterator[Problem]:
    """Yield what does not fit: orders, what accounts begin with, and sums over all accounts."""
    for name, instrument in config.instruments.items():
        if instrument.lot_size > lot_limit(instrument, len(config.instruments)):
            value = instrument.lot_size * dearest_lot(instrument) * len(config.instruments)
            yield Problem(
                ("instruments", name),
                f"the smallest order, {instrument.lot_size} lots, {_too_much(value)}; {_REMEDY}",
            )
    for i, shock in enumerate(config.shocks):
        if shock.kind == "fat_finger" and shock.instrument in config.instruments:
            value = shock.quantity * dearest_lot(config.instruments[shock.instrument])
            if value > MAX_VALUE:
                yield Problem(("shocks", i, "quantity"), f"the order {_too_much(value)}; {_REMEDY}")
    for name, population in config.cast.items():
        value = abs(population.account.cash) + sum(
            abs(lots) * dearest_lot(config.instruments[instrument])
            for instrument, lots in _holdings(population, config).items()
        )
        if value > MAX_VALUE:
            yield Problem(
                ("populations", name, "account", "inventory"), f"an account {_too_much(value)}; {_REMEDY}"
            )
    yield from _sums(config)


def _sums(config: ExperimentConfig) -> Iterator[Problem]:
    cash = 0
    lots: dict[str, int] = {}
    for name, population in config.cast.items():
        cash += population.count * abs(population.account.cash)
        if cash > _MAX_SUM:
            yield Problem(
                ("populations", name, "account", "cash"),
                f"the cash of all accounts up to here comes to {cash} money units; more than {_MAX_SUM}"
                " (2^62) may wrap; give less, or choose a larger money unit",
            )
            break
        for instrument, held in _holdings(population, config).items():
            lots[instrument] = lots.get(instrument, 0) + population.count * abs(held)
            if lots[instrument] > _MAX_SUM:
                yield Problem(
                    ("populations", name, "account", "inventory"),
                    f"all accounts up to here hold {lots[instrument]} lots of {instrument!r}; more than"
                    f" {_MAX_SUM} (2^62) may wrap; give less, or choose larger lots",
                )
                return
    agents = sum(population.count for population in config.cast.values())
    if agents > AGENTS.most or agents * len(config.instruments) > MAX_POSITIONS:
        yield Problem(
            ("populations",),
            f"{agents} agents in {len(config.instruments)} instruments: there may be {AGENTS.most} agents,"
            f" and agents times instruments may come to {MAX_POSITIONS} (64 bytes of memory each)",
        )


def _holdings(population: PopulationConfig, config: ExperimentConfig) -> dict[str, int]:
    """Return the lots that an account begins with, of the instruments that are well formed."""
    inventory = population.account.inventory
    if not isinstance(inventory, dict):
        inventory = dict.fromkeys(population.instruments or config.instruments, inventory)
    return {name: lots for name, lots in inventory.items() if name in config.instruments}


def _too_much(value: int) -> str:
    return (
        f"may be worth {value} money units at the highest price of the band; the most is {MAX_VALUE} (2^60)"
    )
