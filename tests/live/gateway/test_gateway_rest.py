"""REST of the real gateway, its documents, and what Prometheus reads."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gateway_market import MARKET, Market, market_of, write
from prometheus_client.parser import text_string_to_metric_families
from whole_market import until

PERFORMANCE = {
    "trades_per_second",
    "orders_per_second",
    "total_trades",
    "total_orders",
    "total_volume",
    "queue_full_count",
    "queue_capacity",
    "queue_usage_pct",
    "uptime_seconds",
    "avg_trades_per_second",
    "avg_orders_per_second",
}


def _traded(market: Market) -> tuple[str, str]:
    """Let two agents trade, and return their ids."""
    with market.client() as maker, market.client() as taker:
        ids = maker.register("Maker")["agent_id"], taker.register("Taker")["agent_id"]
        maker.order("sell", 1.1, 3)
        taker.order("buy", 1.1, 3)
        for client in (maker, taker):
            client.wait("portfolio_update", lambda it: it["positions"])
    return ids


def test_health_names_the_processes(market: Market) -> None:
    health = market.http.get("/health").json()
    assert health["status"] == "ok"
    assert health["engine"] == {"status": "ok", "pid": market.engine.process.pid}
    assert health["gateway"] == {"status": "ok", "pid": market.gateway.process.pid}
    assert set(health["agents"]) == {"count", "connected"}


def test_what_agents_did_can_be_asked(market: Market) -> None:
    maker, taker = _traded(market)
    get = market.http.get
    until(lambda: not get(f"/api/agents/{taker}").json()["connected"], "the taker to be gone")
    agent = get(f"/api/agents/{taker}").json()
    assert agent["name"] == "Taker"
    portfolio = get(f"/api/agents/{taker}/portfolio").json()
    assert portfolio["positions"]["1"]["quantity"] == 3
    assert portfolio["cash"] == pytest.approx(agent["starting_capital"] - 3.3)
    (trade,) = get(f"/api/agents/{taker}/trades", params={"limit": 1}).json()
    assert (trade["price"], trade["quantity"], trade["aggressor_side"]) == (1.1, 3, "buy")
    assert (trade["maker_agent"], trade["taker_agent"]) == (maker, taker)
    (order,) = get(f"/api/agents/{maker}/orders").json()
    assert (order["side"], order["price"], order["filled"], order["status"]) == ("sell", 1.1, 3, "filled")
    ranked = get("/api/leaderboard").json()
    assert {maker, taker} <= {it["agent_id"] for it in ranked}
    assert [it["rank"] for it in ranked] == list(range(1, len(ranked) + 1))
    assert ranked == sorted(ranked, key=lambda it: -it["pnl"])
    assert {maker, taker} <= {it["agent_id"] for it in get("/api/agents").json()}


def test_what_instruments_did_can_be_asked(market: Market) -> None:
    _traded(market)
    get = market.http.get
    latest = get("/api/instruments/1/trades", params={"limit": 1}).json()[0]
    assert (latest["price"], latest["quantity"]) == (1.1, 3)
    candle = get("/api/instruments/1/candles", params={"interval": 3600, "limit": 1}).json()[0]
    assert candle["close"] == 1.1
    assert candle["low"] <= candle["open"] <= candle["high"]
    assert candle["volume"] >= 3
    rules = get("/api/instruments/2/rules").json()
    assert (rules["tick_size"], rules["lot_size"], rules["price_band"]) == (0.05, 1, [10.0, 100.0])


def test_the_clock_can_be_stopped_stepped_and_set(market: Market) -> None:
    post = market.http.post
    try:
        assert post("/api/market/pause").json()["paused"] is True
        step = market.http.get("/api/time").json()["step"]
        post("/api/market/step", json={"steps": 3})
        now = market.http.get("/api/time").json()
        while now["step"] < step + 3:
            now = market.http.get("/api/time").json()
        assert post("/api/market/speed", json={"steps_per_second": 20}).json()["steps_per_second"] == 20
    finally:
        assert post("/api/market/resume").json()["paused"] is False


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "word"),
    [
        ("GET", "/api/instruments/99/rules", None, 404, "there is no instrument 99"),
        ("DELETE", "/api/instruments/99", None, 404, "there is no instrument 99"),
        ("GET", "/api/agents/nobody", None, 404, "no such agent"),
        ("GET", "/api/agents/nobody/orders", None, 404, "no such agent"),
        ("GET", "/api/instruments/1/candles?interval=0", None, 422, "greater than or equal to 1"),
        ("POST", "/api/news", {"headline": ""}, 422, "at least 1 character"),
        ("POST", "/api/news", {"headline": "x", "colour": 1}, 422, "Extra inputs"),
        ("POST", "/api/news", {"headline": "\ud800"}, 422, "unicode"),
        ("POST", "/api/news", {"headline": "a\n\x1b"}, 422, "'headline'], 'msg': 'it has a control"),
        ("POST", "/api/news", {"headline": "a", "source": "\n"}, 422, "'source'], 'msg': 'it has a control"),
        ("POST", "/api/agents", {"name": "\u202ea"}, 422, "'name'], 'msg': 'it has a control character"),
        (
            "POST",
            "/api/agents",
            {"name": "a", "strategy": "\0"},
            422,
            "'strategy'], 'msg': 'it has a",
        ),
        ("POST", "/api/instruments", {"ticker": "AB\n", "initial_price": 1.0}, 422, "pattern"),
        ("POST", "/api/agents", {"name": "x", "starting_capital": 0.001}, 422, "use 0.0 or 0.01"),
        ("POST", "/api/agents", {"name": "x", "parameters": {"lookback": 2**80}}, 400, "2^62"),
        ("POST", "/api/instruments", {"ticker": "A B", "initial_price": 1.0}, 422, "pattern"),
        ("POST", "/api/instruments", {"ticker": "AB", "initial_price": 1.001}, 422, "use 1.0 or 1.01"),
        ("POST", "/api/market/speed", {"steps_per_second": 0}, 422, "or equal to 0.001"),
        ("POST", "/api/market/speed", {"steps_per_second": "fast"}, 422, "max"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_change(
    market: Market, method: str, path: str, body: Any, status: int, word: str
) -> None:
    content = None if body is None else json.dumps(body)
    answer = market.http.request(method, path, content=content, headers={"content-type": "application/json"})
    assert answer.status_code == status, answer.text
    assert word in str(answer.json()["detail"])


def test_what_is_not_there_is_told_with_what_is(market: Market) -> None:
    missing = market.http.get("/api/nothing")
    assert missing.status_code == 404
    assert "/openapi.json lists what there is" in missing.json()["detail"]
    wrong = market.http.put("/api/news", content=b"{}")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, POST")
    assert wrong.json()["detail"] == "there is no PUT at /api/news; use one of GET, POST"
    broken = market.http.post("/api/news", content=b'"\xff', headers={"content-type": "application/json"})
    assert (broken.status_code, "JSON in UTF-8" in broken.json()["detail"]) == (400, True)


def test_an_instrument_may_have_a_price_band(market: Market) -> None:
    body = {"ticker": "BAND", "initial_price": 3.0, "price_band": [1, 5]}
    listed = market.http.post("/api/instruments", json=body)
    assert listed.status_code == 200, listed.text
    number = listed.json()["symbol_id"]
    assert market.http.get(f"/api/instruments/{number}/rules").json()["price_band"] == [1.0, 5.0]
    assert market.http.delete(f"/api/instruments/{number}").status_code == 200


def test_a_body_has_a_bound(market: Market) -> None:
    answer = market.http.post("/api/news", content=b"x" * 3_000)
    assert answer.status_code == 413
    assert "2000" in answer.json()["detail"]


def test_performance_and_prometheus_agree(market: Market) -> None:
    _traded(market)
    row = market.http.get("/api/performance").json()
    assert set(row) >= PERFORMANCE
    assert row["total_orders"] >= 2
    for leg in ("gateway_order", "gateway_engine", "gateway_announce"):
        assert 0 < row["latency_ms"][leg]["p50"] <= row["latency_ms"][leg]["p99"]
    families = {it.name: it for it in text_string_to_metric_families(market.http.get("/metrics").text)}
    assert families["simlab_orders"].samples[0].value >= row["total_orders"]
    assert families["simlab_gateway_engine_up"].samples[0].value == 1
    legs = {it.labels["leg"] for it in families["simlab_latency_ms"].samples}
    assert {"gateway_order", "gateway_engine", "gateway_announce"} <= legs


@pytest.mark.slow
def test_no_request_is_a_server_error(tmp_path: Path) -> None:
    """Hypothesis makes requests out of the gateway's own OpenAPI document."""
    options = ["--checks", "not_a_server_error", "--max-examples", "3", "--seed", "1"]
    options += ["--phases", "examples,coverage,fuzzing", "--no-color"]
    with market_of(write(tmp_path, MARKET)) as market:
        document = f"http://{market.gateway.address}/openapi.json"
        command = [sys.executable, "-m", "schemathesis.cli", "run", document, *options]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
        assert int(re.findall(r"(\d+) generated", done.stdout)[-1]) > 100
        assert market.http.get("/health").json()["status"] == "ok"


def test_what_agents_decided_can_be_asked(market: Market) -> None:
    with market.client() as owner, market.client() as other:
        agent_id = owner.register("Thinker")["agent_id"]
        path = f"/api/agents/{agent_id}/decisions"
        assert market.http.get(path).json() == []
        for number in range(110):
            owner.send(type="decision", agent_id=agent_id, action="hold", reason=f"nothing new: {number}")
        said = {"strategy": "thinker", "action": "buy 3 ACME", "reason": "<b>cheap</b>", "order_ids": [7]}
        owner.send(type="decision", agent_id=agent_id, **said)
        owner.ask("pong", type="ping")
        refused = other.ask("error", type="decision", agent_id=agent_id, action="sell")
        assert (refused["code"], refused["request"]) == ("NOT_YOURS", "decision")
        kept = market.http.get(path).json()
        assert [it["reason"] for it in kept[:-1]] == [f"nothing new: {it}" for it in range(11, 110)]
        assert [it["step"] for it in kept] == sorted(it["step"] for it in kept)
        assert {key: kept[-1][key] for key in said} == said
        assert market.http.get(path, params={"limit": 1}).json() == kept[-1:]
        assert market.http.get("/api/agents/nobody/decisions").status_code == 404
