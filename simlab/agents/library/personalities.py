"""Have characters by name: strategies of the library with parameters that make a trader of a kind.

Each is one of the other strategies with defaults of its own; a population may set any of its parameters, as
it may those of the strategy itself. The names are those of the system of language models that simlab grew
out of, where a character was a line in a prompt.
"""

from __future__ import annotations

from simlab.agents.library.market_maker import market_maker
from simlab.agents.library.news_trader import news_trader
from simlab.agents.library.noise import noise
from simlab.agents.library.trend import mean_reversion, momentum
from simlab.agents.library.value import value
from simlab.agents.presets import preset
from simlab.agents.strategy import Strategy

__all__ = ["PERSONALITIES"]

_PREFIX = "personality/"


_CHARACTERS: dict[str, tuple[Strategy, str, dict[str, float]]] = {
    "conservative": (
        value,
        "Trades little, seldom, and on a large mispricing only, by waiting in the book.",
        {"threshold": 20, "aggressive_threshold": 1e6, "size": 2, "inventory_limit": 20},
    ),
    "aggressive": (
        value,
        "Takes large sizes at once on a small mispricing.",
        {"threshold": 1, "aggressive_threshold": 1, "size": 25, "inventory_limit": 500},
    ),
    "momentum": (momentum, "Follows the trend of the last minute.", {}),
    "contrarian": (mean_reversion, "Bets against the trend of the last minute.", {}),
    "value": (value, "Buys below and sells above what it thinks the value is.", {}),
    "market_maker": (market_maker, "Quotes both sides for the spread.", {}),
    "news_trader": (news_trader, "Trades with the news.", {}),
    "noise": (noise, "Trades for no reason that the market can see.", {}),
    "neutral": (
        noise,
        "Rests small orders around the mid price and never takes.",
        {"limit_share": 0.6, "market_share": 0.0, "cancel_share": 0.4, "max_size": 2},
    ),
}
PERSONALITIES = tuple(
    preset(strategy, _PREFIX + name, summary, **defaults)
    for name, (strategy, summary, defaults) in _CHARACTERS.items()
)
"""The characters, as ``personality/NAME``."""
