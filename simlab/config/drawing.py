"""The compiled loop that draws parameters. Apart from `distributions`, so that a schema needs no Numba."""

from __future__ import annotations

import math

from simlab.core.jit import jit
from simlab.core.numerics import exp
from simlab.core.random import exponential, integers, normal, reset, uniform

__all__ = ["CHOICE", "EXPONENTIAL", "LOGNORMAL", "NORMAL", "UNIFORM", "WHOLE_UNIFORM", "draw"]

UNIFORM, WHOLE_UNIFORM, NORMAL, LOGNORMAL, EXPONENTIAL, CHOICE = range(6)


@jit
def _variate(kind, a, b, choices, rng):
    if kind == UNIFORM:
        return a + (b - a) * uniform(rng)
    if kind == WHOLE_UNIFORM:
        return float(math.floor(a + (b - a + 1.0) * uniform(rng)))
    if kind == NORMAL:
        return a + b * normal(rng)
    if kind == LOGNORMAL:
        return exp(a + b * normal(rng))
    if kind == EXPONENTIAL:
        return a * exponential(rng)
    return choices[integers(rng, 0, choices.size)]


@jit
def draw(kind, a, b, choices, bounds, key, most, rng, out):
    """Fill `out`, one value an agent, agent `i` from counter `i` of the stream `key`.

    Parameters
    ----------
    kind : int
        One of this module's constants.
    a, b : float
        The distribution's two numbers.
    choices : (m,) float64
    bounds : (low, high, integer)
    key : uint64
    most : int
        Draws of one value before giving up.
    rng : RNG_DTYPE record
        Room to draw in.
    out : (n,) float64

    Returns
    -------
    int
        The first agent that found no value, or -1.
    """
    low, high, integer = bounds
    for agent in range(out.size):
        reset(rng, key, 0, agent)
        found = False
        for _ in range(most):
            value = _variate(kind, a, b, choices, rng)
            if integer:
                value = float(math.floor(value + 0.5))
            if low <= value <= high:
                out[agent] = value
                found = True
                break
        if not found:
            return agent
    return -1
