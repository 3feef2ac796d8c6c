"""Strategies in Python: mistakes are named with population, agent and step, and `decide` may be async."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from small_markets import Scripted, ScriptedBatch, acts, population, run, scripted

from simlab.agents.batch import BatchObservation, BatchOrders, batch_strategy
from simlab.agents.compiled import MAX_MESSAGES, compiled_strategy, limit
from simlab.agents.each import Observation, Orders, Parameter, agent_strategy
from simlab.agents.inspection import definition
from simlab.agents.registry import resolve
from simlab.core.jit import JIT
from simlab.core.types import EventKind, Reason
from simlab.errors import StrategyError
from simlab.kernel import Population
from simlab.market.instruments import AccountPolicy


@compiled_strategy(
    "sender", "Sends as many orders as it is told.", (Parameter("count", 1, "messages", "How many."),)
)
def sender(view, me, rng, orders):
    for _ in range(int(me.parameters[0])):
        limit(orders, view, 0, 1, 1)


@agent_strategy("slow_bidder", "Bids after it has waited.", (Parameter("number", 0, "1", "Its place."),))
class SlowBidder:
    """Bids once other tasks have had their turn."""

    def __init__(self, number: float) -> None:
        self._number = int(number)

    async def decide(self, observation, orders) -> None:
        await asyncio.sleep(0)
        orders.limit("buy", 100 + self._number, 1)


@batch_strategy("slow_crowd", "Bids once all agents have thought, at the same time.")
class SlowCrowd:
    """Gathers what its agents think."""

    async def decide(self, observation, orders) -> None:
        async def think(number: int) -> int:
            await asyncio.sleep(0)
            return 200 + number

        prices = await asyncio.gather(*(think(int(number)) for number in observation.index))
        orders.limit(np.arange(len(prices)), 0, prices, 1)


@agent_strategy("fragile", "Cannot be made.")
class Fragile:
    """Fails when it is made."""

    def __init__(self) -> None:
        raise OSError("no such model")

    def decide(self, observation, orders) -> None:
        """Never called."""


@agent_strategy("talker", "Answers with what it should send.")
class Talker:
    """Returns something."""

    def decide(self, observation, orders) -> Any:
        return [("buy", 100, 1)]


def senders(count: int) -> Population:
    return replace(population("senders", sender, 2), parameters=np.full((2, 1), float(count)))


def test_as_many_messages_as_allowed_pass() -> None:
    simulation, _ = run(senders(MAX_MESSAGES), steps=3)
    assert simulation.messages == 2 * 3 * MAX_MESSAGES


def test_more_messages_than_allowed_stop_the_run() -> None:
    with pytest.raises(StrategyError, match=rf"senders/[01] .*step 0.*{MAX_MESSAGES}"):
        run(senders(MAX_MESSAGES + 1), steps=3)


def broken(number: int, observation: Observation, orders: Orders) -> None:
    if number == 1 and observation.step == 3:
        raise ZeroDivisionError("spread is zero")


def broken_batch(observation: BatchObservation, orders: BatchOrders) -> None:
    if observation.step == 2:
        raise KeyError("model")


def test_a_failing_agent_is_named() -> None:
    with pytest.raises(
        StrategyError, match=r"dreamers/1\b.*'scripted'.*step 3.*ZeroDivisionError.*spread is zero"
    ):
        run(scripted("dreamers", broken, 3), steps=9)


def test_a_failing_batch_is_named() -> None:
    group = population("herd", ScriptedBatch.strategy, 3, options={"script": broken_batch})
    with pytest.raises(StrategyError, match=r"herd.*'scripted_batch'.*step 2.*KeyError.*model"):
        run(group, steps=9)


def ask(step: int) -> Callable[..., None]:
    """Return what offers five lots at step 0 and fails at a later step."""

    def script(number: int, observation: Observation, orders: Orders) -> None:
        if observation.step == 0:
            orders.limit("sell", 1_010, 5)
        if observation.step == step:
            raise ValueError("enough")

    return script


def test_what_a_failing_decision_saw_is_told() -> None:
    with pytest.raises(StrategyError) as caught:
        run(scripted("p", ask(2), account=AccountPolicy(cash=1_234, inventory=(("M", 7),))), steps=9)
    assert isinstance(caught.value.__cause__, ValueError)
    assert str(caught.value).endswith(
        "; it saw M: no bid, ask 1,010 (5 lots), last price 1,000, inventory 7; cash 1,234, resting orders 1"
    )
    group = population("herd", ScriptedBatch.strategy, 3, options={"script": broken_batch})
    with pytest.raises(StrategyError, match=r"; it saw M: no bid, no ask, last price 1,000$"):
        run(group, steps=9)


def test_a_strategy_that_cannot_be_made_is_named() -> None:
    with pytest.raises(StrategyError, match=r"populations\.glass.*'fragile'.*OSError: no such model"):
        run(population("glass", Fragile.strategy), steps=1)


def test_an_answer_that_is_returned_is_refused() -> None:
    with pytest.raises(StrategyError, match=r"talkers/0.*step 0.*send messages through `orders`"):
        run(population("talkers", Talker.strategy), steps=1)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda orders: orders.limit("bid", 100, 1), "side 'bid' is not known.*'buy', 'sell'"),
        (lambda orders: orders.limit("buy", 100.5, 1), "price 100.5 is not a whole number"),
        (lambda orders: orders.limit("buy", 100, "1"), "quantity '1' is not a whole number"),
        (lambda orders: orders.market("buy", 1, instrument="Z"), "instrument 'Z' is not known.*'M'"),
        (
            lambda orders: orders.limit("buy", 1, 1, time_in_force="DAY"),
            "time_in_force 'DAY' is not known.*'GTC'",
        ),
        (lambda orders: orders.cancel(None), "order_id None is not a whole number"),
        (lambda orders: orders.replace(1, 2.5, 1), "price 2.5 is not a whole number"),
    ],
)
def test_what_is_not_a_message_is_refused(act: Callable[[Orders], Any], message: str) -> None:
    with pytest.raises(StrategyError, match=rf"p/0.*step 0.*{message}"):
        run(scripted("p", lambda number, observation, orders: act(orders)), steps=1)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda orders: orders.limit([0], 0, [100.5], 1), "price must be whole numbers"),
        (lambda orders: orders.market([0], 0, [0.5]), "quantity must be whole numbers"),
        (lambda orders: orders.limit([1], 0, 100, 1), "who 1 is out of range; use 0 to 0"),
        (lambda orders: orders.limit([0], 0, 100, 1, instrument=1), "instrument 1 is out of range"),
    ],
)
def test_what_is_not_a_message_of_a_batch_is_refused(act: Callable[[BatchOrders], Any], message: str) -> None:
    group = population(
        "p", ScriptedBatch.strategy, options={"script": lambda observation, orders: act(orders)}
    )
    with pytest.raises(StrategyError, match=rf"population p:.*step 0.*{message}"):
        run(group, steps=1)


def test_decide_may_be_async() -> None:
    simulation, log = run(
        population("a", SlowBidder.strategy, 3), population("b", SlowCrowd.strategy, 2), steps=2
    )
    assert sorted(log.all["price"].tolist()) == sorted(2 * [100, 101, 102, 200, 201])
    assert simulation.messages == 10


async def fail_later(observation: Any, orders: Any) -> None:
    await asyncio.sleep(0)
    raise TimeoutError("no answer")


@batch_strategy("waiter", "Waits for an answer that does not come.")
class Waiter:
    """Fails while it waits."""

    decide = staticmethod(fail_later)


def test_a_failure_after_waiting_is_named() -> None:
    with pytest.raises(StrategyError, match=r"waiters.*'waiter'.*step 0.*TimeoutError.*no answer"):
        run(population("waiters", Waiter.strategy), steps=1)


def test_a_batch_is_answered_in_the_order_of_its_agents() -> None:
    def batch(observation, orders):
        agents.extend(observation.agents.tolist())
        orders.limit([2, 0], 0, [12, 10], 1)
        orders.limit([1, 0], 0, [11, 20], 1)

    agents: list[int] = []
    _, log = run(population("p", ScriptedBatch.strategy, 3, options={"script": batch}), steps=1)
    assert log.all["price"].tolist() == [10, 20, 11, 12]
    assert log.all["account"].tolist() == [agents[0], agents[0], agents[1], agents[2]]


def test_orders_get_ids_at_once_and_can_be_changed_in_the_same_step() -> None:
    def act(observation, orders):
        first = orders.limit("buy", 100, 5)
        second = orders.limit("buy", 101, 5)
        orders.replace(first, 102, 6)
        orders.cancel(second)

    simulation, log = run(scripted("p", acts({0: act})), steps=1)
    accepted, cancelled, replaced = EventKind.ACCEPTED, EventKind.CANCELLED, EventKind.REPLACED
    assert log.all["kind"].tolist() == [accepted, accepted, replaced, cancelled]
    assert simulation.resting_orders == 1


def line_of(function: Callable[..., Any]) -> int:
    return function.__code__.co_firstlineno


def quoted(observation: Observation) -> int:
    return observation.best_ask - observation.best_bid  # both are None in an empty book


@agent_strategy("nested", "Fails in a method of its own.")
class Nested:
    """Subtracts prices that there are not."""

    def decide(self, observation, orders) -> None:
        self._quote(observation)

    def _quote(self, observation) -> None:
        quoted(observation)


def test_the_innermost_line_of_the_strategys_own_file_is_named() -> None:
    with pytest.raises(StrategyError, match=rf"in {__file__}, line {line_of(quoted) + 1};"):
        run(population("n", Nested.strategy), steps=1)


def test_a_failure_in_a_helper_module_is_led_back_to_the_strategy(tmp_path, monkeypatch) -> None:
    (tmp_path / "spreads_of_mine.py").write_text("def spread(o):\n    return o.best_ask - o.best_bid\n")
    plugin = tmp_path / "plugin.py"
    plugin.write_text(
        "from simlab.agents.each import agent_strategy\n"
        "import spreads_of_mine\n"
        "@agent_strategy('wide', 'Asks a helper.')\n"
        "class Wide:\n"
        "    def decide(self, observation, orders):\n"
        "        spreads_of_mine.spread(observation)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(StrategyError, match=r"plugin.py, line 6 \(raised in .*spreads_of_mine.py, line 2\)"):
        run(population("w", resolve(f"{plugin}:Wide")), steps=1)


def raising(error: BaseException) -> Callable[..., None]:
    def script(*_: Any) -> None:
        raise error

    return script


@pytest.mark.parametrize(
    "error", [SystemExit(2), asyncio.CancelledError(), GeneratorExit(), RecursionError()]
)
def test_whatever_a_strategy_raises_is_its_failure(error: BaseException) -> None:
    name = type(error).__name__
    with pytest.raises(StrategyError, match=rf"s/0: .*step 0 \({name}"):
        run(scripted("s", raising(error)), steps=1)
    batch = population("b", ScriptedBatch.strategy, options={"script": raising(error)})
    with pytest.raises(StrategyError, match=rf"population b: .*step 0 \({name}"):
        run(batch, steps=1)


def test_an_interruption_stays_one() -> None:
    for strategy in (Scripted.strategy, ScriptedBatch.strategy):
        with pytest.raises(KeyboardInterrupt, match="by hand"):
            run(population("p", strategy, options={"script": raising(KeyboardInterrupt("by hand"))}), steps=1)


@compiled_strategy("overreaching", "Remembers more than it can.")
def overreaching(view, me, rng, orders):
    where = int(view.step) + 6
    me.memory[where] = 1.0


@compiled_strategy("quitter", "Gives up.")
def quitter(view, me, rng, orders):
    if view.step == 2:
        raise ValueError("nothing to do")


@pytest.mark.parametrize(
    ("strategy", "message", "line"),
    [
        (overreaching, "IndexError: index .*out of bounds", 0 if JIT else 2),
        (quitter, "ValueError: nothing to do", 2),
    ],
    ids=["overreaching", "quitter"],
)
def test_a_failure_of_compiled_code_is_named(strategy, message: str, line: int) -> None:
    at = definition(strategy.code)[1] + line  # an index has no line in compiled code
    with pytest.raises(
        StrategyError,
        match=rf"c/\d: strategy '{strategy.name}' failed at step 2 \({message}.*{__file__}, line {at};",
    ):
        run(population("c", strategy, 2), steps=5)


@compiled_strategy("careless", "Sends what is no order.")
def careless(view, me, rng, orders):
    nothing = view.best_bid * np.nan
    limit(orders, view, 0, nothing, 1)
    limit(orders, view, 0, 100, nothing)
    limit(orders, view, 256, 100, 1)
    limit(orders, view, 0, 100, 1, 77)
    limit(orders, view, 0, 100, 1, 0, 0, nothing)
    limit(orders, view, 0, 100.9, 1)


def test_what_compiled_code_sends_that_is_no_order_is_refused() -> None:
    simulation, log = run(population("c", careless, 2), steps=1)
    refused = log.all[log.all["kind"] == EventKind.REJECTED]
    assert [Reason(it).name for it in refused["reason"]] == 2 * [
        "PRICE_BAND", "INVALID_QUANTITY", "INVALID_SIDE", "INVALID_TIME_IN_FORCE", "INVALID_EXPIRY",
    ]  # fmt: skip
    assert set(log.all["account"].tolist()) == {0, 1}
    assert log.all["price"][log.all["kind"] == EventKind.ACCEPTED].tolist() == [100, 100]
    assert simulation.resting_orders == 2


@pytest.mark.parametrize("by", [1, 100, 10**7])
def test_a_batch_cannot_act_for_others(by: int) -> None:
    def in_place(observation: BatchObservation, orders: BatchOrders) -> None:
        observation.agents += by  # type: ignore[misc]

    def unlocked(observation: BatchObservation, orders: BatchOrders) -> None:
        agents = observation.agents
        agents.setflags(write=True)
        agents += by
        assert observation.uniform(2).shape == (2, 2)
        orders.market([0, 1], 0, 1)

    for script in (in_place, unlocked):
        herd = population("herd", ScriptedBatch.strategy, 2, options={"script": script})
        others = scripted("z", acts({}), 3)
        if script is in_place:
            with pytest.raises(StrategyError, match=r"population herd: .*step 0.*read-only"):
                run(herd, others, steps=1)
        else:
            _, log = run(herd, others, steps=1)
            assert sorted(set(log.all["account"].tolist())) == [0, 1]


def test_an_agent_cannot_act_for_others() -> None:
    def script(number: int, observation: Observation, orders: Orders) -> None:
        for target, name in ((observation, "agent"), (orders, "next_id"), (orders, "account")):
            with pytest.raises(AttributeError):
                setattr(target, name, 0)
        with pytest.raises(AttributeError):
            observation.market.instrument = 10**7
        orders.market("buy", 1)
        assert isinstance(orders.messages, bytes)

    _, log = run(scripted("s", script, 2), scripted("z", acts({}), 2), steps=1)
    assert sorted(set(log.all["account"].tolist())) == [0, 1]
