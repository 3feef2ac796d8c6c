"""Agents of populations inside the engine, as clients are told of them, over WebSocket and REST."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from gateway_market import MARKET, Market, market_of, write

from simlab.live.engine.inside import AGENTS_SHOWN

POPULATIONS: dict[str, Any] = {
    "makers": {
        "strategy": "market_maker",
        "count": 4,
        "parameters": {"half_spread": 4, "size": 20},
        "activation": {"period": 2},
        "account": {"cash": 100_000_000, "short_selling": "free"},
    },
    "noise": {
        "strategy": "noise",
        "count": 700,
        "parameters": {"limit_share": 0.4, "market_share": 0.3, "cancel_share": 0.3, "offset": 4},
        "activation": {"rate": 0.02},
        "account": {"cash": 100_000_000, "short_selling": "free"},
    },
}
COUNT = 704


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    """A market in which populations trade."""
    limits = {"limits": {"listener_bytes": 10_000_000}}
    market = {**MARKET, "populations": POPULATIONS, "steps": 10_000_000, "live": MARKET["live"] | limits}
    with market_of(write(tmp_path_factory.mktemp("busy"), market), "live.steps_per_second=50") as it:
        yield it


def _inside(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {it["agent_id"]: it for it in rows if it["population"] is not None}


def test_they_are_told_beside_those_from_outside_and_go_on(busy: Market) -> None:
    with busy.client() as client:
        mine = client.register("Ada", starting_capital=1000)["agent_id"]
        told = client.wait("agents_snapshot", lambda it: any(row["agent_id"] == mine for row in it))
        assert client.seen[-1]["count"] >= COUNT + 1
        inside = _inside(told)
        assert len(inside) == AGENTS_SHOWN
        assert inside.keys() >= {f"makers-{it}" for it in range(4)}
        assert next(it for it in told if it["agent_id"] == mine)["population"] is None
        cash = inside["makers-0"]["cash"]
        client.wait("agents_snapshot", lambda it: _inside(it)["makers-0"]["cash"] != cash)
        for row in _inside(client.seen[-1]["data"]).values():
            assert row["pnl"] == pytest.approx(row["total_value"] - row["starting_capital"], abs=0.011)
            worth = sum(it["market_value"] for it in row["positions"].values())
            assert row["total_value"] == pytest.approx(row["cash"] + worth, abs=0.05)
            assert (row["connected"], row["starting_capital"]) == (True, 1_000_000.0)
        client.wait("trades")
        assert {"order_placed", "order_update"}.isdisjoint(it["type"] for it in client.seen)


def test_whoever_comes_is_told_at_once(busy: Market) -> None:
    with busy.client() as client:
        assert len(_inside(client.wait("agents_snapshot"))) == AGENTS_SHOWN


def test_rest_has_them_though_nobody_listens(busy: Market) -> None:
    before = _inside(busy.http.get("/api/agents").json())["makers-1"]
    end = time.monotonic() + 60
    while _inside(busy.http.get("/api/agents").json())["makers-1"]["cash"] == before["cash"]:
        assert time.monotonic() < end
        time.sleep(0.2)
    ranked = busy.http.get("/api/leaderboard").json()
    assert len(ranked) >= AGENTS_SHOWN
    assert [it["pnl"] for it in ranked] == sorted((it["pnl"] for it in ranked), reverse=True)
    assert len(busy.http.get("/api/leaderboard", params={"limit": 7}).json()) == 7
    assert busy.http.get("/health").json()["agents"]["count"] < 10  # it counts those who connect


def test_each_can_be_looked_at_listed_or_not(busy: Market) -> None:
    listed = _inside(busy.http.get("/api/agents").json())
    other = next(f"noise-{it}" for it in range(700) if f"noise-{it}" not in listed)
    for agent_id in ("makers-2", other):
        path = f"/api/agents/{agent_id}"
        row = busy.http.get(path).json()
        assert (row["agent_id"], row["name"]) == (agent_id, agent_id.replace("-", "/"))
        portfolio = busy.http.get(f"{path}/portfolio").json()
        assert (portfolio["agent_id"], portfolio["cash"] > 0) == (agent_id, True)
        assert busy.http.get(f"{path}/decisions").json() == []
        for it in busy.http.get(f"{path}/trades", params={"limit": 5}).json():
            assert agent_id in (it["maker_agent"], it["taker_agent"])
    assert busy.http.get("/api/agents/makers-2/orders").json()[0]["status"] == "resting"
    assert busy.http.get("/api/agents/makers-2/trades").json()
    for unknown in ("makers-4", "makers-02", "traders-0", "exchange-fees", "makers-x", "makers"):
        for part in ("", "/portfolio", "/orders", "/trades", "/decisions"):
            answer = busy.http.get(f"/api/agents/{unknown}{part}")
            assert (answer.status_code, "GET /api/agents" in answer.json()["detail"]) == (404, True)


def test_a_client_can_look_at_one_and_be_none(busy: Market) -> None:
    with busy.client() as client:
        client.send(type="get_portfolio", agent_id="makers-3")
        assert client.wait("portfolio_update")["agent_id"] == "makers-3"
        assert client.ask("orders", type="get_orders", agent_id="makers-3")
        refused = client.ask("error", type="agent_register", name="me", agent_id="makers-3")
        assert (refused["code"], refused["agent_id"]) == ("AGENT_TAKEN", "makers-3")
        for more in ({}, {"session_token": "guess"}):
            client.send(type="agent_register", name="me", agent_id="makers-3", **more)
            assert client.wait("error")["code"] == "AGENT_TAKEN"
        answer = client.order("buy", 100.0, agent_id="makers-3")
        assert (answer["status"], answer["code"]) == ("error", 1005)
        mine = client.register("me", agent_id="me-3")
        assert mine["agent"]["population"] is None
