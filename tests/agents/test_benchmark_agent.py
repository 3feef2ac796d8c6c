"""The benchmark's agent keeps a real book busy without letting it grow."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from simlab.agents.compiled import ORDERS_DTYPE
from simlab.agents.conformance import plain_case
from simlab.agents.library import STRATEGIES
from simlab.core.jit import address_of, call_decide, jit
from simlab.core.random import Role, name_key, reset
from simlab.core.types import MESSAGE_DTYPE, EventKind, MessageKind
from simlab.engine.compiled import CompiledOrderBook

AGENTS, STEPS = 30, 400


@jit
def call(address, views, accounts, rng, orders):
    call_decide(address, views[0], accounts[0], rng[0], orders[0])


def look(view: np.record, book: CompiledOrderBook) -> None:
    """Show the book's best prices in a view."""
    bids, asks = book.snapshot(0, depth=1), book.snapshot(1, depth=1)
    view.best_bid, view.bid_depth = (bids[0].price, bids[0].quantity) if bids else (0, 0)
    view.best_ask, view.ask_depth = (asks[0].price, asks[0].quantity) if asks else (0, 0)
    if bids and asks:
        view.mid = (bids[0].price + asks[0].price) / 2


def run() -> tuple[list[int], Counter[int], int]:
    """Let the agents act in turn; return resting orders a step, messages by kind, and cancels refused."""
    strategy = STRATEGIES["benchmark"]
    function = strategy.make()
    cases = [plain_case(strategy) for _ in range(AGENTS)]
    keys = [name_key(1, "agent", f"benchmark/{i}") for i in range(AGENTS)]
    book = CompiledOrderBook(1, accounts=AGENTS)
    orders = np.zeros(1, ORDERS_DTYPE).view(np.recarray)
    orders.next_order_id = 1
    resting, kinds, refused = [], Counter(), 0
    for step in range(STEPS):
        for agent, case in enumerate(cases):
            if step or agent:
                case.view[0].mid = cases[agent - 1].view[0].mid
            look(case.view[0], book)
            case.me[0].open_orders = len(book.orders_of(agent))
            reset(case.rng[0], keys[agent], np.uint64(Role.DECIDE), np.uint64(step))
            orders.count, orders.account = 0, agent
            call(address_of(function), case.view, case.me, case.rng, orders)
            messages = orders["messages"][0, : orders["count"][0]].view(MESSAGE_DTYPE)
            kinds.update(messages["kind"].tolist())
            refused += int((book.process(messages)["kind"] == EventKind.REJECTED).sum())
        resting.append(book.resting_orders())
    return resting, kinds, refused


@pytest.mark.slow
def test_the_book_stays_bounded_and_most_cancels_succeed() -> None:
    resting, kinds, refused = run()
    messages = AGENTS * STEPS
    assert sum(kinds.values()) == messages
    assert max(resting) <= 17 * AGENTS
    assert np.mean(resting[-100:]) < 1.3 * np.mean(resting[100:200])
    assert np.mean(resting[-100:]) > AGENTS
    assert abs(kinds[MessageKind.LIMIT] / messages - 0.60) < 0.03
    assert abs(kinds[MessageKind.MARKET] / messages - 0.10) < 0.02
    assert refused < 0.35 * kinds[MessageKind.CANCEL]
