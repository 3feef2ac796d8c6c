"""Say who acts when, by the market's steps, which a client learns of in jumps.

An agent that became due more than once since the last look acts once: nobody can act in the past.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from simlab.core.random import stream
from simlab.kernel.spec import Population

__all__ = ["Schedule"]


class Schedule:
    """When the agents of a population act.

    Parameters
    ----------
    population : Population
    names : sequence of str
        The agents' names, which their draws depend on.
    seed : int
    step : int
        The market's present step.

    Example
    -------
    >>> import numpy as np
    >>> from simlab.agents.library import STRATEGIES
    >>> from simlab.kernel.spec import Activation
    >>> every_5 = Activation(period=5)
    >>> population = Population("mine", STRATEGIES["noise"], 2, np.zeros((2, 6)), activation=every_5)
    >>> schedule = Schedule(population, ["mine/0", "mine/1"], seed=1, step=3)
    >>> schedule.due(4), schedule.due(21), schedule.due(24)
    ([], [1, 0], [])
    """

    def __init__(self, population: Population, names: list[str], *, seed: int, step: int) -> None:
        self._activation, self._leaves = population.activation, population.leaves
        self._draws = [stream(seed, "live activation", it) for it in names]
        first = max(step, population.joins)
        self._heap: list[tuple[int, int]] = []
        self._phases = [self._phase(i) for i in range(len(names))]
        for i in range(len(names)):
            self._wait(i, first - 1)

    def due(self, step: int) -> list[int]:
        """Return who acts now, at `step`, in the order of a draw; from then on they wait for their next."""
        found = set()
        while self._heap and self._heap[0][0] <= step:
            due, i = heapq.heappop(self._heap)
            if self._leaves is None or due < self._leaves:
                found.add(i)
            self._wait(i, step)
        return (
            sorted(found, key=lambda i: (float(self._draws[i].random()), i))
            if len(found) > 1
            else list(found)
        )

    def _phase(self, i: int) -> int:
        activation = self._activation
        if activation.period is None:
            return 0
        return int(self._draws[i].integers(activation.period)) if activation.stagger else activation.phase

    def _wait(self, i: int, step: int) -> None:
        """Put an agent where it is due next after `step`."""
        following = next(self._after(i, step), None)
        if following is not None:
            heapq.heappush(self._heap, (following, i))

    def _after(self, i: int, step: int) -> Iterator[int]:
        activation = self._activation
        if activation.rate is not None:
            if activation.rate > 0.0:
                yield step + int(self._draws[i].geometric(min(1.0, activation.rate)))
        elif activation.period is not None:
            yield step + 1 + (self._phases[i] - step - 1) % activation.period
        elif activation.steps is not None:
            yield from (it for it in activation.steps if it > step)
