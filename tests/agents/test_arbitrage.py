"""The arbitrageur counts money, lots and what is there, asks before it sends, and repairs what came alone."""

from __future__ import annotations

from typing import Any

import pytest

import simlab
from simlab.core.types import EventKind, MessageKind, Side
from simlab.errors import ConfigError
from simlab.kernel import Simulation
from simlab.kernel.conformance import messages

RICH = {"cash": 10**12, "short_selling": "free"}


def arbitrage_market(**changed: Any) -> tuple[Simulation, int, int]:
    """Return a market of a fund and a share, the account of an arbitrageur and that of somebody else."""
    arbitrage = {
        "strategy": "arbitrage",
        "parameters": {"threshold": 20, "size": 8},
        "options": {"weights": {"FUND": 1, "SHARE": -2}, "value": 0},
        "account": RICH,
    }
    for name, value in changed.items():
        arbitrage[name] = {**arbitrage[name], **value}  # type: ignore[dict-item]
    content = {
        "steps": 50,
        "instruments": {
            "FUND": {"initial_price": 200, "multiplier": 10},
            "SHARE": {"initial_price": 1000, "lot_size": 4},
        },
        "populations": {"arbitrage": arbitrage, "others": {"strategy": "outside", "account": RICH}},
    }
    market = Simulation(simlab.build(simlab.load(content)))
    return market, 0, market.take_seat("others")


def offer(market: Simulation, account: int, instrument: int, side: Side, price: int, quantity: int) -> None:
    order = {
        "kind": MessageKind.LIMIT,
        "side": side,
        "price": price,
        "quantity": quantity,
        "instrument": instrument,
    }
    [answer] = market.submit(messages(order | {"account": account}))[:1]
    assert answer["kind"] == EventKind.ACCEPTED


def holding(market: Simulation, account: int) -> list[int]:
    return [it.inventory for it in market.account(account).positions]


@pytest.mark.parametrize(
    ("fund_ask", "share_bid", "share_depth", "held"),
    [
        # A fund costs 10 x 198 = 1,980, two shares bring 2 x 1,000 = 2,000: no more than the threshold
        (198, 1000, 40, [0, 0]),
        (197, 1000, 40, [8, -16]),
        (197, 1000, 12, [6, -12]),
        (197, 1000, 8, [4, -8]),
    ],
)
def test_arbitrage_counts_money_lots_and_what_is_there(
    fund_ask: int, share_bid: int, share_depth: int, held: list[int]
) -> None:
    market, arbitrageur, other = arbitrage_market()
    offer(market, other, 0, Side.SELL, fund_ask, 30)
    offer(market, other, 1, Side.BUY, share_bid, share_depth)
    market.advance(1)
    assert holding(market, arbitrageur) == held
    market.audit()


def test_arbitrage_sends_whole_lot_sizes_of_every_leg_or_nothing() -> None:
    for size, held in ((1, [0, 0]), (3, [2, -4])):
        market, arbitrageur, other = arbitrage_market(parameters={"size": size})
        offer(market, other, 0, Side.SELL, 197, 30)
        offer(market, other, 1, Side.BUY, 1000, 40)
        market.advance(1)
        assert holding(market, arbitrageur) == held


def test_arbitrage_sends_no_leg_that_the_rules_refuse() -> None:
    """With money for three units it buys two, in whole lot sizes; with none to sell short it does nothing."""
    for account, held in (({"cash": 6_500}, [2, -4]), ({"short_selling": "none"}, [0, 0])):
        market, arbitrageur, other = arbitrage_market(account=account)
        offer(market, other, 0, Side.SELL, 197, 30)
        offer(market, other, 1, Side.BUY, 1000, 40)
        market.advance(1)
        assert holding(market, arbitrageur) == held


def test_arbitrage_trades_away_a_leg_that_came_alone() -> None:
    market, arbitrageur, other = arbitrage_market(account={"inventory": {"FUND": 6, "SHARE": -8}})
    offer(market, other, 0, Side.BUY, 150, 30)
    market.advance(1)
    assert holding(market, arbitrageur) == [4, -8]
    market.halt(5, instrument=1)
    market.advance(3)
    assert holding(market, arbitrageur) == [4, -8]


def test_arbitrage_wants_two_legs() -> None:
    with pytest.raises(ConfigError, match="needs lots of two instruments or more, and there are 1"):
        simlab.validate(
            {
                "steps": 5,
                "instruments": {"A": {"initial_price": 100}},
                "populations": {"p": {"strategy": "arbitrage", "options": {"weights": {"A": 1}}}},
            }
        )
