"""The conformance suite takes strategies in Python that keep the contract, and names the breach of others."""

from __future__ import annotations

import asyncio
import random
import threading
from itertools import count
from typing import Any

import numpy as np
import pytest

from simlab.agents.library import STRATEGIES
from simlab.agents.python import Parameter, agent_strategy, batch_strategy
from simlab.core.types import MessageKind
from simlab.testing import check_agent_strategy, check_batch_strategy, check_strategy

SIZE = Parameter("size", 2, "lots", "Order size.", low=1, high=9, integer=True)
_calls = count()


@agent_strategy("careful", "Does all that it may.", (SIZE,), options=("names",))
class Careful:
    """Remembers, draws from its own stream, waits, and sends messages of every kind."""

    def __init__(self, size: float, names: list[str] | None = None) -> None:
        self.size, self.names, self.last = int(size), names, 0

    async def decide(self, observation, orders) -> None:
        await asyncio.sleep(0)
        for name, market in observation.markets.items():
            lots = self.size + int(observation.random.integers(1, 4))
            bids, _ = market.depth(3)
            if bids:
                self.last = orders.limit("buy", bids[0][0], lots, instrument=name, post_only=True)
            for order in market.orders[:2]:
                orders.replace(order.order_id, order.price, order.quantity + 1)
        if observation.news or observation.market.fills:
            orders.market("sell", self.size)
        if self.last and observation.step % 2:
            orders.cancel(self.last)


@batch_strategy("careful_batch", "Does all that it may.", (SIZE,))
class CarefulBatch:
    """Remembers, draws, and sends messages of every kind."""

    def __init__(self) -> None:
        self.ids = np.zeros(3, np.int64)

    async def decide(self, observation, orders) -> None:
        await asyncio.sleep(0)
        who = np.arange(len(observation.agents))
        orders.cancel(self.ids > 0, self.ids[self.ids > 0])
        size = observation.parameters[:, 0].astype(np.int64)
        sells = observation.uniform(1)[:, 0] < 0.5
        price = np.maximum(1, observation.mid.astype(np.int64)[-1])
        last = len(observation.instruments) - 1
        self.ids = orders.limit(who, sells, price, size, instrument=last, expiry=observation.step + 3)


class Breach:
    """Decides as a function says that is given it."""

    acts: Any = None

    def __init__(self, names: list[str] | None = None) -> None:
        self.names = names

    def decide(self, observation, orders) -> None:
        type(self).acts(self, observation, orders)


def breach(name: str, acts: Any, batch: bool = False) -> Any:
    """Return a strategy of a class that pickle finds under its name in this module."""
    cls = type(name, (Breach,), {"acts": staticmethod(acts), "__module__": __name__})
    globals()[name] = cls
    declare = batch_strategy if batch else agent_strategy
    return declare(name, "Breaks a rule.")(cls).strategy


def locks(self, observation, orders) -> None:
    self.lock = threading.Lock()


def keeps_observation(self, observation, orders) -> None:
    self.kept = observation


def appends(self, observation, orders) -> None:
    self.steps = getattr(self, "steps", _SHARED)
    self.steps.append(observation.step)
    orders.market("buy", len(self.steps))


_SHARED: list[int] = []


def sorts_agents(self, observation, orders) -> None:
    observation.agents.sort()


def opens_and_writes(self, observation, orders) -> None:
    agents = observation.agents
    agents.setflags(write=True)
    agents += 100
    orders.market([0], 0, 1)


ALONE = [
    (
        "Global",
        lambda s, o, q: q.market("buy", random.randint(1, 9)),
        "draws from Python's global random gene",
    ),
    ("Numpy", lambda s, o, q: q.market("buy", np.random.randint(1, 9)), "draws from NumPy's global.*observ"),
    (
        "Unseeded",
        lambda s, o, q: q.market("buy", int(np.random.default_rng().integers(1, 10**6))),
        "to the same",
    ),
    ("Counts", lambda s, o, q: q.market("buy", 1 + next(_calls)), "answers differently to the same input"),
    ("Appends", appends, "answers differently to the same input"),
    ("Locks", locks, "cannot be copied.*lock"),
    ("Keeps", keeps_observation, r"cannot be copied.*Observation lives during decide\(\) only"),
    (
        "Fails",
        lambda s, o, q: q.limit("buy", o.best_bid + 1, 1),
        r"fails with TypeError.*an empty book, step \d+",
    ),
    ("Exits", lambda s, o, q: exit(), "fails with SystemExit"),
    ("Returns", lambda s, o, q: None if o.step < 0 else s.talk(), "fails with AttributeError"),
    ("Zero", lambda s, o, q: q.market("buy", 0), "sends quantity 0"),
    ("Below", lambda s, o, q: q.limit("buy", 0, 1), "sends price 0"),
    ("Late", lambda s, o, q: q.limit("buy", 5, 1, expiry=o.step - 1), r"sends expiry -?\d+, in the past"),
    ("Maker", lambda s, o, q: q.limit("buy", 5, 1, post_only=True, time_in_force="IOC"), "misuses post-only"),
    ("Nameless", lambda s, o, q: q.cancel(0), "names no order"),
]


@pytest.mark.parametrize(("name", "acts", "message"), ALONE, ids=[it[0] for it in ALONE])
def test_a_breach_of_an_agent_is_named(name: str, acts: Any, message: str) -> None:
    _SHARED.clear()
    with pytest.raises(AssertionError, match=f"strategy '{name}' .*{message}"):
        check_agent_strategy(breach(name, acts), seeds=range(12))


TOGETHER = [
    ("Sorts", sorts_agents, "fails with ValueError.*read-only"),
    ("BatchGlobal", lambda s, o, q: q.market([0], 0, np.random.randint(9) + 1), r"NumPy's.*uniform\(n\)"),
    ("BatchZero", lambda s, o, q: q.market([1], 0, 0), "sends quantity 0.*message 0, an empty book"),
]


@pytest.mark.parametrize(("name", "acts", "message"), TOGETHER, ids=[it[0] for it in TOGETHER])
def test_a_breach_of_a_batch_is_named(name: str, acts: Any, message: str) -> None:
    with pytest.raises(AssertionError, match=f"strategy '{name}' .*{message}"):
        check_batch_strategy(breach(name, acts, batch=True), seeds=range(12))


def test_whoever_writes_to_a_copy_harms_nobody() -> None:
    check_batch_strategy(breach("Opens", opens_and_writes, batch=True), seeds=range(3))


def test_options_are_not_to_be_changed() -> None:
    def grows(self, observation, orders) -> None:
        self.names.append("x")

    strategy = breach("Grows", grows)
    with pytest.raises(AssertionError, match="'Grows' changes its options"):
        check_agent_strategy(strategy, seeds=range(1), options={"names": ["a"]})


def test_strategies_that_keep_the_contract_pass() -> None:
    check_strategy(Careful.strategy, seeds=range(16), options={"names": ["a"]})
    check_strategy(CarefulBatch.strategy, seeds=range(16))
    check_strategy(STRATEGIES["noise"], seeds=range(3))


def test_whole_ticks_and_lots_are_required_where_asked() -> None:
    strategy = breach("Odd", lambda s, o, q: q.limit("buy", 7, 3))
    check_agent_strategy(strategy, seeds=range(12))
    with pytest.raises(AssertionError, match=r"'Odd' sends (price 7|quantity 3)"):
        check_agent_strategy(strategy, seeds=range(12), coarse=True)


def test_a_strategy_goes_to_the_suite_of_its_level() -> None:
    with pytest.raises(AssertionError, match="of level batch, not agent"):
        check_agent_strategy(CarefulBatch.strategy)
    with pytest.raises(AssertionError, match="of level agent, not batch"):
        check_batch_strategy(Careful.strategy)


def test_kinds_of_messages_are_tried_that_the_tests_speak_of() -> None:
    assert {int(it) for it in MessageKind} == set(range(5))


def test_no_thread_is_left() -> None:
    check_strategy(Careful.strategy, seeds=range(2), options={"names": []})
    assert not [it for it in threading.enumerate() if it.name == "simlab strategies"]
