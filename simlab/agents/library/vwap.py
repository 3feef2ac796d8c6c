"""Trade a quantity along the market's volume, so as to pay its average price: volume-weighted execution.

The time from `start` to `end`, a session, is cut into the buckets of a volume curve: the share of the
session's volume that falls into each. In each bucket the agent trades what the curve says, with market
orders spread evenly over `slices` moments. Without a curve it is measured: sessions follow one another, and
the volume of those before, by bucket, is the curve; the first is traded evenly, as there is nothing to go by.
What was not filled is due in the next slice, and after the last session too.

The curve of a recorded run is ``np.histogram(trades["step"], buckets, weights=trades["quantity"])[0]``.

Simplifications: a real algorithm corrects the curve by the volume of the day, and mixes limit and market
orders. The own volume counts like that of others, as of the agent's first look. It counts its own fills, so
with a latency longer than a slice it sends before it knows and trades more than planned.

References
----------
Konishi (2002), Optimal slice of a VWAP trade, Journal of Financial Markets 5(2), 197-221 (a static slice
along expected relative volume). Bialkowski, Darolles and Le Fol (2008), Improving VWAP strategies: a
dynamic volume approach, Journal of Banking and Finance 32(9), 1709-1722 (volume curves from past sessions).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from simlab.agents.batch import BatchObservation, BatchOrders, Parameter, batch_strategy
from simlab.agents.strategy import Strategy
from simlab.core.types import MAX_QUANTITY
from simlab.errors import StrategyError

__all__ = ["Vwap", "scheduled"]

_BUCKETS = 12
"""Of a curve that is measured."""
_MOST_BUCKETS = 1440


def scheduled(curve: Sequence[float], share: float) -> float:
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


class _Progress:
    """How far one agent is with its order in one instrument, and the volume that it has seen, by bucket."""

    def __init__(self, buckets: int, volume: int) -> None:
        self.done = self.next_slice = self.session = 0
        self.volume = volume
        self.measured = [0] * buckets
        self.known = [0] * buckets
        """What was measured when the session began."""

    def measure(self, volume: int, session: int, bucket: int) -> None:
        """Add what the market traded since the last look to the bucket of now."""
        if session > self.session:
            self.session, self.known = session, list(self.measured)
        self.measured[bucket] += volume - self.volume
        self.volume = volume


@batch_strategy(
    "vwap",
    "Trades a quantity along the market's volume curve, given or measured.",
    (
        Parameter("side", 0, "1", "0 to buy, 1 to sell.", 0, 1, True),
        Parameter("quantity", 1000, "lots", "Quantity to trade in a session.", 0, 10**9, True),
        Parameter("start", 0, "steps", "First step it trades.", 0, 10**12, True),
        Parameter("end", 3600, "steps", "Step by which all should be traded.", 1, 10**12, True),
        Parameter("slices", 5, "slices", "Orders in a bucket.", 1, 10**6, True),
    ),
    source="Konishi (2002), Journal of Financial Markets 5(2), 197-221",
)
class Vwap:
    """What a population's agents have traded, and what they know of volume.

    Parameters
    ----------
    curve : list of float, optional
        Relative volume of each bucket; measured, in 12 buckets, if not given.
    sessions : int
        Sessions in which it trades, each as long as the first.
    """

    strategy: ClassVar[Strategy]

    def __init__(self, curve: list[float] | None = None, sessions: int = 1) -> None:
        self.curve = list(curve) if curve else None
        self.sessions = sessions
        self.buckets = len(self.curve) if self.curve else _BUCKETS
        self.progress: dict[tuple[int, int], _Progress] = {}

    @staticmethod
    def check_options(curve: list[float] | None = None, sessions: int = 1) -> None:
        """Raise an error unless a curve is of volumes, and there is a session."""
        if curve is not None:
            whole = sum(curve)
            if not curve or min(curve) < 0 or not 0 < whole < math.inf:
                raise StrategyError(
                    f"curve {curve}: give the relative volume of each bucket, none below 0 and one above"
                )
            if len(curve) > _MOST_BUCKETS:
                raise StrategyError(f"curve: {len(curve):,} buckets; the most is {_MOST_BUCKETS:,}")
        if sessions < 1:
            raise StrategyError(f"sessions {sessions}: it trades in 1 session or more")

    def decide(self, observation: BatchObservation, orders: BatchOrders) -> None:
        """Measure what was traded, and trade what is due, in each instrument."""
        for i in range(len(observation.agents)):
            for instrument in range(len(observation.instruments)):
                self._work(observation, orders, i, instrument)

    def _work(self, observation: BatchObservation, orders: BatchOrders, i: int, instrument: int) -> None:
        side, quantity, start, end, slices = (int(it) for it in observation.parameters[i])
        volume, elapsed = int(observation.volume[instrument]), observation.step - start
        filled = (observation.bought, observation.sold)[side][i, instrument]
        if elapsed < 0:
            return
        key = int(observation.index[i]), instrument
        mine = self.progress.setdefault(key, _Progress(self.buckets, volume))
        mine.done += int(filled)
        # An end that does not lie after the start leaves one step for everything.
        duration, of_session = max(end - start, 1), self.buckets * slices
        now = elapsed * of_session // duration  # slices since the start
        session, within = divmod(now, of_session)
        mine.measure(volume, session, within // slices)
        depth = (observation.ask_depth, observation.bid_depth)[side][instrument]
        if now < mine.next_slice or observation.halted[instrument] or depth == 0:
            return
        mine.next_slice = now + 1
        lot = int(observation.lot_size[instrument])
        missing = math.floor(quantity * self._due(mine, now + 1, of_session) + 0.5) - mine.done
        lots = min(missing, MAX_QUANTITY) // lot * lot
        if lots > 0:
            orders.market([i], side, lots, instrument=instrument)

    def _due(self, mine: _Progress, slices: int, of_session: int) -> float:
        """Return how many times the quantity should have been traded after so many slices."""
        session, within = divmod(slices, of_session)
        if session >= self.sessions:
            return float(self.sessions)
        curve = self.curve or mine.known
        return session + scheduled(curve if sum(curve) > 0 else [1.0], within / of_session)
