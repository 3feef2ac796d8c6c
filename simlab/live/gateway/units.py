"""Turn currency into whole price units and back, exactly: what lies between two prices is refused."""

from __future__ import annotations

from decimal import Decimal

from simlab.errors import SimlabError

__all__ = ["OffGridError", "Units"]


class OffGridError(SimlabError):
    """Report a price at which nothing can trade, with the nearest that could be meant."""


class Units:
    """One instrument's prices, as decimal currency and as whole price units.

    A number on the wire is the double nearest to what was written. It is a price if it is the double nearest
    to a whole number of units; a quotient of two whole numbers is rounded correctly, so that is exact.

    Parameters
    ----------
    price_unit : float
        What one price unit is worth, currency.
    tick_size : int
        An order's price is a multiple of this, price units.

    Example
    -------
    >>> cents = Units(0.01, tick_size=5)
    >>> cents.units(100.15), cents.currency(10015)
    (10015, 100.15)
    >>> cents.units(100.17)
    Traceback (most recent call last):
        ...
    simlab.live.gateway.units.OffGridError: 100.17 is not a multiple of 0.05; use 100.15 or 100.2
    """

    __slots__ = ("_denominator", "_numerator", "tick_size")

    def __init__(self, price_unit: float, tick_size: int = 1) -> None:
        self._numerator, self._denominator = Decimal(repr(price_unit)).as_integer_ratio()
        self.tick_size = tick_size

    def currency(self, units: float) -> float:
        """Return what a price, or money, in units is in currency: the double nearest to it."""
        return units * self._numerator / self._denominator

    def units(self, price: float) -> int:
        """Return a price in whole units.

        Raises
        ------
        OffGridError
            When it is none, or not a multiple of the tick size; the message has the nearest two that are.
        """
        try:
            units = round(price * self._denominator / self._numerator)
        except (OverflowError, ValueError):
            raise OffGridError(f"{price} is too large, or no number; give one in currency") from None
        if units * self._numerator / self._denominator != price or units % self.tick_size:
            raise OffGridError(self._nearest(price, units))
        return units

    def _nearest(self, price: float, units: int) -> str:
        tick = self.tick_size
        low = units // tick * tick
        if self.currency(low) > price:
            low -= tick
        return (
            f"{price!r} is not a multiple of {self.currency(tick)};"
            f" use {self.currency(low)} or {self.currency(low + tick)}"
        )
