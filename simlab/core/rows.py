"""Declare state as tables of named rows, and hand them to compiled functions as one pointer.

A subclass of `Tables` declares its fields once: `table` (rows of a structured dtype), `column` (plain
numbers), `record` (one row) and `part` (other tables). Compiled code opens the address of such an object and
then reads and writes ``book.orders[row].quantity``: one load and one addition, nothing is passed by value or
looked up. Python reads the same memory as NumPy arrays: ``book.orders["quantity"]``.

Compiled code sees every whole number as 64 bits wide, however narrow its field is: signed, or unsigned where
the field is of 64 unsigned bits. Indices are not checked, and negative ones do not count from the end.

Without the JIT the same expressions work on the arrays, through plain objects.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from simlab.core.jit import jit_inline
from simlab.core.memory import copied, grown, new_rows
from simlab.core.plain import Face
from simlab.core.pointers import WORDS, copy_row, opener, prefetch, record_reader
from simlab.core.types import pack, unpack
from simlab.errors import SimlabError

__all__ = [
    "Tables",
    "column",
    "copy_row",
    "grown",
    "new_rows",
    "opener",
    "packed",
    "part",
    "prefetch",
    "record",
    "record_reader",
    "table",
    "unpacked",
]

packed = jit_inline(pack)
"""`simlab.core.types.pack`, for compiled code."""
unpacked = jit_inline(unpack)
"""`simlab.core.types.unpack`, for compiled code."""


class _Field:
    """One declared field of `Tables`."""

    def __init__(self, kind: str, dtype: Any) -> None:
        self.kind = kind
        self.dtype = dtype
        self.at = 0
        """Where its words are in the object."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, tables: Any, owner: type) -> Any:
        return self if tables is None else tables.__dict__[self.name]

    def __set__(self, tables: Any, value: Any) -> None:
        tables._put(self, value)


def table(dtype: DTypeLike) -> Any:
    """Declare a table: any number of rows of a structured dtype."""
    return _Field("table", np.dtype(dtype))


def column(dtype: DTypeLike) -> Any:
    """Declare a column: any number of plain numbers."""
    return _Field("column", np.dtype(dtype))


def record(dtype: DTypeLike) -> Any:
    """Declare a single row of a structured dtype, kept as an array of one."""
    return _Field("record", np.dtype(dtype))


def part(kind: type[Tables]) -> Any:
    """Declare other tables as a part of these."""
    return _Field("part", kind)


class Tables:
    """Hold the arrays of the fields that a subclass declares; to assign one is to replace its memory.

    The `address` stays the same for as long as the object lives. All arrays are one-dimensional and
    C-contiguous, and have the dtype that was declared.

    Example
    -------
    >>> class Shop(Tables):
    ...     goods = table([("price", "i8"), ("stock", "i4")])
    ...     till = record([("cash", "i8")])
    >>> shop = Shop(goods=new_rows(3, Shop.goods.dtype))
    >>> shop.goods["price"][1] = 7
    >>> shop.copy().goods["price"].tolist(), int(shop.till["cash"][0])
    ([0, 7, 0], 0)
    """

    FIELDS: ClassVar[dict[str, _Field]]

    def __init_subclass__(cls) -> None:
        cls.FIELDS = {name: field for name, field in vars(cls).items() if isinstance(field, _Field)}
        for number, field in enumerate(cls.FIELDS.values()):
            field.at = WORDS * number

    def __init__(self, **fields: Any) -> None:
        unknown = fields.keys() - self.FIELDS.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no field {sorted(unknown)}")
        self._words = np.zeros(WORDS * len(self.FIELDS), np.int64)
        self.address: int = self._words.ctypes.data
        """What a compiled function opens: see `opener`."""
        self.face = Face(self, self.address)
        """What interpreted code opens."""
        for name, field in self.FIELDS.items():
            if name not in fields and field.kind == "part":
                raise TypeError(f"{type(self).__name__} needs its part {name!r}")
            value = fields[name] if name in fields else new_rows(field.kind == "record", field.dtype)
            self._put(field, value)

    def _put(self, field: _Field, value: Any) -> None:
        where = f"{type(self).__name__}.{field.name}"
        if field.kind == "part":
            if not isinstance(value, field.dtype):
                raise TypeError(f"{where} takes a {field.dtype.__name__}, not a {type(value).__name__}")
            words = (value.address, 0)
        else:
            flags = value.flags
            if not flags.writeable or not flags.aligned:
                raise TypeError(f"{where} takes an array that can be written to and is aligned")
            if value.dtype != field.dtype or value.ndim != 1 or not flags.c_contiguous:
                raise TypeError(
                    f"{where} takes a contiguous 1-D array of {field.dtype},"
                    f" not {value.ndim}-D of {value.dtype}"
                )
            if field.kind == "record" and len(value) != 1:
                raise TypeError(f"{where} takes one row, not {len(value)}")
            words = (value.ctypes.data, len(value))
        self.__dict__[field.name] = value
        self._words[field.at : field.at + WORDS] = words
        self.face.forget(field.name)

    def __copy__(self) -> Self:
        return self.copy()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.copy()

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), {name: getattr(self, name) for name in self.FIELDS})

    def copy(self) -> Self:
        """Return the same in memory of its own."""
        return type(self)(**{name: _copied(getattr(self, name)) for name in self.FIELDS})

    def to_arrays(self, prefix: str = "") -> dict[str, NDArray[Any]]:
        """Return all arrays by name, those of parts as ``part.field``. They are not copied."""
        arrays: dict[str, NDArray[Any]] = {}
        for name, field in self.FIELDS.items():
            value = getattr(self, name)
            arrays |= value.to_arrays(f"{prefix}{name}.") if field.kind == "part" else {prefix + name: value}
        return arrays

    @classmethod
    def dtypes(cls, prefix: str = "") -> dict[str, np.dtype[Any]]:
        """Return the types of all arrays by the names that `to_arrays` gives them."""
        found: dict[str, np.dtype[Any]] = {}
        for name, field in cls.FIELDS.items():
            part = field.kind == "part"
            found |= field.dtype.dtypes(f"{prefix}{name}.") if part else {prefix + name: field.dtype}
        return found

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]], prefix: str = "") -> Self:
        """Return tables that hold copies of arrays as `to_arrays` names them.

        Raises
        ------
        SimlabError
            When an array is missing or has other columns.
        """
        fields: dict[str, Any] = {}
        for name, field in cls.FIELDS.items():
            if field.kind == "part":
                fields[name] = field.dtype.from_arrays(arrays, f"{prefix}{name}.")
                continue
            found = arrays.get(prefix + name)
            if found is None or found.dtype != field.dtype:
                has = "is missing" if found is None else f"is of {found.dtype}"
                raise SimlabError(
                    f"state: array {prefix + name!r} {has}, it must be of {field.dtype}; the state was"
                    " written by another version of simlab"
                )
            fields[name] = _copied(found)
        return cls(**fields)


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, Tables) else copied(value)


def _rebuild(cls: type[Tables], fields: dict[str, Any]) -> Tables:
    return cls(**{name: _copied(value) for name, value in fields.items()})
