"""Trading by hand, on a market that `simlab live` runs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from whole_market import WAIT_S, WholeMarket, until

from simlab.errors import LiveError
from simlab.live import AsyncClient, Client


def test_a_market_says_where_its_parts_are(market: WholeMarket) -> None:
    assert set(market.said) == {"engine", "gateway", "dashboard", "agents", "run_dir"}
    health = market.get("/health")
    assert health["engine"]["pid"] == market.said["engine"]["pid"]
    assert health["gateway"]["pid"] == market.said["gateway"]["pid"]


def test_an_order_rests_is_replaced_and_cancelled(market: WholeMarket) -> None:
    with Client(market.gateway, name="patient") as client:
        order = client["ACME"].buy(10, limit=90)
        assert (order.status, order.filled, order.remaining, order.average_price) == ("open", 0, 10, None)
        assert [it.client_id for it in client.orders] == [order.client_id]
        order.replace(limit=91.5, quantity=4)
        assert (float(order.limit or 0), order.remaining) == (91.5, 4)
        assert order.cancel().status == "cancelled"
        assert order.cancel().status == "cancelled"  # there is nothing left, and nothing happens
        assert client.orders == []


def test_what_is_bought_is_in_the_portfolio(market: WholeMarket) -> None:
    with Client(market.gateway, name="hasty", starting_capital=5_000) as client:
        acme = client["ACME"]
        assert client.until(lambda: acme.ask is not None, WAIT_S)
        order = acme.buy(10).wait(WAIT_S)
        assert (order.status, order.filled) == ("filled", 10)
        assert order.average_price is not None
        portfolio = client.portfolio
        assert portfolio.cash == pytest.approx(5_000 - 10 * order.average_price)
        assert portfolio.positions.loc["ACME", "quantity"] == 10
        assert set(client.trades(20)["ticker"]) <= {"ACME", "BOLT"}
        assert until(lambda: len(client.my_trades()), "own trades")
        book = acme.book(2)
        assert list(book.columns) == ["bid_quantity", "bid", "ask", "ask_quantity"]
        assert set(client.book(1).index.get_level_values("ticker")) == {"ACME", "BOLT"}
        assert len(acme.candles(1)) >= 1


def test_what_the_client_can_know_is_refused_before_it_is_sent(market: WholeMarket) -> None:
    with Client(market.gateway, name="sloppy") as client:
        with pytest.raises(LiveError, match=r"use 25.00 or 25.05"):
            client["BOLT"].buy(10, limit=25.01)
        with pytest.raises(LiveError, match="use 10 or 20"):
            client["BOLT"].buy(15, limit=25)
        with pytest.raises(LiveError, match="did you mean 'BOLT'"):
            client["BOLD"]
        assert list(client) == client.instruments
        assert len(client) == len(client.instruments)
        assert "BOLT" in client
        assert "BOLD" not in client
        assert 0 not in client
        refused = client["ACME"].buy(10**6, limit=100)
        assert refused.status == "rejected"
        assert refused.reason
        assert client.orders == []


def test_the_same_agent_comes_back_with_its_token(market: WholeMarket) -> None:
    with Client(market.gateway, name="guest") as first:
        order = first["ACME"].sell(3, limit=900)
        proof = {"agent_id": first.agent_id, "session_token": first.session_token}
        with pytest.raises(LiveError, match="somebody's"):
            Client(market.gateway, name="thief", agent_id=first.agent_id)
    with Client(market.gateway, name="guest", **proof) as second:
        assert second.agent_id == proof["agent_id"]
        [known] = market.get(f"/api/agents/{second.agent_id}/orders")
        assert (known["client_id"], known["status"]) == (order.client_id, "resting")
        second.cancel_all()
        until(
            lambda: market.get(f"/api/agents/{second.agent_id}/orders")[0]["status"] == "cancelled", "cancel"
        )


def test_it_works_while_another_loop_runs(market: WholeMarket) -> None:
    async def notebook() -> Any:
        with Client(market.gateway, name="notebook") as client:
            return client["ACME"].buy(1, limit=90).cancel().status

    assert asyncio.run(notebook()) == "cancelled"


def test_asynchronous_code_has_the_same_names(market: WholeMarket) -> None:
    async def trade() -> None:
        async with AsyncClient(market.gateway, name="async") as client:
            orders = await asyncio.gather(*(client["ACME"].buy(1, limit=80 + i) for i in range(20)))
            assert {it.status for it in orders} == {"open"}
            await orders[0].cancel()
            assert len(client.orders) == 19
            await client.cancel_all()
            await asyncio.gather(*(it.wait(WAIT_S) for it in orders))
            assert client.orders == []
            assert (await client.ask_portfolio()).positions.empty

    asyncio.run(trade())


def test_nobody_at_home_is_said() -> None:
    with pytest.raises(LiveError, match=r"no market answers at ws://127.0.0.1:9/ws.*simlab live CONFIG"):
        Client("http://127.0.0.1:9", name="lonely")


def test_a_closed_client_says_so(market: WholeMarket) -> None:
    client = Client(market.gateway, name="gone")
    client.close()
    client.close()
    with pytest.raises(LiveError, match="closed"):
        client.trades()
