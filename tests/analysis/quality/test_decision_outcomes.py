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
        6: "resting; refused: funds",
        7: "held",
        8: "expired",
        9: "resting",
    }
    assert rows["refused"].to_dict()[6] == 1


def test_columns_that_are_asked_for_are_as_recorded(run: simlab.Run) -> None:
    assert list(run.decisions(columns=["step", "reason"]).columns) == ["step", "reason"]
