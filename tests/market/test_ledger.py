"""Cash, inventory, reserves, fees and profit are exact, whatever is sent."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import ceil
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ledger_model import FEES, LedgerModel
from market_driver import FREE, Market

from simlab.core.types import Reason, SelfTrade, Side
from simlab.kernel.summary import profits
from simlab.market.instruments import MAX_MONEY, UNLIMITED, AccountPolicy, Instrument, lot_limit
from simlab.market.ledger import fee

ACCOUNTS = 3
POOR = AccountPolicy(cash=3_000, inventory=(("X", 25), ("Y", 5)), position_limit=40)

commands = st.fixed_dictionaries(
    {
        "account": st.integers(0, ACCOUNTS - 1),
        "kind": st.sampled_from(["limit"] * 4 + ["market", "cancel", "replace", "cancel_all"]),
        "side": st.sampled_from(["buy", "sell"]),
        "price": st.one_of(st.integers(96, 104), st.just(400)),
        "quantity": st.integers(1, 12),
        "instrument": st.sampled_from(["X", "X", "Y"]),
        "time_in_force": st.sampled_from(["GTC", "GTC", "GTC", "IOC", "FOK"]),
        "lives": st.sampled_from([None, None, 0, 3]),
        "target": st.integers(0, 30),
    }
)
fees = st.sampled_from([(0, 0), (-20, 30), (777, 333), (-3_333, 250_001), (40_000, -7)])
markets = st.fixed_dictionaries(
    {
        "fees": fees,
        "multiplier": st.sampled_from([1, 7, 1_000]),
        "self_trade": st.sampled_from(list(SelfTrade)),
    }
)


def shares(fees: tuple[int, int], multiplier: int, self_trade: SelfTrade) -> tuple[Instrument, ...]:
    terms: dict[str, Any] = {
        "maker_fee_ppm": fees[0],
        "taker_fee_ppm": fees[1],
        "self_trade": self_trade,
    }
    return Instrument("X", 100, multiplier=multiplier, **terms), Instrument("Y", 101, **terms)


def carry_out(market: Market, command: dict[str, Any]) -> Any:
    """Send one drawn command and return the events it gave, with those of the step's expiries."""
    step = market.simulation.step
    target = 1 + command["target"] % max(1, market.last_id)

    def run(orders: Any) -> None:
        side, price, quantity = command["side"], command["price"], command["quantity"]
        if command["kind"] == "limit":
            expiry = 0 if command["lives"] is None else step + command["lives"]
            time_in_force, instrument = command["time_in_force"], command["instrument"]
            market.last_id = orders.limit(
                side, price, quantity, instrument=instrument, time_in_force=time_in_force, expiry=expiry
            )
        elif command["kind"] == "market":
            market.last_id = orders.market(side, quantity, instrument=command["instrument"])
        elif command["kind"] == "cancel":
            orders.cancel(target)
        elif command["kind"] == "replace":
            orders.replace(target, price, quantity)
        else:
            orders.cancel_all()

    return market.send(command["account"], run)


def compare(market: Market, model: LedgerModel) -> None:
    """Check every number of the ledger against the model."""
    ledger, count = market.simulation.state.ledger, len(market.simulation.spec.instruments)
    for account in range(ACCOUNTS):
        row = ledger.accounts[account]
        assert row["cash"] == model.cash[account]
        assert row["fees"] == model.fees[account]
        assert row["reserved"] == model.reserved(account)
        for i in range(count):
            position, expected = ledger.positions[account * count + i], model.positions[account, i]
            assert position["inventory"] == expected.inventory
            assert position["cost"] == expected.cost
            assert position["realised"] == expected.realised
            assert position["open_buy"] == model.on_order(account, i, Side.BUY)
            assert position["open_sell"] == model.on_order(account, i, Side.SELL)
    assert ledger.accounts["cash"][market.simulation.fee_account] == model.cash[FEES]


def play(market: Market, drawn: list[dict[str, Any]], check: Callable[[], None]) -> LedgerModel:
    """Send all commands; after each check the model, the audit and what the test wants."""
    simulation = market.simulation
    model = LedgerModel(simulation.spec.instruments, market.policies)
    lots = [sum(model.positions[a, i].inventory for a in range(ACCOUNTS)) for i in range(2)]
    cash = sum(model.cash.values())
    for command in drawn:
        for event in carry_out(market, command):
            model.apply(event)
            assert sum(model.cash.values()) == cash
            for i in range(2):
                assert sum(model.positions[a, i].inventory for a in range(ACCOUNTS)) == lots[i]
        compare(market, model)
        simulation.audit()
        check()
    return model


def has_no_check() -> None:
    """Check nothing more."""


@settings(max_examples=40, deadline=None)
@given(markets, st.lists(commands, min_size=5, max_size=40))
def test_books_of_free_accounts_equal_an_independent_model(terms, drawn) -> None:
    market = Market(*[FREE] * ACCOUNTS, instruments=shares(**terms))
    play(market, drawn, has_no_check)


@settings(max_examples=40, deadline=None)
@given(markets, st.lists(commands, min_size=5, max_size=40))
def test_books_without_reserve_equal_an_independent_model(terms, drawn) -> None:
    policy = AccountPolicy(cash=5_000, borrowing=500, inventory=(("Y", 7),), short_limit=15, reserve=False)
    play(Market(*[policy] * ACCOUNTS, instruments=shares(**terms)), drawn, has_no_check)


def order(account: int, side: str, price: int, quantity: int, kind: str = "limit") -> dict[str, Any]:
    """Return one command of the shape that Hypothesis draws."""
    command = {"account": account, "kind": kind, "side": side, "price": price, "quantity": quantity}
    return command | {"instrument": "X", "time_in_force": "GTC", "lives": None, "target": 0}


@settings(max_examples=60, deadline=None)
@given(markets, st.lists(commands, min_size=5, max_size=40))
@example(
    {"fees": (0, 0), "multiplier": 1, "self_trade": SelfTrade.CANCEL_RESTING},
    [
        order(0, "sell", 96, 12),
        order(1, "sell", 1_000, 12),
        order(0, "buy", 0, 12, "market"),
    ],
)
def test_reserves_keep_cash_and_inventory_from_falling_below_zero(terms, drawn) -> None:
    market = Market(*[POOR] * ACCOUNTS, instruments=shares(**terms))
    ledger = market.simulation.state.ledger

    def check() -> None:
        assert ledger.accounts["cash"][:ACCOUNTS].min() >= 0
        assert (ledger.accounts["cash"][:ACCOUNTS] >= ledger.accounts["reserved"][:ACCOUNTS]).all()
        inventory = ledger.positions["inventory"][: 2 * ACCOUNTS]
        assert inventory.min() >= 0
        assert inventory.max() <= POOR.position_limit

    play(market, drawn, check)


@settings(max_examples=30, deadline=None)
@given(markets, st.lists(commands, min_size=20, max_size=40))
def test_profit_is_what_an_account_is_worth_more_than_at_the_start(terms, drawn) -> None:
    market = Market(*[FREE] * ACCOUNTS, instruments=shares(**terms))
    model = play(market, drawn, has_no_check)
    mids, made = market.simulation.state.views["mid"], profits(market.simulation.state)
    for account in range(ACCOUNTS):
        held = sum(
            model.positions[account, i].inventory * mids[i] * item.multiplier
            for i, item in enumerate(market.simulation.spec.instruments)
        )
        assert made[account] == pytest.approx(model.cash[account] + held)
    assert made.sum() == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("maker", "taker", "maker_paid", "taker_paid"),
    [
        (0, 0, 0, 0),
        (1, 1, 1, 1),  # 0.000303 money units become 1
        (-1, -1, 0, 0),  # a rebate below one money unit is lost
        (10_000, 20_000, 4, 7),  # 3.03 and 6.06
        (-10_000, 10_000, -3, 4),
        (1_000_000, -1_000_000, 303, -303),
    ],
)
def test_fees_are_rounded_towards_the_fee_account(maker, taker, maker_paid, taker_paid) -> None:
    share = Instrument("X", 100, maker_fee_ppm=maker, taker_fee_ppm=taker)
    market = Market(FREE, FREE, instruments=(share,))
    market.rest(0, "sell", 101, 3)
    market.market(1, "buy", 3)
    assert market.cash(0) == 303 - maker_paid
    assert market.cash(1) == -303 - taker_paid
    assert market.cash(market.simulation.fee_account) == maker_paid + taker_paid


@given(st.integers(-(2**62), 2**62), st.integers(-1_000_000, 1_000_000))
def test_fee_is_exact_for_any_notional(notional: int, ppm: int) -> None:
    rounded = int(fee(np.int64(notional), np.int64(ppm)))
    assert rounded == ceil(Fraction(notional * ppm, 10**6))


def test_large_amounts_are_exact() -> None:
    price, multiplier, quantity = 2**31 - 1, 10**6, 320
    share = Instrument("X", price, multiplier=multiplier, maker_fee_ppm=-123_457, taker_fee_ppm=654_321)
    market = Market(FREE, FREE, instruments=(share,))
    market.rest(0, "sell", price, quantity)
    assert market.limit(1, "buy", price, quantity) == Reason.NONE
    notional = price * multiplier * quantity
    assert market.cash(0) == notional - ceil(Fraction(notional * -123_457, 10**6))
    assert market.cash(1) == -notional - ceil(Fraction(notional * 654_321, 10**6))
    market.simulation.audit()


def test_money_that_could_wrap_is_refused_and_what_is_admitted_is_exact() -> None:
    dear = Instrument("X", 10**9, price_band=(1, 10**9))
    market = Market(FREE, FREE, instruments=(dear,))
    half = lot_limit(dear, 1) // 2
    for _ in range(40):  # an account that loses half of what it may have at stake, again and again
        if market.limit(0, "sell", 1, half) != Reason.NONE:
            break
        assert market.limit(1, "buy", 1, half) == Reason.NONE
        market.rest(1, "sell", 10**9, half)
        assert market.limit(0, "buy", 10**9, half) == Reason.NONE
        market.simulation.audit()
    assert market.cash(0) == -market.cash(1) < -MAX_MONEY
    assert market.limit(0, "buy", 1, 1) == market.limit(1, "sell", 1, 1) == Reason.MONEY_LIMIT
    summary = market.simulation.summary()["populations"]
    assert [row["pnl_mean"] for row in summary] == [float(market.cash(0)), float(market.cash(1))]
    assert summary[0]["refused_reasons"] == {"MONEY_LIMIT": 2}


def test_an_order_counts_with_all_that_the_account_has_at_stake() -> None:
    share = Instrument("X", 100, price_band=(1, 1_000), multiplier=10**6)
    market = Market(FREE, FREE, instruments=(share,))
    most = lot_limit(share, 1)
    big = 2**31 - 1
    for i in range(most // big):
        market.rest(0, "buy", 1 + i % 50, big)
    assert market.limit(0, "buy", 1, most % big + 1) == Reason.MONEY_LIMIT
    market.rest(0, "buy", 1, most % big)
    assert market.limit(0, "buy", 1, 1) == Reason.MONEY_LIMIT
    market.rest(0, "sell", 900, 7)  # what closes a position is never refused for it


def test_the_share_of_a_position_is_exact_however_large() -> None:
    penny = Instrument("X", 5, price_band=(1, 10))
    market = Market(FREE, FREE, instruments=(penny,))
    big, bought, cost = 2**31 - 1, 0, 0
    for price in (3, 7, 2, 9, 4, 8, 5, 1):
        market.rest(1, "sell", price, big)
        assert market.limit(0, "buy", price, big) == Reason.NONE
        bought, cost = bought + big, cost + price * big
    market.rest(1, "buy", 6, big - 12_345)
    assert market.limit(0, "sell", 6, big - 12_345) == Reason.NONE
    removed = cost * (big - 12_345) // bought
    position = market.simulation.state.ledger.positions[0]
    assert position["cost"] == cost - removed
    assert position["realised"] == 6 * (big - 12_345) - removed


def test_the_audit_does_not_wrap() -> None:
    dear = Instrument("X", 2 * 10**9, multiplier=10**6, maker_fee_ppm=10_000, taker_fee_ppm=10**6)
    market = Market(FREE, FREE, instruments=(dear,))
    market.rest(0, "buy", 2 * 10**9, 1)
    market.simulation.audit()


@pytest.mark.parametrize("order", ["limit", "market"])
def test_a_sale_below_zero_costs_what_it_costs(order: str) -> None:
    spread = Instrument("X", 0, price_band=(-100, 100), taker_fee_ppm=100_000, maker_fee_ppm=50_000)
    seller = AccountPolicy(cash=109, short_limit=UNLIMITED)
    market = Market(seller, FREE, instruments=(spread,))
    market.rest(1, "buy", -10, 20)
    send = (lambda lots: market.limit(0, "sell", -10, lots)) if order == "limit" else None
    sell = send or (lambda lots: market.market(0, "sell", lots))
    assert sell(10) == Reason.FUNDS  # 10 lots cost 100 and 10 of fees
    assert sell(9) == Reason.NONE
    assert (market.cash(0), market.cash(1)) == (109 - 90 - 9, 90 - 5)
    assert market.cash(market.simulation.fee_account) == 9 + 5
    market.simulation.audit()


def test_a_resting_sale_below_zero_reserves_what_it_may_cost() -> None:
    spread = Instrument("X", 0, price_band=(-100, 100))
    market = Market(AccountPolicy(cash=100, short_limit=UNLIMITED), FREE, instruments=(spread,))
    order_id = market.rest(0, "sell", -8, 10)
    assert market.limit(0, "sell", -7, 3) == Reason.FUNDS
    assert market.limit(0, "buy", -9, 1000) == Reason.NONE  # to buy below zero brings money
    assert market.replace(0, order_id, -10, 10) == Reason.NONE
    market.simulation.audit()
    market.cancel(0, order_id)
    assert market.simulation.state.ledger.accounts["reserved"][0] == 0


def test_profit_of_a_round_trip_by_average_cost() -> None:
    market = Market(FREE, FREE)
    for price, side, quantity in ((100, "buy", 10), (110, "buy", 5), (120, "sell", 6), (90, "sell", 12)):
        market.rest(1, "sell" if side == "buy" else "buy", price, quantity)
        market.market(0, side, quantity)
    # 10 at 100 and 5 at 110 cost 1550; 6 of 15 take out 620, the other 9 take out 930; 3 are sold short at 90
    position = market.simulation.state.ledger.positions[0]
    assert position["inventory"] == -3
    assert position["cost"] == -270
    assert position["realised"] == (720 - 620) + (810 - 930)


def test_starting_inventory_is_booked_at_the_initial_price() -> None:
    market = Market(AccountPolicy(inventory=(("X", 10),), cash=50), FREE)
    assert market.simulation.state.ledger.positions["cost"][0] == 1_000
    market.rest(1, "buy", 107, 4)
    market.market(0, "sell", 4)
    assert market.simulation.state.ledger.positions["realised"][0] == 4 * 7
    market.simulation.audit()
