"""Each admission rule refuses just beyond its limit, passes just within it, and lets cancels through."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from market_driver import FREE, ONE_SHARE, Market, refusal

from simlab.core.types import MESSAGE_DTYPE, EventKind, MessageKind, Reason, SelfTrade
from simlab.kernel.callbacks import put_messages
from simlab.market.instruments import UNLIMITED, AccountPolicy, Instrument
from simlab.processes import Halt

COARSE = (Instrument("X", 100, tick_size=5, lot_size=10, price_band=(50, 150), self_trade=SelfTrade.OFF),)
COSTLY = (
    Instrument("X", 100, multiplier=10, maker_fee_ppm=1_000, taker_fee_ppm=2_500, self_trade=SelfTrade.OFF),
)


@pytest.mark.parametrize(
    ("instrument", "reason"),
    [(-1, Reason.UNKNOWN_INSTRUMENT), (0, Reason.NONE), (1, Reason.UNKNOWN_INSTRUMENT)],
)
def test_unknown_instrument(instrument: int, reason: Reason) -> None:
    market = Market(FREE)
    message = np.zeros(1, MESSAGE_DTYPE)
    message["kind"], message["quantity"], message["instrument"] = MessageKind.MARKET, 1, instrument
    message["order_id"] = 1
    put_messages(market.simulation.state, message)
    assert refusal(market.wait(1)) == reason


@pytest.mark.parametrize(
    ("price", "quantity", "reason"),
    [
        (100, 10, Reason.NONE),
        (101, 10, Reason.PRICE_OFF_TICK),
        (104, 10, Reason.PRICE_OFF_TICK),
        (105, 10, Reason.NONE),
        (50, 10, Reason.NONE),
        (45, 10, Reason.PRICE_BAND),
        (150, 10, Reason.NONE),
        (155, 10, Reason.PRICE_BAND),
        (100, 9, Reason.QUANTITY_OFF_LOT),
        (100, 11, Reason.QUANTITY_OFF_LOT),
        (100, 20, Reason.NONE),
    ],
)
def test_tick_lot_and_band(price: int, quantity: int, reason: Reason) -> None:
    market = Market(FREE, instruments=COARSE)
    resting = market.rest(0, "buy", 90, 30)
    assert market.limit(0, "buy", price, quantity) == reason
    assert market.replace(0, resting, price, quantity) == reason


def test_market_orders_have_lots_but_no_price() -> None:
    market = Market(FREE, instruments=COARSE)
    assert market.market(0, "buy", 10) == Reason.NONE
    assert market.market(0, "buy", 15) == Reason.QUANTITY_OFF_LOT


@pytest.mark.parametrize(("cash", "reason"), [(1_000, Reason.NONE), (999, Reason.FUNDS)])
def test_funds_of_a_limit_order(cash: int, reason: Reason) -> None:
    assert Market(AccountPolicy(cash=cash)).limit(0, "buy", 100, 10) == reason


def test_funds_count_what_resting_orders_may_use() -> None:
    market = Market(AccountPolicy(cash=1_000))
    first = market.rest(0, "buy", 90, 5)
    assert market.limit(0, "buy", 111, 5) == Reason.FUNDS
    second = market.rest(0, "buy", 110, 5)
    assert market.limit(0, "buy", 1, 1) == Reason.FUNDS
    assert market.cancel(0, second) == Reason.NONE
    assert market.replace(0, first, 100, 11) == Reason.FUNDS
    assert market.replace(0, first, 100, 10) == Reason.NONE
    assert market.cancel(0, first) == Reason.NONE
    assert market.limit(0, "buy", 100, 10) == Reason.NONE


def test_without_reserve_each_order_may_use_all_cash() -> None:
    market = Market(AccountPolicy(cash=1_000, reserve=False))
    market.rest(0, "buy", 100, 10)
    assert market.limit(0, "buy", 100, 10) == Reason.NONE
    assert market.limit(0, "buy", 100, 11) == Reason.FUNDS


@pytest.mark.parametrize(
    ("borrowing", "reason"), [(200, Reason.NONE), (199, Reason.FUNDS), (UNLIMITED, Reason.NONE)]
)
def test_borrowing(borrowing: int, reason: Reason) -> None:
    market = Market(AccountPolicy(cash=1_000, borrowing=borrowing), FREE)
    assert market.limit(0, "buy", 120, 10) == reason
    market.rest(1, "sell", 120, 10)
    if reason == Reason.NONE:
        assert market.cash(0) == -200


@pytest.mark.parametrize(("cash", "reason"), [(10_030, Reason.NONE), (10_029, Reason.FUNDS)])
def test_funds_include_the_higher_fee_of_each_lot(cash: int, reason: Reason) -> None:
    # a lot costs 1000 and a fee of 2.5 that is rounded up to 3
    market = Market(AccountPolicy(cash=cash), instruments=COSTLY)
    assert market.limit(0, "buy", 100, 10) == reason


@pytest.mark.parametrize(("cash", "reason"), [(3_089, Reason.NONE), (3_088, Reason.FUNDS)])
def test_funds_of_a_market_order_walk_the_book(cash: int, reason: Reason) -> None:
    market = Market(AccountPolicy(cash=cash), FREE, instruments=COSTLY)
    market.rest(1, "sell", 104, 1)
    market.rest(1, "sell", 102, 2)
    # two lots at 102 and one at 104, each with a fee of 2.55 or 2.6 rounded up to 3
    assert market.market(0, "buy", 3) == reason


def test_a_market_order_needs_funds_only_for_what_there_is() -> None:
    market = Market(AccountPolicy(cash=100), FREE)
    market.rest(1, "sell", 100, 1)
    assert market.market(0, "buy", 1_000) == Reason.NONE
    assert market.cash(0) == 0


@pytest.mark.parametrize(
    ("policy", "cost"),
    [
        (SelfTrade.OFF, 5 * 100 + 5 * 101),
        (SelfTrade.CANCEL_RESTING, 5 * 101 + 5 * 150),
        (SelfTrade.CANCEL_INCOMING, 5 * 100 + 5 * 101),
        (SelfTrade.CANCEL_BOTH, 5 * 100 + 5 * 101),
    ],
)
@pytest.mark.parametrize("missing", [0, 1])
def test_a_market_order_pays_for_no_lots_of_its_own_that_it_cancels(policy, cost, missing) -> None:
    share = Instrument("X", 100, self_trade=policy)
    market = Market(AccountPolicy(cash=cost - missing, inventory=(("X", 5),)), FREE, instruments=(share,))
    market.rest(0, "sell", 100, 5)
    market.rest(1, "sell", 101, 5)
    market.rest(1, "sell", 150, 5)
    assert market.market(0, "buy", 10) == (Reason.FUNDS if missing else Reason.NONE)
    assert market.cash(0) >= 0


@pytest.mark.parametrize("kind", ["limit", "market"])
def test_short_limit(kind: str) -> None:
    market = Market(AccountPolicy(inventory=(("X", 10),), short_limit=5), FREE)
    market.rest(1, "buy", 100, 100)

    def sell(quantity: int) -> Reason:
        return (
            market.limit(0, "sell", 100, quantity) if kind == "limit" else market.market(0, "sell", quantity)
        )

    assert sell(16) == Reason.SHORT_LIMIT
    assert sell(15) == Reason.NONE
    assert market.inventory(0) == -5
    assert sell(1) == Reason.SHORT_LIMIT


def test_short_limit_counts_resting_orders() -> None:
    market = Market(AccountPolicy(inventory=(("X", 10),)))
    first = market.rest(0, "sell", 100, 6)
    assert market.limit(0, "sell", 100, 5) == Reason.SHORT_LIMIT
    assert market.replace(0, first, 100, 11) == Reason.SHORT_LIMIT
    assert market.replace(0, first, 100, 10) == Reason.NONE
    assert market.limit(0, "sell", 100, 1) == Reason.SHORT_LIMIT


def test_short_limit_without_reserve_counts_inventory_only() -> None:
    market = Market(AccountPolicy(inventory=(("X", 10),), reserve=False))
    market.rest(0, "sell", 100, 10)
    assert market.limit(0, "sell", 100, 10) == Reason.NONE
    assert market.limit(0, "sell", 100, 11) == Reason.SHORT_LIMIT


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_position_limit(side: str) -> None:
    policy = AccountPolicy(borrowing=UNLIMITED, short_limit=UNLIMITED, position_limit=10)
    market = Market(policy, FREE)
    first = market.rest(0, side, 100, 4)
    assert market.limit(0, side, 100, 7) == Reason.POSITION_LIMIT
    assert market.market(0, side, 7) == Reason.POSITION_LIMIT
    assert market.replace(0, first, 100, 11) == Reason.POSITION_LIMIT
    assert market.limit(0, side, 100, 6) == Reason.NONE
    market.rest(1, "sell" if side == "buy" else "buy", 100, 10)
    assert market.inventory(0) == (10 if side == "buy" else -10)
    assert market.limit(0, side, 100, 1) == Reason.POSITION_LIMIT
    assert market.limit(0, "sell" if side == "buy" else "buy", 100, 20) == Reason.NONE


def test_rate_limit_counts_in_windows() -> None:
    market = Market(AccountPolicy(borrowing=UNLIMITED, rate_limit=2, rate_window=3))
    answers = []
    for _ in range(7):
        answers.append(market.limit(0, "buy", 100, 1))
    limit = Reason.RATE_LIMIT
    assert answers == [Reason.NONE, Reason.NONE, limit, Reason.NONE, Reason.NONE, limit, Reason.NONE]


def test_rate_limit_counts_orders_and_replacements_but_not_cancels() -> None:
    market = Market(AccountPolicy(borrowing=UNLIMITED, rate_limit=3, rate_window=100))
    first = market.rest(0, "buy", 100, 5)
    assert market.replace(0, first, 100, 4) == Reason.NONE
    assert market.market(0, "buy", 1) == Reason.NONE
    assert market.replace(0, first, 100, 3) == Reason.RATE_LIMIT
    assert market.market(0, "buy", 1) == Reason.RATE_LIMIT
    assert market.cancel(0, first) == Reason.NONE


def test_open_order_limit() -> None:
    market = Market(AccountPolicy(borrowing=UNLIMITED, max_open_orders=2), FREE)
    first, _ = market.rest(0, "buy", 100, 1), market.rest(0, "buy", 99, 1)
    assert market.limit(0, "buy", 98, 1) == Reason.OPEN_ORDER_LIMIT
    assert market.market(0, "buy", 1) == Reason.NONE
    assert market.replace(0, first, 97, 1) == Reason.NONE
    assert market.cancel(0, first) == Reason.NONE
    assert market.limit(0, "buy", 98, 1) == Reason.NONE
    assert market.limit(0, "buy", 98, 1) == Reason.OPEN_ORDER_LIMIT


def test_a_halt_refuses_orders_and_lets_cancels_pass() -> None:
    market = Market(FREE, shocks=[Halt(3, "X", 4)])
    first, second = market.rest(0, "buy", 100, 1), market.rest(0, "buy", 99, 1)
    assert market.limit(0, "buy", 98, 1) == Reason.NONE  # step 2, the last before the halt
    assert market.limit(0, "buy", 98, 1) == Reason.MARKET_HALTED
    assert market.market(0, "buy", 1) == Reason.MARKET_HALTED
    assert market.replace(0, second, 97, 1) == Reason.MARKET_HALTED
    assert market.cancel(0, first) == Reason.NONE  # step 6, the last of the halt
    assert market.limit(0, "buy", 98, 1) == Reason.NONE


def test_cancel_all_passes_a_halt() -> None:
    market = Market(FREE, shocks=[Halt(1, "X", 10)])
    market.rest(0, "buy", 100, 1)
    events = market.send(0, lambda orders: orders.cancel_all())
    assert events["kind"].tolist() == [EventKind.CANCELLED]


def test_a_halt_that_begins_within_a_longer_one_does_not_end_it() -> None:
    market = Market(FREE, shocks=[Halt(0, "X", 5), Halt(2, "X", 1)])
    assert [market.limit(0, "buy", 98, 1) for _ in range(6)] == [Reason.MARKET_HALTED] * 5 + [Reason.NONE]


def test_a_halt_of_one_instrument_leaves_the_other_open() -> None:
    market = Market(FREE, instruments=(*ONE_SHARE, Instrument("Y", 100)), shocks=[Halt(0, "Y", 5)])
    assert market.limit(0, "buy", 100, 1, instrument="Y") == Reason.MARKET_HALTED
    assert market.limit(0, "buy", 100, 1, instrument="X") == Reason.NONE


def test_messages_that_the_book_refuses_are_left_to_it() -> None:
    market = Market(FREE, FREE)
    first = market.rest(0, "buy", 100, 1)
    assert market.replace(0, 999, 100, 1) == Reason.UNKNOWN_ORDER
    assert market.replace(0, 0, 100, 1) == Reason.UNKNOWN_ORDER
    assert market.replace(1, first, 100, 1) == Reason.NOT_OWNER
    assert market.cancel(1, first) == Reason.NOT_OWNER
    assert market.limit(0, "buy", 100, 0) == Reason.INVALID_QUANTITY
    assert market.limit(0, "buy", 100, 2**31) == Reason.INVALID_QUANTITY


def test_refusals_are_counted_and_change_nothing() -> None:
    market = Market(AccountPolicy(cash=100), FREE)
    before = market.simulation.state.ledger.accounts[0].copy()
    assert market.limit(0, "buy", 101, 1) == Reason.FUNDS
    assert market.cancel(0, 7) == Reason.UNKNOWN_ORDER
    after = market.simulation.state.ledger.accounts[0].copy()
    after["last_look"] = before["last_look"]
    assert np.array_equal(before, after)
    assert [row["refused"] for row in market.simulation.summary()["populations"]] == [2, 0]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(95, 110), st.integers(1, 9)), min_size=1, max_size=6),
    st.integers(1, 40),
    st.integers(0, 1),
)
def test_a_market_order_is_funded_exactly(asks, quantity, missing) -> None:
    cost, wanted = 0, quantity
    for price, lots in sorted(asks):
        taken = min(lots, wanted)
        cost, wanted = cost + taken * price, wanted - taken
    market = Market(AccountPolicy(cash=cost - missing), FREE)
    for price, lots in asks:
        market.rest(1, "sell", price, lots)
    assert market.market(0, "buy", quantity) == (Reason.FUNDS if missing else Reason.NONE)
    assert market.cash(0) == (cost - missing if missing else 0)
