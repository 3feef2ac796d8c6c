"""Each part is killed in turn while several clients trade; then everything must be there, and once."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from conftest import MARKET, STRATEGIES
from whole_market import WAIT_S, WholeMarket, until, whole_market

import simlab
from simlab.errors import LiveError
from simlab.live import Client

CLIENTS = 4
ORDERS_BETWEEN = 40
"""Orders of all clients together that are acknowledged between two kills."""


class Trader(threading.Thread):
    """Somebody who trades without pause, and takes down what was acknowledged."""

    def __init__(self, market: WholeMarket, number: int) -> None:
        super().__init__(daemon=True)
        self.client = Client(market.gateway, name=f"trader {number}", starting_capital=1_000_000)
        self.random = random.Random(number)
        self.over = threading.Event()
        self.acknowledged: dict[int, tuple[str, int, int]] = {}
        """Side, quantity and price in price units of market orders 0, by the market's number."""
        self.unsure: list[str] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.over.is_set():
                self.trade()
        except BaseException as error:
            self.error = error

    def trade(self) -> None:
        ticker, lot, price = self.random.choice([("ACME", 1, 100.0), ("BOLT", 10, 25.0)])
        side = self.random.choice(["buy", "sell"])
        cents = 5 * self.random.randint(-60, 60)
        limit = None if self.random.random() < 0.2 else round(price + cents / 100, 2)
        quantity = lot * self.random.randint(1, 5)
        try:
            order = getattr(self.client[ticker], side)(quantity, limit=limit, timeout_s=WAIT_S)
        except LiveError as error:
            self.unsure.append(str(error))
            return
        if order.order_id is not None:
            terms = (side, quantity, 0 if limit is None else round(limit * 100))
            self.acknowledged[order.order_id] = terms
        if self.random.random() < 0.3:
            try:
                order.cancel()
            except LiveError as error:
                self.unsure.append(str(error))

    def settle(self) -> None:
        """Stop, and wait until nothing is on the way any more."""
        self.over.set()
        self.join(WAIT_S)
        assert self.error is None, self.error
        until(lambda: all(it.order_id or it.status.is_over for it in self.records()), "answers")
        self.client.cancel_all()
        until(lambda: not self.client.orders, f"cancels: {self.client.orders}")
        assert not self.unsure[:3]  # every answer that was lost was asked for

    def records(self) -> list[Any]:
        return list(self.client._picture.orders.values())


def acknowledged(traders: list[Trader]) -> int:
    return sum(len(it.acknowledged) for it in traders)


@pytest.mark.slow
def test_nothing_is_lost_and_nothing_happens_twice(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(STRATEGIES)
    with whole_market(tmp_path, MARKET) as market:
        traders = [Trader(market, i) for i in range(CLIENTS)]
        for it in traders:
            it.start()
        for part in ("engine", "gateway", "agents", "dashboard", "engine", "gateway"):
            goal = acknowledged(traders) + ORDERS_BETWEEN
            until(lambda goal=goal: acknowledged(traders) >= goal, f"orders before {part} is killed")
            market.kill(part)
        goal = acknowledged(traders) + ORDERS_BETWEEN
        until(lambda: acknowledged(traders) >= goal, "orders after all kills")
        for it in traders:
            it.settle()
        portfolios = [it.client.portfolio for it in traders]
        for it in traders:
            it.client.close()
        assert market.stop() == 0, market.log.read_text()
    run = simlab.open(market.run_dir)
    for trader, portfolio in zip(traders, portfolios, strict=True):
        check_trader(run, trader, portfolio)
    command = [sys.executable, "-m", "simlab.cli", "replay", str(market.run_dir), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    replayed = json.loads(done.stdout)
    assert replayed["same"]
    assert replayed["recorded_hash"] == run.event_log_hash == replayed["event_log_hash"]


def check_trader(run: Any, trader: Trader, portfolio: Any) -> None:
    """Hold what a client knows against the recording."""
    messages = run.messages(names=False)
    entered = messages[messages["event"] == "accepted"].set_index("order_id")
    assert entered.index.is_unique
    assert len(trader.acknowledged) > ORDERS_BETWEEN / CLIENTS
    own = entered.loc[sorted(trader.acknowledged)]
    [account] = set(own["account"])
    for order_id, (side, quantity, price) in trader.acknowledged.items():
        row = own.loc[order_id]
        assert (row["side"], row["quantity"]) == (side, quantity)
        assert price in (0, row["price"])
    known = {it.order_id for it in trader.records() if it.order_id is not None}
    assert set(entered.index[entered["account"] == account]) == known
    trades = run.trades(names=False)
    cash, held = 1_000_000.0, {0: 0, 1: 0}
    for role in ("taker", "maker"):
        mine = trades[trades[f"{role}_account"] == account]
        bought = (mine["aggressor_side"] == "buy") == (role == "taker")
        signed = mine["quantity"].where(bought, -mine["quantity"])
        cash -= float((signed * mine["price"]).sum()) / 100
        for instrument, lots in signed.groupby(mine["instrument"]).sum().items():
            held[int(instrument)] += int(lots)
    assert portfolio.cash == pytest.approx(cash)
    positions = portfolio.positions["quantity"].to_dict()
    assert {"ACME": held[0], "BOLT": held[1]} == {name: positions.get(name, 0) for name in ("ACME", "BOLT")}
