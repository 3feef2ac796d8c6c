"""What happens from outside: fat fingers, halts, populations that leave and join, and orders that expire."""

from __future__ import annotations

import numpy as np
from small_markets import SHARE, acts, population, run, scripted, simulation

from simlab.agents.library import STRATEGIES
from simlab.core.types import EventKind, MessageKind, Reason, Side
from simlab.kernel import Latency
from simlab.kernel.conformance import messages
from simlab.market.instruments import Instrument
from simlab.processes import FatFinger, Halt, Join, Leave


def quote(observation, orders):
    orders.limit("buy", 990, 5)
    orders.limit("sell", 1_010, 5)


def test_a_fat_finger_trades_from_the_error_account_before_anybody_acts() -> None:
    seen: list[int | None] = []

    def look(number, observation, orders):
        seen.append(observation.best_bid)

    simulation, log = run(
        scripted("a", acts({0: quote})),
        scripted("b", look),
        steps=4,
        shocks=[FatFinger(2, "M", Side.SELL, 8)],
    )
    events = log.all[log.all["step"] == 2]
    assert events["kind"].tolist() == [EventKind.ACCEPTED, EventKind.FILL, EventKind.CANCELLED]
    assert events["account"].tolist() == [simulation.error_account] * 3
    assert events["quantity"].tolist() == [8, 5, 3]
    assert seen[1:] == [990, None, None]
    assert simulation.state.ledger.accounts["cash"][simulation.error_account] == 5 * 990
    assert simulation.state.ledger.positions["inventory"][simulation.error_account] == -5
    assert simulation.agent_name(simulation.error_account) == "exchange/errors"


def test_a_fat_finger_comes_before_what_simultaneous_agents_see() -> None:
    seen: list[int | None] = []
    run(
        scripted("a", acts({0: quote})),
        scripted("b", lambda number, observation, orders: seen.append(observation.best_bid)),
        steps=4,
        simultaneous=True,
        shocks=[FatFinger(2, "M", Side.SELL, 8)],
    )
    assert seen == [None, 990, None, None]


def test_a_halt_of_all_instruments_is_seen_and_ends() -> None:
    halted: list[list[bool]] = []

    def script(number, observation, orders):
        halted.append([market.halted for market in observation.markets.values()])
        orders.limit("buy", 1, 1)
        orders.limit("buy", 1, 1, instrument="N")

    _, log = run(
        scripted("a", script), steps=5, instruments=(SHARE, Instrument("N", 5)), shocks=[Halt(1, None, 2)]
    )
    assert halted == [[False] * 2, [True] * 2, [True] * 2, [False] * 2, [False] * 2]
    refused = log.all[log.all["kind"] == EventKind.REJECTED]
    assert sorted(refused["step"]) == [1, 1, 2, 2]
    assert set(refused["reason"]) == {Reason.MARKET_HALTED}


def test_what_travelled_before_a_halt_is_refused_in_it() -> None:
    _, log = run(
        scripted("a", lambda number, observation, orders: orders.limit("buy", 1, 1), latency=Latency(2, 2)),
        steps=6,
        shocks=[Halt(3, "M", 1)],
    )
    assert log.all["step"].tolist() == [2, 3, 4, 5]
    assert (log.all["kind"] == EventKind.REJECTED).tolist() == [False, True, False, False]


def test_those_who_leave_cancel_first_and_come_back_with_what_they_own() -> None:
    held: list[tuple[int, int]] = []

    def maker(number, observation, orders):
        held.append((observation.step, observation.inventory))
        if observation.open_orders == 0:
            quote(observation, orders)

    seller = acts({1: lambda observation, orders: orders.market("sell", 2)})
    _, log = run(scripted("a", maker), scripted("b", seller), steps=8, shocks=[Leave(3, "a"), Join(6, "a")])
    gone = log.all[log.all["kind"] == EventKind.CANCELLED]
    assert gone["step"].tolist() == [3, 3]
    assert gone["quantity"].tolist() == [3, 5]
    assert [step for step, _ in held] == [0, 1, 2, 6, 7]
    assert held[-1] == (7, 2)


def test_those_who_leave_are_gone_at_once_and_nothing_of_theirs_arrives_later() -> None:
    _, log = run(
        scripted("a", acts({0: quote, 3: quote}), latency=Latency(2, 2), leaves=4),
        scripted("b", acts({3: quote}), latency=Latency(2, 2)),
        steps=8,
    )
    assert log.all["step"].tolist() == [2, 2, 4, 4, 5, 5]
    assert log.all["account"].tolist() == [0, 0, 0, 0, 1, 1]


def test_what_is_planned_comes_before_what_is_sent_and_to_those_who_left() -> None:
    market = simulation(
        scripted("a", acts({0: quote}), leaves=5),
        population("seats", STRATEGIES["outside"]),
        steps=10,
        shocks=[FatFinger(5, "M", Side.SELL, 8)],
    )
    seat = market.take_seat()
    market.advance(5)
    order = {"kind": MessageKind.MARKET, "side": Side.SELL, "quantity": 3, "account": seat}
    events = market.submit(messages(order))
    assert events["kind"].tolist() == [EventKind.ACCEPTED, EventKind.CANCELLED]
    assert market.snapshot().bids == market.snapshot().asks == ()


def test_orders_live_until_the_end_of_their_last_step() -> None:
    def act(observation, orders):
        orders.limit("buy", 100, 1, expiry=3)
        orders.limit("buy", 101, 1, expiry=1)
        orders.limit("buy", 102, 1)

    depths: dict[int, int] = {}

    def look(number, observation, orders):
        depths[observation.step] = len(observation.market.depth()[0])

    simulation, log = run(scripted("a", acts({0: act})), scripted("b", look), steps=6)
    expired = log.all[log.all["kind"] == EventKind.EXPIRED]
    assert expired[["step", "price"]].tolist() == [(2, 101), (4, 100)]
    assert [depths[step] for step in range(1, 6)] == [3, 2, 2, 1, 1]
    assert simulation.state.ledger.accounts["reserved"][0] == 102


def test_samples_are_of_the_ends_of_steps() -> None:
    _, log = run(
        scripted("a", acts({1: quote, 3: lambda observation, orders: orders.market("sell", 5)})), steps=5
    )
    assert log.column("quotes", "step").tolist() == [0, 1, 2, 3, 4]
    assert log.column("quotes", "best_bid").tolist() == [None, 990, 990, None, None]
    assert log.column("quotes", "ask_depth").tolist() == [0, 5, 5, 5, 5]
    assert log.column("quotes", "fundamental").tolist() == [1_000.0] * 5
    depth = log.tables["depth"][0]
    assert len(depth["step"]) == 0
    accounts = log.tables["accounts"][-1]
    assert set(accounts["step"]) == {4}
    assert np.array_equal(accounts["account"], [0, 1, 2])
