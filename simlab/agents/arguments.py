"""Say what a strategy takes, and read it from the types of its constructor's arguments.

Where every agent has an object of its own, an argument of type `int` or `float` is a parameter, which may
differ between agents; any other is an option of the population. Where one object decides for all, every
argument is an option, and what differs between agents is declared with `Parameter` and comes with each
observation.

Bounds, unit and description come from ``Annotated[int, Ge(1), Unit("lots"), doc("Order size.")]``, with `Ge`,
`Gt`, `Le`, `Lt`, `Interval` and `doc` of `annotated_types`; unit and description also from the section
``Parameters`` of a docstring in NumPy style, where the unit follows the type.

Example
-------
>>> class Bidder:
...     '''Bid.
...
...     Parameters
...     ----------
...     size : int, lots
...         Order size.
...     '''
...     def __init__(self, size: int = 5, calm: bool = True):
...         pass
>>> (size,), (calm,) = arguments_of(Bidder, numbers_are_parameters=True)
>>> size.unit, size.integer, calm.name
('lots', True, 'calm')
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import SimpleNamespace
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from annotated_types import Ge, GroupedMetadata, Gt, Le, Lt

from simlab.errors import StrategyError, did_you_mean

__all__ = ["Option", "Parameter", "Unit", "arguments_of"]

_NONE = inspect.Parameter.empty
_MADE_UP = re.compile(r"\bsimlab_plugin_\w+\.")
"""The module of a strategy that is named by its file."""


@dataclass(frozen=True)
class Parameter:
    """Describe one parameter: a float (or an integer) that may vary between agents.

    `unit` is in words ("price units", "lots", "steps", "per step", "1"). `low` and `high` are inclusive
    bounds. `integer` parameters must be whole numbers. `required` parameters have no default.
    """

    name: str
    default: float
    unit: str
    description: str
    low: float = float("-inf")
    high: float = float("inf")
    integer: bool = False
    required: bool = False


@dataclass(frozen=True)
class Option:
    """Describe one option: a value of any type that all agents of a population share.

    `type` is what the constructor is annotated with; `required` options have no default.
    """

    name: str
    type: Any = Any
    default: Any = None
    description: str = ""
    required: bool = False

    @property
    def kind(self) -> str:
        """The type as it is written; of an enum what a file may say."""
        inner = get_args(self.type)[0] if get_origin(self.type) is Annotated else self.type
        if isinstance(inner, type) and issubclass(inner, Enum):
            return f"Literal[{', '.join(repr(it.value) for it in inner)}]"
        written = inspect.formatannotation(inner).removeprefix("typing.")
        return _MADE_UP.sub("", written)

    @property
    def written_default(self) -> Any:
        """The default as a file would say it."""
        return self.default.value if isinstance(self.default, Enum) else self.default


@dataclass(frozen=True)
class Unit:
    """Give the unit of an argument, as in ``Annotated[float, Unit("price units")]``."""

    name: str


@dataclass
class _Argument:
    """One argument of a constructor: its default, and what its annotation and the docstring say of it.

    `hint` is the annotation, `kind` the same without metadata; what is not said is None.
    """

    name: str
    default: Any
    hint: Any
    kind: Any = Any
    low: float | None = None
    high: float | None = None
    unit: str | None = None
    description: str | None = None
    other: Any = None
    """Metadata that a number drawn from a distribution cannot be held to."""

    @property
    def required(self) -> bool:
        return self.default is _NONE


def arguments_of(
    cls: type,
    parameters: tuple[Parameter, ...] = (),
    options: tuple[str, ...] = (),
    *,
    numbers_are_parameters: bool,
) -> tuple[tuple[Parameter, ...], tuple[Option, ...]]:
    """Return a class's parameters and options: those declared, then those that only its constructor has.

    Parameters
    ----------
    cls : type
    parameters, options
        Those that are declared.
    numbers_are_parameters : bool
        Whether numbers differ between agents, each of which then has an object of its own.

    Raises
    ------
    StrategyError
        Where a declaration and the constructor disagree, or an argument has no type.
    """
    declared = {it.name: it for it in parameters}
    found = {name: Option(name) for name in options}
    names = [*(it.name for it in parameters), *options]
    for name in names:
        if names.count(name) > 1:
            raise _error(cls, f"declares {name!r} twice; keep one")
    given, takes_any = _constructor(cls)
    for name in names if numbers_are_parameters else options:
        if name not in given and not takes_any:
            hint = did_you_mean(name, given, otherwise="it takes") or "; it takes none"
            raise _error(cls, f"declares {name!r}, but its __init__ takes no such argument{hint}")
    for name, taken in given.items():
        if name in declared and not numbers_are_parameters:
            raise _error(
                cls,
                f"takes the parameter {name!r} in its __init__, but one object decides for all agents; find"
                " it in observation.parameters",
            )
        argument = _argument(cls, taken, declared=name in declared or name in found)
        if name in declared:
            _require_agreement(cls, declared[name], argument)
        elif numbers_are_parameters and argument.kind in (int, float) and name not in found:
            declared[name] = _parameter(cls, argument)
        else:
            default = None if argument.required else argument.default
            found[name] = Option(name, argument.hint, default, argument.description or "", argument.required)
    return tuple(declared.values()), tuple(found.values())


def _constructor(cls: type) -> tuple[dict[str, inspect.Parameter], bool]:
    """Return the arguments that a constructor takes by name, and whether it takes any name."""
    made_by = cls.__init__  # type: ignore[misc]
    if made_by is object.__init__:
        return {}, False
    _, *arguments = inspect.signature(made_by).parameters.values()
    for it in arguments:
        if it.kind is it.POSITIONAL_ONLY:
            raise _error(cls, f"takes {it.name!r} in its __init__ by position only; take it by name")
    named = {it.name: it for it in arguments if it.kind in (it.POSITIONAL_OR_KEYWORD, it.KEYWORD_ONLY)}
    return named, any(it.kind is it.VAR_KEYWORD for it in arguments)


def _argument(cls: type, taken: inspect.Parameter, *, declared: bool) -> _Argument:
    """Take an argument's annotation apart, and look into the docstrings; what is declared needs no type."""
    name = taken.name
    if taken.annotation is _NONE and not declared:
        raise _error(
            cls,
            f"takes {name!r} in its __init__ without a type; give it one, as in {name}: int = 1, or declare"
            " it with Parameter",
        )
    argument = _Argument(name, taken.default, Any if taken.annotation is _NONE else _hint(cls, taken))
    argument.kind = argument.hint
    if get_origin(argument.hint) is Annotated:
        argument.kind, *extras = get_args(argument.hint)
        for extra in extras:
            for one in extra if isinstance(extra, GroupedMetadata) else (extra,):
                _take(argument, one)
    for text in (cls.__init__.__doc__, cls.__doc__):  # type: ignore[misc]
        unit, description = _described(text or "").get(name, (None, None))
        argument.unit = argument.unit or unit
        argument.description = argument.description or description
    return argument


def _hint(cls: type, taken: inspect.Parameter) -> Any:
    """Return an annotation; of a text what it stands for."""
    stub = SimpleNamespace(__annotations__={taken.name: taken.annotation})
    names = getattr(inspect.unwrap(cls.__init__), "__globals__", {})  # type: ignore[misc]
    try:
        return get_type_hints(stub, names, dict(vars(cls)), include_extras=True)[taken.name]
    except Exception as error:  # whatever evaluating a text raises
        raise _error(
            cls,
            f"takes {taken.name!r} in its __init__ with a type that cannot be read: {type(error).__name__}:"
            f" {error}",
        ) from error


def _take(argument: _Argument, extra: Any) -> None:
    """Take note of one piece of an annotation's metadata."""
    whole = argument.kind is int
    match extra:
        case Unit(name):
            argument.unit = name
        case Ge(bound):
            argument.low = bound  # type: ignore[assignment]
        case Le(bound):
            argument.high = bound  # type: ignore[assignment]
        case Gt(bound):
            argument.low = _next(bound, math.inf, whole)
        case Lt(bound):
            argument.high = _next(bound, -math.inf, whole)
        case _ if isinstance(getattr(extra, "documentation", None), str):
            argument.description = extra.documentation
        case _:
            argument.other = extra


def _next(bound: Any, towards: float, whole: bool) -> float:
    """Return the first number beyond a bound that does not belong to the range."""
    if not whole:
        return math.nextafter(bound, towards)
    return math.floor(bound) + 1 if towards > 0 else math.ceil(bound) - 1


def _described(docstring: str) -> Mapping[str, tuple[str | None, str | None]]:
    """Return unit and description of each entry of a docstring's section Parameters.

    The unit is what follows the type (``size : int, lots``), without "optional" and defaults.
    """
    text = inspect.cleandoc(docstring) + "\n"
    section = re.search(r"^Parameters\n-{3,}\n(.*?)(?=^\S[^\n]*\n-{3,}\n|\Z)", text, re.MULTILINE | re.DOTALL)
    found = {}
    for entry in re.finditer(r"^(\w.*)\n((?:[ \t]+.*\n|\n)*)", section[1] if section else "", re.MULTILINE):
        names, _, kind = entry[1].partition(":")
        rest = [it.strip() for it in kind.split(",")[1:]]
        unit = ", ".join(it for it in rest if it and not it.startswith(("optional", "default")))
        for name in names.split(","):
            found[name.strip()] = unit or None, " ".join(entry[2].split()) or None
    return found


def _parameter(cls: type, argument: _Argument) -> Parameter:
    name, default, whole = argument.name, argument.default, argument.kind is int
    if argument.other is not None:
        raise _error(
            cls,
            f"restricts {name!r} to {argument.other!r}, to which a drawn number cannot be held;"
            " use Ge, Gt, Le, Lt",
        )
    low = -math.inf if argument.low is None else float(argument.low)
    high = math.inf if argument.high is None else float(argument.high)
    made = Parameter(
        name, min(max(0.0, low), high), argument.unit or "", argument.description or "", low, high, whole
    )
    if argument.required:
        return replace(made, required=True)
    if isinstance(default, bool) or not isinstance(default, int if whole else int | float):
        raise _error(
            cls,
            f"gives {name!r} the default {default!r}, which is no {'whole ' if whole else ''}number; give"
            " one, or change its type",
        )
    if not low <= default <= high:
        raise _error(cls, f"gives {name!r} the default {default!r}, outside its bounds {low:g} to {high:g}")
    return replace(made, default=float(default))


def _require_agreement(cls: type, declared: Parameter, argument: _Argument) -> None:
    """Raise unless a constructor says the same of an argument as its declaration does, or nothing."""
    kinds: Iterable[Any] = {argument.kind, *get_args(argument.kind)}
    if not {int, float, Any}.intersection(kinds):
        raise _error(
            cls,
            f"declares {argument.name!r} as a parameter, which is a number, but its type is"
            f" {argument.kind!r}; declare it in options",
        )
    there = {"default": "none, as it is required" if declared.required else declared.default}
    here = {} if argument.required else {"default": argument.default}
    here |= {"integer": True} if argument.kind is int else {}
    here |= {key: getattr(argument, key) for key in ("low", "high") if getattr(argument, key) is not None}
    for key, value in here.items():
        said = there.get(key, getattr(declared, key))
        if said != value:
            raise _error(
                cls,
                f"disagrees with itself on {argument.name!r}: {key} is {said} in its Parameter and {value} in"
                " its __init__; say it once",
            )


def _error(cls: type, breach: str) -> StrategyError:
    return StrategyError(f"class {cls.__name__} {breach}")
