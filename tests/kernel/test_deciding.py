"""The order of deciding in a population: who is asked, who passes on, what is noted, what thinking costs."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from simlab.agents.batch import batch_strategy
from simlab.agents.compiled import compiled_strategy, limit
from simlab.agents.each import agent_strategy
from simlab.agents.strategy import Decider, Needs
from simlab.core.types import MessageKind, Reason
from simlab.errors import StrategyError
from simlab.kernel.simulation import Simulation
from simlab.kernel.spec import Activation, Fallback, Latency, Population, SimulationSpec
from simlab.market.instruments import AccountPolicy, Instrument

RICH = AccountPolicy(cash=10**9, short_limit=-1)


class Tables:
    """Keep what the kernel hands over."""

    def __init__(self) -> None:
        self.decisions: dict[str, list[Any]] = {}
        self.parts: list[np.ndarray] = []

    def events(self, events: np.ndarray) -> None:
        self.parts.append(events.copy())

    def rows(self, table: str, columns: dict[str, Any]) -> None:
        if table == "decisions":
            for name, values in columns.items():
                self.decisions.setdefault(name, []).extend(values)

    @property
    def log(self) -> np.ndarray:
        return np.concatenate(self.parts)


@batch_strategy(
    "picky", "Decides for even agents, passes on odd ones.", options=("thinks",), decider=Decider.LLM
)
class Picky:
    def __init__(self, thinks: int = 0) -> None:
        self.thinks = thinks

    async def decide(self, observation, orders) -> None:
        await asyncio.sleep(0)
        odd = observation.index % 2 == 1
        orders.note(~odd, reason="even", request=[f"h{i}" for i in observation.index[~odd]], ms=1.5)
        orders.think(np.arange(len(odd)), self.thinks)
        orders.pass_on(odd, "odd number", "an odd\nagent")
        orders.limit(~odd, "buy", 90, 1)


@batch_strategy("warming", "Passes on until step 2.", decider=Decider.ML)
class Warming:
    def __init__(self) -> None:
        self.asked = 0

    def decide(self, observation, orders) -> None:
        self.asked += len(observation.agents)
        everyone = np.arange(len(observation.agents))
        if observation.step < 2:
            orders.pass_on(everyone, "warming up")
        else:
            orders.limit(everyone, "buy", 80, 2)
            orders.note(everyone, probability=0.75)


@compiled_strategy("counts_up", "Bids 50 more than the times it was asked.", ())
def counts_up(view, me, rng, orders):
    me.memory[0] += 1.0
    limit(orders, view, 0, 50 + int(me.memory[0]), 3)


@agent_strategy("alone", "Passes every second time.")
class Alone:
    def __init__(self) -> None:
        self.times = 0

    def decide(self, observation, orders) -> None:
        self.times += 1
        if self.times % 2:
            orders.pass_on("every second time", f"time {self.times}")
        else:
            orders.limit("buy", 70, 1)
            orders.note(reason="my turn", mood={"calm": True})


def fallback(thing: Any, count: int) -> Fallback:
    strategy = getattr(thing, "strategy", thing)
    return Fallback(strategy, np.zeros((count, len(strategy.parameters))))


def market(*chain: Any, count: int = 4, steps: int = 4, sink: Any = None, **fields: Any) -> Simulation:
    first = getattr(chain[0], "strategy", chain[0])
    population = Population(
        "p",
        first,
        count,
        np.zeros((count, len(first.parameters))),
        activation=Activation(period=1),
        account=RICH,
        fallback=tuple(fallback(it, count) for it in chain[1:]),
        **fields,
    )
    simultaneous = fields.pop("simultaneous", False)
    spec = SimulationSpec(3, steps, (Instrument("ACME", 100),), (population,), simultaneous=simultaneous)
    return Simulation(spec, sink)


def test_each_in_turn_decides_for_whom_those_before_pass_on() -> None:
    told = Tables()
    run = market(Picky, Warming, counts_up, sink=told)
    run.advance()
    run.finish()
    rows = told.decisions
    odd = np.array(rows["account"]) % 2 == 1
    late = np.array(rows["step"]) >= 2
    sources = np.array(rows["source"])
    assert set(sources[~odd]) == {"llm"}
    assert set(sources[odd & ~late]) == {"heuristic"}
    assert set(sources[odd & late]) == {"ml"}
    by_place = {
        (step, account): i
        for i, (step, account) in enumerate(zip(rows["step"], rows["account"], strict=True))
    }
    first = by_place[0, 1]
    assert rows["action"][first] == "buy 3 at 51"
    assert rows["fallback"][first] == "llm odd number: an odd agent; ml warming up"
    assert rows["reason"][by_place[0, 0]] == "even"
    assert rows["request"][by_place[0, 2]] == "h2"
    assert rows["facts"][by_place[3, 3]] == '{"probability": 0.75}'
    summary = run.summary()["populations"][0]
    assert summary["decisions"] == {"llm": 8, "heuristic": 4, "ml": 4}
    assert summary["fallbacks"] == {"llm odd number": 8, "ml warming up": 4}
    run.audit()


@batch_strategy("costly", "Notes what it spent, decides for nobody.", decider=Decider.LLM)
class Costly:
    def decide(self, observation, orders) -> None:
        everyone = np.arange(len(observation.agents))
        spent = {"calls": 2, "tokens_in": [100 + i for i in observation.index], "cost": 0.5, "ms": 10.0}
        orders.note(everyone, reason="not acted on", request="asked", **spent)
        orders.pass_on(everyone, "refusal")


@batch_strategy("cheap", "Notes and decides.", decider=Decider.ML)
class Cheap:
    def decide(self, observation, orders) -> None:
        orders.note(observation.index == 1, reason="own", ms=1.5)
        orders.pass_on(observation.index == 2, "unsure")
        orders.limit(observation.index < 2, "buy", 90, 1)


def test_what_was_spent_before_a_decision_was_passed_on_stays_with_it() -> None:
    told = Tables()
    run = market(Costly, Cheap, counts_up, count=3, steps=1, sink=told)
    run.advance()
    run.finish()
    rows = told.decisions
    place = {account: i for i, account in enumerate(rows["account"])}
    by_agent = {name: [values[place[it]] for it in range(3)] for name, values in rows.items()}
    assert by_agent["source"] == ["ml", "ml", "heuristic"]
    assert by_agent["calls"] == [2, 2, 2]
    assert by_agent["tokens_in"] == [100, 101, 102]
    assert by_agent["ms"] == [10.0, 11.5, 10.0]
    assert by_agent["request"] == ["asked"] * 3
    assert by_agent["reason"] == [None, "own", None]
    assert by_agent["cached"] == [None] * 3


def test_messages_arrive_in_the_order_of_the_agents_places() -> None:
    told = Tables()
    run = market(Picky, counts_up, count=7, steps=1, sink=told)
    run.advance()
    run.flush()
    alone = Tables()
    other = market(counts_up, count=7, steps=1, sink=alone)
    plain = Simulation(
        replace(other.spec, populations=(replace(run.spec.populations[0], fallback=()),)), alone
    )
    plain.advance()
    assert told.decisions["account"] != sorted(told.decisions["account"])
    order = told.log["account"].tolist()
    even = [it for it in order if it % 2 == 0]
    plain.flush()
    assert even == alone.log["account"].tolist()
    assert len(order) == 7


def test_nobody_is_left_to_decide() -> None:
    told = Tables()
    run = market(Warming, steps=1, sink=told)
    run.advance()
    run.flush()
    assert set(told.decisions["source"]) == {"none"}
    assert set(told.decisions["action"]) == {"hold"}
    assert run.messages == 0
    assert run.summary()["populations"][0]["decisions"] == {"none": 4}


@pytest.mark.parametrize("chain", [(Alone, counts_up), (Picky, Alone), (Alone, Alone, Warming)])
def test_every_level_may_stand_in_for_every_other(chain: tuple[Any, ...]) -> None:
    told = Tables()
    run = market(*chain, sink=told)
    run.advance()
    run.flush()
    assert len(told.decisions["step"]) == 16
    assert run.messages == sum(told.decisions["orders"])
    assert run.messages > 8
    run.audit()


@pytest.mark.parametrize(
    "chain", [(Picky, Warming, counts_up), (Alone, counts_up), (Picky, Alone, counts_up)]
)
def test_a_fork_and_a_restored_state_go_on_alike(chain: tuple[Any, ...]) -> None:
    whole = market(*chain, steps=6)
    half = market(*chain, steps=6)
    half.advance(3)
    fork, kept = half.fork(), half.capture()
    restored = Simulation.restore(half.spec, kept)
    for it in (whole, half, fork, restored):
        it.advance()
    ends = {
        (it.event_log_hash, it.capture().hash(), str(it.summary()["populations"]))
        for it in (whole, half, fork, restored)
    }
    assert len(ends) == 1


@pytest.mark.parametrize("latency", [0, 2])
def test_thinking_is_latency(latency: int) -> None:
    told = Tables()
    run = market(
        Picky,
        counts_up,
        count=1,
        steps=12,
        sink=told,
        options={"thinks": 3},
        latency=Latency(latency, latency),
    )
    run.advance()
    run.flush()
    assert told.log["step"].min() == 3 + latency
    assert run.messages == 12 - 3 - latency


def test_who_thought_once_is_quick_the_next_time() -> None:
    @agent_strategy("thinks_first", "Thinks in its first decision.")
    class ThinksFirst:
        def __init__(self) -> None:
            self.first = True

        def decide(self, observation, orders) -> None:
            if self.first:
                orders.think(5)
            self.first = False
            orders.limit("buy", 10 + observation.step, 1)

    told = Tables()
    run = market(ThinksFirst, count=1, steps=8, sink=told)
    run.advance()
    run.flush()
    assert [(int(it["step"]), int(it["price"])) for it in told.log] == [
        (1, 11), (2, 12), (3, 13), (4, 14), (5, 10), (5, 15), (6, 16), (7, 17),
    ]  # fmt: skip


def test_to_pass_on_and_to_send_is_a_mistake() -> None:
    @agent_strategy("both", "Does both.")
    class Both:
        def decide(self, observation, orders) -> None:
            orders.limit("buy", 10, 1)
            orders.pass_on("unsure")

    with pytest.raises(StrategyError, match=r"p/0: strategy 'both' failed at step 0 \(.*do one of the two"):
        market(Both, count=1).advance()


@pytest.mark.parametrize(
    ("say", "message"),
    [
        (lambda orders: orders.note(tokens_in=1.5), "tokens_in 1.5 is not a whole number"),
        (lambda orders: orders.note(reason=3), "reason 3 is not a text"),
        (lambda orders: orders.note(ms=float("nan")), "ms nan is not finite"),
        (lambda orders: orders.note(odd=object()), "odd cannot be kept as JSON"),
        (lambda orders: orders.pass_on(""), "kind '' must be a text of 1 to 40"),
        (lambda orders: orders.think(5000), "steps 5000 is out of range"),
    ],
)
def test_what_cannot_be_said_is_refused(say: Any, message: str) -> None:
    @agent_strategy("says", "Says something.")
    class Says:
        def decide(self, observation, orders) -> None:
            say(orders)

    with pytest.raises(StrategyError, match=message):
        market(Says, count=1).advance()


def test_strategies_share_data_and_keep_things_open() -> None:
    class Thing:
        closed = 0

        async def close(self) -> None:
            Thing.closed += 1

    @batch_strategy("shares", "Counts in what all share.")
    class Shares:
        def decide(self, observation, orders) -> None:
            observation.shared["n"] = observation.shared.get("n", 0) + 1
            assert isinstance(observation.resource("thing", Thing), Thing)

    run = market(Shares)
    run.advance(2)
    fork = run.fork()
    assert len(run.resources) == 1
    assert not fork.resources
    run.advance()
    fork.advance()
    assert fork._callbacks._memory.shared == run._callbacks._memory.shared == {"n": 4}
    run.close()
    assert Thing.closed == 1
    fork.close()
    assert Thing.closed == 2


def test_a_batch_sees_the_terms_its_accounts_and_what_would_be_refused() -> None:
    seen: list[Any] = []

    @batch_strategy("looks", "Looks at all there is.", needs=Needs(fills=True))
    class Looks:
        def decide(self, observation, orders) -> None:
            if observation.step == 0:
                orders.limit(0, "buy", 90, 2)
                return
            seen.append(
                {
                    "names": observation.names,
                    "terms": (
                        observation.tick_size[0],
                        observation.price_high[0],
                        bool(observation.halted[0]),
                    ),
                    "available": int(observation.available[0]),
                    "open": observation.open_orders.tolist(),
                    "resting": observation.resting(0),
                    "mids": observation.mids(5).tolist(),
                    "refusals": [
                        observation.refusal(0, MessageKind.LIMIT, side="buy", price=91, quantity=1),
                        observation.refusal(0, MessageKind.LIMIT, side="buy", price=90, quantity=3),
                        observation.refusal(0, MessageKind.LIMIT, side="sell", price=90, quantity=1),
                        observation.refusal(0, MessageKind.LIMIT, side="buy", price=90, quantity=-1),
                        observation.refusal(0, MessageKind.CANCEL, order_id=12345),
                        observation.refusal(
                            0, MessageKind.CANCEL, order_id=observation.resting(0)[0].order_id
                        ),
                    ],
                }
            )

    population = Population(
        "p",
        Looks.strategy,
        1,
        np.zeros((1, 0)),
        activation=Activation(period=1),
        account=AccountPolicy(cash=400),
    )
    spec = SimulationSpec(1, 2, (Instrument("ACME", 100, tick_size=2, price_band=(2, 1000)),), (population,))
    Simulation(spec).advance()
    [what] = seen
    assert what["names"] == ("p/0",)
    assert what["terms"] == (2, 1000, False)
    assert what["available"] == 400 - 180
    assert what["open"] == [1]
    assert [(it.price, it.quantity) for it in what["resting"]] == [(90, 2)]
    assert what["mids"] == [100.0]
    assert what["refusals"] == [
        Reason.PRICE_OFF_TICK, Reason.FUNDS, Reason.SHORT_LIMIT, Reason.INVALID_QUANTITY,
        Reason.UNKNOWN_ORDER, Reason.NONE,
    ]  # fmt: skip
