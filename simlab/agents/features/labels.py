"""Say what is to be forecast: the move of the mid price over the next steps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["future_move"]


def future_move(mid: NDArray[np.float64], horizon: int, tick_size: int) -> NDArray[np.float64]:
    """Return the move of the mid price over the next `horizon` steps, ticks; NaN where it is not known yet.

    Parameters
    ----------
    mid : (n,) float64, price units
        At the end of each step.
    horizon : int, steps
    tick_size : int, price units

    Example
    -------
    >>> future_move(np.array([100.0, 101.0, 104.0]), 2, 2).tolist()
    [2.0, nan, nan]
    """
    move = np.full(len(mid), np.nan)
    if horizon < len(mid):
        move[: len(mid) - horizon] = (mid[horizon:] - mid[: len(mid) - horizon]) / tick_size
    return move
