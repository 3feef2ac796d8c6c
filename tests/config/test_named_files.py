"""What a configuration names outside itself is looked at when it is read, not when the run comes to it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from simlab.config import load
from simlab.errors import ConfigError

Write = Callable[[str, str], Path]

PICKY = """
from simlab.agents.python import batch_strategy
from simlab.errors import StrategyError


@batch_strategy("picky", "Wants a word.", options=("word", "path"))
class Picky:
    def __init__(self, word="", path=None):
        raise AssertionError("made before the run")

    @staticmethod
    def check_options(word="", path=None):
        if path is not None and not open(path).read():
            raise StrategyError(f"picky: {path} is empty")
        if word.upper() != "YES":
            raise StrategyError(f"picky: word is {word!r}; write yes")

    def decide(self, observation, orders):
        pass
"""


def _market(fundamental: str, steps: int = 10) -> str:
    return f"steps: {steps}\ninstruments:\n  ACME:\n    initial_price: 100\n    fundamental: {fundamental}\n"


def test_a_file_of_values_that_is_too_short_is_found_when_it_is_read(write: Write) -> None:
    path = write("late.yaml", _market("{model: file, path: short.csv}", steps=400))
    write("short.csv", "close\n" + "100\n" * 300)
    with pytest.raises(ConfigError, match=r"late.yaml:5: .*fundamental.path: .* has 300 rows, one a step"):
        load(path)
    assert load(path, steps=300).steps == 300
    write("short.csv", "step,close\n0,100\n5,101\n")
    load(path)


def test_a_file_of_values_without_the_column_is_found_when_it_is_read(write: Write) -> None:
    path = write("late.yaml", _market("{model: file, path: prices.csv}"))
    write("prices.csv", "price\n" + "100\n" * 300)
    with pytest.raises(ConfigError, match=r"late.yaml:5: .* has no column 'close'"):
        load(path)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("{word: no}", "mine.yaml:4: populations.p.options: picky: word is 'no'; write yes"),
        ("{word: 5}", "populations.p.options: strategy 'picky' refuses its options: AttributeError"),
        ("{path: empty.txt}", "configs/empty.txt is empty"),
        ("{wrod: yes}", "strategy 'picky' has no such option; did you mean 'word'?"),
    ],
)
def test_a_strategy_looks_at_its_options(write: Write, options: str, expected: str) -> None:
    write("picky.py", PICKY)
    write("empty.txt", "")
    text = (
        "steps: 1\ninstruments: {ACME: {initial_price: 100}}\npopulations:\n  p: {strategy: 'picky.py:Picky'"
    )
    path = write("mine.yaml", f"{text}, options: {options}}}\n")
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert expected in str(caught.value)
    load(write("fine.yaml", f"{text}, options: {{word: yes}}}}\n"))
