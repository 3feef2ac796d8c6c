"""The benchmark of live markets does what it says, on a small scale."""

from __future__ import annotations

import json
from copy import copy

import pytest

from simlab.bench import live
from simlab.bench.live_market import Market, market_of
from simlab.bench.live_orders import restarted, traded
from simlab.errors import SimlabError

ROW = {"clients", "orders_per_s", "p50_ms", "p99_ms", "announcements", "lost", "rss_mb"}


@pytest.fixture(scope="module")
def market() -> Market:
    with market_of() as it:
        yield it


def test_clients_that_send_are_all_told_of_every_order(market: Market) -> None:
    row = live._websocket(market, 0.3, senders=3, listeners=2)
    assert set(row) >= ROW
    assert row["orders_per_s"] > 0
    assert row["p50_ms"] <= row["p99_ms"]
    assert row["announcements"] % 5 == 0
    assert row["announcements"] > 0
    assert row["lost"] == 0
    json.dumps(row)


def test_a_senders_announcements_are_timed(market: Market) -> None:
    row = live._websocket(market, 0.3, senders=1, listeners=4)
    assert row["lost"] == 0
    assert row["announced_p99_ms"] > 0


def test_listeners_to_a_book_are_held_against_the_first(market: Market) -> None:
    row = live._books(market, 1.0, listeners=5)
    assert row["announcements"] >= 5
    assert row["lost"] == 0
    assert 0 <= row["p50_ms"] <= row["behind_ms"]


def test_the_engine_is_measured_alone(market: Market) -> None:
    row = live._tcp(market, 0.3, window=64)
    assert set(row) >= ROW
    assert row["orders_per_s"] > 0


def test_it_says_so_when_the_gateway_is_not_there(market: Market) -> None:
    nowhere = copy(market)
    nowhere.gateway = ("127.0.0.1", 9)
    with pytest.raises(SimlabError, match="Connection refused"):
        live._websocket(nowhere, 0.1, senders=1, listeners=0)


def test_medians_are_of_rounds_and_losses_their_sum() -> None:
    rows = [{"p50_ms": it, "lost": 1} for it in (5.0, 1.0, 3.0)]
    assert live._medians(rows) == {"p50_ms": 3.0, "lost": 3}


@pytest.mark.slow
def test_what_many_orders_leave_is_what_the_recorded_trades_say() -> None:
    with market_of() as market:
        row = traded(market, 20_000)
    assert set(row) >= ROW
    assert row["lost"] == 0
    assert row["portfolios_wrong"] == 0
    assert row["rss_start_mb"] > 0


@pytest.mark.slow
def test_a_killed_engine_comes_back_with_every_order() -> None:
    with market_of() as market:
        row = restarted(market, 20_000)
    assert row["lost"] == 0
    assert row["portfolios_wrong"] == 0
    assert row["restart_s"] > 0
