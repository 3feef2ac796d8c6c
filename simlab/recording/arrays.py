"""Make Arrow arrays of plain values without `pyarrow.array`, whose first call imports pandas.

That takes a fifth of a second and more, which a run that is recorded would wait for. What is rare (values of
mixed types) is still left to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["numbers_array", "text_array", "values_array"]

_ALIKE = {int: np.int64, float: np.float64, bool: np.bool_}


def numbers_array(values: NDArray[Any], missing: NDArray[np.bool_] | None = None) -> pa.Array:
    """Return the Arrow array of numbers or Booleans; it looks at the same memory, unless they are Booleans.

    Example
    -------
    >>> numbers_array(np.array([1, 2, 3]), np.array([False, True, False])).to_pylist()
    [1, None, 3]
    """
    values = np.ascontiguousarray(values)
    data = _bits(values) if values.dtype == np.bool_ else values
    present = None if missing is None or not missing.any() else pa.py_buffer(_bits(~missing))
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [present, pa.py_buffer(data)])


def text_array(values: Sequence[str | None]) -> pa.Array:
    """Return the Arrow array of texts; None is a missing value.

    Example
    -------
    >>> text_array(["a", None, "ü"]).to_pylist()
    ['a', None, 'ü']
    """
    pieces = [b"" if text is None else text.encode() for text in values]
    ends = np.zeros(len(pieces) + 1, np.int64)
    np.cumsum([len(piece) for piece in pieces], out=ends[1:])
    missing = np.array([text is None for text in values], bool)
    present = pa.py_buffer(_bits(~missing)) if missing.any() else None
    buffers = [present, pa.py_buffer(ends), pa.py_buffer(b"".join(pieces))]
    return pa.Array.from_buffers(pa.large_string(), len(pieces), buffers).cast(pa.string())


def values_array(values: Any) -> pa.Array:
    """Return a copy of an array, masked array or list as an Arrow array; None, NaN and masks are missing."""
    if isinstance(values, (list, tuple)):
        kinds = set(map(type, values))
        if kinds and kinds <= {str, type(None)}:
            return text_array(values)
        if len(kinds) != 1 or not kinds <= set(_ALIKE):
            return pa.array(values, from_pandas=True)
        values = np.array(values, _ALIKE[kinds.pop()])
    if not isinstance(values, np.ndarray) or values.ndim != 1 or values.dtype.kind not in "iufb":
        return pa.array(values, from_pandas=True)
    missing = np.ma.getmaskarray(values) if isinstance(values, np.ma.MaskedArray) else None
    plain = np.array(np.ma.getdata(values))  # Arrow would go on looking at the caller's memory
    if plain.dtype.kind == "f":
        missing = np.isnan(plain) if missing is None else missing | np.isnan(plain)
    return numbers_array(plain, missing)


def _bits(values: NDArray[np.bool_]) -> NDArray[np.uint8]:
    return np.packbits(values, bitorder="little")
