"""Hash tables in arrays: order id to row, and price to level. Open addressing, at most half full."""

from __future__ import annotations

import numpy as np

from simlab.core.jit import jit, jit_inline

__all__ = [
    "find_id",
    "find_level",
    "insert_id",
    "insert_level_entry",
    "rebuild_ids",
    "rebuild_level_map",
    "remove_id",
    "remove_level_entry",
]

O_ID = 0
"""Column of `orders` that identifies an order."""

L_KEY, L_LIST = 0, 1
"""Columns of `levels` that identify a level: its sort key, and the side of an instrument it belongs to."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_ODD = np.uint64(0xC2B2AE3D27D4EB4F)
_S32 = np.uint64(32)


@jit_inline
def _home_of_id(order_id, mask):
    """Spread groups of 16 ids over the table, each group side by side: new ids share a cache line."""
    x = np.uint64(order_id >> 4) * _GOLDEN
    return ((np.int64(x >> _S32) << 4) | (order_id & 15)) & mask


@jit_inline
def find_id(ids, orders, order_id):
    """Return the row of an order, or 0. Expected O(1)."""
    mask = ids.shape[0] - 1
    i = _home_of_id(order_id, mask)
    while ids[i] != 0:
        if orders[ids[i], O_ID] == order_id:
            return np.int64(ids[i])
        i = (i + 1) & mask
    return 0


@jit_inline
def insert_id(ids, orders, row):
    """Enter an order that has its id but is not in the table."""
    mask = ids.shape[0] - 1
    i = _home_of_id(orders[row, O_ID], mask)
    while ids[i] != 0:
        i = (i + 1) & mask
    ids[i] = row


@jit_inline
def remove_id(ids, orders, row):
    """Remove an order that is there, closing the gap so that no probe is cut short."""
    mask = ids.shape[0] - 1
    gap = _home_of_id(orders[row, O_ID], mask)
    while ids[gap] != row:
        gap = (gap + 1) & mask
    i = (gap + 1) & mask
    while ids[i] != 0:
        home = _home_of_id(orders[ids[i], O_ID], mask)
        if ((i - home) & mask) >= ((i - gap) & mask):
            ids[gap] = ids[i]
            gap = i
        i = (i + 1) & mask
    ids[gap] = 0


@jit_inline
def _home_of_level(side_list, key, mask):
    x = (np.uint64(key) ^ (np.uint64(side_list) * _ODD)) * _GOLDEN
    x = (x ^ (x >> _S32)) * _ODD
    return np.int64((x >> _S32) ^ x) & mask


@jit_inline
def find_level(level_map, levels, side_list, key):
    """Return the level of a side at a price key, or 0. Expected O(1)."""
    mask = level_map.shape[0] - 1
    i = _home_of_level(side_list, key, mask)
    while level_map[i] != 0:
        level = level_map[i]
        if levels[level, L_KEY] == key and levels[level, L_LIST] == side_list:
            return np.int64(level)
        i = (i + 1) & mask
    return 0


@jit
def insert_level_entry(level_map, levels, level):
    mask = level_map.shape[0] - 1
    i = _home_of_level(levels[level, L_LIST], levels[level, L_KEY], mask)
    while level_map[i] != 0:
        i = (i + 1) & mask
    level_map[i] = level


@jit
def remove_level_entry(level_map, levels, level):
    mask = level_map.shape[0] - 1
    gap = _home_of_level(levels[level, L_LIST], levels[level, L_KEY], mask)
    while level_map[gap] != level:
        gap = (gap + 1) & mask
    i = (gap + 1) & mask
    while level_map[i] != 0:
        home = _home_of_level(levels[level_map[i], L_LIST], levels[level_map[i], L_KEY], mask)
        if ((i - home) & mask) >= ((i - gap) & mask):
            level_map[gap] = level_map[i]
            gap = i
        i = (i + 1) & mask
    level_map[gap] = 0


@jit
def rebuild_ids(old, new, orders):
    """Insert every entry of one table into a larger, empty one."""
    for i in range(old.shape[0]):
        if old[i] != 0:
            insert_id(new, orders, old[i])


@jit
def rebuild_level_map(old, new, levels):
    """Insert every entry of one table into a larger, empty one."""
    for i in range(old.shape[0]):
        if old[i] != 0:
            insert_level_entry(new, levels, old[i])
