"""Files are merged, values are set on top, and the resolved configuration gives the same experiment."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from simlab.config import build, dump, load, resolved
from simlab.config.models import ConstantConfig, ExperimentConfig, InstrumentConfig
from simlab.config.source import read_file
from simlab.core.types import SelfTrade
from simlab.errors import ConfigError
from simlab.kernel.spec import SimulationSpec
from simlab.market.instruments import UNLIMITED

Write = Callable[[str, str], Path]

FULL = """\
extends: base.yaml
name: full
description: "everything a file can say: on purpose"
seed: 3
step_duration_s: 0.5
activation: simultaneous
instruments:
  ACME:
    {tick_size: 5, lot_size: 10, multiplier: 2, price_unit: 0.05, price_band: [100, 20000],
     maker_fee_ppm: -20, taker_fee_ppm: 30, self_trade: cancel_both, description: A share,
     fundamental: {model: mean_reverting, mean: 10100, reversion: 0.01, volatility: 3.0, jump_rate: 5e-4,
                   jump_scale: 40}}
  BRK.B: {initial_price: 500, fundamental: {model: geometric, volatility: 0.001}}
correlation: [{between: [ACME, BRK.B], rho: 0.5}]
news:
  scheduled:
    - {step: 5, instrument: ACME, headline: Up, content: More, sentiment: 0.8, impact: 50, source: Wire}
    - {step: 6, headline: All}
  poisson: {rate: 0.01, impact_scale: 30, instruments: [ACME]}
shocks:
  - {kind: fundamental_jump, step: 1, instrument: ACME, size: -200}
  - {kind: fat_finger, step: 1, instrument: ACME, side: sell, quantity: 5000}
  - {kind: halt, step: 2, instrument: ACME, duration: 5}
  - {kind: leave, step: 3, population: makers}
  - {kind: join, step: 4, population: makers}
populations:
  makers:
    strategy: market_maker
    count: 4
    instruments: [ACME]
    parameters: {half_spread: {normal: [10, 2]}, size: {choice: [10, 20]}}
    activation: {period: 5, phase: 2}
    latency: {uniform: [1, 4]}
    signal_noise: 50
    joins: 1
    leaves: 9
    account: {cash: 1e6, inventory: {ACME: 100}, borrowing: free, short_selling: 50, position_limit: 1000,
              reserve: false, message_rate: {messages: 10, steps: 5}, max_open_orders: 100}
recording: {quotes_every: 2, depth_every: 0, depth_levels: 5, accounts_every: 7}
"""

BASE = """\
steps: 10
instruments: {ACME: {initial_price: 10000, tick_size: 1}}
populations:
  noise: {strategy: noise, count: 3, account: {inventory: 7, cash: 100}, activation: {rate: 0.5}}
recording: {enabled: false}
"""


@pytest.fixture
def full(write: Write) -> Path:
    write("base.yaml", BASE)
    return write("full.yaml", FULL)


def _assert_same(a: SimulationSpec, b: SimulationSpec) -> None:
    for field in fields(a):
        one, other = getattr(a, field.name), getattr(b, field.name)
        if field.name == "populations":
            assert [replace(it, parameters=None) for it in one] == [
                replace(it, parameters=None) for it in other
            ]
            assert all(np.array_equal(x.parameters, y.parameters) for x, y in zip(one, other, strict=True))
        else:
            assert one == other


def test_extends_merges_and_this_file_wins(full: Path) -> None:
    config = load(full)
    assert (config.name, config.steps, config.seed) == ("full", 10, 3)
    assert list(config.populations) == ["noise", "makers"]
    assert config.instruments["ACME"].initial_price == 10000
    assert config.instruments["ACME"].tick_size == 5
    assert config.recording.enabled is False
    assert config.recording.quotes_every == 2


def test_build_says_what_the_file_says(full: Path) -> None:
    spec = build(load(full))
    acme = spec.instruments[0]
    assert (acme.tick_size, acme.lot_size, acme.multiplier, acme.price_band) == (5, 10, 2, (100, 20000))
    assert acme.self_trade is SelfTrade.CANCEL_BOTH
    assert (spec.seed, spec.steps, spec.simultaneous, spec.step_duration_s) == (3, 10, True, 0.5)
    makers, noise = spec.populations  # in the order of their names
    assert noise.account.inventory == (("ACME", 7), ("BRK.B", 7))
    assert (noise.activation.rate, noise.account.borrowing, noise.account.short_limit) == (0.5, 0, 0)
    assert makers.strategy.name == "market_maker"
    assert (makers.activation.period, makers.activation.phase) == (5, 2)
    assert (makers.latency.low, makers.latency.high) == (1, 4)
    assert (makers.joins, makers.leaves, makers.signal_noise) == (1, 9, 50.0)
    account = makers.account
    assert (account.cash, account.inventory) == (1_000_000, (("ACME", 100),))
    assert (account.borrowing, account.short_limit, account.position_limit) == (UNLIMITED, 50, 1000)
    assert (account.reserve, account.rate_limit, account.rate_window, account.max_open_orders) == (
        False,
        10,
        5,
        100,
    )
    assert (spec.recording.quotes_every, spec.recording.depth_every, spec.recording.accounts_every) == (
        2,
        0,
        7,
    )


def test_a_resolved_market_with_seats_can_be_loaded() -> None:
    seats = {"people": {"strategy": "outside", "count": 2}}
    config = load({"steps": 5, "instruments": {"A": {"initial_price": 100}}, "populations": seats})
    assert build(load(resolved(config))).digest() == build(config).digest()


def test_resolved_round_trips_through_yaml(full: Path, tmp_path: Path) -> None:
    config = load(full, set={"populations.noise.count": np.int64(5)})
    for text in (dump(resolved(config)), yaml.safe_dump(resolved(config), sort_keys=False)):
        again = tmp_path / "again.yaml"
        again.write_text(text)
        assert resolved(load(again)) == resolved(config)
        _assert_same(build(load(again)), build(config))


def test_what_is_resolved_of_seats_can_be_loaded_again() -> None:
    market = {"steps": 9, "instruments": {"ACME": {"initial_price": 5}}}
    config = load(market | {"populations": {"people": {"strategy": "outside", "count": 2}}})
    again = load(resolved(config))
    assert resolved(again) == resolved(config)
    _assert_same(build(again), build(config))


def test_a_mapping_and_a_file_give_the_same_experiment(full: Path) -> None:
    data = resolved(load(full))
    before = copy.deepcopy(data)
    _assert_same(build(load(data)), build(load(full)))
    assert data == before


def test_forms_of_one_key_replace_each_other(write: Write) -> None:
    write("base.yaml", BASE)
    path = write(
        "next.yaml",
        """\
        extends: base.yaml
        populations:
          noise: {activation: {period: 4}, parameters: {max_size: {uniform: [1, 2]}}}
        """,
    )
    last = write(
        "last.yaml", "extends: next.yaml\npopulations: {noise: {parameters: {max_size: {choice: [3]}}}}\n"
    )
    assert load(path).populations["noise"].activation.rate is None
    assert load(last).populations["noise"].parameters["max_size"].choice == (3.0,)
    assert load(last).populations["noise"].activation.period == 4


def test_null_removes_a_mapping_of_the_base(write: Write) -> None:
    write("base.yaml", BASE)
    path = write("next.yaml", "extends: base.yaml\npopulations: {noise: null}\n")
    assert load(path).populations == {}


def test_extends_in_a_circle_and_to_nowhere(write: Write) -> None:
    write("a.yaml", "extends: b.yaml\n")
    path = write("b.yaml", "extends: a.yaml\n")
    with pytest.raises(ConfigError, match=r"a.yaml:1: extends: .* circle: b.yaml -> a.yaml -> b.yaml"):
        load(path)
    with pytest.raises(ConfigError, match=r"extends: 'c.yaml': there is no file"):
        load(write("d.yaml", "extends: c.yaml\n"))


def test_a_problem_of_the_base_is_shown_there(write: Write) -> None:
    write("base.yaml", BASE.replace("count: 3", "count: many"))
    path = write("next.yaml", "extends: base.yaml\nseed: 3\n")
    with pytest.raises(ConfigError, match=r"base.yaml:4: populations.noise.count: 'many'"):
        load(path)


def test_set_puts_values_on_top_and_reaches_optional_keys(full: Path) -> None:
    settings = [
        "instruments.BRK.B.lot_size=3",
        "populations.noise.account.message_rate={messages: 4}",
        "populations.noise.parameters.max_size=4",
        "shocks.2.duration=9",
        "populations.noise.activation={period: 3, stagger: true}",
    ]
    config = load(full, set=settings, seed=9, steps=4)
    assert (config.seed, config.steps) == (9, 4)
    assert config.instruments["BRK.B"].lot_size == 3
    assert config.populations["noise"].account.message_rate.messages == 4
    assert config.populations["noise"].parameters == {"max_size": 4.0}
    assert config.shocks[2].duration == 9
    assert config.populations["noise"].activation.stagger is True
    assert load(config, seed=10).seed == 10
    assert config.seed == 9


def test_strategy_file_is_found_from_the_file_and_from_the_workspace(write: Write, workspace: Path) -> None:
    for place in ("../strategies/joiner.py", "strategies/joiner.py"):
        path = write("mine.yaml", BASE.replace("strategy: noise", f"strategy: '{place}:joiner'"))
        config = load(path)
        spec = build(config)
        assert spec.populations[0].strategy.defined_in == str(workspace / "strategies" / "joiner.py")
        assert resolved(config)["populations"]["noise"]["strategy"] == "strategies/joiner.py:joiner"


def test_scalars_follow_yaml_1_2(write: Write) -> None:
    path = write(
        "scalars.yaml",
        """\
        a: [on, NO, 1e3, 1_000, 0x10, 1:30, 2020-01-01, ~, true, .inf, -1.5, 010, "5", null, 1.]
        1: {true: yes}
        base: &base {x: 1, y: 2}
        merged: {<<: *base, y: 3}
        """,
    )
    data = read_file(path).data
    assert data["a"] == [
        "on",
        "NO",
        1000.0,
        1000,
        16,
        "1:30",
        "2020-01-01",
        None,
        True,
        float("inf"),
        -1.5,
        10,
        "5",
        None,
        1.0,
    ]
    assert data["1"] == {"true": "yes"}
    assert data["merged"] == {"x": 1, "y": 3}


def test_dump_survives_both_readers() -> None:
    data = {"a": ["on", "1e3", "1:30", "null", "5", "", "~", 1e-7, 1e300, "0x1", "é"], "b": {}}
    text = dump(data)
    assert yaml.safe_load(text) == data


def test_a_file_without_a_name_bears_the_files(write: Write) -> None:
    assert load(write("my market.yaml", BASE)).name == "my-market"


def test_two_experiments_do_not_inherit_one_name(write: Write) -> None:
    write("base.yaml", f"name: base\n{BASE}")
    assert load(write("next.yaml", "extends: base.yaml\nseed: 3\n")).name == "next"


def test_a_copied_configuration_says_what_the_copy_says(full: Path) -> None:
    config = load(full)
    copied = config.model_copy(update={"seed": np.int64(8)})
    assert (load(copied).seed, load(copied, steps=3).seed, load(config).seed) == (8, 8, 3)
    noise = config.populations["noise"].model_copy(update={"count": 7})
    grown = config.model_copy(update={"populations": config.populations | {"noise": noise}})
    assert load(grown).populations["noise"].count == 7
    assert load(grown, set=["populations.noise.activation={period: 3}"]).populations["noise"].count == 7
    _assert_same(build(load(config.model_copy())), build(config))
    _assert_same(build(load(copied.model_copy(update={"seed": 3}))), build(config))


def test_a_copy_is_checked_and_says_where_its_values_stand(full: Path) -> None:
    config = load(full)
    with pytest.raises(ConfigError, match="sed: unknown key; did you mean 'seed'"):
        load(config.model_copy(update={"sed": 2}))
    with pytest.raises(ConfigError, match=r"^a copied configuration: steps: 0: must be at least 1"):
        load(config.model_copy(update={"steps": 0}))
    unchanged = "full.yaml:8: instruments.ACME: initial_price 10000 is not a multiple of tick_size"
    acme = config.instruments["ACME"].model_copy(update={"tick_size": 7})
    with pytest.raises(ConfigError, match=unchanged.replace(".", r"\.")):
        load(config.model_copy(update={"instruments": config.instruments | {"ACME": acme}}))


def test_a_model_made_in_python_is_a_configuration() -> None:
    acme = InstrumentConfig(initial_price=100, fundamental=ConstantConfig(initial=90))
    config = load(ExperimentConfig(steps=3, instruments={"ACME": acme}))
    assert config.instruments["ACME"].fundamental.initial == 90


def test_numpy_numbers_are_numbers(full: Path) -> None:
    config = load(full, seed=np.int64(9), steps=np.int32(4))
    assert (config.seed, config.steps) == (9, 4)
