"""Put together what an agent is shown: plain data, which templates read.

``docs/llm.md`` lists the names; `SAMPLE` has them all, so that a template can be tried before there is a
market.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simlab.agents.llm import feed
from simlab.agents.llm.memory import Memory, worth
from simlab.agents.llm.options import Options
from simlab.agents.llm.tools import Desk
from simlab.core.types import MAX_QUANTITY

__all__ = ["NAMES", "SAMPLE", "markets_of", "view_of"]

_MOST_NEWS = 5
_NO_LIMIT = 2**62
_NO_PRICE_LIMIT = 2**31 - 1
"""The highest price of an instrument whose file names no band."""


class _Anything(dict[str, float]):
    """Parameters of any name: what an agent has is drawn when the market is built."""

    def __missing__(self, name: str) -> float:
        return 1.0


def markets_of(observation: Any, options: Options) -> list[dict[str, Any]]:
    """Return what all agents of an observation see of each instrument."""
    made = []
    for place, name in enumerate(observation.instruments):
        bids, asks = observation.depth(place, options.levels)
        bid_depth, ask_depth = int(observation.bid_depth[place]), int(observation.ask_depth[place])
        steps = options.history.points * options.history.every
        mids = observation.mids(steps, place).tolist() if steps else []
        made.append(
            {
                "name": name,
                "tick_size": int(observation.tick_size[place]),
                "lot_size": int(observation.lot_size[place]),
                "multiplier": int(observation.multiplier[place]),
                "price_low": int(observation.price_low[place]),
                "price_high": _limited(int(observation.price_high[place]), _NO_PRICE_LIMIT),
                "halted": bool(observation.halted[place]),
                "best_bid": int(observation.best_bid[place]) if bid_depth else None,
                "best_ask": int(observation.best_ask[place]) if ask_depth else None,
                "bid_depth": bid_depth,
                "ask_depth": ask_depth,
                "bids": [{"price": price, "quantity": lots} for price, lots in bids],
                "asks": [{"price": price, "quantity": lots} for price, lots in asks],
                "mid": float(observation.mid[place]),
                "last_price": int(observation.last_price[place]),
                "volume": int(observation.volume[place]),
                "mids": mids[::-1][:: options.history.every][::-1],
            }
        )
    return made


def view_of(desk: Desk, options: Options, markets: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what one agent sees, by the names of `NAMES`.

    Parameters
    ----------
    desk : Desk
        With a memory that has looked at the observation.
    options : Options
    markets : list
        What `markets_of` gave.
    """
    observation, i, memory = desk.observation, desk.i, desk.memory
    own = [market | _own(observation, i, place, options, memory) for place, market in enumerate(markets)]
    names, values = observation.parameter_names, observation.parameters[i].tolist()
    return {
        "name": desk.name,
        "step": int(observation.step),
        "personality": options.personality_of(int(observation.index[i])),
        "instructions": options.instructions,
        "parameters": dict(zip(names, values, strict=True)),
        "markets": own,
        "market": own[0],
        "cash": int(observation.cash[i]),
        "available": _limited(int(observation.available[i]), _NO_LIMIT),
        "profit": worth(observation, i) - float(memory.worth or 0.0),
        "news": [_news(it, observation) for it in list(observation.news)[-_MOST_NEWS:]],
        "decisions": [
            {
                "step": entry.step,
                "orders": [{"text": it.text, "outcome": it.outcome} for it in entry.deeds],
                "reason": entry.reason,
                "fallback": entry.fallback,
            }
            for entry in memory.entries
        ],
        "notes": list(memory.notes),
        "posts": feed.latest(observation.shared, options.posts.read),
        "tools": list(options.tools),
        "max_orders": options.max_orders,
        "max_quantity": _limited(options.max_quantity, MAX_QUANTITY),
        "writes_notes": options.notes.count > 0,
        "writes_posts": options.posts.write,
    }


def _own(observation: Any, i: int, place: int, options: Options, memory: Memory) -> dict[str, Any]:
    position = memory.positions.get(place)
    return {
        "inventory": int(observation.inventory[i, place]),
        "affordable": _affordable(observation, i, place),
        "average_cost": position.average if position is not None and position.lots else None,
        "signal": float(observation.signal[i, place]) if options.signal else None,
        "orders": [
            {"id": it.order_id, "side": it.side.name.lower(), "price": it.price, "quantity": it.quantity}
            for it in observation.resting(i, place)
        ],
    }


def _affordable(observation: Any, i: int, place: int) -> int | None:
    """Return how many lots an agent can pay for at the best ask, before fees; None without a limit."""
    available, price = int(observation.available[i]), int(observation.best_ask[place])
    if available >= _NO_LIMIT or not observation.ask_depth[place] or price <= 0:
        return None
    return max(0, available) // (price * int(observation.multiplier[place]))


def _limited(value: int, none: int) -> int | None:
    """Return what is a limit, not below 0, or None for what stands for no limit."""
    return None if value >= none else max(0, value)


def _news(item: Any, observation: Any) -> dict[str, Any]:
    return {"step": int(item.step), "headline": item.headline, "content": item.content}


_LEVEL = {"price": 100, "quantity": 1}
_MARKET: Mapping[str, Any] = {
    "name": "ACME",
    "tick_size": 1,
    "lot_size": 1,
    "multiplier": 1,
    "price_low": 1,
    "price_high": 200,
    "halted": False,
    "best_bid": 99,
    "best_ask": 101,
    "bid_depth": 1,
    "ask_depth": 1,
    "bids": [_LEVEL],
    "asks": [_LEVEL],
    "mid": 100.0,
    "last_price": 100,
    "volume": 1,
    "mids": [100.0],
    "inventory": 1,
    "average_cost": 100.0,
    "affordable": 9,
    "signal": 100.0,
    "orders": [{"id": 1, "side": "buy", "price": 99, "quantity": 1}],
}

SAMPLE: Mapping[str, Any] = {
    "name": "llm/0",
    "step": 1,
    "personality": "You are patient.",
    "instructions": "Trade little.",
    "parameters": _Anything(),
    "markets": [dict(_MARKET)],
    "market": dict(_MARKET),
    "cash": 1000,
    "available": 900,
    "profit": 0.0,
    "news": [{"step": 1, "headline": "News", "content": ""}],
    "decisions": [
        {
            "step": 0,
            "orders": [{"text": "buy 1 ACME at 99", "outcome": "nothing filled, resting"}],
            "reason": "cheap",
            "fallback": "",
        }
    ],
    "notes": ["patience"],
    "posts": [{"step": 0, "name": "llm/1", "text": "too dear"}],
    "tools": ["prices"],
    "max_orders": 5,
    "max_quantity": 10,
    "writes_notes": True,
    "writes_posts": True,
}
"""A view as templates see it."""

NAMES = tuple(SAMPLE)
