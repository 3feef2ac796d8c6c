"""A strategy as a class: every agent of the population is an object of it. The place to start.

An object keeps what it likes between decisions, draws from ``observation.random`` and may import anything. It
costs some ten microseconds a decision; when that is too slow, see `online_regression.py` and `imbalance.py`.
"""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Le

from simlab.agents.each import Observation, Orders, agent_strategy


@agent_strategy("my_first_agent", "Buys after a fall and sells when the price recovers.")
class MyFirstAgent:
    """Hold the agent's parameters and what it paid.

    Parameters
    ----------
    fall : float, 1
        Relative fall after which it buys.
    size : int, lots
        Order size.
    """

    def __init__(
        self, fall: Annotated[float, Ge(0), Le(1)] = 0.001, size: Annotated[int, Ge(1), Le(10_000)] = 5
    ) -> None:
        self.fall = fall
        self.size = size
        self.highest_paid = 0

    def decide(self, observation: Observation, orders: Orders) -> None:
        """Look at the market, send orders; they may be refused, and what was filled is seen next time."""
        bought = [fill.price for fill in observation.market.fills if fill.quantity > 0]
        self.highest_paid = max(self.highest_paid, *bought, 0)
        best_bid, best_ask = observation.best_bid, observation.best_ask
        if best_bid is None or best_ask is None:
            return  # one side of the book is empty, so no price says what the share is worth
        if observation.inventory > 0 and best_bid > self.highest_paid:
            orders.market("sell", observation.inventory)
            self.highest_paid = 0
        elif observation.inventory == 0 and observation.market.past_return(300) < -self.fall:
            # At the best ask and no worse, now or never: a market order would pay any price.
            orders.limit("buy", best_ask, self.size, time_in_force="IOC")
