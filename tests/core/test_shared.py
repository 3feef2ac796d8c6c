"""State behind one pointer: what compiled code reads and writes through it is the arrays themselves."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlab.core.jit import jit
from simlab.core.shared import pinner, prefetch, share


class Pair(NamedTuple):
    """A vector, a table and a plain array."""

    vector: NDArray[np.int64]
    table: NDArray[np.int32]
    plain: NDArray[np.float64]

    TABLES = {"vector": 1, "table": 3}  # noqa: RUF012


def _pair() -> Pair:
    return Pair(np.arange(4), np.arange(12, dtype=np.int32).reshape(4, 3), np.ones((2, 2)))


pin, find = pinner(_pair())


@jit
def _touch(pair):
    prefetch(pair.table, 1)
    row = pair.table[2]
    row[1] = row[0] + 100
    pair.table[3, 2] += 1
    pair.vector[0] = pair.table.shape[0] * 10 + pair.vector.shape[0]
    pair.plain[1, 1] = 7.5
    return np.int64(pair.table[0, 2]) + pair.vector[3]


@jit
def _through_share(pair):
    return _touch(share(pair))


@jit
def _through_pin(pinned):
    return _touch(find(pinned))


def _assert_touched(pair: Pair, answer: int) -> None:
    assert answer == 5
    assert pair.table[2].tolist() == [6, 106, 8]
    assert pair.table[3, 2] == 12
    assert pair.vector[0] == 44
    assert pair.plain[1, 1] == 7.5


def test_a_shared_tuple_is_its_arrays() -> None:
    pair = _pair()
    _assert_touched(pair, _through_share(pair))


def test_a_pinned_tuple_is_its_arrays() -> None:
    pair = _pair()
    _assert_touched(pair, _through_pin(pin(pair)))
