"""What compiled code sees of tables: a type each for tables, one table, one row, and the cells of an array.

All are pointers. Numba is taught here to read and write fields through them; `simlab.core.rows` says what a
table is, and is what others import.
"""

from __future__ import annotations

import hashlib
import operator
from typing import Any

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

from simlab.core.jit import JIT
from simlab.core.plain import copy_plain_row, face_at, plain_record, prefetch_nothing

__all__ = ["WORDS", "copy_row", "opener", "prefetch", "record_reader"]

WORDS = 2
"""Words by which an address leads to a field: where its rows are, and how many."""


class TablesType(types.Type):
    """Pointer to the words of a `Tables` object."""

    def __init__(self, tables: Any) -> None:
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
    at = WORDS * list(tables.tables.FIELDS).index(name)
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


def opener(cls: Any) -> Any:
    """Return ``find(address)``, which gives compiled code the tables behind `Tables.address`."""
    if not JIT:
        return face_at

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
        return lambda row: plain_record(row, dtype)
    kind = from_dtype(dtype)

    def _read(typingctx: Any, row: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return builder.bitcast(args[0], context.get_value_type(kind))

        return kind(row), codegen

    return intrinsic(_read)


prefetch = intrinsic(_prefetch) if JIT else prefetch_nothing
copy_row = intrinsic(_copy_row) if JIT else copy_plain_row
