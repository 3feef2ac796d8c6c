"""State what the observations of strategies in Python ask, of whoever shows them a market.

A kernel is such a host, and so is any client that lets a strategy trade elsewhere. Instruments go by number.
What a host hands out is a copy, or cannot be written to.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from simlab.core.types import Reason, Side

__all__ = ["BatchHost", "CustomerOrder", "CustomerOrders", "Fill", "Host", "RestingOrder"]


class Fill(NamedTuple):
    """One own fill: `quantity` lots, positive if bought."""

    step: int
    quantity: int
    price: int
    order_id: int


class RestingOrder(NamedTuple):
    """One own resting order; `quantity` is what remains, lots."""

    order_id: int
    side: Side
    price: int
    quantity: int


class CustomerOrder(NamedTuple):
    """What an agent is to trade for its customer: `quantity` lots are left; `since` is a step.

    The next lot size must not cost more, or bring less, than `limit_price`, price units.
    """

    side: Side
    limit_price: int
    quantity: int
    since: int


class CustomerOrders(NamedTuple):
    """The customers' orders of a population: (n, m) int64 each, agents by instruments.

    They are as in `CustomerOrder`; `quantity` is 0 where there is none.
    """

    side: NDArray[np.int64]
    limit_price: NDArray[np.int64]
    quantity: NDArray[np.int64]
    since: NDArray[np.int64]


class _AnyHost(Protocol):
    """What agents that decide alone and populations that decide as one ask alike."""

    shared: dict[str, Any]
    """Plain data that all strategies of a run have in common."""

    def resource(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what `make` returned when the run first asked for `key`."""

    def name(self, agent: int) -> str:
        """Return an agent's name."""

    def depth(self, instrument: int, levels: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return ([(price, lots), ...] of bids, the same of asks), best first."""

    def past_return(self, instrument: int, steps: int) -> float:
        """Return the relative change of the mid price over the last `steps` steps."""

    def mids(self, instrument: int, steps: int) -> NDArray[np.float64]:
        """Return the mid prices at the end of the last `steps` steps, oldest first."""

    def resting(self, agent: int, instrument: int) -> list[RestingOrder]:
        """Return an agent's resting orders, oldest first."""

    def fills(self, agent: int, instrument: int) -> list[Fill]:
        """Return an agent's latest fills since it last looked, oldest first."""

    def customer_orders(self, agents: NDArray[np.int64], instruments: NDArray[np.int64]) -> CustomerOrders:
        """Return what agents are to trade for customers in instruments."""


class Host(_AnyHost, Protocol):
    """Whoever shows a market to agents that decide alone."""

    instruments: dict[str, int]
    """The instruments that the agent trades, by name."""

    def view(self, instrument: int) -> Any:
        """Return the fields of `simlab.agents.compiled.VIEW_DTYPE` by name, as they are now."""

    def price_band(self, instrument: int) -> tuple[int, int]:
        """Return the lowest and highest price that an order may have."""

    def signal(self, agent: int, instrument: int) -> float:
        """Return an agent's private signal of the fundamental, price units."""

    def inventory(self, agent: int, instrument: int) -> int:
        """Return an agent's inventory, lots."""

    def fill_count(self, agent: int, instrument: int) -> int:
        """Return the number of an agent's fills since it last looked."""

    def random(self, agent: int) -> np.random.Generator:
        """Return an agent's own random stream."""


class BatchHost(_AnyHost, Protocol):
    """Whoever shows a market to a population that decides as one."""

    def uniform(self, agents: NDArray[np.int64], count: int) -> NDArray[np.float64]:
        """Draw ``(n, count)`` floats in [0, 1), each agent's from its own stream of this step."""

    def available(self, agents: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return what each agent could spend now, money units."""

    def open_orders(self, agents: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of each agent's resting orders, in all instruments."""

    def history(self, instrument: int, steps: int) -> NDArray[np.void]:
        """Return the last `steps` steps, oldest first, ``(<=steps,) HISTORY_DTYPE``."""

    def refusal(self, message: NDArray[np.void]) -> Reason:
        """Return why the market would refuse a message now, ``() MESSAGE_DTYPE``; NONE if it would not."""
