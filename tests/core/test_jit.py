"""Compiled functions are compiled once for all whole numbers, and calculate what they did."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
import pytest

from simlab.core.jit import JIT, jit, jit_inside

pytestmark = pytest.mark.skipif(not JIT, reason="nothing is compiled")

# Nothing is kept on disk here: what is read from there says nothing of how often it was compiled.


class Colour(IntEnum):
    """An enum as compiled code meets it."""

    RED = 3


@jit(cache=False)
def _twice(x):
    return x + x


@jit(cache=False)
def _less(x, y, strict=True):
    return x < y if strict else x <= y


@jit_inside
def _clipped(x, limit):
    if x > limit:
        return limit
    return x


@jit(cache=False)
def _outer(x, limit):
    return _clipped(x + 1, limit)


@jit(cache=False)
def _call(small, unsigned, real):
    total = _twice(2) + _twice(7) + _twice(Colour.RED) + _twice(small[0]) + _twice(len(small))
    return total, _twice(unsigned), _twice(real)


@jit(cache=False)
def _compare(small, wide):
    return _less(small[0], wide), _less(wide, small[0]), _less(1, small[1]), _less(small[0], 5, strict=False)


def test_constants_enums_and_narrow_integers_share_a_version() -> None:
    small = np.array([5, -(2**31)], np.int32)
    assert _call(small, np.uint64(2**63 + 1), 0.5) == (4 + 14 + 6 + 10 + 4, 2, 1.0)
    assert sorted(str(it.args[0]) for it in _twice.nopython_signatures) == ["float64", "int64", "uint64"]
    assert _twice(small[1]) == -(2**32), "and from Python"


def test_keywords_too() -> None:
    small = np.array([5, 2], np.int32)
    assert _compare(small, np.int64(2**40)) == (True, False, True, True)
    kinds = {tuple(map(str, it.args[:2])) for it in _less.nopython_signatures}
    assert kinds == {("int64", "int64")}


def test_what_is_inside_its_caller_is_not_compiled_by_itself() -> None:
    assert [_outer(x, 5) for x in (1, 4, 9)] == [2, 5, 5]
    assert _outer.nopython_signatures
    assert not _clipped.nopython_signatures
    assert _clipped(9, 5) == 5, "and from Python"
