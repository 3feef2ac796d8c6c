"""Follow the fundamental values of a configuration, step by step, as the market does that it opens.

The values depend on specification, seed and step alone, so whoever has the configuration has them. What news
that somebody publishes adds to them is not told to clients, so it is not in them.
"""

from __future__ import annotations

import numpy as np

from simlab.kernel.spec import SimulationSpec
from simlab.live.agents.mirror import Mirror
from simlab.processes import Outside

__all__ = ["Fundamentals"]

_BLOCK_STEPS = 4096


class Fundamentals:
    """The fundamental values at the step of a mirror.

    Example
    -------
    >>> from simlab.config import build, load
    >>> spec = build(load({"steps": 10, "instruments": {"ACME": {"initial_price": 100}}}))
    >>> Fundamentals(spec, Mirror()).value(0)
    100.0
    """

    def __init__(self, spec: SimulationSpec, mirror: Mirror) -> None:
        prices = {it.name: float(it.initial_price) for it in spec.instruments}
        self._outside = Outside(spec.outside, seed=spec.seed, initial_prices=prices)
        self._state, self._mirror, self._last = self._outside.start(), mirror, spec.steps
        self._first, self._values = 0, np.zeros((0, len(prices)))

    def value(self, number: int) -> float:
        """Return the fundamental value of an instrument now, price units; of one that was added its first."""
        if number >= len(self._outside.instruments):
            return float(self._mirror.listings[number].initial_price)
        step = min(self._mirror.step, self._last - 1)
        while step >= self._first + len(self._values):
            steps = min(_BLOCK_STEPS, self._last - self._state.next_step)
            self._first = self._state.next_step
            block, self._state = self._outside.advance(self._state, steps)
            self._values = block.fundamental
        return float(self._values[step - self._first, number])
