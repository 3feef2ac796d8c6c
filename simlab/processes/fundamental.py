"""Fundamental values: what a specification may say, and the path it gives.

References
----------
Uhlenbeck and Ornstein (1930), On the theory of the Brownian motion, Physical Review 36.
Merton (1976), Option pricing when underlying stock returns are discontinuous, Journal of Financial
Economics 3 (jumps, with the compensator that keeps the expected return at the drift).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from simlab.core.jit import jit
from simlab.core.numerics import exp
from simlab.errors import ConfigError, did_you_mean
from simlab.processes.draws import MAX_EVENTS_PER_STEP

__all__ = ["FundamentalSpec", "Model", "fundamental_path", "jumps"]

Model = Literal["constant", "mean_reverting", "geometric", "file"]

_JUMPS = {"jump_rate", "jump_scale"}
_ALLOWED: dict[str, set[str]] = {
    "constant": {"initial"},
    "mean_reverting": {"initial", "mean", "reversion", "volatility"} | _JUMPS,
    "geometric": {"initial", "drift", "volatility"} | _JUMPS,
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
    - ``file``: it is read from `column` of `path`.

    Impacts of news and jumps are added to the value. A mean-reverting value reverts from there; the others
    keep it. Nothing is clipped: a mean-reverting, constant or file value may pass zero; a geometric value
    that an impact would take to zero or below is an error.

    Parameters
    ----------
    instrument : str
    model : {"constant", "mean_reverting", "geometric", "file"}
    initial : float, optional
        Price units.
    mean : float, optional
        Price units.
    reversion : float
        Per step, at least 0.
    volatility : float
        Price units per sqrt(step) for mean_reverting, relative per sqrt(step) for geometric; at least 0.
    drift : float
        Relative, per step.
    jump_rate : float
        Mean number of jumps per step, 0 to 10.
    jump_scale : float
        Standard deviation of a jump: price units for mean_reverting, relative for geometric.
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
        for name in ("initial", "mean", "reversion", "volatility", "drift", "jump_rate", "jump_scale"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise self._error(f"{name} is {value}; it must be a finite number")
        for name in ("reversion", "volatility", "jump_rate", "jump_scale"):
            if getattr(self, name) < 0.0:
                raise self._error(f"{name} is {getattr(self, name)}; it must be at least 0")
        if self.jump_rate > MAX_EVENTS_PER_STEP:
            raise self._error(
                f"jump_rate is {self.jump_rate} a step; it must be at most {MAX_EVENTS_PER_STEP:g}"
            )
        if (self.jump_rate > 0.0) != (self.jump_scale > 0.0):
            raise self._error("jump_rate and jump_scale go together; set both or neither")
        if self.model == "geometric" and self.initial is not None and self.initial <= 0.0:
            raise self._error(f"initial is {self.initial}; a geometric value must start above 0")


def jumps(
    counts: NDArray[np.int64], z: NDArray[np.float64], scale: float, *, relative: bool
) -> NDArray[np.float64]:
    """Return the summed jump of each step: normal, or log-normal and compensated where `relative`.

    Parameters
    ----------
    counts : (n,) int64
        Number of jumps in each step.
    z : (n,) float64
        Standard normals.
    scale : float
        Standard deviation of one jump.
    """
    out = np.sqrt(counts) * scale * z
    return out - 0.5 * scale * scale * counts if relative else out


@jit
def _mean_reverting(out, level, first, z, jump, impact, mean, reversion, volatility):
    decay = exp(-reversion)
    spread = 1.0
    if reversion > 1e-8:
        spread = math.sqrt((1.0 - exp(-2.0 * reversion)) / (2.0 * reversion))
    for i in range(out.size):
        if first + i > 0:
            level = mean + (level - mean) * decay + (volatility * spread * z[i] + jump[i])
        level += impact[i]
        out[i] = level


@jit
def _geometric(out, level, first, z, jump, impact, drift, volatility):
    for i in range(out.size):
        if first + i > 0:
            level *= exp(drift - 0.5 * volatility * volatility + volatility * z[i] + jump[i])
        level += impact[i]
        out[i] = level


def fundamental_path(
    spec: FundamentalSpec,
    *,
    level: float,
    start: int,
    noise: NDArray[np.float64],
    jump: NDArray[np.float64],
    impact: NDArray[np.float64],
    mean: float,
) -> NDArray[np.float64]:
    """Move a fundamental from `level`, its value before step `start`, through a block of steps.

    Parameters
    ----------
    level : float
        Price units. For model ``file`` what impacts have added so far.
    start : int
        The first step; step 0 starts at `level` and makes no draw.
    noise, jump : (n,) float64
        Standard normals, and summed jumps of each step.
    impact : (n,) float64
        What news and shocks add at each step, price units.
    mean : float
        What a mean-reverting value reverts to, price units.

    Returns
    -------
    (n,) float64
        For model ``file`` without the file's values.

    Raises
    ------
    ConfigError
        When an impact takes a geometric value to zero or below.
    """
    path = np.empty(len(impact))
    terms = (float(level), start, noise, jump, impact)
    if spec.model == "mean_reverting":
        _mean_reverting(path, *terms, float(mean), float(spec.reversion), float(spec.volatility))
    elif spec.model == "geometric":
        _geometric(path, *terms, float(spec.drift), float(spec.volatility))
        _check_positive(spec.instrument, start, path)
    else:
        path[:] = np.add.accumulate(np.concatenate(([level], impact)))[1:]
    return path


def _check_positive(instrument: str, start: int, path: NDArray[np.float64]) -> None:
    if not np.all(path > 0.0):
        step = start + int(np.argmax(~(path > 0.0)))
        raise ConfigError(
            f"fundamental of {instrument!r}: news or a jump at step {step} takes the geometric value to "
            "zero or below; make the impact smaller or use model 'mean_reverting'"
        )
