"""Be the host of strategies written in Python, on markets that are drawn: see `simlab.agents.each.Host`."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlab.agents.batch import BatchObservation
from simlab.agents.compiled import HISTORY_STEPS, ME_DTYPE, VIEW_DTYPE
from simlab.agents.conformance.cases import (
    blank,
    draw_account,
    draw_market,
    draw_parameter,
    put_into,
)
from simlab.agents.history import HISTORY_DTYPE, HISTORY_LEVELS
from simlab.agents.hosts import CustomerOrders, Fill, RestingOrder
from simlab.agents.strategy import Strategy
from simlab.core.types import Reason, Side

__all__ = ["DrawnMarket"]

_NAMES = ("ACME", "BOLT")
_ACCOUNTS = np.array([40, 41, 43])
_PAST_ORDER = 900_000
_STEP = 50
"""The step of every situation."""
_BAND = (1, 10**12)
_TERMS = ("tick_size", "lot_size")
_MARKET = ("best_bid", "best_ask", "bid_depth", "ask_depth", "mid", "last_price", "volume")


class _News(NamedTuple):
    step: int
    instrument: int
    headline: str
    content: str = ""
    sentiment: float = 0.5
    impact: float = 0.0
    source: str = ""


class DrawnMarket:
    """A market drawn for a strategy: one or two instruments, and three accounts that trade all of them.

    Parameters
    ----------
    strategy : Strategy
    seed : int
        The same seed gives the same market. Parameters are the defaults for even seeds, drawn for odd ones.
    coarse : bool
        Let ticks and lots be larger than 1.
    situation : str, optional
        One of `simlab.agents.conformance.cases.SITUATIONS`, which the market and all accounts are in.
    instruments : sequence of str, optional
        Their names; one or two, by the seed, if not given.
    """

    def __init__(
        self,
        strategy: Strategy,
        seed: int,
        *,
        coarse: bool = False,
        situation: str | None = None,
        instruments: Sequence[str] | None = None,
    ) -> None:
        generator = np.random.default_rng(seed)
        self.seed = seed
        names = _NAMES[: 1 + seed // 2 % 2] if instruments is None else instruments
        self.instruments = {name: i for i, name in enumerate(names)}
        self.numbers = np.arange(len(self.instruments))
        self.accounts = _ACCOUNTS.copy()
        self.views = [_view(generator, i, coarse) for i in self.instruments.values()]
        self.owned = [[_account(generator, view) for view in self.views] for _ in self.accounts]
        if situation is not None:
            self._be_in(situation)
        self._parameter_names = tuple(it.name for it in strategy.parameters)
        self.parameters = np.array([_parameters(strategy, generator, seed) for _ in self.accounts])
        self.shared: dict[str, Any] = {}
        self._streams: dict[int, np.random.Generator] = {}
        self.step = int(self.views[0].step)
        self.news = (_News(self.step, 0, "rates rise"),) * int(generator.integers(2))

    def _be_in(self, situation: str) -> None:
        """Forget what was drawn."""
        self.views = [blank(VIEW_DTYPE)[0] for _ in self.views]
        self.owned = [[blank(ME_DTYPE)[0] for _ in self.views] for _ in self.owned]
        for row in self.owned:
            for view, own in zip(self.views, row, strict=True):
                put_into(situation, view, own, _STEP)
        for i, view in enumerate(self.views):
            view.instrument = i

    def pass_on(self) -> None:
        """Let a step pass; nothing else happens."""
        self.step += 1
        for view in self.views:
            view.step = self.step

    def move(self, future: int) -> None:
        """Let a step pass in which prices move; the same future moves them alike."""
        generator = np.random.default_rng([self.seed, future, self.step])
        for view in self.views:
            view.mids[self.step % HISTORY_STEPS] = view.mid
            change = int(generator.integers(-5, 6))
            view.best_bid, view.best_ask = view.best_bid + change, view.best_ask + change
            view.bid_depth, view.ask_depth = generator.integers(1, 100, 2)
            view.mid, view.last_price = view.mid + change, view.last_price + change
            view.volume, view.trades = view.volume + 1, view.trades + 1
        self.pass_on()

    def fingerprint(self) -> bytes:
        """Return all that a strategy could have changed."""
        owned = [record for row in self.owned for record in row]
        return b"".join(record.tobytes() for record in (*self.views, *owned, self.parameters, self.accounts))

    def resource(self, key: Hashable, make: Callable[[], Any]) -> Any:
        return make()

    def name(self, agent: int) -> str:
        return f"drawn/{agent}"

    def price_band(self, instrument: int) -> tuple[int, int]:
        return _BAND

    def mids(self, instrument: int, steps: int) -> NDArray[np.float64]:
        count = min(steps, self.step, HISTORY_STEPS)
        return self.views[instrument].mids[np.arange(self.step - count, self.step) % HISTORY_STEPS]

    def history(self, instrument: int, steps: int) -> NDArray[np.void]:
        mids, view = self.mids(instrument, steps), self.views[instrument]
        rows = np.zeros(len(mids), HISTORY_DTYPE)
        rows["step"] = np.arange(self.step - len(mids), self.step)
        for name in ("best_bid", "bid_depth", "best_ask", "ask_depth", "last_price"):
            rows[name] = view[name]
        for name in ("bid_depths", "ask_depths"):
            rows[name] = view[name][:HISTORY_LEVELS]
        rows["volume"] = view.volume - np.arange(len(mids))[::-1]
        rows["bought"] = rows["volume"] // 2
        rows["mid"] = mids
        return rows

    def available(self, agents: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.array([max(0, int(self._own(agent, 0).cash)) for agent in agents.tolist()], np.int64)

    def open_orders(self, agents: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.array([int(self._own(agent, 0).open_orders) for agent in agents.tolist()], np.int64)

    def refusal(self, message: NDArray[np.void]) -> Reason:
        return Reason.NONE

    def view(self, instrument: int) -> Any:
        return self.views[instrument]

    def depth(self, instrument: int, levels: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        view = self.views[instrument]
        bids, asks = (
            list(zip(prices[:count].tolist(), depths[:count].tolist(), strict=True))
            for prices, depths, count in (
                (view.bid_prices, view.bid_depths, min(levels, int(view.bid_levels))),
                (view.ask_prices, view.ask_depths, min(levels, int(view.ask_levels))),
            )
        )
        return bids, asks

    def past_return(self, instrument: int, steps: int) -> float:
        view = self.views[instrument]
        back = min(steps, self.step, HISTORY_STEPS - 1)
        past = view.mids[(self.step - back) % HISTORY_STEPS] if back else view.mid
        return float(view.mid / past - 1.0) if past > 0 else 0.0

    def _own(self, agent: int, instrument: int) -> np.record:
        return self.owned[int(np.flatnonzero(self.accounts == agent)[0])][instrument]

    def signal(self, agent: int, instrument: int) -> float:
        return float(self._own(agent, instrument).signal)

    def inventory(self, agent: int, instrument: int) -> int:
        return int(self._own(agent, instrument).inventory)

    def fill_count(self, agent: int, instrument: int) -> int:
        return len(self.fills(agent, instrument))

    def fills(self, agent: int, instrument: int) -> list[Fill]:
        own, price = self._own(agent, instrument), int(self.views[instrument].last_price)
        lots = [int(own.bought), -int(own.sold)]
        return [Fill(self.step - 1, it, price, _PAST_ORDER) for it in lots if it]

    def resting(self, agent: int, instrument: int) -> list[RestingOrder]:
        own, count = self._own(agent, instrument), int(self._own(agent, instrument).visible_orders)
        columns = (own.order_ids, own.order_sides, own.order_prices, own.order_quantities)
        rows = zip(*(column[:count].tolist() for column in columns), strict=True)
        return [RestingOrder(order_id, Side(side), *rest) for order_id, side, *rest in rows]

    def customer_orders(self, agents: NDArray[np.int64], instruments: NDArray[np.int64]) -> CustomerOrders:
        own = [[self._own(agent, i) for i in instruments.tolist()] for agent in agents.tolist()]
        names = ("side", "limit", "quantity", "since")
        columns = ([[int(it[f"customer_{name}"]) for it in row] for row in own] for name in names)
        return CustomerOrders(*(np.array(it, np.int64).reshape(len(agents), -1) for it in columns))

    def random(self, agent: int) -> np.random.Generator:
        return self._streams.setdefault(agent, np.random.default_rng([self.seed, agent]))

    def uniform(self, agents: NDArray[np.int64], count: int) -> NDArray[np.float64]:
        draws = [np.random.default_rng([self.seed, self.step, int(it)]).random(count) for it in agents]
        return np.array(draws).reshape(len(agents), count)

    def seen_by(self, agent: int) -> list[int]:
        """Return what `simlab.agents.each.Desk.open` shows an agent."""
        view, own = self.views[0], self._own(agent, 0)
        market = (view.best_bid, view.bid_depth, view.best_ask, view.ask_depth, view.last_price)
        return [self.step, agent, *map(int, market), *map(int, (own.cash, own.inventory, own.open_orders))]

    def seen_by_all(self) -> BatchObservation:
        """Return what all agents see as a batch."""
        own = {
            name: np.array([[record[name] for record in row] for row in self.owned])
            for name in ("inventory", "bought", "sold", "fills", "signal")
        }
        return BatchObservation(
            self,
            self.numbers,
            step=self.step,
            agents=self.accounts.copy(),
            index=np.arange(len(self.accounts)),
            cash=np.array([row[0].cash for row in self.owned]),
            **own,
            parameters=self.parameters.copy(),
            instruments=tuple(self.instruments),
            **{name: np.array([view[name] for view in self.views]) for name in (*_MARKET, *_TERMS)},
            multiplier=np.ones(len(self.views), np.int64),
            price_low=np.full(len(self.views), _BAND[0]),
            price_high=np.full(len(self.views), _BAND[1]),
            halted=np.array([bool(view.halted) for view in self.views]),
            parameter_names=self._parameter_names,
            news=self.news,
        )


def _view(generator: np.random.Generator, instrument: int, coarse: bool) -> np.record:
    while True:
        view = blank(VIEW_DTYPE)[0]
        draw_market(view, generator)
        if coarse or view.tick_size == view.lot_size == 1:
            view.instrument = instrument
            return view


def _account(generator: np.random.Generator, view: np.record) -> np.record:
    own = blank(ME_DTYPE)[0]
    draw_account(own, view, generator)
    return own


def _parameters(strategy: Strategy, generator: np.random.Generator, seed: int) -> list[float]:
    if seed % 2 == 0:
        return [it.default for it in strategy.parameters]
    return [draw_parameter(it, generator) for it in strategy.parameters]
