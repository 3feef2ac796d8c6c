"""Describe a strategy: its name, level, parameters and what it wants to see.

A strategy is written at one of three levels, told apart by how it is called (`Calling`); the kernel and the
YAML file treat them alike.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

from simlab.agents.arguments import Option, Parameter, Unit, arguments_of
from simlab.errors import StrategyError

__all__ = [
    "MAX_MEMORY",
    "MAX_PARAMETERS",
    "Calling",
    "Decider",
    "Needs",
    "Option",
    "Parameter",
    "Strategy",
    "Unit",
    "as_strategy",
    "declare_class",
    "require_declaration",
]

MAX_PARAMETERS = 12
MAX_MEMORY = 8


class Calling(StrEnum):
    """How a strategy is called: compiled per agent, Python per population, Python per agent, or never."""

    COMPILED = "compiled"
    BATCH = "batch"
    AGENT = "agent"
    OUTSIDE = "outside"


class Decider(StrEnum):
    """Who decides in a strategy: a rule, a trained model, or a language model."""

    HEURISTIC = "heuristic"
    ML = "ml"
    LLM = "llm"


@dataclass(frozen=True)
class Needs:
    """Say which costly parts of the observation a strategy reads.

    Of compiled strategies, `depth`: levels of the book a side (0 to 10); `orders`: own resting orders;
    `signal`: the private signal of the fundamental value; `news`: the latest visible news. Best prices, last
    trade, cash, inventory, the customer's order and fills since the last look are always there. `shouts`: the
    latest shouts and trades, one by one.

    `customers` says, at every level, that a strategy has nothing to trade without customer orders.

    Of batch strategies, `fills`: own fills one by one; `history`: the book, trades and volume at the end of
    each step (`BatchObservation.history`). All else is there when it is asked for.
    """

    depth: int = 0
    orders: bool = False
    signal: bool = False
    news: bool = False
    fills: bool = False
    history: bool = False
    shouts: bool = False
    customers: bool = False


@dataclass(frozen=True)
class Strategy:
    """Bind a name to code: what the registry holds and a population uses.

    `make` returns, for a compiled strategy, the function compiled to the fixed signature (see
    `simlab.agents.compiled`); for the other levels a new object with a `decide` method, made once a
    population (batch) or once an agent (agent), with the parameters as keyword arguments.
    """

    name: str
    level: Calling
    make: Callable[..., Any]
    summary: str
    parameters: tuple[Parameter, ...] = ()
    needs: Needs = field(default_factory=Needs)
    source: str = ""
    """The paper or book the strategy comes from."""
    defined_in: str = ""
    """Where the code is: a module or a file, for messages and the manifest."""
    options: tuple[str, ...] = ()
    """Names of the options (paths, text, whatever all agents share) that the strategy takes at set-up."""
    option_types: tuple[Option, ...] = field(default=(), compare=False)
    """What is known of the options: types, defaults, which are required."""
    check: Callable[..., object] | None = None
    """Raise an error that says what is wrong with options, given by name, before a run; None for no check.

    Without it a `check_options` of what `make` is, a static method of the class, is taken. It is called
    whenever a configuration is loaded, with relative paths made absolute, so it should only look: that a file
    is there and has the right columns, that a text is one of those known.
    """
    code: Any = field(default=None, repr=False, compare=False)
    """The function or class that was declared, for its place in messages."""

    check_market: Callable[..., object] | None = None
    """Raise an error that says why an instrument does not suit the options; None for no check.

    Without it a `check_market` of what `make` is, a static method of the class, is taken. It is called as
    ``check_market(options, instrument)`` with checked options and each instrument that the population trades,
    an object with `price_band`, `tick_size` and `lot_size`.
    """
    decider: Decider = Decider.HEURISTIC
    """Who decides. What a population falls back on comes after it in the order llm, ml, heuristic."""
    open_parameters: bool = False
    """Whether it takes parameters of any name, beside those that it declares."""
    halts: Callable[..., list[tuple[int, int | None]]] | None = None
    """Return when the population wants its instruments halted: (first, end) in steps, None for no end.

    Without it a `halts` of what `make` is, a static method of the class, is taken. It is called before a run
    as ``halts(options, parameters)`` with the parameters of the population's first agent.
    """

    provenance: Callable[..., dict[str, str]] | None = None
    """Return what else decides how the strategy acts, by name: versions, and hashes of files that it reads.

    Without it a `provenance` of what `make` is, a static method of the class, is taken. It is called when a
    run is recorded, as ``provenance(options)`` with checked options; the manifest keeps the answer under the
    population. What a run itself writes does not belong there: runs that differ in it are two treatments.
    """

    base: Strategy | None = field(default=None, repr=False)
    """What it is a preset of: the same code, with other defaults. None for a strategy of its own."""

    def __post_init__(self) -> None:
        if self.check is None:
            object.__setattr__(self, "check", getattr(self.make, "check_options", None))
        for name in ("check_market", "halts", "provenance"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, getattr(self.make, name, None))

    def numbers(self, row: Sequence[float]) -> dict[str, float]:
        """Return an agent's parameters by name, as an object of its own takes them: whole ones as int."""
        pairs = zip(self.parameters, row, strict=True)
        return {it.name: int(value) if it.integer else float(value) for it, value in pairs}

    def __deepcopy__(self, memo: dict[int, Any]) -> Strategy:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle where the code is: it is found again there, as a YAML file's strategy is.

        Of a preset, what it is a preset of, and what differs.
        """
        from simlab.agents.registry import found_again

        if self.base is not None:
            differs = ("name", "summary", "parameters", "defined_in", "base")
            return partial(replace, **{it: getattr(self, it) for it in differs}), (self.base,)
        place = (
            self.defined_in if self.defined_in.endswith(".py") or self.code is None else self.code.__module__
        )
        return found_again, (
            f"{place}:{getattr(self.code, '__name__', self.name)}",
            self.name,
            self.defined_in,
        )


def as_strategy(thing: object) -> Strategy | None:
    """Return a strategy, or the one that a class or function carries in its attribute `strategy`, or None."""
    if isinstance(thing, Strategy):
        return thing
    carried = getattr(thing, "strategy", None)
    return carried if isinstance(carried, Strategy) else None


_C = TypeVar("_C", bound=type)


def declare_class(
    level: Calling,
    name: str,
    summary: str | None,
    parameters: tuple[Parameter, ...],
    options: tuple[str, ...],
    source: str,
    *,
    needs: Needs | None = None,
    decider: Decider = Decider.HEURISTIC,
    open_parameters: bool = False,
) -> Callable[[_C], _C]:
    """Return a decorator that makes a class with a method `decide` a strategy.

    Without a summary the first line of the class's docstring is taken.
    """
    decorator = f"{level}_strategy"
    require_declaration(decorator, name, summary, parameters, options)

    def declare(cls: _C) -> _C:
        if not inspect.isclass(cls):
            raise StrategyError(
                f"@{decorator} is for a class with a method decide, and {_called(cls)} is none; for a"
                " function there is @compiled_strategy"
            )
        _require_decide(cls)
        found, found_options = arguments_of(
            cls, parameters, options, numbers_are_parameters=level is Calling.AGENT
        )
        cls.strategy = Strategy(  # type: ignore[attr-defined]
            name=name,
            level=level,
            make=cls,
            summary=summary or _first_line(cls, decorator),
            parameters=found,
            needs=needs or Needs(),
            source=source,
            decider=decider,
            open_parameters=open_parameters,
            defined_in=cls.__module__,
            options=tuple(it.name for it in found_options),
            option_types=found_options,
            code=cls,
        )
        return cls

    return declare


def require_declaration(
    decorator: str, name: object, summary: object, parameters: object, options: object = ()
) -> None:
    """Raise StrategyError that shows how a decorator is used, where it was used otherwise."""
    if not isinstance(name, str) or not name:
        use = f'@{decorator}("its_name", "What it does.")'
        bare = f" above {_called(name)}" if callable(name) else f", not {name!r}"
        raise StrategyError(f"@{decorator} takes the strategy's name first, as in {use}{bare}")
    if summary is not None and not isinstance(summary, str):
        raise StrategyError(
            f"strategy {name!r}: @{decorator} takes a summary second, a text that says what it does, not"
            f" {summary!r}"
        )
    for what, given, kind in (("parameters", parameters, Parameter), ("options", options, str)):
        alone = isinstance(given, kind)
        if alone or not isinstance(given, tuple | list) or not all(isinstance(it, kind) for it in given):
            remedy = "; a single one needs a comma behind it: (..., )" if alone else ""
            each = "Parameter(...)" if kind is Parameter else "names"
            raise StrategyError(f"strategy {name!r}: {what} must be a tuple of {each}, not {given!r}{remedy}")


def _require_decide(cls: type) -> None:
    decide = getattr(cls, "decide", None)
    wanted = "a method decide(self, observation, orders)"
    if not callable(decide):
        raise StrategyError(f"class {cls.__name__} needs {wanted}")
    try:
        own = inspect.getattr_static(cls, "decide")
        inspect.signature(decide).bind(*[None] * (2 if isinstance(own, staticmethod | classmethod) else 3))
    except TypeError:
        given = f"decide{inspect.signature(decide)}"
        raise StrategyError(f"class {cls.__name__} needs {wanted}; it has {given}") from None


def _first_line(cls: type, decorator: str) -> str:
    lines = inspect.cleandoc(cls.__doc__ or "").splitlines()
    if lines and not lines[0].startswith(f"{cls.__name__}("):  # which dataclasses write themselves
        return lines[0]
    raise StrategyError(
        f"class {cls.__name__} says nowhere what it does; give @{decorator} a summary, or the class a"
        " docstring"
    )


def _called(thing: object) -> str:
    """Return what an object is called in its source."""
    kind = "class" if inspect.isclass(thing) else "def"
    name = getattr(thing, "__name__", None)
    return f"{kind} {name}" if name else repr(thing)
