"""Strategies of all levels decide for a client as they do in a kernel, in their order of deciding."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from simlab.agents.library import STRATEGIES as STRATEGIES_KNOWN
from simlab.config import build, load
from simlab.core.types import MESSAGE_DTYPE, MessageKind, Reason, Side
from simlab.errors import LiveError
from simlab.kernel.decisions import Turn
from simlab.kernel.simulation import Simulation
from simlab.live.agents.account import Account, SentOrder
from simlab.live.agents.host import ClientHost
from simlab.live.agents.mirror import Listing, Mirror
from simlab.live.agents.troupe import Ids, Troupe
from simlab.live.playable import require_playable

STRATEGIES = """
import asyncio
import threading

from simlab.agents.batch import batch_strategy
from simlab.agents.each import agent_strategy


@agent_strategy("looker", "Keeps what it saw, and buys at the best bid.")
class Looker:
    def __init__(self, size: int = 1):
        self.size, self.seen = size, []
    def decide(self, observation, orders):
        market = observation.market
        self.seen.append((observation.step, observation.best_bid, market.signal, observation.cash,
                          [tuple(it) for it in market.fills], len(market.orders)))
        orders.limit("buy", observation.best_bid, self.size)
        orders.note(reason="the bid is good")


@agent_strategy("meeting", "Buys when all three agents decide at the same time.")
class Meeting:
    barrier = threading.Barrier(3, timeout=60)
    def decide(self, observation, orders):
        self.barrier.wait()
        orders.market("buy", 1)


@batch_strategy("held", "Decides when it is let.")
class Held:
    def __init__(self):
        self.let = threading.Event()
    def decide(self, observation, orders):
        if not self.let.wait(60):
            raise TimeoutError("whoever lets it was held up")
        orders.limit(observation.index >= 0, "sell", 10_010, 1)


@agent_strategy("waiter", "Waits, and then sells.")
class Waiter:
    async def decide(self, observation, orders):
        await asyncio.sleep(0)
        orders.market("sell", 2)


@agent_strategy("broken", "Fails.")
class Broken:
    def decide(self, observation, orders):
        orders.market("sell", 2)
        raise ValueError("no idea")


@batch_strategy("picky", "Leaves those with an even number to others.")
class Picky:
    async def decide(self, observation, orders):
        even = observation.index % 2 == 0
        orders.pass_on(even, "even", "it is not odd")
        orders.limit(~even, "sell", int(observation.best_ask[0]), 3)
"""


def market(population: dict[str, Any], folder: Path) -> dict[str, Any]:
    (folder / "mine.py").write_text(STRATEGIES)
    return {
        "steps": 1_000,
        "instruments": {"ACME": {"initial_price": 10_000}},
        "populations": {
            "mine": {"count": 3, "account": {"cash": 1_000_000, "short_selling": "free"}} | population
        },
    }


class Stage:
    """A market with a book, and agents who have seen nothing yet."""

    def __init__(self, population: dict[str, Any], folder: Path) -> None:
        (folder / "strategies").mkdir(exist_ok=True)
        file = folder / "market.yaml"
        file.write_text(yaml.safe_dump(market(population, folder)))
        self.spec = build(load(file))
        self.mirror = Mirror()
        self.mirror.take_listing(Listing(0, "ACME", 10_000))
        self.mirror.take_book(0, [(9_990, 5), (9_980, 9)], [(10_010, 7)], halted=False)
        self.mirror.advance(50)
        self.accounts = {i: Account(f"mine-{i}", f"mine/{i}", cash=1_000_000) for i in range(3)}
        self.troupe = Troupe(
            self.spec,
            0,
            self.mirror,
            self.accounts,
            np.array([0]),
            Ids(1),
            signals=lambda number: 10_100.0,
            shared={},
            resources={},
        )

    def decide(self, *agents: int) -> list[Turn]:
        return asyncio.run(self.troupe.decide(np.array(agents)))


def told(messages: NDArray[np.void]) -> list[tuple[int, ...]]:
    return [tuple(int(it[n]) for n in ("account", "kind", "side", "price", "quantity")) for it in messages]


def test_an_agent_of_its_own_sees_the_market_and_its_fills(tmp_path: Path) -> None:
    stage = Stage({"strategy": "mine.py:Looker", "parameters": {"size": 4}, "signal_noise": 0}, tmp_path)
    [turn] = stage.decide(1)
    assert told(turn.messages) == [(1, MessageKind.LIMIT, Side.BUY, 9_990, 4)]
    assert turn.asides.facts(1)["reason"] == ["the bid is good"]
    number = int(turn.messages["order_id"][0])
    stage.accounts[1].sent(SentOrder(number, 0, Side.BUY, 9_990, 4))
    stage.accounts[1].take_rest(number, 77)
    stage.accounts[1].take_fill(number, filled=3, average_price=9_989.0, step=51)
    stage.mirror.advance(52)
    stage.decide(1)
    looker = stage.troupe._objects[0][1]
    assert looker.seen == [
        (50, 9_990, 10_100.0, 1_000_000, [], 0),
        (52, 9_990, 10_100.0, 1_000_000, [(51, 3, 9_989, number)], 1),
    ]
    assert stage.accounts[1].fills(0) == []


def test_fills_that_come_while_an_agent_thinks_are_told_next_time() -> None:
    account = Account("a", "a")
    for number in (1, 2):
        account.sent(SentOrder(number, 0, Side.BUY, 100, 5))
    account.take_fill(1, filled=5, average_price=100.0, step=3)
    mark = account.mark()
    account.take_fill(2, filled=1, average_price=99.0, step=4)
    account.looked(4, mark)
    assert [it.order_id for it in account.fills(0)] == [2]
    assert (account.fill_count(0), account.traded(0, Side.BUY), account.inventory(0)) == (1, 1, 6)


def test_agents_that_wait_are_waited_for(tmp_path: Path) -> None:
    [turn] = Stage({"strategy": "mine.py:Waiter"}, tmp_path).decide(2, 0)
    assert told(turn.messages) == [(2, 1, 1, 0, 2), (0, 1, 1, 0, 2)]


def test_what_is_passed_on_or_fails_is_decided_by_the_next_of_any_level(tmp_path: Path) -> None:
    fallback = [{"strategy": "mine.py:Broken"}, {"strategy": "personality/aggressive"}]
    stage = Stage({"strategy": "mine.py:Picky", "fallback": fallback}, tmp_path)
    first, second, third = stage.decide(0, 1, 2)
    assert told(first.messages) == [(1, MessageKind.LIMIT, Side.SELL, 10_010, 3)]
    assert [it.kind for it in first.asides.passed.values()] == ["even", "even"]
    assert second.agents.tolist() == [0, 2]
    assert {it.detail for it in second.asides.passed.values()} == {"ValueError: no idea"}
    assert not len(second.messages)
    assert third.agents.tolist() == [0, 2]
    # worth 10,100 and sold at 10,010: whoever is aggressive takes it
    assert {(it[0], it[2]) for it in told(third.messages) if it[1] != 4} == {(0, 0), (2, 0)}


def test_a_compiled_strategy_decides_as_in_a_kernel(tmp_path: Path) -> None:
    population = {"strategy": "market_maker", "parameters": {"half_spread": 3, "size": 7}, "signal_noise": 0}
    stage = Stage(population, tmp_path)
    [turn] = stage.decide(0)
    data = market(population | {"count": 1, "activation": {"steps": [0]}}, tmp_path)
    data["populations"]["seats"] = {"strategy": "outside", "account": {"cash": 10**8, "inventory": 100}}
    kernel = Simulation(build(load(data)))
    seat = kernel.take_seat("seats")
    book = np.zeros(2, MESSAGE_DTYPE)
    book["account"], book["side"] = seat, [0, 1]
    book["price"], book["quantity"] = [9_990, 10_010], [5, 7]
    kernel.submit(book)
    kernel.advance(1)
    quotes = {(int(it.side), it.price, it.quantity) for it in kernel.account(0).orders}
    assert quotes == {(0, 9_997, 7), (1, 10_003, 7)}
    assert {tuple(it[2:]) for it in told(turn.messages) if it[1] == MessageKind.LIMIT} == quotes


def test_what_a_client_is_not_told_is_said_before_it_trades() -> None:
    with pytest.raises(LiveError, match=r"'zip' needs others' orders.*compiled or batch population"):
        require_playable(STRATEGIES_KNOWN["zip"])


def test_refusals_are_those_of_the_market(tmp_path: Path) -> None:
    stage = Stage({"strategy": "mine.py:Looker", "account": {"cash": 50_000, "inventory": 0}}, tmp_path)
    stage.mirror.take_listing(Listing(0, "ACME", 10_000, tick_size=10, lot_size=2, price_band=(1, 20_000)))
    host: ClientHost = stage.troupe._hosts[0]
    for account in stage.accounts.values():
        account.cash = 50_000
    seen = host.seen_by_all(np.array([0]))

    def refusal(**fields: Any) -> Reason:
        return seen.refusal(0, MessageKind.LIMIT, **({"side": 0, "price": 10_000, "quantity": 4} | fields))

    assert refusal() is Reason.NONE
    assert refusal(price=10_001) is Reason.PRICE_OFF_TICK
    assert refusal(price=20_010) is Reason.PRICE_BAND
    assert refusal(quantity=3) is Reason.QUANTITY_OFF_LOT
    assert refusal(quantity=6) is Reason.FUNDS
    assert refusal(side=1) is Reason.SHORT_LIMIT
    assert seen.refusal(0, MessageKind.CANCEL, order_id=9) is Reason.UNKNOWN_ORDER
    stage.mirror.take_book(0, [(9_990, 5)], [(10_010, 7)], halted=True)
    assert refusal() is Reason.MARKET_HALTED


def test_the_mirror_remembers_the_ends_of_steps() -> None:
    mirror = Mirror()
    mirror.take_listing(Listing(0, "ACME", 100))
    mirror.take_book(0, [(98, 1)], [(102, 2)], halted=False)
    mirror.advance(2)
    mirror.take_trade(0, 102, 2, Side.BUY)
    mirror.take_book(0, [(98, 1)], [(104, 3)], halted=False)
    mirror.advance(4)
    assert mirror.mids(0, 10).tolist() == [100.0, 100.0, 101.0, 101.0]
    assert mirror.past_return(0, 3) == pytest.approx(0.01)
    rows = mirror.history(0, 3)
    assert rows["step"].tolist() == [1, 2, 3]
    assert rows["best_ask"].tolist() == [102, 104, 104]
    assert rows["bought"].tolist() == [0, 2, 2]
    assert rows["ask_depths"][:, 0].tolist() == [2, 3, 3]


def test_a_slow_strategy_holds_up_nobody_else(tmp_path: Path) -> None:
    stage = Stage({"strategy": "mine.py:Meeting"}, tmp_path)
    [turn] = stage.decide(0, 1, 2)
    buys = [(i, int(MessageKind.MARKET), int(Side.BUY)) for i in range(3)]
    assert [it[:3] for it in told(turn.messages)] == buys


def test_a_slow_population_does_not_hold_up_the_process(tmp_path: Path) -> None:
    stage = Stage({"strategy": "mine.py:Held"}, tmp_path)

    async def decide() -> list[Turn]:
        deciding = asyncio.create_task(stage.troupe.decide(np.array([0, 1, 2])))
        await asyncio.sleep(0)
        [[held]] = stage.troupe._objects.values()
        held.let.set()
        return await deciding

    [turn] = asyncio.run(decide())
    assert len(turn.messages) == 3
