"""Describe what is traded and on which terms: plain data, checked when made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from simlab.core.types import MAX_QUANTITY, SelfTrade
from simlab.errors import ConfigError

__all__ = [
    "MAX_MONEY",
    "MAX_MULTIPLIER",
    "MAX_PRICE",
    "UNLIMITED",
    "AccountPolicy",
    "Instrument",
    "dearest_lot",
    "lot_limit",
]

MAX_PRICE = 2**31 - 1
"""Highest price, and lowest below zero, that a market takes, price units."""

MAX_MULTIPLIER = 10**6
"""Highest multiplier."""

UNLIMITED = -1
"""A limit that does not limit."""


MAX_MONEY = 2**60
"""Money units that an account may hold, owe, or have at stake: sums of a few such numbers fit 64 bits."""


@dataclass(frozen=True)
class Instrument:
    """One traded instrument.

    Prices are integers in price units; an order's price must be a multiple of `tick_size` price units
    and its quantity a multiple of `lot_size` lots. One lot at a price of one unit costs `multiplier`
    money units. Fees are parts per million of the notional, in money units, rounded up (towards the fee
    account), so a negative fee, a rebate, is rounded towards zero.
    """

    name: str
    initial_price: int
    tick_size: int = 1
    lot_size: int = 1
    multiplier: int = 1
    price_unit: float = 0.01
    """What one price unit is in currency; for display only."""
    price_band: tuple[int, int] = (1, 2**31 - 1)
    """Lowest and highest price an order may have, price units, inclusive."""
    maker_fee_ppm: int = 0
    taker_fee_ppm: int = 0
    self_trade: SelfTrade = SelfTrade.CANCEL_RESTING
    description: str = ""

    def __post_init__(self) -> None:
        low, high = self.price_band
        wrong = None
        if not self.name:
            wrong = "it has no name"
        elif not 1 <= self.tick_size <= MAX_PRICE or not 1 <= self.lot_size <= MAX_QUANTITY:
            wrong = f"tick_size {self.tick_size} and lot_size {self.lot_size} must be 1 to {MAX_PRICE}"
        elif not 1 <= self.multiplier <= MAX_MULTIPLIER:
            wrong = f"multiplier {self.multiplier} must be 1 to {MAX_MULTIPLIER}"
        elif not -MAX_PRICE <= low <= high <= MAX_PRICE:
            wrong = f"price_band {self.price_band} must be [low, high] within {-MAX_PRICE} to {MAX_PRICE}"
        elif not low <= self.initial_price <= high:
            wrong = f"initial_price {self.initial_price} is outside price_band {self.price_band}"
        elif max(abs(self.maker_fee_ppm), abs(self.taker_fee_ppm)) > 1_000_000:
            wrong = (
                f"fees of {self.maker_fee_ppm} and {self.taker_fee_ppm} ppm exceed the notional (1,000,000)"
            )
        elif self.self_trade not in tuple(SelfTrade):
            wrong = f"self_trade {self.self_trade} is none of {', '.join(it.name for it in SelfTrade)}"
        if wrong is not None:
            raise ConfigError(f"instrument {self.name!r}: {wrong}")


@dataclass(frozen=True)
class AccountPolicy:
    """What the accounts of a population start with and may do.

    `cash` in money units, `inventory` in lots per instrument name. `borrowing` is how far cash may fall
    below zero in money units, `short_limit` how far inventory may, in lots; UNLIMITED (-1) frees them.
    With `reserve` the resting orders count as if they were filled. `rate_limit` is the number of orders
    and replaces (cancels are free) allowed in any window of `rate_window` steps that starts at a multiple
    of `rate_window`.
    """

    cash: int = 0
    inventory: tuple[tuple[str, int], ...] = ()
    borrowing: int = 0
    short_limit: int = 0
    position_limit: int = UNLIMITED
    reserve: bool = True
    rate_limit: int = UNLIMITED
    rate_window: int = 1
    max_open_orders: int = 1000


class Terms(Protocol):
    """What decides what a lot can cost: an `Instrument`, or a description of one."""

    @property
    def price_band(self) -> tuple[int, int]: ...

    @property
    def multiplier(self) -> int: ...

    @property
    def maker_fee_ppm(self) -> int: ...

    @property
    def taker_fee_ppm(self) -> int: ...


def dearest_lot(instrument: Terms) -> int:
    """Return the most that one lot can cost at any price of the band, with fees, money units.

    Example
    -------
    >>> dearest_lot(Instrument("X", 100, price_band=(1, 200), multiplier=10, taker_fee_ppm=5_000))
    2010
    """
    notional = max(abs(price) for price in instrument.price_band) * instrument.multiplier
    ppm = max(0, instrument.maker_fee_ppm, instrument.taker_fee_ppm)
    return notional - (-notional * ppm // 1_000_000)


def lot_limit(instrument: Terms, instruments: int) -> int:
    """Return how many lots an account may hold and have on order, so that no money wraps.

    What it has at stake in all instruments of a market stays below `MAX_MONEY`, at any price of their bands.

    Example
    -------
    >>> lot_limit(Instrument("X", 100, price_band=(1, 2**30 - 1)), 1)
    1073741825
    """
    return MAX_MONEY // (max(1, dearest_lot(instrument)) * max(1, instruments))
