"""Customer orders: what traders may trade for their customers, at which limit prices, and from when on.

A trader of the double-auction literature works for a customer: it is to buy (or sell) some units, and keeps
the difference between its customer's limit price and the price of the trade, so that limit prices induce
supply and demand (Smith 1976). `CustomerOrders` says who is given what, and is plain data; `Customers` makes
from it, for any step, what is given out then. It does not look at the market and remembers nothing of a run.

What is given out in a period is a function of seed, population, instrument, and the period's number alone.

References
----------
Smith (1962), An experimental study of competitive market behavior, Journal of Political Economy 70(2).
Smith (1976), Experimental economics: induced value theory, American Economic Review 66(2), 274-279.
Cliff (2018), An open-source limit-order-book exchange for teaching and research, IEEE SSCI (its order
schedules: periodic, drip-fixed, drip-jitter, drip-poisson).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from simlab.core.numerics import exp, log
from simlab.core.random import stream
from simlab.core.types import Side
from simlab.errors import ConfigError
from simlab.processes.draws import normals, poisson_counts

__all__ = ["ASSIGNMENT", "MAX_LIMIT", "CustomerOrders", "Customers", "Desk", "LimitPrices", "Timing"]

MAX_LIMIT = 2**31 - 1
"""Highest limit price, price units; the lowest is 1."""
_REDRAWS = 100

ASSIGNMENT = np.dtype([(name, "i8") for name in
    ("account", "instrument", "side", "limit", "limit_step", "quantity")])  # fmt: skip
"""What one account is given at a step: `quantity` lots; the first lot size has the limit price `limit`."""


class Timing(StrEnum):
    """When in a period the traders are given their orders."""

    TOGETHER = "together"
    """All in its first step."""
    SPREAD = "spread"
    """One after the other at even distances, in an order drawn anew each period."""
    JITTER = "jitter"
    """Likewise, each at a random place in its own part of the period."""
    POISSON = "poisson"
    """At random, each on average once a period: none, one, or several times."""


@dataclass(frozen=True)
class LimitPrices:
    """How limit prices differ between traders, price units, from step `step` on.

    `form` and `numbers`: ``even`` (first, last: evenly spaced from the first trader to the last), ``each``
    (one for every trader; a single one for all), ``uniform`` (low, high: whole numbers, ends included),
    ``normal`` (mean, standard deviation), ``lognormal`` (of the logarithm), ``exponential`` (mean),
    ``choice`` (values, each as likely).
    """

    form: str
    numbers: tuple[float, ...]
    step: int = 0

    def of(self, uniforms: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return a limit price for each of ``(n,) float64`` draws from [0, 1), of the forms that are drawn.

        Example
        -------
        >>> LimitPrices("uniform", (10, 13)).of(np.array([0.0, 0.3, 0.99])).tolist()
        [10.0, 11.0, 13.0]
        """
        a, b = (*self.numbers, 0.0)[:2]
        if self.form == "uniform":
            return np.floor(a + (b - a + 1.0) * uniforms)
        if self.form == "choice":
            return np.array(self.numbers)[(uniforms * len(self.numbers)).astype(np.int64)]
        if self.form == "exponential":
            return np.array([-a * log(1.0 - u) for u in uniforms.tolist()])
        drawn = a + b * normals(uniforms)
        return drawn if self.form == "normal" else np.array([exp(it) for it in drawn.tolist()])

    def dealt(self, count: int) -> NDArray[np.float64] | None:
        """Return what each of `count` traders has where nothing is drawn, else None."""
        if self.form == "even":
            return np.linspace(self.numbers[0], self.numbers[1], count)
        if self.form == "each":
            return np.broadcast_to(np.array(self.numbers, np.float64), count)
        return None


@dataclass(frozen=True)
class CustomerOrders:
    """Say what the traders of a population are given to trade, in each instrument they trade.

    Parameters
    ----------
    side : Side
        What their customers want.
    limit_prices : tuple of LimitPrices
        In the order of their steps; the first is of step 0. An order has those in force when it is given out.
    units : tuple of int
        Lot sizes of an order: one number for all traders, or one for each.
    limit_step : int, price units
        What each further unit of an order is worth less to a buyer, or costs a seller more.
    period : int, steps
        Orders are given out anew after it; 0 for once only. What is left of an old order is void.
    timing : Timing
    redraw : bool
        Whether limit prices are drawn, or dealt among the traders, anew each period.
    starts : int
        The first step of the first period.
    """

    side: Side
    limit_prices: tuple[LimitPrices, ...]
    units: tuple[int, ...] = (1,)
    limit_step: int = 0
    period: int = 0
    timing: Timing = Timing.TOGETHER
    redraw: bool = False
    starts: int = 0


@dataclass(frozen=True)
class Desk:
    """The traders of one population in one instrument: accounts `first` to ``first + count - 1``."""

    orders: CustomerOrders
    population: str
    instrument: str
    first: int
    count: int
    number: int
    """That of the instrument."""
    lot_size: int = 1


class _Rounds:
    """What one desk gives out, period by period; the present period is kept."""

    def __init__(self, desk: Desk, seed: int) -> None:
        self._desk, self._seed = desk, seed
        self._made: tuple[int, NDArray[np.int64], NDArray[np.void]] | None = None

    def next_step(self, step: int, until: int) -> int:
        """Return the first step from `step` on in which something is given out, `until` if there is none."""
        orders = self._desk.orders
        if not self._desk.count:
            return until
        number = self._number(step)
        while orders.starts + number * orders.period < until and (orders.period or number == 0):
            steps, _ = self._period(number)
            at = int(np.searchsorted(steps, step))
            if at < len(steps):
                return min(int(steps[at]), until)
            number += 1
        return until

    def at(self, step: int) -> NDArray[np.void]:
        """Return what is given out in a step, ``(n,) ASSIGNMENT`` in order of accounts."""
        if step < self._desk.orders.starts or not self._desk.count:
            return np.zeros(0, ASSIGNMENT)
        steps, rows = self._period(self._number(step))
        return rows[np.searchsorted(steps, step) : np.searchsorted(steps, step, side="right")]

    def _number(self, step: int) -> int:
        orders = self._desk.orders
        return max(0, step - orders.starts) // orders.period if orders.period else 0

    def _period(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.void]]:
        """Return the steps and rows of a period, by step and account."""
        if self._made is None or self._made[0] != number:
            self._made = (number, *self._make(number))
        return self._made[1:]

    def _make(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.void]]:
        desk, orders = self._desk, self._desk.orders
        traders, offsets = self._times(number)
        steps = orders.starts + number * orders.period + offsets
        by_step = np.lexsort((traders, steps))
        traders, steps = traders[by_step], steps[by_step]
        last = np.ones(len(steps), np.bool_)  # of two at once one counts
        last[:-1] = (np.diff(steps) != 0) | (np.diff(traders) != 0)
        traders, steps = traders[last], steps[last]
        rows = np.zeros(len(traders), ASSIGNMENT)
        rows["account"], rows["instrument"] = desk.first + traders, desk.number
        rows["side"], rows["limit_step"] = orders.side, orders.limit_step
        rows["quantity"] = np.broadcast_to(np.array(orders.units), desk.count)[traders] * desk.lot_size
        rows["limit"] = self._limits(number, traders, steps)
        return steps, rows

    def _uniforms(self, *what: object) -> NDArray[np.float64]:
        name = "/".join(map(str, (self._desk.population, self._desk.instrument, *what)))
        return stream(self._seed, "customers", name).random(self._desk.count)

    def _times(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return who is given an order in a period, and when after its first step."""
        count, orders = self._desk.count, self._desk.orders
        everybody = np.arange(count)
        if orders.timing is Timing.TOGETHER or not orders.period:
            return everybody, np.zeros(count, np.int64)
        if orders.timing is Timing.POISSON:
            often = poisson_counts(self._uniforms("often", number), 1.0)
            drawn = [self._uniforms("when", number, i) for i in range(int(often.max()))]
            who = [np.flatnonzero(often > i) for i in range(len(drawn))]
            when = [places[agents] for places, agents in zip(drawn, who, strict=True)]
            none = [np.zeros(0)]
            return (
                np.concatenate([*who, np.zeros(0, np.int64)]),
                np.floor(np.concatenate([*when, *none]) * orders.period).astype(np.int64),
            )
        place = np.argsort(np.argsort(self._uniforms("order", number), kind="stable")).astype(np.float64)
        if orders.timing is Timing.JITTER:
            place += self._uniforms("when", number)
        return everybody, np.floor(place * orders.period / count).astype(np.int64)

    def _limits(self, number: int, traders: NDArray[np.int64], steps: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the limit price of each order that is given out in a period."""
        given = self._desk.orders.limit_prices
        force = np.searchsorted([it.step for it in given], steps, side="right") - 1
        limits = np.zeros(len(traders), np.int64)
        rank = _repeated(traders)
        for at, again in {*zip(force.tolist(), rank.tolist(), strict=True)}:
            mine = (force == at) & (rank == again)
            what = (at, number, again) if self._desk.orders.redraw else (at,)
            limits[mine] = self._prices(given[at], *what)[traders[mine]]
        return limits

    def _prices(self, prices: LimitPrices, *what: int) -> NDArray[np.int64]:
        dealt = prices.dealt(self._desk.count)
        if dealt is not None:
            if self._desk.orders.redraw:
                dealt = dealt[np.argsort(self._uniforms("deal", *what), kind="stable")]
            return np.rint(dealt).astype(np.int64)
        limits = np.zeros(self._desk.count)
        missing = np.ones(self._desk.count, np.bool_)
        for attempt in range(_REDRAWS):
            drawn = np.rint(prices.of(self._uniforms("limit", *what, attempt)))
            limits[missing] = drawn[missing]
            missing = (limits < 1) | (limits > MAX_LIMIT)
            if not missing.any():
                return limits.astype(np.int64)
        raise ConfigError(
            f"populations.{self._desk.population}.customer_orders.limit_price: {prices.form} gave no price"
            f" between 1 and {MAX_LIMIT:,} in {_REDRAWS} draws; move the distribution into the range"
        )


def _repeated(traders: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return how often each trader was there before: (n,) int64.

    Example
    -------
    >>> _repeated(np.array([4, 2, 4, 4])).tolist()
    [0, 0, 1, 2]
    """
    by_trader = np.argsort(traders, kind="stable")
    found = traders[by_trader]
    counts = np.empty(len(traders), np.int64)
    counts[by_trader] = np.arange(len(found)) - np.searchsorted(found, found)
    return counts


@dataclass(frozen=True)
class Customers:
    """All customers of a market.

    Parameters
    ----------
    desks : sequence of Desk
    seed : int
        The run's.

    Example
    -------
    >>> orders = CustomerOrders(Side.BUY, (LimitPrices("even", (50, 150)),), period=100)
    >>> customers = Customers([Desk(orders, "buyers", "M", first=0, count=3, number=0)], seed=1)
    >>> customers.next_step(1, until=1_000), customers.at(100)["limit"].tolist()
    (100, [50, 100, 150])
    """

    desks: Sequence[Desk]
    seed: int
    _rounds: tuple[_Rounds, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_rounds", tuple(_Rounds(desk, self.seed) for desk in self.desks))

    def next_step(self, step: int, until: int) -> int:
        """Return the first step from `step` on in which somebody is given an order, at most `until`."""
        return min((it.next_step(step, until) for it in self._rounds), default=until)

    def at(self, step: int) -> NDArray[np.void]:
        """Return what is given out in a step, ``(n,) ASSIGNMENT``."""
        return np.concatenate([np.zeros(0, ASSIGNMENT), *(it.at(step) for it in self._rounds)])
