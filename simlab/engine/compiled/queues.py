"""Put orders into the compiled book and take them out: levels, queues, owners' lists, the expiry heap."""

from __future__ import annotations

from simlab.core.jit import jit, jit_inline
from simlab.engine.compiled.hashed import enter, find_level, strike, tag_of_id, tag_of_level
from simlab.engine.compiled.tables import MANY_LEVELS, MAX_HEIGHT

__all__ = ["delete_order", "new_order", "remove_level", "rest", "set_expiry", "unrest"]

_CLOSE = 7
"""How many prices away a level is looked for beside another."""


@jit_inline
def _tower_height(counters):
    coin = counters.coin
    coin ^= (coin << 13) & 0xFFFFFFFF
    coin ^= coin >> 17
    coin ^= (coin << 5) & 0xFFFFFFFF
    counters.coin = coin
    height = 1
    while height < MAX_HEIGHT and (coin & 3) == 0:
        height += 1
        coin >>= 2
    return height


@jit_inline
def _take_level_row(book):
    counters = book.counters
    counters.levels += 1
    level = counters.free_level
    if level != 0:
        counters.free_level = book.levels[level].head
        return level
    level = counters.top_level
    counters.top_level = level + 1
    return level


@jit_inline
def _close_before(book, side_list, key):
    """Return the last level before a key if it is close and there are many, else 0.

    Close prices lie side by side in the table of prices, so that in a large, dense book it is quicker to look
    there than to walk through the skip list.
    """
    if book.counters.levels < MANY_LEVELS:
        return 0
    for distance in range(1, _CLOSE + 1):
        level = find_level(book, side_list, key - distance)
        if level != 0:
            return level if book.nodes[level].key < key else 0  # the difference wraps at the lowest key
    return 0


@jit
def _add_level(book, side_list, key, price):
    """Insert a level into its skip list. Expected O(log levels); O(1) for a new best price."""
    nodes = book.nodes
    row = _take_level_row(book)
    height = _tower_height(book.counters)
    level, node, head = book.levels[row], nodes[row], nodes[side_list]
    top = max(head.height, height)
    head.height = top
    level.price = price
    level.depth = 0
    level.head = 0
    level.tail = 0
    level.orders = 0
    node.key = key
    node.side_list = side_list
    node.height = height
    at = side_list
    best = head.floors[0]
    is_best = best == 0 or key < nodes[best].key
    highest, lowest = height if is_best else top, 0
    before = 0 if is_best else _close_before(book, side_list, key)
    if before != 0:
        node.floors[0] = nodes[before].floors[0]
        nodes[before].floors[0] = row
        highest, lowest = top if height > 1 else 0, 1
    for floor in range(highest - 1, lowest - 1, -1):
        after = nodes[at].floors[floor]
        while after != 0 and nodes[after].key < key:
            at = after
            after = nodes[at].floors[floor]
        if floor < height:
            node.floors[floor] = after
            nodes[at].floors[floor] = row
    enter(book.prices, tag_of_level(side_list, key), row)
    return row


@jit_inline
def _free_level_row(book, row):
    counters = book.counters
    book.levels[row].head = counters.free_level
    counters.free_level = row
    counters.levels -= 1


@jit
def remove_level(book, row):
    """Remove an empty level. Expected O(log levels); O(1) for the best price."""
    nodes = book.nodes
    node = nodes[row]
    key, at = node.key, node.side_list
    strike(book.prices, tag_of_level(at, key), row)
    highest, lowest = node.height, 0
    if nodes[at].floors[0] != row:
        before = _close_before(book, at, key)
        if before != 0:
            nodes[before].floors[0] = node.floors[0]
            lowest = 1
        if before == 0 or highest > 1:
            highest = nodes[at].height
    for floor in range(highest - 1, lowest - 1, -1):
        after = nodes[at].floors[floor]
        while after != 0 and nodes[after].key < key:
            at = after
            after = nodes[at].floors[floor]
        if after == row:
            nodes[at].floors[floor] = node.floors[floor]
    _free_level_row(book, row)


@jit_inline
def new_order(book, order_id, account, expiry):
    """Take a row for an order and enter it in the id table, its owner's list and the expiry heap."""
    counters, owner = book.counters, book.owners[account]
    row = counters.free_order
    if row != 0:
        counters.free_order = book.orders[row].next
    else:
        row = counters.top_order
        counters.top_order = row + 1
    counters.orders += 1
    order = book.orders[row]
    order.order_id = order_id
    order.expiry = expiry
    enter(book.ids, tag_of_id(order_id), row)
    tail = owner.tail
    order.account = account
    order.account_next = 0
    order.account_previous = tail
    if tail != 0:
        book.orders[tail].account_next = row
    else:
        owner.head = row
    owner.tail = row
    owner.orders += 1
    order.heap = 0
    if expiry != 0:
        _heap_push(book, row)
    return row


@jit_inline
def delete_order(book, row):
    """Forget an order that stands at no level any more."""
    counters, order = book.counters, book.orders[row]
    strike(book.ids, tag_of_id(order.order_id), row)
    if order.heap != 0:
        _heap_remove(book, row)
    owner = book.owners[order.account]
    before, after = order.account_previous, order.account_next
    if before != 0:
        book.orders[before].account_next = after
    else:
        owner.head = after
    if after != 0:
        book.orders[after].account_previous = before
    else:
        owner.tail = before
    owner.orders -= 1
    order.next = counters.free_order
    counters.free_order = row
    counters.orders -= 1


@jit
def rest(book, row, instrument, side, price, quantity):
    """Put an order last in the queue at its price."""
    side_list = 2 * instrument + side
    key = price if side == 1 else ~price
    number = find_level(book, side_list, key)
    if number == 0:
        number = _add_level(book, side_list, key, price)
    level, order = book.levels[number], book.orders[row]
    tail = level.tail
    order.price = price
    order.quantity = quantity
    order.level = number
    order.next = 0
    order.previous = tail
    if tail != 0:
        book.orders[tail].next = row
    else:
        level.head = row
    level.tail = row
    level.depth += quantity
    level.orders += 1
    book.levels[side_list].orders += 1


@jit_inline
def unrest(book, row):
    """Take an order out of its queue; an emptied level goes."""
    order = book.orders[row]
    number = order.level
    level = book.levels[number]
    before, after = order.previous, order.next
    if before != 0:
        book.orders[before].next = after
    else:
        level.head = after
    if after != 0:
        book.orders[after].previous = before
    else:
        level.tail = before
    level.depth -= order.quantity
    level.orders -= 1
    book.levels[book.nodes[number].side_list].orders -= 1
    if level.orders == 0:
        remove_level(book, number)


@jit
def set_expiry(book, row, expiry):
    """Give an order another last step."""
    order = book.orders[row]
    if order.heap != 0:
        _heap_remove(book, row)
    order.expiry = expiry
    if expiry != 0:
        _heap_push(book, row)


@jit_inline
def _sooner(a, b):
    return a.expiry < b.expiry or (a.expiry == b.expiry and a.order_id < b.order_id)


@jit
def _heap_up(book, row, i):
    heap, orders = book.heap, book.orders
    while i > 1 and _sooner(orders[row], orders[heap[i >> 1]]):
        heap[i] = heap[i >> 1]
        orders[heap[i]].heap = i
        i >>= 1
    heap[i] = row
    orders[row].heap = i


@jit
def _heap_push(book, row):
    book.counters.expiring += 1
    _heap_up(book, row, book.counters.expiring)


@jit
def _heap_remove(book, row):
    heap, orders = book.heap, book.orders
    i = orders[row].heap
    size = book.counters.expiring
    last = heap[size]
    size -= 1
    book.counters.expiring = size
    orders[row].heap = 0
    if last == row:
        return
    while 2 * i <= size:
        child = 2 * i
        if child < size and _sooner(orders[heap[child + 1]], orders[heap[child]]):
            child += 1
        if not _sooner(orders[heap[child]], orders[last]):
            break
        heap[i] = heap[child]
        orders[heap[i]].heap = i
        i = child
    _heap_up(book, last, i)
