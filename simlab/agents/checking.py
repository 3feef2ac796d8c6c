"""Check what strategies written in Python send: one door for all, with an error that names the field.

A number is a whole number of any integer type that fits 64 bits, no float (not even a whole one) and no
Boolean. What has a name, such as a side, is one of the known values.
"""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simlab.errors import StrategyError, did_you_mean

__all__ = [
    "ORDER_SIDES",
    "TIMES_IN_FORCE",
    "as_array",
    "chosen",
    "chosen_array",
    "fitting",
    "whole",
    "whole_array",
]

ORDER_SIDES: dict[Any, int] = {0: 0, 1: 1, "buy": 0, "sell": 1}
TIMES_IN_FORCE: dict[Any, int] = {0: 0, 1: 1, 2: 2, "GTC": 0, "IOC": 1, "FOK": 2}

_LOW, _HIGH = -(2**63), 2**63 - 1


def whole(value: Any, name: str, *, low: int = _LOW, high: int = _HIGH) -> int:
    """Return a whole number within bounds, or raise StrategyError.

    Example
    -------
    >>> whole(7, "price")
    7
    >>> whole(7.0, "price")
    Traceback (most recent call last):
    simlab.errors.StrategyError: price 7.0 is not a whole number of an integer type; use int(...), rounded...
    """
    if isinstance(value, bool | np.bool_):
        raise StrategyError(f"{name} {value} is a Boolean, not a number; give an int")
    try:
        number = operator.index(value)
    except TypeError:
        remedy = "leave it out, or give an int" if value is None else "use int(...), rounded as you mean it"
        raise StrategyError(
            f"{name} {_shown(value)} is not a whole number of an integer type; {remedy}"
        ) from None
    if not _LOW <= number <= _HIGH:
        raise StrategyError(f"{name} {_shown(number)} does not fit 64 bits; use {_LOW} to {_HIGH}")
    if not low <= number <= high:
        raise StrategyError(f"{name} {number} is out of range; use {low} to {high}")
    return number


def chosen(known: Mapping[Any, int], value: Any, name: str) -> int:
    """Return what a value stands for, or raise StrategyError.

    Example
    -------
    >>> chosen(ORDER_SIDES, "sell", "side")
    1
    """
    try:
        found = known[value]
    except (KeyError, TypeError):
        found = -1
    # 1.0 and True are found under 1, but are no names
    if found < 0 or (value.__class__ is not str and isinstance(value, float | bool | np.floating | np.bool_)):
        names = [key for key in known if isinstance(key, str)]
        hint = did_you_mean(value, names, otherwise="") if isinstance(value, str) else ""
        raise StrategyError(
            f"{name} {_shown(value)} is not known; use one of {', '.join(map(repr, names))}{hint}"
        )
    return found


def whole_array(values: ArrayLike, name: str, *, low: int = _LOW, high: int = _HIGH) -> NDArray[np.int64]:
    """Return whole numbers within bounds as int64, or raise StrategyError that names the first that is not.

    Example
    -------
    >>> whole_array([1, 2], "price").tolist()
    [1, 2]
    >>> whole_array([1, 2.5], "price")
    Traceback (most recent call last):
    simlab.errors.StrategyError: price must be whole numbers: price[1] 2.5 is not a whole number of an...
    """
    if values.__class__ is int:
        return np.array(whole(values, name, low=low, high=high), np.int64)
    array = as_array(values, name)
    if not array.size:
        return np.zeros(array.shape, np.int64)
    listed = values if isinstance(values, list | tuple) else ()  # in which NumPy makes numbers of Booleans
    if array.dtype.kind not in "iu" or not {bool, np.bool_}.isdisjoint(map(type, listed)):
        return _one_by_one(array, values, name, low, high)
    if low > _LOW or high < _HIGH or array.dtype == np.uint64:
        least, most = int(array.min()), int(array.max())
        if least < low or most > high:
            at = int(array.argmin() if least < low else array.argmax())
            whole(array.flat[at], _place(array, at, name), low=low, high=high)
    return array.astype(np.int64, copy=False)


def chosen_array(
    known: Mapping[Any, int], values: ArrayLike, name: str, *, high: int, flag: bool = False
) -> NDArray[np.int64]:
    """Return what each value stands for: whole numbers to `high`, names, or (as a `flag`) Booleans."""
    array = as_array(values, name)
    if flag and array.dtype == np.bool_:
        return array.astype(np.int64)
    if known and array.size and isinstance(array.flat[0], str):
        codes = [chosen(known, str(it), _place(array, at, name)) for at, it in enumerate(array.flat)]
        return np.array(codes, np.int64).reshape(array.shape)
    return whole_array(values, name, low=0, high=high)


def fitting(values: NDArray[np.int64], count: int, name: str) -> NDArray[np.int64]:
    """Return values that are one, or one for each of `count` messages; raise StrategyError for others."""
    if values.ndim == 0 or values.shape == (count,):
        return values
    raise StrategyError(
        f"{name} has shape {values.shape} for {count} messages; give one value, or an array of {count}"
    )


def as_array(values: ArrayLike, name: str) -> NDArray[Any]:
    """Return an array of whatever type, or raise StrategyError."""
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise StrategyError(f"{name} has masked elements; fill them, or leave out their agents")
    try:
        return np.asarray(values)
    except (ValueError, TypeError, OverflowError) as error:
        raise StrategyError(
            f"{name} is no array of numbers ({error}); give one value for each agent"
        ) from None


def _one_by_one(array: NDArray[Any], given: ArrayLike, name: str, low: int, high: int) -> NDArray[np.int64]:
    """Take numbers of any type, or name the first that is none."""
    if isinstance(given, list | tuple):
        array = np.array(given, object)  # NumPy makes floats of integers that fit no common type
    instead = f", not {array.dtype}" if array.dtype != object else ""
    try:
        checked = [whole(it, _place(array, at, name), low=low, high=high) for at, it in enumerate(array.flat)]
    except StrategyError as error:
        if not array.ndim:
            raise
        raise StrategyError(f"{name} must be whole numbers{instead}: {error}") from None
    return np.array(checked, np.int64).reshape(array.shape)


def _place(array: NDArray[Any], at: int, name: str) -> str:
    """Name an element: ``price[3]``, or ``price`` for a single value."""
    where = np.unravel_index(at, array.shape)
    return f"{name}[{', '.join(str(int(it)) for it in where)}]" if array.ndim else name


def _shown(value: Any) -> str:
    """Show a value in an error, cut off when it is long."""
    if isinstance(value, np.generic):
        value = value.item()
    try:
        text = repr(value)
    except Exception as error:  # a number of more than 4,300 digits, or an object that cannot be shown
        return f"of type {type(value).__name__} ({type(error).__name__})"
    return text if len(text) <= 60 else f"{text[:57]}..."
