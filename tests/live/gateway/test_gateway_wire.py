"""What passes over WebSocket, with the real engine behind the gateway."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from gateway_market import Market

NUMBERS = itertools.count(1)


def test_a_new_client_is_told_what_there_is_in_order(market: Market) -> None:
    with market.client() as client:
        first = [client.read()["type"] for _ in range(4)]
    assert first == ["instruments", "orderbooks", "news_history", "agents_snapshot"]
    instruments, books = client.seen[0]["data"], client.seen[1]["data"]
    assert instruments[0]["ticker"] == "ACME"
    assert instruments[0]["initial_price"] == 100.0
    assert {"1", "2"} <= set(books)
    assert {"status", "symbol_id", "sequence", "timestamp", "bids", "asks"} == set(books["1"])


def test_an_order_is_answered_updated_and_announced(market: Market) -> None:
    with market.client() as client, market.client() as other:
        registered = client.register("Ada", starting_capital=1_000)
        agent_id = registered["agent_id"]
        assert registered["agent"]["cash"] == registered["agent"]["starting_capital"] == 1_000
        assert len(registered["session_token"]) >= 16
        answer = client.order("buy", 1.25, 3, client_id="first")
        assert answer["status"] == "success"
        assert answer["order_id"] == answer["orderId"]
        update = client.wait("order_update")
        assert update["event"] == "accepted"
        assert (update["client_id"], update["agent_id"]) == ("first", agent_id)
        assert (update["orderId"], update["price"], update["quantity"]) == (answer["orderId"], 1.25, 3)
        for listener in (client, other):
            placed = listener.wait("order_placed", lambda it: it["agent_id"] == agent_id)
            assert (placed["agent_name"], placed["ticker"], placed["symbol_id"]) == ("Ada", "ACME", 1)
            assert (placed["side"], placed["order_type"]) == ("BUY", "LIMIT")
            assert (placed["price"], placed["quantity"]) == (1.25, 3)
        assert (
            client.ask("cancel_response", type="cancel_order", symbol_id=1, orderId=answer["orderId"])[
                "status"
            ]
            == "success"
        )
        assert client.wait("order_update")["event"] == "cancelled"
        assert "order_update" not in {it["type"] for it in other.seen}


def test_portfolios_come_from_fills_and_makers_are_told(market: Market) -> None:
    with market.client() as maker, market.client() as taker:
        maker_id = maker.register("Maker", starting_capital=1_000)["agent_id"]
        taker_id = taker.register("Taker", starting_capital=1_000)["agent_id"]
        maker.order("sell", 1.50, 10)
        placed = maker.ask("portfolio_update", type="get_portfolio", agent_id=maker_id)
        assert (placed["cash"], placed["positions"]) == (1_000, {})  # an order changes nothing
        answer = taker.order("buy", None, 4, orderType="MARKET")
        assert (answer["filled"], answer["average_price"]) == (4, 1.50)
        made = maker.wait("order_update", lambda it: it["event"] == "partial_fill")
        assert (made["price"], made["quantity"], made["filled"], made["remaining"]) == (1.50, 4, 4, 6)
        for client, sign in ((maker, -1), (taker, 1)):
            portfolio = client.wait("portfolio_update", lambda it: it["positions"])
            assert portfolio["cash"] == 1_000 - sign * 6
            position = portfolio["positions"]["1"]
            assert (position["instrument_id"], position["quantity"], position["avg_price"]) == (
                1,
                sign * 4,
                1.5,
            )
            assert portfolio["total_value"] == pytest.approx(portfolio["cash"] + position["market_value"])
            assert portfolio["pnl"] == pytest.approx(position["unrealized_pnl"])
        agents = taker.wait("agents_snapshot", lambda it: any(
            agent["agent_id"] == taker_id and agent["positions"] for agent in it))  # fmt: skip
        by_id = {agent["agent_id"]: agent for agent in agents}
        assert by_id[maker_id]["cash"] + by_id[taker_id]["cash"] == 2_000
        maker.send(type="cancel_all")
        assert maker.wait("cancel_response")["cancelled"] == 1


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"orderType": "Z"}, 1000, "orderType"),
        ({"side": "X"}, 1001, "side"),
        ({"price": 100.001}, 1002, "price"),
        ({"price": None}, 1002, "price"),
        ({"symbol_id": 2, "price": 50.02}, 1002, "price"),
        ({"symbol_id": 2, "price": 5.0}, 1002, "price"),
        ({"quantity": 1.5}, 1003, "quantity"),
        ({"quantity": 0}, 1003, "quantity"),
        ({"quantity": -3}, 1003, "quantity"),
        ({"quantity": 10**30}, 1003, "quantity"),
        ({"quantity": 2**40}, 1003, "quantity"),
        ({"symbol_id": 77}, 1004, "symbol_id"),
        ({"time_in_force": "FOK"}, 1004, None),
        ({"agent_id": "nobody"}, 1004, None),
    ],
)
def test_an_order_is_refused_by_code(
    market: Market, change: dict[str, Any], code: int, field: str | None
) -> None:
    order = {
        "type": "add_order",
        "symbol_id": 1,
        "side": "buy",
        "price": 0.5,
        "quantity": 1,
        "client_id": f"c{next(NUMBERS)}",
    }
    with market.client() as client:
        refused = client.ask("order_response", **{**order, **change})
        assert refused["status"] == "error"
        assert refused["code"] == code, refused
        assert refused.get("field") == field
        assert refused["client_id"] == order["client_id"]
        assert client.ask("pong", type="ping") == {"type": "pong"}


def test_whoever_asks_of_another_s_order_is_told_that_it_is_not_theirs(market: Market) -> None:
    with market.client() as owner, market.client() as other:
        order = owner.order("buy", 0.5)["orderId"]
        asked = {"type": "replace_order", "symbol_id": 1, "orderId": order, "quantity": 2}
        assert other.ask("order_response", **asked)["code"] == 1005
        assert owner.ask("order_response", **asked)["status"] == "success"
        owner.ask("cancel_response", type="cancel_all", symbol_id=1)


def test_what_new_clients_may_say_of_an_order_is_heeded(market: Market) -> None:
    with market.client() as client, market.client() as other:
        client.register("Brief", cancel_on_disconnect=True)
        assert [it["type"] for it in client.seen[-2:]] == ["agent_registered", "portfolio_update"]
        rests = client.order("sell", 1.4, 5, post_only=True, time_in_force="GTC", client_id="x" * 64)
        assert (rests["state"], rests["client_id"]) == ("resting", "x" * 64)
        assert other.order("buy", 1.4, post_only=True)["reason"] == "POST_ONLY_WOULD_TRADE"
        assert other.wait("order_update")["event"] == "rejected"
        assert other.order("buy", 1.4, 7, time_in_force="FOK")["code"] == 1004
        taken = other.order("buy", 1.4, 2, time_in_force="IOC")
        assert (taken["state"], taken["filled"]) == ("filled", 2)
        client.socket.close()
        other.wait(
            "orderbooks", lambda it: "1" in it and not any(row["price"] == 1.4 for row in it["1"]["asks"])
        )


def test_a_price_between_two_is_refused_with_both(market: Market) -> None:
    with market.client() as client:
        assert "use 50.0 or 50.05" in client.order("buy", 50.02, symbol_id=2)["message"]
        assert "10.0 to 100.0" in client.order("buy", 100.05, symbol_id=2)["message"]


def test_an_order_sent_twice_is_entered_once(market: Market) -> None:
    with market.client() as client:
        client.register("Twice")
        first, second = (client.order("buy", 0.5, client_id="same") for _ in range(2))
        assert second["orderId"] == first["orderId"]
        assert second["duplicate"] is True
        orders = client.ask("orders", type="get_orders")
        assert [it["client_id"] for it in orders] == ["same"]
        client.ask("cancel_response", type="cancel_all")


def test_an_order_is_replaced(market: Market) -> None:
    with market.client() as client:
        client.register("Changing")
        order_id = client.order("buy", 0.5, 10)["orderId"]
        changed = client.ask("order_response", type="replace_order", symbol_id=1, orderId=order_id, price=0.4)
        assert (changed["status"], changed["orderId"]) == ("success", order_id)
        update = client.wait("order_update", lambda it: it["event"] == "replaced")
        assert (update["price"], update["quantity"]) == (0.4, 10)
        wrong = client.ask("order_response", type="replace_order", symbol_id=1, orderId=order_id, price=0.401)
        assert (wrong["code"], wrong["orderId"]) == (1002, order_id)
        nothing = client.ask("order_response", type="replace_order", symbol_id=1, orderId=order_id)
        assert nothing["code"] == 1004
        client.ask("cancel_response", type="cancel_all")


def test_an_agent_belongs_to_whoever_registered_it(market: Market) -> None:
    with market.client() as owner, market.client() as other:
        registered = owner.register("Mine", starting_capital=500)
        agent_id, token = registered["agent_id"], registered["session_token"]
        order_id = owner.order("buy", 0.6, client_id="mine")["orderId"]
        assert (
            other.ask("cancel_response", type="cancel_order", symbol_id=1, orderId=order_id)["code"] == 1005
        )
        assert other.order("buy", 0.6, agent_id=agent_id)["code"] == 1005
        taken = other.ask("error", type="agent_register", name="Mine", agent_id=agent_id)
        assert (taken["code"], taken["agent_id"]) == ("AGENT_TAKEN", agent_id)
        wrong = other.ask(
            "error", type="agent_register", name="Mine", agent_id=agent_id, session_token="x" * 32
        )
        assert wrong["code"] == "BAD_TOKEN"
        again = other.register("Mine", agent_id=agent_id, session_token=token)
        assert again["resumed"] is True
        assert again["agent"]["cash"] == 500
        orders = other.ask("orders", type="get_orders", agent_id=agent_id)
        assert [(it["orderId"], it["client_id"], it["price"]) for it in orders] == [(order_id, "mine", 0.6)]
        assert owner.order("buy", 0.6, agent_id=agent_id)["code"] == 1005
        assert (
            other.ask("cancel_response", type="cancel_order", symbol_id=1, orderId=order_id)["cancelled"] == 1
        )
        assert other.wait("order_update")["event"] == "cancelled"


def test_a_connection_holds_so_many_agents(market: Market) -> None:
    with market.client() as greedy, market.client() as other:
        for number in range(4):
            greedy.register(f"Greedy {number}")
        refused = greedy.ask("error", type="agent_register", name="Greedy 5")
        assert (refused["code"], refused["request"]) == ("LIMIT", "agent_register")
        assert "at most 4 agents" in refused["message"]
        assert other.register("Modest")["agent_id"]


def test_a_resumed_agent_finds_its_positions(market: Market) -> None:
    with market.client() as first, market.client() as counterpart:
        registered = first.register("Back", starting_capital=500)
        counterpart.order("sell", 0.8, 5)
        first.order("buy", 0.8, 5)
        first.wait("portfolio_update", lambda it: it["positions"])
    with market.client() as second:
        token = registered["session_token"]
        again = second.register("Back", agent_id=registered["agent_id"], session_token=token)
    assert again["agent"]["cash"] == 496
    assert again["agent"]["positions"]["1"]["quantity"] == 5


def test_orders_without_an_agent_trade_as_a_guest(market: Market) -> None:
    with market.client() as guest, market.client() as other:
        other.order("sell", 0.9, 2)
        guest.order("buy", 0.9, 2)
        placed = other.wait("order_placed", lambda it: it["side"] == "BUY")
        assert placed["agent_name"] == "guest"
        portfolio = guest.wait("portfolio_update")
        assert portfolio["positions"]["1"]["quantity"] == 2


@pytest.mark.parametrize(
    ("frame", "code", "field"),
    [
        ("[]", "BAD_REQUEST", "type"),
        ("17", "BAD_REQUEST", "type"),
        ("{", "BAD_JSON", None),
        (b"\xff\xfe\x00", "BAD_JSON", None),
        ("[" * 1_500, "BAD_REQUEST", "type"),
        ('{"type": "launch"}', "UNKNOWN_TYPE", "type"),
        ('{"type": "cancel_order"}', "BAD_REQUEST", "orderId"),
        ('{"type": "agent_register"}', "BAD_REQUEST", "name"),
        (
            '{"type": "agent_register", "name": "x", "starting_capital": 0.001}',
            "BAD_REQUEST",
            "starting_capital",
        ),
        ('{"type": "get_portfolio", "agent_id": "nobody"}', "UNKNOWN_AGENT", "agent_id"),
        ('{"type": "get_orders", "agent_id": "nobody"}', "UNKNOWN_AGENT", "agent_id"),
        ('{"type": "subscribe", "channels": ["gossip"]}', "BAD_REQUEST", "channels"),
        ('{"type": "subscribe", "channels": ["depth"], "interval_ms": 1}', "BAD_REQUEST", "interval_ms"),
        ('{"type": "subscribe", "channels": ["depth"], "symbol_ids": [99]}', "BAD_REQUEST", "symbol_ids"),
    ],
)
def test_what_is_wrong_is_answered_and_the_connection_stays(
    market: Market, frame: str | bytes, code: str, field: str | None
) -> None:
    with market.client() as client:
        client.socket.send(frame)
        error = client.wait("error")
        assert (error["code"], error.get("field")) == (code, field)
        assert error["message"]
        assert client.ask("pong", type="ping")


def test_a_message_in_fragments_is_one_message(market: Market) -> None:
    with market.client() as client:
        client.socket.send(iter(['{"ty', 'pe":"pi', 'ng"}']))
        assert client.wait("pong")


def test_trades_come_once_an_interval(market: Market) -> None:
    with market.client() as client, market.client() as other:
        other.order("sell", 0.7, 5)
        for _ in range(5):
            client.order("buy", 0.7)
        found: list[Any] = []
        while sum(it["quantity"] for it in found) < 5:
            client.read()
            messages = [it["data"] for it in client.seen if it["type"] == "trades"]
            found = [it for rows in messages for it in rows if it["price"] == 0.7]
        assert {(it["symbol_id"], it["aggressor_side"]) for it in found} == {(1, "buy")}
        assert len({it["sequence"] for it in found}) == 5


def test_a_subscriber_is_told_what_it_asked_for_only(market: Market) -> None:
    with market.client() as client, market.client() as other:
        said = client.ask(
            "subscribed", type="subscribe", channels=["orderbooks"], symbol_ids=[2], interval_ms=40
        )
        assert said["channels"] == ["orderbooks"]
        before = len(client.seen)
        other.order("buy", 0.3)
        other.order("buy", 20.0, symbol_id=2)
        book = client.wait("orderbooks", lambda it: it["2"]["bids"])
        assert book["2"]["bids"][0] == {"price": 20.0, "quantity": 1, "orders": 1}
        assert {it["type"] for it in client.seen[before:]} == {"orderbooks"}
        assert all(set(it["data"]) == {"2"} for it in client.seen[before:])


def _applied(levels: dict[float, int], changes: list[list[float]]) -> None:
    for price, quantity in changes:
        if quantity:
            levels[price] = int(quantity)
        else:
            levels.pop(price)


def test_depth_changes_add_up_to_the_book(market: Market) -> None:
    with market.client() as watcher, market.client() as trader:
        watcher.send(type="subscribe", channels=["depth"], symbol_ids=[1])
        watcher.wait("subscribed")
        book = watcher.wait("orderbooks")["1"]
        sides = [{it["price"]: it["quantity"] for it in book[side]} for side in ("bids", "asks")]
        sequence = book["sequence"]
        ids = [trader.order("buy", (10 + step) / 100, step + 1)["orderId"] for step in range(6)]
        trader.ask("cancel_response", type="cancel_order", symbol_id=1, orderId=ids[2])
        last = trader.ask("order_response", type="replace_order", symbol_id=1, orderId=ids[5], quantity=2)
        while sequence <= last["sequence"]:  # a book has the number of the event that comes next
            change = watcher.wait("depth")
            assert change["first_sequence"] == sequence + 1
            sequence = change["last_sequence"]
            _applied(sides[0], change["bids"])
            _applied(sides[1], change["asks"])
    with market.client() as later:
        book = later.wait("orderbooks", lambda it: it["1"]["sequence"] >= sequence)["1"]
    own = {
        price: quantity
        for price, quantity in sides[0].items()
        if price in (0.1, 0.11, 0.12, 0.13, 0.14, 0.15)
    }
    assert own == {0.1: 1, 0.11: 2, 0.13: 4, 0.14: 5, 0.15: 2}
    assert book["sequence"] >= sequence


def test_news_agents_and_instruments_are_told_at_once(market: Market) -> None:
    number = next(NUMBERS)
    with market.client() as client:
        posted = market.http.post("/api/news", json={"headline": "Up <b>!</b>", "sentiment": 0.5})
        assert posted.status_code == 200
        news = client.wait("news")
        assert (news["headline"], news["sentiment"], news["id"]) == ("Up <b>!</b>", 0.5, posted.json()["id"])
        created = market.http.post("/api/agents", json={"name": "Made", "starting_capital": 250.5}).json()
        told = client.wait("agent_created")
        assert (told["agent_id"], told["starting_capital"]) == (created["agent_id"], 250.5)
        body = {"ticker": f"NEW{number}", "initial_price": 12.5, "industry": "tests"}
        symbol_id = market.http.post("/api/instruments", json=body).json()["symbol_id"]
        listed = client.wait("instruments", lambda it: any(row["symbol_id"] == symbol_id for row in it))
        assert listed[-1]["initial_price"] == 12.5
        assert client.order("buy", 12.5, symbol_id=symbol_id)["status"] == "success"
        assert market.http.delete(f"/api/instruments/{symbol_id}").status_code == 200
        client.wait("instruments", lambda it: all(row["symbol_id"] != symbol_id for row in it))
        refused = client.order("buy", 12.5, symbol_id=symbol_id)
        assert refused["code"] == 1004
        with market.client() as later:
            assert later.wait("news_history")[-1]["id"] == news["id"]
        made = market.client()
        with made as runner:
            agent = runner.register("Made", agent_id=created["agent_id"])["agent"]
            assert agent["cash"] == 250.5


def test_every_frame_of_many_orders_is_answered_in_order(market: Market) -> None:
    with market.client() as client:
        client.register("Fast")
        for number in range(200):
            order = {"type": "add_order", "symbol_id": 1, "side": "buy", "price": 0.2, "quantity": 1}
            client.socket.send(json.dumps({**order, "client_id": f"n{number}"}))
        answers = [client.wait("order_response")["client_id"] for _ in range(200)]
        assert answers == [f"n{number}" for number in range(200)]
        placed: list[Any] = [it for it in client.seen if it["type"] == "order_placed"]
        while len(placed) < 200:
            placed.append(client.wait("order_placed"))
        assert client.ask("cancel_response", type="cancel_all")["cancelled"] == 200
