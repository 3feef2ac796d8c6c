"""What became of decisions, as an agent of known orders sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

import simlab

PLUGIN = """
from simlab.agents.each import agent_strategy

SCRIPT = {
    0: lambda o: o.limit("sell", 100, 5),
    1: lambda o: o.limit("buy", 100, 3),
    2: lambda o: o.limit("buy", 100, 4),  # nobody sells any more
    3: lambda o: o.limit("buy", 90, 1),
    4: lambda o: o.cancel_all(),
    5: lambda o: o.limit("buy", 91, 10**6),
    6: lambda o: (o.limit("buy", 92, 1), o.limit("buy", 92, 10**6)),
    7: lambda o: None,
    8: lambda o: o.limit("buy", 93, 1, expiry=8),
    9: lambda o: o.limit("buy", 94, 1),
}


@agent_strategy("scripted", "Acts by a script.")
class Scripted:
    def decide(self, observation, orders):
        seller = observation.name.startswith("seller")
        if seller == (observation.step == 0):
            SCRIPT[observation.step](orders)
            orders.note(reason=f"step {observation.step}")
"""


@pytest.fixture
def run(tmp_path: Path) -> simlab.Run:
    (tmp_path / "scripted.py").write_text(PLUGIN, encoding="utf-8")
    agent = {"strategy": str(tmp_path / "scripted.py:Scripted"), "activation": {"period": 1}}
    content = {
        "steps": 10,
        "instruments": {"ACME": {"initial_price": 100}},
        "populations": {
            "buyer": agent | {"account": {"cash": 1000}},
            "seller": agent | {"account": {"inventory": 10}, "leaves": 2},
        },
    }
    made = simlab.run(content, out=tmp_path)
    assert isinstance(made, simlab.Run)
    return made


def test_every_ending_is_told(run: simlab.Run) -> None:
    rows = run.decisions().set_index("step").loc[:, ["outcome", "filled", "refused"]]
    assert rows.loc[1].tolist() == ["filled", 3, 0]
    assert rows["outcome"].to_dict() == {
        0: "partly filled",
        1: "filled",
        2: "cancelled",
        3: "cancelled",
        4: "sent no order",
        5: "refused: funds",
        6: "1 resting, 1 refused: funds",
        7: "held",
        8: "expired",
        9: "resting",
    }
    assert rows["refused"].to_dict()[6] == 1


def test_columns_that_are_asked_for_are_as_recorded(run: simlab.Run) -> None:
    assert list(run.decisions(columns=["step", "reason"]).columns) == ["step", "reason"]


SECOND_PLUGIN = """
from simlab.agents.batch import batch_strategy
from simlab.agents.each import agent_strategy


@agent_strategy("changing", "Notes what it sends every second time, and changes what it sent.")
class Changing:
    def decide(self, observation, orders):
        step, mine = observation.step, observation.market.orders
        if step == 0:
            orders.limit("sell", 110, 5)
            orders.note(reason="noted")
        elif step == 1:
            orders.limit("sell", 120, 1)  # belongs to no recorded decision
        elif step == 2:
            orders.replace(mine[0].order_id, price=100, quantity=7)
            orders.note(reason="changed")
        elif step == 4:
            for it in (*mine, *mine):  # the second time they are gone
                orders.cancel(it.order_id)
            orders.note(reason="gone")
        elif step == 5:
            orders.note(reason="waits")
            orders.think(100)
            orders.market("sell", 1)


@batch_strategy("taking", "Buys in two calls for all, so that ids of one agent are apart.")
class Taking:
    def decide(self, observation, orders):
        if observation.step == 3:
            who = range(len(observation.agents))
            orders.limit(who, "buy", 100, 2)
            orders.limit(who, "buy", 99, 1)
            orders.note(who, reason="takes")
"""


def test_orders_are_put_down_to_the_decision_that_sent_them(tmp_path: Path) -> None:
    (tmp_path / "changing.py").write_text(SECOND_PLUGIN, encoding="utf-8")
    account = {"cash": 10**6, "inventory": 100}
    common = {"activation": {"period": 1}, "account": account}
    content = {
        "steps": 10,
        "activation": "simultaneous",
        "instruments": {"ACME": {"initial_price": 100}},
        "populations": {
            "changing": common | {"strategy": str(tmp_path / "changing.py:Changing")},
            "takers": common | {"strategy": str(tmp_path / "changing.py:Taking"), "count": 2},
        },
    }
    made = simlab.run(content, out=tmp_path)
    assert isinstance(made, simlab.Run)
    rows = made.decisions().dropna(subset="reason")
    told = rows.set_index(["account", "reason"])[["filled", "refused", "outcome"]].T
    changing = told["changing/0"]
    assert changing["noted"].tolist() == [4, 0, "partly filled"]  # of the 7 it was raised to
    assert changing["changed"].tolist() == [0, 0, "sent no order"]
    assert changing["gone"].tolist() == [0, 0, "sent no order"]
    assert changing["waits"].tolist() == [0, 0, "on its way"]
    assert told["takers/0", "takes"].tolist() == [2, 0, "1 filled, 1 resting"]
    assert told["takers/1", "takes"].tolist() == [2, 0, "1 filled, 1 resting"]
    assert made.messages()["event"].eq("rejected").sum() == 2
