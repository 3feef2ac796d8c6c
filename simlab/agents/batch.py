"""What a strategy for a whole population sees and how it answers: arrays in, arrays out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simlab.core.types import MessageKind
from simlab.errors import StrategyError

__all__ = ["BatchObservation", "BatchOrders"]

_LIMIT, _MARKET, _CANCEL, _REPLACE, _CANCEL_ALL = (int(kind) for kind in MessageKind)


class BatchObservation:
    """What the agents of a population that are active in this step see, as arrays.

    Attributes
    ----------
    step : int
    agents : (n,) int64
        Account numbers, in the order of the places the agents drew; messages arrive in that order.
    index : (n,) int64
        The agents' numbers within the population, from 0.
    cash : (n,) int64, money units
    inventory : (n, m) int64, lots
    bought, sold, fills : (n, m) int64
        Since each agent last looked: lots, lots, number of fills.
    signal : (n, m) float64, price units
    parameters : (n, k) float64
    instruments : tuple of m names
    best_bid, best_ask : (m,) int64, price units, 0 where the depth is 0
    bid_depth, ask_depth : (m,) int64, lots
    mid : (m,) float64, price units
    last_price, volume : (m,) int64
    news : the latest 100 news that can be seen, oldest first
    """

    _source: Any
    step: int
    agents: NDArray[np.int64]
    index: NDArray[np.int64]
    cash: NDArray[np.int64]
    inventory: NDArray[np.int64]
    bought: NDArray[np.int64]
    sold: NDArray[np.int64]
    fills: NDArray[np.int64]
    signal: NDArray[np.float64]
    parameters: NDArray[np.float64]
    instruments: tuple[str, ...]
    best_bid: NDArray[np.int64]
    best_ask: NDArray[np.int64]
    bid_depth: NDArray[np.int64]
    ask_depth: NDArray[np.int64]
    mid: NDArray[np.float64]
    last_price: NDArray[np.int64]
    volume: NDArray[np.int64]
    news: Sequence[Any]

    def uniform(self, count: int) -> NDArray[np.float64]:
        """Draw ``(n, count)`` floats in [0, 1): each agent from its own stream, whoever else is active."""
        return self._source.uniform(self.agents, self.step, count)

    def depth(
        self, instrument: int = 0, levels: int = 10
    ) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return ([(price, lots), ...] of bids, the same of asks) of one of the instruments, best first."""
        return self._source.depth(self._source.numbers[instrument], levels)

    def past_return(self, steps: int, instrument: int = 0) -> float:
        """Return the relative change of the mid price over the last `steps` steps (at most 1023)."""
        return self._source.past_return(self._source.numbers[instrument], steps)


class BatchOrders:
    """Where a population puts its messages, as arrays.

    `who` holds positions in the observation's arrays (0 to n-1); the other arguments are arrays of the same
    length or single values. Messages arrive in the order of `who`'s agents, each agent's in the order sent.
    """

    __slots__ = ("_agents", "_blocks", "_next_id", "_numbers")

    def __init__(self) -> None:
        self._blocks: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
        self._agents: NDArray[np.int64]
        self._numbers: NDArray[np.int64]
        self._next_id = 0

    def limit(
        self,
        who: ArrayLike,
        side: ArrayLike,
        price: ArrayLike,
        quantity: ArrayLike,
        *,
        instrument: ArrayLike = 0,
        time_in_force: ArrayLike = 0,
        post_only: ArrayLike = 0,
        expiry: ArrayLike = 0,
    ) -> NDArray[np.int64]:
        """Send limit orders; return their ids.

        `side` is 0 to buy, 1 to sell; `instrument` is a position in the observation's `instruments`.
        """
        flags = _ints(time_in_force, "time_in_force") << 16 | _ints(post_only, "post_only") << 24
        code = _LIMIT | _ints(side, "side") << 8 | flags | self._instrument(instrument)
        return self._send(who, code, _ints(price, "price"), _ints(quantity, "quantity"), expiry)

    def market(
        self, who: ArrayLike, side: ArrayLike, quantity: ArrayLike, *, instrument: ArrayLike = 0
    ) -> NDArray[np.int64]:
        """Send market orders; return their ids."""
        code = _MARKET | _ints(side, "side") << 8 | self._instrument(instrument)
        return self._send(who, code, 0, _ints(quantity, "quantity"), 0)

    def cancel(self, who: ArrayLike, order_id: ArrayLike) -> None:
        """Cancel own orders by id."""
        self._put(who, _CANCEL, _ints(order_id, "order_id"), 0, 0, 0)

    def replace(self, who: ArrayLike, order_id: ArrayLike, price: ArrayLike, quantity: ArrayLike) -> None:
        """Give own orders new prices and remaining quantities."""
        ids, prices = _ints(order_id, "order_id"), _ints(price, "price")
        self._put(who, _REPLACE, ids, prices, _ints(quantity, "quantity"), 0)

    def cancel_all(self, who: ArrayLike) -> None:
        """Cancel all own orders in all instruments."""
        self._put(who, _CANCEL_ALL | -1 << 32, 0, 0, 0, 0)

    def send(
        self,
        who: ArrayLike,
        kind: ArrayLike,
        side: ArrayLike,
        price: ArrayLike,
        quantity: ArrayLike,
        order_id: ArrayLike,
        *,
        instrument: ArrayLike = 0,
        time_in_force: ArrayLike = 0,
    ) -> NDArray[np.int64]:
        """Send messages of different kinds in the order given; return the order id of each.

        `kind` is a `simlab.core.types.MessageKind`. `order_id` names the order to cancel or replace: its id,
        or ``-1 - i`` for the order that row i of this same call sends. New orders get an id whatever it says.
        """
        count = np.size(who)
        kinds = np.broadcast_to(_ints(kind, "kind"), count)
        ids = np.broadcast_to(_ints(order_id, "order_id"), count).copy()
        new = kinds <= _MARKET
        ids[new] = np.arange(self._next_id, self._next_id + np.count_nonzero(new), dtype=np.int64)
        sent_here = np.flatnonzero(ids < 0)
        rows = -1 - ids[sent_here]
        late = (rows >= sent_here) | ~new[np.minimum(rows, count - 1)]
        if np.any(late):
            row = int(rows[late][0])
            raise StrategyError(
                f"order_id {-1 - row} names row {row}, but no earlier row {row} sends an order"
            )
        ids[sent_here] = ids[rows]
        self._next_id += int(np.count_nonzero(new))
        code = kinds | _ints(side, "side") << 8 | _ints(time_in_force, "time_in_force") << 16
        self._put(
            who,
            code | self._instrument(instrument),
            ids,
            _ints(price, "price"),
            _ints(quantity, "quantity"),
            0,
        )
        return ids

    def _instrument(self, instrument: ArrayLike) -> NDArray[np.int64]:
        return self._numbers[_ints(instrument, "instrument")] << 32

    def _send(self, who: ArrayLike, code: Any, price: Any, quantity: Any, expiry: Any) -> NDArray[np.int64]:
        count = np.size(who)
        ids = np.arange(self._next_id, self._next_id + count, dtype=np.int64)
        self._next_id += count
        self._put(who, code, ids, price, quantity, expiry)
        return ids

    def _put(self, who: ArrayLike, *columns: Any) -> None:
        positions = np.atleast_1d(_ints(who, "who"))
        if len(positions) and not 0 <= positions.min() <= positions.max() < len(self._agents):
            raise StrategyError(
                f"who must be positions in the observation's arrays, 0 to {len(self._agents) - 1}, "
                f"not {positions.min()} to {positions.max()}"
            )
        rows = np.zeros((len(positions), 8), np.int64)
        code, order_id, price, quantity, expiry = columns
        for column, values in ((0, code), (1, order_id), (3, price), (4, quantity), (5, expiry)):
            rows[:, column] = values
        rows[:, 2] = self._agents[positions]
        self._blocks.append((positions, rows))

    def _rows(self) -> NDArray[np.int64]:
        """Return all messages, (k, 8), in the order of the agents' places."""
        if not self._blocks:
            return np.zeros((0, 8), np.int64)
        positions = np.concatenate([block[0] for block in self._blocks])
        rows = np.concatenate([block[1] for block in self._blocks])
        if len(self._blocks) > 1 or np.any(positions[1:] < positions[:-1]):
            rows = rows[np.argsort(positions, kind="stable")]
        return rows


def _ints(values: ArrayLike, name: str) -> NDArray[np.int64]:
    array = np.asarray(values)
    if array.dtype.kind not in "iub":
        raise StrategyError(f"{name} must be whole numbers, not {array.dtype}; round them to int64 first")
    return array.astype(np.int64, copy=False)
