"""Prompts come from templates that are tried before a run, and say the same for the same view."""

from __future__ import annotations

from pathlib import Path

import pytest

from simlab.agents.llm.options import PERSONALITIES, Options
from simlab.agents.llm.prompts import Prompts
from simlab.agents.llm.view import SAMPLE
from simlab.errors import StrategyError


def user(**options: object) -> str:
    return Prompts.of(Options.of(**options)).messages(SAMPLE)[1]["content"]


def test_the_prompts_are_short_and_say_what_is_seen() -> None:
    system, prompt = (it["content"] for it in Prompts.of(Options()).messages(SAMPLE))
    assert len(system) + len(prompt) < 1600
    for text in (
        "best bid 99 (1 lots)",
        "buy 1 at 99 (id 1)",
        "nothing filled, resting",
        "900 to spend",
    ):
        assert text in prompt
    for text in (SAMPLE["personality"], "up to 5 orders", '"note"', '"post"', '"cancel"'):
        assert text in system
    assert "\n\n\n" not in prompt + system


def test_an_empty_market_and_a_mute_agent_have_a_prompt() -> None:
    market = SAMPLE["market"] | {
        "best_bid": None,
        "best_ask": None,
        "bids": [],
        "asks": [],
        "orders": [],
        "average_cost": None,
        "signal": None,
        "halted": True,
        "affordable": None,
        "tick_size": 5,
        "lot_size": 10,
        "multiplier": 3,
    }
    bare = SAMPLE | {name: [] for name in ("news", "decisions", "notes", "posts", "tools")}
    prompt = Prompts.of(Options()).messages(bare | {"markets": [market, market]})[1]["content"]
    for text in (
        "trading is halted",
        "best bid none",
        "multiples of 5",
        "multiples of 10",
        "3 times its price",
    ):
        assert prompt.count(text) == 2
    assert "open orders: none" in prompt
    assert "news" not in prompt.lower()


def test_parameters_of_any_name_can_be_used() -> None:
    assert user(template="{{ parameters.risk_aversion }}") == "1.0"


def test_a_file_is_a_template(tmp_path: Path) -> None:
    file = tmp_path / "mine.j2"
    file.write_text("Cash: {{ cash }}", encoding="utf-8")
    assert user(template_path=str(file)) == "Cash: 1000"
    before = Prompts.of(Options.of(template_path=str(file))).provenance()
    file.write_text("Money: {{ cash }}", encoding="utf-8")
    after = Prompts.of(Options.of(template_path=str(file))).provenance()
    assert before["template"] != after["template"]
    assert before["system_template"] == after["system_template"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"template": "{{ cach }}"}, r"template \(in YAML\): 'cach' is undefined; did you mean 'cash'"),
        (
            {"template": "a\n{{ market.best_bit }}"},
            "line 2: 'best_bit' is undefined; did you mean 'best_bid'",
        ),
        ({"system_template": "{{ name"}, r"system_template \(in YAML\), line 1: "),
        ({"template": "{% for it in markets %}"}, "line 1: Unexpected end of template"),
        ({"template": "{{ cash / 0 }}"}, "line 1: division by zero"),
        ({"template": "{{ name.__class__.__mro__ }}"}, "line 1: '__class__' is undefined$"),
        ({"template": "{{ notes.append('x') }}"}, "line 1: .*unsafe|line 1: .*append"),
        (
            {"template": "{% for i in range(99999) %}{{ instructions * 9999 }}{% endfor %}"},
            "the prompt has more than 200,000 characters",
        ),
        ({"template_path": "/nowhere/mine.j2"}, "template_path: /nowhere/mine.j2 cannot be read"),
        ({"template": "x", "template_path": "y"}, "template and template_path are both given; keep one"),
        ({"template": 5}, "template must be a text, not 5"),
        ({"personality": "momentun"}, "no such personality: momentun; did you mean 'momentum'"),
        ({"personality": []}, "personality is an empty list"),
        ({"personality": ["value", 3]}, "personality must be a name, a text or a list"),
        ({"memory": -1}, "memory must be a whole number from 0 to 100, not -1"),
        ({"notes": {"cuont": 3}}, "no such option of notes: cuont; did you mean 'count'"),
        ({"posts": {"read": "all"}}, "posts.read must be a whole number from 0 to 50, not 'all'"),
        ({"posts": {"write": 1}}, "posts.write must be true or false"),
        ({"posts": "yes"}, "posts must be a number or a mapping"),
        ({"tools": ["price"]}, "no such tool: price; did you mean 'prices'"),
        ({"tools": "prices"}, "tools must be a list of prices, own_trades"),
        ({"max_orders": 0}, "max_orders must be a whole number from 1 to 50"),
        ({"history": {"points": 64, "every": 100}}, "at most 1024 steps"),
        ({"signal": "yes"}, "signal must be true or false"),
        ({"persona": "value"}, "no such option: persona; did you mean 'personality'"),
    ],
)
def test_what_is_wrong_with_options_is_told_before_a_run(options: dict, message: str) -> None:
    with pytest.raises(StrategyError, match=message):
        Prompts.of(Options.of(**options)).check()


def test_personalities_are_dealt_in_turn() -> None:
    options = Options.of(personality=["value", "I sell what others want."])
    assert [options.personality_of(i) for i in range(3)] == [
        PERSONALITIES["value"],
        "I sell what others want.",
        PERSONALITIES["value"],
    ]


@pytest.mark.parametrize(
    ("given", "read", "write"),
    [(False, 0, False), (True, 5, True), ({"write": False}, 5, False), (3, 3, False)],
)
def test_the_feed_can_be_read_without_writing(given: object, read: int, write: bool) -> None:
    posts = Options.of(posts=given).posts
    assert (posts.read, posts.write) == (read, write)


def test_a_group_of_options_may_be_one_number() -> None:
    assert Options.of(notes=3).notes.count == 3
    assert Options.of(notes=True).notes.count == 5
    assert Options.of(history=4).history.points == 4
