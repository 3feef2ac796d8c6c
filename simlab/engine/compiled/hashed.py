"""Hash tables: order id to order, and price to level. Open addressing, at most half full.

An entry keeps a 32-bit tag of its key beside the row it leads to: a probe that fails touches no other row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.core.jit import jit, jit_inline
from simlab.core.rows import Tables, new_rows, opener, table

__all__ = ["ENTRY", "enter", "find_id", "find_level", "rehashed", "strike", "tag_of_id", "tag_of_level"]

ENTRY = np.dtype([("row", "i4"), ("tag", "u4")])
"""One place of a hash table; row 0 says that it is free. The tag's low bits are where its key belongs."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ODD = np.uint64(0xC2B2AE3D27D4EB4F)
_S32 = np.uint64(32)
_LOW_HALF = 0xFFFFFFFF


@jit_inline
def tag_of_id(order_id):
    """Spread groups of 16 ids over the table, each group side by side: new ids share a cache line."""
    x = np.uint64(order_id >> 4) * _GOLDEN
    return ((np.int64(x >> _S32) << 4) | (order_id & 15)) & _LOW_HALF


@jit_inline
def tag_of_level(side_list, key):
    """Mix the side of an instrument and a price key; groups of 8 prices lie side by side as well."""
    x = (np.uint64(key >> 3) ^ (np.uint64(side_list) * _ODD)) * _GOLDEN
    x = (x ^ (x >> _S32)) * _ODD
    return ((np.int64(x >> _S32) << 3) | (key & 7)) & _LOW_HALF


@jit_inline
def find_id(book, order_id):
    """Return the row of a resting order, or 0. Expected O(1)."""
    ids = book.ids
    mask = len(ids) - 1
    tag = tag_of_id(order_id)
    i = tag & mask
    row = ids[i].row
    while row != 0:
        if ids[i].tag == tag and book.orders[row].order_id == order_id:
            return row
        i = (i + 1) & mask
        row = ids[i].row
    return 0


@jit_inline
def find_level(book, side_list, key):
    """Return the level of a side at a price key, or 0. Expected O(1)."""
    prices = book.prices
    mask = len(prices) - 1
    tag = tag_of_level(side_list, key)
    i = tag & mask
    level = prices[i].row
    while level != 0:
        if prices[i].tag == tag:
            node = book.nodes[level]
            if node.key == key and node.side_list == side_list:
                return level
        i = (i + 1) & mask
        level = prices[i].row
    return 0


@jit_inline
def enter(entries, tag, row):
    """Enter a row that is not in the table."""
    mask = len(entries) - 1
    i = tag & mask
    while entries[i].row != 0:
        i = (i + 1) & mask
    entries[i].row = row
    entries[i].tag = tag


@jit_inline
def strike(entries, tag, row):
    """Remove a row that is in the table, closing the gap so that no probe is cut short."""
    mask = len(entries) - 1
    gap = tag & mask
    while entries[gap].row != row:
        gap = (gap + 1) & mask
    i = (gap + 1) & mask
    while entries[i].row != 0:
        home = entries[i].tag & mask
        if ((i - home) & mask) >= ((i - gap) & mask):
            entries[gap].row = entries[i].row
            entries[gap].tag = entries[i].tag
            gap = i
        i = (i + 1) & mask
    entries[gap].row = 0


class _Pair(Tables):
    """A hash table and the larger one that takes its place."""

    old = table(ENTRY)
    new = table(ENTRY)


_find_pair = opener(_Pair)


@jit
def _rehash(pair):
    tables = _find_pair(pair)
    for i in range(len(tables.old)):
        if tables.old[i].row != 0:
            enter(tables.new, tables.old[i].tag, tables.old[i].row)


def rehashed(entries: NDArray[Any], size: int) -> NDArray[Any]:
    """Return a hash table of `size` places, a power of two, with the same entries."""
    pair = _Pair(old=entries, new=new_rows(size, ENTRY))
    _rehash(pair.address)
    return pair.new
