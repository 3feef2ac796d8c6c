"""Customers' orders reach the traders, are used up by fills, and are part of the market's state."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_markets import SHARE, EventLog, ScriptedBatch, acts, population, scripted, simulation

from simlab.agents.compiled import Needs, Shout, compiled_strategy
from simlab.agents.hosts import CustomerOrder
from simlab.agents.library import STRATEGIES
from simlab.agents.strategy import Strategy
from simlab.core.types import EventKind, SelfTrade, Side
from simlab.kernel import Activation, Latency, Simulation
from simlab.market.instruments import Instrument
from simlab.processes import CustomerOrders, LimitPrices, Timing

BOND = Instrument("A", 50, tick_size=2, lot_size=5)


@compiled_strategy("customer_recorder", "Remembers its customer's order.")
def customer_recorder(view, me, rng, orders):
    me.memory[0] = me.customer_side
    me.memory[1] = me.customer_limit
    me.memory[2] = me.customer_quantity
    me.memory[3] = me.customer_since


@compiled_strategy("eavesdropper", "Hears what is named and paid.", needs=Needs(shouts=True))
def eavesdropper(view, me, rng, orders):
    for i in range(8):
        me.memory[i] = 1_000_000 * (view.shout_kinds[i] + 1) + view.shout_prices[i]


def buy(limit: int = 110, **terms: Any) -> CustomerOrders:
    return CustomerOrders(Side.BUY, (LimitPrices("each", (limit,)),), **terms)


def sell(limit: int = 90, **terms: Any) -> CustomerOrders:
    return CustomerOrders(Side.SELL, (LimitPrices("each", (limit,)),), **terms)


def seen_each_step(log: list[Any], **steps: Any) -> Any:
    """Return a script that notes its customer's order and does something in given steps."""

    def script(number: int, observation: Any, orders: Any) -> None:
        log.append(observation.market.customer_order)
        if f"at_{observation.step}" in steps:
            steps[f"at_{observation.step}"](orders)

    return script


def test_fills_use_up_the_order_unit_by_unit() -> None:
    log: list[Any] = []
    trader = scripted(
        "b",
        seen_each_step(
            log,
            at_1=lambda orders: orders.limit("buy", 100, 2),
            at_3=lambda orders: orders.limit("sell", 99, 1),
            at_5=lambda orders: orders.limit("buy", 100, 9),
        ),
        customers=buy(units=(4,), limit_step=3, starts=1),
    )
    dealer = scripted(
        "a",
        acts({
            0: lambda _, orders: orders.limit("sell", 100, 20),
            2: lambda _, orders: orders.limit("buy", 99, 20),
        }),
    )  # fmt: skip
    market = simulation(dealer, trader, steps=7)
    market.advance()
    assert log == [
        None,
        CustomerOrder(Side.BUY, 110, 4, 1),
        CustomerOrder(Side.BUY, 104, 2, 1),
        CustomerOrder(Side.BUY, 104, 2, 1),
        CustomerOrder(Side.BUY, 104, 2, 1),  # it sold, which is nothing to its customer
        CustomerOrder(Side.BUY, 104, 2, 1),
        None,
    ]


def test_a_new_order_takes_the_place_of_what_is_left_and_of_what_was_quoted() -> None:
    log: list[Any] = []
    trader = scripted(
        "b",
        seen_each_step(log, at_0=lambda orders: orders.limit("buy", 70, 1)),
        customers=CustomerOrders(
            Side.BUY, (LimitPrices("each", (80,)), LimitPrices("each", (60,), step=2)), period=2
        ),
    )
    events = EventLog()
    market = simulation(trader, steps=4, sink=events)
    market.advance()
    market.flush()
    assert [it and it.limit_price for it in log] == [80, 80, 60, 60]
    [cancel] = events.all[events.all["kind"] == EventKind.CANCELLED]
    assert (cancel["step"], cancel["account"]) == (2, 0)
    assert events.column("customer_orders", "step").tolist() == [0, 2]
    assert events.column("customer_orders", "limit_price").tolist() == [80, 60]


@pytest.mark.parametrize("strategy", [customer_recorder, ScriptedBatch.strategy], ids=["compiled", "batch"])
def test_every_level_sees_its_order_in_each_instrument(strategy: Strategy) -> None:
    seen: list[Any] = []
    options = {} if strategy is customer_recorder else {"script": lambda it, _: seen.append(it)}
    terms = sell(95, units=(1, 3), starts=2)
    traders = population("t", strategy, count=2, options=options, customers=terms)
    market = simulation(traders, steps=4, instruments=(SHARE, BOND))
    market.advance()
    if strategy is customer_recorder:
        rows = market.state.memory["values"][:4, :4].tolist()
        assert rows == [[1, 95, 5, 2], [1, 95, 1, 2], [1, 95, 15, 2], [1, 95, 3, 2]]
    else:
        market = simulation(traders, steps=3, instruments=(SHARE, BOND))
        shown: list[Any] = []
        traders.options["script"] = lambda it, _: shown.append([x.tolist() for x in it.customer_orders])
        simulation(traders, steps=3, instruments=(SHARE, BOND)).advance()
        sides, limits, lots, since = shown[-1]
        by_agent = np.argsort(seen[0].index)
        assert np.array(lots)[by_agent].tolist() == [[5, 1], [15, 3]]
        assert (sides, limits, since) == ([[1, 1]] * 2, [[95, 95]] * 2, [[2, 2]] * 2)
        assert np.array(shown[0][2]).sum() == 0


def test_without_customers_there_is_no_order_and_no_table() -> None:
    log: list[Any] = []
    market = simulation(scripted("a", seen_each_step(log)), steps=1)
    market.advance()
    assert log == [None]
    assert len(market.state.ledger.customers) == 0


def market_of(name: str) -> Simulation:
    """Return a market of buyers and sellers who are given new orders all the time."""
    strategy = STRATEGIES[name]
    given = {it.name: it.default for it in strategy.parameters} | ({"low": 1} if name != "zip" else {})
    populations = [
        population(
            side.name,
            strategy,
            count=8,
            activation=Activation(rate=0.5),
            latency=Latency(0, 2),
            customers=CustomerOrders(
                side,
                (LimitPrices("uniform", (50, 150)),),
                units=(2,),
                limit_step=4,
                period=15,
                timing=Timing.JITTER,
                redraw=True,
            ),
        )
        for side in Side
    ]
    for it in populations:
        it.parameters[:] = list(given.values())
    return simulation(*populations, steps=200, sink=EventLog())


@pytest.mark.parametrize("name", ["zi_unconstrained", "zip"])
def test_a_copy_and_a_captured_market_go_on_as_the_original_does(name: str) -> None:
    original = market_of(name)
    original.advance(101)
    forked, restored = original.fork(), Simulation.restore(original.spec, original.capture())
    for market in (original, forked, restored):
        market.advance()
        market.audit()
    assert original.trades > 20
    assert original.capture().hash() == forked.capture().hash() == restored.capture().hash()
    assert original.event_log_hash == forked.event_log_hash == restored.event_log_hash


def test_orders_are_given_out_once_however_the_run_is_cut() -> None:
    whole, cut = market_of("zip"), market_of("zip")
    whole.advance()
    for until in range(1, 201, 7):
        cut.advance(until)
        cut = Simulation.restore(cut.spec, cut.capture(), cut._sink)
    cut.advance()
    for market in (whole, cut):
        market.flush()
    tables = [market._sink.tables["customer_orders"] for market in (whole, cut)]
    first, second = ([[(k, list(v)) for k, v in row.items()] for row in rows] for rows in tables)
    assert first == second
    assert whole.event_log_hash == cut.event_log_hash


def test_an_instrument_that_is_added_changes_no_order() -> None:
    plain, wider = market_of("zip"), market_of("zip")
    for market in (plain, wider):
        market.advance(50)
    wider.list_instrument(Instrument("Z", 10))
    for market in (plain, wider):
        market.advance()
        market.audit()
    assert plain.event_log_hash == wider.event_log_hash
    assert len(wider.state.ledger.customers) == len(wider.state.ledger.positions)


def test_shouts_are_what_rests_and_what_trades_in_order() -> None:
    def talk(_: Any, orders: Any) -> None:
        orders.limit("buy", 990, 2)
        orders.limit("sell", 1_010, 3)

    def answer(_: Any, orders: Any) -> None:
        orders.market("buy", 1)
        first = orders.limit("sell", 990, 5)  # two trade, three rest
        orders.limit("buy", 985, 1, time_in_force="IOC")
        orders.limit("buy", 990, 1)  # it meets its own order
        orders.replace(first, 990, 1)  # keeps its place
        orders.replace(first, 995, 1)

    listener = population("c", eavesdropper, activation=Activation(steps=(2,)))
    book = Instrument("M", 1_000, self_trade=SelfTrade.CANCEL_INCOMING)
    market = simulation(
        scripted("a", acts({0: talk})),
        scripted("b", acts({1: answer})),
        listener,
        steps=3,
        instruments=(book,),
    )
    market.advance()
    told = market.state.memory["values"][0].astype(int).tolist()
    assert [(Shout(it // 1_000_000 - 1), it % 1_000_000) for it in told[:6]] == [
        (Shout.BID, 990),
        (Shout.ASK, 1_010),
        (Shout.BUY, 1_010),
        (Shout.SELL, 990),
        (Shout.ASK, 990),
        (Shout.ASK, 995),
    ]
    assert market.state.views["shouts"].tolist() == [6]


def test_nobody_keeps_what_nobody_listens_to() -> None:
    market = simulation(scripted("a", acts({0: lambda _, orders: orders.limit("buy", 990, 2)})), steps=2)
    market.advance()
    assert market.state.views["shouts"].tolist() == [0]
