"""Answers that are lost with the engine: what is known afterwards is what the market has."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from conftest import MARKET, STRATEGIES
from whole_market import WholeMarket, until, whole_market

from simlab.live import Client

KEEPER = """

import time
from pathlib import Path

DECIDING = Path(__file__).with_name("deciding")


@agent_strategy("keeper", "Has one order or none in the book; takes its time to decide when it is told to.")
class Keeper:
    def decide(self, observation, orders):
        if DECIDING.with_name("slowly").exists():
            DECIDING.touch()
            time.sleep(1)
            DECIDING.unlink()
        if observation.open_orders:
            orders.cancel_all()
        else:
            orders.limit("buy", 9_000, 1)
"""


def lose_the_engine(market: WholeMarket, then_sent: Callable[[], object]) -> None:
    """Let the engine stand still, so that what is sent then is lost with it, and wait for the next."""
    os.kill(market.pid("engine"), signal.SIGSTOP)
    then_sent()
    market.kill("engine")


@pytest.mark.slow
@pytest.mark.parametrize(
    "cancel",
    [lambda order, _: order.cancel(), lambda _, client: client.cancel_all()],
    ids=["cancel", "cancel_all"],
)
def test_a_cancel_is_sent_again_until_it_is_answered(
    market: WholeMarket, cancel: Callable[[Any, Client], object]
) -> None:
    with Client(market.gateway, name="Patient", starting_capital=10_000) as client:
        order = client["ACME"].buy(1, limit=50)
        raised: list[BaseException] = []

        def cancelling() -> None:
            try:
                cancel(order, client)
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=cancelling, daemon=True)

        def send() -> None:
            thread.start()
            until(lambda: client._inner._session._waiting, "the request")

        lose_the_engine(market, send)
        thread.join(60)
        assert not raised
        until(lambda: not client.orders, "the order to be gone")
        assert order.status == "cancelled"


@pytest.mark.slow
def test_a_strategy_goes_on_after_its_order_was_lost(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(STRATEGIES + KEEPER)
    keepers = MARKET["populations"]["talkers"] | {"strategy": "mine.py:Keeper", "count": 1}
    config = MARKET | {"populations": {"keepers": keepers | {"activation": {"period": 1}}}}
    slowly, deciding = tmp_path / "slowly", tmp_path / "deciding"
    with whole_market(tmp_path, config) as market:

        def sent() -> list[Any]:
            told = httpx.get(f"{market.gateway}/api/agents/keepers-0/orders", trust_env=False)
            return told.json() if told.is_success else []  # the gateway has the next engine a moment later

        until(lambda: len(sent()) > 2, "orders")
        slowly.touch()
        until(deciding.exists, "a decision")

        def decide() -> None:
            slowly.unlink()
            until(lambda: not deciding.exists(), "the end of the decision")

        lose_the_engine(market, decide)
        before = len(until(sent, "the gateway to have the next engine"))
        until(lambda: len(sent()) > before + 2, "further orders")
        assert sum(it["status"] == "resting" for it in sent()) <= 1
