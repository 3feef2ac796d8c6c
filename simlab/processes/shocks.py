"""Shocks: interventions at given steps, in the fundamental or in the market itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from simlab.core.types import MAX_QUANTITY, Side
from simlab.errors import ConfigError
from simlab.processes.happenings import Shock, ShockKind

__all__ = ["FatFinger", "FundamentalJump", "Halt", "Join", "Leave", "MarketShock"]

IndexOf = Callable[[str, str | None], int]
"""Give the index of a named instrument, -1 for None; the first argument says where, for errors."""


def _check_step(where: str, step: int) -> None:
    if step < 0:
        raise ConfigError(f"{where}: the step must be at least 0")


@dataclass(frozen=True)
class FundamentalJump:
    """Add `size` price units to the fundamental of one instrument, or of all (None), from `step` on."""

    step: int
    instrument: str | None
    size: float

    @property
    def where(self) -> str:
        """Name the shock for a message."""
        return f"fundamental jump at step {self.step}"

    def __post_init__(self) -> None:
        _check_step(self.where, self.step)
        if not math.isfinite(self.size):
            raise ConfigError(f"{self.where}: size is {self.size}; it must be a finite number of price units")


@dataclass(frozen=True)
class FatFinger:
    """Send a market order of `quantity` lots on `side` from the exchange's error account."""

    step: int
    instrument: str
    side: Side
    quantity: int

    def __post_init__(self) -> None:
        where = f"fat finger at step {self.step}"
        _check_step(where, self.step)
        if not self.instrument:
            raise ConfigError(f"{where}: name the instrument; one order is of one instrument")
        if not 1 <= self.quantity <= MAX_QUANTITY:
            raise ConfigError(f"{where}: quantity is {self.quantity} lots; it must be 1 to {MAX_QUANTITY}")

    def resolve(self, index_of: IndexOf) -> Shock:
        """Return the shock with the instrument's index for its name."""
        instrument = index_of(f"fat finger at step {self.step}", self.instrument)
        return Shock(self.step, ShockKind.FAT_FINGER, instrument, int(self.side), self.quantity)


@dataclass(frozen=True)
class Halt:
    """Refuse orders of one instrument, or of all (None), for `duration` steps; cancels pass."""

    step: int
    instrument: str | None
    duration: int

    def __post_init__(self) -> None:
        where = f"halt at step {self.step}"
        _check_step(where, self.step)
        if self.duration < 1:
            raise ConfigError(f"{where}: duration is {self.duration} steps; it must be at least 1")

    def resolve(self, index_of: IndexOf) -> Shock:
        """Return the shock with the instrument's index for its name."""
        instrument = index_of(f"halt at step {self.step}", self.instrument)
        return Shock(self.step, ShockKind.HALT, instrument, duration=self.duration)


@dataclass(frozen=True)
class Leave:
    """Cancel a population's orders and stop it from acting."""

    step: int
    population: str

    def __post_init__(self) -> None:
        _check_step(f"leave of {self.population!r} at step {self.step}", self.step)

    def resolve(self, index_of: IndexOf) -> Shock:
        """Return the shock; it concerns no single instrument."""
        return Shock(self.step, ShockKind.LEAVE, population=self.population)


@dataclass(frozen=True)
class Join:
    """Let a population act (again)."""

    step: int
    population: str

    def __post_init__(self) -> None:
        _check_step(f"join of {self.population!r} at step {self.step}", self.step)

    def resolve(self, index_of: IndexOf) -> Shock:
        """Return the shock; it concerns no single instrument."""
        return Shock(self.step, ShockKind.JOIN, population=self.population)


MarketShock = FatFinger | Halt | Leave | Join
"""A shock that happens in the market itself, with names; `Outside` turns it into a `happenings.Shock`."""
