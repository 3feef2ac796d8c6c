"""The page watched for a minute, before a market of 50 instruments and 500 agents: no task holds it up."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
from page import NARROW, browser
from whole_market import PORTS, WholeMarket, whole_market

WATCHED_S, LONGEST_MS = 60, 100
INSTRUMENTS, AGENTS = 50, 500
WAIT_S = 120
STRATEGY = """
from simlab.agents.each import agent_strategy


@agent_strategy("hand", "Buys or sells a little of anything, as it likes.")
class Hand:
    def decide(self, observation, orders):
        names = list(observation.markets)
        name = names[int(observation.random.integers(len(names)))]
        orders.market("buy" if observation.random.random() < 0.5 else "sell", 1, instrument=name)
        orders.note(reason=f"it likes {name}")
"""
MARKET: dict[str, Any] = {
    "steps": 10_000_000,
    "instruments": {
        f"S{number:02}": {"initial_price": 5_000 + 100 * number} for number in range(INSTRUMENTS)
    },
    "populations": {
        "noise": {
            "strategy": "noise",
            "count": 1_000,
            "parameters": {"limit_share": 0.4, "market_share": 0.3, "cancel_share": 0.3, "offset": 6},
            "activation": {"rate": 0.005},
            "account": {"cash": 100_000_000, "short_selling": "free"},
        },
        "makers": {
            "strategy": "market_maker",
            "count": 10,
            "parameters": {"half_spread": 5, "size": 20},
            "activation": {"period": 5, "stagger": True},
            "account": {"cash": 500_000_000, "short_selling": "free"},
        },
        "hands": {
            "strategy": "mine.py:Hand",
            "count": AGENTS,
            "activation": {"rate": 0.01},
            "account": {"cash": 1_000_000, "short_selling": "free"},
        },
    },
    "live": {**PORTS, "seats": {"count": 2 * AGENTS}},
}
OBSERVE = """
    window.longTasks = [];
    new PerformanceObserver((list) => {
      for (const it of list.getEntries()) longTasks.push(Math.round(it.duration));
    }).observe({type: 'longtask'});
"""


pytestmark = pytest.mark.slow


@pytest.fixture
def traced() -> Iterator[Any]:
    """Return a browser that keeps every task of every thread, with the time that it had the processor."""
    with browser(traceCategories="toplevel,__metadata", enableNetwork=False, enablePage=False) as running:
        yield running


def _until(browser: Any, condition: str) -> None:
    end = time.monotonic() + WAIT_S
    while not browser.execute_script(f"return {condition}"):
        assert time.monotonic() < end, f"waited in vain for {condition}"
        time.sleep(0.1)


def _traced(browser: Any) -> list[dict[str, Any]]:
    """Return what was traced since this was asked last."""
    events = [json.loads(it["message"])["message"] for it in browser.get_log("performance")]
    return [it["params"] for it in events if it["method"] == "Tracing.dataCollected"]


def _tasks_ms(traced: list[dict[str, Any]]) -> list[tuple[float, float]]:
    """Return processor time and length, ms, of the tasks of pages' main threads."""
    names = {(it["pid"], it["tid"]): it["args"]["name"] for it in traced if it["name"] == "thread_name"}
    return [
        (it.get("tdur", 0) / 1000, it["dur"] / 1000)  # what took a microsecond has no processor time
        for it in traced
        if it["name"] == "ThreadControllerImpl::RunTask"
        and it["ph"] == "X"
        and names[it["pid"], it["tid"]] == "CrRendererMain"
    ]


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeMarket]:
    folder = tmp_path_factory.mktemp("market")
    (folder / "mine.py").write_text(STRATEGY)
    with whole_market(folder, MARKET) as running:
        yield running


@pytest.mark.parametrize(("width", "height"), [(1280, 2000), (NARROW, 844)])
def test_no_task_is_long_in_a_minute_of_watching(
    traced: Any, market: WholeMarket, width: int, height: int, record_property: Any
) -> None:
    """Time is that of the processor: how long a task takes on a busy machine says nothing about the page.

    What the observer of long tasks saw, in wall time, is told beside it.
    """
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width == NARROW}
    traced.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    traced.get(f"http://{market.page}/")
    _until(traced, "document.documentElement.dataset.connection === 'open'")
    _until(traced, f"document.querySelectorAll('#symbol option').length === {INSTRUMENTS}")
    listed = market.get("/api/agents")
    assert len([it for it in listed if it["population"] is None]) == AGENTS < len(listed)
    traced.execute_script(OBSERVE)
    events = [it for it in _traced(traced) if it["name"] == "thread_name"]
    end = time.monotonic() + WATCHED_S
    while time.monotonic() < end:
        time.sleep(1)
        events += _traced(traced)
    seen = _tasks_ms(events)
    longest_ms, busy_ms = max(cpu for cpu, _ in seen), sum(cpu for cpu, _ in seen)
    observed = traced.execute_script("return longTasks")
    figures = {
        "longest_cpu_ms": round(longest_ms, 1),
        "longest_wall_ms": round(max(wall for _, wall in seen), 1),
        "busy_ms_per_s": round(busy_ms / WATCHED_S, 1),
        "long_tasks_observed": len(observed),
        "longest_observed_ms": max(observed, default=0),
    }
    record_property("figures", figures)
    print(figures)
    assert len(seen) > 10 * WATCHED_S, "the page did next to nothing"
    assert longest_ms < LONGEST_MS
