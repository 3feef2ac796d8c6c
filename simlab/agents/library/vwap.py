"""Trade a quantity along the market's volume, so as to pay its average price: volume-weighted execution.

The time from `start` to `end` is cut into the buckets of a volume curve: the share of a session's volume
that falls into each. In each bucket the agent has traded what the curve says by its end, with market orders
spread over `slices` moments of the bucket. Without a curve it is measured: sessions of ``end - start``
steps repeat, and the volume of those before, by bucket, is the curve; the first session is traded evenly,
as there is nothing to go by.

Simplifications: a real algorithm corrects the curve by the volume of the day, and mixes limit and market
orders. The own volume counts like that of others.

References
----------
Konishi (2002), Optimal slice of a VWAP trade, Journal of Financial Markets 5(2), 197-221 (a static slice
along expected relative volume). Bialkowski, Darolles and Le Fol (2008), Improving VWAP strategies: a
dynamic volume approach, Journal of Banking and Finance 32(9), 1709-1722, section 2 (volume curves from past
sessions).
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from simlab.agents.each import Observation, Orders, Parameter, agent_strategy
from simlab.agents.strategy import Strategy
from simlab.errors import StrategyError

__all__ = ["Vwap", "scheduled"]

_BUCKETS = 12
"""Of a curve that is measured."""


def scheduled(curve: list[float], share: float) -> float:
    """Return the share of the quantity that is due after a share of the time, both 0 to 1.

    Within a bucket the volume is even.

    Example
    -------
    >>> scheduled([0.5, 0.2, 0.3], 0.5), scheduled([1.0, 1.0], 0.25)
    (0.6, 0.25)
    """
    total = np.concatenate([[0.0], np.cumsum(np.asarray(curve, np.float64))])
    at = min(max(share, 0.0), 1.0) * len(curve)
    return round(float(np.interp(at, np.arange(len(total)), total) / total[-1]), 12)


@agent_strategy(
    "vwap",
    "Trades a quantity along the market's volume curve, given or measured.",
    (
        Parameter("side", 0, "1", "0 to buy, 1 to sell.", 0, 1, True),
        Parameter("quantity", 1000, "lots", "Quantity to trade in a session.", 0, 10**9, True),
        Parameter("start", 0, "steps", "First step it trades.", 0, 10**12, True),
        Parameter("end", 3600, "steps", "Step by which all should be traded.", 1, 10**12, True),
        Parameter("slices", 5, "slices", "Orders in a bucket.", 1, 10**6, True),
    ),
    options=("curve", "sessions"),
    source="Konishi (2002), Journal of Financial Markets 5(2), 197-221",
)
class Vwap:
    """One agent's order and what it knows of volume.

    Parameters
    ----------
    side, quantity, start, end, slices
    curve : list of float, optional
        Relative volume of each bucket; measured if not given.
    sessions : int
        Sessions in which it trades, each as long as the first.
    """

    strategy: ClassVar[Strategy]

    def __init__(
        self,
        side: int,
        quantity: int,
        start: int,
        end: int,
        slices: int,
        curve: list[float] | None = None,
        sessions: int = 1,
    ) -> None:
        self.side, self.quantity, self.start = ("buy", "sell")[side], quantity, start
        self.duration, self.slices, self.sessions = max(end - start, 1), slices, sessions
        self.curve = list(curve) if curve else None
        self.measured = np.zeros(len(curve) if curve else _BUCKETS)
        self.before = -1
        self.session, self.done, self.last_slice = 0, 0, -1

    @staticmethod
    def check_options(curve: list[float] | None = None, sessions: int = 1) -> None:
        """Raise an error unless a curve is of volumes, and there is a session."""
        if curve is not None and (not curve or min(curve) < 0 or sum(curve) <= 0):
            raise StrategyError("curve: give the relative volume of each bucket, none below 0 and one above")
        if sessions < 1:
            raise StrategyError(f"sessions {sessions}: it trades in 1 session or more")

    def decide(self, observation: Observation, orders: Orders) -> None:
        """Measure what was traded, and trade what is due."""
        self.done += sum(abs(fill.quantity) for fill in observation.market.fills)
        elapsed = observation.step - self.start
        if elapsed < 0:
            return
        session, at = divmod(elapsed, self.duration)
        self._measure(observation.market.volume, at)
        buckets = len(self.measured)
        now = (session, at * buckets * self.slices // self.duration)
        if session != self.session:
            self.session, self.done, self.last_slice = session, 0, -1
        if session >= self.sessions or observation.market.halted or now[1] == self.last_slice:
            return
        depth = observation.ask_depth if self.side == "buy" else observation.bid_depth
        if depth == 0:
            return
        self.last_slice = now[1]
        due = round(self.quantity * scheduled(self._curve(), (now[1] + 1) / (buckets * self.slices)))
        lots = (due - self.done) // observation.market.lot_size * observation.market.lot_size
        if lots > 0:
            orders.market(self.side, lots)

    def _curve(self) -> list[float]:
        if self.curve is not None:
            return self.curve
        if self.session == 0 or not self.measured.any():
            return [1.0] * len(self.measured)
        return self.measured.tolist()

    def _measure(self, volume: int, at: int) -> None:
        """Add what the market traded since the last look to the bucket of now."""
        if self.before >= 0:
            self.measured[at * len(self.measured) // self.duration] += volume - self.before
        self.before = volume
