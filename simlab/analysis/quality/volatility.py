"""Volatility: the one definition that a run's summary, its quality and comparisons share."""

from __future__ import annotations

import numpy as np

from simlab.analysis.tables import Mids
from simlab.errors import AnalysisError

__all__ = ["volatility"]


def volatility(mids: Mids, instrument: int, first: int = 0) -> float:
    """Return the standard deviation of the mid's relative change over a step, per step.

    With m the mid at the end of a step, where a side of the book is empty the last known one::

        r[t] = m[t] / m[t-1] - 1        volatility = sqrt(mean(r^2) - mean(r)^2)

    so n, the number of changes, is in the denominator, as in NumPy's ``std``. It is what `simlab run` prints,
    computed anew from the quotes. After a mid of 0 or below there is no relative change: such steps are left
    out.

    Parameters
    ----------
    mids : Mids
        From quotes of every step.
    instrument : int
    first : int
        Step whose mid is the first to count; what came before is warm-up.

    Raises
    ------
    AnalysisError
        When quotes were not recorded at every step, or no change is left.

    Example
    -------
    >>> import pandas as pd
    >>> quotes = pd.DataFrame({"step": [0, 1, 2], "instrument": 0, "best_bid": [99, 149, 149]})
    >>> table = pd.DataFrame({"instrument": [0], "name": ["A"], "initial_price": [100]})
    >>> volatility(Mids(quotes.assign(best_ask=quotes["best_bid"] + 2), table), 0)
    0.25
    """
    series = mids.series(instrument)[first:]
    before, after = series[:-1], series[1:]
    known = before > 0
    if not known.any():
        raise AnalysisError(
            f"volatility takes two mids above 0, one after the other, and from step {first} on there are none"
        )
    return float(np.std(after[known] / before[known] - 1))
