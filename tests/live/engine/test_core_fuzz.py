"""Whatever is asked, in whatever order and by whomever: one answer each, and the books add up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from simlab.config import build, load
from simlab.kernel.simulation import Simulation
from simlab.live.engine.core import Core
from simlab.live.engine.floor import Floor
from simlab.live.engine.log import Log
from simlab.live.engine.news import NewsShelf
from simlab.live.engine.orders import Orders
from simlab.live.engine.reading import Listing
from simlab.live.engine.registry import Client, Registry
from simlab.live.engine.tape import Tape
from simlab.live.protocol import ACTIONS, decode, encode_all
from simlab.live.settings import settings_of

MARKET = {
    "steps": 30,
    "instruments": {"ACME": {"initial_price": 100, "tick_size": 2, "lot_size": 1}},
    "live": {
        "seats": {"count": 4, "account": {"max_open_orders": 5}},
        "limits": {"agents": 3, "instruments": 3},
    },
}
CLIENTS, SESSIONS = 3, 2
WHOLE = st.sampled_from([-(2**62), -1, 0, 1, 2, 3, 98, 99, 100, 102, 2**31, 2**62])
NAMES = st.sampled_from(["ann", "bob", "X"])
TYPICAL: dict[str, st.SearchStrategy[Any]] = {
    "id": st.integers(0, 6) | NAMES | WHOLE,
    "order_id": st.integers(0, 20),
    "price": st.sampled_from([98, 100, 102]) | WHOLE,
    "qty": st.integers(1, 4) | WHOLE,
    "side": st.sampled_from([0, 1, "buy", "sell"]),
    "type": st.sampled_from(["limit", "market"]),
    "time_in_force": st.sampled_from(["GTC", "IOC", "FOK"]),
    "post_only": st.booleans(),
    "symbol_id": st.just(1) | WHOLE,
    "agent_id": NAMES,
    "session_token": NAMES,
    "name": NAMES,
    "headline": NAMES,
    "impact": st.floats(-1e9, 1e9),
    "sentiment": st.floats(-1, 1),
    "starting_capital": WHOLE,
    "cancel_on_disconnect": st.booleans(),
    "join": st.booleans(),
    "depth": st.integers(1, 5),
    "limit": st.integers(1, 5),
    "interval": st.integers(1, 100),
    "n": st.integers(1, 3),
    "steps_per_second": st.floats(0.1, 100) | st.just("max"),
    "ticker": st.sampled_from(["NEW", "ACME", "B.", ".", "é"]),
    "initial_price": WHOLE,
    "tick_size": WHOLE,
    "lot_size": WHOLE,
    "price_unit": st.floats(1e-9, 1e9),
    "price_band": st.tuples(WHOLE, WHOLE),
    "channels": st.lists(st.sampled_from(["orders", "trades", "book", "agents"])),
    "symbol_ids": st.lists(WHOLE, max_size=2),
}
_FLAT = st.fixed_dictionaries({}, optional=TYPICAL)
_ORDER = st.fixed_dictionaries(
    {name: TYPICAL[name] for name in ("side", "price", "qty")},
    optional={
        name: TYPICAL[name] for name in ("id", "type", "time_in_force", "post_only", "agent_id", "symbol_id")
    },
)
_INSTRUMENT = st.fixed_dictionaries(
    {name: TYPICAL[name] for name in ("ticker", "initial_price")},
    optional={name: TYPICAL[name] for name in ("tick_size", "lot_size", "price_unit", "price_band")},
)
_ADD = st.fixed_dictionaries({"action": st.just("add"), "order": _ORDER})
_LIST = st.fixed_dictionaries({"action": st.just("add_instrument"), "instrument": _INSTRUMENT})
_ANY = st.builds(lambda fields, action: {**fields, "action": action}, _FLAT, st.sampled_from(ACTIONS))
REQUEST = st.tuples(
    st.integers(0, CLIENTS - 1),
    st.integers(0, SESSIONS - 1),
    _ADD | _ADD | _LIST | _ANY | st.just({"action": "leave"}),
)
PLANS = st.lists(st.lists(REQUEST, max_size=12) | st.just("step"), max_size=8)


@contextmanager
def _core() -> Iterator[Core]:
    config = load(MARKET)
    floor = Floor(Orders(), Tape(), NewsShelf())
    simulation = Simulation(build(config), sink=floor)
    try:
        floor.open(simulation)
        yield Core(floor, Registry(), settings_of(config), Log(), listings=[Listing("ACME", "", "", 0.0)])
    finally:
        simulation.close()


def _lines(client: Client) -> list[dict[str, Any]]:
    text = encode_all(client.answers) + b"".join(client.lines)
    client.answers.clear()
    client.lines.clear()
    return [json.loads(it) for it in text.splitlines()]


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(PLANS)
def test_all_is_answered_and_adds_up(plan: list[Any]) -> None:
    with _core() as core:
        simulation = core.floor.simulation
        clients = [Client() for _ in range(CLIENTS)]
        for part in plan:
            if part == "step":
                core.begin()
                simulation.advance(simulation.step + 10)
                core.floor.flush()
                core.tell()
                core.tell_books(1e12)
                continue
            for number, session, request in part:
                if request["action"] == "leave":
                    core.leave(clients[number])
                    clients[number] = Client()
                    continue
                request = {**request, "session": session}
                core.take([(clients[number], [decode(json.dumps(request).encode())])])
                answers = [it for it in _lines(clients[number]) if "status" in it]
                assert [it["status"] in ("success", "error") for it in answers] == [True]
        _check(core)


def _check(core: Core) -> None:
    floor = core.floor
    simulation = floor.simulation
    simulation.audit()
    assert len(floor.orders.open) == simulation.resting_orders
    resting = [core.floor.simulation.snapshot(n, depth=1000) for n in range(len(core.listings))]
    lots = sum(quantity for book in resting for _, quantity, _ in (*book.bids, *book.asks))
    assert sum(it.remaining for it in floor.orders.open.values()) == lots
    for agent_id, owners in core.registry.owners.items():
        assert owners
        assert all(agent_id in session.agents for session in owners)
    guests = [session.guest for session in core.registry.guests.values() if session is not None]
    assert len(guests) == len(set(guests))


@pytest.mark.parametrize("together", [1, 3, 50])
def test_requests_that_come_together_are_answered_as_if_one_after_the_other(together: int) -> None:
    def request(n: int) -> bytes:
        if n % 5 == 0:
            return json.dumps({"action": "cancel", "id": n * 11 % 37}).encode()
        order = {"id": n % 37, "side": n // 3 % 2, "price": 100 + 2 * (n * 7 % 5 - 2), "qty": 1 + n % 3}
        return json.dumps({"action": "add", "order": order}).encode()

    answers = []
    for size in (1, together):
        with _core() as core:
            clients = [Client(), Client()]
            asked = [(clients[n * 5 % 3 % 2], [decode(request(n))]) for n in range(150)]
            for start in range(0, len(asked), size):
                core.take(asked[start : start + size])
            # a cancel of what was filled with it takes a number of its own
            answers.append([[it | {"sequence": 0} for it in _lines(client)] for client in clients])
            _check(core)
    assert answers[0] == answers[1]
    every = [it for each in answers[0] for it in each]
    assert {"filled", "resting", "partially_filled", "cancelled"} <= {it.get("state") for it in every}
    assert any(it.get("duplicate") for it in every)
