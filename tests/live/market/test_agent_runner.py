"""Agents that trade as clients: those of the configuration, and those that are created meanwhile."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import MARKET
from whole_market import WholeMarket, until, whole_market

import simlab
from simlab.bench.endpoint import serving


def orders(market: WholeMarket, agent_id: str) -> list[dict[str, Any]]:
    return market.get(f"/api/agents/{agent_id}/orders")


def test_agents_of_the_configuration_have_their_cash_and_trade(market: WholeMarket) -> None:
    agents = {it["agent_id"]: it for it in market.get("/api/agents")}
    assert {"talkers-0", "talkers-1", "absents-0"} <= agents.keys()
    assert agents["talkers-0"]["starting_capital"] == 10_000
    assert agents["talkers-0"]["name"] == "talkers/0"
    until(lambda: any(it["filled"] for it in orders(market, "talkers-0")), "a fill")
    until(lambda: market.get("/api/agents/talkers-0/portfolio")["cash"] < 10_000, "cash")


def test_where_a_strategy_fails_the_next_decides(market: WholeMarket) -> None:
    until(lambda: orders(market, "absents-0"), "an order of the compiled fallback")


def test_agents_that_are_created_trade(market: WholeMarket) -> None:
    made = market.post("/api/agents", name="Maker", personality="market maker", starting_capital=50_000)
    agent_id = made["agent_id"]
    until(lambda: len(orders(market, agent_id)) >= 4, "quotes in both instruments")
    assert {it["side"] for it in orders(market, agent_id)} == {"buy", "sell"}
    assert market.get(f"/api/agents/{agent_id}")["connected"]
    named = market.post("/api/agents", name="Named", strategy="noise", parameters={"limit_share": 1.0})
    until(lambda: orders(market, named["agent_id"]), "an order of a strategy that was named")


def test_nobody_can_have_code_run_by_naming_it(market: WholeMarket) -> None:
    for strategy in ("os:system", "strategies/imbalance.py:Imbalance", "outside"):
        with pytest.raises(httpx.HTTPStatusError) as caught:
            market.post("/api/agents", name="Evil", strategy=strategy)
        assert caught.value.response.status_code == 400
        assert "there is no strategy" in caught.value.response.json()["detail"]


@pytest.mark.slow
def test_after_the_runner_was_killed_all_agents_are_the_same(market: WholeMarket) -> None:
    made = market.post("/api/agents", name="Survivor", personality="neutral", starting_capital=50_000)
    until(lambda: orders(market, made["agent_id"]), "an order")
    before = {it["agent_id"] for it in market.get("/api/agents")}
    market.kill("agents")
    sent = {it: len(orders(market, it)) for it in ("talkers-0", made["agent_id"])}
    for agent_id, count in sent.items():
        until(lambda it=agent_id, n=count: market.get(f"/api/agents/{it}")["connected"], agent_id)
    until(lambda: len(orders(market, "talkers-0")) > sent["talkers-0"], "a new order")
    until(
        lambda: len(orders(market, made["agent_id"])) > sent[made["agent_id"]], "a new order of the created"
    )
    assert {it["agent_id"] for it in market.get("/api/agents")} == before


def test_decisions_are_told_with_their_reasons_and_recorded(market: WholeMarket) -> None:
    def decisions(agent_id: str) -> list[dict[str, Any]]:
        return market.get(f"/api/agents/{agent_id}/decisions")

    bought = until(lambda: [it for it in decisions("talkers-1") if it["order_ids"]], "a decision to buy")[-1]
    assert bought["action"].startswith("buy 1 at ")
    assert bought["reason"].endswith(" is cheap")  # the strategy says a tab and an escape
    assert bought["reason"].isprintable()
    assert (bought["source"], bought["strategy"]) == ("heuristic", "chatty")
    known = {it["orderId"] for it in orders(market, "talkers-1")}
    assert set(bought["order_ids"]) <= known
    passed = until(lambda: [it for it in decisions("absents-0") if it["order_ids"]], "a fallback")[-1]
    assert passed["fallback"] == "heuristic failed: ValueError: I do not know"
    assert passed["strategy"] == "personality/noise"

    def recorded() -> bool:
        table = simlab.open(market.run_dir).decisions()
        return bool((table["reason"].dropna().str.endswith("is cheap")).any())

    until(recorded, "the table of decisions")


@pytest.mark.slow
def test_language_models_trade_as_clients_and_say_why(tmp_path: Path) -> None:
    """One agent is answered by an endpoint with an order, the other with prose: a rule decides for it."""
    with serving() as address:
        thinkers = {
            "strategy": "llm",
            "instruments": ["ACME"],
            "options": {"instructions": "behave: market_buy"},
            "fallback": [{"strategy": "personality/neutral"}],
            "activation": {"period": 20},
            "account": {"cash": 1_000_000},
        }
        babblers = thinkers | {"options": {"instructions": "behave: french"}}
        makers = MARKET["populations"]["makers"]
        config = MARKET | {
            "populations": {"makers": makers, "thinkers": thinkers, "babblers": babblers},
            "llm": {"base_url": address, "model": "fake", "retries": 0},
        }
        with whole_market(tmp_path, config) as market:
            thought = first_decision(market, "thinkers-0")
            assert (thought["source"], thought["action"]) == ("llm", "buy 1 at market ACME")
            assert thought["reason"]
            [order] = [it for it in orders(market, "thinkers-0") if it["orderId"] in thought["order_ids"]]
            assert (order["filled"], order["status"]) == (1, "filled")
            rule = first_decision(market, "babblers-0")
            assert (rule["source"], rule["strategy"]) == ("heuristic", "personality/neutral")
            assert rule["fallback"].startswith("llm invalid answer")
            assert market.stop(signal.SIGINT) == 0, market.log.read_text()


def first_decision(market: WholeMarket, agent_id: str) -> dict[str, Any]:
    return until(lambda: market.get(f"/api/agents/{agent_id}/decisions"), f"a decision of {agent_id}")[0]
