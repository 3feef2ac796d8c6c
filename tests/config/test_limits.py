"""What cannot be computed exactly, or not at all, is refused when the file is read, in words of the file."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from typing import Any

import pytest

from simlab.config import load
from simlab.errors import ConfigError

EVERYTHING: dict[str, Any] = {
    "name": "all",
    "seed": 1,
    "steps": 10,
    "activation": "sequential",
    "instruments": {
        "ACME": {
            "initial_price": 100,
            "price_band": [1, 1000],
            "price_unit": 0.01,
            "self_trade": "off",
            "fundamental": {"model": "mean_reverting", "mean": 1, "jump_rate": 0.1, "jump_scale": 1},
        },
        "BETA": {"initial_price": 100, "fundamental": {"model": "geometric", "drift": 0.1}},
    },
    "correlation": [{"between": ["ACME", "BETA"], "rho": 0.1}],
    "news": {
        "scheduled": [{"step": 1, "headline": "h", "instrument": "ACME", "impact": 0}],
        "poisson": {"rate": 0.1, "impact_scale": 1, "instruments": ["ACME"]},
    },
    "shocks": [
        {"kind": "halt", "step": 1, "instrument": "ACME", "duration": 3},
        {"kind": "fat_finger", "step": 1, "instrument": "ACME", "side": "buy", "quantity": 3},
        {"kind": "leave", "step": 1, "population": "noise"},
    ],
    "populations": {
        "noise": {
            "strategy": "noise",
            "count": 1,
            "instruments": ["ACME"],
            "parameters": {"max_size": {"uniform": [1, 2]}, "limit_share": {"normal": {"mean": 0, "std": 1}}},
            "activation": {"period": 3, "phase": 1, "stagger": False},
            "latency": {"uniform": [0, 1]},
            "leaves": 5,
            "account": {
                "cash": 1,
                "inventory": {"ACME": 1},
                "borrowing": 1,
                "short_selling": "free",
                "position_limit": 1,
                "message_rate": {"messages": 1, "steps": 1},
            },
        },
        "more": {
            "strategy": "noise",
            "activation": {"steps": [1]},
            "account": {"inventory": 3},
            "latency": 3,
        },
    },
    "recording": {"enabled": True, "quotes_every": 1},
}
ODD = [None, True, 1.5, -(10**30), 10**30, 1e300, float("nan"), "x", "", "9" * 70, [], [1], [1, 2, 3], {}]
ODD += [{"a": 1}, {"uniform": 1}, [[1, 2]], [{}]]
FOREIGN = re.compile(
    r"\b(Input|input|valid|tuple|dict|dictionary|instance|schema|tag|should|pydantic|str|int)\b", re.I
)


def _paths(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from _paths(value, (*path, key))


def _problems(data: dict[str, Any]) -> str:
    try:
        load(data)
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("path", list(_paths(EVERYTHING)), ids=lambda path: ".".join(map(str, path)))
def test_no_value_shows_the_insides_of_the_checker(path: tuple[Any, ...]) -> None:
    for value in ODD:
        data = copy.deepcopy(EVERYTHING)
        node: Any = data
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value
        assert not FOREIGN.search(_problems(data)), _problems(data)


def _market(**changes: Any) -> dict[str, Any]:
    return {"steps": 3, "instruments": {"X": {"initial_price": 2_000_000_000} | changes}}


@pytest.mark.parametrize(
    ("instrument", "rest", "expected"),
    [
        (
            {"multiplier": 1_000_000, "lot_size": 3_000},
            {},
            "instruments.X: the smallest order, 3000 lots, may be",
        ),
        (
            {"multiplier": 1_000_000},
            {
                "shocks": [
                    {"kind": "fat_finger", "step": 1, "instrument": "X", "side": "buy", "quantity": 2_200}
                ]
            },
            "shocks.0.quantity: 2200: the order may be worth 4724464",
        ),
        (
            {"multiplier": 1_000_000},
            {"populations": {"p": {"strategy": "noise", "account": {"inventory": 5_000}}}},
            "populations.p.account.inventory: 5000: an account may be worth 10737418",
        ),
        (
            {},
            {"populations": {"p": {"strategy": "noise", "count": 100, "account": {"cash": 10**17}}}},
            "the cash of all accounts up to here comes to 10000000000000000000 money units",
        ),
        (
            {},
            {"populations": {f"p{i}": {"strategy": "noise", "count": 6e7} for i in range(2)}},
            "populations: 120000000 agents in 1 instruments: there may be 100000000 agents",
        ),
    ],
)
def test_money_that_could_wrap_is_refused(instrument: Any, rest: Any, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(_market(**instrument) | rest)
    assert expected in str(caught.value)


def test_a_narrower_band_makes_room() -> None:
    data = _market(multiplier=1_000_000, price_band=[1, 2_000_000_000])
    data["populations"] = {"p": {"strategy": "noise", "account": {"inventory": 500}}}
    load(data)


def test_fees_count() -> None:
    data = _market(price_band=[1, 2_000_000_000], taker_fee_ppm=200_000)
    data["populations"] = {"p": {"strategy": "noise", "account": {"inventory": 500_000_000}}}
    with pytest.raises(ConfigError, match="an account may be worth 1200000000000000000 money units"):
        load(data)


def test_prices_below_zero_are_legal_where_the_band_allows_them() -> None:
    spread = {"initial_price": -5, "price_band": [-1_000, 1_000]}
    assert load({"steps": 1, "instruments": {"SPREAD": spread}}).instruments["SPREAD"].initial_price == -5
    with pytest.raises(ConfigError, match=r"initial_price -5 is outside price_band \[1, 2147483647\]"):
        load({"steps": 1, "instruments": {"SPREAD": {"initial_price": -5}}})
