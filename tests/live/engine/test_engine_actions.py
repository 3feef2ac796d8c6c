"""What an engine answers, over real connections to a real process."""

from __future__ import annotations

import json
from contextlib import ExitStack
from threading import Thread
from typing import Any

import pytest
from engine_process import Engine, Line


def test_the_example_of_the_wire(line: Line) -> None:
    answer = line.ask("add", order={"id": 12345, "price": 10050, "qty": 10, "side": 1})
    assert answer["status"] == "success"
    assert (answer["id"], answer["state"], answer["remaining"]) == (12345, "resting", 10)
    assert line.ask("cancel", id=12345)["cancelled"] == 10


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"action": "cancel", "id": "lost"}, "UNKNOWN_ORDER"),
        ({"action": "cancel", "order": {"id": "lost"}}, "UNKNOWN_ORDER"),
        ({"action": "replace", "id": "lost", "price": 9_000}, "UNKNOWN_ORDER"),
        ({"action": "cancel", "id": "lost", "agent_id": "nobody"}, "UNKNOWN_AGENT"),
        ({"action": "add", "order": {"id": "lost", "side": 0, "qty": 1}}, "BAD_REQUEST"),
        (
            {"action": "add", "order": {"id": "lost", "side": 0, "qty": 1, "symbol_id": 9}},
            "UNKNOWN_INSTRUMENT",
        ),
    ],
)
def test_a_refusal_has_the_sender_s_id(line: Line, request_: dict[str, Any], code: str) -> None:
    answer = line.ask(**request_)
    assert (answer["status"], answer["code"], answer["id"]) == ("error", code, "lost")


@pytest.mark.parametrize("side", ["buy", 0])
def test_a_side_is_a_word_or_a_number(line: Line, side: str | int) -> None:
    assert line.ask("add", order={"side": side, "price": 9_000, "qty": 2})["state"] == "resting"
    assert line.ask("snapshot")["bids"] == [[9_000, 2, 1]]
    line.ask("cancel_all")


def test_a_snapshot_is_of_a_symbol_and_a_depth(line: Line) -> None:
    new = {"ticker": "SNAP", "initial_price": 500}
    symbol = line.ask("add_instrument", instrument=new)["symbol_id"]
    for price in (495, 494, 493):
        line.add(0, price, 1, symbol_id=symbol)
    for name, value in (("symbol_id", symbol), ("symbol", symbol), ("symbol", "SNAP")):
        book = line.ask("snapshot", depth=2, **{name: value})
        assert (book["symbol_id"], book["bids"]) == (symbol, [[495, 1, 1], [494, 1, 1]])
    refused = line.ask("snapshot", symbol="SNIP")
    assert (refused["code"], refused["field"]) == ("UNKNOWN_INSTRUMENT", "symbol")
    line.ask("remove_instrument", symbol_id=symbol)


def test_a_subscription_carries_what_it_says(engine: Engine, line: Line) -> None:
    with engine.line() as other:
        other.ask("subscribe", interval_ms=1)
        line.add(1, 9_000, 2)
        line.add(1, 9_001, 1)
        line.add(0, 9_000, 1, session=1)
        line.ask("cancel_all")
        for kind in ("accepted", "rejected", "trade", "cancelled"):
            assert other.event(kind)["symbol_id"] == 1
        assert other.event("book")["asks"] == []


def test_twelve_thousand_orders_of_four_connections_are_all_in_the_book(engine: Engine) -> None:
    """Each sends all of its own before it reads an answer, as the load did that lost some."""
    with ExitStack() as stack:
        lines = [stack.enter_context(engine.line()) for _ in range(4)]
        for n, it in enumerate(lines):
            orders = [{"side": 0, "price": 1_000 + 5 * (i % 40), "qty": 1, "id": i} for i in range(3_000)]
            it.ask("register", agent_id=f"load-{n}")
            sending = Thread(target=it.send, args=[{"action": "add", "order": order} for order in orders])
            stack.callback(sending.join)
            sending.start()
        ids = set[int]()
        for it in lines:
            answers = [it.answer() for _ in range(3_000)]
            assert [answer["id"] for answer in answers] == list(range(3_000))
            assert {answer["state"] for answer in answers} == {"resting"}
            ids |= {answer["order_id"] for answer in answers}
        assert len(ids) == 12_000
        book = lines[0].ask("snapshot", depth=40)["bids"]
        assert [it[1:] for it in book] == [[300, 300]] * 40
        assert [it.ask("cancel_all")["cancelled"] for it in lines] == [3_000] * 4


def test_the_same_id_enters_once(line: Line) -> None:
    first = line.add(1, 10_050, 3, id="mine")
    again = line.add(1, 10_050, 3, id="mine")
    assert again == first | {"duplicate": True}
    assert line.ask("snapshot")["asks"] == [[10_050, 3, 1]]
    line.ask("cancel_all")


def test_a_price_off_the_tick_is_refused_and_not_rounded(line: Line) -> None:
    answer = line.add(0, 10_001, id=1)
    assert answer["code"] == "PRICE_OFF_TICK"
    assert "not a multiple of tick_size 5; use 10000 or 10005" in answer["message"]
    assert answer["id"] == 1


def test_makers_and_takers_are_paid(engine: Engine, line: Line) -> None:
    with engine.line() as other:
        line.ask("register", name="maker", agent_id="maker")
        other.ask("register", name="taker", agent_id="taker")
        line.add(1, 10_050, 10)
        answer = other.add(0, 10_060, 4)
        assert (answer["state"], answer["fills"], answer["average_price"]) == (
            "filled",
            [[10_050, 4]],
            10_050,
        )
        assert other.ask("account")["cash"] == 10_000_000 - 4 * 10_050
        maker = line.ask("account")
        assert maker["cash"] == 10_000_000 + 4 * 10_050
        assert maker["positions"]["1"]["quantity"] == -4
        (order,) = [it for it in line.ask("orders")["orders"] if it["remaining"]]
        assert (order["filled"], order["status"]) == (4, "partially_filled")
        assert [it["qty"] for it in other.ask("trades", agent_id="maker")["trades"]] == [4]
        line.ask("cancel_all")


def test_nobody_trades_or_cancels_as_another(engine: Engine, line: Line) -> None:
    with engine.line() as other:
        token = line.ask("register", name="a", agent_id="owner")["session_token"]
        order = line.add(1, 10_050, 1)["order_id"]
        assert other.add(0, 9_000, 1, agent_id="owner")["code"] == "NOT_YOURS"
        assert other.ask("cancel", order_id=order)["code"] == "NOT_YOURS"
        assert other.ask("register", agent_id="owner")["code"] == "AGENT_TAKEN"
        assert other.ask("register", agent_id="owner", session_token="wrong")["code"] == "BAD_TOKEN"
        resumed = other.ask("register", agent_id="owner", session_token=token)
        assert resumed["resumed"]
        assert resumed["session_token"] != token
        assert line.add(0, 9_000, 1, agent_id="owner")["code"] == "NOT_YOURS"
        assert other.ask("cancel", order_id=order)["cancelled"] == 1


def test_events_of_an_order_reach_who_subscribes(engine: Engine, line: Line) -> None:
    with engine.line() as other:
        other.ask("subscribe", channels=["orders", "trades"])
        line.add(1, 10_050, 2, id=1)
        line.add(0, 10_050, 2, id=2, session=1)
        events: list[dict[str, Any]] = [other.read() for _ in range(5)]
        assert [it["event"] for it in events] == ["accepted", "accepted", "fill", "fill", "trade"]
        assert sorted(it["sequence"] for it in events) == [it["sequence"] for it in events]
        assert "session" not in events[0]


def test_the_answer_comes_before_its_events(line: Line) -> None:
    line.ask("subscribe", channels=["orders"])
    line.send({"action": "add", "order": {"side": 1, "price": 10_050, "qty": 1}, "session": 3})
    answer, event = line.read(), line.read()
    assert (answer["status"], event["event"], event["session"]) == ("success", "accepted", 3)
    line.ask("cancel_all", session=3)


def test_several_connections_may_trade_for_one_agent(engine: Engine, line: Line) -> None:
    token = line.ask("register", agent_id="shared")["session_token"]
    with engine.line() as other, engine.line() as third:
        joined = other.ask("register", agent_id="shared", session_token=token, join=True)
        assert (joined["session_token"], joined["resumed"]) == (token, True)
        order_id = line.add(0, 9_000, 2)["order_id"]
        assert other.ask("replace", order_id=order_id, qty=1)["remaining"] == 1
        assert third.ask("register", agent_id="shared", session_token="no", join=True)["code"] == "BAD_TOKEN"
        other.ask("subscribe", channels=["orders"])
        assert line.ask("cancel", order_id=order_id)["cancelled"] == 1
        assert other.event("cancelled")["session"] == 0
        third.ask("register", agent_id="shared", session_token=token)
        assert line.add(0, 9_000, 1, agent_id="shared")["code"] == "NOT_YOURS"
        assert other.add(0, 9_000, 1, agent_id="shared")["code"] == "NOT_YOURS"


def test_candles_and_trades_are_those_of_the_tape(engine: Engine, line: Line) -> None:
    with engine.line() as other:
        before = line.ask("metrics")
        prices = [10_000, 10_010, 9_990, 10_005]
        for price in prices:
            line.add(1, price, 2)
            assert other.add(0, price, 2)["state"] == "filled"
        trades = line.ask("trades", symbol_id=1, limit=4)["trades"]
        assert [it["price"] for it in trades] == prices
        candles = line.ask("candles", symbol_id=1, interval=3600)["candles"]
        assert candles[-1][4] == 10_005
        assert candles[-1][2] >= 10_010
        assert candles[-1][3] <= 9_990
        after = line.ask("metrics")
        assert after["total_trades"] - before["total_trades"] == 4
        assert after["total_volume"] - before["total_volume"] == 8
        assert sum(it[5] for it in candles) == after["total_volume"]
        seconds = line.ask("candles", symbol_id=1, interval=1)["candles"]
        assert sum(it[5] for it in seconds) == after["total_volume"]


def test_a_connection_has_so_many_sessions(engine: Engine, line: Line) -> None:
    most = 2 * 2_000
    line.send(*({"action": "account", "session": n} for n in range(most + 2)))
    answers = [line.answer() for _ in range(most + 2)]
    assert [it["status"] for it in answers] == ["success"] * most + ["error"] * 2
    assert answers[-1]["code"] == "LIMIT"
    assert line.ask("close_session", session=1)["session"] == 1
    assert line.ask("account", session=most)["status"] == "success"


def test_a_session_holds_so_many_agents_and_leaves_seats_to_others(line: Line) -> None:
    held = [line.ask("register", session=1) for _ in range(3)]
    refused = line.ask("register", session=1)
    assert (refused["code"], refused.get("id")) == ("LIMIT", None)
    assert "at most 3 agents; open another" in refused["message"]
    own = {"agent_id": held[0]["agent"]["agent_id"], "session_token": held[0]["session_token"]}
    assert line.ask("register", session=1, **own)["resumed"]
    assert line.ask("register", session=2)["status"] == "success"


def test_an_order_that_is_cancelled_at_once_is_gone(line: Line) -> None:
    order = {"id": "brief", "side": 0, "price": 9_000, "qty": 2}
    line.send({"action": "add", "order": order}, {"action": "cancel", "id": "brief"}, {"action": "snapshot"})
    assert line.answer()["state"] == "resting"
    assert line.answer()["cancelled"] == 2
    assert line.answer()["bids"] == []


def test_an_order_is_not_looked_for_in_another_instrument(line: Line) -> None:
    order = line.add(0, 9_000, 2)["order_id"]
    for action, more in (("cancel", {}), ("replace", {"price": 9_005})):
        answer = line.ask(action, order_id=order, symbol_id=2, **more)
        assert (answer["code"], answer["field"], answer["order_id"]) == ("UNKNOWN_ORDER", "symbol_id", order)
        assert "is in symbol_id 1, not 2" in answer["message"]
    assert line.ask("cancel", order_id=order, symbol_id=1)["cancelled"] == 2


def test_an_order_is_replaced_by_its_whole_quantity(engine: Engine, line: Line) -> None:
    order = line.add(1, 10_050, 10)["order_id"]
    with engine.line() as other:
        other.add(0, 10_050, 4)
    replaced = line.ask("replace", order_id=order, price=10_060, qty=5)
    assert (replaced["price"], replaced["filled"], replaced["remaining"]) == (10_060, 4, 1)
    assert line.ask("snapshot")["asks"] == [[10_060, 1, 1]]
    assert line.ask("replace", order_id=order, qty=4)["code"] == "INVALID_QUANTITY"
    assert line.ask("cancel", order_id=order)["cancelled"] == 1
    assert line.ask("replace", order_id=order, qty=9)["code"] == "UNKNOWN_ORDER"


def test_a_created_agent_belongs_to_the_first_who_registers(engine: Engine, line: Line) -> None:
    with engine.line() as other:
        other.ask("subscribe", channels=["agents"])
        agent = line.ask("create_agent", name="Made", personality="calm", starting_capital=500)["agent"]
        assert other.event("agent_created")["agent"]["name"] == "Made"
        assert (agent["cash"], agent["connected"]) == (500, False)
        assert other.ask("register", agent_id=agent["agent_id"])["resumed"]
        assert line.ask("register", agent_id=agent["agent_id"])["code"] == "AGENT_TAKEN"


@pytest.mark.parametrize("value", [2**80, -(2**64), [{"deep": [2**70]}], json.loads("[" * 60 + "]" * 60)])
def test_parameters_that_no_journal_can_keep_are_refused_and_the_engine_goes_on(
    line: Line, value: Any
) -> None:
    answer = line.ask("create_agent", name="Big", strategy="momentum", parameters={"lookback": value})
    assert answer["code"] == "BAD_REQUEST"
    assert "2^62" in answer["message"]
    assert line.ask("ping")["status"] == "success"


def test_an_instrument_comes_and_goes(line: Line) -> None:
    new = {"ticker": "NEW", "initial_price": 500, "tick_size": 5, "industry": "anvils"}
    symbol = line.ask("add_instrument", instrument=new)["symbol_id"]
    assert line.add(0, 495, 1, symbol_id=symbol)["state"] == "resting"
    listed = {it["symbol_id"]: it for it in line.ask("list_instruments")["instruments"]}
    assert (listed[symbol]["industry"], listed[symbol]["listed"]) == ("anvils", True)
    line.ask("remove_instrument", symbol_id=symbol)
    assert line.ask("snapshot", symbol_id=symbol)["bids"] == []
    assert line.add(0, 495, 1, symbol_id=symbol)["code"] == "DELISTED"
    assert line.ask("add_instrument", instrument=new)["code"] == "BAD_REQUEST"


def test_news_reach_who_listens_and_can_be_asked_for(engine: Engine, line: Line) -> None:
    with engine.line() as other:
        other.ask("subscribe", channels=["news"])
        published = line.ask("publish", headline="Up", content="<b>", sentiment=0.5, symbol_id=1)["news"]
        assert other.event("news")["news"] == published
        assert line.ask("news", limit=1)["news"] == [published]
        assert (published["symbol_id"], published["content"]) == (1, "<b>")


def test_pause_step_and_speed(line: Line) -> None:
    began = line.ask("pause")["step"]
    line.ask("subscribe", channels=["market"], interval_ms=1)
    line.ask("step", n=3)
    line.until(began + 3)
    assert line.ask("ping")["step"] == began + 3
    assert line.ask("speed", steps_per_second="max")["steps_per_second"] == "max"
    line.ask("resume")
    line.until(began + 100)
    assert line.ask("pause")["paused"]


def test_who_wants_it_so_is_cancelled_when_gone(engine: Engine, line: Line) -> None:
    with engine.line() as other:
        other.ask("register", agent_id="gone", cancel_on_disconnect=True)
        other.add(0, 9_000, 1)
        line.ask("subscribe", channels=["orders"])
    event = line.event("cancelled")
    assert (event["agent_id"], event["reason"]) == ("gone", "REQUESTED")
    assert line.ask("snapshot")["bids"] == []


def test_a_guest_that_is_gone_leaves_nothing_to_the_next(engine: Engine, line: Line) -> None:
    line.ask("subscribe", channels=["orders"])
    with engine.line() as other:
        other.add(0, 9_000, 1, id="theirs")
    line.event("cancelled")
    with engine.line() as other:
        assert "duplicate" not in other.add(0, 9_000, 1, id="theirs")
        assert len(other.ask("orders")["orders"]) == 1


def test_sessions_of_one_connection_are_strangers(line: Line) -> None:
    order = line.add(0, 9_000, 1, session=1)["order_id"]
    assert line.ask("cancel", order_id=order, session=2)["code"] == "NOT_YOURS"
    line.ask("register", agent_id="in-one", session=1)
    assert line.ask("add", session=2, order={"side": 0, "price": 5, "qty": 1, "agent_id": "in-one"})[
        "code"
    ] == ("NOT_YOURS")
    line.ask("close_session", session=1)
    assert line.ask("snapshot")["bids"] == []


def test_metrics_count(line: Line) -> None:
    before = line.ask("metrics")
    line.add(0, 9_000, 1)
    line.add(1, 9_000, 1, session=1)
    after = line.ask("metrics")
    assert after["total_orders"] == before["total_orders"] + 2
    assert after["total_trades"] == before["total_trades"] + 1
    assert after["total_volume"] == before["total_volume"] + 1
    assert {"queue", "match", "journal", "total"} <= set(after["latency_ms"])


@pytest.mark.parametrize(
    ("wanted", "field", "said"),
    [
        ({"strategy": "momentm"}, "strategy", "did you mean 'momentum'"),
        ({"strategy": "momentum", "parameters": {"lookbac": 5}}, "parameters", "did you mean 'lookback'"),
        ({"strategy": "momentum", "parameters": {"lookback": -5}}, "parameters", "at least 1"),
        ({"personality": "market maker", "parameters": {"spread": 5}}, "parameters", "no such parameter"),
        ({"strategy": "ml_classifier"}, "parameters", "model_path"),
    ],
)
def test_an_agent_that_nobody_could_play_is_not_created(
    line: Line, wanted: dict[str, Any], field: str, said: str
) -> None:
    before = line.ask("agents")
    answer = line.ask("create_agent", name="Nobody", **wanted)
    assert (answer["status"], answer["code"], answer["field"]) == ("error", "BAD_REQUEST", field)
    assert said in answer["message"]
    assert line.ask("agents") == before
