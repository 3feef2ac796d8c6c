"""Keep a market in the form that strategies read, from what the gateway tells: price units, lots, steps.

It is what a client can know. Books come at intervals, so what happened between two is not seen; nobody tells
a client of others' orders one by one, so there are no shouts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.compiled import DEPTH_LEVELS, HISTORY_STEPS, VIEW_DTYPE
from simlab.agents.history import HISTORY_DTYPE, HISTORY_LEVELS
from simlab.core.types import Side
from simlab.processes import NewsItem

__all__ = ["Listing", "Mirror"]

_MOST_NEWS = 100
Levels = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Listing:
    """The terms on which an instrument is traded, price units and lots; `price_unit` in currency."""

    number: int
    name: str
    initial_price: int
    tick_size: int = 1
    lot_size: int = 1
    multiplier: int = 1
    price_unit: float = 0.01
    price_band: tuple[int, int] = (1, 2**31 - 1)


class Mirror:
    """The market as a client sees it.

    Attributes
    ----------
    step : int
        The step that is under way.
    listings : dict
        The terms of the instruments by number.
    news : deque of NewsItem
        The latest 100, oldest first.

    Example
    -------
    >>> mirror = Mirror()
    >>> mirror.take_listing(Listing(0, "ACME", 10_000))
    >>> mirror.take_book(0, [(9_999, 5)], [(10_001, 7)], halted=False)
    >>> mirror.advance(3)
    >>> float(mirror.view(0).mid), mirror.mids(0, 10).tolist()
    (10000.0, [10000.0, 10000.0, 10000.0])
    """

    def __init__(self) -> None:
        self.step = 0
        self.listings: dict[int, Listing] = {}
        self.views: dict[int, np.recarray[Any, Any]] = {}
        """One record of `VIEW_DTYPE` an instrument."""
        self.news: deque[NewsItem] = deque(maxlen=_MOST_NEWS)
        self._history: dict[int, NDArray[np.void]] = {}
        self._bought: dict[int, int] = {}

    def view(self, number: int) -> Any:
        """Return the record of an instrument, by the names of `VIEW_DTYPE`."""
        return self.views[number][0]

    def take_listing(self, listing: Listing) -> None:
        """Know an instrument, or that its terms changed."""
        number = listing.number
        self.listings[number] = listing
        if number in self.views:
            return
        record = np.recarray(1, VIEW_DTYPE)
        record.view(np.uint8)[:] = 0
        view = record[0]
        view.step, view.instrument = self.step, number
        view.tick_size, view.lot_size = listing.tick_size, listing.lot_size
        view.initial_price = view.last_price = listing.initial_price
        view.mid, view.price_low = listing.initial_price, listing.price_band[0]
        view.mids[:] = listing.initial_price
        view.last_side = view.news_step = -1
        self.views[number], self._bought[number] = record, 0
        self._history[number] = np.zeros(HISTORY_STEPS, HISTORY_DTYPE)
        self._history[number]["step"] = -1

    def take_book(self, number: int, bids: Levels, asks: Levels, *, halted: bool) -> None:
        """Take the best levels of a book, (price, lots), best first."""
        view = self.view(number)
        for side, levels in (("bid", bids), ("ask", asks)):
            shown = levels[:DEPTH_LEVELS]
            view[f"{side}_levels"] = len(shown)
            prices, depths = view[f"{side}_prices"], view[f"{side}_depths"]
            prices[: len(shown)] = [it[0] for it in shown]
            depths[: len(shown)] = [it[1] for it in shown]
            view[f"best_{side}"], view[f"{side}_depth"] = levels[0] if levels else (0, 0)
        if bids and asks:
            view.mid = 0.5 * (bids[0][0] + asks[0][0])
        view.halted = int(halted)

    def take_trade(self, number: int, price: int, quantity: int, side: Side) -> None:
        """Take a trade; `side` is the aggressor's."""
        view = self.view(number)
        view.last_price, view.last_quantity, view.last_side = price, quantity, side
        view.volume += quantity
        view.trades += 1
        if side is Side.BUY:
            self._bought[number] += quantity

    def take_news(self, item: NewsItem) -> None:
        """Take a publication, which belongs to the step under way."""
        self.news.append(item)
        for number, record in self.views.items():
            if item.instrument in (-1, number):
                record[0].news_step, record[0].news_sentiment = item.step, item.sentiment

    def advance(self, step: int) -> None:
        """Let the steps before `step` end as things stand now."""
        first = max(self.step, step - HISTORY_STEPS)
        ended = np.arange(first, step) % HISTORY_STEPS
        for number, record in self.views.items():
            view = record[0]
            view.mids[ended] = view.mid
            view.step = step
            if step > self.step:
                self._remember(number, view, first, step)
        self.step = max(self.step, step)

    def _remember(self, number: int, view: Any, first: int, step: int) -> None:
        row = np.zeros((), HISTORY_DTYPE)
        for name in ("best_bid", "bid_depth", "best_ask", "ask_depth", "last_price", "volume", "mid"):
            row[name] = view[name]
        row["bought"] = self._bought[number]
        for side in ("bid", "ask"):
            levels = min(HISTORY_LEVELS, int(view[f"{side}_levels"]))
            row[f"{side}_depths"][:levels] = view[f"{side}_depths"][:levels]
        steps = np.arange(first, step)
        history = self._history[number]
        history[steps % HISTORY_STEPS] = row
        history["step"][steps % HISTORY_STEPS] = steps

    def mids(self, number: int, steps: int) -> NDArray[np.float64]:
        """Return the mid prices at the end of the last `steps` steps, oldest first."""
        count = min(steps, self.step, HISTORY_STEPS)
        wanted = np.arange(self.step - count, self.step) % HISTORY_STEPS
        return np.asarray(self.view(number).mids[wanted], np.float64)

    def history(self, number: int, steps: int) -> NDArray[np.void]:
        """Return the last `steps` steps, oldest first; fewer where they were not seen."""
        wanted = np.arange(self.step - min(steps, self.step, HISTORY_STEPS), self.step)
        rows = self._history[number][wanted % HISTORY_STEPS]
        return rows[rows["step"] == wanted]

    def depth(self, number: int, levels: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Return the best levels of both sides, best first."""
        view = self.view(number)
        bids, asks = (
            list(zip(prices[:count].tolist(), depths[:count].tolist(), strict=True))
            for prices, depths, count in (
                (view.bid_prices, view.bid_depths, min(levels, int(view.bid_levels))),
                (view.ask_prices, view.ask_depths, min(levels, int(view.ask_levels))),
            )
        )
        return bids, asks

    def past_return(self, number: int, steps: int) -> float:
        """Return the relative change of the mid price over the last `steps` steps."""
        view = self.view(number)
        back = min(steps, self.step, HISTORY_STEPS - 1)
        past = float(view.mids[(self.step - back) % HISTORY_STEPS]) if back > 0 else float(view.mid)
        return float(view.mid) / past - 1.0 if past > 0 else 0.0
