"""Trade instruments that should be worth the same, when they are not: an arbitrageur between a basket and
its parts.

A portfolio of so many lots of each instrument, some bought and some sold, should be worth `value`. The
agent buys it when all legs together cost less than that, at the prices that they can be had for now, by
`threshold` a unit, and sells it when they bring so much more::

    cost = sum_i w_i ask_i (w_i > 0) + sum_i w_i bid_i (w_i < 0)        buy when cost < value - threshold
    proceeds = sum_i w_i bid_i (w_i > 0) + sum_i w_i ask_i (w_i < 0)    sell when proceeds > value + threshold

It sends immediate-or-cancel orders at these prices for as many units as every leg has at its best price, at
most `size`, within `unit_limit`. What one leg filled and another did not is leg risk: before anything else,
lots that do not belong to a whole unit are traded away at the market.

Simplifications: the legs go at once, and each arrives for itself; there is no cost of holding the
portfolio, and none of borrowing what is sold short.

References
----------
Hasbrouck (2003), Intraday price formation in U.S. equity index markets, Journal of Finance 58(6), 2375-2400
(an index, its funds and its futures, kept together by arbitrage). Budish, Cramton and Shim (2015), The
high-frequency trading arms race, Quarterly Journal of Economics 130(4), 1547-1621, section V (mechanical
arbitrage between two instruments).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simlab.agents.batch import BatchObservation, BatchOrders, batch_strategy
from simlab.agents.strategy import Parameter, Strategy
from simlab.errors import StrategyError, did_you_mean

__all__ = ["Arbitrage"]

_THRESHOLD, _SIZE, _UNIT_LIMIT = range(3)
_BUY, _SELL = 0, 1


@batch_strategy(
    "arbitrage",
    "Buys a portfolio that is too cheap and sells one that is too dear, all legs at once.",
    (
        Parameter("threshold", 2.0, "price units", "Gain of a unit from which it trades.", 0.0, 1e9),
        Parameter("size", 5, "units", "Most units at once.", 1, 10**6, True),
        Parameter("unit_limit", 50, "units", "Most units held, bought or sold.", 0, 10**9, True),
    ),
    source="Hasbrouck (2003), Journal of Finance 58(6), 2375-2400",
)
class Arbitrage:
    """The legs of the portfolio.

    Parameters
    ----------
    weights : mapping
        Lots of each instrument in a unit, by name: positive bought, negative sold. ``{INDEX: 1, A: -2, B:
        -1}``.
    value : float
        What a unit should be worth, price units.
    """

    strategy: ClassVar[Strategy]

    def __init__(self, weights: dict[str, int], value: float = 0.0) -> None:
        self.weights = dict(weights)
        self.value = value

    @staticmethod
    def check_options(weights: Mapping[str, int], value: float = 0.0) -> None:
        """Raise an error unless there are two legs or more, none of nothing."""
        nothing = [name for name, lots in weights.items() if lots == 0]
        if len(weights) < 2 or nothing:
            what = f"{nothing[0]} has none" if nothing else f"there are {len(weights)}"
            raise StrategyError(
                f"weights: a portfolio needs lots of two instruments or more, and {what}; for two shares that"
                " should be worth the same write {A: 1, B: -1}"
            )

    def decide(self, observation: BatchObservation, orders: BatchOrders) -> None:
        """Trade away what is left of a leg, else trade whole units where there is a gain."""
        legs, weights = self._legs(observation.instruments)
        if observation.halted[legs].any():
            return
        units, left = _whole_units(observation.inventory[:, legs], weights)
        repairing: NDArray[np.bool_] = np.asarray(left.any(axis=1))
        for j, leg in enumerate(legs):
            self._repair(observation, orders, repairing, left[:, j], int(leg))
        for side in (_BUY, _SELL):
            self._trade(observation, orders, side, legs, weights, units, ~repairing)

    def _legs(self, instruments: tuple[str, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        for name in self.weights:
            if name not in instruments:
                raise StrategyError(
                    f"weights: the population does not trade {name!r}{did_you_mean(name, instruments)}"
                )
        return (
            np.array([instruments.index(name) for name in self.weights]),
            np.array(list(self.weights.values()), np.int64),
        )

    @staticmethod
    def _repair(
        observation: BatchObservation, orders: BatchOrders, who: Any, left: NDArray[np.int64], leg: int
    ) -> None:
        """Trade away lots that belong to no whole unit, where there is somebody to trade with."""
        depth = np.where(left > 0, observation.bid_depth[leg], observation.ask_depth[leg])
        acting = np.flatnonzero(who & (left != 0) & (depth > 0))
        if len(acting):
            orders.market(acting, left[acting] > 0, np.abs(left[acting]), instrument=leg)

    def _trade(
        self,
        observation: BatchObservation,
        orders: BatchOrders,
        side: int,
        legs: NDArray[np.int64],
        weights: NDArray[np.int64],
        units: NDArray[np.int64],
        may: NDArray[np.bool_],
    ) -> None:
        """Buy or sell units at the prices that all legs can be had for now."""
        lots = weights if side == _BUY else -weights
        prices = np.where(lots > 0, observation.best_ask[legs], observation.best_bid[legs])
        depths = np.where(lots > 0, observation.ask_depth[legs], observation.bid_depth[legs])
        gain = (self.value if side == _BUY else -self.value) - float(lots @ prices)
        there = int((depths // np.abs(lots)).min())
        wanted = observation.parameters
        room = wanted[:, _UNIT_LIMIT] - (units if side == _BUY else -units)
        most = np.minimum(np.minimum(wanted[:, _SIZE], room), there).astype(np.int64)
        acting = np.flatnonzero(may & (gain > wanted[:, _THRESHOLD]) & (most > 0))
        for j, leg in enumerate(legs):
            quantity = most[acting] * abs(int(lots[j]))
            orders.limit(
                acting, bool(lots[j] < 0), int(prices[j]), quantity, instrument=int(leg), time_in_force="IOC"
            )


def _whole_units(
    inventory: NDArray[np.int64], weights: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the whole units that all legs have in common, (n,), and the lots beyond them, (n, legs)."""
    held = np.where(weights > 0, inventory, -inventory)
    each = np.sign(held) * (np.abs(held) // np.abs(weights))
    bought, sold = each.min(axis=1), each.max(axis=1)
    units: NDArray[np.int64] = np.where(bought > 0, bought, np.where(sold < 0, sold, 0))
    return units, inventory - units[:, None] * weights
