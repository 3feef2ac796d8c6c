"""A simulation is a market, as the contract says; a journal of one session makes another like it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from small_markets import MIXED, EventLog, Loner, population, simulation

from simlab.agents.library import STRATEGIES
from simlab.config import build, load
from simlab.core.types import MessageKind, Side
from simlab.errors import SimlabError
from simlab.kernel import Market, Simulation, SimulationSpec
from simlab.kernel.conformance import MarketConformance, messages
from simlab.kernel.inbox import Entry, Inbox
from simlab.market.instruments import Instrument

SHARES = (Instrument("A", 100), Instrument("B", 100))


class TestSimulation(MarketConformance):
    """The kernel's own market."""

    def make_market(self) -> Market:
        return simulation(population("seats", STRATEGIES["outside"], 3), instruments=SHARES, steps=30)


def mixed_spec() -> SimulationSpec:
    terms = {"cash": 10**6, "inventory": 100, "short_selling": "free"}
    people = {"people": {"strategy": "outside", "count": 2, "account": terms}}
    return build(load(MIXED | {"populations": MIXED["populations"] | people}))


def session(journal: list[Entry]) -> tuple[Simulation, EventLog]:
    """Trade for a while in a lively market, and write down what entered."""
    log = EventLog()
    market = Simulation(mixed_spec(), log)
    market.journal = journal.append
    seat = market.take_seat("people")
    rng = np.random.default_rng(3)
    for step in (3, 4, 11, 20, 21, 22, 30):
        market.advance(step)
        for _ in range(3):
            side, price = int(rng.integers(2)), int(rng.integers(980, 1020))
            order = {"kind": MessageKind.LIMIT, "side": side, "price": price, "quantity": 5, "account": seat}
            market.submit(messages(order | {"expiry": step + 4}))
        if step == 11:
            market.publish("Storm", impact=-15.0, sentiment=-0.8)
            market.halt(2, instrument=0)
        if step == 21:
            market.give_back(seat)
            seat = market.take_seat("people")
    market.advance()
    market.finish()
    market.audit()
    return market, log


def test_a_journal_makes_the_same_market_event_for_event() -> None:
    journal: list[Entry] = []
    first, log = session(journal)
    again = EventLog()
    second = Simulation(mixed_spec(), again)
    second.replay(journal)
    second.advance()
    second.finish()
    second.audit()
    assert np.array_equal(log.all, again.all)
    assert second.capture().hash() == first.capture().hash()
    assert log.tables["news"] == again.tables["news"]
    outside = [event for event in log.all if event["account"] in (first.state.seats.nonzero()[0])]
    assert len(outside) > 15


def test_a_session_that_nobody_speaks_in_is_the_batch_run() -> None:
    market, quiet = Simulation(mixed_spec()), Simulation(mixed_spec())
    market.take_seat("people")
    for step in range(41):
        market.advance(step)
        market.submit(messages())
    quiet.advance()
    assert market.event_log_hash == quiet.event_log_hash


def test_entries_are_plain_rows() -> None:
    journal: list[Entry] = []
    session(journal)
    inbox = Inbox()
    inbox.enter(journal)
    rows, texts = inbox.to_rows()
    assert list(Inbox.from_rows(rows, texts, inbox.number)) == list(inbox)
    assert [entry.kind for entry in inbox] == [entry.kind for entry in journal]
    assert not np.any(rows["number"][1:] < rows["number"][:-1])


def test_an_inbox_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simlab.kernel.inbox.MOST_ENTRIES", 3)
    market = simulation(population("seats", STRATEGIES["outside"]), steps=10)
    with pytest.raises(SimlabError, match="inbox holds 3 entries"):
        market.replay([Entry(5, 3, i, 3, 0, 1) for i in range(4)])  # type: ignore[arg-type]


def test_a_seat_never_acts_and_orders_of_agents_meet_it() -> None:
    market = simulation(
        population("seats", STRATEGIES["outside"], 1), population("loners", Loner.strategy, 3), steps=50
    )
    seat = market.take_seat()
    order: dict[str, Any] = {"kind": MessageKind.LIMIT, "price": 1_000, "quantity": 1_000, "account": seat}
    market.submit(messages(order | {"side": Side.SELL}))
    market.advance()
    account = market.account(seat)
    assert account.positions[0].inventory < 0
    assert account.cash == -1_000 * account.positions[0].inventory


def test_published_impact_moves_the_fundamental_from_now_on() -> None:
    spec = mixed_spec()
    market, other = Simulation(spec), Simulation(spec)
    for it in (market, other):
        it.advance(10)
    market.publish("Find", instrument=0, impact=50.0)
    count = len(spec.instruments)
    start = int(market.state.clock["block_start"][0])
    gap = (market.state.fundamental - other.state.fundamental).reshape(-1, count)
    assert np.allclose(gap[: 10 - start], 0)
    assert np.allclose(gap[10 - start :, 0], 50)
    assert np.allclose(gap[:, 1], 0)


def test_an_instrument_is_added_and_nothing_else_changes() -> None:
    spec = mixed_spec()
    plain, log, market = EventLog(), EventLog(), Simulation(spec, EventLog())
    market = Simulation(spec, log)
    quiet = Simulation(spec, plain)
    quiet.advance()
    quiet.finish()
    market.advance(17)
    number = market.list_instrument(Instrument("AAA", 700, tick_size=7, price_band=(7, 7_000)))
    assert (number, market.spec.instruments[number].name) == (2, "AAA")
    one, other = market.take_seat("people"), market.take_seat("people")
    order = {"kind": MessageKind.LIMIT, "instrument": number, "price": 700, "quantity": 4}
    market.submit(messages(order | {"account": one}, order | {"account": other, "side": Side.SELL}))
    assert market.account(one).positions[number].inventory == 4
    market.submit(messages(order | {"account": one, "price": 693}))
    market.advance(29)
    assert market.snapshot(number).bids == ((693, 4, 1),)
    market.publish("On AAA alone", instrument=number, impact=5.0)
    restored = Simulation.restore(market.spec, market.capture())
    for it in (market, restored):
        it.advance()
        it.audit()
    market.finish()
    assert market.capture().hash() == restored.capture().hash()
    assert market.state.fundamental.reshape(-1, 3)[-1, number] == 705
    old = log.all[log.all["instrument"] != number]
    fields = ["kind", "side", "reason", "flags", "instrument", "step", "account", "price", "quantity"]
    assert np.array_equal(old[fields], plain.all[fields])
    assert log.tables["instruments"][0]["name"] == ["AAA"]


def test_an_instrument_is_added_only_once() -> None:
    market = simulation(population("seats", STRATEGIES["outside"]), instruments=SHARES)
    with pytest.raises(SimlabError, match="instrument 'A' already"):
        market.list_instrument(Instrument("A", 5))
