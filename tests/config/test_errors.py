"""Every mistake is named with its file, line, path, rule and nearest known name."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from simlab.config import load
from simlab.errors import ConfigError

Write = Callable[[str, str], Path]


def _problems(config: Any, **options: Any) -> str:
    with pytest.raises(ConfigError) as caught:
        load(config, **options)
    return str(caught.value)


def _put(base: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    node: Any = base
    *parents, last = path.split("/")
    for key in parents:
        node = node.setdefault(key, {}) if isinstance(node, dict) else node[int(key)]
    node[last] = value
    return base


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("llm", {"model": "m", "base_url": "localhost:80"}, "llm: base_url localhost:80 is no address; give"),
        ("llm", {"model": "m", "base_url": "http://[x"}, "llm: base_url http://[x is no address; give one"),
        (
            "llm",
            {"model": "m", "base_url": "http://me:pw@x"},
            "llm: base_url must not hold a name or a pass",
        ),
        ("llm", {"model": "m", "api_key_env": "sk-1"}, "llm: api_key_env must be the name of an environment"),
        ("stepss", 3, "stepss: 3: unknown key; did you mean 'steps'?"),
        ("steps", "many", "steps: 'many': must be a whole number"),
        ("steps", 0, "steps: 0: must be at least 1 (steps)"),
        ("steps", True, "steps: true: must be a whole number"),
        ("steps", 10.5, "steps: 10.5: must be a whole number"),
        ("activation", "sequentially", "must be 'sequential' or 'simultaneous'; did you mean 'sequential'?"),
        ("name", 5, "name: 5: must be text; put it in quotes"),
        ("news", None, "news: null: must be a mapping of keys"),
        ("shocks", {"kind": "halt"}, "shocks: must be a list"),
        ("instruments", {}, "instruments: "),
        ("instruments/AC ME", {"initial_price": 1}, "instruments.AC ME: must be a name"),
        (
            "instruments/ACME/tick_size",
            7,
            "instruments.ACME: initial_price 10000 is not a multiple of tick_size 7; use 9996 or 10003",
        ),
        ("instruments/ACME/price_band", [1, 50], "initial_price 10000 is outside price_band [1, 50]"),
        ("instruments/ACME/price_band", [9, 5], "price_band [9, 5] must be [low, high]"),
        ("instruments/ACME/self_trade", "cancel_newest", "must be 'off', 'cancel_resting'"),
        ("instruments/ACME/fundamental", {"model": "mean_reversion"}, "did you mean 'mean_reverting'?"),
        (
            "instruments/ACME/fundamental",
            {"mean": 3},
            "instruments.ACME.fundamental.model: missing; one of constant, mean_reverting",
        ),
        (
            "instruments/ACME/fundamental",
            {"model": "geometric", "mean": 3},
            "fundamental.mean: 3: unknown key",
        ),
        (
            "instruments/ACME/fundamental",
            {"model": "geometric", "jump_rate": 1},
            "jump_rate and jump_scale go together",
        ),
        (
            "populations/noise/stratgy",
            "noise",
            "populations.noise.stratgy: 'noise': unknown key; did you mean 'strategy'?",
        ),
        (
            "populations/noise/strategy",
            "nois",
            "unknown strategy 'nois'; did you mean 'noise'?; `simlab strategies` lists them all",
        ),
        ("populations/noise/count", -1, "populations.noise.count: -1: must be at least 0 (agents)"),
        (
            "populations/noise/instruments",
            ["ACNE"],
            "populations.noise.instruments.0: 'ACNE': no such instrument; did you mean 'ACME'?",
        ),
        (
            "populations/noise/parameters/max_sise",
            3,
            "strategy 'noise' has no such parameter; did you mean 'max_size'?",
        ),
        (
            "populations/noise/parameters/max_size",
            0,
            "populations.noise.parameters.max_size: 0: must be at least 1 (lots)",
        ),
        ("populations/noise/parameters/max_size", 2.5, "must be a whole number (lots)"),
        ("populations/noise/parameters/max_size", "2", "must be a number"),
        ("populations/noise/parameters/max_size", [1, 2], "must be a number, or a distribution such as"),
        (
            "populations/noise/parameters/max_size",
            {"unform": [1, 2]},
            "unform: [1, 2]: unknown key; did you mean 'uniform'?",
        ),
        (
            "populations/noise/parameters/max_size",
            {"uniform": [1, 2], "choice": [1]},
            "must have exactly one of uniform",
        ),
        ("populations/noise/parameters/max_size", {"uniform": [2, 1]}, "low at most high"),
        (
            "populations/noise/parameters/max_size",
            {"choice": [1, 0]},
            "max_size.choice.1: 0: must be at least 1",
        ),
        ("populations/noise/options", {"model": "x"}, "strategy 'noise' has no such option; it takes none"),
        (
            "populations/noise/activation",
            {"rate": 0.1, "period": 3},
            "must have exactly one of rate, period, steps",
        ),
        ("populations/noise/activation", {"rate": 2}, "activation.rate: 2: must be at most 1 (per step)"),
        ("populations/noise/activation", {"period": 3, "phase": 3}, "phase 3 must be less than period 3"),
        ("populations/noise/latency", {"uniform": [4, 1]}, "low at most high"),
        (
            "populations/noise/latency",
            "fast",
            "latency: 'fast': must be a number of steps or {uniform: [low, high]}",
        ),
        ("populations/noise/leaves", 0, "leaves 0 must come after joins 0"),
        (
            "populations/noise/account",
            {"borrowing": "some"},
            "borrowing: 'some': must be none, free, or a whole number",
        ),
        (
            "populations/noise/account",
            {"borrowing": 1.5},
            "borrowing: 1.5: must be none, free, or a whole number",
        ),
        (
            "populations/noise/account",
            {"short_selling": 10**16},
            "must be none, free, or at most 1000000000000000; no position becomes that large",
        ),
        (
            "populations/noise/latency",
            100_000_000_000,
            "latency: 100000000000: must be at most 10000000 (steps); each step of the longest latency takes",
        ),
        ("populations/noise/joins", 10**13, "must be at most 1000000000000 (step); steps are counted up to"),
        (
            "populations/noise/account",
            {"position_limit": 2**62},
            "must be at most 1000000000000000 (lots); no position becomes that large",
        ),
        ("populations/noise/activation", {"steps": [10**13]}, "steps.0: 10000000000000: must be at most"),
        ("populations/noise/parameters/max_size", 1e300, "must be at most 2^53 (lots)"),
        ("instruments/ACME/price_band", [1], "price_band.1: item 1 is missing"),
        ("instruments/ACME/price_band", [1, 2, 3], "price_band: [1, 2, 3]: must have at most 2 items"),
        ("populations/noise/account", {"reserve": "on"}, "must be true or false (not on, off, yes or no)"),
        (
            "populations/noise/account",
            {"inventory": {"ACNE": 1}},
            "no such instrument of this population; did you mean 'ACME'?",
        ),
        ("populations/noise/account", {"message_rate": {"step": 1}}, "message_rate.messages: missing"),
        ("shocks", [{"kind": "halts", "step": 1}], "shocks.0.kind: 'halts': must be 'fundamental_jump'"),
        ("shocks", [{"step": 1}], "shocks.0.kind: missing; one of fundamental_jump, fat_finger"),
        (
            "shocks",
            [{"kind": "halt", "step": 1, "instrument": "ACNE", "duration": 3}],
            "shocks.0.instrument: 'ACNE': no such instrument",
        ),
        ("shocks", [{"kind": "leave", "step": 1, "population": "maker"}], "did you mean 'makers'?"),
        ("correlation", [{"between": ["ACME", "ACME"], "rho": 0.5}], "must name two different instruments"),
        (
            "correlation",
            [{"between": ["ACME", "BRK.B"], "rho": 1.5}],
            "correlation.0.rho: 1.5: must be at most 1",
        ),
        (
            "news",
            {"scheduled": [{"step": 1, "headline": "x", "sentiment": 3}]},
            "sentiment: 3: must be at most 1",
        ),
    ],
)
def test_mistake_is_named(base: dict[str, Any], path: str, value: Any, expected: str) -> None:
    assert expected in _problems(_put(base, path, value))


def test_all_problems_come_at_once_with_file_and_line(write: Write) -> None:
    path = write(
        "many.yaml",
        """\
        steps: 10
        instruments:
          ACME: {initial_price: 10000}
        populations:
          noise:
            stratgy: noise
          makers:
            strategy: market_maker
            parameters: {sise: 3}
            account: {reserve: on}
          readers:
            strategy: nois
            activation: {rate: 2}
        shocks:
          - {kind: halt, step: 3, instrument: ACNE, duration: 3}
        """,
    )
    lines = _problems(path).splitlines()
    assert lines[0] == f"6 problems in {path}"
    assert [re.match(r"  \S+:(\d+): (\S+):", line).groups() for line in lines[1:]] == [
        ("6", "populations.noise.stratgy"),
        ("9", "populations.makers.parameters.sise"),
        ("10", "populations.makers.account.reserve"),
        ("12", "populations.readers.strategy"),
        ("13", "populations.readers.activation.rate"),
        ("15", "shocks.0.instrument"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "bad.yaml: the file is empty"),
        ("# nothing but a comment\n", "the file is empty"),
        ("- steps: 1\n", "bad.yaml:1: the file is a list; it must be `key: value` pairs"),
        ("steps\n", "the file is a single value"),
        (
            "steps: 1\ninstruments:\n\tACME: 1\n",
            "bad.yaml:3: not valid YAML: the line is indented with a tab",
        ),
        ("steps: 1\nsteps: 2\n", "bad.yaml:2: steps: the key is written twice (first in line 1); keep one"),
        ("steps: [1, 2\n", "not valid YAML"),
        ("steps: 1\n---\nsteps: 2\n", "a second document begins"),
        ("steps: !!python/name:os.system x\n", "cannot be read as"),
        ("steps: &a [*a]\n", "endless"),
        ("? [a, b]\n: 3\n", "a key must be text"),
        (
            "steps: 1\ndescription: 'pasted\x0btext'\n",
            "bad.yaml:2: not valid YAML: a control character (U+000B, column 21); remove it",
        ),
        (
            "steps: 1\nseed: " + "9" * 5000,
            "bad.yaml:2: a whole number of 5,000 digits; nothing is that large",
        ),
        ("steps: 1\nseed: " + "[" * 5000, "bad.yaml:2: not valid YAML: nested more than 64 deep"),
        ('steps: 1\nname: "\\ud83d"\n', "bad.yaml:2: half of a character in '\\ud83d'; write it whole"),
        ('steps: 1\nname: "\\U7fffffff"\n', "bad.yaml:2: not valid YAML"),
        ("steps: 1\nseed: !odd [1]\n", "bad.yaml:2: the tag '!odd' says nothing here; leave it out"),
        ("seed: 0x_\nsteps: 1\n", "'0x_': must be a whole number"),
    ],
)
def test_broken_yaml_is_explained(write: Write, text: str, expected: str) -> None:
    path = write("bad.yaml", "")
    path.write_text(text)
    assert expected in _problems(path)


def test_every_error_of_broken_yaml_is_one_line(write: Write) -> None:
    path = write("bad.yaml", "")
    for text in ("a: '\x00'", "a: \ufffe", "a: " + "1" * 5000, "{" * 5000, "- " * 5000, "a: b: c", "a: *x"):
        path.write_text(text)
        assert "\n" not in _problems(path), text


def test_bytes_that_are_not_utf_8_have_a_line(write: Write) -> None:
    path = write("bad.yaml", "")
    path.write_bytes(b"steps: 1\nname: '\xed\xa0\xbd'\n")
    assert f"{path}:2: not UTF-8 text (byte 16)" in _problems(path)


def test_halves_of_a_character_are_put_together(write: Write) -> None:
    path = write("whole.yaml", "steps: 1\ninstruments: {ACME: {initial_price: 1}}\n")
    path.write_text(path.read_text() + 'description: "\\ud83d\\ude00"\n')
    assert load(path).description == "\U0001f600"


def test_missing_file_names_the_nearest(write: Write) -> None:
    write("quickstart.yaml", "steps: 1")
    path = write("x.yaml", "").parent / "quikstart.yaml"
    assert "did you mean" in _problems(path)
    assert "quickstart.yaml" in _problems(path)
    assert "this is a folder" in _problems(path.parent)


def test_impossible_correlations_are_refused(base: dict[str, Any]) -> None:
    base["instruments"]["C"] = {"initial_price": 5}
    for instrument in base["instruments"].values():
        instrument["fundamental"] = {"model": "geometric", "volatility": 0.01}
    base["correlation"] = [
        {"between": ["ACME", "BRK.B"], "rho": 0.9},
        {"between": ["BRK.B", "C"], "rho": 0.9},
        {"between": ["ACME", "C"], "rho": -0.9},
    ]
    assert "no processes can be correlated like this" in _problems(base)
    base["correlation"][2]["rho"] = 0.9
    load(base)


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("populations.nose.count=5", "populations.nose: no such key; did you mean 'noise'?"),
        ("populations.noise.cuont=5", "populations.noise.cuont: no such key; did you mean 'count'?"),
        ("instrument.ACME.tick_size=2", "instrument: no such key; did you mean 'instruments'?"),
        ("seed=on", "--set seed=on: seed: 'on': must be a whole number"),
        ("seed.x=1", "seed is a single value"),
        ("seed", "write it as path=value"),
        ("shocks.0.step=1", "shocks is a list of 0; no item '0'"),
        ("seed=[1", "not valid YAML"),
        ("populations.noise.parameters.max_sise=1", "did you mean 'max_size'?"),
    ],
)
def test_setting_a_wrong_path_is_an_error(base: dict[str, Any], setting: str, expected: str) -> None:
    base["shocks"] = []
    assert expected in _problems(base, set=[setting])


def test_what_yaml_could_not_hold_is_refused(base: dict[str, Any]) -> None:
    base["populations"]["noise"]["options"] = {"model": object()}
    assert "populations.noise.options.model: a object cannot stand" in _problems(base)


def test_seats_have_no_use_for_what_makes_agents_act() -> None:
    seats = {"strategy": "outside", "count": 2, "activation": {"rate": 0.5}, "latency": 2}
    with pytest.raises(ConfigError) as caught:
        load({"steps": 1, "instruments": {"X": {"initial_price": 5}}, "populations": {"seats": seats}})
    assert "populations.seats.activation" in str(caught.value)
    assert "seats.latency: 2: seats trade what and when somebody outside wants to" in str(caught.value)
