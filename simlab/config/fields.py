"""The small types that the schema is made of: strict numbers, names, and "a number or a mapping"."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, StringConstraints
from pydantic_core import PydanticCustomError

__all__ = ["Flag", "Limit", "Model", "Name", "Real", "Whole", "described", "number_or_mapping"]

_WHOLE_FLOAT_MAX = 2.0**53


class Model(BaseModel):
    """A frozen section of the configuration that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) <= _WHOLE_FLOAT_MAX:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise PydanticCustomError("whole", "must be a whole number")
    return value


def _real(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("real", "must be a number")
    return value


def _flag(value: Any) -> Any:
    if not isinstance(value, bool):
        raise PydanticCustomError("flag", "must be true or false (not on, off, yes or no)")
    return value


def _limit(value: Any) -> Any:
    if value in ("none", "free") or (
        isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    ):
        return value
    raise PydanticCustomError("limit", "must be none, free, or a whole number of at least 0")


Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number; ``1e6`` is one, ``"5"`` and ``true`` are not."""

Real = Annotated[float, BeforeValidator(_real), Field(allow_inf_nan=False)]
"""A finite number."""

Flag = Annotated[bool, BeforeValidator(_flag)]
"""``true`` or ``false``."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*$", max_length=64)]
"""A name of an instrument or population: letters, digits, ``_``, ``-`` and ``.``."""

Limit = Annotated[
    Whole | str,
    BeforeValidator(_limit),
    Field(
        json_schema_extra={
            "anyOf": [{"type": "integer", "minimum": 0}, {"enum": ["none", "free"]}],
            "type": None,
        }
    ),
]
"""How far something may fall below zero: not at all, without limit, or so far."""


def described(default: Any, description: str, unit: str = "", **rules: Any) -> Any:
    """Declare a field with its description and unit; both appear in the JSON Schema and the manual."""
    if unit:
        rules["json_schema_extra"] = {"unit": unit}
    return Field(default, description=description, **rules)


def number_or_mapping(forms: str) -> Discriminator:
    """Tell a number from a mapping, between types tagged so; `forms` names both in an error message."""

    def form(value: Any) -> str | None:
        if isinstance(value, dict | BaseModel):
            return "mapping"
        return None if value is None or isinstance(value, list) else "number"

    return Discriminator(
        form, custom_error_type="form", custom_error_message=f"must be {forms}", custom_error_context={}
    )
