"""Declare what is remembered of every step of an instrument: what features are computed from.

The kernel keeps the latest `HISTORY_STEPS` steps of it where a strategy is declared with
``needs=Needs(history=True)``, and a recording has the same in its tables (`simlab.runner.history`), so that
what is computed from one is computed from the other.
"""

from __future__ import annotations

import numpy as np

__all__ = ["HISTORY_DTYPE", "HISTORY_LEVELS"]

HISTORY_LEVELS = 5
"""Levels of the book a side that are remembered."""

HISTORY_DTYPE = np.dtype(
    [
        ("step", "i8"),
        ("best_bid", "i8"),
        ("bid_depth", "i8"),
        ("best_ask", "i8"),
        ("ask_depth", "i8"),
        ("last_price", "i8"),
        ("volume", "i8"),
        ("bought", "i8"),
        ("mid", "f8"),
        ("bid_depths", "i8", (HISTORY_LEVELS,)),
        ("ask_depths", "i8", (HISTORY_LEVELS,)),
    ]
)
"""One instrument at the end of one step.

`best_bid` is 0 where `bid_depth` is 0, which says that there was no bid; likewise for the ask. `last_price`
is the initial price before the first trade. `volume` and `bought` count lots from the start of the run: all
that were traded, and those whose aggressor bought. `mid` is the mid price at the end of the latest step that
ended with both sides (the initial price before there was one). `bid_depths` and `ask_depths` are lots at the
best `HISTORY_LEVELS` occupied levels, best first, 0 beyond the last. Prices in price units.
"""
