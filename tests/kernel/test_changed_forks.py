"""A market goes on under another specification: what may change does, what may not is refused, by name."""

from __future__ import annotations

from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_markets
from small_markets import MIXED

from simlab.agents.each import Observation, Orders, agent_strategy
from simlab.agents.library import STRATEGIES
from simlab.config import build, load
from simlab.core.hashing import hash_text
from simlab.core.types import SelfTrade, Side
from simlab.errors import ConfigError, SimlabError
from simlab.kernel import (
    Activation,
    Capacities,
    Latency,
    Population,
    RecordingPlan,
    Simulation,
    SimulationSpec,
)
from simlab.kernel.changes import RULES
from simlab.kernel.rebase import rebase
from simlab.kernel.spec import Fallback
from simlab.market.instruments import AccountPolicy, Instrument
from simlab.processes import CustomerOrders, FundamentalSpec, Halt, OutsideSpec, PoissonNews, ScheduledNews
from simlab.processes.customers import LimitPrices, Timing

AT = 18


def market_of(changes: dict[str, Any] | None = None) -> SimulationSpec:
    return build(load(MIXED, set=changes or {}))


def after(market: Simulation) -> str:
    market.advance()
    market.audit()
    return hash_text(market.event_log_hash)


def at(spec: SimulationSpec, step: int = AT, sink: Any = None) -> Simulation:
    market = Simulation(spec, sink)
    market.advance(step)
    return market


SHOCKS = [*MIXED["shocks"], {"kind": "halt", "step": 19, "instrument": "ACME", "duration": 4}]
NEWS = {"scheduled": [{"step": 30, "headline": "Later", "impact": 90.0, "sentiment": 0.5}]}


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"populations.makers.leaves": AT},
        {"populations.noise.leaves": AT + 7},
        {"populations.loners.leaves": None},
        {"populations.loners.leaves": AT + 2},
        {"shocks": SHOCKS},
        {"shocks": []},
        {"news": MIXED["news"] | NEWS},
        {"recording.depth_every": 3},
        {"instruments.BOLT.description": "Screws"},
    ],
    ids=str,
)
def test_what_was_still_to_come_may_be_planned_otherwise(changes: dict[str, Any]) -> None:
    """The fork is the market that was planned so from the beginning, event for event."""
    planned = market_of(changes)
    assert after(at(market_of()).fork(spec=planned)) == after(Simulation(planned))


def test_a_value_that_depends_on_its_past_keeps_it() -> None:
    moves = {"model": "path_dependent", "volatility": 0.01, "leverage": 0.5, "feedback": 0.5}
    base = {"instruments.ACME.fundamental": moves}
    planned = market_of(base | {"news": MIXED["news"] | NEWS})
    other = at(market_of(base)).fork(spec=planned)
    assert after(other) == after(Simulation(planned))
    begins = market_of({"instruments.ACME.fundamental": moves | {"leverage": 0.0}})
    assert after(other.fork(spec=planned)) == after(other)
    assert after(at(market_of()).fork(spec=begins)) != after(at(market_of()))


def test_who_has_not_joined_may_join_at_another_step() -> None:
    late = {"populations.loners.joins": 25}
    for step in (AT, 21):
        planned = market_of({"populations.loners.joins": step})
        assert after(at(market_of(late)).fork(spec=planned)) == after(Simulation(planned))


def test_a_fork_of_a_changed_fork_and_a_kept_state_are_the_same() -> None:
    first, second = market_of({"shocks": SHOCKS}), market_of({"shocks": [], "news": {}})
    market = at(market_of(), 12).fork(spec=first)
    assert market.capture().hash() != at(market_of(), 12).capture().hash()
    again = market.fork(spec=second)
    assert after(again) == after(at(market_of(), 12).fork(spec=second))
    kept = rebase(market_of(), at(market_of(), 12).capture(), first)
    assert after(market) == after(Simulation.restore(first, kept))


@pytest.mark.parametrize("step", [1, 5, AT, 33])
@pytest.mark.parametrize("activation", ["sequential", "simultaneous"])
def test_nothing_changed_is_nothing_changed(step: int, activation: str) -> None:
    spec = market_of({"activation": activation})
    assert at(spec, step).fork(spec=market_of({"activation": activation})).capture().hash() == (
        at(spec, step).capture().hash()
    )


def test_longer_is_the_longer_run() -> None:
    short = at(market_of({"steps": 30, "shocks": SHOCKS[:2]}), 30)
    longer = market_of({"shocks": SHOCKS[:2]})
    assert after(short.fork(spec=longer)) == after(Simulation(longer))


def test_one_change_leaves_all_other_draws_as_they_were() -> None:
    """Common random numbers: beacons bid what they draw, whatever else differs between two forks."""
    bids = {}
    for ppm in (0, 500):
        log = small_markets.EventLog()
        market = small_markets.simulation(
            small_markets.population("beacons", small_markets.beacon, 3),
            small_markets.population("others", STRATEGIES["noise"], 5),
        )
        market.advance(20)
        spec = replace(market.spec, instruments=(replace(market.spec.instruments[0], taker_fee_ppm=ppm),))
        if ppm:
            spec = replace(
                spec,
                populations=(
                    spec.populations[0],
                    replace(spec.populations[1], leaves=40, latency=Latency(1, 5)),
                ),
            )
        other = market.fork(log, spec=spec)
        other.advance()
        other.finish()
        events = log.all
        bids[ppm] = events[(events["account"] < 3) & (events["price"] > 5_000)]
        assert len(events) > 200
    for name in ("step", "account", "price", "quantity"):
        assert np.array_equal(bids[0][name], bids[500][name])
    assert len(bids[0]) > 200


@agent_strategy("counting", "Bids as many lots as it has decided so often.")
class Counting:
    """Counts, and draws."""

    def __init__(self, price: float = 900.0) -> None:
        self._price, self._count = int(price), 0

    def decide(self, observation: Observation, orders: Orders) -> None:
        self._count += 1
        orders.limit("buy", self._price + int(observation.random.integers(0, 5)), self._count)


def quantities(market: Simulation, spec: SimulationSpec) -> list[int]:
    log = small_markets.EventLog()
    other = market.fork(log, spec=spec)
    other.advance(market.step + 3)
    other.finish()
    return log.all["quantity"].tolist()


def test_a_replaced_strategy_begins_anew_and_a_changed_one_goes_on() -> None:
    market = small_markets.simulation(small_markets.population("p", Counting.strategy))  # type: ignore[attr-defined]
    market.advance(10)
    own = market.spec.populations[0]
    priced = np.full((1, 1), 950.0)

    def changed(**terms: Any) -> SimulationSpec:
        return replace(market.spec, populations=(replace(own, **terms),))

    assert quantities(market, changed(latency=Latency(1, 1))) == [11, 12]
    assert quantities(market, changed(parameters=priced)) == [1, 2, 3]
    assert quantities(market, changed(strategy=STRATEGIES["zi_unconstrained"]))
    back = market.fork(
        spec=changed(strategy=small_markets.beacon, parameters=np.zeros((1, 0)), parameter_names=())
    )
    assert quantities(back, market.spec) == [1, 2, 3]


def test_another_seed_changes_what_is_still_to_be_drawn() -> None:
    market = at(market_of())
    events = []
    for seed in (5, 6, 7):
        log = small_markets.EventLog()
        other = market.fork(log, spec=replace(market.spec, seed=seed))
        after(other)
        other.finish()
        events.append(log.all)
    assert len({it.tobytes() for it in events}) == 3
    assert market.event_log_hash == at(market_of()).event_log_hash


def test_reserves_follow_the_fees_and_orders_that_would_not_fit_are_named() -> None:
    market = at(market_of())
    acme, bolt = market.spec.instruments
    assert after(
        market.fork(spec=replace(market.spec, instruments=(replace(acme, taker_fee_ppm=9_000), bolt)))
    )
    with pytest.raises(ConfigError, match=r"instruments.ACME.tick_size: 7 does not suit orders that rest"):
        market.fork(spec=replace(market.spec, instruments=(replace(acme, tick_size=7), bolt)))
    with pytest.raises(ConfigError, match=r"instruments.BOLT.price_band: \[2500, 2501\]"):
        market.fork(spec=replace(market.spec, instruments=(acme, replace(bolt, price_band=(2_500, 2_501)))))


def test_a_longer_way_keeps_what_is_on_its_way() -> None:
    market = small_markets.simulation(
        small_markets.population("p", small_markets.beacon, latency=Latency(6, 6)), steps=60
    )
    market.advance(20)
    slower = replace(market.spec.populations[0], latency=Latency(40, 40))
    log = small_markets.EventLog()
    other = market.fork(log, spec=replace(market.spec, populations=(slower,)))
    other.advance(60)
    other.finish()
    assert log.all["step"].tolist() == [*range(20, 26)]
    assert log.all["quantity"].tolist() == [*range(15, 21)]


def whole_market() -> SimulationSpec:
    """Return a market in which every kind of part is there."""
    customers = CustomerOrders(Side.BUY, (LimitPrices("even", (990, 1_010)),), period=10)
    noise = STRATEGIES["noise"]
    values = np.array([[it.default for it in noise.parameters]] * 3)
    decided = Fallback(noise, values)
    own = Population(
        "own",
        noise,
        3,
        values,
        account=small_markets.FREE,
        fallback=(decided,),
        customers=customers,
        leaves=90,
    )
    late = replace(own, name="late", joins=50)
    return SimulationSpec(
        seed=3,
        steps=60,
        instruments=(small_markets.SHARE,),
        populations=(own, late),
        outside=OutsideSpec(
            fundamentals=(FundamentalSpec("M", "geometric", volatility=0.001, initial=1_000.0),),
            poisson=(PoissonNews(rate=0.2, impact_scale=3.0),),
        ),
    )


NOISE = STRATEGIES["noise"]
DRAWN = np.array([[it.default for it in NOISE.parameters]] * 3)
OTHER: dict[type, dict[str, Any]] = {
    SimulationSpec: {
        "seed": 9,
        "steps": 50,
        "instruments": (Instrument("Z", 5),),
        "populations": (),
        "outside": OutsideSpec(),
        "simultaneous": True,
        "step_duration_s": 2.0,
        "recording": small_markets.RecordingPlan(quotes_every=5),
        "name": "other",
        "capacities": Capacities(levels=99),
        "added": (small_markets.SHARE,),
    },
    Instrument: {
        "name": "Z",
        "initial_price": 999,
        "tick_size": 1_000_003,
        "lot_size": 1_000_003,
        "multiplier": 2,
        "price_unit": 0.5,
        "price_band": (1, 2_000_000),
        "maker_fee_ppm": 100,
        "taker_fee_ppm": 200,
        "self_trade": SelfTrade.CANCEL_BOTH,
        "description": "Other",
    },
    Population: {
        "name": "zzz",
        "strategy": small_markets.muddler,
        "count": 4,
        "parameters": 2 * DRAWN,
        "options": {},
        "instruments": ("M",),
        "activation": Activation(rate=0.5),
        "latency": Latency(1, 1),
        "account": replace(small_markets.FREE, position_limit=100),
        "signal_noise": 5.0,
        "joins": 40,
        "leaves": 30,
        "parameter_names": tuple(f"p{i}" for i in range(DRAWN.shape[1])),
        "fallback": (),
        "customers": None,
    },
    AccountPolicy: {
        "cash": 7,
        "inventory": (("M", 5),),
        "borrowing": 0,
        "short_limit": 0,
        "position_limit": 3,
        "reserve": False,
        "rate_limit": 1,
        "rate_window": 7,
        "max_open_orders": 1,
    },
    Activation: {"rate": 0.2, "period": 4, "phase": 1, "stagger": True, "steps": (1, 2, 40)},
    Latency: {"low": -1, "high": 3},
    Fallback: {
        "strategy": small_markets.muddler,
        "parameters": 2 * DRAWN,
        "options": {},
        "parameter_names": tuple(f"p{i}" for i in range(DRAWN.shape[1])),
    },
    RecordingPlan: {"quotes_every": 2, "depth_every": 2, "depth_levels": 2, "accounts_every": 2},
    Capacities: {"orders": 9, "levels": 9, "events": 9, "quotes": 9, "messages": 9},
    CustomerOrders: {
        "side": Side.SELL,
        "limit_prices": (LimitPrices("even", (900, 910)),),
        "units": (3,),
        "limit_step": 2,
        "period": 5,
        "timing": Timing.POISSON,
        "redraw": True,
        "starts": 3,
    },
    OutsideSpec: {
        "fundamentals": (FundamentalSpec("M", initial=1_000.0),),
        "correlation": (("M", "M", 1.0),),
        "news": (ScheduledNews(30, None, "Later", impact=5.0),),
        "poisson": (),
        "shocks": (Halt(30, None, 2),),
    },
    FundamentalSpec: {
        "instrument": "Z",
        "model": "mean_reverting",
        "initial": 999.0,
        "mean": 900.0,
        "reversion": 0.1,
        "volatility": 0.01,
        "drift": 0.001,
        "jump_rate": 0.1,
        "jump_scale": 0.01,
        "jump_mean": 0.01,
        "leverage": 0.1,
        "feedback": 0.5,
        "trend_memory": (5.0, 50.0),
        "trend_share": 0.2,
        "volatility_memory": (5.0, 50.0),
        "volatility_share": 0.2,
        "path": Path("values.csv"),
        "column": "open",
    },
}
"""For each field of each class that a specification is made of, another value."""


_FILE = {"model": "file", "initial": None, "volatility": 0.0, "path": Path("values.csv")}
_JUMPS = {"jump_rate": 0.1, "jump_scale": 0.01, "model": "path_dependent"}
_WITH: dict[str, dict[str, Any]] = {
    **{key: {"model": "mean_reverting"} for key in ("mean", "reversion")},
    **dict.fromkeys(("jump_rate", "jump_scale", "jump_mean"), _JUMPS),
    **{key: {"model": "path_dependent"} for key in ("leverage", "feedback", "trend_memory", "trend_share")},
    **{key: {"model": "path_dependent"} for key in ("volatility_memory", "volatility_share")},
    **dict.fromkeys(("path", "column"), _FILE),
}
"""What else a fundamental value needs for a field to mean something."""


def put(spec: SimulationSpec, cls: type, name: str, value: Any) -> SimulationSpec:
    """Return a specification in which one field of one part of it is another."""
    if cls is SimulationSpec:
        return replace(spec, **{name: value})
    if cls is Instrument:
        return replace(spec, instruments=(replace(spec.instruments[0], **{name: value}),))
    if cls is OutsideSpec:
        return replace(spec, outside=replace(spec.outside, **{name: value}))
    if cls is FundamentalSpec:
        one = replace(spec.outside.fundamentals[0], **(_WITH.get(name, {}) | {name: value}))
        return replace(spec, outside=replace(spec.outside, fundamentals=(one,)))
    if cls in (RecordingPlan, Capacities):
        where = "recording" if cls is RecordingPlan else "capacities"
        return replace(spec, **{where: replace(getattr(spec, where), **{name: value})})
    late, own = spec.populations
    if cls is Population:
        whose = late if name == "joins" else own
        changed = replace(whose, **{name: value})
        return replace(spec, populations=(changed, own) if whose is late else (late, changed))
    part = {
        AccountPolicy: "account",
        Activation: "activation",
        Latency: "latency",
        Fallback: "fallback",
        CustomerOrders: "customers",
    }[cls]
    now = getattr(own, part)
    other: Any
    if cls is Activation:
        other = Activation(
            **({"rate": value} if name == "rate" else {"period": 4, "phase": 1} | {name: value})
        )
        other = replace(other, steps=value, period=None, phase=0) if name == "steps" else other
    elif cls is Latency:
        other = Latency(2, 4) if name == "low" else Latency(0, value)
    elif cls is Fallback:
        other = (replace(now[0], **{name: value}),)
    else:
        other = replace(now, **{name: value})
    return replace(spec, populations=(late, replace(own, **{part: other})))


def test_every_field_of_a_specification_has_a_rule_and_is_tried() -> None:
    for cls, rules in RULES.items():
        assert list(rules) == [it.name for it in fields(cls)], cls
        assert set(OTHER[cls]) == set(rules), cls


REFUSED = {
    (SimulationSpec, "instruments"): "keeps those that it began with",
    (SimulationSpec, "populations"): "keeps those that it began with",
    (Instrument, "name"): "keeps those that it began with",
    (Instrument, "tick_size"): "does not suit orders that rest",
    (Instrument, "lot_size"): "does not suit orders that rest",
    (Population, "name"): "keeps those that it began with",
    (OutsideSpec, "correlation"): "",
    (FundamentalSpec, "instrument"): "no instrument",
    (FundamentalSpec, "path"): "",
    (FundamentalSpec, "column"): "",
}
"""What is refused for another reason than its rule."""


@cache
def running() -> Simulation:
    market = at(whole_market(), 25)
    assert market.resting_orders
    return market


@pytest.mark.parametrize(("cls", "name"), [(cls, name) for cls in RULES for name in RULES[cls]])
def test_each_field_changes_or_is_refused(cls: type, name: str) -> None:
    market = running()
    spec = market.spec
    reason = REFUSED.get((cls, name), RULES[cls][name])
    if reason is None:
        changed = put(spec, cls, name, OTHER[cls][name])
        assert repr(changed) != repr(spec) or name == "options"
        other = market.fork(spec=changed)
        other.advance(45)
        other.audit()
        assert other.step == 45
    else:
        with pytest.raises(SimlabError) as raised:
            market.fork(spec=put(spec, cls, name, OTHER[cls][name]))
        assert reason in str(raised.value)
