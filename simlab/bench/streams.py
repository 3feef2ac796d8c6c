"""Make the streams of order messages that the matching-engine benchmark runs on.

A stream is an ``(n, 5) int64`` array, one row a message, applied in order to an empty book::

    kind      0 limit order, 1 market order, 2 cancel
    side      0 buy, 1 sell, -1 for a cancel
    price     price units, 0 unless a limit order
    quantity  lots, 0 for a cancel
    order_id  new for an order; for a cancel, an order sent earlier, which may be filled already
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from simlab.core.types import MAX_QUANTITY, MESSAGE_DTYPE, MessageKind
from simlab.errors import SimlabError

__all__ = ["check_stream", "common_stream", "load_stream", "to_messages", "wide_stream"]

KIND, SIDE, PRICE, QUANTITY, ORDER_ID = range(5)

_COMMON_CENTRE = 10_000
_WIDE_CENTRE = 1_000_000
_WIDE_REACH = 50_000


def common_stream(messages: int, seed: int) -> NDArray[np.int64]:
    """Make a busy, narrow stream: 60% limit orders near a slowly moving price, 10% market, 30% cancels.

    Parameters
    ----------
    messages : int
        Length of the stream, at least 1.
    seed : int
        The same seed always gives the same bytes.

    Returns
    -------
    (messages, 5) int64

    Example
    -------
    >>> common_stream(1000, seed=1).shape
    (1000, 5)
    """
    # The order of the draws is part of the workload: other benchmarks make the same bytes.
    rng = np.random.default_rng(seed)
    kind = np.searchsorted([0.60, 0.70], rng.random(messages), side="right")
    side = rng.integers(0, 2, messages)
    jumps = rng.random(messages) < 0.005
    directions = rng.choice([-1, 1], messages)
    centre = _wandering_centre(jumps, directions, rng.random(messages))
    passive = np.minimum(rng.geometric(0.12, messages), 50)
    crosses = rng.random(messages) < 0.12
    distance = np.where(crosses, -rng.integers(0, 4, messages), passive)
    limit_quantity = rng.integers(1, 101, messages)
    market_quantity = rng.integers(1, 201, messages)
    stream = _orders(kind, side, centre, distance, limit_quantity, market_quantity)
    _turn_into_cancels(stream, kind == MessageKind.CANCEL, rng.random(messages))
    return stream


def wide_stream(messages: int, seed: int) -> NDArray[np.int64]:
    """Make a wide, deep stream: orders over 100,000 prices, cancels far from the best, few trades.

    70% limit orders, most of them far away, 1% small market orders, 29% cancels of any earlier order.

    Parameters
    ----------
    messages : int
        Length of the stream, at least 1.
    seed : int
        The same seed always gives the same bytes.

    Returns
    -------
    (messages, 5) int64

    Example
    -------
    >>> wide_stream(1000, seed=1).shape
    (1000, 5)
    """
    rng = np.random.default_rng(seed)
    kind = np.searchsorted([0.70, 0.71], rng.random(messages), side="right")
    side = rng.integers(0, 2, messages)
    distance = rng.integers(1, _WIDE_REACH, messages)
    distance = np.where(rng.random(messages) < 0.02, -rng.integers(0, 20, messages), distance)
    limit_quantity = rng.integers(1, 101, messages)
    market_quantity = rng.integers(1, 51, messages)
    centre = np.full(messages, _WIDE_CENTRE)
    stream = _orders(kind, side, centre, distance, limit_quantity, market_quantity)
    _turn_into_cancels(stream, kind == MessageKind.CANCEL, rng.random(messages))
    return stream


def _wandering_centre(
    jumps: NDArray[np.bool_], directions: NDArray[np.int64], pulls: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Walk in unit jumps around the centre; the further away, the likelier a jump leads back."""
    moves = np.zeros(len(jumps), np.int64)
    away = 0
    for i in np.flatnonzero(jumps).tolist():
        leads_back = pulls[i] < min(0.5, abs(away) / 400)
        move = (-1 if away > 0 else 1) if leads_back else int(directions[i])
        moves[i] = move
        away += move
    return _COMMON_CENTRE + np.cumsum(moves)


def _orders(
    kind: NDArray[np.int64],
    side: NDArray[np.int64],
    centre: NDArray[np.int64],
    distance: NDArray[np.int64],
    limit_quantity: NDArray[np.int64],
    market_quantity: NDArray[np.int64],
) -> NDArray[np.int64]:
    """Lay out a stream of orders only: market orders where `kind` says so, limit orders elsewhere."""
    market = kind == MessageKind.MARKET
    limit_price = centre + np.where(side == 0, -distance, distance)
    order_id = np.arange(1, len(kind) + 1)
    columns = (
        market.astype(np.int64),
        side,
        np.where(market, 0, limit_price),
        np.where(market, market_quantity, limit_quantity),
        order_id,
    )
    return np.column_stack(columns).astype(np.int64)


def _turn_into_cancels(
    stream: NDArray[np.int64], wanted: NDArray[np.bool_], picks: NDArray[np.float64]
) -> None:
    """Replace the wanted rows by cancels of a limit order that was not cancelled yet, while there is one."""
    open_ids: list[int] = []
    rows: list[int] = []
    targets: list[int] = []
    is_market = (stream[:, KIND] == MessageKind.MARKET).tolist()
    for row, (cancels, pick) in enumerate(zip(wanted.tolist(), picks.tolist(), strict=True)):
        if cancels and open_ids:
            chosen = int(pick * len(open_ids))
            rows.append(row)
            targets.append(open_ids[chosen])
            open_ids[chosen] = open_ids[-1]
            open_ids.pop()
        elif not is_market[row]:
            open_ids.append(row + 1)
    stream[rows] = (MessageKind.CANCEL, -1, 0, 0, 0)
    stream[rows, ORDER_ID] = targets


def load_stream(path: Path) -> NDArray[np.int64]:
    """Read a stream from an ``.npy`` file and check it.

    Raises
    ------
    SimlabError
        When the file cannot be read or does not hold a stream; the message names what is wrong.
    """
    try:
        stream = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise SimlabError(f"cannot read the stream {path}: {error}; make one with numpy.save") from error
    if not isinstance(stream, np.ndarray):
        raise SimlabError(f"stream {path} holds several arrays; save one (n, 5) int64 array as .npy")
    check_stream(stream, str(path))
    return stream


def check_stream(stream: NDArray[np.int64], name: str = "stream") -> None:
    """Raise SimlabError, which calls the array `name`, at the first thing that makes it no stream."""
    if stream.ndim != 2 or stream.shape[1] != 5 or len(stream) == 0:
        raise SimlabError(
            f"{name} has shape {stream.shape}; it must be (messages, 5) with at least 1 message"
        )
    if stream.dtype != np.int64:
        raise SimlabError(f"{name} has dtype {stream.dtype}; it must be int64")
    kind, side, quantity, order_id = (stream[:, column] for column in (KIND, SIDE, QUANTITY, ORDER_ID))
    is_order = kind != MessageKind.CANCEL
    _refuse(name, "kind", kind, (kind < 0) | (kind > 2), "0 (limit), 1 (market) or 2 (cancel)")
    _refuse(name, "side", side, is_order & (side != 0) & (side != 1), "0 (buy) or 1 (sell) for an order")
    bad_quantity = is_order & ((quantity < 1) | (quantity > MAX_QUANTITY))
    _refuse(name, "quantity", quantity, bad_quantity, f"1 to {MAX_QUANTITY} lots for an order")
    _refuse(name, "order_id", order_id, order_id < 1, "1 or more")


def _refuse(name: str, column: str, values: NDArray[np.int64], bad: NDArray[np.bool_], allowed: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        raise SimlabError(f"{name}: {column} {values[row]} in row {row} is not allowed; it must be {allowed}")


def to_messages(stream: NDArray[np.int64]) -> NDArray[np.void]:
    """Return a stream as the messages of account 0 in instrument 0, ``(n,) MESSAGE_DTYPE``."""
    messages = np.zeros(len(stream), MESSAGE_DTYPE)
    messages["kind"] = stream[:, KIND]
    messages["side"] = np.maximum(stream[:, SIDE], 0)
    for name, column in (("price", PRICE), ("quantity", QUANTITY), ("order_id", ORDER_ID)):
        messages[name] = stream[:, column]
    return messages
