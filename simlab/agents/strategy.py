"""Describe a strategy: its name, level, parameters and what it wants to see.

A strategy is written at one of three levels, told apart by how it is called (`Calling`); the kernel and the
YAML file treat them alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from simlab.errors import StrategyError

__all__ = [
    "MAX_MEMORY",
    "MAX_PARAMETERS",
    "Calling",
    "Decider",
    "Needs",
    "Parameter",
    "Strategy",
    "declare_class",
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
class Needs:
    """Say which costly parts of the observation a strategy reads.

    Of compiled strategies, `depth`: levels of the book a side (0 to 10); `orders`: own resting orders;
    `signal`: the private signal of the fundamental value; `news`: the latest visible news. Best prices, last
    trade, cash, inventory and fills since the last look are always there.

    Of batch strategies, `fills`: own fills one by one. All else is there when it is asked for.
    """

    depth: int = 0
    orders: bool = False
    signal: bool = False
    news: bool = False
    fills: bool = False


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
    """Names of non-numeric options (paths, text) that the strategy takes at set-up."""
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

    def __post_init__(self) -> None:
        if self.check is None:
            object.__setattr__(self, "check", getattr(self.make, "check_options", None))
        for name in ("check_market", "halts", "provenance"):
            if getattr(self, name) is None:
                object.__setattr__(self, name, getattr(self.make, name, None))

    def __deepcopy__(self, memo: dict[int, Any]) -> Strategy:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle where the code is: it is found again there, as a YAML file's strategy is."""
        from simlab.agents.registry import found_again

        place = (
            self.defined_in if self.defined_in.endswith(".py") or self.code is None else self.code.__module__
        )
        return found_again, (
            f"{place}:{getattr(self.code, '__name__', self.name)}",
            self.name,
            self.defined_in,
        )


_C = TypeVar("_C", bound=type)


def declare_class(
    level: Calling,
    name: str,
    summary: str,
    parameters: tuple[Parameter, ...],
    options: tuple[str, ...],
    source: str,
    *,
    needs: Needs | None = None,
    decider: Decider = Decider.HEURISTIC,
    open_parameters: bool = False,
) -> Callable[[_C], _C]:
    """Return a decorator that makes a class with a method `decide` a strategy."""

    def declare(cls: _C) -> _C:
        if not callable(getattr(cls, "decide", None)):
            raise StrategyError(f"class {cls.__name__} needs a method decide(self, observation, orders)")
        cls.strategy = Strategy(  # type: ignore[attr-defined]
            name=name,
            level=level,
            make=cls,
            summary=summary,
            parameters=parameters,
            needs=needs or Needs(),
            source=source,
            decider=decider,
            open_parameters=open_parameters,
            defined_in=cls.__module__,
            options=options,
            code=cls,
        )
        return cls

    return declare
