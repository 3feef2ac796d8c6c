"""Cases of traders that work for a customer, and shouts for them to hear."""

from __future__ import annotations

from typing import Any

from simlab.agents.compiled import Shout
from simlab.agents.conformance import Case, decide, plain_case
from simlab.agents.hosts import CustomerOrder
from simlab.agents.library import STRATEGIES
from simlab.core.types import MessageKind, Side


def trader(name: str, side: Side, limit: int = 10_000, *, units: int = 1, **given: Any) -> Case:
    """Return a trader with its customer's order, given at step 0, before an empty book."""
    given = {"step": 5} | given
    case = plain_case(STRATEGIES[name], customer=CustomerOrder(side, limit, units, 0), **given)
    show(case)
    return case


def show(case: Case, bid: int = 0, ask: int = 0) -> Case:
    """Let the book have these best prices, 0 for none."""
    view = case.view[0]
    view.best_bid, view.bid_depth, view.best_ask, view.ask_depth = bid, bid > 0, ask, ask > 0
    return case


def hear(case: Case, *shouts: tuple[Shout, int], step: int = 0) -> Case:
    """Let shouts and trades be heard."""
    view = case.view[0]
    for kind, price in shouts:
        at = view.shouts % view.shout_kinds.size
        view.shout_kinds[at], view.shout_prices[at], view.shout_steps[at] = kind, price, step
        view.shouts += 1
    return case


def rest(case: Case, side: Side, price: int) -> Case:
    """Let the trader have an order in the book, at the best price of its side."""
    me = case.me[0]
    me.visible_orders = me.open_orders = 1
    me.order_ids[0], me.order_sides[0], me.order_prices[0], me.order_quantities[0] = 1, side, price, 1
    return case


def prices(name: str, case: Case) -> list[int]:
    """Return the prices that a decision names."""
    sent = decide(STRATEGIES[name], case)
    assert all(it["quantity"] == 1 for it in sent if it["kind"] == MessageKind.LIMIT)
    return [int(it["price"]) for it in sent if it["kind"] == MessageKind.LIMIT]
