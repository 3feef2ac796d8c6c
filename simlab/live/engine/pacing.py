"""Say when the next steps are due: a number a second, as fast as can be, some and then a pause, or none."""

from __future__ import annotations

from typing import Literal

__all__ = ["Pace"]

_BEHIND_S = 0.5
"""How far the market may fall behind the clock before it gives up to catch up."""


class Pace:
    """The pace of a market; it knows no clock, only what it is told.

    Parameters
    ----------
    steps_per_second : float or "max"

    Example
    -------
    >>> pace = Pace(10)
    >>> pace.due_s(100.0), pace.take(100.0, most=5), pace.due_s(100.0)
    (100.0, 1, 100.1)
    >>> pace.paused = True
    >>> pace.due_s(200.0) is None
    True
    """

    def __init__(self, steps_per_second: float | Literal["max"]) -> None:
        self.paused = False
        self.set(steps_per_second)

    def set(self, steps_per_second: float | Literal["max"]) -> None:
        """Set the pace."""
        self.steps_per_second = steps_per_second
        self._next_s: float | None = None
        self._left = 0

    def run(self, steps: int) -> None:
        """Run some steps, and pause."""
        self.paused, self._left = True, steps

    def resume(self) -> None:
        """Go on after a pause."""
        self.paused, self._left, self._next_s = False, 0, None

    def pause(self) -> None:
        """Let no step begin."""
        self.paused, self._left = True, 0

    def due_s(self, now_s: float) -> float | None:
        """Return when the next step is due, s of the same clock; None for never."""
        if self.paused:
            return now_s if self._left else None
        if self.steps_per_second == "max":
            return now_s
        if self._next_s is None:
            self._next_s = now_s
        return self._next_s

    def take(self, now_s: float, most: int) -> int:
        """Return how many steps are due, at most so many, and count them as run."""
        due_s = self.due_s(now_s)
        if due_s is None or due_s > now_s:
            return 0
        if self.paused:
            steps = min(self._left, most)
            self._left -= steps
            return steps
        if self.steps_per_second == "max":
            return most
        assert self._next_s is not None
        self._next_s = max(self._next_s, now_s - _BEHIND_S)
        steps = min(most, 1 + int((now_s - self._next_s) * self.steps_per_second))
        self._next_s += steps / self.steps_per_second
        return steps
