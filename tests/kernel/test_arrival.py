"""When messages arrive: turns in a step, latency, and the order of what arrives together."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from small_markets import SHARE, ScriptedBatch, beacon, population, run, scripted

from simlab.core.types import EventKind
from simlab.kernel import Latency
from simlab.market.instruments import Instrument

LAST_BID = 1_000


def outbidders(count: int, **terms) -> dict[int, list[tuple[int | None, int]]]:
    """Let agents outbid whoever is best; return for each step (best bid seen, own bid) in order of acting."""
    seen: dict[int, list[tuple[int | None, int]]] = defaultdict(list)

    def script(number, observation, orders):
        bid = LAST_BID if observation.best_bid is None else observation.best_bid + 1
        seen[observation.step].append((observation.best_bid, bid))
        assert observation.market.best_bid == observation.best_bid
        orders.limit("buy", bid, 1)

    run(scripted("p", script, count), steps=5, **terms)
    return seen


def test_sequential_agents_see_each_others_orders() -> None:
    seen = outbidders(4)
    looks = [look for step in range(5) for look in seen[step]]
    bids = [LAST_BID + i for i in range(20)]
    assert looks == list(zip([None, *bids], bids, strict=False))


def test_simultaneous_agents_see_the_book_as_it_was() -> None:
    seen = outbidders(4, simultaneous=True)
    for step in range(5):
        before = None if step == 0 else LAST_BID + step - 1
        assert seen[step] == [(before, LAST_BID + step)] * 4


@pytest.mark.parametrize("simultaneous", [False, True])
def test_messages_of_one_step_arrive_in_the_order_of_acting(simultaneous: bool) -> None:
    acted: list[tuple[int, int]] = []

    def script(number, observation, orders):
        acted.extend((observation.step, orders.limit("buy", 5 + i, 1)) for i in range(2))

    def batch(observation, orders):
        ids = orders.limit(np.arange(3), 0, 7, 1)
        acted.extend((observation.step, int(order_id)) for order_id in ids)

    _, log = run(
        scripted("p", script, 4),
        population("q", ScriptedBatch.strategy, 3, options={"script": batch}),
        steps=20,
        simultaneous=simultaneous,
    )
    assert list(zip(log.all["step"], log.all["order_id"], strict=True)) == acted


def test_order_of_acting_changes_from_step_to_step() -> None:
    orders_seen = set()
    _, log = run(population("p", beacon, 3), steps=60)
    for step in range(60):
        orders_seen.add(tuple(log.all[log.all["step"] == step]["account"]))
    assert len(orders_seen) == 6


@pytest.mark.parametrize("simultaneous", [False, True])
@pytest.mark.parametrize("latency", [0, 1, 3])
def test_constant_latency(latency: int, simultaneous: bool) -> None:
    _, log = run(
        population("p", beacon, 5, latency=Latency(latency, latency)), steps=30, simultaneous=simultaneous
    )
    events = log.all
    assert len(events) == 5 * (30 - latency)
    assert set(events["step"] - (events["quantity"] - 1)) == {latency}
    assert np.array_equal(events["order_id"], np.sort(events["order_id"])), "first sent, first arrived"


@pytest.mark.parametrize("simultaneous", [False, True])
def test_drawn_latency_is_uniform_and_keeps_the_order_of_sending(simultaneous: bool) -> None:
    steps, agents = 300, 20
    _, log = run(
        population("p", beacon, agents, latency=Latency(2, 5)), steps=steps, simultaneous=simultaneous
    )
    events = log.all
    took = events["step"] - (events["quantity"] - 1)
    n = agents * (steps - 5)
    counts = np.bincount(took[events["quantity"] - 1 < steps - 5], minlength=6)
    assert counts[:2].sum() == 0
    assert (abs(counts[2:] - n / 4) < 5 * (n * 3 / 16) ** 0.5).all()
    assert counts.sum() == n
    for step in range(steps):
        ids = events["order_id"][events["step"] == step]
        assert np.array_equal(ids, np.sort(ids))


def test_each_message_of_a_decision_draws_its_own_latency() -> None:
    def script(number, observation, orders):
        for _ in range(8):
            orders.limit("buy", 1, observation.step + 1)

    _, log = run(scripted("p", script, latency=Latency(0, 9)), steps=100)
    took = defaultdict(set)
    for event in log.all:
        took[int(event["quantity"])].add(int(event["step"] - event["quantity"] + 1))
    assert np.mean([len(values) for values in took.values()]) > 4


def test_messages_that_travelled_come_before_those_of_the_step() -> None:
    slow = scripted(
        "slow", lambda number, observation, orders: orders.limit("buy", 2, 1), latency=Latency(1, 1)
    )
    fast = scripted("fast", lambda number, observation, orders: orders.limit("buy", 1, 1))
    _, log = run(slow, fast, steps=10)
    for step in range(1, 10):
        assert log.all["price"][log.all["step"] == step].tolist() == [2, 1]


def test_messages_still_travelling_at_the_end_never_arrive() -> None:
    simulation, log = run(population("p", beacon, 2, latency=Latency(50, 50)), steps=50)
    assert len(log.all) == 0
    assert simulation.messages == 0
    assert simulation.activations == 100


def test_an_order_that_expires_on_its_way_is_refused() -> None:
    def script(number, observation, orders):
        if observation.step == 0:
            orders.limit("buy", 5, 1, expiry=2)
            orders.limit("buy", 6, 1, expiry=3)

    _, log = run(scripted("p", script, latency=Latency(3, 3)), steps=6)
    kinds = list(zip(log.all["step"], log.all["kind"], log.all["price"], strict=True))
    assert kinds == [(3, EventKind.REJECTED, 5), (3, EventKind.ACCEPTED, 6), (4, EventKind.EXPIRED, 6)]


def test_messages_in_two_instruments_draw_latencies_of_their_own() -> None:
    _, log = run(
        population("p", beacon, 3, latency=Latency(0, 20)),
        steps=40,
        instruments=(SHARE, Instrument("N", 1_000)),
    )
    took = defaultdict(list)
    for event in log.all:
        took[int(event["account"]), int(event["quantity"])].append(int(event["step"] - event["quantity"] + 1))
    both = [pair for pair in took.values() if len(pair) == 2]
    assert sum(first == second for first, second in both) < len(both) / 3
