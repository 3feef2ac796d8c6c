"""What happens to a market from outside, as plain rows with a step: news, shocks, and blocks of both."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

__all__ = ["NewsItem", "OutsideBlock", "Shock", "ShockKind"]


@dataclass(frozen=True)
class NewsItem:
    """One publication; `impact` is what it adds to the instrument's fundamental, price units."""

    step: int
    instrument: int
    """Index of the instrument in name order, or -1 for all."""
    headline: str
    content: str = ""
    sentiment: float = 0.0
    """From -1 (bad) to 1 (good)."""
    impact: float = 0.0
    source: str = ""


class ShockKind(StrEnum):
    """What a shock does in the market itself (a jump of the fundamental is part of the block's path)."""

    FAT_FINGER = "fat_finger"
    HALT = "halt"
    LEAVE = "leave"
    JOIN = "join"


@dataclass(frozen=True)
class Shock:
    """One shock at one step.

    FAT_FINGER: a market order of `quantity` lots on `side` from the exchange's error account. HALT: the
    instrument refuses orders (cancels pass) for `duration` steps. LEAVE / JOIN: `population` stops / starts
    acting (LEAVE also cancels its orders).
    """

    step: int
    kind: ShockKind
    instrument: int = -1
    side: int = 0
    quantity: int = 0
    duration: int = 0
    population: str = ""


@dataclass(frozen=True)
class OutsideBlock:
    """What happens in steps [start, start + len(fundamental)).

    `fundamental` is ``(steps, instruments) float64``, price units, instruments in name order.
    """

    start: int
    fundamental: NDArray[np.float64]
    news: tuple[NewsItem, ...] = ()
    shocks: tuple[Shock, ...] = ()
