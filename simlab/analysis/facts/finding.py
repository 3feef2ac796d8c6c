"""What a fact is: a function of a source that gives an estimate, an interval and a verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import wraps
from typing import NamedTuple, Protocol

import numpy as np

from simlab.analysis.facts.evidence import Evidence
from simlab.analysis.statistics import Options, UndefinedError
from simlab.errors import AnalysisError

__all__ = ["NOT_ENOUGH", "NOT_SHOWN", "SHOWN", "Fact", "Finding", "Measured", "NotEnoughError", "fact"]

SHOWN = "shown"
NOT_SHOWN = "not shown"
NOT_ENOUGH = "not enough data"


@dataclass(frozen=True)
class Finding:
    """One line of the card.

    Attributes
    ----------
    fact : str
    estimate, low, high : float, unit `unit`
        The estimate and its bootstrap interval; NaN where there is not enough data.
    verdict : str
        ``"shown"``, ``"not shown"`` or ``"not enough data"``.
    unit : str
    description : str
        What was estimated and what it takes to be shown, or why there is not enough data.
    """

    fact: str
    estimate: float
    low: float
    high: float
    verdict: str
    unit: str
    description: str


class Measured(NamedTuple):
    """What the body of a fact returns: numbers, whether they show it, what to add to the description."""

    estimate: float
    low: float
    high: float
    shown: bool
    note: str = ""


class NotEnoughError(AnalysisError):
    """Say inside a fact why it cannot be judged; it becomes the verdict "not enough data"."""


class Fact(Protocol):
    """A fact: ``fat_tails(source)``, with `Options` where the defaults do not do."""

    def __call__(self, source: Evidence, options: Options | None = None) -> Finding: ...


def fact(
    name: str, description: str, *, unit: str = "1", needs: str = "returns", least: int
) -> Callable[[Callable[[Evidence, Options], Measured]], Fact]:
    """Turn a function into a fact: its data checked, too little of them a verdict, its numbers a `Finding`.

    Parameters
    ----------
    name : str
    description : str
        What is estimated and what shows it, in one line of the card.
    unit : str
    needs : str
        What the function reads: ``returns``, ``volume``, or a field of `OrderFlow`.
    least : int
        Fewest entries of it.
    """

    def decorate(measure: Callable[[Evidence, Options], Measured]) -> Fact:
        @wraps(measure)
        def find(source: Evidence, options: Options | None = None) -> Finding:
            try:
                _require(source, needs, least)
                # percentile_interval counts the samples in which a statistic is undefined
                with np.errstate(divide="ignore", invalid="ignore"):
                    measured = measure(source, options or Options())
            except (NotEnoughError, UndefinedError) as reason:
                return Finding(name, np.nan, np.nan, np.nan, NOT_ENOUGH, unit, f"{reason}. {description}")
            estimate, low, high, shown, note = measured
            text = f"{description} {note}." if note else description
            verdict = SHOWN if shown else NOT_SHOWN
            return Finding(name, float(estimate), float(low), float(high), verdict, unit, text)

        return find

    return decorate


def _require(source: Evidence, needs: str, least: int) -> None:
    """Raise NotEnoughError unless the source has `least` entries of what is needed, and they vary."""
    in_flow = needs not in {field.name for field in fields(Evidence)}
    holder = source.flow if in_flow else source
    if holder is None:
        raise NotEnoughError(source.missing.get("flow", "The source has no orders"))
    values = getattr(holder, needs)
    if values is None:
        raise NotEnoughError(source.missing.get(needs, "Needs messages"))
    if len(values) < least:
        raise NotEnoughError(f"{len(values):,} {_WORDS.get(needs, needs)}, and {least:,} are needed")
    if not np.ptp(values):
        raise NotEnoughError(f"All {_WORDS.get(needs, needs)} are the same")


_WORDS = {
    "signs": "incoming orders that traded",
    "sizes": "sizes of incoming orders",
    "net_volume": "intervals between quotes",
    "orders": "intervals with a count of orders",
    "waiting": "waiting times between orders",
    "volume": "volumes",
}
