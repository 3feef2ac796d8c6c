"""Pass a named tuple of arrays between compiled functions as one pointer, and index it without ado.

Numba passes a tuple of arrays by value: some hundred words for every call that is not inlined. `share`
puts the tuple on the stack of the function that calls it and hands on a pointer; fields are read through
it under their names. A shared tuple lives as long as that call, and cannot be returned to Python.

Fields that the tuple class names in ``TABLES`` (field to number of columns, 1 for a plain vector) become
tables: indexed by ``[row, column]``, ``[row]`` or ``[i]`` with plain pointer arithmetic, where an array
would look at its strides and for negative indices each time. Other fields are ordinary arrays.

Without the JIT `share` returns the tuple itself.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import typeof
from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_global, signature
from numba.extending import (
    infer_getattr,
    intrinsic,
    lower_builtin,
    lower_getattr,
    lower_getattr_generic,
    register_model,
)
from numpy.typing import NDArray

from simlab.core.jit import JIT

__all__ = ["pinner", "prefetch", "share"]


class SharedType(types.Type):
    """Type of a pointer to a named tuple of arrays."""

    def __init__(self, fields: Any) -> None:
        self.fields = fields
        super().__init__(name=f"Shared({fields})")

    def position(self, name: str) -> int:
        return self.fields.fields.index(name)

    def type_of(self, name: str) -> Any:
        array = self.fields.types[self.position(name)]
        columns = getattr(self.fields.instance_class, "TABLES", {}).get(name)
        return array if columns is None else TableType(array, columns)


class TableType(types.Type):
    """Type of a pointer to a C-contiguous array whose number of columns is known when compiling."""

    def __init__(self, array: Any, columns: int) -> None:
        self.array = array
        self.columns = columns
        super().__init__(name=f"Table({array}, {columns})")


class RowType(types.Type):
    """Type of a pointer to one row of a table."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        super().__init__(name=f"Row({dtype})")


@register_model(SharedType)
class _SharedModel(models.PrimitiveModel):
    def __init__(self, manager: Any, shared: SharedType) -> None:
        super().__init__(manager, shared, manager.lookup(shared.fields).get_value_type().as_pointer())


@register_model(TableType)
class _TableModel(models.PrimitiveModel):
    def __init__(self, manager: Any, table: TableType) -> None:
        super().__init__(manager, table, manager.lookup(table.array).get_value_type().as_pointer())


@register_model(RowType)
class _RowModel(models.PrimitiveModel):
    def __init__(self, manager: Any, row: RowType) -> None:
        super().__init__(manager, row, manager.lookup(row.dtype).get_data_type().as_pointer())


@infer_getattr
class _SharedAttributes(AttributeTemplate):
    key = SharedType

    def generic_resolve(self, shared: SharedType, name: str) -> Any:
        return shared.type_of(name) if name in shared.fields.fields else None


@infer_getattr
class _TableAttributes(AttributeTemplate):
    key = TableType

    def resolve_shape(self, table: TableType) -> Any:
        return types.UniTuple(types.int64, table.array.ndim)


@lower_getattr_generic(SharedType)
def _get_field(context: Any, builder: Any, shared: SharedType, pointer: Any, name: str) -> Any:
    whole = context.get_value_type(shared.fields)
    index = cgutils.int32_t(shared.position(name))
    address = builder.gep(pointer, [cgutils.int32_t(0), index], inbounds=True, source_etype=whole)
    kind = shared.type_of(name)
    array = context.get_value_type(kind.array if isinstance(kind, TableType) else kind)
    address = builder.bitcast(address, array.as_pointer())
    return address if isinstance(kind, TableType) else builder.load(address, typ=array)


def _array(context: Any, builder: Any, table: TableType, pointer: Any) -> Any:
    return context.make_array(table.array)(context, builder, ref=pointer)


@lower_getattr(TableType, "shape")
def _get_shape(context: Any, builder: Any, table: TableType, pointer: Any) -> Any:
    return _array(context, builder, table, pointer).shape


def _is_index(kind: Any) -> bool:
    return isinstance(kind, (types.Integer, types.IntegerLiteral))


def _element(container: Any, index: Any) -> Any:
    """Return the type of ``container[index]``, or None."""
    if isinstance(container, RowType):
        return container.dtype if _is_index(index) else None
    if _is_index(index):
        return container.array.dtype if container.array.ndim == 1 else RowType(container.array.dtype)
    if isinstance(index, types.BaseTuple) and len(index) == 2 and all(map(_is_index, index)):
        return container.array.dtype if container.array.ndim == 2 else None
    return None


@infer_global(operator.getitem)
class _GetItem(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        container, index = args
        if not isinstance(container, (TableType, RowType)):
            return None
        element = _element(container, index)
        return None if element is None else signature(element, container, index)


@infer_global(operator.setitem)
class _SetItem(AbstractTemplate):
    def generic(self, args: Any, kws: Any) -> Any:
        container, index, _ = args
        if not isinstance(container, (TableType, RowType)):
            return None
        element = _element(container, index)
        if element is None or isinstance(element, RowType):
            return None
        return signature(types.none, container, index, element)


def _address(context: Any, builder: Any, container: Any, index: Any, values: Any) -> Any:
    """Return the address of ``container[index]``."""
    pointer, position = values
    if isinstance(container, RowType):
        element = context.get_data_type(container.dtype)
        number = context.cast(builder, position, index, types.int64)
        return _offset(builder, pointer, number, element)
    element = context.get_data_type(container.array.dtype)
    if isinstance(index, types.BaseTuple):
        parts = cgutils.unpack_tuple(builder, position, 2)
        row, column = (
            context.cast(builder, part, kind, types.int64) for part, kind in zip(parts, index, strict=True)
        )
    else:
        row = context.cast(builder, position, index, types.int64)
        column = cgutils.intp_t(0)
    number = builder.add(builder.mul(row, cgutils.intp_t(container.columns)), column)
    data = _array(context, builder, container, pointer).data
    return _offset(builder, data, number, element)


def _offset(builder: Any, pointer: Any, number: Any, element: Any) -> Any:
    address = builder.gep(pointer, [number], inbounds=True, source_etype=element)
    return builder.bitcast(address, element.as_pointer())


@lower_builtin(operator.getitem, TableType, types.Any)
@lower_builtin(operator.getitem, RowType, types.Any)
def _get_item(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    container, index = sig.args
    address = _address(context, builder, container, index, args)
    if isinstance(sig.return_type, RowType):
        return address
    return context.unpack_value(builder, sig.return_type, address)


@lower_builtin(operator.setitem, TableType, types.Any, types.Any)
@lower_builtin(operator.setitem, RowType, types.Any, types.Any)
def _set_item(context: Any, builder: Any, sig: Any, args: Any) -> Any:
    container, index, value = sig.args
    address = _address(context, builder, container, index, args[:2])
    context.pack_value(builder, value, args[2], address)
    return context.get_dummy_value()


def _share(typingctx: Any, fields: Any) -> Any:
    """Put a named tuple of arrays on the stack and return a pointer to it."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return cgutils.alloca_once_value(builder, args[0])

    return SharedType(fields)(fields), codegen


def _as_it_is(fields: Any) -> Any:
    return fields


share = intrinsic(_share) if JIT else _as_it_is


def _words(array: NDArray[Any]) -> tuple[int, ...]:
    """Return the words of Numba's array structure, without an owner: see numba/_arraystruct.h."""
    return 0, 0, array.size, array.itemsize, array.ctypes.data, *array.shape, *array.strides


def _pin(fields: Any) -> NDArray[np.int64]:
    return np.array([word for array in fields for word in _words(array)], np.int64)


def pinner(example: Any) -> tuple[Callable[[Any], Any], Any]:
    """Return ``(pin, find)`` for named tuples that look like `example`.

    ``pin(fields)``, called from Python, describes a tuple of arrays where compiled code finds it and returns
    what to pass there; the arrays must outlive it. ``find(pinned)``, called in compiled code, returns the
    shared tuple. Every array that is passed costs a call from Python 75 ns, and these tuples hold dozens.
    """
    if not JIT:
        return _as_it_is, _as_it_is
    fields = typeof(example)
    shared = SharedType(fields)

    def _find(typingctx: Any, pinned: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            data = context.make_array(sig.args[0])(context, builder, args[0]).data
            return builder.bitcast(data, context.get_value_type(fields).as_pointer())

        return shared(pinned), codegen

    return _pin, intrinsic(_find)


def _prefetch(typingctx: Any, table: Any, row: Any) -> Any:
    """Ask for a row of a table that will be needed soon; no effect but on speed."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        address = _address(context, builder, sig.args[0], sig.args[1], args)
        byte = cgutils.voidptr_t
        kind = cgutils.ir.FunctionType(cgutils.ir.VoidType(), [byte, *[cgutils.int32_t] * 3])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        hints = [cgutils.int32_t(value) for value in (1, 3, 1)]
        builder.call(function, [builder.bitcast(address, byte), *hints])
        return context.get_dummy_value()

    return types.void(table, row), codegen


def _prefetch_nothing(table: Any, row: Any) -> None:
    return None


prefetch = intrinsic(_prefetch) if JIT else _prefetch_nothing
