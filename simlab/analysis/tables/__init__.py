"""Take recorded tables in: checked, batch by batch, added up in passing, with mid prices looked up by step.

Owns how a table is given (one DataFrame, or many in order) and the errors for one that does not fit. Imports
no other room.
"""

from __future__ import annotations

from simlab.analysis.tables.frames import (
    EXCHANGE,
    Frames,
    ask_sides,
    batches,
    finite,
    in_order,
    numbers,
    require,
    require_steps,
    signs,
)
from simlab.analysis.tables.mids import Mids, NoQuotesError, in_basis_points
from simlab.analysis.tables.sent import SentOrders
from simlab.analysis.tables.streams import IntervalSums, Sums, instrument_names, quoted_mids, watched

__all__ = [
    "EXCHANGE",
    "Frames",
    "IntervalSums",
    "Mids",
    "NoQuotesError",
    "SentOrders",
    "Sums",
    "ask_sides",
    "batches",
    "finite",
    "in_basis_points",
    "in_order",
    "instrument_names",
    "numbers",
    "quoted_mids",
    "require",
    "require_steps",
    "signs",
    "watched",
]
