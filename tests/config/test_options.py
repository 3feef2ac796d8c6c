"""Options are checked against the constructor's types when the file is read, and arrive as these types."""

from __future__ import annotations

import enum
import pickle
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Semaphore as Lock
from typing import Any, Literal

import pytest

from simlab.agents.each import agent_strategy
from simlab.config import build, load, resolved
from simlab.errors import ConfigError

Write = Callable[[str, str], Path]


class Mood(enum.Enum):
    """How it feels."""

    GOOD = "good"
    BAD = "bad"


@dataclass
class Band:
    """Where it quotes."""

    low: int = 1
    high: int = 5


@agent_strategy("chooser", "Takes options of many types.")
class Chooser:
    """Hold what it was given.

    Parameters
    ----------
    words : list of str
        What it says.
    """

    def __init__(
        self,
        words: list[str],
        size: int = 1,
        threshold: float = 0.5,
        mode: Literal["fast", "slow"] = "fast",
        model: Path | None = None,
        verbose: bool = False,
        most: int | None = None,
        mood: Mood = Mood.GOOD,
        files: list[Path] | None = None,
        thing: object = None,
        lock: Lock | None = None,
        band: Band | None = None,
        bands: tuple[Band, ...] = (),
        named: dict[str, Band] | None = None,
    ) -> None:
        pass

    def decide(self, observation: Any, orders: Any) -> None:
        pass

    @staticmethod
    def check_options(words: list[str], model: Path | None = None, **_: Any) -> None:
        """Look at types: these are what the constructor says already."""
        assert isinstance(words, list)
        assert model is None or isinstance(model, Path)


def _config(options: dict[str, Any], parameters: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "steps": 3,
        "instruments": {"ACME": {"initial_price": 100}},
        "populations": {
            "mine": {
                "strategy": f"{__name__}:Chooser",
                "options": {"words": ["a"]} | options,
                "parameters": parameters or {},
            }
        },
    }


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"mode": "fsat"}, "mode: 'fsat': must be 'fast' or 'slow'; did you mean 'fast'?"),
        ({"verbose": "yes"}, "verbose: 'yes': must be true or false (not on, off, yes or no)"),
        ({"words": "a"}, "words: 'a': must be a list"),
        ({"words": ["a", 3]}, "words.1: 3: must be text; put it in quotes"),
        ({"most": 2.5}, "most: 2.5: must be a whole number"),
        ({"most": "2"}, "most: '2': must be a whole number"),
        ({"model": 5}, "model: 5: must be text; put it in quotes"),
        ({"lock": 5}, "lock: 5: strategy 'chooser' wants a"),
        ({"mood": "bda"}, "mood: 'bda': must be 'good' or 'bad'; did you mean 'bad'?"),
        ({"band": {"hihg": 3}}, "band.hihg: 3: unknown key; did you mean 'high'?"),
        ({"bands": [{"low": 2}, {"lo": 3}]}, "bands.1.lo: 3: unknown key; did you mean 'low'?"),
        ({"named": {"a": {"hgh": 3}}}, "named.a.hgh: 3: unknown key; did you mean 'high'?"),
        ({"mdoe": "fast"}, "mdoe: 'fast': strategy 'chooser' has no such option; did you mean 'mode'?"),
        ({"size": 2}, "size: 2: strategy 'chooser' has no such option; 'size' is a parameter, put it under"),
    ],
)
def test_a_wrong_option_is_named_when_the_file_is_read(options: dict[str, Any], expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(_config(options))
    assert f"populations.mine.options.{expected}" in str(caught.value)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"size": 1.5}, "size: 1.5: must be a whole number"),
        ({"size": "1"}, "size: '1': must be a number"),
        ({"sise": 1}, "strategy 'chooser' has no such parameter; did you mean 'size'?"),
        ({"mode": 1}, "strategy 'chooser' has no such parameter; 'mode' is an option, put it under options"),
    ],
)
def test_a_wrong_parameter_is_named_as_one_of_a_built_in_strategy(
    parameters: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load(_config({}, parameters))
    assert expected in str(caught.value)


def test_several_problems_come_at_once_and_a_missing_option_is_one() -> None:
    config = _config({"mode": "x", "verbose": 1})
    del config["populations"]["mine"]["options"]["words"]
    with pytest.raises(ConfigError) as caught:
        load(config)
    text = str(caught.value)
    assert text.startswith("3 problems")
    assert "options.words: missing; strategy 'chooser' needs it: What it says." in text


def test_options_arrive_as_the_types_that_the_constructor_says(write: Write, tmp_path: Path) -> None:
    options = {"model": "m.txt", "mood": "bad", "most": 3.0, "files": ["a", "b"], "mode": "slow"}
    file = write("chooser.yaml", "steps: 3\ninstruments: {ACME: {initial_price: 100}}\n")
    config = load(file, set={"populations": _config({})["populations"]})
    config = load(config, set={f"populations.mine.options.{name}": it for name, it in options.items()})
    given = build(config).populations[0].options
    assert given["mood"] is Mood.BAD
    assert given["most"] == 3
    assert isinstance(given["most"], int)
    assert given["model"] == Path.cwd() / "m.txt"
    assert given["files"] == [Path.cwd() / "a", Path.cwd() / "b"]
    assert pickle.loads(pickle.dumps(given)) == given
    again = build(load(resolved(config))).populations[0].options
    assert again == given


def test_a_path_of_any_name_is_relative_to_the_file_that_gives_it(write: Write) -> None:
    text = "steps: 3\ninstruments: {ACME: {initial_price: 100}}\npopulations:\n  mine:\n"
    text += f"    strategy: {__name__}:Chooser\n    options: {{words: [a], model: m.txt}}\n"
    file = write("chooser.yaml", text)
    assert build(load(file)).populations[0].options["model"] == file.parent / "m.txt"


def test_numbers_are_drawn_for_each_agent() -> None:
    config = _config({}, {"size": {"uniform": [1, 9]}, "threshold": {"uniform": [0, 1]}})
    config["populations"]["mine"]["count"] = 50
    drawn = build(load(config)).populations[0].parameters
    assert drawn.shape == (50, 2)
    assert len(set(drawn[:, 1])) == 50
    assert (drawn[:, 0] % 1 == 0).all()


@agent_strategy("asker", "Needs a language model.")
class Asker:
    """Hold which model it asks."""

    def __init__(self, llm: dict[str, Any]) -> None:
        pass

    def decide(self, observation: Any, orders: Any) -> None:
        pass


def test_which_language_model_is_asked_is_no_option_of_the_file() -> None:
    config = _config({}) | {"llm": {"base_url": "http://localhost:1/v1", "model": "small"}}
    config["populations"] = {"mine": {"strategy": f"{__name__}:Asker"}}
    assert build(load(config)).populations[0].options["llm"]["model"] == "small"


def test_this_module_is_importable_by_its_name() -> None:
    assert sys.modules[__name__].Chooser is Chooser
