"""What a run did to its book, the reference book does too: accepted messages replayed, events compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from small_markets import FREE, MIXED, EventLog, muddler, population, simulation

from simlab.config import build, load
from simlab.core.types import (
    EVENT_DTYPE,
    FLAG_MARKET,
    FLAG_POST_ONLY,
    EventKind,
    MessageKind,
    Reason,
    SelfTrade,
    Side,
)
from simlab.engine.reference import ReferenceOrderBook
from simlab.kernel import Activation, Latency, RecordingPlan, Simulation
from simlab.market.instruments import Instrument

COMPARED = [name for name in EVENT_DTYPE.names or () if name != "sequence"]
"""Fields of an event that do not count the refusals that the reference book never sees."""


def message_of(event: Any, expiries: dict[int, int]) -> dict[str, int] | None:
    """Return the message that an event answers, or None if the event is only a consequence."""
    names = ("side", "price", "quantity", "order_id", "account", "instrument")
    message = {name: int(event[name]) for name in names}
    kind, flags = EventKind(int(event["kind"])), int(event["flags"])
    if kind is EventKind.ACCEPTED:
        message["kind"] = MessageKind.MARKET if flags & FLAG_MARKET else MessageKind.LIMIT
        message["time_in_force"] = flags & 3
        message["post_only"] = bool(flags & FLAG_POST_ONLY)
        message["expiry"] = expiries.get(message["order_id"], 0)
    elif kind is EventKind.REPLACED:
        message["kind"] = MessageKind.REPLACE
    elif kind is EventKind.CANCELLED and event["reason"] == Reason.REQUESTED:
        message["kind"] = MessageKind.CANCEL
    else:
        return None
    return message


def replay(events: NDArray[Any], book: ReferenceOrderBook) -> Iterator[NDArray[Any]]:
    """Send a book what gave these events; yield its own."""
    expired = events[events["kind"] == EventKind.EXPIRED]
    expiries = dict(zip(expired["order_id"].tolist(), (expired["step"] - 1).tolist(), strict=True))
    step = -1
    for event in events:
        for passed in range(step + 1, int(event["step"]) + 1):
            yield book.advance(passed)
            step = passed
        message = message_of(event, expiries)
        if message is not None:
            yield book.apply(**message)


def check_against_reference(simulation: Simulation, log: EventLog) -> NDArray[Any]:
    """Run a simulation and compare its events and its last book; return the events."""
    simulation.advance()
    simulation.finish()
    simulation.audit()
    events = log.all
    assert np.array_equal(events["sequence"], np.arange(len(events)))
    events = events[events["kind"] != EventKind.REJECTED]
    book = ReferenceOrderBook(
        len(simulation.spec.instruments), accounts=len(simulation.state.ledger.accounts)
    )
    for i, item in enumerate(simulation.spec.instruments):
        book.set_self_trade(i, item.self_trade)
    answered = np.concatenate(list(replay(events, book)))
    for found, expected in zip(events[COMPARED].tolist(), answered[COMPARED].tolist(), strict=True):
        assert found == expected
    book.check()
    assert last_depth(log) == [
        (instrument, side, *level)
        for instrument in range(book.instruments)
        for side in Side
        for level in book.snapshot(side, depth=10, instrument=instrument)
    ]
    return events


def last_depth(log: EventLog) -> list[tuple[int, ...]]:
    columns = log.tables["depth"][-1]
    names = ("instrument", "side", "price", "depth", "orders")
    return list(zip(*(columns[name].tolist() for name in names), strict=True))


@pytest.mark.parametrize("policy", list(SelfTrade))
@pytest.mark.parametrize("seed", [1, 2])
def test_muddled_orders(policy: SelfTrade, seed: int) -> None:
    shares = (
        Instrument("M", 100, self_trade=policy),
        Instrument("N", 500, tick_size=5, lot_size=10, self_trade=policy),
    )
    log = EventLog()
    market = simulation(
        population("fast", muddler, 3),
        population("slow", muddler, 3, latency=Latency(0, 3), activation=Activation(rate=0.6)),
        population("few", muddler, 2, account=replace(FREE, position_limit=60), instruments=("M",)),
        steps=120,
        instruments=shares,
        seed=seed,
        sink=log,
        recording=RecordingPlan(depth_every=1),
    )
    events = check_against_reference(market, log)
    assert (events["kind"] == EventKind.FILL).sum() > 100
    assert set(events["kind"]) == set(EventKind) - {EventKind.REJECTED}
    assert (Reason.SELF_TRADE in events["reason"]) == (policy is not SelfTrade.OFF)


@pytest.mark.parametrize("activation", ["sequential", "simultaneous"])
@pytest.mark.parametrize("seed", [3, 4])
def test_mixed_markets(activation: str, seed: int) -> None:
    log = EventLog()
    spec = build(load(MIXED | {"activation": activation, "seed": seed}))
    market = Simulation(replace(spec, recording=RecordingPlan(depth_every=1)), sink=log)
    events = check_against_reference(market, log)
    assert (events["kind"] == EventKind.FILL).sum() > 30
