"""Check what strategies written in Python send: one door for all, with an error that names the field."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simlab.errors import StrategyError

__all__ = ["ORDER_SIDES", "TIMES_IN_FORCE", "chosen", "whole", "whole_array"]

ORDER_SIDES: dict[Any, int] = {0: 0, 1: 1, "buy": 0, "sell": 1}
TIMES_IN_FORCE: dict[Any, int] = {0: 0, 1: 1, 2: 2, "GTC": 0, "IOC": 1, "FOK": 2}

_LOW, _HIGH = -(2**63), 2**63 - 1


def whole(value: Any, name: str) -> int:
    """Return a whole number that fits 64 bits, or raise StrategyError."""
    try:
        number = operator.index(value)
    except TypeError:
        raise StrategyError(
            f"{name} {value!r} is not a whole number; round it to an int (price units, lots or steps) first"
        ) from None
    if not _LOW <= number <= _HIGH:
        raise StrategyError(f"{name} {number} does not fit 64 bits; use {_LOW} to {_HIGH}")
    return number


def chosen(known: Mapping[Any, int], value: Any, name: str) -> int:
    """Return what a value stands for, or raise StrategyError."""
    try:
        return known[value]
    except (KeyError, TypeError):
        names = ", ".join(repr(key) for key in known if isinstance(key, str))
        raise StrategyError(f"{name} {value!r} is not known; use one of {names}") from None


def whole_array(values: ArrayLike, name: str, *, low: int = _LOW, high: int = _HIGH) -> NDArray[np.int64]:
    """Return whole numbers within bounds as int64, or raise StrategyError."""
    array = np.asarray(values)
    if array.dtype.kind not in "iub":
        raise StrategyError(f"{name} must be whole numbers, not {array.dtype}; round them to int64 first")
    if array.size and (low > _LOW or high < _HIGH or array.dtype == np.uint64):
        least, most = int(array.min()), int(array.max())
        if least < low or most > high:
            wrong = least if least < low else most
            raise StrategyError(f"{name} {wrong} is out of range; use {low} to {high}")
    return array.astype(np.int64, copy=False)
