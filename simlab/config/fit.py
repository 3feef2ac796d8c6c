"""The YAML of `simlab fit`: which values of an experiment are searched, and what its measures are to be."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from simlab.config.fields import Model, Name, Real, Step, Whole, described
from simlab.config.limits import SEED
from simlab.config.merge import from_study
from simlab.config.problems import validated
from simlab.config.schema import Schema, clean
from simlab.config.sweep import Value, VariedConfig

__all__ = ["FitConfig", "TargetConfig", "fit_schema", "load_fit"]


class TargetConfig(Model):
    """What a measure is to be; a number says the value."""

    value: Real | None = described(None, "What it is to be", "the measure's unit")
    low: Real | None = described(None, "The least it may be", "the measure's unit")
    high: Real | None = described(None, "The most it may be", "the measure's unit")
    scale: Real | None = described(
        None, "A distance that counts as 1; a tenth of the value if not given", "the measure's unit", gt=0
    )

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        return value if isinstance(value, dict | TargetConfig) else {"value": value}

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if (self.value is None) == (self.low is None and self.high is None):
            raise PydanticCustomError("one_form", "must have a value, or a low or a high or both")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise PydanticCustomError("order", "low must be at most high")
        return self

    def distance(self, measured: float) -> float:
        """Return how far a measured value is off, in scales; 0 within the range, NaN if it is not known.

        Example
        -------
        >>> TargetConfig(value=10.0).distance(12.0), TargetConfig(low=1.0, high=2.0).distance(1.5)
        (2.0, 0.0)
        """
        if not math.isfinite(measured):
            return math.nan
        low = self.value if self.low is None and self.value is not None else self.low
        high = self.value if self.high is None and self.value is not None else self.high
        off = 0.0
        if low is not None and measured < low:
            off = low - measured
        if high is not None and measured > high:
            off = measured - high
        near = max(abs(it) for it in (self.value, self.low, self.high) if it is not None)
        return off / (self.scale or 0.1 * near or 1.0)


class FitConfig(Model):
    """A search for the parameters with which an experiment measures what it is to measure."""

    name: Name = described("fit", "Names the folder of the results")
    description: str = described("", "For people")
    experiment: str | dict[str, Any] = described(
        ..., "A YAML file, relative to this one, or the experiment itself"
    )
    set: dict[str, Value] = described({}, "Put on top in all runs, by dotted path")
    parameters: dict[str, VariedConfig] = described(
        ..., "What is searched: a name, or the dotted path itself", min_length=1
    )
    targets: dict[str, TargetConfig] = described(
        ...,
        "What measures are to be: those of `simlab compare`, and `fact NAME` of `simlab facts`",
        min_length=1,
    )
    seeds: Whole = described(3, "Seeds that every trial is the mean of, from 1", ge=1, le=1000)
    warmup: Step = described(0, "Left out at the start of every run by the measures", "steps")
    trials: Whole = described(100, "Parameters that are tried", ge=1, le=100_000)
    seed: Whole = described(1, "The search follows from it", ge=0, bound=SEED)


@cache
def fit_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of a file for `simlab fit`; do not change it."""
    made: Schema = clean(FitConfig.model_json_schema())
    return made


def load_fit(config: str | Path | Mapping[str, Any] | FitConfig) -> FitConfig:
    """Load and check what is to be fitted; the experiment's path becomes absolute.

    Raises
    ------
    ConfigError
        Listing every problem with its path, file and line.

    Example
    -------
    >>> market = {"steps": 10, "instruments": {"ACME": {"initial_price": 100}}}
    >>> ticks = {"instruments.ACME.tick_size": {"integers": [1, 9]}}
    >>> load_fit({"experiment": market, "parameters": ticks, "targets": {"spread": 4}}).trials
    100
    """
    if isinstance(config, FitConfig):
        return config
    source = from_study(config)
    return validated(FitConfig, source, fit_schema())
