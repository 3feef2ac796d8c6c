"""Agents see the market and themselves as they are, at each level of strategy."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import FrozenInstanceError
from typing import Any

import numpy as np
import pytest
from small_markets import SHARE, Scripted, ScriptedBatch, acts, population, run, scripted
from small_markets import simulation as market

from simlab.agents.compiled import Needs, compiled_strategy, mid_ago, past_return
from simlab.agents.each import Fill, RestingOrder
from simlab.core.types import MessageKind, Side
from simlab.errors import StrategyError
from simlab.kernel import Activation
from simlab.market.instruments import AccountPolicy, Instrument
from simlab.processes import FundamentalJump, Halt, ScheduledNews

OTHER = Instrument("N", 50, tick_size=2, lot_size=5)


@compiled_strategy(
    "recorder", "Remembers what it sees.", needs=Needs(depth=2, orders=True, signal=True, news=True)
)
def recorder(view, me, rng, orders):
    me.memory[0] = view.best_bid * 1_000 + view.bid_depth
    me.memory[1] = view.best_ask * 1_000 + view.ask_depth
    me.memory[2] = view.bid_levels * 1_000_000 + view.bid_prices[1] * 100 + view.bid_depths[1]
    me.memory[3] = past_return(view, 2)
    me.memory[4] = mid_ago(view, 1)
    me.memory[5] = view.last_price * 10 + view.last_side
    me.memory[6] = me.signal
    me.memory[7] = view.news_step + view.news_sentiment + 100 * view.halted


@compiled_strategy("account_recorder", "Remembers its own account.", needs=Needs(orders=True))
def account_recorder(view, me, rng, orders):
    me.memory[0] = me.cash
    me.memory[1] = me.inventory
    me.memory[2] = view.step - me.last_look
    me.memory[3] += 1.0


def test_compiled_agents_see_the_market() -> None:
    def quote(observation, orders):
        for price, lots in ((990, 3), (995, 4), (985, 5)):
            orders.limit("buy", price, lots)
        orders.limit("sell", 1_005, 6)

    def trade(observation, orders):
        orders.limit("buy", 1_003, 2)
        orders.market("sell", 1)

    maker = scripted("a", acts({0: quote, 2: trade}))
    watcher = population("b", recorder, activation=Activation(steps=(4,)))
    simulation, _ = run(
        maker,
        watcher,
        steps=5,
        instruments=(Instrument("M", 1_000, self_trade=0),),
        shocks=[Halt(4, "M", 1), FundamentalJump(3, "M", 12.5)],
        news=[ScheduledNews(3, "M", "up", sentiment=0.25)],
    )
    memory = simulation.state.memory["values"][0]
    # the bid of 1003 was hit for one lot of two in step 2; before that the mid was 1000
    assert memory[0] == 1_003 * 1_000 + 1
    assert memory[1] == 1_005 * 1_000 + 6
    assert memory[2] == 2 * 1_000_000 + 995 * 100 + 4
    assert memory[3] == pytest.approx(1_004 / 1_004 - 1)
    assert memory[4] == 1_004
    assert memory[5] == 1_003 * 10 + Side.SELL
    assert memory[6] == 1_012.5
    assert memory[7] == 3 + 0.25 + 100


def test_compiled_agents_find_their_memory_and_account_again() -> None:
    simulation, _ = run(
        population("a", account_recorder, 2, activation=Activation(period=4)),
        steps=9,
        instruments=(OTHER,),
    )
    assert simulation.state.memory["values"][:2, :4].tolist() == [[0, 0, 4, 3], [0, 0, 4, 3]]


def test_agents_see_depth_trades_and_themselves() -> None:
    seen: dict[str, Any] = {}

    def look(observation, orders):
        market = observation.market
        seen["depth"] = market.depth(2)
        seen["best"] = (
            observation.best_bid,
            observation.bid_depth,
            observation.best_ask,
            observation.ask_depth,
        )
        seen["orders"] = market.orders
        seen["fills"] = market.fills
        seen["own"] = (observation.cash, observation.inventory, observation.open_orders, market.fill_count)
        seen["trade"] = market.last_trades()
        seen["volume"] = (market.volume, observation.last_price, market.mid)

    ids: list[int] = []

    def quote(observation, orders):
        assert observation.market.depth() == ([], [])
        assert observation.best_bid is None
        assert observation.best_ask is None
        assert observation.market.last_trades() == (1_000, 0, None)
        assert observation.last_price == 1_000
        ids.extend(orders.limit("buy", price, 5) for price in (999, 998, 997))
        ids.append(orders.limit("sell", 1_010, 5))

    taker = acts({1: lambda observation, orders: orders.market("sell", 7)})
    run(scripted("a", acts({0: quote, 2: look})), scripted("b", taker), steps=3)
    assert seen["depth"] == ([(998, 3), (997, 5)], [(1_010, 5)])
    assert seen["best"] == (998, 3, 1_010, 5)
    assert seen["orders"] == [
        RestingOrder(ids[1], Side.BUY, 998, 3),
        RestingOrder(ids[2], Side.BUY, 997, 5),
        RestingOrder(ids[3], Side.SELL, 1_010, 5),
    ]
    # the agent looked in step 1 too, before or after the trade: `fills` are those since then
    assert seen["own"][:3] == (-5 * 999 - 2 * 998, 7, 3)
    assert seen["trade"] == (998, 2, Side.SELL)
    assert seen["volume"] == (7, 998, (998 + 1_010) / 2)


def test_fills_are_those_since_the_last_look() -> None:
    looks: dict[int, list[Fill]] = {}
    ids: list[int] = []

    def look(number, observation, orders):
        looks[observation.step] = observation.market.fills
        assert observation.market.fill_count == len(looks[observation.step])
        if observation.step == 0:
            ids.extend((orders.limit("buy", 999, 5), orders.limit("buy", 998, 5)))

    taker = acts({s: lambda observation, orders: orders.market("sell", 4) for s in (2, 4, 7)})
    run(
        scripted("a", look, activation=Activation(steps=(0, 1, 5, 6, 8, 9))),
        scripted("b", taker),
        steps=10,
    )
    assert looks == {
        0: [],
        1: [],
        5: [Fill(2, 4, 999, ids[0]), Fill(4, 1, 999, ids[0]), Fill(4, 3, 998, ids[1])],
        6: [],
        8: [Fill(7, 2, 998, ids[1])],
        9: [],
    }


def test_only_the_latest_fills_are_kept_but_all_are_counted() -> None:
    seen: list[Any] = []

    def maker(number, observation, orders):
        if observation.step == 0:
            for i in range(20):
                orders.limit("sell", 1_001 + i, 1)
        elif observation.step == 3:
            seen.append((observation.market.fills, observation.market.fill_count))

    taker = acts({1: lambda observation, orders: orders.market("buy", 20)})
    run(scripted("a", maker, activation=Activation(steps=(0, 3))), scripted("b", taker), steps=4)
    fills, count = seen[0]
    assert count == 20
    assert [fill.price for fill in fills] == list(range(1_005, 1_021))
    assert all(fill.quantity == -1 for fill in fills)


def test_past_returns_are_of_mids_at_the_ends_of_steps() -> None:
    returns: dict[int, list[float]] = {}

    def script(number, observation, orders):
        returns[observation.step] = [observation.market.past_return(k) for k in (1, 2, 5)]
        orders.cancel_all()
        orders.limit("buy", 1_000 * (observation.step + 1) - 1, 1)
        orders.limit("sell", 1_000 * (observation.step + 1) + 1, 1)

    run(scripted("a", script), steps=6)
    # step k sees the mid of step k - 1, k * 1000; before step 0 it was 1000 too
    for step in range(1, 6):
        now = 1_000 * step
        for value, back in zip(returns[step], (1, 2, 5), strict=True):
            past = 1_000 * max(1, step - back + 1)
            assert value == pytest.approx(now / past - 1)


def test_an_agent_trades_two_instruments() -> None:
    seen: list[Any] = []

    def maker(number, observation, orders):
        if observation.step == 0:
            orders.limit("sell", 1_001, 5)
            orders.limit("sell", 52, 10, instrument="N")
        elif observation.step == 2:
            markets = observation.markets
            assert list(markets) == ["M", "N"]
            assert (markets["N"].tick_size, markets["N"].lot_size) == (2, 5)
            seen.append([markets[name].inventory for name in "MN"])
            seen.append([(fill.quantity, fill.price) for name in "MN" for fill in markets[name].fills])
            seen.append([[order.quantity for order in markets[name].orders] for name in "MN"])
            seen.append(observation.open_orders)
            orders.cancel_all(instrument="N")

    def taker(number, observation, orders):
        if observation.step == 1:
            orders.market("buy", 2)
            orders.market("buy", 5, instrument="N")

    simulation, _ = run(
        scripted("a", maker, activation=Activation(steps=(0, 2))),
        scripted("b", taker),
        steps=3,
        instruments=(OTHER, SHARE),
    )
    assert seen == [[-2, -5], [(-2, 1_001), (-5, 52)], [[3], [5]], 2]
    assert simulation.resting_orders == 1


def test_an_agent_of_one_instrument_sees_no_other() -> None:
    def script(number, observation, orders):
        assert list(observation.markets) == ["N"]
        assert observation.last_price == 50
        orders.limit("buy", 48, 5)

    _, log = run(scripted("a", script, instruments=("N",)), steps=1, instruments=(OTHER, SHARE))
    assert log.all["instrument"].tolist() == [1]


def test_signals_are_the_fundamental_plus_own_noise() -> None:
    exact: list[float] = []
    noisy: dict[int, list[float]] = defaultdict(list)
    run(
        scripted("a", lambda number, observation, orders: exact.append(observation.market.signal)),
        scripted(
            "b",
            lambda number, observation, orders: noisy[number].append(observation.market.signal),
            30,
            signal_noise=10.0,
        ),
        steps=100,
        shocks=[FundamentalJump(50, "M", 25.0)],
    )
    assert exact == [1_000.0] * 50 + [1_025.0] * 50
    noise = np.array([noisy[number] for number in range(30)]) - np.array(exact)
    assert abs(noise.mean()) < 5 * 10 / 3_000**0.5
    assert noise.std() == pytest.approx(10, rel=0.08)
    assert abs(np.corrcoef(noise[0], noise[1])[0, 1]) < 0.5


def test_news_is_seen_from_its_step_on() -> None:
    seen: dict[int, list[str]] = {}
    heard: dict[int, list[str]] = {}

    def script(number, observation, orders):
        seen[observation.step] = [item.headline for item in observation.news]

    def batch(observation, orders):
        heard[observation.step] = [item.headline for item in observation.news]

    news = [ScheduledNews(1, "M", "first"), ScheduledNews(3, None, "second", impact=5)]
    _, log = run(
        scripted("a", script),
        population("b", ScriptedBatch.strategy, options={"script": batch}),
        steps=5,
        news=news,
    )
    assert (
        seen == heard == {0: [], 1: ["first"], 2: ["first"], 3: ["first", "second"], 4: ["first", "second"]}
    )
    assert log.column("news", "headline").tolist() == ["first", "second"]
    assert log.column("news", "impact").tolist() == [0.0, 5.0]


def test_a_batch_sees_all_its_agents_as_arrays() -> None:
    seen: list[Any] = []

    def batch(observation, orders):
        order = np.argsort(observation.index)
        if observation.step == 0:
            orders.limit(order, 0, 990 + observation.index[order], 1 + observation.index[order])
            orders.limit(order, 1, 60, 5, instrument=1)
        if observation.step == 2:
            names = ("index", "cash", "inventory", "bought", "sold", "fills", "parameters")
            seen.extend(getattr(observation, name)[order].tolist() for name in names)
            seen.append(observation.instruments)
            seen.append([observation.best_bid.tolist(), observation.bid_depth.tolist()])
            seen.append([observation.best_ask.tolist(), observation.mid.tolist()])
            seen.append([observation.last_price.tolist(), observation.volume.tolist()])
            seen.append(observation.depth(1))
            seen.append(observation.past_return(1, 0))

    taker = acts({1: lambda observation, orders: orders.market("sell", 4)})
    run(
        population(
            "a", ScriptedBatch.strategy, 3, options={"script": batch}, activation=Activation(period=2)
        ),
        scripted("b", taker),
        steps=3,
        instruments=(SHARE, OTHER),
    )
    assert seen[:6] == [
        [0, 1, 2],
        [0, -991, -992 * 3],
        [[0, 0], [1, 0], [3, 0]],
        [[0, 0], [1, 0], [3, 0]],
        [[0, 0], [0, 0], [0, 0]],
        [[0, 0], [1, 0], [1, 0]],
    ]
    assert seen[7:] == [
        ("M", "N"),
        [[991, 0], [1, 0]],
        [[0, 60], [1_000.0, 50.0]],
        [[991, 50], [4, 0]],
        ([], [(60, 15)]),
        0.0,
    ]


def test_starting_terms_are_seen() -> None:
    seen: list[tuple[int, int]] = []
    run(
        population(
            "a",
            Scripted.strategy,
            options={
                "script": lambda n, observation, orders: seen.append(
                    (observation.cash, observation.inventory)
                )
            },
            account=AccountPolicy(cash=77, inventory=(("M", 9),)),
        ),
        steps=1,
    )
    assert seen == [(77, 9)]


def test_the_last_look_is_the_same_in_all_instruments() -> None:
    simulation, _ = run(
        population("a", account_recorder, activation=Activation(period=4)),
        steps=9,
        instruments=(SHARE, OTHER),
    )
    assert simulation.state.memory["values"][:2, 2].tolist() == [4, 4]


def arrays_of(value: Any) -> list[np.ndarray]:
    """Return all arrays in what an attribute holds."""
    if isinstance(value, np.ndarray | np.void):
        return [np.asarray(value)]
    if isinstance(value, dict | list | tuple):
        inner = value.values() if isinstance(value, dict) else value
        return [array for it in inner for array in arrays_of(it)]
    return []


ARGUMENTS = dict.fromkeys(("uniform", "past_return", "depth", "mids", "history"), (1,)) | {
    "resting": (0,),
    "own_fills": (0,),
    "refusal": (0, MessageKind.CANCEL_ALL),
    "resource": ("key", list),
}
MADE_ANEW = ("uniform", "mids", "history", "numbers", "available", "open_orders", "customer_orders")
"""What is made whenever it is asked for, and belongs to whoever asked."""
MEANT_TO_BE_SHARED = ("shared", "resource")


def check_that_nothing_belongs_to_the_market(shown: Any, memory: list[np.ndarray]) -> None:
    """Look at every public attribute, and at what every public method returns."""
    for name in dir(shown):
        if name.startswith("_"):
            continue
        value, again = (getattr(shown, name) for _ in range(2))
        if callable(value):
            value, again = (it(*ARGUMENTS.get(name, ())) for it in (value, again))
        if name not in MEANT_TO_BE_SHARED:
            assert isinstance(value, list | dict) <= (value is not again), name
        for array in arrays_of(value):
            assert not any(np.shares_memory(array, own) for own in memory), name
            assert name in MADE_ANEW or not array.flags.writeable, name
        with pytest.raises((AttributeError, StrategyError)):
            setattr(shown, name, value)


def test_what_is_shown_cannot_be_written_to_and_is_none_of_the_markets_own() -> None:
    looked: list[int] = []

    def memory() -> list[np.ndarray]:
        return list(simulation.state.to_arrays().values())

    def look(number, observation, orders):
        orders.limit("buy", 990, 5)
        orders.market("sell", 1)
        for shown in (observation, *observation.markets.values()):
            check_that_nothing_belongs_to_the_market(shown, memory())
        view = observation.market._host.view(0)
        with pytest.raises(ValueError, match="read-only"):
            view["mid"] = 5.0
        assert isinstance(observation.news, tuple)
        looked.append(observation.step)

    def batch(observation, orders):
        check_that_nothing_belongs_to_the_market(observation, memory())
        assert isinstance(observation.news, tuple)
        for item in observation.news:
            with pytest.raises(FrozenInstanceError):
                item.headline = "other"
        looked.append(observation.step)

    simulation = market(
        scripted("a", look),
        population("b", ScriptedBatch.strategy, 2, options={"script": batch}),
        steps=2,
        instruments=(SHARE, OTHER),
        news=[ScheduledNews(1, None, "first")],
    )
    simulation.advance()
    assert sorted(looked) == [0, 0, 1, 1]


def test_more_than_there_is_cannot_be_asked_for() -> None:
    def look(number, observation, orders):
        for levels in (11, -1, 2.5, True):
            with pytest.raises(StrategyError, match="levels"):
                observation.market.depth(levels)
        for steps in (-1, 1.5, 2**64):
            with pytest.raises(StrategyError, match="steps"):
                observation.market.past_return(steps)

    def batch(observation, orders):
        for instrument in (1, -1, 0.0):
            with pytest.raises(StrategyError, match="instrument"):
                observation.depth(instrument)
        for count in (-1, 2**40, 1.0):
            with pytest.raises(StrategyError, match="count"):
                observation.uniform(count)
        assert observation.uniform(0).shape == (1, 0)

    run(scripted("a", look), population("b", ScriptedBatch.strategy, options={"script": batch}), steps=2)
