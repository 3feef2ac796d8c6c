"""What compiled code does to tables, on plain objects: the same expressions without the JIT."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Face", "copy_plain_row", "face_at", "plain_record", "prefetch_nothing"]


class Face:
    """The fields of a `Tables` object as interpreted code reads and writes them."""

    def __init__(self, tables: Any, address: int) -> None:
        self._tables = weakref.proxy(tables)
        _faces[address] = self

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        field, value = self._tables.FIELDS[name], getattr(self._tables, name)
        if field.kind == "part":
            return value.face
        face = _PlainColumn(value) if field.kind == "column" else _PlainTable(value)
        self.__dict__[name] = face[0] if field.kind == "record" else face
        return self.__dict__[name]

    def forget(self, name: str) -> None:
        self.__dict__.pop(name, None)


def _wide(value: Any) -> Any:
    """Widen a whole number, as compiled code does."""
    return np.int64(value) if isinstance(value, np.integer) and value.dtype != np.uint64 else value


class _PlainColumn:
    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: Any) -> Any:
        return _wide(self.array[int(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self.array[int(index)] = value


class _PlainTable:
    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array
        self.columns = {name: array[name] for name in array.dtype.names or ()}

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, index: Any) -> _PlainRow:
        return _PlainRow(self, int(index))


class _PlainRow:
    __slots__ = ("_index", "_table")

    def __init__(self, rows: _PlainTable, index: int) -> None:
        object.__setattr__(self, "_table", rows)
        object.__setattr__(self, "_index", index)

    def __getattr__(self, name: str) -> Any:
        value = self._table.columns[name][self._index]
        return _PlainColumn(value) if isinstance(value, np.ndarray) else _wide(value)

    def __setattr__(self, name: str, value: Any) -> None:
        self._table.columns[name][self._index] = value


_faces: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()


def face_at(address: int) -> Face:
    return _faces[int(address)]


def prefetch_nothing(rows: Any, index: Any) -> None:
    return None


def copy_plain_row(target: _PlainRow, source: _PlainRow) -> None:
    _bytes_of(target)[:] = _bytes_of(source)


def _bytes_of(row: _PlainRow) -> NDArray[np.uint8]:
    array, index = row._table.array, row._index
    return array[index : index + 1].view(np.uint8)


def plain_record(row: _PlainRow, dtype: np.dtype[Any]) -> Any:
    array, index = row._table.array, row._index
    start = index * array.itemsize
    return array.view(np.uint8)[start : start + dtype.itemsize].view(dtype).view(np.recarray)[0]
