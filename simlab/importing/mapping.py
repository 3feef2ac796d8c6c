"""Say how the columns of a table of order events are to be read: a checked map, usually a YAML file."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from simlab.errors import RecordingError, did_you_mean

__all__ = ["Action", "Column", "EventMap", "Filter", "Numbers", "Trades", "load_map"]

Action = Literal["add", "change", "reduce", "execute", "delete", "ignore"]
"""What a row tells of its order: it came to rest or arrived; what remains of it is now this; so much was
cancelled; so much traded while it rested; it is gone; nothing."""

_SIDES: dict[str, Literal["buy", "sell"]] = {"buy": "buy", "sell": "sell", "bid": "buy", "ask": "sell"}
_ACTIONS: dict[str, Action] = {
    "add": "add",
    "change": "change",
    "reduce": "reduce",
    "execute": "execute",
    "delete": "delete",
}


def _decimal(value: Any) -> Any:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return value


_Unit = Annotated[Decimal, BeforeValidator(_decimal), Field(gt=0)]
_Text = Annotated[str, BeforeValidator(lambda value: str(value) if isinstance(value, int | float) else value)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Model):
    """A column by its name."""

    column: str


class Time(_Model):
    """When: a number of `unit` since the epoch, or text in ISO 8601; `sort` brings rows into its order."""

    column: str
    unit: Literal["ns", "us", "ms", "s", "iso"] = "ns"
    sort: bool = False


class Numbers(_Model):
    """A number that counts in `unit`, the smallest step: currency of a price unit, quantity of a lot.

    With `round` a value between two steps becomes the nearest; without, it is an error.
    """

    column: str
    unit: _Unit
    round: bool = False


class Actions(_Model):
    """What each value of a column tells of the order."""

    column: str
    values: dict[_Text, Action] = Field(default=_ACTIONS)


class Sides(_Model):
    """Which side each value of a column names."""

    column: str
    values: dict[_Text, Literal["buy", "sell"]] = Field(default=_SIDES)


class Filter(_Model):
    """Keep the rows in which a column fits all that is given."""

    column: str
    equals: _Text | None = None
    among: tuple[_Text, ...] | None = None
    not_among: tuple[_Text, ...] | None = None
    at_least: _Unit | None = None
    at_most: _Unit | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Filter:
        if all(getattr(self, name) is None for name in type(self).model_fields if name != "column"):
            raise ValueError("give at least one of equals, among, not_among, at_least, at_most")
        return self


class Trades(_Model):
    """The venue's trades: which resting order traded with whom.

    `maker` is the resting order's id and `taker` the other's; or `buy` and `sell` are the two ids and
    `aggressor` says which side is the taker's. Prices and quantities count as those of the events.
    """

    file: str | None = None
    price: Column
    quantity: Column
    maker: Column | None = None
    taker: Column | None = None
    buy: Column | None = None
    sell: Column | None = None
    aggressor: Sides | None = None
    filters: tuple[Filter, ...] = ()

    @model_validator(mode="after")
    def _names_the_maker(self) -> Trades:
        by_side = [self.buy, self.sell, self.aggressor]
        if (self.maker is None) == (None in by_side) and any(by_side) != all(by_side):
            raise ValueError("buy, sell and aggressor go together")
        if (self.maker is None) == (not all(by_side)):
            raise ValueError("give either maker (and taker), or buy, sell and aggressor")
        return self


class EventMap(_Model):
    """How order events are read; see docs/replay.md."""

    time: Time
    id: Column
    action: Actions
    side: Sides
    price: Numbers
    quantity: Numbers
    filters: tuple[Filter, ...] = ()
    snapshot: Literal["none", "first_time"] = "none"
    """``first_time``: the rows with the time of the first are the book before the events."""
    trades: Trades | None = None


def load_map(source: EventMap | Mapping[str, Any] | Path | str) -> EventMap:
    """Return a checked map from a YAML file or a mapping.

    Raises
    ------
    RecordingError
        When the file cannot be read or a key is wrong; all problems at once, each with its path and the
        nearest known name.

    Example
    -------
    >>> load_map({"tiem": {"column": "t"}})  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    simlab.errors.RecordingError: map: tiem: unknown key; did you mean 'time'?
    """
    if isinstance(source, EventMap):
        return source
    where, content = "map", source
    if isinstance(source, Path | str):
        where, content = str(source), _yaml(Path(source))
    if not isinstance(content, Mapping):
        raise RecordingError(f"{where} must be a mapping with the keys {', '.join(EventMap.model_fields)}")
    try:
        return EventMap.model_validate(dict(content))
    except ValidationError as error:
        problems = [f"{_path(it['loc'])}: {_words(it)}" for it in error.errors()]
        raise RecordingError(f"{where}: " + "; ".join(problems)) from None


def _yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecordingError(f"cannot read the map {path}: {' '.join(str(error).split())}") from error


def _path(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location) or "the map"


def _words(problem: Any) -> str:
    location = problem["loc"]
    if problem["type"] == "extra_forbidden":
        return f"unknown key{did_you_mean(location[-1], _fields_at(location[:-1]))}"
    if problem["type"] == "missing":
        return "is missing"
    if problem["type"] == "literal_error":
        given = str(problem["input"])
        return f"is {given!r}; must be one of {problem['ctx']['expected']}"
    text = problem["msg"].removeprefix("Value error, ")
    return text[:1].lower() + text[1:]


def _fields_at(location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that may stand at a path."""
    sections: dict[str, type[BaseModel]] = {
        "time": Time, "action": Actions, "side": Sides, "price": Numbers, "quantity": Numbers,
        "filters": Filter, "trades": Trades, "aggressor": Sides,
    }  # fmt: skip
    names = [part for part in location if isinstance(part, str)]
    if not names:
        return list(EventMap.model_fields)
    if names[0] == "trades" and names[-1] in ("price", "quantity"):
        return list(Column.model_fields)
    return list(sections.get(names[-1], Column).model_fields)
