"""Sum and look back over windows of steps, alike wherever in an array the window lies."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["ago", "window_sum"]


def ago(values: NDArray[np.float64], steps: int) -> NDArray[np.float64]:
    """Return for each place the value `steps` places before, NaN where there is none.

    Example
    -------
    >>> ago(np.array([1.0, 2.0, 3.0]), 2).tolist()
    [nan, nan, 1.0]
    """
    moved = np.full(len(values), np.nan)
    if steps < len(values):
        moved[steps:] = values[: len(values) - steps]
    return moved


def window_sum(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Return for each place the sum of the last `size` values, its own included; NaN where there are fewer.

    Sums of 1, 2, 4, ... values are put together, so every window is added up in the same order: the result
    at a place depends on its own window, to the last bit, and not on the rest of the array, as it does in a
    running sum, or on its length, as it may with `numpy.sum`. O(n log size).

    Example
    -------
    >>> window_sum(np.array([1.0, 2.0, 3.0, 4.0]), 3).tolist()
    [nan, nan, 6.0, 9.0]
    """
    total = np.zeros(len(values))
    block, width, done = values, 1, 0
    while True:
        if size & width:
            total = total + ago(block, done)
            done += width
        if done == size:
            return total
        block, width = block + ago(block, width), 2 * width
