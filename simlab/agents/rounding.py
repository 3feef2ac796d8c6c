"""Make whole numbers of what a compiled strategy sends, of whatever type it is.

To convert a float that is no number, or is too large for 64 bits, is undefined in compiled code: it may yield
what another row left behind. Here it yields a number that the market refuses. Which code a call becomes is
decided by types, so that integers, as nearly all are, cost nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

from simlab.core.jit import jit
from simlab.core.types import Side

__all__ = ["BEYOND", "small_field", "whole_or_none", "whole_price", "whole_quantity"]

BEYOND = 2**62
"""A price that lies in no band, and a quantity that no order may have."""
NONE = -1
"""An id that no order has, and a step that is always past."""
NO_BYTE = 255
"""A side or time in force that does not exist, in the byte that a message has for it."""

_LARGEST = 2.0**62
_TYPED = {"jit_options": {"error_model": "numpy", "nogil": True, "_nrt": False}}


@jit
def _price_of_float(price, side):
    if not -_LARGEST <= price <= _LARGEST:
        return BEYOND
    return math.floor(price) if side == Side.BUY else math.ceil(price)


@jit
def _quantity_of_float(quantity):
    return math.floor(quantity) if -_LARGEST <= quantity <= _LARGEST else BEYOND


@jit
def _number_of_float(value):
    if -_LARGEST <= value <= _LARGEST and math.floor(value) == value:
        return int(value)
    return NONE


@jit
def _byte_of_float(value):
    return int(value) if 0.0 <= value < NO_BYTE and math.floor(value) == value else NO_BYTE


def _interpreted(value: Any, of_float: Callable[..., int], otherwise: int, *more: Any) -> Any:
    if isinstance(value, float | np.floating):
        return of_float(value, *more)
    return value if -(2**63) <= value < 2**63 else otherwise


def whole_price(price: Any, side: Any) -> Any:
    """Round a price away from the market, down to buy and up to sell; `BEYOND` for what is no number."""
    return _interpreted(price, _price_of_float, BEYOND, side)


def whole_quantity(value: Any) -> Any:
    """Round a quantity down; `BEYOND` for what is no number."""
    return _interpreted(value, _quantity_of_float, BEYOND)


def whole_or_none(value: Any) -> Any:
    """Return an id or a step as it is, `NONE` for what is no whole number."""
    return _interpreted(value, _number_of_float, NONE)


def small_field(value: Any) -> Any:
    """Return a small number as it is, `NO_BYTE` for what does not fit a byte."""
    if isinstance(value, float | np.floating):
        return _byte_of_float(value)
    return int(value) if 0 <= value < NO_BYTE else NO_BYTE


def _is_large(kind: Any) -> bool:
    return isinstance(kind, types.Integer) and not kind.signed and kind.bitwidth == 64


@overload(whole_price, **_TYPED)
def _typed_price(price, side):
    if isinstance(price, types.Float):
        return lambda price, side: _price_of_float(price, side)
    if _is_large(price):
        return lambda price, side: np.int64(price) if price < BEYOND else BEYOND
    return lambda price, side: np.int64(price)


def _typed_number(function: Any, of_float: Any, otherwise: int) -> None:
    @overload(function, **_TYPED)
    def _typed(value):
        if isinstance(value, types.Float):
            return lambda value: of_float(value)
        if _is_large(value):
            return lambda value: np.int64(value) if value < BEYOND else otherwise
        return lambda value: np.int64(value)


_typed_number(whole_quantity, _quantity_of_float, BEYOND)
_typed_number(whole_or_none, _number_of_float, NONE)


@overload(small_field, **_TYPED)
def _typed_field(value):
    if isinstance(value, types.Float):
        return lambda value: _byte_of_float(value)
    if isinstance(value, types.IntEnumMember):
        return lambda value: value.value
    return lambda value: np.int64(value) if 0 <= value < NO_BYTE else NO_BYTE
