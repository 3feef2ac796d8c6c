"""State behind one pointer: what compiled code reads and writes through it is the arrays themselves."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from simlab.core.jit import jit
from simlab.core.rows import Tables, column, copy_row, new_rows, opener, part, prefetch, record, table
from simlab.errors import SimlabError

GOOD = np.dtype([("price", "i8"), ("stock", "i4"), ("tag", "u4"), ("floors", "i4", (3,))])


class Shop(Tables):
    """Every kind of field but a part."""

    goods = table(GOOD)
    ids = column("i4")
    till = record([("cash", "i8"), ("rate", "f8"), ("key", "u8")])


class Street(Tables):
    """A part, and a column of floats."""

    shop = part(Shop)
    rents = column("f8")


find_street = opener(Street)


def street() -> Street:
    shop = Shop(goods=new_rows(4, GOOD), ids=np.array([5, -6], np.int32))
    shop.goods["price"] = [10, 20, 30, 40]
    return Street(shop=shop, rents=np.ones(2))


@jit
def touch(address, k):
    tables = find_street(address)
    shop = tables.shop
    prefetch(shop.goods, k)
    good = shop.goods[k]
    good.price += 5
    good.stock -= 1
    good.tag = 0xFFFFFFFF
    good.floors[2] = good.tag & 7
    shop.ids[0] = shop.ids[1] * 2
    shop.till.cash += len(shop.goods) * 100 + good.floors[2]
    shop.till.rate = 1.5
    shop.till.key = np.uint64(2**63)
    tables.rents[1] += shop.till.rate
    copy_row(shop.goods[0], good)
    return (good.price << 32) + good.stock


def test_compiled_code_reads_and_writes_the_arrays_by_name() -> None:
    tables = street()
    assert touch(tables.address, 2) == (35 << 32) - 1
    assert tables.shop.goods["price"].tolist() == [35, 20, 35, 40]
    assert tables.shop.goods[0].tobytes() == tables.shop.goods[2].tobytes()
    assert tables.shop.goods["tag"][2] == 2**32 - 1
    assert tables.shop.goods["floors"][2].tolist() == [0, 0, 7]
    assert tables.shop.ids.tolist() == [-12, -6]
    assert tables.shop.till[0].tolist() == (407, 1.5, 2**63)
    assert tables.rents.tolist() == [1.0, 2.5]


def test_an_array_that_takes_the_place_of_another_is_found_at_the_same_address() -> None:
    tables = street()
    address = tables.address
    tables.shop.goods = new_rows(9, GOOD)
    assert touch(address, 8) == (5 << 32) - 1
    assert tables.shop.goods["price"][8] == 5
    assert tables.shop.till["cash"][0] == 907


def test_a_copy_shares_no_memory() -> None:
    tables = street()
    copies = [tables.copy(), copy.deepcopy(tables), pickle.loads(pickle.dumps(tables))]
    copies.append(Street.from_arrays(tables.to_arrays()))
    touch(tables.address, 1)
    for other in copies:
        assert other.shop.goods["price"].tolist() == [10, 20, 30, 40]
        assert touch(other.address, 1) == (25 << 32) - 1
        for name, array in tables.to_arrays().items():
            assert array.tobytes() == other.to_arrays()[name].tobytes(), name


def test_arrays_have_names() -> None:
    assert list(street().to_arrays()) == ["shop.goods", "shop.ids", "shop.till", "rents"]


def test_arrays_of_another_layout_are_refused() -> None:
    arrays = street().to_arrays()
    for wrong in ({"shop.ids": np.zeros(2)}, {"shop.till": None}):
        with pytest.raises(SimlabError, match=f"{next(iter(wrong))!r}.*another version"):
            Street.from_arrays(arrays | wrong)


@pytest.mark.parametrize("value", [np.zeros(2), np.zeros((2, 2), np.int32), np.zeros(4, np.int32)[::2]])
def test_a_field_takes_what_was_declared(value: np.ndarray) -> None:
    with pytest.raises(TypeError, match=r"Shop\.ids takes"):
        street().shop.ids = value


def test_rows_begin_at_a_cache_line_and_large_tables_at_a_large_page() -> None:
    assert new_rows(3, GOOD).ctypes.data % 64 == 0
    assert new_rows(100_000, "i8").ctypes.data % 64 == 0
    assert new_rows(1 << 18, "i8").ctypes.data % (1 << 21) == 0
