"""Imbalance, quotes, execution, arbitrage, news, spoofing and characters do what their sources say."""

from __future__ import annotations

import math
import pickle
from typing import Any

import numpy as np
import pytest

import simlab
from simlab.agents.conformance import Case, check_strategy, decide, plain_case
from simlab.agents.library import STRATEGIES
from simlab.agents.library.almgren_chriss import left_to_trade, urgency
from simlab.agents.library.gueant import distances
from simlab.agents.library.personalities import PERSONALITIES
from simlab.agents.library.vwap import scheduled
from simlab.core.types import MessageKind, Side
from simlab.errors import ConfigError

LIMIT, MARKET, CANCEL, REPLACE, CANCEL_ALL = MessageKind
RICH = {"cash": 10**12, "short_selling": "free"}
MAKER = {"strategy": "market_maker", "count": 3, "parameters": {"size": 20}, "account": RICH}
NOISE = {"strategy": "noise", "count": 20, "activation": {"rate": 0.5}, "account": RICH}


def sent(name: str, case: Case) -> list[tuple[int, int, int, int]]:
    return [
        tuple(int(m[it]) for it in ("kind", "side", "price", "quantity"))
        for m in decide(STRATEGIES[name], case)
    ]


def case_of(name: str, step: int = 0, **parameters: float) -> Case:
    return plain_case(STRATEGIES[name], step=step, **parameters)


def depth(case: Case, bids: list[int], asks: list[int]) -> None:
    """Let so many lots stand at each level, from 9,999 down and from 10,001 up."""
    view = case.view[0]
    view.bid_levels, view.ask_levels = len(bids), len(asks)
    for i, lots in enumerate(bids):
        view.bid_prices[i], view.bid_depths[i] = 9_999 - i, lots
    for i, lots in enumerate(asks):
        view.ask_prices[i], view.ask_depths[i] = 10_001 + i, lots
    view.bid_depth, view.ask_depth = bids[0], asks[0]


@pytest.mark.parametrize(
    ("bids", "asks", "inventory", "expected"),
    [
        ([30], [10], 0, [(LIMIT, Side.BUY, 10_001, 5)]),  # rho 0.5
        ([29], [11], 0, []),
        ([10], [30], 0, [(LIMIT, Side.SELL, 9_999, 5)]),
        ([10, 80], [10, 0], 0, [(LIMIT, Side.BUY, 10_001, 5)]),  # 10 + 40 against 10
        ([10], [11], 7, [(LIMIT, Side.SELL, 9_999, 5)]),  # the imbalance is gone
        ([11], [10], 7, []),
        ([30], [10], 48, [(LIMIT, Side.BUY, 10_001, 2)]),
    ],
)
def test_imbalance_enters_and_leaves(bids: list[int], asks: list[int], inventory: int, expected: Any) -> None:
    case = case_of("order_imbalance")
    depth(case, bids, asks)
    case.me[0].inventory = inventory
    assert sent("order_imbalance", case) == expected


def test_imbalance_pays_where_queues_tell_what_is_coming() -> None:
    """After the value has jumped, patient traders queue up on the side to which the price will go."""
    jumps = {"model": "mean_reverting", "jump_rate": 0.003, "jump_scale": 40}
    patient = {
        "strategy": "value",
        "count": 20,
        "parameters": {"threshold": 2, "aggressive_threshold": 1e6, "size": 40, "inventory_limit": 10_000},
        "activation": {"rate": 0.05},
        "account": RICH,
    }
    reading = {"levels": 5, "weight": 1, "entry": 0.6, "size": 2, "inventory_limit": 20}
    crowd = NOISE | {"count": 50, "parameters": {"max_size": 5}, "activation": {"rate": 0.2}}
    populations = {
        "noise": crowd,
        "patient": patient,
        "readers": {
            "strategy": "order_imbalance",
            "count": 3,
            "parameters": reading,
            "activation": {"rate": 0.2},
            "account": RICH,
        },
    }

    def earned(fundamental: dict[str, Any], seed: int) -> float:
        share = {"initial_price": 10_000, "fundamental": fundamental}
        content = {"steps": 2_000, "seed": seed, "instruments": {"ACME": share}, "populations": populations}
        outcome = simlab.run(content, record=False)
        assert isinstance(outcome, simlab.Outcome)
        [row] = [it for it in outcome.summary["populations"] if it["population"] == "readers"]
        return float(row["pnl_mean"])

    for seed in (1, 2, 3):
        assert earned(jumps, seed) > 500
        assert abs(earned({"model": "constant"}, seed)) < 200


@pytest.mark.parametrize("inventory", [-7, 0, 12])
def test_gueants_quotes_are_those_of_the_closed_form(inventory: int) -> None:
    gamma, sigma, a, k = 0.02, 0.4, 0.8, 0.35
    root = math.sqrt(sigma**2 * gamma / (2 * k * a) * (1 + gamma / k) ** (1 + k / gamma))
    spread = math.log(1 + gamma / k) / gamma
    below, above = distances(inventory, gamma, sigma, a, k, 1)  # the paper's, of one share
    assert below == pytest.approx(spread + (2 * inventory + 1) / 2 * root, rel=1e-12)
    assert above == pytest.approx(spread - (2 * inventory - 1) / 2 * root, rel=1e-12)


def test_gueant_leans_against_its_inventory() -> None:
    case = case_of("gueant_lehalle_fernandez_tapia", gamma=0.05, sigma=2.0, size=1)
    case.me[0].inventory = 20
    [(_, _, bid, _), (_, _, ask, _)] = sorted(
        sent("gueant_lehalle_fernandez_tapia", case), key=lambda it: it[1]
    )
    assert 10_000 - bid > ask - 10_000


def test_almgren_and_chriss_go_along_the_hyperbolic_sine() -> None:
    assert urgency(1.0, 1e-6, 0.95, 2.5e-6, 2.5e-7) == pytest.approx(0.61, abs=0.005)  # the paper's example
    kappa, whole = 0.61, 5
    for day in range(whole + 1):
        wanted = 1e6 * math.sinh(kappa * (whole - day)) / math.sinh(kappa * whole)
        assert left_to_trade(1e6, kappa, float(day), float(whole)) == pytest.approx(wanted, abs=1e-3)
    assert left_to_trade(100.0, 50.0, 1.0, 1000.0) == pytest.approx(0.0, abs=1e-9)


def recorded(tmp_path: Any, populations: dict[str, Any], steps: int = 600, **top: Any) -> simlab.Run:
    content = {
        "name": "market",
        "steps": steps,
        "instruments": {"ACME": {"initial_price": 10_000}},
        "populations": populations,
        "recording": {"depth_every": 1},
    }
    run = simlab.run(content | top, out=tmp_path)
    assert isinstance(run, simlab.Run)
    return run


def bought(run: simlab.Run, population: str) -> Any:
    """Return lots bought less sold so far, by step."""
    trades = run.trades()
    mine = {
        it: trades[it].astype(str).str.startswith(population) for it in ("taker_account", "maker_account")
    }
    signed = np.zeros(run.manifest["steps"])
    for side, sign in ((0, 1), (1, -1)):
        as_taker = (trades["aggressor_side"] == ("buy", "sell")[side]) & mine["taker_account"]
        as_maker = (trades["aggressor_side"] != ("buy", "sell")[side]) & mine["maker_account"]
        own = trades[as_taker | as_maker]
        np.add.at(signed, own["step"].to_numpy(), sign * own["quantity"].to_numpy())
    return np.cumsum(signed)


def test_almgren_chriss_trades_its_trajectory_in_a_market(tmp_path: Any) -> None:
    parameters = {"quantity": 400, "end": 500, "slices": 50, "risk_aversion": 2e-5, "sigma": 1.0, "eta": 0.1}
    execution = {"strategy": "almgren_chriss", "parameters": parameters, "account": RICH}
    done = bought(recorded(tmp_path, {"maker": MAKER, "noise": NOISE, "buyer": execution}), "buyer")
    kappa = urgency(10.0, 2e-5, 1.0, 0.1, 0.0)
    planned = [400 - left_to_trade(400.0, kappa, 10.0 * (i + 1), 500.0) for i in range(50)]
    assert done[-1] == 400
    assert np.abs(done[9:500:10] - planned)[1:].max() < 1.5  # in the first slice the book was empty
    assert done[100] > 400 * 100 / 500 * 1.3  # sooner than evenly


def test_vwap_follows_a_curve() -> None:
    assert [scheduled([3, 1, 2], at) for at in (0, 1 / 3, 0.5, 2 / 3, 1)] == pytest.approx(
        [0, 0.5, 7 / 12, 4 / 6, 1]
    )


def test_vwap_trades_along_the_curve_that_it_is_given(tmp_path: Any) -> None:
    execution = {
        "strategy": "vwap",
        "parameters": {"quantity": 300, "end": 400, "slices": 2},
        "options": {"curve": [4, 1, 1, 4]},
        "account": RICH,
    }
    done = bought(recorded(tmp_path, {"maker": MAKER, "noise": NOISE, "buyer": execution}), "buyer")
    assert done[-1] == 300
    assert [done[99], done[199], done[299], done[399]] == pytest.approx([120, 150, 180, 300], abs=12)


def test_vwap_measures_the_curve_of_the_sessions_before(tmp_path: Any) -> None:
    crowd = NOISE | {"count": 60, "activation": {"steps": [*range(0, 100), *range(400, 500)]}}
    execution = {
        "strategy": "vwap",
        "parameters": {"quantity": 300, "end": 400, "slices": 2},
        "options": {"sessions": 2},
        "account": RICH,
    }
    market = recorded(tmp_path, {"maker": MAKER, "crowd": crowd, "buyer": execution}, steps=800)
    done = bought(market, "buyer")
    first, second = done[:400], done[400:] - done[399]
    assert first[99] == pytest.approx(75, abs=20)
    assert second[99] > 150  # most of the volume came in the first quarter


def test_vwap_counts_all_fills_and_goes_on_until_it_is_done(tmp_path: Any) -> None:
    """A slice of 40 lots is filled by 40 orders; what the book lacks is bought later, after the end too."""
    lots_of_one = {
        "strategy": "noise",
        "count": 120,
        "parameters": {"limit_share": 1, "market_share": 0, "cancel_share": 0, "max_size": 1, "offset": 2},
        "account": RICH,
    }
    execution = {"strategy": "vwap", "parameters": {"quantity": 480, "end": 36, "slices": 1}, "account": RICH}
    market = recorded(tmp_path, {"crowd": lots_of_one, "buyer": execution}, steps=40)
    assert market.trades().groupby("taker_order_id").size().max() > 30
    assert bought(market, "buyer")[-1] == 480
    sparse = {"crowd": lots_of_one | {"count": 12}, "buyer": execution | {"activation": {"period": 12}}}
    done = bought(recorded(tmp_path, sparse, steps=240), "buyer")
    assert done[35] < 300
    assert done[-1] == 480


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"curve": [1, -1, 3]}, "none below 0"),
        ({"curve": []}, "the relative volume of each bucket"),
        ({"curve": [1, 2], "sessions": 0}, "1 session or more"),
        ({"curve": "u"}, "curve"),
    ],
)
def test_vwap_says_what_is_wrong_with_a_curve(options: dict[str, Any], said: str) -> None:
    population = {"strategy": "vwap", "options": options}
    with pytest.raises(ConfigError, match=said):
        simlab.validate(
            {"steps": 5, "instruments": {"A": {"initial_price": 9}}, "populations": {"p": population}}
        )


def test_arbitrage_brings_prices_together(tmp_path: Any) -> None:
    two = {
        name: {"initial_price": 10_000, "fundamental": {"model": "constant", "initial": value}}
        for name, value in (("A", 10_000), ("B", 10_060))
    }
    crowd = {
        f"{kind}{name}": {"strategy": strategy, "instruments": [name], "account": RICH} | more
        for name in "AB"
        for kind, strategy, more in (
            ("value", "value", {"count": 5, "signal_noise": 20, "activation": {"rate": 0.2}}),
            ("noise", "noise", {"count": 20, "activation": {"rate": 0.3}}),
            ("maker", "market_maker", {"count": 2}),
        )
    }
    arbitrage = {
        "strategy": "arbitrage",
        "parameters": {"threshold": 2, "unit_limit": 5_000},
        "options": {"weights": {"A": 1, "B": -1}},
        "account": RICH,
    }

    def gap(run: simlab.Run) -> float:
        quotes = run.quotes().set_index(["step", "instrument"])
        mid = ((quotes["best_bid"] + quotes["best_ask"]) / 2).unstack()
        return float((mid["B"] - mid["A"]).ffill().iloc[300:].mean())

    apart = recorded(tmp_path, crowd, steps=900, instruments=two)
    together = recorded(tmp_path, crowd | {"arbitrage": arbitrage}, steps=900, instruments=two)
    assert gap(apart) > 40
    assert gap(together) < 0.5 * gap(apart)
    [row] = [it for it in together.manifest["populations"] if it["population"] == "arbitrage"]
    assert row["pnl_mean"] > 0


@pytest.mark.parametrize(
    ("age", "sentiment", "inventory", "expected"),
    [
        (4, 0.5, 0, []),
        (5, 0.5, 0, [(MARKET, Side.BUY, 0, 5)]),
        (24, -0.55, 0, [(MARKET, Side.SELL, 0, 6)]),
        (25, 0.5, 0, []),
        (25, 0.5, 7, [(MARKET, Side.SELL, 0, 7)]),
        (5, 0.05, 0, []),
        (5, 0.5, 98, [(MARKET, Side.BUY, 0, 2)]),
    ],
)
def test_a_news_trader_is_late_and_then_leaves(
    age: int, sentiment: float, inventory: int, expected: Any
) -> None:
    case = case_of("news_trader", step=100, size=10)
    case.view[0].news_step, case.view[0].news_sentiment = 100 - age, sentiment
    case.me[0].inventory = case.me[0].bought = inventory
    assert sent("news_trader", case) == expected


def test_a_news_trader_keeps_news_that_waits_and_sells_only_what_it_bought_on_it() -> None:
    case = case_of("news_trader", delay=10, window=5, size=4, scaled=0)
    case.me[0].inventory = 50  # from before
    sentiments, sides = {0: 0.5, 8: -0.9, 9: 0.05, 40: 0.2}, {}
    for step in range(60):
        case.view[0].step = step
        if step in sentiments:
            case.view[0].news_step, case.view[0].news_sentiment = step, sentiments[step]
        messages = sent("news_trader", case)
        bought = [quantity if side == Side.BUY else -quantity for _, side, _, quantity in messages]
        case.me[0].bought, case.me[0].sold = max(sum(bought), 0), max(-sum(bought), 0)
        case.me[0].inventory += sum(bought)
        if bought:
            sides[step] = bought[0]
    on_news = dict.fromkeys(range(10, 15), 4) | dict.fromkeys(range(18, 23), -4)
    closing = dict.fromkeys(range(15, 18), -4) | dict.fromkeys(range(23, 26), 4)
    late = dict.fromkeys(range(50, 55), 4) | dict.fromkeys(range(55, 60), -4)
    assert sides == on_news | closing | late
    assert case.me[0].inventory == 50


def test_a_spoofer_shows_layers_and_takes_them_away() -> None:
    case = case_of("spoofer", step=0)
    shown = sent("spoofer", case)
    assert shown == [*((LIMIT, Side.SELL, 10_002 + i, 100) for i in range(3)), (LIMIT, Side.BUY, 9_999, 5)]
    me = case.me[0]
    me.visible_orders = me.open_orders = 4
    for i, (_, side, price, quantity) in enumerate(shown):
        me.order_ids[i], me.order_sides[i], me.order_prices[i], me.order_quantities[i] = (
            i + 1,
            side,
            price,
            quantity,
        )
    case.view[0].step = 3
    assert sent("spoofer", case) == []
    case.view[0].best_ask = 10_002  # the market has come to them
    assert [it[0] for it in sent("spoofer", case)] == [CANCEL] * 3
    case.view[0].best_ask, case.view[0].step = 10_001, 10
    assert [it[0] for it in sent("spoofer", case)] == [CANCEL] * 3


def test_a_spoofer_takes_all_away_before_it_changes_sides() -> None:
    case = case_of("spoofer", step=0, inventory_limit=20)
    case.me[0].inventory = 20
    assert [it[0] for it in sent("spoofer", case)] == [CANCEL_ALL]
    turned = sent("spoofer", case)
    assert turned == [*((LIMIT, Side.BUY, 9_998 - i, 100) for i in range(3)), (LIMIT, Side.SELL, 10_001, 5)]


def spoofed_market(tmp_path: Any, layers: int, seed: int, **parameters: float) -> simlab.Run:
    """Return a market of those who read the book, with one who bids at the best price, honestly or not."""
    readers = {
        "strategy": "order_imbalance",
        "count": 10,
        "parameters": {"entry": 0.3, "weight": 1.0, "inventory_limit": 200},
        "activation": {"rate": 0.2},
        "account": RICH,
    }
    slow = MAKER | {"parameters": {"size": 20, "half_spread": 3, "skew": 0.05}}
    given = {"inventory_limit": 10**6, "layer_size": 400, "layers": layers} | parameters
    spoofer = {"strategy": "spoofer", "parameters": given, "account": RICH}
    crowd = {"maker": slow, "noise": NOISE, "readers": readers, "spoofer": spoofer}
    return recorded(tmp_path, crowd, steps=800, seed=seed)


def test_spoofing_moves_the_price_among_those_who_read_the_book(tmp_path: Any) -> None:
    """The one who wants to buy shows sell orders: the price falls, in each of several pairs of runs."""
    falls = []
    for seed in range(1, 5):
        honest, spoofed = (spoofed_market(tmp_path, layers, seed) for layers in (0, 3))
        falls.append(honest.trades()["price"].mean() - spoofed.trades()["price"].mean())
    assert min(falls) > 0
    assert np.mean(falls) > 2


def test_a_recording_tells_the_layers_from_the_genuine_orders(tmp_path: Any) -> None:
    """The sides change over and over; the ids of layers are those of post-only orders, whatever the side."""
    messages = spoofed_market(tmp_path, 3, 1, inventory_limit=30, size=3, layer_size=400).messages()
    own = messages[messages["account"].astype(str).str.startswith("spoofer")]
    accepted = own[own["event"] == "accepted"]
    layers = accepted[accepted["post_only"]]
    assert set(layers["side"]) == set(accepted["side"]) == {"buy", "sell"}
    assert set(layers["quantity"]) == {400}
    assert accepted[~accepted["post_only"]]["quantity"].max() <= 3
    of_layers = own[own["order_id"].isin(layers["order_id"])]
    ended = of_layers.groupby("order_id", observed=True)["event"].last()
    assert (ended == "cancelled").mean() > 0.9  # few were reached before they were gone
    assert not (of_layers["event"] == "replaced").any()


@pytest.mark.parametrize(
    ("name", "options", "instruments"),
    [
        ("vwap", {"curve": [3, 1, 2]}, None),
        ("vwap", {"sessions": 3}, None),
        ("arbitrage", {"weights": {"A": 1, "B": -2}}, ("A", "B")),
        ("arbitrage", {"weights": {"C": 3, "A": -1, "B": -1}, "value": 50}, ("A", "B", "C")),
    ],
)
def test_strategies_in_python_keep_the_contract(name: str, options: dict[str, Any], instruments: Any) -> None:
    check_strategy(STRATEGIES[name], range(24), options=options, coarse=True, instruments=instruments)


@pytest.mark.parametrize("strategy", PERSONALITIES, ids=lambda it: it.name)
def test_a_character_is_a_strategy_by_another_name(strategy: Any) -> None:
    assert pickle.loads(pickle.dumps(strategy)) == STRATEGIES[strategy.name] == strategy
    check_strategy(strategy, range(3))
    base = {"steps": 5, "instruments": {"A": {"initial_price": 10_000}}}
    config = simlab.validate(base | {"populations": {"p": {"strategy": strategy.name, "count": 2}}})
    assert config.populations["p"].strategy == strategy.name


def test_a_misspelt_character_is_told() -> None:
    with pytest.raises(ConfigError, match="did you mean 'personality/momentum'"):
        simlab.validate(
            {
                "steps": 5,
                "instruments": {"A": {"initial_price": 10_000}},
                "populations": {"p": {"strategy": "personality/momentun"}},
            }
        )


def test_the_aggressive_trade_more_than_the_conservative(tmp_path: Any) -> None:
    world = {
        "ACME": {
            "initial_price": 10_000,
            "fundamental": {"model": "mean_reverting", "volatility": 4, "reversion": 0.01},
        }
    }
    crowd = {"maker": MAKER, "noise": NOISE}
    for name in ("conservative", "aggressive"):
        crowd[name] = {"strategy": f"personality/{name}", "count": 5, "signal_noise": 5, "account": RICH}
    run = recorded(tmp_path, crowd, instruments=world)
    volume = {row["population"]: row["volume"] for row in run.manifest["populations"]}
    assert volume["aggressive"] > 5 * volume["conservative"]
    assert volume["aggressive"] > 0
