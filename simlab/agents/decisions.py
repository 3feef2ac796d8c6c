"""Keep what a strategy written in Python says beside its messages: notes, thinking, what it passes on.

Example
-------
>>> import numpy as np
>>> asides = Asides()
>>> asides.note(np.array([0, 1]), {"reason": ["cheap", "dear"], "ms": 12.5})
>>> asides.facts(2)["reason"], asides.facts(2)["ms"]
(['cheap', 'dear'], [12.5, 12.5])
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlab.agents.checking import fitting, whole, whole_array
from simlab.errors import StrategyError

__all__ = ["MAX_TEXT", "MAX_THINKING", "Asides", "Passed"]

MAX_THINKING = 4096
"""Steps that an agent may think before what it sends leaves."""
MAX_TEXT = 1 << 16
"""Characters of one text in a note."""
_MAX_KIND = 40


class Passed(NamedTuple):
    """Why a strategy did not decide: a short word for counting, and the whole story in a line."""

    kind: str
    detail: str


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise StrategyError(f"note: {name} {value!r} is not a text; give a str")
    if len(value) > MAX_TEXT:
        raise StrategyError(f"note: {name} has {len(value):,} characters; the most is {MAX_TEXT:,}")
    return value


def _number(value: Any, name: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise StrategyError(f"note: {name} {value!r} is not a number") from None
    if not math.isfinite(number):
        raise StrategyError(f"note: {name} {number} is not finite; leave it out where it is not known")
    return number


_KNOWN: dict[str, Callable[[Any, str], Any]] = {
    "reason": _text,
    "request": _text,
    "calls": whole,
    "tokens_in": whole,
    "tokens_out": whole,
    "cost": _number,
    "ms": _number,
    "cached": whole,
}
"""The facts that have a column of their own in the table `decisions`; all others go into one, as JSON."""


class Asides:
    """What was said beside the messages of one decision, by position of the agents it was for."""

    __slots__ = ("notes", "passed", "thoughts")

    def __init__(self) -> None:
        self.notes: list[tuple[NDArray[np.int64], dict[str, list[Any]]]] = []
        self.passed: dict[int, Passed] = {}
        self.thoughts: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []

    def __bool__(self) -> bool:
        return bool(self.notes or self.passed or self.thoughts)

    @classmethod
    def joined(cls, parts: Sequence[Asides]) -> Asides:
        """Return what several agents, who decided alone, said: the first has position 0, and so on."""
        joint = cls()
        for i, part in enumerate(parts):
            joint.notes += [(positions + i, facts) for positions, facts in part.notes]
            joint.passed.update((position + i, why) for position, why in part.passed.items())
            joint.thoughts += [(positions + i, steps) for positions, steps in part.thoughts]
        return joint

    def note(self, positions: NDArray[np.int64], facts: Mapping[str, Any]) -> None:
        """Keep facts, each a single value or a list or array with one for each position."""
        if facts:
            self.notes.append(
                (positions, {name: _each(it, len(positions), name) for name, it in facts.items()})
            )

    def pass_on(self, positions: Iterable[int], kind: str, detail: str) -> None:
        """Leave a decision to what the population falls back on."""
        if not isinstance(kind, str) or not 0 < len(kind) <= _MAX_KIND:
            raise StrategyError(f"pass_on: kind {kind!r} must be a text of 1 to {_MAX_KIND} characters")
        passed = Passed(kind, " ".join(_text(detail, "detail").split()))
        self.passed.update((int(it), passed) for it in positions)

    def think(self, positions: NDArray[np.int64], steps: Any) -> None:
        """Let what is sent leave some steps later."""
        given = whole_array(steps, "steps", low=0, high=MAX_THINKING)
        self.thoughts.append(
            (positions, np.broadcast_to(fitting(given, len(positions), "steps"), len(positions)))
        )

    def thinking(self, count: int) -> NDArray[np.int64]:
        """Return the steps that each of `count` agents thought, (count,) int64."""
        total = np.zeros(count, np.int64)
        for positions, steps in self.thoughts:
            np.add.at(total, positions, steps)
        return np.minimum(total, MAX_THINKING)

    def facts(self, count: int) -> dict[str, list[Any]]:
        """Return columns of `count` values, None where nothing was noted; `facts` is of JSON texts.

        A fact that is noted twice keeps its last value.
        """
        columns: dict[str, list[Any]] = {}
        others: list[dict[str, Any]] = [{} for _ in range(count)] if self._has_others() else []
        for positions, facts in self.notes:
            for name, values in facts.items():
                if name in _KNOWN:
                    column = columns.setdefault(name, [None] * count)
                    for position, value in zip(positions.tolist(), values, strict=True):
                        column[position] = value
                else:
                    for position, value in zip(positions.tolist(), values, strict=True):
                        others[position][name] = value
        if others:
            written: dict[tuple[Any, ...], str] = {}
            columns["facts"] = [_json(it, written) if it else None for it in others]
        return columns

    def _has_others(self) -> bool:
        return any(name not in _KNOWN for _, facts in self.notes for name in facts)


def _each(value: Any, count: int, name: str) -> list[Any]:
    """Return a fact for each position, checked: a single value is that of all."""
    known = _KNOWN.get(name)
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, list | tuple) or (known is None and len(value) != count):
        one = _checked(value, name)
        return [one] * count
    if len(value) != count:
        raise StrategyError(
            f"note: {name} has {len(value)} values for {count} agents; give one for each, or one"
        )
    return [_checked(it, name) for it in value]


def _checked(value: Any, name: str) -> Any:
    if value is None:
        return None
    if name in _KNOWN:
        return _KNOWN[name](value, name)
    try:
        text = json.dumps(value, default=_plain)
    except (TypeError, ValueError) as error:
        raise StrategyError(f"note: {name} cannot be kept as JSON: {error}") from None
    if len(text) > MAX_TEXT:
        raise StrategyError(f"note: {name} has {len(text):,} characters of JSON; the most is {MAX_TEXT:,}")
    return value


def _json(facts: dict[str, Any], written: dict[tuple[Any, ...], str]) -> str:
    """Return facts as JSON; what many agents have in common is written once."""
    key = tuple((name, id(value)) for name, value in facts.items())
    if key not in written:
        written[key] = json.dumps(facts, default=_plain)
    return written[key]


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is not plain data")
