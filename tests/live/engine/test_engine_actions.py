"""What an engine answers, over real connections to a real process."""

from __future__ import annotations

from typing import Any

from engine_process import Engine, Line


def test_the_example_of_the_wire(line: Line) -> None:
    answer = line.ask("add", order={"id": 12345, "price": 10050, "qty": 10, "side": 1})
    assert answer["status"] == "success"
    assert (answer["id"], answer["state"], answer["remaining"]) == (12345, "resting", 10)
    assert line.ask("cancel", id=12345)["cancelled"] == 10


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
