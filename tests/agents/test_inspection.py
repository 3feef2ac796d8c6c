"""What the source of a compiled strategy tells before it runs, and what it does not complain about."""

from __future__ import annotations

from collections import namedtuple
from typing import Any

import numpy as np
import pytest

from simlab.agents import compiled
from simlab.agents.compiled import Needs, Parameter, Strategy, cancel, compiled_strategy, limit
from simlab.agents.inspection import definition, global_draws
from simlab.agents.library import STRATEGIES
from simlab.config import load
from simlab.core.jit import jit
from simlab.errors import ConfigError, StrategyError

SIZE = (Parameter("size", 1.0, "lots", "Order size."),)
NINTH = 9
Features = namedtuple("Features", ["signal", "memory", "order_ids"])


@jit
def count_own(record):
    return record.visible_orders


@jit
def twice_removed(first, me):
    return first + count_own(me)


def plain(function):
    """Return the Python function behind a compiled one."""
    return getattr(function, "py_func", function)


def declare(function, **terms) -> Strategy:
    return compiled_strategy("tried", "Is tried.", **terms)(function)


def reads_orders(view, me, rng, orders):
    if me.visible_orders > 0:
        cancel(orders, me.order_ids[0])


def reads_orders_through_helpers(view, me, rng, orders):
    mine = me
    limit(orders, view, 0, 100, twice_removed(1, me=mine))


def reads_signal(view, me, rng, orders):
    limit(orders, view, 0, int(me.signal), 1)


def reads_depth(view, me, rng, orders):
    limit(orders, view, 0, view.bid_prices[3], 1)


def reads_ninth(view, me, rng, orders):
    me.memory[0] = me.memory[NINTH]


def reads_before_first(view, me, rng, orders):
    me.memory[-9] = 0.0


def reads_undeclared_parameter(view, me, rng, orders):
    limit(orders, view, 0, 100, int(me.parameters[1]))


def misspells(view, me, rng, orders):
    limit(orders, view, 0, view.best_bids, 1)


def writes_view(market, account, stream, out):
    market.bid_prices[0] += 1


def writes_account(view, me, rng, orders):
    orders.account = 3


def writes_messages(view, me, rng, orders):
    orders.messages[0].price = 3


@pytest.mark.parametrize(
    ("function", "terms", "message"),
    [
        (reads_orders, {}, r"reads me.visible_orders, which is empty .*needs=Needs\(orders=True\)"),
        (reads_orders_through_helpers, {}, r"reads me.visible_orders.*orders=True"),
        (reads_signal, {}, r"reads me.signal.*Needs\(signal=True\)"),
        (reads_depth, {}, r"reads view.bid_prices.*Needs\(depth=n\)"),
        (reads_depth, {"needs": Needs(depth=3)}, r"reads view.bid_prices\[3\], but declares only .*depth=3"),
        (reads_ninth, {}, r"uses me.memory\[9\] of 8"),
        (reads_before_first, {}, r"uses me.memory\[-9\] of 8"),
        (reads_undeclared_parameter, {"parameters": SIZE}, r"reads me.parameters\[1\] of 1 declared"),
        (misspells, {}, r"uses view.best_bids, which there is not; did you mean 'best_bid'"),
        (writes_view, {"needs": Needs(depth=1)}, "writes to the view: view.bid_prices is not its own"),
        (writes_account, {}, "writes to `orders`: orders.account is not its own"),
        (writes_messages, {}, "takes orders.messages into its own hands"),
    ],
)
def test_a_use_that_cannot_be_meant_is_named_with_its_line(function, terms, message: str) -> None:
    strategy = declare(function, **terms)
    with pytest.raises(StrategyError, match=rf"strategy 'tried' {message}.*{__file__}, line \d+") as caught:
        strategy.make()
    line = int(str(caught.value).rpartition("line ")[2].rstrip(")"))
    where = count_own if function is reads_orders_through_helpers else function
    assert 0 < line - definition(plain(where))[1] <= 3


def blameless(view, me, rng, orders):
    features = Features(view.mid, me.memory[7], 0.0)
    me.memory[:] = 0.0
    me.memory[-8] = features.signal + features.memory + features.order_ids
    if me.open_orders > 0 and view.news_step >= 0:
        me.memory[1] += np.abs(view.mids[1023])


def test_others_are_not_complained_about() -> None:
    declare(blameless).make()
    declare(reads_orders_through_helpers, needs=Needs(orders=True)).make()
    made = {}
    exec("def bare(view, me, rng, orders):\n    me.memory[0] = me.memory[9 - 8]", made)
    made["bare"].__module__ = __name__
    declare(made["bare"]).make()


@pytest.mark.parametrize("name", [name for name, it in STRATEGIES.items() if it.level == "compiled"])
def test_the_library_declares_what_it_reads(name: str) -> None:
    STRATEGIES[name].check()


misspelt = declare(misspells)


def test_validation_finds_it() -> None:
    world = {
        "steps": 1,
        "instruments": {"M": {"initial_price": 100}},
        "populations": {"p": {"strategy": f"{__file__}:misspelt"}},
    }
    with pytest.raises(ConfigError, match=r"populations\.p.*did you mean 'best_bid'"):
        load(world)


@jit
def dice(sides):
    return np.random.randint(0, sides)


def draws(view, me, rng, orders):
    limit(orders, view, 0, 100 + dice(6), 1)


def test_draws_from_a_global_generator_are_found_in_helpers_too() -> None:
    assert global_draws(blameless) is None
    file, line = global_draws(draws)
    assert (file, line) == (__file__, definition(plain(dice))[1] + 1)


def does_not_compile(view, me, rng, orders):
    limit(orders, view, 0, 100, 1)
    limit(orders, view, "buy", 100, 1)


def test_what_does_not_compile_is_said_in_one_line() -> None:
    line = definition(does_not_compile)[1] + 2
    with pytest.raises(
        StrategyError, match=rf"'tried' cannot be compiled: .*{__file__}, line {line}"
    ) as caught:
        declare(does_not_compile).make()
    assert "\n" not in str(caught.value)


def test_code_is_looked_at_once_however_often_it_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Any] = []
    monkeypatch.setattr(compiled, "check_code", lambda function, *_: looked.append(function))
    strategy = compiled_strategy("once", "Is looked at once.")(_quiet)
    assert strategy.check is not None
    for size in (1, 2):
        strategy.check(size=size)
    assert looked == [_quiet]


def _quiet(view, me, rng, orders):
    pass
