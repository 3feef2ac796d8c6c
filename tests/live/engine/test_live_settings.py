"""The section `live`: what it adds to a market, what it refuses, and what the parts read of it."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from simlab.config import ExperimentConfig, build, load, resolved
from simlab.errors import ConfigError
from simlab.live.settings import hosted_populations, market_config, settings_of, token_of
from simlab.market.instruments import UNLIMITED

ACME = {"ACME": {"initial_price": 10_000}}


def _load(**live: Any) -> ExperimentConfig:
    return load({"steps": 10, "instruments": ACME, "live": live})


def test_the_section_adds_seats_that_may_sell_short() -> None:
    (traders,) = build(_load(seats={"count": 7, "account": {"cash": 5}})).populations
    assert (traders.name, traders.count, traders.strategy.name) == ("traders", 7, "outside")
    assert (traders.account.cash, traders.account.short_limit) == (5, UNLIMITED)


def test_short_selling_can_be_forbidden() -> None:
    (traders,) = build(_load(seats={"account": {"short_selling": "none"}})).populations
    assert traders.account.short_limit == 0


def test_what_is_written_out_is_the_same_market_again() -> None:
    config = _load(steps_per_second="max", instruments={"ACME": {"industry": "anvils"}})
    assert build(load(resolved(config))).digest() == build(config).digest()
    assert load(resolved(config)).live == config.live


@pytest.mark.parametrize("part", ["engine", "gateway", "dashboard"])
def test_other_machines_need_a_token(part: str) -> None:
    with pytest.raises(ConfigError, match=rf"{part}.host 0.0.0.0 .* gateway.token_env"):
        _load(**{part: {"host": "0.0.0.0"}})
    gateway = {"token_env": "MARKET_TOKEN"}
    assert _load(**{"gateway": gateway, part: {"host": "0.0.0.0"} | (gateway if part == "gateway" else {})})


@pytest.mark.parametrize("pace", [0, -1, True, "fast", 2e6, float("nan")])
def test_a_pace_is_a_number_or_max(pace: Any) -> None:
    with pytest.raises(ConfigError, match=r"steps_per_second: .*must be max, or a number"):
        _load(steps_per_second=pace)


def test_the_name_of_the_seats_is_taken() -> None:
    data = {"steps": 10, "instruments": ACME, "live": {}}
    with pytest.raises(ConfigError, match=r"populations\.traders: the section live adds"):
        load(data | {"populations": {"traders": {"strategy": "noise"}}})


def test_texts_are_of_known_instruments() -> None:
    with pytest.raises(ConfigError, match=r"live\.instruments\.ACNE: .*did you mean 'ACME'"):
        _load(instruments={"ACNE": {}})


def test_the_sum_of_all_cash_counts_the_seats() -> None:
    with pytest.raises(ConfigError, match="the cash of all accounts"):
        _load(seats={"count": 1000, "account": {"cash": 10**17}})


def test_a_token_is_looked_up_and_missed() -> None:
    settings = settings_of(_load(gateway={"token_env": "MARKET_TOKEN"}))
    assert token_of(settings, {"MARKET_TOKEN": "s"}) == "s"
    with pytest.raises(ConfigError, match="MARKET_TOKEN is not set; set it"):
        token_of(settings, {})


def test_agents_in_python_are_hosted_outside_the_market() -> None:
    populations = {
        "own": {"strategy": "strategies/my_first_agent.py:MyFirstAgent", "count": 2},
        "noise": {"strategy": "noise", "count": 3},
    }
    config = load({"steps": 10, "instruments": ACME, "populations": populations})
    assert list(hosted_populations(config)) == ["own"]
    assert list(market_config(config).populations) == ["noise"]
    assert [it.name for it in build(market_config(config)).populations] == ["noise", "traders"]


def test_as_many_files_may_be_open_as_connections_take() -> None:
    code = (
        "import resource; from simlab.live.ready import allow_connections as allow;"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (64, 1000)); allow(500);"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0]); allow(5000)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert int(done.stdout) > 500
    assert "live.limits.connections: 5000 connections" in done.stderr
