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

import hashlib
import operator
import weakref
from typing import Any, ClassVar, Self

import numpy as np
from numba import from_dtype
from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_global, signature
from numba.extending import (
    infer_getattr,
    intrinsic,
    lower_builtin,
    lower_getattr_generic,
    lower_setattr_generic,
    register_model,
)
from numpy.typing import DTypeLike, NDArray

from simlab.core.jit import JIT, jit_inline
from simlab.core.memory import copied, grown, new_rows
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

_WORDS = 2
"""Words by which an address leads to a field: where its rows are, and how many."""


class _Field:
    """One declared field of `Tables`."""

    def __init__(self, kind: str, dtype: Any) -> None:
        self.kind = kind
        self.dtype = dtype

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

    def __init__(self, **fields: Any) -> None:
        unknown = fields.keys() - self.FIELDS.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no field {sorted(unknown)}")
        self._words = np.zeros(_WORDS * len(self.FIELDS), np.int64)
        self.address: int = self._words.ctypes.data
        """What a compiled function opens: see `opener`."""
        self._face = _Face(self)
        _faces[self.address] = self._face
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
            if value.dtype != field.dtype or value.ndim != 1 or not value.flags.c_contiguous:
                raise TypeError(
                    f"{where} takes a contiguous 1-D array of {field.dtype},"
                    f" not {value.ndim}-D of {value.dtype}"
                )
            if field.kind == "record" and len(value) != 1:
                raise TypeError(f"{where} takes one row, not {len(value)}")
            words = (value.ctypes.data, len(value))
        self.__dict__[field.name] = value
        at = _WORDS * list(self.FIELDS).index(field.name)
        self._words[at : at + _WORDS] = words
        self._face.forget(field.name)

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


# What compiled code sees: a type each for tables, one table, one row, and the cells of an array in a row.


class TablesType(types.Type):
    """Pointer to the words of a `Tables` object."""

    def __init__(self, tables: type[Tables]) -> None:
        self.tables = tables
        super().__init__(name=f"{tables.__name__}Tables")

    def resolve(self, name: str) -> Any:
        field = self.tables.FIELDS.get(name)
        if field is None:
            return None
        if field.kind == "part":
            return TablesType(field.dtype)
        return RowType(field.dtype) if field.kind == "record" else TableType(field.dtype)


class TableType(types.Type):
    """Pointer to the two words of one table or column."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        super().__init__(name=f"Table{_digest(dtype)}")


class RowType(types.Type):
    """Pointer to one row."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        super().__init__(name=f"Row{_digest(dtype)}")

    def resolve(self, name: str) -> Any:
        fields = self.dtype.fields
        if fields is None or name not in fields:
            return None
        return _value_type(fields[name][0])


class CellsType(types.Type):
    """Pointer to the array that a row holds in one of its fields."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype
        super().__init__(name=f"Cells{_digest(dtype)}")


def _digest(dtype: np.dtype[Any]) -> str:
    """Return a short name for a dtype: it becomes part of compiled functions' names."""
    return hashlib.blake2b(repr(dtype).encode(), digest_size=4).hexdigest()


def _value_type(dtype: np.dtype[Any]) -> Any:
    """Return what compiled code gets when it reads a field or an element."""
    if dtype.subdtype is not None:
        return CellsType(dtype.subdtype[0])
    if dtype.fields is not None:
        return RowType(dtype)
    if dtype.kind == "f":
        return types.float64
    return types.uint64 if dtype == np.uint64 else types.int64


for _kind in (TablesType, TableType, RowType, CellsType):

    @register_model(_kind)
    class _PointerModel(models.PrimitiveModel):
        def __init__(self, manager: Any, kind: types.Type) -> None:
            super().__init__(manager, kind, cgutils.voidptr_t)


@infer_getattr
class _TablesAttributes(AttributeTemplate):
    key = TablesType

    def generic_resolve(self, tables: TablesType, name: str) -> Any:
        return tables.resolve(name)


@infer_getattr
class _RowAttributes(AttributeTemplate):
    key = RowType

    def generic_resolve(self, row: RowType, name: str) -> Any:
        return row.resolve(name)


_WORD = cgutils.ir.IntType(64)


def _load_word(builder: Any, pointer: Any, index: int) -> Any:
    """Load a word of a `Tables` object: nothing changes it while compiled code runs."""
    words = builder.bitcast(pointer, _WORD.as_pointer())
    address = builder.gep(words, [cgutils.intp_t(index)], inbounds=True, source_etype=_WORD)
    word = builder.load(address, typ=_WORD)
    word.set_metadata("invariant.load", builder.module.add_metadata([]))
    return word


def _rows_of(builder: Any, pointer: Any) -> Any:
    return builder.inttoptr(_load_word(builder, pointer, 0), cgutils.voidptr_t)


def _moved(builder: Any, pointer: Any, offset: Any) -> Any:
    return builder.gep(pointer, [offset], inbounds=True, source_etype=cgutils.ir.IntType(8))


@lower_getattr_generic(TablesType)
def _get_field(context: Any, builder: Any, tables: TablesType, pointer: Any, name: str) -> Any:
    at = _WORDS * list(tables.tables.FIELDS).index(name)
    if isinstance(tables.resolve(name), TableType):
        return _moved(builder, pointer, cgutils.intp_t(8 * at))
    return builder.inttoptr(_load_word(builder, pointer, at), cgutils.voidptr_t)


def _memory_type(dtype: np.dtype[Any]) -> Any:
    if dtype.kind == "f":
        return cgutils.ir.FloatType() if dtype.itemsize == 4 else cgutils.ir.DoubleType()
    return cgutils.ir.IntType(8 * dtype.itemsize)


def _load(builder: Any, dtype: np.dtype[Any], pointer: Any) -> Any:
    if isinstance(_value_type(dtype), (CellsType, RowType)):
        return pointer
    kind = _memory_type(dtype)
    value = builder.load(builder.bitcast(pointer, kind.as_pointer()), typ=kind)
    if dtype.kind == "f":
        return value if dtype.itemsize == 8 else builder.fpext(value, cgutils.ir.DoubleType())
    if dtype.itemsize == 8:
        return value
    return (builder.sext if dtype.kind == "i" else builder.zext)(value, _WORD)


def _store(builder: Any, dtype: np.dtype[Any], pointer: Any, value: Any) -> None:
    kind = _memory_type(dtype)
    if dtype.itemsize < 8:
        value = builder.fptrunc(value, kind) if dtype.kind == "f" else builder.trunc(value, kind)
    builder.store(value, builder.bitcast(pointer, kind.as_pointer()))


@lower_getattr_generic(RowType)
def _get_attribute(context: Any, builder: Any, row: RowType, pointer: Any, name: str) -> Any:
    dtype, offset = row.dtype.fields[name][:2]
    return _load(builder, dtype, _moved(builder, pointer, cgutils.intp_t(offset)))


@lower_setattr_generic(RowType)
def _set_attribute(context: Any, builder: Any, sig: Any, args: Any, name: str) -> Any:
    dtype, offset = sig.args[0].dtype.fields[name][:2]
    value = context.cast(builder, args[1], sig.args[1], _value_type(dtype))
    _store(builder, dtype, _moved(builder, args[0], cgutils.intp_t(offset)), value)


def _is_index(kind: Any) -> bool:
    return isinstance(kind, (types.Integer, types.IntegerLiteral))


@infer_global(len)
class _Length(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        return signature(types.int64, *args) if isinstance(args[0], TableType) else None


@lower_builtin(len, TableType)
def _length(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return _load_word(builder, args[0], 1)


def _indexed(container: Any, index: Any) -> Any:
    """Return the type of ``container[index]``, or None when it is not ours."""
    ours = isinstance(container, (TableType, CellsType)) and _is_index(index)
    return _value_type(container.dtype) if ours else None


@infer_global(operator.getitem)
class _GetItem(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        value = _indexed(*args)
        return None if value is None else signature(value, *args)


@infer_global(operator.setitem)
class _SetItem(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        value = _indexed(*args[:2])
        return None if value is None else signature(types.none, args[0], args[1], value)


def _element(context: Any, builder: Any, kinds: Any, values: Any) -> Any:
    """Return the address of ``container[index]``."""
    container, index = kinds
    number = context.cast(builder, values[1], index, types.int64)
    first = _rows_of(builder, values[0]) if isinstance(container, TableType) else values[0]
    return _moved(builder, first, builder.mul(number, cgutils.intp_t(container.dtype.itemsize)))


@lower_builtin(operator.getitem, TableType, types.Any)
@lower_builtin(operator.getitem, CellsType, types.Any)
def _get_item(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    return _load(builder, sig.args[0].dtype, _element(context, builder, sig.args, args))


@lower_builtin(operator.setitem, TableType, types.Any, types.Any)
@lower_builtin(operator.setitem, CellsType, types.Any, types.Any)
def _set_item(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    container, index, value = sig.args
    address = _element(context, builder, (container, index), args[:2])
    _store(
        builder, container.dtype, address, context.cast(builder, args[2], value, _value_type(container.dtype))
    )
    return context.get_dummy_value()


def opener(cls: type[Tables]) -> Any:
    """Return ``find(address)``, which gives compiled code the tables behind `Tables.address`."""
    if not JIT:
        return _face_at

    def _find(typingctx: Any, address: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], cgutils.voidptr_t)

        return TablesType(cls)(types.int64), codegen

    return intrinsic(_find)


def _prefetch(typingctx: Any, rows: Any, index: Any) -> Any:
    """Ask for a row of a table that will be needed soon; no effect but on speed."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = _element(context, builder, sig.args, args)
        byte = cgutils.voidptr_t
        kind = cgutils.ir.FunctionType(cgutils.ir.VoidType(), [byte, *[cgutils.int32_t] * 3])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [address, *[cgutils.int32_t(value) for value in (1, 3, 1)]])
        return context.get_dummy_value()

    return types.void(rows, index), codegen


def _copy_row(typingctx: Any, target: Any, source: Any) -> Any:
    """Copy a row's memory to another of the same size."""
    if target.dtype.itemsize != source.dtype.itemsize:
        raise TypeError(f"rows of {target.dtype} and {source.dtype} differ in size")

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        cgutils.raw_memcpy(builder, args[0], args[1], cgutils.intp_t(target.dtype.itemsize), 1)
        return context.get_dummy_value()

    return types.void(target, source), codegen


def record_reader(dtype: np.dtype[Any]) -> Any:
    """Return ``read(row)``: the memory that begins at a row, as a Numba record of a dtype."""
    if not JIT:
        return lambda row: _plain_record(row, dtype)
    kind = from_dtype(dtype)

    def _read(typingctx: Any, row: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return builder.bitcast(args[0], context.get_value_type(kind))

        return kind(row), codegen

    return intrinsic(_read)


# Without the JIT: the same expressions on plain objects.


class _Face:
    """The fields of a `Tables` object as interpreted code reads and writes them."""

    def __init__(self, tables: Tables) -> None:
        self._tables = weakref.proxy(tables)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        field, value = self._tables.FIELDS[name], getattr(self._tables, name)
        if field.kind == "part":
            return value._face
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


def _face_at(address: int) -> _Face:
    return _faces[int(address)]


def _prefetch_nothing(rows: Any, index: Any) -> None:
    return None


def _copy_plain_row(target: _PlainRow, source: _PlainRow) -> None:
    _bytes_of(target)[:] = _bytes_of(source)


def _bytes_of(row: _PlainRow) -> NDArray[np.uint8]:
    array, index = row._table.array, row._index
    return array[index : index + 1].view(np.uint8)


def _plain_record(row: _PlainRow, dtype: np.dtype[Any]) -> Any:
    array, index = row._table.array, row._index
    start = index * array.itemsize
    return array.view(np.uint8)[start : start + dtype.itemsize].view(dtype).view(np.recarray)[0]


prefetch = intrinsic(_prefetch) if JIT else _prefetch_nothing
copy_row = intrinsic(_copy_row) if JIT else _copy_plain_row
