"""What happens to a market from outside: fundamental values, news and shocks, made in blocks of steps.

Outside processes do not look at the market, so their path is the same whatever the agents do; that is
what makes paired experiments possible. The kernel asks for one block of steps at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

__all__ = ["NewsItem", "OutsideBlock", "OutsideWorld", "Shock", "ShockKind"]


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


class OutsideWorld(Protocol):
    """Produce blocks in order; all state is plain data that `state` returns and `restore` takes."""

    def block(self, start: int, steps: int) -> OutsideBlock:
        """Return the block that follows the last one; block sizes asked for must not change the path."""

    def state(self) -> dict[str, object]:
        """Return the state as plain data."""

    def restore(self, state: dict[str, object]) -> None:
        """Continue from a state."""
