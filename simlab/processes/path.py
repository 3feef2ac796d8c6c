"""The path of one fundamental value: its draws, its moves, and the refusal of what no price can follow."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simlab.core.jit import jit
from simlab.core.numerics import exp
from simlab.errors import ConfigError
from simlab.processes.draws import ChunkedUniforms, normals, poisson_counts
from simlab.processes.fundamental import LEAST_VOLATILITY, MAX_VALUE, MOST_VOLATILITY, FundamentalSpec
from simlab.processes.tabulated import TabulatedValues

__all__ = ["REMEMBERED", "FundamentalPath", "jumps"]

REMEMBERED = 4
"""Numbers that a path-dependent value remembers of its past: two means of returns, two of their squares."""

_MIN_GEOMETRIC = float(np.finfo(np.float64).tiny)
"""Below it numbers lose their digits: a value that shrinks further may get stuck above zero for ever."""


class FundamentalPath:
    """Make the values of one instrument's fundamental, a block of steps from a level.

    Keeps what follows from specification and seed; the level belongs to the caller.

    Parameters
    ----------
    spec : FundamentalSpec
    seed : int
    initial_price : float
        Where a specification without `initial` starts, price units.

    Raises
    ------
    ConfigError
        When a geometric value would start at or below zero, or the file of values cannot be read.
    """

    def __init__(self, spec: FundamentalSpec, seed: int, initial_price: float) -> None:
        self.spec = spec
        initial = initial_price if spec.initial is None else spec.initial
        if self._is_relative and initial <= 0.0:
            raise self._error(f"a {spec.model} value must start above 0, not at {initial}")
        self._mean = initial if spec.mean is None else spec.mean
        self._noise = ChunkedUniforms(seed, "fundamental.noise", spec.instrument)
        self._jump_counts = ChunkedUniforms(seed, "fundamental.jump_counts", spec.instrument)
        self._jump_sizes = ChunkedUniforms(seed, "fundamental.jump_sizes", spec.instrument)
        self._file = None
        if spec.path is not None:
            self._file = TabulatedValues(spec.path, spec.column, f"fundamental of {spec.instrument!r}")
        if not abs(initial) <= MAX_VALUE:
            raise self._error(f"the value starts at {initial:g}; it must lie within {MAX_VALUE:.0f} of 0")
        self.initial = 0.0 if self._file else float(initial)
        """The level before step 0, price units."""

    @property
    def _is_relative(self) -> bool:
        return self.spec.model in ("geometric", "path_dependent")

    @property
    def blank_memory(self) -> NDArray[np.float64]:
        """What is remembered before step 0: no trend, and moves as large as the volatility."""
        memory = np.zeros(REMEMBERED)
        if self.spec.model == "path_dependent":
            memory[2:] = self.spec.volatility**2
        return memory

    @property
    def is_noisy(self) -> bool:
        """Whether the model has normal noise, which can be correlated with that of others."""
        return self._is_relative or self.spec.model == "mean_reverting"

    def noise(self, start: int, steps: int) -> NDArray[np.float64]:
        """Return the instrument's own standard normals, ``(steps,) float64``; zeros without noise."""
        return normals(self._noise.steps(start, steps)) if self.is_noisy else np.zeros(steps)

    def advance(
        self,
        level: float,
        memory: NDArray[np.float64],
        start: int,
        noise: NDArray[np.float64],
        impact: NDArray[np.float64],
    ) -> tuple[NDArray[np.float64], float]:
        """Return the values of a block of steps, and the level after it.

        Parameters
        ----------
        level : float
            Before step `start`, price units; for model ``file`` what impacts have added so far.
        memory : (REMEMBERED,) float64
            What is remembered before step `start`; what is remembered after the block is written there.
        start : int
            The first step; step 0 starts at `level` and makes no move.
        noise : (n,) float64
            Standard normals.
        impact : (n,) float64
            What news and shocks add at each step, price units.

        Raises
        ------
        ConfigError
            When a value leaves the range that its model allows, or the file is too short.
        """
        path = self._moved(level, memory, start, noise, impact)
        values = path if self._file is None else path + self._file.steps(start, len(path))
        self._check(start, values, impact)
        return values, float(path[-1]) if len(path) else level

    def check_length(self, steps: int) -> None:
        """Raise ConfigError when the file, one value a step, is too short for a run of `steps` steps."""
        if self._file is not None:
            self._file.check_length(steps)

    def _error(self, text: str) -> ConfigError:
        return ConfigError(f"fundamental of {self.spec.instrument!r}: {text}")

    def _moved(
        self,
        level: float,
        memory: NDArray[np.float64],
        start: int,
        noise: NDArray[np.float64],
        impact: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        spec = self.spec
        path = np.empty(len(impact))
        if spec.model == "mean_reverting":
            terms = (level, start, noise, self._jump(start, len(path)), impact)
            _mean_reverting(path, *terms, float(self._mean), float(spec.reversion), float(spec.volatility))
        elif spec.model == "geometric":
            terms = (level, start, noise, self._jump(start, len(path)), impact)
            _geometric(path, *terms, float(spec.drift), float(spec.volatility))
        elif spec.model == "path_dependent":
            jumps_variance = spec.jump_rate * (spec.jump_mean**2 + spec.jump_scale**2)
            shocks = (noise + self._jump(start, len(path))) / math.sqrt(1.0 + jumps_variance)
            _path_dependent(path, memory, level, start, shocks, impact, *_numbers(spec))
        else:
            with np.errstate(over="ignore"):  # infinity is refused afterwards, by name
                path[:] = np.add.accumulate(np.concatenate(([level], impact)))[1:]
        return path

    def _jump(self, start: int, steps: int) -> NDArray[np.float64]:
        if not self.spec.jump_rate:
            return np.zeros(steps)
        counts = poisson_counts(self._jump_counts.steps(start, steps), self.spec.jump_rate)
        sizes = normals(self._jump_sizes.steps(start, steps))
        if self.spec.model == "path_dependent":
            mean = self.spec.jump_mean * (counts - self.spec.jump_rate)
            return mean + jumps(counts, sizes, self.spec.jump_scale, relative=False)
        return jumps(counts, sizes, self.spec.jump_scale, relative=self.spec.model == "geometric")

    def _check(self, start: int, values: NDArray[np.float64], impact: NDArray[np.float64]) -> None:
        """Refuse the first value that no price can follow; NaN is in no range."""
        allowed = self._in_range(values)
        if allowed.all():
            return
        at = int(np.argmin(allowed))
        value = float(values[at])
        where = f"beyond {math.copysign(MAX_VALUE, value):.0f}, the last price that a market takes,"
        if self._is_relative and not value >= _MIN_GEOMETRIC:
            where = "below zero" if value < 0.0 else "to zero"
        cause, remedy = self._cause(start + at, value, float(impact[at]))
        raise self._error(f"{cause} takes the {self.spec.model} value {where} at step {start + at}; {remedy}")

    def _in_range(self, values: NDArray[np.float64]) -> NDArray[np.bool_]:
        low = _MIN_GEOMETRIC if self._is_relative else -MAX_VALUE
        return (values >= low) & (values <= MAX_VALUE)

    def _cause(self, step: int, value: float, impact: float) -> tuple[str, str]:
        """Return what took the value out of its range at a step, and what to do about it."""
        spec = self.spec
        if not self.is_noisy and not impact:  # the file's own values are in range
            return "what news and jumps have added to the file", "make the impacts or the values smaller"
        if not self.is_noisy or (impact and self._in_range(np.array([value - impact]))[0]):
            other = " or use model 'mean_reverting'" if self._is_relative else ""
            return f"an impact of {impact:+g}, news or a jump,", f"make it smaller{other}"
        share = _log_moves(spec, step, up=value > MAX_VALUE) if self._is_relative else _moves(spec)
        name = max(share, key=share.__getitem__)
        return f"{name} {getattr(spec, name):g}", f"bring {name} closer to 0 or run fewer steps"


def _moves(spec: FundamentalSpec) -> dict[str, float]:
    """Return how much of a mean-reverting value's spread each parameter makes."""
    return {"volatility": spec.volatility, "jump_scale": math.sqrt(spec.jump_rate) * spec.jump_scale}


def _log_moves(spec: FundamentalSpec, steps: int, *, up: bool) -> dict[str, float]:
    """Return how far each parameter is likely to take a geometric value's logarithm, up or down."""
    drift = spec.drift * steps if up else -spec.drift * steps
    share = {"drift": drift}
    unit = spec.volatility if spec.model == "path_dependent" else 1.0
    for name, rate in (("volatility", 1.0), ("jump_scale", spec.jump_rate * unit**2)):
        variance = getattr(spec, name) ** 2 * rate * steps
        share[name] = 2.0 * math.sqrt(variance) + (-0.5 if up else 0.5) * variance
    return share


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


def _numbers(spec: FundamentalSpec) -> tuple[float, ...]:
    """Return the parameters of `_path_dependent`."""
    ages = (*spec.trend_memory, *spec.volatility_memory)
    shares = (spec.trend_share, spec.volatility_share)
    numbers = (spec.drift, spec.volatility, spec.leverage, spec.feedback, *ages, *shares)
    return tuple(float(number) for number in numbers)


@jit
def _path_dependent(
    out, memory, level, first, shocks, impact, drift, volatility, leverage, feedback,
    trend_age, old_trend_age, square_age, old_square_age, trend_share, square_share,
):  # fmt: skip
    for i in range(out.size):
        if first + i > 0:
            trend = (1.0 - trend_share) * memory[0] + trend_share * memory[1]
            square = (1.0 - square_share) * memory[2] + square_share * memory[3]
            now = (1.0 - feedback) * volatility + feedback * math.sqrt(square) - leverage * trend
            now = min(max(now, LEAST_VOLATILITY * volatility), MOST_VOLATILITY * volatility)
            moved = now * shocks[i]
            level *= exp(drift - 0.5 * now * now + moved)
            memory[0] += (moved - memory[0]) / trend_age
            memory[1] += (moved - memory[1]) / old_trend_age
            memory[2] += (moved * moved - memory[2]) / square_age
            memory[3] += (moved * moved - memory[3]) / old_square_age
        level += impact[i]
        out[i] = level


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
