"""One market for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from whole_market import PORTS, WholeMarket, whole_market

STRATEGIES = """
from simlab.agents.each import agent_strategy


@agent_strategy("chatty", "Buys a lot at the best ask, and says why.")
class Chatty:
    def decide(self, observation, orders):
        if observation.best_ask is None:
            orders.note(reason="nobody sells")
        else:
            orders.limit("buy", observation.best_ask, 1, time_in_force="IOC")
            orders.note(reason=f"\\x1b{observation.best_ask}\\tis cheap", mood="good")


@agent_strategy("absent", "Never knows.")
class Absent:
    def decide(self, observation, orders):
        raise ValueError("I do not know")
"""
MARKET: dict[str, Any] = {
    "steps": 1_000_000,
    "instruments": {
        "ACME": {"initial_price": 10_000},
        "BOLT": {"initial_price": 2_500, "tick_size": 5, "lot_size": 10},
    },
    "populations": {
        "makers": {
            "strategy": "market_maker",
            "count": 2,
            "parameters": {"half_spread": 5, "size": 50},
            "activation": {"period": 1},
            "account": {"cash": 100_000_000, "short_selling": "free"},
        },
        "talkers": {
            "strategy": "mine.py:Chatty",
            "count": 2,
            "instruments": ["ACME"],
            "activation": {"period": 5, "stagger": True},
            "account": {"cash": 1_000_000},
        },
        "absents": {
            "strategy": "mine.py:Absent",
            "instruments": ["BOLT"],
            "fallback": [{"strategy": "personality/noise", "parameters": {"limit_share": 1.0}}],
            "activation": {"period": 5},
            "account": {"cash": 2_000_000},
        },
    },
    "live": {
        **PORTS,
        "steps_per_second": 20,
        "seats": {"count": 100},
        "limits": {"agents_per_connection": 1},
    },
}


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeMarket]:
    folder = tmp_path_factory.mktemp("market")
    (folder / "mine.py").write_text(STRATEGIES)
    with whole_market(folder, MARKET) as running:
        yield running
