"""Pass a named tuple of arrays between compiled functions as one pointer.

Numba passes a tuple of arrays by value: some hundred words for every call that is not inlined. `share`
puts the tuple on the stack of the function that calls it and hands on a pointer; fields are read through
it under their names. A shared tuple lives as long as that call, and cannot be returned to Python. Without
the JIT it is the tuple itself.
"""

from __future__ import annotations

from typing import Any

from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, intrinsic, lower_getattr_generic, register_model

from simlab.core.jit import JIT

__all__ = ["share"]


class SharedType(types.Type):
    """Type of a pointer to a named tuple of arrays."""

    def __init__(self, fields: Any) -> None:
        self.fields = fields
        super().__init__(name=f"Shared({fields})")

    def position(self, name: str) -> int:
        return self.fields.fields.index(name)


@register_model(SharedType)
class _SharedModel(models.PrimitiveModel):
    def __init__(self, manager: Any, shared: SharedType) -> None:
        super().__init__(manager, shared, manager.lookup(shared.fields).get_value_type().as_pointer())


@infer_getattr
class _SharedAttributes(AttributeTemplate):
    key = SharedType

    def generic_resolve(self, shared: SharedType, name: str) -> Any:
        return shared.fields.types[shared.position(name)] if name in shared.fields.fields else None


@lower_getattr_generic(SharedType)
def _get_field(context: Any, builder: Any, shared: SharedType, pointer: Any, name: str) -> Any:
    position = shared.position(name)
    whole = context.get_value_type(shared.fields)
    field = context.get_value_type(shared.fields.types[position])
    zero, index = cgutils.int32_t(0), cgutils.int32_t(position)
    address = builder.gep(pointer, [zero, index], inbounds=True, source_etype=whole)
    return builder.load(address, typ=field)


def _share(typingctx: Any, fields: Any) -> Any:
    """Put a named tuple of arrays on the stack and return a pointer to it."""
    signature = SharedType(fields)(fields)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return cgutils.alloca_once_value(builder, args[0])

    return signature, codegen


def _share_as_is(fields: Any) -> Any:
    return fields


share = intrinsic(_share) if JIT else _share_as_is
