"""Draw the parameters of a population's agents: a number for all, one for each, or a distribution.

Agent `i` of population `P` draws parameter `k` from a counter-based stream of its own, keyed by (seed,
"parameter", "P/k") with the agent as its counter. Changing the number of agents, another parameter or
another population therefore changes no draw. Draws outside a parameter's range are drawn again: the
distribution is truncated, not clipped.
"""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from simlab.config.fields import Model, Real, number_or_mapping

__all__ = ["Distribution", "DrawError", "MeanStd", "ParameterValue", "draw_column"]

MAX_REDRAWS = 10_000
"""Draws of one value before it counts as impossible."""


class DrawError(ValueError):
    """Report a distribution that cannot give a value a parameter allows; the message says why."""


class MeanStd(Model):
    """A mean and a standard deviation; ``[mean, std]`` says the same."""

    mean: Real
    """Mean, in the parameter's unit (for `lognormal`: of the logarithm)."""
    std: Real = Field(ge=0)
    """Standard deviation, likewise."""

    @model_validator(mode="before")
    @classmethod
    def _from_pair(cls, value: object) -> object:
        if isinstance(value, list | tuple):
            if len(value) != 2:
                raise PydanticCustomError("pair", "must be [mean, std] or {mean: ..., std: ...}")
            return {"mean": value[0], "std": value[1]}
        return value


class Distribution(Model):
    """How a parameter varies between agents: exactly one of the keys.

    Draws outside the parameter's range are drawn again. For a parameter that must be whole, `uniform`
    gives each whole number in [low, high] the same chance and the others are rounded to the nearest.
    """

    uniform: tuple[Real, Real] | None = None
    """``[low, high]``: uniform between the two, in the parameter's unit."""
    normal: MeanStd | None = None
    """``[mean, std]``: normal."""
    lognormal: MeanStd | None = None
    """``[mean, std]`` of the natural logarithm: log-normal."""
    exponential: Real | None = Field(None, gt=0)
    """The mean: exponential."""
    choice: tuple[Real, ...] | None = Field(None, min_length=1)
    """A list of values, each as likely; repeat one to weight it."""
    each: tuple[Real, ...] | None = Field(None, min_length=1)
    """The agents' own values, first to last, as many as there are agents: nothing is drawn."""

    FORMS: ClassVar[tuple[str, ...]] = ("uniform", "normal", "lognormal", "exponential", "choice", "each")

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        given = [name for name in self.FORMS if getattr(self, name) is not None]
        if len(given) != 1:
            raise PydanticCustomError("one_form", f"must have exactly one of {', '.join(self.FORMS)}")
        if self.uniform is not None and self.uniform[0] > self.uniform[1]:
            raise PydanticCustomError("order", "uniform must be [low, high] with low at most high")
        return self

    @property
    def form(self) -> str:
        """The key that is given."""
        return next(name for name in self.FORMS if getattr(self, name) is not None)


ParameterValue = Annotated[
    Annotated[Real, Tag("number")] | Annotated[Distribution, Tag("mapping")],
    number_or_mapping("a number, or a distribution such as {uniform: [1, 20]} or {normal: [0, 1]}"),
]
"""A number for every agent, or a distribution over them."""


def draw_column(
    value: float | Distribution,
    *,
    seed: int,
    population: str,
    parameter: str,
    count: int,
    low: float,
    high: float,
    integer: bool,
) -> NDArray[np.float64]:
    """Draw one parameter for all agents of a population.

    Parameters
    ----------
    value : float or Distribution
        In the parameter's unit.
    seed : int
        The run's.
    population, parameter : str
        Names, the key of the streams.
    count : int
        Number of agents.
    low, high : float
        Inclusive bounds; values outside are drawn again.
    integer : bool
        Whether values must be whole.

    Returns
    -------
    (count,) float64

    Raises
    ------
    DrawError
        When the distribution never, or almost never, falls between `low` and `high`, or `each` has not as
        many values as there are agents.

    Example
    -------
    >>> draw_column(Distribution(uniform=(1, 3)), seed=1, population="noise", parameter="size", count=2,
    ...             low=1, high=100, integer=True).shape
    (2,)
    """
    if not isinstance(value, Distribution):
        return np.full(count, value, np.float64)
    if value.each is not None:
        if len(value.each) != count:
            raise DrawError(f"each has {len(value.each)} values for {count} agents; give one for every agent")
        return np.array(value.each, np.float64)
    from simlab.config.drawing import CHOICE, EXPONENTIAL, LOGNORMAL, NORMAL, UNIFORM, WHOLE_UNIFORM, draw
    from simlab.core.random import name_key, new_stream

    kind, a, b = _numbers(value, low, high, integer)
    codes = {
        "uniform": UNIFORM,
        "whole_uniform": WHOLE_UNIFORM,
        "normal": NORMAL,
        "lognormal": LOGNORMAL,
        "exponential": EXPONENTIAL,
        "choice": CHOICE,
    }
    column = np.empty(count, np.float64)
    failed = draw(
        codes[kind],
        a,
        b,
        np.array(value.choice or (0.0,), np.float64),
        (low, high, integer),
        name_key(seed, "parameter", f"{population}/{parameter}"),
        MAX_REDRAWS,
        new_stream(),
        column,
    )
    if failed >= 0:
        raise DrawError(
            f"agent {failed} found no value between {low:g} and {high:g} in {MAX_REDRAWS} draws; move the"
            " distribution into the range"
        )
    return column


def _numbers(value: Distribution, low: float, high: float, integer: bool) -> tuple[str, float, float]:
    """Return the kind of draw and its two numbers; refuse a uniform that misses the range altogether."""
    if value.uniform is not None:
        a, b = value.uniform
        if integer:
            a, b = math.ceil(a), math.floor(b)
        if a > b or b < low or a > high:
            what = "whole number" if integer else "value"
            raise DrawError(f"uniform {list(value.uniform)} has no {what} between {low:g} and {high:g}")
        return ("whole_uniform" if integer else "uniform"), float(a), float(b)
    if value.exponential is not None:
        return "exponential", float(value.exponential), 0.0
    pair = value.normal or value.lognormal
    return value.form, *((pair.mean, pair.std) if pair else (0.0, 0.0))
