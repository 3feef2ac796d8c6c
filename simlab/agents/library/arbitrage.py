"""Trade instruments that should be worth the same, when they are not: the arbitrageur.

A unit is so many lots w_i of each instrument, some bought (w_i > 0) and some sold, and should be worth
`value`. The agent buys units when all legs together cost less than that, at the prices that they can be had
for now, by `threshold` a unit, and sells them when they bring so much more. With m_i the money that one lot
costs at a price of 1::

    cost = sum_{w_i > 0} w_i m_i ask_i + sum_{w_i < 0} w_i m_i bid_i,
    proceeds = sum_{w_i > 0} w_i m_i bid_i + sum_{w_i < 0} w_i m_i ask_i,
    buy if cost < value - threshold,    sell if proceeds > value + threshold

It sends immediate-or-cancel orders at these prices for as many units as every leg has at its best price, in
whole lot sizes of every leg, at most `size`, within `unit_limit`. It asks first whether the market's rules
admit every leg, tries half as many units where one is refused, and sends nothing while a leg is halted. What
one leg filled and another did not is leg risk: before anything else, lots that do not belong to a whole unit
are traded away at the market. What its account held before the run counts as its own.

Simplifications: the sources take the two sides of one security in two markets, or a future and a fund; here
it is any portfolio. Fees are not looked at, `threshold` should cover them. The legs go at once, each arrives
for itself, and rules are asked of each leg alone. It counts its fills, so it should act more rarely than its
latency lasts. There is no cost of holding the portfolio, and none of borrowing what is sold short.

References
----------
Wah and Wellman (2013), Latency arbitrage, market fragmentation, and efficiency: a two-market model, ACM
Conference on Electronic Commerce, 855-872 (an arbitrageur that takes both sides when the bid in one market is
above the ask in the other by a threshold).
Budish, Cramton and Shim (2015), The high-frequency trading arms race, Quarterly Journal of Economics 130(4),
1547-1621 (mechanical arbitrage between a future and a fund).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simlab.agents.batch import BatchObservation, BatchOrders, batch_strategy
from simlab.agents.strategy import Parameter, Strategy
from simlab.core.types import MAX_QUANTITY, MessageKind, Reason, TimeInForce
from simlab.errors import StrategyError, did_you_mean

__all__ = ["Arbitrage"]

_THRESHOLD, _SIZE, _UNIT_LIMIT = range(3)
_BUY, _SELL = 0, 1
_IOC = int(TimeInForce.IOC)
_MOST_LOTS = 1000
"""Of one instrument in a unit, so that no order passes what a message can hold."""


@batch_strategy(
    "arbitrage",
    "Buys a portfolio that is too cheap and sells one that is too dear, all legs at once.",
    (
        Parameter("threshold", 2.0, "money units", "Gain of a unit beyond which it trades.", 0.0, 1e9),
        Parameter("size", 5, "units", "Most units at once.", 1, 10**6, True),
        Parameter("unit_limit", 50, "units", "Most units held, bought or sold.", 0, 10**9, True),
    ),
    source="Wah and Wellman (2013), ACM Conference on Electronic Commerce, 855-872",
)
class Arbitrage:
    """The legs of the portfolio.

    Parameters
    ----------
    weights : mapping
        Lots of each instrument in a unit, by name: positive bought, negative sold. ``{INDEX: 1, A: -2, B:
        -1}``.
    value : float
        What a unit should be worth, money units.
    """

    strategy: ClassVar[Strategy]

    def __init__(self, weights: dict[str, int], value: float = 0.0) -> None:
        self.weights = dict(weights)
        self.value = value

    @staticmethod
    def check_options(weights: Mapping[str, int], value: float = 0.0) -> None:
        """Raise an error unless there are two legs or more, none of nothing or of too much."""
        nothing = [name for name, lots in weights.items() if lots == 0]
        if len(weights) < 2 or nothing:
            what = f"{nothing[0]} has none" if nothing else f"there are {len(weights)}"
            raise StrategyError(
                f"weights: a portfolio needs lots of two instruments or more, and {what}; for two shares that"
                " should be worth the same write {A: 1, B: -1}"
            )
        for name, lots in weights.items():
            if abs(lots) > _MOST_LOTS:
                raise StrategyError(f"weights: {lots:,} lots of {name}; the most in a unit is {_MOST_LOTS:,}")

    def decide(self, observation: BatchObservation, orders: BatchOrders) -> None:
        """Trade away what is left of a leg, else trade whole units where there is a gain."""
        legs, weights = self._legs(observation.instruments)
        if observation.halted[legs].any():
            return
        units, left = _whole_units(observation.inventory[:, legs], weights)
        at_once = np.minimum(np.abs(left), MAX_QUANTITY)
        left = np.sign(left) * (at_once - at_once % observation.lot_size[legs])
        repairing: NDArray[np.bool_] = np.asarray(left.any(axis=1))
        for j, leg in enumerate(legs):
            self._repair(observation, orders, repairing, left[:, j], int(leg))
        for side in (_BUY, _SELL):
            self._trade(observation, orders, _Basket(observation, legs, weights, side), units, ~repairing)

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
        basket: _Basket,
        units: NDArray[np.int64],
        may: NDArray[np.bool_],
    ) -> None:
        """Buy or sell units at the prices that all legs can be had for now."""
        sign = 1 if basket.side == _BUY else -1
        gain, wanted = sign * self.value - basket.cost, observation.parameters
        room = wanted[:, _UNIT_LIMIT] - sign * units
        most = np.minimum(np.minimum(wanted[:, _SIZE], room), basket.there).astype(np.int64)
        most -= most % basket.step
        acting = np.flatnonzero(may & (gain > wanted[:, _THRESHOLD]) & (most > 0))
        admitted = np.array([basket.admitted(i, int(most[i])) for i in acting.tolist()], np.int64)
        acting, admitted = acting[admitted > 0], admitted[admitted > 0]
        for leg, lots, price in zip(basket.legs, basket.lots, basket.prices, strict=True):
            orders.limit(
                acting,
                bool(lots < 0),
                int(price),
                admitted * abs(int(lots)),
                instrument=int(leg),
                time_in_force=_IOC,
            )


class _Basket:
    """What buying, or selling, units would take now.

    `lots`, `prices` are of a unit's legs; `cost` is its money, `there` the units that the best prices hold,
    `step` the smallest number of units in whole lot sizes of all legs.
    """

    def __init__(
        self, observation: BatchObservation, legs: NDArray[np.int64], weights: NDArray[np.int64], side: int
    ) -> None:
        self.observation, self.legs, self.side = observation, legs, side
        self.lots = weights if side == _BUY else -weights
        self.prices = np.where(self.lots > 0, observation.best_ask[legs], observation.best_bid[legs])
        depths = np.where(self.lots > 0, observation.ask_depth[legs], observation.bid_depth[legs])
        self.there = int((depths // np.abs(self.lots)).min())
        self.cost = float((self.lots * observation.multiplier[legs]).astype(np.float64) @ self.prices)
        lot_sizes = observation.lot_size[legs]
        self.step = int(np.lcm.reduce(lot_sizes // np.gcd(lot_sizes, np.abs(self.lots))))

    def admitted(self, i: int, units: int) -> int:
        """Return how many units the market's rules admit, every leg asked alone: halved until they do."""
        while units > 0 and not all(
            self.observation.refusal(
                i,
                MessageKind.LIMIT,
                side=int(lots < 0),
                price=int(price),
                quantity=units * abs(int(lots)),
                instrument=int(leg),
                time_in_force=_IOC,
            )
            == Reason.NONE
            for leg, lots, price in zip(self.legs, self.lots, self.prices, strict=True)
        ):
            units = units // 2 // self.step * self.step
        return units


def _whole_units(
    inventory: NDArray[np.int64], weights: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the whole units that all legs have in common, (n,), and the lots beyond them, (n, legs)."""
    held = np.where(weights > 0, inventory, -inventory)
    each = np.sign(held) * (np.abs(held) // np.abs(weights))
    bought, sold = each.min(axis=1), each.max(axis=1)
    units: NDArray[np.int64] = np.where(bought > 0, bought, np.where(sold < 0, sold, 0))
    return units, inventory - units[:, None] * weights
