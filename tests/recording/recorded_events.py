"""Make event logs for the tests of recording: plain to check, or realistic in size and variety."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.core.types import (
    EVENT_DTYPE,
    FLAG_MARKET,
    FLAG_POST_ONLY,
    FLAG_PRIORITY_KEPT,
    EventKind,
    Reason,
    Side,
    TimeInForce,
)
from simlab.recording import RunWriter

ACCOUNTS = ("maker/0", "noise/0", "noise/1")
INSTRUMENTS = ("ABC", "XYZ")

_KINDS = np.array([EventKind.ACCEPTED, EventKind.REJECTED, EventKind.FILL, EventKind.CANCELLED], np.uint8)


def one_of_each() -> NDArray[np.void]:
    """Return eight events in which every kind and every flag occurs."""
    events = np.zeros(8, EVENT_DTYPE)
    events["sequence"] = np.arange(8)
    events["step"] = [0, 0, 1, 1, 2, 2, 3, 3]
    events["kind"] = [
        EventKind.ACCEPTED,
        EventKind.ACCEPTED,
        EventKind.FILL,
        EventKind.CANCELLED,
        EventKind.REPLACED,
        EventKind.REJECTED,
        EventKind.EXPIRED,
        EventKind.ACCEPTED,
    ]
    events["side"] = [Side.SELL, Side.BUY, Side.BUY, Side.BUY, Side.SELL, Side.BUY, Side.SELL, Side.SELL]
    events["reason"][3] = Reason.IOC_REMAINDER
    events["reason"][5] = Reason.FUNDS
    events["flags"][0] = FLAG_POST_ONLY
    events["flags"][1] = TimeInForce.IOC
    events["flags"][4] = FLAG_PRIORITY_KEPT
    events["flags"][7] = TimeInForce.FOK | FLAG_MARKET
    events["instrument"] = [0, 0, 0, 0, 0, 1, 0, 1]
    events["order_id"] = [1, 2, 2, 2, 1, 3, 1, 4]
    events["account"] = [0, 1, 1, 1, 0, 2, 0, 2]
    events["price"] = [101, 101, 101, 101, 101, 2**40, 101, 0]
    events["quantity"] = [10, 7, 5, 2, 4, 9, 4, 3]
    events["other_order_id"][2] = 1
    events["other_account"][2] = 0
    return events


def realistic(n: int, seed: int = 1) -> NDArray[np.void]:
    """Return `n` events: 1000 accounts, prices around 10000, cancels of random recent orders."""
    draws = np.random.default_rng(seed)
    events = np.zeros(n, EVENT_DTYPE)
    kind = draws.choice(_KINDS, size=n, p=[0.52, 0.03, 0.15, 0.30])
    accepted, cancelled, fill = (kind == k for k in (EventKind.ACCEPTED, EventKind.CANCELLED, EventKind.FILL))
    newest = np.cumsum(accepted)
    recent = np.maximum(newest - draws.exponential(3000, n).astype(np.int64), 0)
    order_id = np.where(cancelled, recent, newest)
    account = draws.integers(0, 1000, n + 1).astype(np.int32)
    events["kind"] = kind
    events["sequence"] = np.arange(n)
    events["step"] = np.cumsum(draws.random(n) < 0.1)
    events["order_id"] = order_id
    events["account"] = account[order_id]
    events["side"] = draws.integers(0, 2, n + 1)[order_id]
    events["price"] = draws.normal(10_000, 40, n + 1).astype(np.int64)[order_id]
    events["quantity"] = draws.integers(1, 101, n + 1)[order_id]
    events["reason"][cancelled] = Reason.REQUESTED
    events["reason"][kind == EventKind.REJECTED] = Reason.FUNDS
    events["flags"][accepted] = draws.choice([0, FLAG_POST_ONLY, FLAG_MARKET, 1], accepted.sum())
    events["other_order_id"][fill] = recent[fill]
    events["other_account"][fill] = account[recent[fill]]
    return events


def write_names(writer: RunWriter) -> None:
    """Record the static tables for `ACCOUNTS` and `INSTRUMENTS`."""
    writer.rows("agents", agent_rows())
    writer.rows("instruments", instrument_rows())


def agent_rows() -> dict[str, Any]:
    """Return the columns of the table agents."""
    return {
        "account": np.arange(3, dtype=np.int32),
        "name": list(ACCOUNTS),
        "population": [name.split("/")[0] for name in ACCOUNTS],
        "strategy": ["market_maker", "zero_intelligence", "zero_intelligence"],
    }


def instrument_rows() -> dict[str, Any]:
    """Return the columns of the table instruments."""
    numbers = {name: [1, 1] for name in ("tick_size", "lot_size", "multiplier", "price_low")}
    return numbers | {
        "instrument": [0, 1],
        "name": list(INSTRUMENTS),
        "initial_price": [100, 200],
        "price_unit": [0.01, 0.01],
        "price_high": [1000, 1000],
        "maker_fee_ppm": [-100, 0],
        "taker_fee_ppm": [300, 0],
        "self_trade": ["cancel_resting", "off"],
        "description": ["", "quiet"],
    }


def quote_rows(steps: NDArray[np.int64]) -> dict[str, Any]:
    """Return quotes of instrument 0 whose bid is missing at odd steps."""
    n = len(steps)
    odd = steps % 2 == 1
    return {
        "step": steps,
        "instrument": np.zeros(n, np.int32),
        "best_bid": np.ma.MaskedArray(99 + steps, odd),
        "bid_depth": np.ma.MaskedArray(np.full(n, 5), odd),
        "best_ask": 101 + steps,
        "ask_depth": np.full(n, 6),
        "last_price": [None] * n,
        "volume": np.cumsum(np.ones(n, np.int64)),
        "fundamental": 100.25 + np.arange(n),
    }
