"""Say what an action is in each of a learner's tasks, and check the numbers that somebody gives as one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.library.seat import Task
from simlab.errors import SimlabError

__all__ = ["BOUNDED", "CHOICES", "numbers_of"]

CHOICES = (4, 2, 10, 5)
"""How many choices each number of an action has in trading; they count from 0."""

BOUNDED = {Task.MARKET_MAKING: 4, Task.EXECUTION: 2}
"""Numbers of an action in the other tasks; they lie in -1 to 1."""


def numbers_of(task: Task, actions: Any, count: int | None = None) -> NDArray[Any]:
    """Return the numbers of an action, ``(k,)``, or with a count those of so many, ``(count, k)``.

    Raises
    ------
    SimlabError
        When they are of another shape, no numbers, or out of bounds.

    Example
    -------
    >>> numbers_of(Task.EXECUTION, [0.5, -1.0]).tolist()
    [0.5, -1.0]
    """
    trading = task is Task.TRADING
    numbers = len(CHOICES) if trading else BOUNDED[task]
    space = f"MultiDiscrete({list(CHOICES)})" if trading else f"Box(-1, 1, ({numbers},))"
    shape = (numbers,) if count is None else (count, numbers)
    given = np.asarray(actions)
    if given.shape != shape:
        raise SimlabError(
            f"an action of shape {given.shape} does not fit: {space} asks for {shape};"
            " take one from action_space.sample()"
        )
    if trading:
        if given.dtype.kind not in "iu":
            raise SimlabError(f"an action of {given.dtype} does not fit: {space} takes whole numbers")
        fits = ((given >= 0) & (given < CHOICES)).all()
    else:
        if given.dtype.kind not in "fiu":
            raise SimlabError(f"an action of {given.dtype} does not fit: {space} takes numbers")
        fits = given.min() >= -1.0 and given.max() <= 1.0  # NaN is in no range, so it is refused too
    if not fits:
        raise SimlabError(_out_of_bounds(given, trading, space))
    return given


def _out_of_bounds(given: NDArray[Any], trading: bool, space: str) -> str:
    rows = np.atleast_2d(given)
    low, high = (0, np.array(CHOICES) - 1) if trading else (-1.0, 1.0)
    row = int(np.flatnonzero(~((rows >= low) & (rows <= high)).all(axis=1))[0])
    where = f" of row {row}" if given.ndim > 1 else ""
    return (
        f"the action {rows[row].tolist()}{where} is out of bounds or not a number: {space} is what fits;"
        " clip it, or scale it"
    )
