"""Turn forecasts into orders: who trades, on which side, how much, and at what price."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from simlab.agents.batch import BatchObservation, BatchOrders, Parameter
from simlab.core.types import TimeInForce

__all__ = ["TRADING_PARAMETERS", "OrderKind", "send", "withdraw"]

OrderKind = Literal["take", "market", "limit"]
"""``take``: immediate-or-cancel at the best opposite price. ``market``: at any. ``limit``: in the book."""

TRADING_PARAMETERS = (
    Parameter("size", 5, "lots", "Order size at the threshold.", 1, 10**6, True),
    Parameter(
        "gain", 0.0, "1", "Orders are larger by this part for each unit beyond the threshold.", 0.0, 1e3
    ),
    Parameter("position_limit", 50, "lots", "Largest inventory, long or short.", 0, 10**9, True),
    Parameter("unwind", 0, "lots", "Taken off the inventory when no trade is worth it.", 0, 10**6, True),
    Parameter(
        "offset", 0, "ticks", "Of limit orders, from the own best price into the book.", -1e4, 1e4, True
    ),
    Parameter("life", 10, "steps", "Of limit orders, how long they rest.", 1, 10**6, True),
)
"""What differs between agents that trade on a forecast, beside the threshold."""


def withdraw(observation: BatchObservation, orders: BatchOrders, who: NDArray[np.int64]) -> None:
    """Cancel what still rests of agents, before they send new limit orders."""
    orders.cancel_all(who[observation.open_orders[who] > 0])


def send(
    observation: BatchObservation,
    orders: BatchOrders,
    instrument: int,
    *,
    kind: str,
    beyond: NDArray[np.float64],
) -> NDArray[np.int64]:
    """Let agents trade one instrument on what they forecast.

    Parameters
    ----------
    observation, orders
    instrument : int
        Its place in `observation.instruments`.
    kind : str
        An `OrderKind`.
    beyond : (n, 2) float64
        How far the forecasts of a fall and of a rise are beyond each agent's threshold; -inf for none.

    Returns
    -------
    (k,) int64
        The positions of the agents that sent an order.
    """
    own = dict(zip(observation.parameter_names, observation.parameters.T, strict=True))
    inventory = observation.inventory[:, instrument]
    better = np.argmax(beyond, axis=1)
    excess = beyond[np.arange(len(beyond)), better]
    worth = excess >= 0.0
    sign = np.where(worth, 2 * better - 1, -np.sign(inventory))
    wanted = own["size"] * (1.0 + own["gain"] * np.where(worth, excess, 0.0))
    wanted = np.minimum(wanted, own["position_limit"] - sign * inventory)
    quantity = np.where(worth, wanted, np.minimum(own["unwind"], np.abs(inventory)))
    lot = int(observation.lot_size[instrument])
    quantity = (np.maximum(quantity, 0.0) // lot * lot).astype(np.int64)
    price = _prices(observation, instrument, kind, sign, own)
    who = np.flatnonzero((quantity > 0) & (sign != 0) & (price >= observation.price_low[instrument])
                         & (price <= observation.price_high[instrument]))  # fmt: skip
    if observation.halted[instrument] or not len(who):
        return who[:0]
    sells, lots, price = sign[who] < 0, quantity[who], price[who]
    if kind == "market":
        orders.market(who, sells, lots, instrument=instrument)
    elif kind == "take":
        orders.limit(who, sells, price, lots, instrument=instrument, time_in_force=TimeInForce.IOC)
    else:
        end = observation.step + own["life"][who].astype(np.int64)
        orders.limit(who, sells, price, lots, instrument=instrument, expiry=end)
    return who


def _prices(
    observation: BatchObservation,
    j: int,
    kind: str,
    sign: NDArray[np.int64],
    own: dict[str, NDArray[np.float64]],
) -> NDArray[np.int64]:
    """Return each agent's price; the lowest number there is where it cannot have one."""
    none = np.iinfo(np.int64).min
    bid = int(observation.best_bid[j]) if observation.bid_depth[j] else none
    ask = int(observation.best_ask[j]) if observation.ask_depth[j] else none
    if kind != "limit":
        return np.where(sign > 0, ask, bid)
    away = own["offset"].astype(np.int64) * int(observation.tick_size[j])
    return np.where(sign > 0, bid - away if bid != none else none, ask + away if ask != none else none)
