"""A simulation is a market, as the contract says; a journal of one session makes another like it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_markets import FREE, MIXED, EventLog, Loner, population, simulation

from simlab.agents.library import STRATEGIES
from simlab.config import build, load
from simlab.core.types import MessageKind, Side
from simlab.errors import SimlabError
from simlab.kernel import Market, Simulation, SimulationSpec
from simlab.kernel.conformance import MarketConformance, messages
from simlab.kernel.inbox import Entry, EntryKind, Inbox, Origin, Text, entry_of, rows_of
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


class Journal:
    """What a market tells of what enters it."""

    def __init__(self) -> None:
        self.told: list[tuple[NDArray[Any], list[Text]]] = []

    def __call__(self, rows: NDArray[Any], texts: list[Text]) -> None:
        self.told.append((rows, texts))

    @property
    def entries(self) -> list[Entry]:
        return [entry_of(row, texts) for rows, texts in self.told for row in rows]


def session(journal: Journal) -> tuple[Simulation, EventLog]:
    """Trade for a while in a lively market, and write down what entered."""
    log = EventLog()
    market = Simulation(mixed_spec(), log)
    market.journal = journal
    seat = market.take_seat("people")
    rng = np.random.default_rng(3)
    for step in (3, 4, 11, 20, 21, 22, 30):
        market.advance(step)
        for count in (1, 2):
            order = {"kind": MessageKind.LIMIT, "quantity": 5, "account": seat, "expiry": step + 4}
            drawn = [
                {"side": int(rng.integers(2)), "price": int(rng.integers(980, 1020))} for _ in range(count)
            ]
            market.submit(messages(*(order | it for it in drawn)))
        if step == 11:
            market.publish("Storm", impact=-15.0, sentiment=-0.8)
            market.halt(2, instrument=0)
        if step == 21:
            market.give_back(seat)
            seat = market.take_seat("people", cash=7_000)
        if step == 22:
            market.delist(market.list_instrument(Instrument("AAA", 700)))
    market.advance()
    market.finish()
    market.audit()
    return market, log


@pytest.mark.parametrize("piecewise", [False, True])
def test_a_journal_makes_the_same_market_event_for_event(piecewise: bool) -> None:
    journal = Journal()
    first, log = session(journal)
    again = EventLog()
    second = Simulation(mixed_spec(), again)
    for rows, texts in journal.told:
        second.replay(rows, texts)
        if piecewise:
            second.advance(int(rows["step"][-1]))
    second.advance()
    second.finish()
    second.audit()
    assert np.array_equal(log.all, again.all)
    assert second.capture().hash() == first.capture().hash()
    for name in ("news", "seats", "instruments"):
        assert log.tables[name] == again.tables[name]
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


def test_a_journal_is_told_once_a_call() -> None:
    journal = Journal()
    session(journal)
    assert {len(rows) for rows, _ in journal.told} == {1, 2}
    kinds = {entry.kind for entry in journal.entries}
    assert kinds == set(EntryKind) - {EntryKind.JOIN, EntryKind.LEAVE}
    numbers = [entry.number for entry in journal.entries]
    assert numbers == sorted(set(numbers))


def test_more_messages_at_once_than_there_was_room_for() -> None:
    market, journal = TestSimulation().make_market(), Journal()
    seat = market.take_seat("seats")
    market.journal = journal
    market.submit(messages({"price": 99, "quantity": 1, "account": seat}, {"quantity": 0, "account": seat}))
    many = np.repeat(messages({"price": 99, "quantity": 1, "account": seat}), 5_000)
    many[1::2] = messages({"kind": MessageKind.CANCEL, "order_id": 1, "account": seat, "instrument": 0})
    events = market.submit(many)
    rows, _ = journal.told[1]
    assert len(events) == len(rows) == 5_000
    assert rows["number"].tolist() == list(range(rows["number"][0], rows["number"][0] + 5_000))
    assert rows["order_id"][::2].tolist() == list(range(rows["order_id"][0], rows["order_id"][0] + 2_500))
    assert set(rows["order_id"][1::2].tolist()) == {1}
    assert (rows["order_id"] == events["order_id"]).all()


def test_what_is_refused_takes_no_numbers() -> None:
    market, journal = TestSimulation().make_market(), Journal()
    seat = market.take_seat("seats")
    market.journal = journal
    mine, other = ({"price": 99, "quantity": 1, "account": it} for it in (seat, seat + 1))
    first = market.submit(messages(mine))
    with pytest.raises(SimlabError, match=f"account {seat + 1} is not a seat that is taken"):
        market.submit(messages(mine, other))
    assert int(market.submit(messages(mine))["order_id"][0]) == int(first["order_id"][0]) + 1
    assert [it.number for it in journal.entries] == [journal.entries[0].number + i for i in range(2)]


def test_entries_are_plain_rows() -> None:
    journal = Journal()
    session(journal)
    inbox = Inbox()
    for rows, texts in journal.told:
        inbox.enter(rows, texts, now=0)
    shock = inbox.put(EntryKind.HALT, step=30, origin=Origin.SHOCKS, target=0, amount=1)
    assert len(inbox) == 1 + len(journal.entries)
    for _ in range(2):
        inbox = Inbox.from_rows(*inbox.to_rows(), inbox.number)
    taken = [entry_of(row, texts) for rows, texts in [inbox.take_written(40)] for row in rows]
    assert (taken, inbox.take(40), len(inbox)) == (journal.entries, [shock], 0)


def test_what_waits_to_be_replayed_is_a_part_of_the_state() -> None:
    journal = Journal()
    first, _ = session(journal)
    market = Simulation(mixed_spec())
    for rows, texts in journal.told:
        market.replay(rows, texts)
    market.advance(20)
    restored = Simulation.restore(market.spec, market.capture())
    restored.advance()
    assert restored.event_log_hash == first.event_log_hash


def test_a_journal_of_another_market_is_refused() -> None:
    market = simulation(population("seats", STRATEGIES["outside"]), steps=10)
    market.advance(6)
    seat = Entry(6, Origin.OUTSIDE, 0, EntryKind.SEAT_TAKEN, target=7)
    with pytest.raises(SimlabError, match="step 5 comes too late: step 6 is next"):
        market.replay(*rows_of([seat._replace(step=5)]))
    with pytest.raises(SimlabError, match="ENTRY"):
        market.replay(messages({"account": 0}))
    market.replay(*rows_of([seat]))
    with pytest.raises(SimlabError, match="SEAT_TAKEN 7, is not of this market"):
        market.advance()
    market = simulation(population("seats", STRATEGIES["outside"]), steps=10)
    market.replay(*rows_of([seat._replace(target=0), seat._replace(target=0, step=4)]))
    with pytest.raises(SimlabError, match="not in the order of their steps"):
        market.advance()


def test_an_inbox_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simlab.kernel.inbox.MOST_ENTRIES", 3)
    market = simulation(population("seats", STRATEGIES["outside"]), steps=10)
    entry = Entry(5, Origin.OUTSIDE, 0, EntryKind.HALT, 0, 1)
    with pytest.raises(SimlabError, match="inbox holds 3 entries"):
        market.replay(*rows_of([entry] * 4))


@pytest.mark.parametrize("activation", ["sequential", "simultaneous"])
@pytest.mark.parametrize("decisions", [1, 7])
def test_slices_change_nothing(activation: str, decisions: int) -> None:
    spec = build(load(MIXED | {"activation": activation}))
    whole, sliced = Simulation(spec), Simulation(spec)
    whole.advance()
    pauses, until = 0, 0
    while sliced.step < spec.steps:
        until += 1
        while not sliced.advance(until, decisions=decisions):
            pauses += 1
            before = sliced.activations
            for call in (sliced.capture, sliced.fork, lambda: sliced.halt(1)):
                with pytest.raises(SimlabError, match="in slices"):
                    call()
            assert sliced.activations == before
        assert sliced.step == until
    assert pauses > spec.steps // decisions
    assert sliced.capture().hash() == whole.capture().hash()
    assert sliced.event_log_hash == whole.event_log_hash


def test_a_step_in_slices_can_be_ended_at_once() -> None:
    spec = build(load(MIXED))
    whole, sliced = Simulation(spec), Simulation(spec)
    whole.advance()
    assert not sliced.advance(decisions=5)
    step = sliced.step
    assert sliced.advance(0)
    assert sliced.step == step + 1
    assert sliced.advance()
    assert sliced.event_log_hash == whole.event_log_hash


def test_seats_and_their_cash_are_recorded() -> None:
    log = EventLog()
    market = simulation(
        population("seats", STRATEGIES["outside"], 2, account=replace(FREE, cash=50)), sink=log, steps=9
    )
    market.advance(3)
    first, second = market.take_seat(cash=1_000), market.take_seat()
    order = {"kind": MessageKind.LIMIT, "price": 40, "quantity": 1}
    market.submit(messages(order | {"account": first}, order | {"account": second, "side": Side.SELL}))
    market.give_back(first)
    market.advance(5)
    assert market.take_seat() == first
    rows = {
        name: [row[name][0] for row in log.tables["seats"]] for name in ("step", "account", "event", "cash")
    }
    assert rows["step"] == [3, 3, 3, 5]
    assert rows["event"] == ["taken", "taken", "given_back", "taken"]
    assert rows["cash"] == [1_000, 50, 960, 960]
    market.audit()
    restored = Simulation.restore(market.spec, market.capture())
    restored.audit()
    restored.state.granted[first] += 1
    with pytest.raises(SimlabError, match="sum of cash"):
        restored.audit()


def test_a_delisted_instrument_stays_so() -> None:
    market = simulation(population("loners", Loner.strategy, 3), instruments=SHARES[:1], steps=20)
    market.advance(10)
    traded = market.snapshot().volume
    assert market.snapshot().asks
    market.delist(0)
    restored = Simulation.restore(market.spec, market.capture())
    for it in (market, restored):
        it.halt(1)
        it.advance()
        it.audit()
        assert (it.snapshot().bids, it.snapshot().asks) == ((), ())
        assert (it.snapshot().volume, it.snapshot().listed) == (traded, False)
    assert market.capture().hash() == restored.capture().hash()


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
