"""Each built-in strategy does what its source says."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest

import simlab
from simlab.agents.conformance import Case, decide, plain_case
from simlab.agents.library import STRATEGIES
from simlab.agents.library.avellaneda_stoikov import reservation_and_spread
from simlab.agents.library.chiarella_iori import demand, price_for_cash
from simlab.agents.strategy import Calling
from simlab.core.jit import JIT
from simlab.core.random import Role, name_key, reset
from simlab.core.types import MessageKind, Side, TimeInForce

LIMIT, MARKET, CANCEL, REPLACE, CANCEL_ALL = MessageKind


def make_case(name: str, *, seed: int = 0, step: int = 0, **parameters: float) -> Case:
    return plain_case(STRATEGIES[name], seed=seed, step=step, **parameters)


def answers(name: str, case: Case) -> list[tuple[int, int, int, int]]:
    """Return (kind, side, price, quantity) of each message of one decision."""
    return [
        (int(m["kind"]), int(m["side"]), int(m["price"]), int(m["quantity"]))
        for m in decide(STRATEGIES[name], case)
    ]


def set_mids(case: Case, mids: np.ndarray) -> None:
    """Make `mids` the history of mid prices that ends with the present one, at the case's step."""
    view = case.view[0]
    view.mid = mids[-1]
    for back in range(1, len(mids)):
        view.mids[(view.step - back) % view.mids.size] = mids[-1 - back]


def rest(case: Case, *orders: tuple[int, int, int]) -> None:
    """Let (side, price, quantity) rest; ids count from 1."""
    me = case.me[0]
    me.visible_orders = me.open_orders = len(orders)
    for i, (side, price, quantity) in enumerate(orders):
        me.order_ids[i], me.order_sides[i] = i + 1, side
        me.order_prices[i], me.order_quantities[i] = price, quantity


@pytest.mark.skipif(not JIT, reason="nothing is compiled without the JIT")
def test_importing_the_library_compiles_nothing() -> None:
    code = (
        "from simlab.agents.library import quoting, STRATEGIES\n"
        "print(len(quoting.quote.overloads) + len(quoting.to_price.overloads), len(STRATEGIES))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["0", str(len(STRATEGIES))]


def test_noise_mixes_its_actions_in_the_given_shares() -> None:
    kinds = []
    for seed in range(600):
        case = make_case("noise", seed=seed, limit_share=0.5, market_share=0.2, cancel_share=0.3)
        rest(case, (Side.BUY, 9_990, 5))
        kinds += [kind for kind, *_ in answers("noise", case)]
    shares = np.bincount(kinds, minlength=3) / len(kinds)
    assert shares == pytest.approx([0.5, 0.2, 0.3], abs=0.06)


def test_noise_places_limit_orders_a_geometric_distance_outside_the_mid() -> None:
    offsets, sides, sizes = [], [], []
    for seed in range(800):
        case = make_case("noise", seed=seed, limit_share=1, market_share=0, cancel_share=0, max_size=4)
        [(kind, side, price, quantity)] = answers("noise", case)
        assert kind == LIMIT
        offsets.append(10_000 - price if side == Side.BUY else price - 10_000)
        sides.append(side)
        sizes.append(quantity)
    assert min(offsets) == 0
    assert np.mean(offsets) == pytest.approx(5.0, abs=0.7)
    assert np.var(offsets) == pytest.approx(5.0 * 6.0, rel=0.3)
    assert np.mean(sides) == pytest.approx(0.5, abs=0.06)
    assert set(sizes) == {1, 2, 3, 4}


def test_noise_cancels_instead_of_adding_at_its_largest_number_of_orders() -> None:
    for seed in range(20):
        case = make_case("noise", seed=seed, limit_share=1, market_share=0, cancel_share=0, max_orders=2)
        rest(case, (Side.BUY, 9_990, 5), (Side.SELL, 10_010, 5))
        assert [kind for kind, *_ in answers("noise", case)] == [CANCEL]


@pytest.mark.parametrize(
    ("signal", "expected"),
    [
        (10_003.0, []),
        (10_010.0, [(LIMIT, Side.BUY, 9_999, 10)]),
        (9_990.0, [(LIMIT, Side.SELL, 10_001, 10)]),
        (10_030.0, [(LIMIT, Side.BUY, 10_025, 10)]),
        (9_970.0, [(LIMIT, Side.SELL, 9_975, 10)]),
    ],
)
def test_value_waits_or_takes_by_the_size_of_the_mispricing(signal: float, expected: list) -> None:
    case = make_case("value", threshold=5, aggressive_threshold=20)
    case.me[0].signal = signal
    messages = decide(STRATEGIES["value"], case.__class__(case.view, case.me.copy(), case.rng))
    aggressive = abs(signal - 10_000) >= 20
    assert all(m["time_in_force"] == (TimeInForce.IOC if aggressive else TimeInForce.GTC) for m in messages)
    assert answers("value", case) == expected


def test_value_keeps_its_place_and_withdraws_the_other_side() -> None:
    case = make_case("value")
    case.me[0].signal = 10_010.0
    rest(case, (Side.BUY, 9_999, 10), (Side.SELL, 10_020, 10))
    [message] = decide(STRATEGIES["value"], case)
    assert (message["kind"], message["order_id"]) == (CANCEL, 2)


@pytest.mark.parametrize(
    ("name", "rising"), [("momentum", Side.BUY), ("mean_reversion", Side.SELL)], ids=["with", "against"]
)
def test_trend_strategies_trade_on_the_sign_of_the_past_return(name: str, rising: Side) -> None:
    for change, expected in ((1.002, [rising]), (0.998, [1 - rising]), (1.0001, [])):
        case = make_case(name, step=2_000, lookback=60, threshold=0.001)
        set_mids(case, 10_000.0 * np.r_[1.0, np.full(60, change)])
        assert [side for _, side, _, _ in answers(name, case)] == expected


@pytest.mark.parametrize("name", ["momentum", "mean_reversion"])
def test_trend_strategies_wait_for_a_whole_lookback(name: str) -> None:
    for step, messages in ((59, 0), (60, 1)):
        case = make_case(name, step=step, lookback=60)
        set_mids(case, np.r_[10_000.0, np.full(step, 10_100.0)])
        assert len(answers(name, case)) == messages


@pytest.mark.parametrize(
    ("name", "inventory"), [("momentum", 98), ("mean_reversion", -98), ("value", 98), ("market_maker", 98)]
)
def test_inventory_stays_within_its_limit(name: str, inventory: int) -> None:
    case = make_case(name, step=2_000, inventory_limit=100)
    set_mids(case, np.r_[np.full(60, 10_000.0), 10_100.0])
    case.me[0].signal = 10_200.0
    case.me[0].inventory = inventory
    growing = Side.BUY if inventory > 0 else Side.SELL
    assert [quantity for _, side, _, quantity in answers(name, case) if side == growing] == [2]


def test_market_maker_skews_against_its_inventory() -> None:
    case = make_case("market_maker", half_spread=3, skew=0.1, size=7)
    assert answers("market_maker", case) == [(LIMIT, 0, 9_997, 7), (LIMIT, 1, 10_003, 7)]
    case.me[0].inventory = 20
    assert answers("market_maker", case) == [(LIMIT, 0, 9_995, 7), (LIMIT, 1, 10_001, 7)]


def test_market_maker_keeps_right_quotes_and_moves_others_by_replace() -> None:
    case = make_case("market_maker", half_spread=3, size=7)
    rest(case, (Side.BUY, 9_997, 7), (Side.SELL, 10_009, 7))
    [message] = decide(STRATEGIES["market_maker"], case)
    assert (message["kind"], message["order_id"], message["price"]) == (REPLACE, 2, 10_003)


def test_market_maker_fills_up_behind_a_partly_filled_quote() -> None:
    case = make_case("market_maker", half_spread=3, size=7)
    rest(case, (Side.BUY, 9_997, 4), (Side.SELL, 10_003, 7))
    assert answers("market_maker", case) == [(LIMIT, Side.BUY, 9_997, 3)]


def test_market_maker_moves_the_side_that_makes_room_first() -> None:
    case = make_case("market_maker", half_spread=1)
    rest(case, (Side.BUY, 9_990, 10), (Side.SELL, 9_992, 10))
    assert [side for _, side, _, _ in answers("market_maker", case)] == [Side.SELL, Side.BUY]


def test_market_maker_post_only_sends_anew_instead_of_replacing() -> None:
    case = make_case("market_maker", half_spread=3, post_only=1)
    rest(case, (Side.BUY, 9_990, 10), (Side.SELL, 10_003, 10))
    cancelled, sent = decide(STRATEGIES["market_maker"], case)
    assert (cancelled["kind"], cancelled["order_id"]) == (CANCEL, 1)
    assert (sent["kind"], sent["price"], sent["post_only"]) == (LIMIT, 9_997, 1)


@pytest.mark.parametrize(("tick", "expected"), [(5, [9_995, 10_005]), (100, [9_900, 10_100])])
def test_quotes_are_rounded_outwards_to_ticks(tick: int, expected: list[int]) -> None:
    case = make_case("market_maker", half_spread=3)
    case.view[0].tick_size = tick
    assert [price for _, _, price, _ in answers("market_maker", case)] == expected


@pytest.mark.parametrize(
    ("low", "mid", "expected"),
    [
        (1, 2.0, [5, 10]),
        (0, 2.0, [0, 5]),
        (-12, 2.0, [-5, 5]),
        (-12, -9.0, [-10, -5]),
        (-2000, -60.0, [-65, -55]),
    ],
)
def test_quotes_go_below_zero_where_the_band_does(low: int, mid: float, expected: list[int]) -> None:
    case = make_case("market_maker", half_spread=3)
    case.view[0].tick_size, case.view[0].price_low, case.view[0].mid = 5, low, mid
    assert [price for _, _, price, _ in answers("market_maker", case)] == expected


def test_built_in_strategies_trade_at_prices_below_zero() -> None:
    account = {"cash": 10**9, "short_selling": "free"}
    value = {"model": "mean_reverting", "mean": -60, "reversion": 0.01, "volatility": 1.0}
    spread = {"initial_price": 20, "price_band": [-2000, 2000], "tick_size": 5, "fundamental": value}
    crowd = {
        "noise": (40, {}),
        "value": (10, {}),
        "market_maker": (2, {"half_spread": 5}),
        "gueant_lehalle_fernandez_tapia": (1, {}),
        "order_imbalance": (3, {}),
        "spoofer": (1, {}),
        "almgren_chriss": (1, {"quantity": 200, "end": 600}),
        "vwap": (1, {"quantity": 200, "end": 600}),
    }
    populations = {
        name: {"strategy": name, "count": count, "parameters": given, "activation": {"rate": 0.3}}
        | {"account": account, "signal_noise": 3}
        for name, (count, given) in crowd.items()
    }
    content = {"steps": 800, "instruments": {"A": spread}, "populations": populations}
    outcome = simlab.run(content, record=False)
    assert isinstance(outcome, simlab.Outcome)
    rows = outcome.summary["populations"]
    assert outcome.summary["instruments"][0]["last_price"] < -20
    assert min(row["volume"] for row in rows) > 0
    assert sum(row["refused"] for row in rows) == 0


@pytest.mark.parametrize("inventory", [-40, 0, 25])
@pytest.mark.parametrize("symmetric", [0, 1])
def test_avellaneda_stoikov_quotes_equal_the_papers_formula(inventory: int, symmetric: int) -> None:
    gamma, sigma, k, horizon, step = 0.001, 2.0, 0.3, 600, 1_300
    case = make_case(
        "avellaneda_stoikov", step=step, gamma=gamma, sigma=sigma, k=k, horizon=horizon, symmetric=symmetric
    )
    case.me[0].inventory = inventory
    remaining = 500
    reservation = 10_000.0 - (0 if symmetric else inventory) * gamma * sigma**2 * remaining
    spread = gamma * sigma**2 * remaining + 2.0 / gamma * math.log1p(gamma / k)
    bid, ask = (price for _, _, price, _ in answers("avellaneda_stoikov", case))
    assert bid == math.floor(reservation - spread / 2)
    assert ask == math.ceil(reservation + spread / 2)


def test_avellaneda_stoikov_gives_the_papers_numbers() -> None:
    reservation, spread = reservation_and_spread(100.0, 3, 0.1, 2.0, 1.5, 1)
    assert reservation == pytest.approx(100.0 - 3 * 0.1 * 4.0)
    assert spread == pytest.approx(0.1 * 4.0 + 20.0 * math.log(1.0 + 0.1 / 1.5))


def test_chiarella_iori_prices_solve_their_equations() -> None:
    for risk, cash, shares in ((1e-6, 1e6, 100.0), (1e-4, 1e5, 0.0), (1e-5, 1e5, 50.0)):
        lowest = price_for_cash(10_050.0, risk, cash, shares)
        assert lowest * (demand(10_050.0, lowest, risk) - shares) == pytest.approx(cash, rel=1e-6)
        indifferent = price_for_cash(10_050.0, risk, 0.0, shares)
        assert demand(10_050.0, indifferent, risk) == pytest.approx(shares, abs=1e-4)
        assert lowest < indifferent <= 10_050.0


def test_chiarella_iori_fundamentalist_trades_towards_the_value() -> None:
    for signal, side, cash, shares in ((10_300.0, Side.BUY, 10**6, 0), (9_700.0, Side.SELL, 0, 50)):
        case = make_case("chiarella_iori", g1=1, g2=0, n=0, tau=100, tau_f=200)
        case.me[0].signal, case.me[0].cash, case.me[0].inventory = signal, cash, shares
        [message] = decide(STRATEGIES["chiarella_iori"], case)
        expected_price = 10_000.0 * math.exp(math.log(signal / 10_000.0) * 200 / 200)
        assert message["side"] == side
        assert message["expiry"] == 200
        assert message["price"] == pytest.approx(expected_price, rel=2e-3)


def test_chiarella_iori_chartist_extrapolates_the_past_return() -> None:
    for growth, side, cash, shares in ((1.0001, Side.BUY, 10**6, 0), (0.9999, Side.SELL, 0, 50)):
        case = make_case("chiarella_iori", step=3_000, g1=0, g2=1, n=0, tau=200)
        set_mids(case, 10_000.0 * growth ** np.arange(-200.0, 1.0))
        case.me[0].cash, case.me[0].inventory = cash, shares
        [(_, sent_side, price, _)] = answers("chiarella_iori", case)
        assert sent_side == side
        assert price == pytest.approx(10_000.0 * growth**100, rel=1e-3)


def test_chiarella_iori_stays_within_cash_and_holding() -> None:
    sides = set()
    for seed in range(200):
        case = make_case("chiarella_iori", seed=seed, sigma_e=1e-3, alpha=1e-3, max_size=10**9)
        case.me[0].cash, case.me[0].inventory = 200_000, 20
        for _, side, price, quantity in answers("chiarella_iori", case):
            sides.add(side)
            cost = min(price, 10_001) if side == Side.BUY and price >= 10_001 else price
            assert quantity <= 20 if side == Side.SELL else cost * quantity <= 200_000
    assert sides == {Side.BUY, Side.SELL}


def run_twap(passive: int, *, fill: bool, steps: range) -> list[tuple[int, int, int, int]]:
    """Run a TWAP of 100 lots in 7 slices of steps 10 to 80; return its messages, each filled at once."""
    case = make_case("twap", side=1, quantity=100, start=10, end=80, slices=7, passive=passive)
    sent = []
    for step in steps:
        case.view[0].step = step
        messages = answers("twap", case)
        sent += [(step, kind, price, quantity) for kind, _, price, quantity in messages]
        case.me[0].sold = sum(quantity for _, _, _, quantity in messages) if fill else 0
    return sent


def test_twap_sends_the_whole_quantity_in_equal_slices() -> None:
    sent = run_twap(0, fill=True, steps=range(120))
    assert [step for step, *_ in sent] == [10, 20, 30, 40, 50, 60, 70]
    assert sum(quantity for *_, quantity in sent) == 100
    assert {quantity for *_, quantity in sent} == {14, 15}
    assert {kind for _, kind, _, _ in sent} == {MARKET}


def test_twap_carries_over_what_was_not_filled() -> None:
    sent = run_twap(0, fill=False, steps=range(100))
    assert [quantity for *_, quantity in sent] == [14, 28, 42, 57, 71, 85, 100, 100, 100]


def test_twap_passive_joins_the_best_price_then_takes_after_the_end() -> None:
    sent = run_twap(1, fill=False, steps=range(10, 85))
    assert [price for _, _, price, _ in sent] == [10_001] * 7 + [9_999]


def test_participation_follows_the_volume() -> None:
    case = make_case("participation", quantity=30, rate=0.1, interval=5, start=2)
    volumes = {0: 700, 2: 1_000, 3: 1_005, 4: 1_105, 6: 1_205, 9: 1_205, 20: 9_999}
    sent = {}
    for step, volume in volumes.items():
        case.view[0].step, case.view[0].volume = step, volume
        messages = answers("participation", case)
        sent[step] = [quantity for *_, quantity in messages]
        case.me[0].bought = sum(sent[step])
    assert sent == {0: [], 2: [], 3: [], 4: [10], 6: [], 9: [10], 20: [10]}


def test_benchmark_sends_one_message_from_one_block_in_the_given_shares() -> None:
    case = make_case("benchmark")
    kinds = []
    for step in range(3_000):
        reset(case.rng[0], name_key(1, "agent", "bench"), np.uint64(Role.DECIDE), np.uint64(step))
        case.me[0].open_orders = 5
        [message] = decide(STRATEGIES["benchmark"], case)
        assert case.rng[0].blocks == 1
        assert message["kind"] == CANCEL or 1 <= message["quantity"] <= 100
        if message["kind"] == LIMIT:
            assert 1 <= abs(message["price"] - 10_000) <= 10
        kinds.append(int(message["kind"]))
    shares = np.bincount(kinds, minlength=3) / len(kinds)
    assert shares == pytest.approx([0.60, 0.10, 0.30], abs=0.03)


def test_benchmark_cancels_the_newest_order_and_all_above_its_limit() -> None:
    case = make_case("benchmark", max_orders=16)
    sent: list[int] = []
    for step in range(200):
        reset(case.rng[0], name_key(2, "agent", "bench"), np.uint64(Role.DECIDE), np.uint64(step))
        case.me[0].open_orders = 1
        case.me[0].memory[:2] = 41, 40
        [message] = decide(STRATEGIES["benchmark"], case)
        sent += [int(message["order_id"])] if message["kind"] == CANCEL else []
    assert set(sent) == {41}
    case.me[0].open_orders = 17
    assert [kind for kind, *_ in answers("benchmark", case)] == [CANCEL_ALL]
    assert not case.me[0].memory.any()


@pytest.mark.parametrize("name", [it.name for it in STRATEGIES.values() if it.level is Calling.COMPILED])
def test_halted_instruments_get_no_messages(name: str) -> None:
    for seed in range(5):
        case = make_case(name, seed=seed)
        case.view[0].halted = 1
        assert answers(name, case) == []
