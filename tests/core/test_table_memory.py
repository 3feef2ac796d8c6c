"""The memory of tables: where it begins, how it grows, and what a copy of it costs."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from simlab.core.memory import copied, grown, new_rows

ROW = np.dtype([("a", "i8"), ("b", "i4"), ("c", "i4")])


@pytest.mark.parametrize("rows", [1, 3, 1000, 1 << 18])
def test_new_rows_are_zero_and_begin_at_a_cache_line_or_a_large_page(rows: int) -> None:
    array = new_rows(rows, ROW)
    assert array.shape == (rows,)
    assert array.dtype == ROW
    assert array.ctypes.data % (64 if rows < 1 << 17 else 1 << 21) == 0
    assert not array.view(np.int64).any()


def test_what_grows_keeps_its_rows_and_is_zero_beyond() -> None:
    array = new_rows(16, ROW)
    while len(array) < 1 << 20:
        array["a"] = np.arange(len(array))
        used = len(array)
        array = grown(array, 2 * used)
        assert array["a"][:used].tolist() == list(range(used))
        assert not array[used:].view(np.int64).any()
        assert array.flags.writeable


@pytest.mark.skipif(sys.platform != "linux", reason="addresses are reserved on Linux only")
def test_a_large_table_grows_where_it_lies() -> None:
    for large in (grown(new_rows(1 << 15, ROW), 1 << 16), new_rows(1 << 16, ROW, grows=True)):
        for array in (large, copied(large)):
            begin = array.ctypes.data
            for _ in range(8):
                array = grown(array, 2 * len(array))
                assert array.ctypes.data == begin


def test_a_part_of_somebody_elses_array_grows_elsewhere() -> None:
    whole = np.ones(1 << 20, np.uint8)
    larger = grown(whole[:64].view(ROW), 1 << 15)
    assert not larger[4:].view(np.int64).any()
    assert whole.all()


def test_a_copy_is_equal_and_leaves_untouched_memory_alone() -> None:
    array = new_rows((1 << 18) + 3, ROW)
    array["b"][[0, 70_000, -1]] = 5
    copy = copied(array)
    assert np.array_equal(copy, array)
    copy["a"] = 1
    assert not array["a"].any()


_LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))
import numpy as np
from simlab.core.memory import grown, new_rows
array = new_rows(1 << 16, "i8")
array[:] = 7
larger = grown(array, 1 << 18)
print(int(larger.sum()), larger.ctypes.data != array.ctypes.data)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux")
def test_where_addresses_are_limited_a_table_grows_by_copying() -> None:
    done = subprocess.run([sys.executable, "-c", _LIMITED], capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(7 << 16), "True"]
