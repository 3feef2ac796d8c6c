"""Check what callers ask of a book: a wrong argument is a mistake of the caller, and an EngineError."""

from __future__ import annotations

from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.core.types import EVENT_DTYPE, MESSAGE_DTYPE, SelfTrade, Side
from simlab.errors import EngineError

__all__ = [
    "require_count",
    "require_depth",
    "require_fit",
    "require_known",
    "require_messages",
    "require_out",
    "require_policy",
    "require_side",
    "require_step",
    "require_whole",
]

_MOST = 2**31 - 1


def require_whole(name: str, value: int) -> int:
    """Return a whole number."""
    try:
        return index(value)
    except TypeError:
        raise EngineError(f"{name} {value!r} is not a whole number; round it to an int first") from None


def require_count(name: str, value: int) -> int:
    """Return a number of instruments or accounts."""
    if not 1 <= require_whole(name, value) <= _MOST:
        raise EngineError(f"{name} must be 1 to {_MOST}, not {value}")
    return index(value)


def require_step(step: int, present: int) -> int:
    """Return a step that does not lie before the present one and fits 64 bits."""
    number = require_whole("step", step)
    if not present <= number < 2**63:
        raise EngineError(f"step {number} must not lie before the present step {present} nor beyond 2^63 - 1")
    return number


_FIELD_BOUNDS = tuple(
    (name, int(np.iinfo(kind).min), int(np.iinfo(kind).max))
    for name, (kind, _) in (MESSAGE_DTYPE.fields or {}).items()
)


def require_fit(*values: int) -> None:
    """Raise EngineError when a value is no whole number or does not fit its field of `MESSAGE_DTYPE`.

    `values` stand in the order of the fields; those left out at the end are not looked at.
    """
    for (name, low, high), value in zip(_FIELD_BOUNDS, values, strict=False):
        number = require_whole(name, value)
        if not low <= number <= high:
            raise EngineError(f"{name} {value} does not fit its field of a message; use {low} to {high}")


def require_messages(messages: Any) -> NDArray[np.void]:
    """Return a batch of messages."""
    if not _is_row(messages, MESSAGE_DTYPE):
        raise EngineError(
            f"messages must be a 1-D array of MESSAGE_DTYPE, not {_described(messages)};"
            " make one with np.zeros(n, MESSAGE_DTYPE)"
        )
    return messages


def require_out(out: Any, messages: NDArray[np.void]) -> NDArray[np.void]:
    """Return memory that the events of a batch may be written to."""
    if not (_is_row(out, EVENT_DTYPE) and out.flags.c_contiguous and out.flags.writeable):
        raise EngineError(
            "out must be a 1-D, contiguous array of EVENT_DTYPE that can be written to, not"
            f" {_described(out)}; make one with np.empty(n, EVENT_DTYPE)"
        )
    if np.may_share_memory(out, messages):
        raise EngineError("out lies where the messages do; give the events memory of their own")
    return out


def _is_row(value: Any, dtype: np.dtype[Any]) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype == dtype


def _described(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return type(value).__name__
    kind = {EVENT_DTYPE: "EVENT_DTYPE", MESSAGE_DTYPE: "MESSAGE_DTYPE"}.get(value.dtype, str(value.dtype))
    plain = value.flags.c_contiguous and value.flags.writeable
    return f"{kind} of shape {value.shape}{'' if plain else ', read-only or with gaps'}"


def require_known(name: str, value: int, count: int) -> int:
    """Return the number of an instrument or account of a book."""
    number = require_whole(name, value)
    if not 0 <= number < count:
        raise EngineError(f"{name} {number} is unknown; {name}s are 0 to {count - 1}")
    return number


def require_side(side: Side | int) -> Side:
    """Return a side."""
    if require_whole("side", side) not in (Side.BUY, Side.SELL):
        raise EngineError(f"side {side} is unknown; use Side.BUY (0) or Side.SELL (1)")
    return Side(side)


def require_depth(depth: int | None) -> int | None:
    """Return a number of levels, or None for all."""
    if depth is not None and require_whole("depth", depth) < 0:
        raise EngineError(f"depth {depth} is below 0; ask for 0 or more levels, or None for all")
    return depth


def require_policy(value: SelfTrade | int) -> SelfTrade:
    """Return a self-trade policy."""
    if value not in tuple(SelfTrade):
        known = ", ".join(f"{policy.name} ({policy.value})" for policy in SelfTrade)
        raise EngineError(f"self-trade policy {value} is unknown; use one of {known}")
    return SelfTrade(value)
