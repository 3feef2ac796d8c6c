"""What a constructor's types say is what a strategy takes; a declaration that says otherwise is refused."""

from __future__ import annotations

import dataclasses
import enum
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge, Gt, Interval, Le, Lt, MultipleOf, doc

from simlab.agents.batch import batch_strategy
from simlab.agents.each import Unit, agent_strategy
from simlab.agents.registry import resolve
from simlab.agents.strategy import Option, Parameter
from simlab.errors import StrategyError

Share = Annotated[float, Interval(ge=0, lt=1), Unit("1")]


class Base:
    """Decide nothing."""

    def decide(self, observation: Any, orders: Any) -> None:
        pass


class Plain(Base):
    """Trade in some way.

    More of it here.

    Parameters
    ----------
    size, most : int, optional, lots
        Order size,
        and the most.
    mode : {"fast", "slow"}, default "fast"
        How.

    Notes
    -----
    threshold : float, moons
    """

    def __init__(
        self,
        size: int = 1,
        threshold: float = 0.5,
        most: int = 9,
        mode: Literal["fast", "slow"] = "fast",
        path: Path | None = None,
        verbose: bool = False,
    ) -> None:
        """Hold them.

        Parameters
        ----------
        threshold : float, price units
            From here on.
        """


class Bounded(Base):
    """Trade within bounds."""

    def __init__(
        self,
        whole: Annotated[int, Gt(0), Lt(10), Unit("lots"), doc("A number.")],
        share: Share = 0.5,
        real: Annotated[float, Gt(0), Le(2)] = 1,
        level: Annotated[str, doc("A word.")] = "low",
        *,
        seen: dict[str, Any],
    ) -> None:
        pass


def test_numbers_are_parameters_and_all_else_options() -> None:
    strategy = agent_strategy("plain")(Plain).strategy
    assert strategy.summary == "Trade in some way."
    assert strategy.parameters == (
        Parameter("size", 1, "lots", "Order size, and the most.", integer=True),
        Parameter("threshold", 0.5, "price units", "From here on."),
        Parameter("most", 9, "lots", "Order size, and the most.", integer=True),
    )
    assert strategy.options == ("mode", "path", "verbose")
    assert strategy.option_types == (
        Option("mode", Literal["fast", "slow"], "fast", "How."),
        Option("path", Path | None, None),
        Option("verbose", bool, False),
    )


def test_metadata_gives_bounds_units_and_descriptions() -> None:
    strategy = agent_strategy("bounded")(Bounded).strategy
    above = math.nextafter(0.0, 1.0)
    assert strategy.parameters == (
        Parameter("whole", 1, "lots", "A number.", 1, 9, integer=True, required=True),
        Parameter("share", 0.5, "1", "", 0, math.nextafter(1.0, 0.0)),
        Parameter("real", 1, "", "", above, 2),
    )
    level, seen = strategy.option_types
    assert (level.description, level.default, level.required) == ("A word.", "low", False)
    assert (seen.type, seen.required) == (dict[str, Any], True)


def test_all_arguments_of_a_batch_are_options() -> None:
    size = Parameter("size", 1, "lots", "Order size.")

    class Crowd(Base):
        """Trade together."""

        def __init__(self, window: int = 60, share: float = 0.1, mode: str = "a") -> None:
            pass

    strategy = batch_strategy("crowd", parameters=(size,))(Crowd).strategy
    assert strategy.parameters == (size,)
    assert [(it.name, it.type) for it in strategy.option_types] == [
        ("window", int),
        ("share", float),
        ("mode", str),
    ]


def test_a_dataclass_is_read_as_any_class() -> None:
    @agent_strategy("data", "Holds data.")
    @dataclasses.dataclass
    class Data(Base):
        size: Annotated[int, Ge(1)] = 3
        names: list[str] = dataclasses.field(default_factory=list)

    assert [(it.name, it.default, it.low) for it in Data.strategy.parameters] == [("size", 3, 1)]
    assert [(it.name, it.required) for it in Data.strategy.option_types] == [("names", False)]


def test_parameters_that_are_declared_need_no_types_and_win() -> None:
    size = Parameter("size", 5, "lots", "Order size.", low=1, integer=True)

    class Mixed(Base):
        def __init__(self, size=5, pace: float = 1.0, path=None) -> None:
            pass

    strategy = agent_strategy("mixed", "Mixes.", (size,), options=("path",))(Mixed).strategy
    assert strategy.parameters == (size, Parameter("pace", 1.0, "", ""))
    assert strategy.options == ("path",)


def test_an_agent_gets_whole_numbers_as_int() -> None:
    strategy = agent_strategy("plain")(Plain).strategy
    given = strategy.numbers([3.0, 0.25, 4.0])
    assert given == {"size": 3, "threshold": 0.25, "most": 4}
    assert [type(it) for it in given.values()] == [int, float, int]


def _class(**arguments: str) -> type:
    """Return a class whose constructor takes arguments as they are written."""
    names: dict[str, Any] = {"Annotated": Annotated, "MultipleOf": MultipleOf, "Ge": Ge}
    exec(f"def init(self, {', '.join(arguments.values())}): pass", names)
    return type("Odd", (Base,), {"__init__": names["init"]})


SIZE = Parameter("size", 5, "lots", "Order size.", low=1, high=9)


@pytest.mark.parametrize(
    ("written", "parameters", "message"),
    [
        ("size", (), "takes 'size' in its __init__ without a type; give it one, as in size: int = 1"),
        ("size: 'Sise'", (), "takes 'size' .* type that cannot be read: NameError: name 'Sise'"),
        ("size, /", (), "takes 'size' in its __init__ by position only"),
        ("size: int = 1.5", (), "gives 'size' the default 1.5, which is no whole number"),
        ("size: int = True", (), "gives 'size' the default True, which is no whole number"),
        ("size: float = None", (), "gives 'size' the default None, which is no number"),
        ("size: Annotated[int, Ge(3)] = 2", (), "gives 'size' the default 2, outside its bounds 3 to inf"),
        ("size: Annotated[int, MultipleOf(3)] = 3", (), r"restricts 'size' to MultipleOf\(.*; use Ge"),
        ("sise: float = 5", (SIZE,), "declares 'size', but .* no such argument; did you mean 'sise'"),
        ("size: float = 6", (SIZE,), "disagrees .* 'size': default is 5 in its Parameter and 6 in its"),
        ("size: int = 5", (SIZE,), "disagrees .* 'size': integer is False in its Parameter and True"),
        ("size: Annotated[float, Ge(2)]", (SIZE,), "disagrees .* 'size': low is 1 in its Parameter and 2"),
        ("size: str", (SIZE,), "declares 'size' as a parameter, which is a number, but its type is .*str"),
        ("size: float", (SIZE, SIZE), "declares 'size' twice"),
    ],
)
def test_what_is_not_clear_is_refused(written: str, parameters: tuple[Parameter, ...], message: str) -> None:
    with pytest.raises(StrategyError, match=f"class Odd {message}"):
        agent_strategy("odd", "Is odd.", parameters)(_class(size=written))


def test_a_batch_takes_no_parameters_in_its_constructor() -> None:
    with pytest.raises(StrategyError, match=r"'size' in its __init__, .* find it in observation\.parameters"):
        batch_strategy("odd", "Is odd.", (SIZE,))(_class(size="size: float = 5"))


class Mood(enum.Enum):
    """How it feels."""

    CALM = "calm"
    WILD = "wild"


def test_a_type_is_shown_as_a_file_would_say_it(tmp_path: Path) -> None:
    chosen = Option("mood", Mood, Mood.WILD)
    assert (chosen.kind, chosen.written_default) == ("Literal['calm', 'wild']", "wild")
    (tmp_path / "banded.py").write_text(
        "from dataclasses import dataclass\n"
        "from simlab.agents.each import agent_strategy\n"
        "@dataclass\n"
        "class Band:\n"
        "    low: int = 1\n"
        "@agent_strategy('banded', 'Quotes in a band.')\n"
        "class Banded:\n"
        "    def __init__(self, band: Band | None = None, first: Band = Band()):\n"
        "        pass\n"
        "    def decide(self, observation, orders):\n"
        "        pass\n"
    )
    options = resolve(f"{tmp_path}/banded.py:Banded").option_types
    assert [it.kind for it in options] == ["Band | None", "Band"]
