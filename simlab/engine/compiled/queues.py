"""Put orders into the compiled book and take them out: levels, queues, owners' lists, the expiry heap."""

from __future__ import annotations

import numpy as np

from simlab.core.jit import jit, jit_inline
from simlab.engine.compiled.arrays import (
    A_HEAD,
    A_ORDERS,
    A_TAIL,
    B_BIDS,
    K_ACCOUNT,
    K_ACCOUNT_NEXT,
    K_ACCOUNT_PREVIOUS,
    K_HEAP,
    K_LEVEL,
    K_NEXT,
    K_PREVIOUS,
    L_DEPTH,
    L_HEAD,
    L_HEIGHT,
    L_ORDERS,
    L_PRICE,
    L_TAIL,
    MAX_HEIGHT,
    O_EXPIRY,
    O_PRICE,
    O_QUANTITY,
    S_COIN,
    S_FREE_LEVEL,
    S_FREE_ORDER,
    S_HEAP,
    S_LEVELS,
    S_ORDERS,
    S_TOP_LEVEL,
    S_TOP_ORDER,
)
from simlab.engine.compiled.tables import (
    L_KEY,
    L_LIST,
    O_ID,
    find_level,
    insert_id,
    insert_level_entry,
    remove_id,
    remove_level_entry,
)

__all__ = ["delete_order", "new_order", "remove_level", "rest", "set_expiry", "unrest"]


@jit
def _tower_height(state):
    coin = state[S_COIN]
    coin ^= (coin << 13) & 0xFFFFFFFF
    coin ^= coin >> 17
    coin ^= (coin << 5) & 0xFFFFFFFF
    state[S_COIN] = coin
    height = 1
    while height < MAX_HEIGHT and (coin & 3) == 0:
        height += 1
        coin >>= 2
    return height


@jit
def _take_level_row(state, levels):
    state[S_LEVELS] += 1
    level = state[S_FREE_LEVEL]
    if level != 0:
        state[S_FREE_LEVEL] = levels[level, L_HEAD]
        return level
    level = state[S_TOP_LEVEL]
    state[S_TOP_LEVEL] = level + 1
    return level


@jit
def _add_level(book, side_list, key, price):
    """Insert a level into its skip list. Expected O(log levels); O(1) for a new best price."""
    levels, towers = book.levels, book.towers
    level = _take_level_row(book.state, levels)
    height = _tower_height(book.state)
    top = max(levels[side_list, L_HEIGHT], height)
    levels[side_list, L_HEIGHT] = top
    levels[level, L_KEY] = key
    levels[level, L_LIST] = side_list
    levels[level, L_HEAD] = 0
    levels[level, L_TAIL] = 0
    levels[level, L_DEPTH] = 0
    levels[level, L_ORDERS] = 0
    levels[level, L_PRICE] = price
    levels[level, L_HEIGHT] = height
    node = side_list
    best = np.int64(towers[side_list, 0])
    is_best = best == 0 or key < levels[best, L_KEY]
    for floor in range((height if is_best else top) - 1, -1, -1):
        after = np.int64(towers[node, floor])
        while after != 0 and levels[after, L_KEY] < key:
            node = after
            after = np.int64(towers[node, floor])
        if floor < height:
            towers[level, floor] = after
            towers[node, floor] = level
    insert_level_entry(book.level_map, levels, level)
    return level


@jit
def remove_level(book, level):
    """Remove an empty level. Expected O(log levels); O(1) for the best price."""
    state, levels, towers = book.state, book.levels, book.towers
    remove_level_entry(book.level_map, levels, level)
    key = levels[level, L_KEY]
    node = levels[level, L_LIST]
    tallest = level if towers[node, 0] == level else node
    for floor in range(levels[tallest, L_HEIGHT] - 1, -1, -1):
        after = np.int64(towers[node, floor])
        while after != 0 and levels[after, L_KEY] < key:
            node = after
            after = np.int64(towers[node, floor])
        if after == level:
            towers[node, floor] = towers[level, floor]
    levels[level, L_HEAD] = state[S_FREE_LEVEL]
    state[S_FREE_LEVEL] = level
    state[S_LEVELS] -= 1


@jit_inline
def new_order(book, order_id, account, expiry):
    """Take a row for an order and enter it in the id table, its owner's list and the expiry heap."""
    state, links, owners = book.state, book.links, book.owners
    row = state[S_FREE_ORDER]
    if row != 0:
        state[S_FREE_ORDER] = links[row, K_NEXT]
    else:
        row = state[S_TOP_ORDER]
        state[S_TOP_ORDER] = row + 1
    state[S_ORDERS] += 1
    book.orders[row, O_ID] = order_id
    book.orders[row, O_EXPIRY] = expiry
    insert_id(book.ids, book.orders, row)
    tail = owners[account, A_TAIL]
    links[row, K_ACCOUNT] = account
    links[row, K_ACCOUNT_NEXT] = 0
    links[row, K_ACCOUNT_PREVIOUS] = tail
    if tail != 0:
        links[tail, K_ACCOUNT_NEXT] = row
    else:
        owners[account, A_HEAD] = row
    owners[account, A_TAIL] = row
    owners[account, A_ORDERS] += 1
    links[row, K_HEAP] = 0
    if expiry != 0:
        _heap_push(book, row)
    return row


@jit_inline
def delete_order(book, row):
    """Forget an order that stands at no level any more."""
    state, links, owners = book.state, book.links, book.owners
    remove_id(book.ids, book.orders, row)
    if links[row, K_HEAP] != 0:
        _heap_remove(book, row)
    account = links[row, K_ACCOUNT]
    before = links[row, K_ACCOUNT_PREVIOUS]
    after = links[row, K_ACCOUNT_NEXT]
    if before != 0:
        links[before, K_ACCOUNT_NEXT] = after
    else:
        owners[account, A_HEAD] = after
    if after != 0:
        links[after, K_ACCOUNT_PREVIOUS] = before
    else:
        owners[account, A_TAIL] = before
    owners[account, A_ORDERS] -= 1
    links[row, K_NEXT] = state[S_FREE_ORDER]
    state[S_FREE_ORDER] = row
    state[S_ORDERS] -= 1


@jit_inline
def rest(book, row, instrument, side, price, quantity):
    """Put an order last in the queue at its price."""
    orders, links, levels = book.orders, book.links, book.levels
    side_list = 2 * instrument + side
    key = price if side == 1 else ~price
    level = np.int64(find_level(book.level_map, levels, side_list, key))
    if level == 0:
        level = _add_level(book, side_list, key, price)
    tail = levels[level, L_TAIL]
    orders[row, O_PRICE] = price
    orders[row, O_QUANTITY] = quantity
    links[row, K_LEVEL] = level
    links[row, K_NEXT] = 0
    links[row, K_PREVIOUS] = tail
    if tail != 0:
        links[tail, K_NEXT] = row
    else:
        levels[level, L_HEAD] = row
    levels[level, L_TAIL] = row
    levels[level, L_DEPTH] += quantity
    levels[level, L_ORDERS] += 1
    book.books[instrument, B_BIDS + side] += 1


@jit_inline
def unrest(book, row):
    """Take an order out of its queue; an emptied level goes."""
    links, levels = book.links, book.levels
    level = np.int64(links[row, K_LEVEL])
    before = links[row, K_PREVIOUS]
    after = links[row, K_NEXT]
    if before != 0:
        links[before, K_NEXT] = after
    else:
        levels[level, L_HEAD] = after
    if after != 0:
        links[after, K_PREVIOUS] = before
    else:
        levels[level, L_TAIL] = before
    levels[level, L_DEPTH] -= book.orders[row, O_QUANTITY]
    levels[level, L_ORDERS] -= 1
    side_list = levels[level, L_LIST]
    book.books[side_list >> 1, B_BIDS + (side_list & 1)] -= 1
    if levels[level, L_ORDERS] == 0:
        remove_level(book, level)


@jit
def set_expiry(book, row, expiry):
    """Give an order another last step."""
    if book.links[row, K_HEAP] != 0:
        _heap_remove(book, row)
    book.orders[row, O_EXPIRY] = expiry
    if expiry != 0:
        _heap_push(book, row)


@jit
def _sooner(orders, a, b):
    if orders[a, O_EXPIRY] != orders[b, O_EXPIRY]:
        return orders[a, O_EXPIRY] < orders[b, O_EXPIRY]
    return orders[a, O_ID] < orders[b, O_ID]


@jit
def _heap_place(book, row, i):
    book.heap[i] = row
    book.links[row, K_HEAP] = i


@jit
def _heap_up(book, row, i):
    while i > 1 and _sooner(book.orders, row, book.heap[i >> 1]):
        _heap_place(book, book.heap[i >> 1], i)
        i >>= 1
    _heap_place(book, row, i)


@jit
def _heap_push(book, row):
    book.state[S_HEAP] += 1
    _heap_up(book, row, book.state[S_HEAP])


@jit
def _heap_remove(book, row):
    i = np.int64(book.links[row, K_HEAP])
    size = book.state[S_HEAP]
    last = np.int64(book.heap[size])
    size -= 1
    book.state[S_HEAP] = size
    book.links[row, K_HEAP] = 0
    if last == row:
        return
    while 2 * i <= size:
        child = 2 * i
        if child < size and _sooner(book.orders, book.heap[child + 1], book.heap[child]):
            child += 1
        if not _sooner(book.orders, book.heap[child], last):
            break
        _heap_place(book, book.heap[child], i)
        i = child
    _heap_up(book, last, i)
