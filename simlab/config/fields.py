"""The small types that the schema is made of: strict numbers, names, and "a number or a mapping"."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from simlab.config.limits import STEPS, Bound

__all__ = [
    "Flag",
    "Model",
    "Name",
    "Real",
    "Step",
    "Whole",
    "described",
    "free_or",
    "free_or_schema",
    "number_or_mapping",
    "within",
]

_WHOLE_FLOAT_MAX = 2.0**53


class Model(BaseModel):
    """A frozen section of the configuration that refuses keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


def _whole(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        if abs(value) > _WHOLE_FLOAT_MAX:
            raise PydanticCustomError("whole", "must be a whole number in all its digits: 1e17 is not exact")
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


Whole = Annotated[int, BeforeValidator(_whole)]
"""A whole number; ``1e6`` is one, ``"5"`` and ``true`` are not."""

Real = Annotated[float, BeforeValidator(_real), Field(allow_inf_nan=False)]
"""A finite number."""

Flag = Annotated[bool, BeforeValidator(_flag)]
"""``true`` or ``false``."""

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*$", max_length=64)]
"""A name of an instrument or population: letters, digits, ``_``, ``-`` and ``.``."""


def within(low: int, bound: Bound) -> Any:
    """Keep a whole number from `low` to a bound, which a message gives with its reason."""
    return Field(ge=low, le=bound.most, json_schema_extra={"why": bound.why})


Step = Annotated[Whole, within(0, STEPS)]
"""The number of a step, or a number of steps."""


def free_or(bound: Bound) -> BeforeValidator:
    """Take how far something may fall below zero: ``none``, ``free``, or a number up to a bound."""

    def check(value: Any) -> Any:
        number = int(value) if isinstance(value, float) and value.is_integer() else value
        if value in ("none", "free"):
            return value
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise PydanticCustomError("limit", "must be none, free, or a whole number of at least 0")
        if number > bound.most:
            raise PydanticCustomError("limit", f"must be none, free, or at most {bound.most}; {bound.why}")
        return number

    return BeforeValidator(check)


def free_or_schema(bound: Bound) -> Any:
    """Say the same as `free_or` in the JSON Schema."""
    forms: list[Any] = [{"type": "integer", "minimum": 0, "maximum": bound.most}, {"enum": ["none", "free"]}]
    return Field(json_schema_extra={"anyOf": forms, "type": None, "why": bound.why})


def described(
    default: Any, description: str, unit: str = "", bound: Bound | None = None, **rules: Any
) -> Any:
    """Declare a field with its description, its unit and its upper bound.

    The JSON Schema has all three, with the reason of the bound; the manual too.
    """
    extra: dict[str, Any] = {"unit": unit} if unit else {}
    if bound is not None:
        rules["max_length" if "min_length" in rules else "le"] = bound.most
        extra["why"] = bound.why
    return Field(default, description=description, json_schema_extra=extra, **rules)


def number_or_mapping(forms: str) -> Discriminator:
    """Tell a number from a mapping, between types tagged so; `forms` names both in an error message."""

    def form(value: Any) -> str | None:
        if isinstance(value, dict | BaseModel):
            return "mapping"
        return "number" if isinstance(value, int | float) and not isinstance(value, bool) else None

    return Discriminator(
        form, custom_error_type="form", custom_error_message=f"must be {forms}", custom_error_context={}
    )
