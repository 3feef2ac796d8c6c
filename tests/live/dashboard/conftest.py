"""One browser and one market for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page import Page, browser
from whole_market import PORTS, WholeMarket, until, whole_market

STRATEGY = """
from simlab.agents.each import agent_strategy


@agent_strategy("chatty", "Buys at the best ask now and then, and says why.")
class Chatty:
    def decide(self, observation, orders):
        if observation.best_ask is not None:
            orders.limit("buy", observation.best_ask, 1, time_in_force="IOC")
            orders.note(reason=f"<b>{observation.best_ask}</b> is cheap")
"""
MARKET: dict[str, Any] = {
    "extends": str(Path(__file__).parents[3] / "configs" / "quickstart.yaml"),
    "name": "page",
    "steps": 10_000_000,
    "populations": {
        "talkers": {
            "strategy": "mine.py:Chatty",
            "count": 2,
            "activation": {"period": 10, "stagger": True},
            "account": {"cash": 10_000_000},
        },
    },
    "live": {**PORTS, "steps_per_second": 20, "seats": {"count": 600}},
}


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeMarket]:
    """Return a market that has traded a little."""
    folder = tmp_path_factory.mktemp("market")
    (folder / "mine.py").write_text(STRATEGY)
    with whole_market(folder, MARKET) as running:
        until(lambda: len(running.get("/api/instruments/1/candles", interval=1)) >= 4, "candles")
        yield running


@pytest.fixture(scope="module")
def driver() -> Iterator[Any]:
    with browser() as running:
        yield running


@pytest.fixture
def page(driver: Any) -> Page:
    return Page(driver)
