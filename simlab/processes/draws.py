"""Draws of outside processes, keyed by (run seed, role, name, step).

They are made in chunks of `CHUNK_STEPS` steps, so that a path depends neither on the sizes of the blocks
asked for nor on which other instruments there are, and use IEEE arithmetic alone, so that they are the
same to the bit on every machine.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from simlab.core.jit import jit
from simlab.core.numerics import exp, normal_quantile
from simlab.core.random import stream

__all__ = ["CHUNK_STEPS", "MAX_EVENTS_PER_STEP", "ChunkedUniforms", "normals", "poisson_counts"]

CHUNK_STEPS = 4096
"""Steps of one chunk of draws; part of what a seed means."""

MAX_EVENTS_PER_STEP = 10.0
"""Largest rate of jumps or news, per step."""


class ChunkedUniforms:
    """Draw uniforms by step: a pure function of (seed, role, name, step).

    Keeps the last chunk used, nothing else, so it has no state to save.

    Example
    -------
    >>> draws = ChunkedUniforms(1, "fundamental", "ACME")
    >>> bool((draws.steps(0, 9)[5:] == ChunkedUniforms(1, "fundamental", "ACME").steps(5, 4)).all())
    True
    """

    def __init__(self, seed: int, role: str, name: str) -> None:
        self._seed = seed
        self._role = role
        self._name = name
        self._last: tuple[int, NDArray[np.float64]] = (-1, np.empty(0))

    def steps(self, start: int, steps: int) -> NDArray[np.float64]:
        """Return the uniforms in [0, 1) of steps [start, start + steps), ``(steps,) float64``."""
        drawn = np.empty(steps)
        done = 0
        while done < steps:
            index, offset = divmod(start + done, CHUNK_STEPS)
            count = min(CHUNK_STEPS - offset, steps - done)
            drawn[done : done + count] = self._load(index)[offset : offset + count]
            done += count
        return drawn

    def _load(self, index: int) -> NDArray[np.float64]:
        held, chunk = self._last
        if index != held:
            chunk = stream(self._seed, self._role, f"{self._name}/{index}").random(CHUNK_STEPS)
            self._last = (index, chunk)  # in one piece: copies of a market in other threads share this
        return chunk


def normals(uniforms: NDArray[np.float64]) -> NDArray[np.float64]:
    """Map ``(n,) float64`` uniforms in [0, 1) to standard normals, finite, by inversion on 52 bits."""
    out = np.empty(len(uniforms))
    _fill_normals(out, uniforms)
    return out


def poisson_counts(uniforms: NDArray[np.float64], rate: float) -> NDArray[np.int64]:
    """Map ``(n,) float64`` uniforms to Poisson counts of mean `rate`, by inversion, ``(n,) int64``."""
    out = np.zeros(len(uniforms), np.int64)
    _fill_poisson_counts(out, uniforms, float(rate))
    return out


@jit
def _fill_normals(out, uniforms):
    for i in range(out.size):
        out[i] = normal_quantile((math.floor(uniforms[i] * 4503599627370496.0) + 0.5) / 4503599627370496.0)


@jit
def _fill_poisson_counts(out, uniforms, rate):
    none = exp(-rate)
    for i in range(out.size):
        probability = none
        cumulated = none
        while uniforms[i] >= cumulated and probability > 1e-18:
            out[i] += 1
            probability *= rate / out[i]
            cumulated += probability
