"""State the rules that hold at every level of strategy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.conformance.cases import HIGHEST_PRICE
from simlab.agents.strategy import Strategy
from simlab.core.types import MAX_QUANTITY, MessageKind, Side, TimeInForce

__all__ = ["check_declaration", "check_message", "check_order_ids", "require"]

_KINDS, _SIDES, _TIMES_IN_FORCE = (frozenset(map(int, values)) for values in (MessageKind, Side, TimeInForce))
_NEW = (MessageKind.LIMIT, MessageKind.MARKET)


def require(condition: object, strategy: Strategy, breach: str) -> None:
    """Raise AssertionError that names the strategy and its breach, unless a condition holds."""
    if not condition:
        raise AssertionError(f"strategy {strategy.name!r} {breach}")


def check_declaration(strategy: Strategy) -> None:
    """Check that parameters are described, and that their defaults lie within their bounds."""
    names = [parameter.name for parameter in strategy.parameters]
    require(len(set(names)) == len(names), strategy, "declares two parameters of one name")
    for parameter in strategy.parameters:
        where = f"declares parameter {parameter.name!r}"
        inside = parameter.low <= parameter.default <= parameter.high
        bounds = f"[{parameter.low}, {parameter.high}]"
        require(inside, strategy, f"{where} with default {parameter.default} outside {bounds}")
        whole = not parameter.integer or float(parameter.default).is_integer()
        require(whole, strategy, f"{where} as integer with default {parameter.default}")


def check_message(strategy: Strategy, message: np.void, view: Any, step: int, where: str) -> None:
    """Check one message; `view` is that of its instrument, None when that is not known."""
    kind = int(message["kind"])
    require(kind in _KINDS, strategy, f"sends a message of unknown kind {kind} ({where})")
    require(message["order_id"] >= (kind != MessageKind.CANCEL_ALL), strategy, f"names no order ({where})")
    if kind in (MessageKind.CANCEL, MessageKind.CANCEL_ALL):
        return
    require(int(message["side"]) in _SIDES, strategy, f"sends side {message['side']} ({where})")
    _check_amounts(strategy, message, view, where)
    time_in_force, post_only = int(message["time_in_force"]), int(message["post_only"])
    require(time_in_force in _TIMES_IN_FORCE, strategy, f"sends time in force {time_in_force} ({where})")
    plain = kind == MessageKind.LIMIT and time_in_force == TimeInForce.GTC
    require(post_only == 0 or (post_only == 1 and plain), strategy, f"misuses post-only ({where})")
    expiry = int(message["expiry"])
    require(expiry == 0 or expiry >= step, strategy, f"sends expiry {expiry}, in the past ({where})")


def _check_amounts(strategy: Strategy, message: np.void, view: Any, where: str) -> None:
    tick, lot = (1, 1) if view is None else (int(view["tick_size"]), int(view["lot_size"]))
    quantity, price = int(message["quantity"]), int(message["price"])
    require(
        1 <= quantity <= MAX_QUANTITY and quantity % lot == 0,
        strategy,
        f"sends quantity {quantity}, not 1 to {MAX_QUANTITY} in whole lot sizes ({where})",
    )
    require(
        message["kind"] == MessageKind.MARKET or (1 <= price <= HIGHEST_PRICE and price % tick == 0),
        strategy,
        f"sends price {price}, not 1 to {HIGHEST_PRICE} on the tick ({where})",
    )


def check_order_ids(strategy: Strategy, messages: NDArray[np.void], first: int) -> None:
    """Check that new orders are numbered on from the first id."""
    new = sorted(messages["order_id"][np.isin(messages["kind"], _NEW)].tolist())
    require(new == list(range(first, first + len(new))), strategy, "misnumbers orders")
