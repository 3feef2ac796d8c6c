"""Allocate the memory of tables, so that a large one can grow where it lies.

A large table that grows moves once to the beginning of a span of addresses that is reserved for it. To grow
further is then to look at more of the span: nothing is copied, and memory is used only where it was written.
"""

from __future__ import annotations

import mmap
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["copied", "grown", "new_rows"]

_LINE_BYTES = 64
_PAGE_BYTES = 1 << 21
_LARGE_BYTES = 1 << 20
"""From here on a table that grows gets a span of addresses."""
_SPAN = 1024
"""How many times as long as the table the span is."""
_CHUNK_BYTES = 1 << 20


def new_rows(rows: int, dtype: DTypeLike, *, grows: bool = False) -> NDArray[Any]:
    """Return ``(rows,)`` zeros that begin at a cache line; large arrays at a large page (2 MiB).

    A large array of which it is said that it `grows` has a span of addresses from the beginning.
    """
    dtype = np.dtype(dtype)
    size = rows * dtype.itemsize
    memory = _new_span(_SPAN * size + _PAGE_BYTES) if grows and size >= _LARGE_BYTES else None
    return _beginning(np.zeros(size + _alignment(size), np.uint8) if memory is None else memory, size, dtype)


def grown(array: NDArray[Any], rows: int) -> NDArray[Any]:
    """Return a longer array that begins as `array` does and is zero beyond; it may lie in the same memory.

    `array` must not be used any more: what is written to one of the two may or may not be seen in the other.
    """
    size = rows * array.itemsize
    span = _span_of(array)
    if span is not None and size + _PAGE_BYTES <= len(span):
        return _beginning(span, size, array.dtype)
    larger = new_rows(rows, array.dtype, grows=True)
    larger[: len(array)] = array
    return larger


def copied(array: NDArray[Any]) -> NDArray[Any]:
    """Return the same in memory of its own. Where a large array is zero, neither uses memory for it."""
    fresh = new_rows(len(array), array.dtype, grows=_span_of(array) is not None)
    source, target = array.view(np.uint8), fresh.view(np.uint8)
    for at in range(0, len(source), _CHUNK_BYTES):
        chunk = source[at : at + _CHUNK_BYTES]
        if len(source) <= _CHUNK_BYTES or chunk.any():
            target[at : at + _CHUNK_BYTES] = chunk
    return fresh


def _alignment(size: int) -> int:
    return _PAGE_BYTES if size >= _PAGE_BYTES else _LINE_BYTES


def _beginning(memory: NDArray[np.uint8], size: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return an array of `size` bytes at the first place in `memory` where it may begin."""
    first = -memory.ctypes.data % (_PAGE_BYTES if _is_span(memory) else _alignment(size))
    return np.ndarray((size // dtype.itemsize,), dtype, memory, first)


class _Span(mmap.mmap):
    """Addresses that belong to one table, with memory where it was written."""


def _is_span(memory: NDArray[Any]) -> bool:
    return isinstance(getattr(memory.base, "obj", memory.base), _Span)


def _span_of(array: NDArray[Any]) -> NDArray[np.uint8] | None:
    """Return the span that an array lies in, if it does."""
    whole = array.base
    return whole if isinstance(whole, np.ndarray) and _is_span(whole) else None


def _addresses_are_free() -> bool:
    """Say whether addresses cost nothing here: Linux, unless it counts them as if they were memory."""
    if sys.platform != "linux":
        return False
    import resource

    if resource.getrlimit(resource.RLIMIT_AS)[0] != resource.RLIM_INFINITY:
        return False
    try:
        return Path("/proc/sys/vm/overcommit_memory").read_text().strip() != "2"
    except OSError:
        return False


def _new_span(size: int) -> NDArray[np.uint8] | None:
    """Reserve addresses; None where that is not possible."""
    if not _addresses_are_free():
        return None
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, "MAP_NORESERVE", 0x4000)
    try:
        span = _Span(-1, size, flags=flags)
        span.madvise(mmap.MADV_HUGEPAGE)
    except (OSError, ValueError):
        return None
    return np.frombuffer(span, np.uint8)
