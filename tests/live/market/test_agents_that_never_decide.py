"""Strategies whose `decide` never returns hold up neither other agents nor the end of a market."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
from conftest import MARKET, STRATEGIES
from whole_market import until, whole_market

NEVER = """

import time


@agent_strategy("stuck", "Never decides.")
class Stuck:
    def decide(self, observation, orders):
        while True:
            time.sleep(1)


@agent_strategy("hogging", "Never decides, and lets nobody else.")
class Hogging:
    async def decide(self, observation, orders):
        while True:
            time.sleep(1)
"""


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["Stuck", "Hogging"])
def test_the_market_ends_and_the_log_says_who_was_cut_off(tmp_path: Path, strategy: str) -> None:
    (tmp_path / "mine.py").write_text(STRATEGIES + NEVER)
    never = {
        "strategy": f"mine.py:{strategy}",
        "instruments": ["ACME"],
        "activation": {"period": 1},
        "account": {"cash": 1_000_000},
    }
    config = MARKET | {"populations": MARKET["populations"] | {"never": never}}
    with whole_market(tmp_path, config) as market:
        log = market.run_dir / "live" / "agents.log"
        if strategy == "Stuck":
            until(lambda: market.get("/api/agents/talkers-0/orders"), "an order of another agent")
            until(lambda: "agent never/0 has been deciding for 10 s" in log.read_text(), "a warning")
        else:
            until(lambda: market.get("/api/time")["step"] > 20, "the agents' turn")
        assert market.stop(signal.SIGINT) == 0
        assert "was killed" not in market.log.read_text()
        said = log.read_text()
        names, where = re.search(
            r"decide\(\) of (.*) had not returned at the end(.*)", said, re.DOTALL
        ).groups()
        assert "never/0" in names.split(", ")  # others may have been deciding too
        assert "mine.py" in where
