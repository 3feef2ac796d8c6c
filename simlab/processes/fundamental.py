"""Fundamental values: what a specification may say. `simlab.processes.path` makes the values.

References
----------
Uhlenbeck and Ornstein (1930), On the theory of the Brownian motion, Physical Review 36.
Merton (1976), Option pricing when underlying stock returns are discontinuous, Journal of Financial
Economics 3 (jumps, with the compensator that keeps the expected return at the drift).
Guyon and Lekeufack (2023), Volatility is (mostly) path-dependent, Quantitative Finance 23(9), 1221-1258 (the
four-factor model, with two exponential kernels for past returns and two for their squares).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, get_args

from simlab.errors import ConfigError, did_you_mean
from simlab.processes.draws import MAX_EVENTS_PER_STEP

__all__ = ["LEAST_VOLATILITY", "MAX_VALUE", "MOST_VOLATILITY", "FundamentalSpec", "Model"]

MAX_VALUE = 2.0**31 - 1.0
"""Largest magnitude of a fundamental value, price units: no market takes an order at a price beyond it."""

LEAST_VOLATILITY, MOST_VOLATILITY = 0.1, 10.0
"""Range of a path-dependent volatility, as multiples of `FundamentalSpec.volatility`."""

_MAX_RELATIVE = 100.0
"""Largest relative change a step that can be asked for; exp(100) passes every price in one step."""

Model = Literal["constant", "mean_reverting", "geometric", "path_dependent", "file"]

_JUMPS = {"jump_rate", "jump_scale"}
_ALLOWED: dict[str, set[str]] = {
    "constant": {"initial"},
    "mean_reverting": {"initial", "mean", "reversion", "volatility"} | _JUMPS,
    "geometric": {"initial", "drift", "volatility"} | _JUMPS,
    "path_dependent": {"initial", "drift", "volatility"}
    | {"leverage", "feedback", "trend_memory", "trend_share", "volatility_memory", "volatility_share"}
    | {"jump_mean"}
    | _JUMPS,
    "file": {"path", "column"},
}


@dataclass(frozen=True)
class FundamentalSpec:
    """Say how one instrument's fundamental value moves. What a model does not use must keep its default.

    The value at step 0 is `initial`, by default the instrument's initial price. Then, with z standard
    normal and N the number of jumps in the step, Poisson with mean `jump_rate`:

    - ``constant``: it stays.
    - ``mean_reverting``: an Ornstein-Uhlenbeck process, discretised exactly: the deviation from `mean` (by
      default `initial`) shrinks by exp(-`reversion`) and gains a normal whose variance is
      `volatility`^2 (1 - exp(-2 `reversion`)) / (2 `reversion`), plus `jump_scale` sqrt(N) z. With reversion
      0 it is a random walk. The stationary variance without jumps is `volatility`^2 / (2 `reversion`).
    - ``geometric``: a geometric Brownian motion with log-normal jumps, compensated so that the expected
      value grows by exp(`drift`) a step whatever the jumps.
    - ``path_dependent``: its logarithm moves by `drift` - s^2 / 2 + s x. The shock x is (z + J) / k, where J,
      the jumps, is N `jump_mean` + sqrt(N) `jump_scale` z less its expectation, and k gives x the variance 1.
      The volatility s follows from the value's own past, the shocks s x::

          s = (1 - feedback) volatility + feedback sqrt(R2) - leverage R1

      R1 is the mean of past s x and R2 of their squares, each weighted by two exponential kernels whose mean
      ages are `trend_memory` and `volatility_memory`; the older one has the weight `trend_share` or
      `volatility_share`. Falls raise the volatility (leverage), large moves keep it high, for as long as the
      older kernel remembers. s is kept within 0.1 and 10 times `volatility`.
    - ``file``: it is read from `column` of `path`.

    Impacts of news and jumps are added to the value. A mean-reverting value reverts from there; the others
    keep it. Nothing is clipped: a mean-reverting, constant or file value may pass zero. A geometric or
    path-dependent value that reaches zero, and any value beyond `MAX_VALUE`, is an error that names the step
    and the cause.

    Parameters
    ----------
    instrument : str
    model : {"constant", "mean_reverting", "geometric", "path_dependent", "file"}
    initial : float, optional
        Price units.
    mean : float, optional
        Price units.
    reversion : float
        Per step, at least 0.
    volatility : float
        Price units per sqrt(step) for mean_reverting, relative per sqrt(step) for the others; at least 0.
    drift : float
        Relative, per step.
    jump_rate : float
        Mean number of jumps per step, 0 to 10.
    jump_scale : float
        Standard deviation of a jump: price units for mean_reverting, relative for geometric, in standard
        deviations of a move without jumps for path_dependent.
    jump_mean : float
        Mean of a jump, in the same unit.
    leverage : float
        How much a past return takes off the volatility, at least 0.
    feedback : float
        Share of the volatility that past moves make, 0 to 1.
    trend_memory, volatility_memory : (float, float)
        Mean ages of the two kernels of past returns, and of their squares, steps, at least 1.
    trend_share, volatility_share : float
        Weight of the second kernel, 0 to 1.
    path : Path, optional
        A CSV or Parquet file. With a column ``step`` (increasing, from 0) each value holds until the next
        row's step, the last one for ever; without, each row is one step, and a run longer than the file
        is an error.
    column : str
        The column with the values, price units.

    Raises
    ------
    ConfigError
        When a parameter is out of range, missing, or not used by the model.

    Example
    -------
    >>> FundamentalSpec("ACME", "mean_reverting", reversion=0.01, volatility=2.0).volatility
    2.0
    """

    instrument: str
    model: Model = "constant"
    initial: float | None = None
    mean: float | None = None
    reversion: float = 0.0
    volatility: float = 0.0
    drift: float = 0.0
    jump_rate: float = 0.0
    jump_scale: float = 0.0
    jump_mean: float = 0.0
    leverage: float = 0.0
    feedback: float = 0.0
    trend_memory: tuple[float, float] = (10.0, 100.0)
    trend_share: float = 0.5
    volatility_memory: tuple[float, float] = (30.0, 3000.0)
    volatility_share: float = 0.5
    path: Path | None = None
    column: str = "close"

    def __post_init__(self) -> None:
        if self.model not in _ALLOWED:
            hint = did_you_mean(self.model, get_args(Model), otherwise="the models are")
            raise self._error(f"model {self.model!r} is unknown{hint}")
        self._check_unused()
        self._check_ranges()
        if self.model == "file" and self.path is None:
            raise self._error("model 'file' needs a path")

    def _error(self, text: str) -> ConfigError:
        return ConfigError(f"fundamental of {self.instrument!r}: {text}")

    def _check_unused(self) -> None:
        allowed = _ALLOWED[self.model] | {"instrument", "model"}
        for field in fields(self):
            if field.name not in allowed and getattr(self, field.name) != field.default:
                users = [model for model in _ALLOWED if field.name in _ALLOWED[model]]
                raise self._error(
                    f"{field.name} is not used by model {self.model!r}; remove it or use {' or '.join(users)}"
                )

    def _check_ranges(self) -> None:
        relative = self.model in ("geometric", "path_dependent")
        step_bound = _MAX_RELATIVE if relative else MAX_VALUE
        self._check_range("initial", -MAX_VALUE, MAX_VALUE)
        self._check_range("mean", -MAX_VALUE, MAX_VALUE)
        self._check_range("reversion", 0.0, math.inf)
        self._check_range("volatility", 0.0, step_bound)
        self._check_range("drift", -_MAX_RELATIVE, _MAX_RELATIVE)
        self._check_range("jump_rate", 0.0, MAX_EVENTS_PER_STEP)
        self._check_range("jump_scale", 0.0, step_bound)
        self._check_range("jump_mean", -_MAX_RELATIVE, _MAX_RELATIVE)
        self._check_range("leverage", 0.0, _MAX_RELATIVE)
        for share in ("feedback", "trend_share", "volatility_share"):
            self._check_range(share, 0.0, 1.0)
        for name in ("trend_memory", "volatility_memory"):
            if not all(1.0 <= age < math.inf for age in getattr(self, name)):
                raise self._error(f"{name} is {getattr(self, name)}; both ages must be at least 1 step")
        if self.jump_mean and not self.jump_rate:
            raise self._error(f"jump_mean is {self.jump_mean} and there are no jumps; set jump_rate")
        if (self.jump_rate > 0.0) != (self.jump_scale > 0.0):
            raise self._error("jump_rate and jump_scale go together; set both or neither")
        if relative and self.initial is not None and self.initial <= 0.0:
            raise self._error(f"initial is {self.initial}; a {self.model} value must start above 0")

    def _check_range(self, name: str, low: float, high: float) -> None:
        value = getattr(self, name)
        if value is None:
            return
        if not math.isfinite(value):
            raise self._error(f"{name} is {value}; it must be a finite number")
        if value < low:
            raise self._error(f"{name} is {value}; it must be at least {low:.15g}")
        if value > high:
            raise self._error(f"{name} is {value}; it must be at most {high:.15g}")
