"""Check that a compiled strategy keeps the contract: for the built-in ones and for a plug-in's tests.

The strategy decides on markets and accounts drawn at random, ordinary ones and degenerate ones (empty or
one-sided book, halted, coarse ticks and lots, prices at the edge of the range), with its default parameters
and with parameters drawn from their bounds.

Example
-------
>>> from simlab.agents.conformance import check_compiled_strategy
>>> from simlab.agents.library import STRATEGIES
>>> check_compiled_strategy(STRATEGIES["noise"], seeds=range(5))
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.compiled import (
    DEPTH_LEVELS,
    MAX_MESSAGES,
    ME_DTYPE,
    ORDERS_DTYPE,
    VIEW_DTYPE,
    VISIBLE_ORDERS,
)
from simlab.agents.strategy import Level, Parameter, Strategy
from simlab.core.jit import address_of, call_decide, jit
from simlab.core.random import RNG_DTYPE, Role, name_key, reset
from simlab.core.types import MAX_QUANTITY, MESSAGE_DTYPE, MessageKind, Side, TimeInForce
from simlab.errors import StrategyError, did_you_mean

__all__ = ["Case", "check_compiled_strategy", "decide", "plain_case", "random_case"]

DECISIONS_PER_CASE = 4
"""Decisions in a row on one case, so that memory matters."""
_HIGHEST_PRICE = 2**31 - 1
_FIRST_ORDER_ID = 1_000_000
_ACCOUNT = 7
_KINDS, _SIDES, _TIMES_IN_FORCE = (frozenset(map(int, values)) for values in (MessageKind, Side, TimeInForce))


@dataclass
class Case:
    """One market, one account and one random stream, as `decide` takes them: record arrays of length 1."""

    view: np.recarray
    me: np.recarray
    rng: np.recarray


@lru_cache(maxsize=64)
def _compiled(strategy: Strategy) -> Any:
    return strategy.make()


@jit
def _call(address, views, accounts, rng, orders):
    call_decide(address, views[0], accounts[0], rng[0], orders[0])


def decide(strategy: Strategy, case: Case) -> NDArray[np.void]:
    """Let a compiled strategy decide once; return its messages, ``(n,) MESSAGE_DTYPE``.

    Writes the strategy's memory in ``case.me`` and moves ``case.rng`` on, as a run would.

    Raises
    ------
    AssertionError
        If the strategy sent more than `MAX_MESSAGES` messages, or changed the header of its orders.
    """
    sent = _blank(ORDERS_DTYPE)
    orders = sent[0]
    orders.next_order_id, orders.account = _FIRST_ORDER_ID, _ACCOUNT
    _call(address_of(_compiled(strategy)), case.view, case.me, case.rng, sent)
    _require(orders.overflow == 0, strategy, f"sends more than {MAX_MESSAGES} messages; send fewer")
    _require(orders.account == _ACCOUNT, strategy, "changes the account in the header of `orders`")
    return sent["messages"][0, : orders.count].view(MESSAGE_DTYPE)


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
    view = _blank(VIEW_DTYPE)
    _draw_market(view[0], generator)
    me = _blank(ME_DTYPE)
    _draw_account(me[0], view[0], generator)
    for i, parameter in enumerate(strategy.parameters):
        me[0].parameters[i] = parameter.default if seed % 2 == 0 else _draw_parameter(parameter, generator)
    return Case(view, me, _stream(seed, int(view[0].step)))


def plain_case(strategy: Strategy, *, seed: int = 0, step: int = 0, **parameters: float) -> Case:
    """Return an ordinary market and an agent without inventory or orders, to change and to decide on.

    The best bid is 9,999 and the best ask 10,001, 50 lots each; the mid price has always been 10,000, and so
    is the signal. Tick and lot size are 1.

    Parameters
    ----------
    strategy : Strategy
    seed : int
        Seed of the stream that the decision draws from.
    step : int
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
    view, me = _blank(VIEW_DTYPE), _blank(ME_DTYPE)
    market, agent = view[0], me[0]
    market.step, market.tick_size, market.lot_size = step, 1, 1
    market.best_bid, market.best_ask = 9_999, 10_001
    market.bid_depth = market.ask_depth = 50
    market.mid, market.initial_price, market.mids = 10_000.0, 10_000, 10_000.0
    market.last_side, market.news_step, agent.last_look = -1, -1, -1
    agent.agent, agent.signal = _ACCOUNT, 10_000.0
    names = [parameter.name for parameter in strategy.parameters]
    for name in parameters:
        if name not in names:
            hint = did_you_mean(name, names, otherwise="it has")
            raise StrategyError(f"strategy {strategy.name!r} has no parameter {name!r}{hint}")
    for i, parameter in enumerate(strategy.parameters):
        agent.parameters[i] = parameters.get(parameter.name, parameter.default)
    return Case(view, me, _stream(seed, step))


def check_compiled_strategy(strategy: Strategy, seeds: Iterable[int] = range(300)) -> None:
    """Check that a compiled strategy keeps the contract, on one random case for each seed.

    It must not fail; send at most `MAX_MESSAGES` messages, all of them well formed, at prices in range and
    on the tick, in whole lot sizes; answer the same to the same input; and write nothing but its memory.

    Parameters
    ----------
    strategy : Strategy
        Of level `Level.COMPILED`.
    seeds : iterable of int
        Each costs a few decisions.

    Raises
    ------
    AssertionError
        At the first breach; the message names the strategy, the seed and the rule.
    """
    _require(strategy.level == Level.COMPILED, strategy, f"is of level {strategy.level}, not compiled")
    _check_declaration(strategy)
    for seed in seeds:
        case = random_case(strategy, seed)
        for _ in range(DECISIONS_PER_CASE):
            _check_decision(strategy, case, f"seed {seed}, step {case.view[0].step}")
            case.view[0].step += 1


def _require(condition: object, strategy: Strategy, breach: str) -> None:
    if not condition:
        raise AssertionError(f"strategy {strategy.name!r} {breach}")


def _check_declaration(strategy: Strategy) -> None:
    names = [parameter.name for parameter in strategy.parameters]
    _require(len(set(names)) == len(names), strategy, "declares two parameters of one name")
    for parameter in strategy.parameters:
        where = f"declares parameter {parameter.name!r}"
        inside = parameter.low <= parameter.default <= parameter.high
        bounds = f"[{parameter.low}, {parameter.high}]"
        _require(inside, strategy, f"{where} with default {parameter.default} outside {bounds}")
        whole = not parameter.integer or float(parameter.default).is_integer()
        _require(whole, strategy, f"{where} as integer with default {parameter.default}")
        _require(parameter.unit and parameter.description, strategy, f"{where} without unit or description")


def _check_decision(strategy: Strategy, case: Case, where: str) -> None:
    twin = Case(case.view.copy(), case.me.copy(), case.rng.copy())
    before = Case(case.view.copy(), case.me.copy(), case.rng.copy())
    messages = decide(strategy, case)
    again = decide(strategy, twin)
    same = messages.tobytes() == again.tobytes() and case.me.tobytes() == twin.me.tobytes()
    _require(same, strategy, f"answers differently to the same input ({where})")
    _require(case.view.tobytes() == before.view.tobytes(), strategy, f"writes to the view ({where})")
    after = case.me.copy()
    after.memory[:] = before.me.memory
    _require(after.tobytes() == before.me.tobytes(), strategy, f"writes to `me` beyond its memory ({where})")
    _require(np.isfinite(case.me.memory).all(), strategy, f"remembers a number that is not finite ({where})")
    for i, message in enumerate(messages):
        _check_message(strategy, message, case.view[0], f"message {i}, {where}")
    new = messages["order_id"][np.isin(messages["kind"], (MessageKind.LIMIT, MessageKind.MARKET))]
    _require(
        list(new) == list(range(_FIRST_ORDER_ID, _FIRST_ORDER_ID + len(new))), strategy, "misnumbers orders"
    )


def _check_message(strategy: Strategy, message: np.void, view: np.record, where: str) -> None:
    kind = int(message["kind"])
    _require(kind in _KINDS, strategy, f"sends a message of unknown kind {kind} ({where})")
    _require(message["account"] == _ACCOUNT, strategy, f"sends for account {message['account']} ({where})")
    _require(message["order_id"] >= (kind != MessageKind.CANCEL_ALL), strategy, f"names no order ({where})")
    if kind == MessageKind.CANCEL:
        return
    _require(message["instrument"] == view.instrument, strategy, f"names another instrument ({where})")
    if kind == MessageKind.CANCEL_ALL:
        return
    _require(int(message["side"]) in _SIDES, strategy, f"sends side {message['side']} ({where})")
    quantity = int(message["quantity"])
    whole = 1 <= quantity <= MAX_QUANTITY and quantity % view.lot_size == 0
    _require(
        whole, strategy, f"sends quantity {quantity}, not 1 to {MAX_QUANTITY} in whole lot sizes ({where})"
    )
    if kind != MessageKind.MARKET:
        price = int(message["price"])
        in_range = 1 <= price <= _HIGHEST_PRICE and price % view.tick_size == 0
        _require(in_range, strategy, f"sends price {price}, not 1 to {_HIGHEST_PRICE} on the tick ({where})")
    time_in_force, post_only = int(message["time_in_force"]), int(message["post_only"])
    _require(time_in_force in _TIMES_IN_FORCE, strategy, f"sends time in force {time_in_force} ({where})")
    plain = kind == MessageKind.LIMIT and time_in_force == TimeInForce.GTC
    _require(post_only == 0 or (post_only == 1 and plain), strategy, f"misuses post-only ({where})")
    expiry = int(message["expiry"])
    _require(expiry == 0 or expiry >= view.step, strategy, f"sends expiry {expiry}, in the past ({where})")


def _stream(seed: int, step: int) -> np.recarray:
    rng = _blank(RNG_DTYPE)
    reset(rng[0], name_key(seed, "agent", "conformance"), np.uint64(Role.DECIDE), np.uint64(step))
    return rng


def _blank(dtype: np.dtype) -> np.recarray:
    records = np.recarray(1, dtype)
    records.view(np.uint8)[:] = 0  # the padding too: cases are compared byte by byte
    return records


def _draw_parameter(parameter: Parameter, generator: np.random.Generator) -> float:
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


def _draw_market(view: np.record, generator: np.random.Generator) -> None:
    view.step = generator.choice([0, 1, 2, 50, 1023, 1024, 5000, 10**7])
    view.instrument = generator.integers(3)
    view.tick_size = generator.choice([1, 1, 1, 5, 100])
    view.lot_size = generator.choice([1, 1, 1, 10, 100])
    view.halted = generator.random() < 0.1
    tick = int(view.tick_size)
    highest = _HIGHEST_PRICE // tick
    middle = int(generator.choice([1, 2, 20, 10_000, 10_000, 10_000, 10_000, highest - 1]))
    spread = int(generator.choice([1, 1, 2, 3, 10, 1000]))
    bid, ask = max(middle - spread // 2, 1), min(max(middle - spread // 2, 1) + spread, highest)
    sides = generator.choice(["both", "both", "both", "bid", "ask", "none"])
    if sides in ("both", "bid"):
        _draw_levels(view, "bid", bid, -1, generator)
    if sides in ("both", "ask") and ask > bid:
        _draw_levels(view, "ask", ask, 1, generator)
    view.mid = 0.5 * (bid + ask) * tick
    view.initial_price = 10_000
    walk = np.cumsum(generator.normal(0.0, float(generator.choice([0.0, 1e-5, 1e-3])), view.mids.size))
    view.mids = view.mid * np.exp(walk - walk[-1])
    view.last_price = bid * tick if generator.random() < 0.8 else 0
    view.last_quantity = view.lot_size
    view.last_side = generator.integers(-1, 2)
    view.volume = generator.choice([0, 1000, 10**12])
    view.trades = view.volume // 10
    view.news_step = view.step if generator.random() < 0.2 else -1
    view.news_sentiment = generator.uniform(-1.0, 1.0)


def _draw_levels(
    view: np.record, side: str, best: int, direction: int, generator: np.random.Generator
) -> None:
    """Fill one side of the book from `best` (ticks) outwards, as many levels as fit."""
    tick, lot = int(view.tick_size), int(view.lot_size)
    ticks = best + direction * np.arange(DEPTH_LEVELS)
    ticks = ticks[(ticks >= 1) & (ticks <= _HIGHEST_PRICE // tick)]
    depths = generator.integers(1, 100, ticks.size) * lot
    view[f"best_{side}"], view[f"{side}_depth"] = ticks[0] * tick, depths[0]
    view[f"{side}_levels"] = ticks.size
    view[f"{side}_prices"][: ticks.size] = ticks * tick
    view[f"{side}_depths"][: ticks.size] = depths


def _draw_account(me: np.record, view: np.record, generator: np.random.Generator) -> None:
    me.agent = _ACCOUNT
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
    middle = int(view.mid // view.tick_size)
    ticks = middle + np.where(me.order_sides[:count] == Side.BUY, -1, 1) * generator.integers(1, 4, count)
    me.order_prices[:count] = np.maximum(ticks, 1) * view.tick_size
    me.order_quantities[:count] = generator.integers(1, 20, count) * view.lot_size
