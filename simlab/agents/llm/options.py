"""Read what a YAML file says about a population of language models.

Example
-------
>>> options = Options.of(personality=["value", "momentum"], posts={"read": 3})
>>> options.personality_of(1).split(".")[0], options.posts.read, options.tools
('You follow the trend', 3, ())
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from simlab.core.types import MAX_QUANTITY
from simlab.errors import StrategyError, did_you_mean

__all__ = ["NAMES", "PERSONALITIES", "History", "Notes", "Options", "Posts"]

PERSONALITIES = {
    "neutral": "",
    "value": (
        "You are a value investor. You buy when the price is below what the asset is worth, sell when it is"
        " above, and hold when the two are close."
    ),
    "momentum": "You follow the trend. You buy after the price has risen and sell after it has fallen.",
    "contrarian": (
        "You trade against the crowd: you sell after the price has risen and buy after it has fallen."
    ),
    "market_maker": (
        "You are a market maker. You keep a limit order to buy below the mid price and one to sell above it,"
        " earn the difference, and keep your inventory small. You cancel old orders when the price has moved."
    ),
    "optimistic": "You are an optimist: you expect the price to rise well above where it is, and you buy.",
    "pessimistic": "You are a pessimist: you expect the price to fall well below where it is, and you sell.",
    "conservative": "You are cautious: you trade rarely and little, keep most of your cash, avoid losses.",
    "aggressive": "You take risks: you trade often and large, at the market when you see a chance.",
    "news": "You trade on news. You buy on good news, sell on bad news, and hold when there is none.",
    "noise": "You trade for reasons of your own, small amounts, now buying and now selling.",
}
"""Built-in personalities, by the name that YAML gives them."""

NAMES = (
    "personality",
    "instructions",
    "template",
    "template_path",
    "system_template",
    "system_template_path",
    "signal",
    "history",
    "levels",
    "memory",
    "notes",
    "posts",
    "tools",
    "max_tool_calls",
    "max_orders",
    "max_quantity",
    "llm",
)
"""The options of the strategy `llm`."""

MAX_CALLS = 16
"""Rounds of tool calls in one decision, at most."""


@dataclass(frozen=True)
class History:
    """Which past mid prices an agent is shown: `points` of them, `every` so many steps."""

    points: int = 8
    every: int = 10


@dataclass(frozen=True)
class Notes:
    """Notes that an agent may write to itself: the latest `count`, each of at most `length` characters."""

    count: int = 0
    length: int = 160


@dataclass(frozen=True)
class Posts:
    """What an agent does on the feed: sees the latest `read`, may `write` one, of `length` characters."""

    read: int = 0
    length: int = 160
    write: bool = False


_BOUNDS: dict[tuple[str, str], tuple[int, int]] = {
    ("history", "points"): (0, 64),
    ("history", "every"): (1, 1023),
    ("notes", "count"): (0, 50),
    ("notes", "length"): (1, 1000),
    ("posts", "read"): (0, 50),
    ("posts", "length"): (1, 1000),
    ("", "levels"): (0, 10),
    ("", "memory"): (0, 100),
    ("", "max_tool_calls"): (0, MAX_CALLS),
    ("", "max_orders"): (1, 50),
    ("", "max_quantity"): (1, MAX_QUANTITY),
}


@dataclass(frozen=True)
class Options:
    """The options of a population, checked; see ``docs/llm.md`` for each.

    `llm` holds the settings of the model as `simlab.config` gives them, None where there are none.
    """

    personality: str | tuple[str, ...] = ""
    instructions: str = ""
    template: str | None = None
    template_path: str | None = None
    system_template: str | None = None
    system_template_path: str | None = None
    signal: bool = False
    history: History = History()
    levels: int = 3
    memory: int = 5
    notes: Notes = Notes()
    posts: Posts = Posts()
    tools: tuple[str, ...] = ()
    max_tool_calls: int = 3
    max_orders: int = 5
    max_quantity: int = MAX_QUANTITY
    llm: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, **given: Any) -> Options:
        """Check options and return them; those of a group may be a mapping, or one value for its first.

        Raises
        ------
        StrategyError
        """
        made: dict[str, Any] = dict(given)
        _known(made, NAMES, "option")
        for name in ("instructions", *NAMES[2:6]):
            if made.get(name) is not None and not isinstance(made[name], str):
                raise StrategyError(f"{name} must be a text, not {made[name]!r}")
        for name in ("template", "system_template"):
            if made.get(name) is not None and made.get(f"{name}_path") is not None:
                raise StrategyError(f"{name} and {name}_path are both given; keep one")
        made["personality"] = _personality(made.get("personality", ""))
        made["history"] = _group(History, "history", made.get("history", {}), "points")
        made["notes"] = _group(Notes, "notes", made.get("notes", {}), "count", when_true=5)
        made["posts"] = _posts(made.get("posts", False))
        made["tools"] = _tools(made.get("tools", ()))
        for group, name in _BOUNDS:
            if not group and name in made:
                made[name] = _whole(name, made[name], *_BOUNDS["", name])
        if not isinstance(made.get("signal", False), bool):
            raise StrategyError(f"signal must be true or false, not {made['signal']!r}")
        options = cls(**made)
        if options.history.points * options.history.every > 1024:
            raise StrategyError("history: points times every must be at most 1024 steps")
        return options

    def personality_of(self, index: int) -> str:
        """Return the text of the personality of a population's agent; a list is dealt in turn."""
        given = self.personality
        name = given if isinstance(given, str) else given[index % len(given)]
        return PERSONALITIES.get(name, name)


def _known(given: Mapping[str, Any], names: Iterable[str], what: str) -> None:
    for name in given:
        if name not in names:
            raise StrategyError(f"no such {what}: {name}{did_you_mean(name, names)}")


def _whole(name: str, value: Any, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise StrategyError(f"{name} must be a whole number from {low} to {high}, not {value!r}")
    return value


def _group(kind: Any, group: str, given: Any, first: str, *, when_true: int | None = None) -> Any:
    """Return the options of a group; `first` is the one that a bare number means."""
    if isinstance(given, bool):
        if given and when_true is None:
            raise StrategyError(f"{group} must be a number or a mapping, not {given!r}")
        given = {first: when_true if given else 0}
    elif isinstance(given, int):
        given = {first: given}
    if not isinstance(given, Mapping):
        raise StrategyError(f"{group} must be a number or a mapping, not {given!r}")
    _known(given, [it.name for it in fields(kind)], f"option of {group}")
    made = dict(given)
    for name, value in given.items():
        if (group, name) in _BOUNDS:
            made[name] = _whole(f"{group}.{name}", value, *_BOUNDS[group, name])
        elif not isinstance(value, bool):
            raise StrategyError(f"{group}.{name} must be true or false, not {value!r}")
    return kind(**made)


def _posts(given: Any) -> Posts:
    if given is False:
        return Posts()
    if given is True:
        given = {}
    if isinstance(given, Mapping):
        given = {"read": 5, "write": True} | dict(given)
    return _group(Posts, "posts", given, "read")


def _personality(given: Any) -> str | tuple[str, ...]:
    dealt = given if isinstance(given, list | tuple) else [given]
    if not dealt:
        raise StrategyError("personality is an empty list; name at least one")
    for text in dealt:
        if not isinstance(text, str):
            raise StrategyError(f"personality must be a name, a text or a list of them, not {text!r}")
        if text and text not in PERSONALITIES and len(text.split()) == 1:
            hint = did_you_mean(text, PERSONALITIES)
            raise StrategyError(f"no such personality: {text}{hint} (a text has several words)")
    return given if isinstance(given, str) else tuple(given)


def _tools(given: Any) -> tuple[str, ...]:
    from simlab.agents.llm.tools import TOOLS

    if given is True:
        return tuple(TOOLS)
    if given is False:
        return ()
    if not isinstance(given, list | tuple) or not all(isinstance(it, str) for it in given):
        raise StrategyError(f"tools must be a list of {', '.join(TOOLS)}, or true for all; not {given!r}")
    _known(dict.fromkeys(given), TOOLS, "tool")
    return tuple(dict.fromkeys(given))
