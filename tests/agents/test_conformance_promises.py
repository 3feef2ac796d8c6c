"""Each promise of the public conformance suite is kept: a strategy of any level that breaks it is told so."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from simlab.agents.batch import batch_strategy
from simlab.agents.compiled import HISTORY_STEPS, Parameter, compiled_strategy, limit, market
from simlab.agents.conformance.cases import SITUATIONS
from simlab.agents.each import agent_strategy
from simlab.testing import check_strategy

_seen: dict[int, float] = {}
"""What strategies below keep outside their objects."""


class Acting:
    """Decides as a function of the module does, whose name it bears, so that it can be pickled."""

    acts: Callable[..., None]

    def decide(self, observation: Any, orders: Any) -> None:
        type(self).acts(observation, orders)


def alone(acts: Callable[..., None]) -> type:
    """Return a strategy of which each agent has an object."""
    return _declared(acts, "Alone", agent_strategy)


def together(acts: Callable[..., None]) -> type:
    """Return a strategy that decides for all agents at once."""
    return _declared(acts, "Together", batch_strategy)


def _declared(acts: Callable[..., None], level: str, declare: Any) -> type:
    name = f"{level}_{acts.__name__}"
    cls = type(name, (Acting,), {"acts": staticmethod(acts), "__module__": __name__})
    globals()[name] = cls
    return declare(name, "Breaks a promise.")(cls)


def no_limits(observation, orders) -> None:
    for _ in range(1025):
        orders.market("buy", 1)


def no_limits_batch(observation, orders) -> None:
    orders.limit([0], "buy", 2**31, 1)


def remembers(observation, orders) -> None:
    _seen[observation.step] = observation.market.mid
    if _seen.get(observation.step + 1, 0.0) > observation.market.mid:
        orders.market("buy", 1)


def remembers_batch(observation, orders) -> None:
    _seen[observation.step] = observation.mid[0]
    if _seen.get(observation.step + 1, 0.0) > observation.mid[0]:
        orders.market([0], "buy", 1)


def needs_a_bid(observation, orders) -> None:
    orders.limit("buy", observation.best_bid + 1, 1)


def needs_a_bid_batch(observation, orders) -> None:
    orders.limit([0], "buy", observation.best_bid[0], 1)


def needs_trading(observation, orders) -> None:
    if observation.market.halted:
        raise ValueError("nothing to do")


def needs_trading_batch(observation, orders) -> None:
    if observation.halted.any():
        raise ValueError("nothing to do")


def needs_cash(observation, orders) -> None:
    orders.market("buy", 1 + 10**9 // observation.cash)


def needs_cash_batch(observation, orders) -> None:
    orders.market(np.arange(len(observation.cash)), "buy", observation.cash)


def draws(observation, orders) -> None:
    orders.market("buy", random.randint(1, 5))


def draws_batch(observation, orders) -> None:
    orders.market([0], "buy", np.random.randint(1, 5))


@compiled_strategy("no_limits", "Breaks a promise.")
def compiled_no_limits(view, me, rng, orders):
    for _ in range(33):
        market(orders, view, 0, 1)


@compiled_strategy("looks_ahead", "Breaks a promise.")
def compiled_looks_ahead(view, me, rng, orders):
    if view.mids[(view.step + 1) & (HISTORY_STEPS - 1)] > view.mid:
        market(orders, view, 0, view.lot_size)


@compiled_strategy("needs_a_bid", "Breaks a promise.")
def compiled_needs_a_bid(view, me, rng, orders):
    limit(orders, view, 0, view.best_bid, view.lot_size)


@compiled_strategy("needs_trading", "Breaks a promise.")
def compiled_needs_trading(view, me, rng, orders):
    if view.halted:
        raise ValueError("nothing to do")


@compiled_strategy("needs_cash", "Breaks a promise.")
def compiled_needs_cash(view, me, rng, orders):
    if me.cash == 0:
        raise ValueError("nothing to spend")


@compiled_strategy("draws", "Breaks a promise.")
def compiled_draws(view, me, rng, orders):
    market(orders, view, 0, np.random.randint(1, 5))


@agent_strategy("collects", "Fails once it has seen enough.")
class Collects:
    def __init__(self) -> None:
        self.seen = 0

    def decide(self, observation: Any, orders: Any) -> None:
        self.seen += 1
        if self.seen == 30:
            raise ValueError("seen enough")


@batch_strategy("collects", "Fails once it has seen enough.")
class CollectsForAll(Collects):
    pass


BREACHES = [
    (Collects, r"fails with ValueError.*\(a long life, "),
    (CollectsForAll, r"fails with ValueError.*\(a long life, seed 0, step 79\)"),
    (alone(no_limits), "more than 1024 messages in one decision"),
    (together(no_limits_batch), "sends price 2147483648, not 1 to"),
    (compiled_no_limits, "sends more than 32 messages"),
    (alone(remembers), "looks ahead: .* once another of it has seen what comes later"),
    (together(remembers_batch), "looks ahead: .* once another of it has seen what comes later"),
    (compiled_looks_ahead, "looks ahead: .* when the mid prices of later steps are others"),
    (alone(needs_a_bid), r"fails with TypeError.*\(an empty book, "),
    (together(needs_a_bid_batch), r"sends price 0, .*an empty book, "),
    (compiled_needs_a_bid, r"sends price 0, .*an empty book, "),
    (alone(needs_trading), r"fails with ValueError\('nothing to do'\) \(a halt, "),
    (together(needs_trading_batch), r"fails with ValueError\('nothing to do'\) \(a halt, "),
    (compiled_needs_trading, r"fails with ValueError: nothing to do \(a halt, "),
    (alone(needs_cash), r"fails with ZeroDivisionError.*\(zero cash, "),
    (together(needs_cash_batch), r"sends quantity 0, .*zero cash, "),
    (compiled_needs_cash, r"fails with ValueError: nothing to spend \(zero cash, "),
    (alone(draws), r"draws from Python's global random generator .*observation\.random"),
    (together(draws_batch), r"draws from NumPy's global random generator .*observation\.uniform"),
    (compiled_draws, "draws from a global random generator"),
]


@pytest.mark.parametrize(("strategy", "breach"), BREACHES, ids=[it[1][:24] for it in BREACHES])
def test_a_broken_promise_is_told(strategy: Any, breach: str) -> None:
    _seen.clear()
    with pytest.raises(AssertionError, match=breach):
        check_strategy(strategy, seeds=())


def test_every_situation_of_the_promise_is_tried() -> None:
    assert {"an empty book", "a halt", "zero cash"} < set(SITUATIONS)


def test_whole_ticks_and_lots_are_asked_of_python_too_where_wanted() -> None:
    def odd(observation, orders) -> None:
        orders.limit("buy", 7, 3)

    check_strategy(alone(odd), seeds=range(12))
    with pytest.raises(AssertionError, match=r"'Alone_odd' sends (price 7|quantity 3)"):
        check_strategy(alone(odd), seeds=range(12), coarse=True)


@pytest.mark.parametrize("given", [Acting, 5, "noise"])
def test_what_is_no_strategy_is_refused(given: Any) -> None:
    with pytest.raises(TypeError, match="takes a strategy, or what is declared as one with a decorator, not"):
        check_strategy(given)


def test_parameters_are_tried_at_their_bounds() -> None:
    size = Parameter("size", 1, "lots", "Order size.", low=0, high=9, integer=True)

    @compiled_strategy("sizeless", "Sends what it may not.", (size,))
    def sizeless(view, me, rng, orders):
        if me.parameters[0] == 0.0:
            raise ValueError("no size")

    with pytest.raises(AssertionError, match="fails with ValueError: no size"):
        check_strategy(sizeless, seeds=range(40))
