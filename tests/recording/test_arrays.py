"""Arrow arrays of plain values are those that Arrow makes, without pandas."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from simlab.recording.arrays import numbers_array, text_array, values_array

VALUES: list[Any] = [
    np.arange(20)[::3],
    np.array([3, -1], np.int32),
    np.array([7, 2**64 - 1], np.uint64),
    np.array([1.0, np.nan, -0.0, np.inf]),
    np.array([True, False] * 9),
    np.zeros(0),
    np.array(["a", "b"]),
    np.ma.MaskedArray([1.5, 2.0, 3.0], mask=[False, True, False]),
    np.ma.MaskedArray([1, 2, 3], mask=[True, False, False]),
    [1, 2, 3],
    [1, None, 3],
    [0.5, float("nan")],
    [True, False],
    ["one", None, "zwei", "", "三"],
    ("a", "b"),
    [None, None],
    [],
    [np.int32(4), np.int32(5)],
]


@pytest.mark.parametrize("values", VALUES, ids=repr)
def test_values_become_what_arrow_makes_of_them(values: Any) -> None:
    mask = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    plain = values.data if mask is not None else values
    expected = pa.array(plain, mask=mask, from_pandas=True)
    found = values_array(values)
    found.validate(full=True)
    if expected.type == pa.null():
        assert found.null_count == len(expected)
    else:
        assert found.equals(expected)


def test_a_masked_array_may_have_nan_for_a_missing_value_too() -> None:
    values = np.ma.MaskedArray([1.5, np.nan, 3.0], mask=[False, False, True])
    assert values_array(values).to_pylist() == [1.5, None, None]


def test_values_are_copied() -> None:
    values = np.array([1, 2, 3])
    array = values_array(values)
    values[:] = 0
    assert array.to_pylist() == [1, 2, 3]


def test_values_of_mixed_kinds_are_refused() -> None:
    with pytest.raises(pa.ArrowInvalid):
        values_array([1, "two"])


def test_text_and_numbers_without_missing_values() -> None:
    assert text_array([]).type == pa.string()
    assert numbers_array(np.array([1, 2]), np.array([False, False])).null_count == 0


_RECORDS = """
import sys
from simlab.bench.kernel import bench_kernel
assert bench_kernel(20, 5, record=True)["bytes_per_message"] > 0
print("pandas" in sys.modules)
"""


def test_recording_does_not_wait_for_pandas() -> None:
    done = subprocess.run([sys.executable, "-c", _RECORDS], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
