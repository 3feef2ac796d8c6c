"""What a model wants to do is held against the market's own rules, all orders of a decision together."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from simlab.agents.batch import batch_strategy
from simlab.agents.llm.answers import Move
from simlab.agents.llm.rules import broken_rules
from simlab.core.types import EventKind
from simlab.kernel.simulation import Simulation
from simlab.kernel.spec import Activation, Population, SimulationSpec
from simlab.market.instruments import AccountPolicy, Instrument

SHARE = Instrument("ACME", 100, tick_size=5, lot_size=2, price_band=(50, 200), multiplier=3)
BOND = Instrument("BOLT", 100, price_band=(50, 200))


@batch_strategy("looker", "Shows a script what it sees.", options=("look",))
class Looker:
    """Calls ``look(observation, orders)``."""

    def __init__(self, look: Callable[[Any, Any], None]) -> None:
        self.look = look

    def decide(self, observation: Any, orders: Any) -> None:
        self.look(observation, orders)


class Log:
    """A sink that keeps events."""

    def __init__(self) -> None:
        self.parts: list[Any] = []

    def events(self, events: Any) -> None:
        self.parts.append(events.copy())

    def rows(self, table: str, columns: dict[str, Any]) -> None:
        pass


def buy(quantity: int, price: int | None, instrument: int = 1) -> Move:
    return Move("buy", instrument, quantity, price)


def sell(quantity: int, price: int | None, instrument: int = 1) -> Move:
    return Move("sell", instrument, quantity, price)


def judged(moves: list[Move], *, before: Any = None, **policy: Any) -> tuple[list[str], list[str]]:
    """Return what is complained of, and what the market refuses when it is sent all the same.

    `before` sends what rests by then.
    """
    complaints: list[str] = []

    def look(observation: Any, orders: Any) -> None:
        if observation.step == 0 and before is not None:
            before(orders)
        if observation.step == 1:
            complaints.extend(broken_rules(observation, 0, moves))
            for move in moves:
                send(orders, move)

    terms = {"cash": 10_000, "inventory": (("ACME", 10), ("BOLT", 10))} | policy
    people = Population(
        "me",
        Looker.strategy,
        1,
        np.zeros((1, 0)),
        options={"look": look},
        activation=Activation(period=1),
        account=AccountPolicy(**terms),
    )
    sink = Log()
    made = Simulation(SimulationSpec(1, 3, (SHARE, BOND), (people,)), sink)
    made.advance()
    made.finish()
    events = np.concatenate(sink.parts)
    return complaints, [str(it["reason"]) for it in events[events["kind"] == EventKind.REJECTED]]


def send(orders: Any, move: Move) -> None:
    if move.action == "cancel":
        orders.cancel([0], move.order_id)
    elif move.action == "cancel_all":
        orders.cancel_all([0])
    elif move.price is None:
        orders.market([0], move.action, move.quantity, instrument=move.instrument)
    else:
        orders.limit([0], move.action, move.price, move.quantity, instrument=move.instrument)


def rests(*moves: Move) -> Any:
    return lambda orders: [send(orders, move) for move in moves]


CANCEL = Move("cancel", order_id=1)
ALL = Move("cancel_all")
GOOD = [
    ([buy(10, 100)], None, {}),
    ([buy(50, 100), buy(50, 100)], None, {}),
    ([buy(10, 100, 0), buy(70, 100)], None, {}),
    ([sell(5, 100), sell(5, 110)], None, {}),
    ([CANCEL, buy(100, 100)], rests(buy(90, 60)), {}),
    ([ALL, buy(100, 100)], rests(buy(40, 60), buy(90, 60)), {}),
    ([CANCEL, sell(10, 100)], rests(sell(8, 120)), {}),
    ([CANCEL, buy(5, 100)], rests(buy(1, 60)), {"max_open_orders": 1}),
    ([buy(4, 100), sell(10, 120)], None, {"position_limit": 14}),
    ([CANCEL, buy(4, 100)], rests(buy(4, 60)), {"position_limit": 14}),
    ([sell(20, 100)], None, {"short_limit": 10}),
    ([buy(10_000, 100)], None, {"borrowing": -1}),
]
BAD = [
    ([buy(101, 100)], None, {}, "not enough cash: it can cost 10100, and 10000 is available"),
    ([buy(50, 100), buy(51, 100)], None, {}, r"orders\[1\]: not enough cash: it can cost 5100, and 5000"),
    ([buy(90, 100)], rests(buy(50, 60)), {}, "it can cost 9000, and 7000 is available"),
    ([CANCEL, buy(100, 101)], rests(buy(50, 60)), {}, "it can cost 10100, and 10000 is available"),
    ([sell(11, 100)], None, {}, "you hold 10 lots of BOLT, 0 of them on sale"),
    ([sell(5, 100), sell(6, 100)], None, {}, r"orders\[1\]: you hold 10 lots of BOLT, 5 of them on sale"),
    ([CANCEL, sell(11, 100)], rests(sell(5, 120)), {}, "you hold 10 lots of BOLT, 0 of them on sale"),
    ([sell(21, 100)], None, {"short_limit": 10}, "may not sell so many more"),
    ([buy(4, 100), buy(1, 100)], None, {"position_limit": 14}, r"orders\[1\]: your position would go beyond"),
    ([buy(2, 101, 0)], None, {}, "price 101 is not a multiple of the tick size; use 100 or 105"),
    ([buy(1, 100, 0)], None, {}, "quantity 1 is not a multiple of the lot size; use 2"),
    ([buy(5, 100, 0)], None, {}, "quantity 5 is not a multiple of the lot size; use 4 or 6"),
    ([buy(1, 201)], None, {}, "price 201 is outside of the prices allowed, 50 to 200"),
    ([buy(1, 60)], rests(buy(1, 60)), {"max_open_orders": 1}, r"as many open orders as you may \(1\)"),
]


@pytest.mark.parametrize(("moves", "before", "policy"), GOOD)
def test_what_the_market_takes_passes(moves: list[Move], before: Any, policy: dict[str, Any]) -> None:
    assert judged(moves, before=before, **policy) == ([], [])


@pytest.mark.parametrize(("moves", "before", "policy", "message"), BAD)
def test_what_the_market_refuses_is_told_before(
    moves: list[Move], before: Any, policy: dict[str, Any], message: str
) -> None:
    complaints, refused = judged(moves, before=before, **policy)
    assert len(refused) == len(complaints) == 1
    assert re.search(message, complaints[0])


@pytest.mark.parametrize(
    ("moves", "message"),
    [
        ([Move("cancel", order_id=7)], "you have no open order 7; your open orders: 1"),
        ([CANCEL, CANCEL], r"orders\[1\]: you have no open order 1; your open orders: none"),
        ([ALL, CANCEL], r"orders\[1\]: you have no open order 1"),
    ],
)
def test_only_own_open_orders_can_be_cancelled(moves: list[Move], message: str) -> None:
    complaints, _ = judged(moves, before=rests(buy(1, 60)))
    assert len(complaints) == 1
    assert re.search(message, complaints[0])


def test_an_order_at_the_market_costs_what_is_on_show() -> None:
    """Nobody sells, so nothing can be bought and nothing can cost too much."""
    assert judged([buy(10_000, None)]) == ([], [])
