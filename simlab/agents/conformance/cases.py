"""Draw markets and accounts to try strategies on: ordinary ones and degenerate ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from simlab.agents.compiled import DEPTH_LEVELS, ME_DTYPE, SHOUTS, VIEW_DTYPE, VISIBLE_ORDERS, Shout
from simlab.agents.hosts import CustomerOrder
from simlab.agents.strategy import Parameter, Strategy
from simlab.core.random import RNG_DTYPE, Role, name_key, reset
from simlab.core.types import Side
from simlab.errors import StrategyError, did_you_mean

__all__ = [
    "ACCOUNT",
    "HIGHEST_PRICE",
    "SITUATIONS",
    "Case",
    "blank",
    "draw_account",
    "draw_market",
    "draw_parameter",
    "plain_case",
    "put_into",
    "random_case",
    "situation_case",
]

HIGHEST_PRICE = 2**31 - 1
ACCOUNT = 7
"""The account of whoever decides alone."""


@dataclass
class Case:
    """One market, one account and one random stream, as `decide` takes them: record arrays of length 1."""

    view: np.recarray
    me: np.recarray
    rng: np.recarray


def random_case(strategy: Strategy, seed: int) -> Case:
    """Draw a market and an account for a strategy; the same seed always gives the same case.

    Parameters
    ----------
    strategy : Strategy
        Its parameters are the defaults for even seeds, random within bounds for odd ones.
    seed : int

    Returns
    -------
    Case
    """
    generator = np.random.default_rng(seed)
    view = blank(VIEW_DTYPE)
    draw_market(view[0], generator)
    me = blank(ME_DTYPE)
    draw_account(me[0], view[0], generator)
    for i, parameter in enumerate(strategy.parameters):
        me[0].parameters[i] = parameter.default if seed % 2 == 0 else draw_parameter(parameter, generator)
    return Case(view, me, _stream(seed, int(view[0].step)))


def plain_case(
    strategy: Strategy,
    /,
    *,
    seed: int = 0,
    step: int = 0,
    customer: CustomerOrder | None = None,
    **parameters: float,
) -> Case:
    """Return an ordinary market and an agent without inventory or orders, to change and to decide on.

    The best bid is 9,999 and the best ask 10,001, 50 lots each; the mid price has always been 10,000, and so
    is the signal. Tick and lot size are 1.

    Parameters
    ----------
    strategy : Strategy
    seed : int
        Seed of the stream that the decision draws from.
    step : int
    customer : CustomerOrder, optional
        What the agent is to trade for a customer.
    **parameters : float
        By name; the others have their defaults.

    Raises
    ------
    StrategyError
        If the strategy has no parameter of that name.

    Example
    -------
    >>> from simlab.agents.conformance import decide, plain_case
    >>> from simlab.agents.library import STRATEGIES
    >>> case = plain_case(STRATEGIES["market_maker"], half_spread=5)
    >>> decide(STRATEGIES["market_maker"], case)["price"].tolist()
    [9995, 10005]
    """
    view, me = blank(VIEW_DTYPE), blank(ME_DTYPE)
    _plain(view[0], me[0], step)
    agent = me[0]
    if customer is not None:
        agent.customer_side, agent.customer_limit = customer.side, customer.limit_price
        agent.customer_quantity, agent.customer_since = customer.quantity, customer.since
    names = [parameter.name for parameter in strategy.parameters]
    for name in parameters:
        if name not in names:
            hint = did_you_mean(name, names, otherwise="it has")
            raise StrategyError(f"strategy {strategy.name!r} has no parameter {name!r}{hint}")
    for i, parameter in enumerate(strategy.parameters):
        agent.parameters[i] = parameters.get(parameter.name, parameter.default)
    return Case(view, me, _stream(seed, step))


def _plain(market: np.record, agent: np.record, step: int) -> None:
    """Make a market and an account ordinary."""
    market.step, market.tick_size, market.lot_size, market.price_low = step, 1, 1, 1
    market.best_bid, market.best_ask = 9_999, 10_001
    market.bid_depth = market.ask_depth = 50
    market.mid, market.initial_price, market.mids = 10_000.0, 10_000, 10_000.0
    market.last_price, market.last_quantity = 10_000, 1
    market.last_side, market.news_step, agent.last_look = -1, -1, -1
    agent.agent, agent.signal, agent.customer_since = ACCOUNT, 10_000.0, -1


def _clear(market: np.record, *sides: str) -> None:
    for side in sides:
        market[f"best_{side}"] = market[f"{side}_depth"] = 0


def _halt(market: np.record) -> None:
    market.halted = 1


_CHANGES: dict[str, Callable[[np.record], None]] = {
    "an empty book": lambda market: _clear(market, "bid", "ask"),
    "a book without bids": lambda market: _clear(market, "bid"),
    "a book without asks": lambda market: _clear(market, "ask"),
    "a halt": _halt,
    "zero cash": _clear,
    "an ordinary market": _clear,
}
SITUATIONS = tuple(_CHANGES)
"""What every strategy has to survive: an ordinary market and account with one thing changed."""


def put_into(situation: str, market: np.record, agent: np.record, step: int) -> None:
    """Make a market and an account what a situation of `SITUATIONS` says."""
    _plain(market, agent, step)
    agent.cash = 0 if situation == "zero cash" else 10**6
    _CHANGES[situation](market)


def situation_case(strategy: Strategy, situation: str, seed: int, *, step: int = 50) -> Case:
    """Return a situation as a case; parameters are the defaults for even seeds, random for odd ones."""
    case = random_case(strategy, seed)
    parameters = case.me[0].parameters.copy()
    view, me = blank(VIEW_DTYPE), blank(ME_DTYPE)
    put_into(situation, view[0], me[0], step)
    me[0].parameters[:] = parameters
    return Case(view, me, _stream(seed, step))


def _stream(seed: int, step: int) -> np.recarray:
    rng = blank(RNG_DTYPE)
    reset(rng[0], name_key(seed, "agent", "conformance"), np.uint64(Role.DECIDE), np.uint64(step))
    return rng


def blank(dtype: np.dtype) -> np.recarray:
    """Return one record of zeros, the padding too: cases are compared byte by byte."""
    records = np.recarray(1, dtype)
    records.view(np.uint8)[:] = 0
    return records


def draw_parameter(parameter: Parameter, generator: np.random.Generator) -> float:
    """Draw from the bounds: an end, near the default, or anywhere on a logarithmic scale."""
    low = parameter.low if math.isfinite(parameter.low) else parameter.default - 1e6
    high = parameter.high if math.isfinite(parameter.high) else parameter.default + 1e6
    choice = generator.integers(5)
    if choice < 2:
        value = (low, high)[choice]
    elif choice < 4:
        value = parameter.default * generator.uniform(0.5, 2.0)
    else:
        value = low + math.expm1(generator.uniform(0.0, math.log1p(high - low)))
    value = min(max(value, low), high)
    return math.floor(value) if parameter.integer else value


def draw_market(view: np.record, generator: np.random.Generator) -> None:
    """Draw the market of one instrument."""
    view.step = generator.choice([0, 1, 2, 50, 1023, 1024, 5000, 10**7])
    view.instrument = generator.integers(3)
    view.tick_size = generator.choice([1, 1, 1, 5, 100])
    view.lot_size = generator.choice([1, 1, 1, 10, 100])
    view.halted = generator.random() < 0.1
    tick = int(view.tick_size)
    highest = HIGHEST_PRICE // tick
    middle = int(generator.choice([1, 2, 20, 10_000, 10_000, 10_000, 10_000, highest - 1]))
    spread = int(generator.choice([1, 1, 2, 3, 10, 1000]))
    bid, ask = max(middle - spread // 2, 1), min(max(middle - spread // 2, 1) + spread, highest)
    sides = generator.choice(["both", "both", "both", "bid", "ask", "none"])
    if sides in ("both", "bid"):
        _draw_levels(view, "bid", bid, -1, generator)
    if sides in ("both", "ask") and ask > bid:
        _draw_levels(view, "ask", ask, 1, generator)
    view.mid = 0.5 * (bid + ask) * tick
    view.initial_price, view.price_low = 10_000, 1
    walk = np.cumsum(generator.normal(0.0, float(generator.choice([0.0, 1e-5, 1e-3])), view.mids.size))
    view.mids = view.mid * np.exp(walk - walk[-1])
    view.last_price = bid * tick if generator.random() < 0.8 else 0
    view.last_quantity = view.lot_size
    view.last_side = generator.integers(-1, 2)
    view.volume = generator.choice([0, 1000, 10**12])
    view.trades = view.volume // 10
    _draw_shouts(view, generator)
    view.news_step = view.step if generator.random() < 0.2 else -1
    view.news_sentiment = generator.uniform(-1.0, 1.0)


def _draw_levels(
    view: np.record, side: str, best: int, direction: int, generator: np.random.Generator
) -> None:
    """Fill one side of the book from `best` (ticks) outwards, as many levels as fit."""
    tick, lot = int(view.tick_size), int(view.lot_size)
    ticks = best + direction * np.arange(DEPTH_LEVELS)
    ticks = ticks[(ticks >= 1) & (ticks <= HIGHEST_PRICE // tick)]
    depths = generator.integers(1, 100, ticks.size) * lot
    view[f"best_{side}"], view[f"{side}_depth"] = ticks[0] * tick, depths[0]
    view[f"{side}_levels"] = ticks.size
    view[f"{side}_prices"][: ticks.size] = ticks * tick
    view[f"{side}_depths"][: ticks.size] = depths


def _draw_shouts(view: np.record, generator: np.random.Generator) -> None:
    """Draw the latest shouts and trades, around the mid price."""
    view.shouts = generator.choice([0, 1, 20, SHOUTS - 1, SHOUTS, 1000])
    known = min(int(view.shouts), SHOUTS)
    ticks = np.maximum(view.mid // view.tick_size + generator.integers(-20, 21, known), 1)
    view.shout_prices[:known] = np.minimum(ticks, HIGHEST_PRICE // view.tick_size) * view.tick_size
    view.shout_steps[:known] = np.maximum(view.step - generator.integers(0, 30, known), 0)
    view.shout_kinds[:known] = generator.integers(0, len(Shout), known)


def _draw_customer(me: np.record, view: np.record, generator: np.random.Generator) -> None:
    """Draw what the agent is to trade for a customer; a limit price need not be on a tick."""
    me.customer_side = generator.integers(2)
    me.customer_limit_step = generator.choice([0, 0, 3])
    me.customer_quantity = view.lot_size * generator.choice([0, 1, 1, 5])
    limit = view.mid + generator.normal(0.0, float(generator.choice([1.0, 50.0, 1e5])))
    me.customer_limit = int(min(max(limit, -100.0), HIGHEST_PRICE))
    me.customer_since = max(0, int(view.step) - int(generator.integers(0, 100)))


def draw_account(me: np.record, view: np.record, generator: np.random.Generator) -> None:
    """Draw an agent's account in a market."""
    me.agent = ACCOUNT
    me.cash = generator.choice([-(10**6), 0, 10**6, 10**12])
    me.inventory = generator.choice([-(10**9), -100, -1, 0, 0, 1, 100, 10**9])
    me.bought, me.sold = generator.integers(0, 5, 2) * view.lot_size
    me.fills = (me.bought + me.sold) // view.lot_size
    me.last_look = view.step - 1
    me.signal = view.mid + generator.normal(0.0, float(generator.choice([0.0, 5.0, 100.0, 1e6])))
    count = int(generator.choice([0, 0, 1, 2, 5, VISIBLE_ORDERS]))
    me.visible_orders = count
    me.open_orders = count + generator.choice([0, 0, 3])
    me.order_ids[:count] = 1 + np.arange(count)
    me.order_sides[:count] = generator.integers(0, 2, count)
    _draw_customer(me, view, generator)
    middle = int(view.mid // view.tick_size)
    ticks = middle + np.where(me.order_sides[:count] == Side.BUY, -1, 1) * generator.integers(1, 4, count)
    me.order_prices[:count] = np.clip(ticks, 1, HIGHEST_PRICE // view.tick_size) * view.tick_size
    me.order_quantities[:count] = generator.integers(1, 20, count) * view.lot_size
