"""Answer what a model asks before it decides: read-only tools, described as OpenAI's interface wants it.

Each takes an agent's seat (what it may see) and the arguments of the call, and returns a short text. A wrong
argument is told to the model, in the same way.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.agents.llm.calculator import MAX_EXPRESSION, CalculatorError, calculate
from simlab.agents.llm.memory import MAX_TRADES, Memory, side_of
from simlab.errors import did_you_mean

__all__ = ["TOOLS", "Desk", "call_tool", "described"]

_MOST_STEPS = 1024
_MOST_POINTS = 50
_MOST_ARGUMENTS = 4_000


@dataclass(frozen=True)
class Desk:
    """What an agent has before it: an observation, its place and name in it, and its memory."""

    observation: Any
    i: int
    name: str
    memory: Memory


class _ToolError(Exception):
    """Tell a model what is wrong with its call."""


def described(names: Sequence[str], instruments: Sequence[str]) -> list[dict[str, Any]]:
    """Return the tools of these names as a chat completion request describes them.

    Example
    -------
    >>> described(["calculator"], ["ACME"])[0]["function"]["name"]
    'calculator'
    """
    made = []
    for name in names:
        text, _, properties = TOOLS[name]
        filled = {
            key: it | ({"enum": list(instruments)} if key == "instrument" else {})
            for key, it in properties.items()
        }
        parameters = {
            "type": "object",
            "properties": filled,
            "required": list(filled),
            "additionalProperties": False,
        }
        made.append(
            {"type": "function", "function": {"name": name, "description": text, "parameters": parameters}}
        )
    return made


def call_tool(name: str, arguments: Any, allowed: Sequence[str], desk: Desk) -> str:
    """Return what a tool answers; `arguments` is a mapping, or JSON of one."""
    try:
        if name not in allowed:
            raise _ToolError(f"there is no tool {name[:40]!r}{did_you_mean(name, allowed)}")
        _, tool, properties = TOOLS[name]
        return tool(desk, _checked(arguments, properties))
    except (_ToolError, CalculatorError) as error:
        return f"error: {error}"


def _checked(arguments: Any, properties: dict[str, Any]) -> dict[str, Any]:
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments[:_MOST_ARGUMENTS] or "{}")
        except (ValueError, RecursionError):
            raise _ToolError("the arguments are no valid JSON") from None
    if not isinstance(arguments, dict):
        raise _ToolError("the arguments must be an object")
    for name in arguments:
        if name not in properties:
            raise _ToolError(f"no such argument: {name[:40]!r}{did_you_mean(name, properties)}")
    for name, it in properties.items():
        value = arguments.get(name)
        if it["type"] == "string" and not isinstance(value, str):
            raise _ToolError(f"{name} must be a text")
        if it["type"] == "integer":
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not whole or not it["minimum"] <= value <= it["maximum"]:
                raise _ToolError(f"{name} must be a whole number from {it['minimum']} to {it['maximum']}")
        if "enum" in it and value not in it["enum"]:
            raise _ToolError(f"{name}: {str(value)[:40]!r} is none{did_you_mean(value, it['enum'])}")
    return arguments


def _mids(desk: Desk, name: str, steps: int) -> NDArray[np.float64]:
    instruments = desk.observation.instruments
    if name not in instruments:
        raise _ToolError(f"no such instrument: {name[:40]!r}{did_you_mean(name, instruments)}")
    return np.asarray(desk.observation.mids(steps, instruments.index(name)), np.float64)


def _prices(desk: Desk, given: dict[str, Any]) -> str:
    mids = _mids(desk, given["instrument"], given["steps"])
    every = max(1, math.ceil(len(mids) / _MOST_POINTS))
    shown = mids[::-1][::every][::-1]
    return f"mid prices, oldest first, every {every} steps: " + ", ".join(f"{it:.1f}" for it in shown)


def _own_trades(desk: Desk, given: dict[str, Any]) -> str:
    latest = list(desk.memory.trades)[-given["count"] :]
    told = [
        f"step {fill.step}: {side_of(fill.quantity)} {abs(fill.quantity)} {name} at {fill.price}"
        for name, fill in latest
    ]
    return "; ".join(told) or "none yet"


def _own_orders(desk: Desk, given: dict[str, Any]) -> str:
    seen = desk.observation
    told = [
        f"{it.order_id}: {it.side.name.lower()} {it.quantity} {name} at {it.price}"
        for place, name in enumerate(seen.instruments)
        for it in seen.resting(desk.i, place)
    ]
    return "; ".join(told) or "none"


def _indicator(desk: Desk, given: dict[str, Any]) -> str:
    steps = given["steps"]
    mids = _mids(desk, given["instrument"], steps + 1)
    if len(mids) < 3:
        raise _ToolError("there are too few prices yet")
    value = _INDICATORS[given["indicator"]](mids)
    return f"{given['indicator']} over {len(mids) - 1} steps: {value:.6g}"


def _calculator(desk: Desk, given: dict[str, Any]) -> str:
    return f"{calculate(given['expression']):.10g}"


def _relative_strength(mids: NDArray[np.float64]) -> float:
    """Return Wilder's relative strength index over the window, with plain averages (0 to 100)."""
    changes = np.diff(mids)
    up, down = float(np.maximum(changes, 0).sum()), float(np.maximum(-changes, 0).sum())
    return 100.0 * up / (up + down) if up + down else 50.0


def _exponential(mids: NDArray[np.float64]) -> float:
    """Return the exponential moving average with the weight 2 / (n + 1) for the latest of n prices."""
    weights = (1.0 - 2.0 / (len(mids) + 1)) ** np.arange(len(mids) - 1, -1, -1)
    return float(weights @ mids / weights.sum())


_INDICATORS: dict[str, Callable[[NDArray[np.float64]], float]] = {
    "moving_average": lambda mids: float(mids[1:].mean()),
    "exponential_average": lambda mids: _exponential(mids[1:]),
    "rsi": _relative_strength,
    "volatility": lambda mids: float(np.std(np.diff(mids) / mids[:-1])),
    "return": lambda mids: float(mids[-1] / mids[0] - 1.0),
    "highest": lambda mids: float(mids.max()),
    "lowest": lambda mids: float(mids.min()),
}
_INSTRUMENT = {"type": "string", "description": "The instrument's name."}
_STEPS = {"type": "integer", "minimum": 2, "maximum": _MOST_STEPS - 1, "description": "Window in steps."}

TOOLS: dict[str, tuple[str, Callable[[Desk, dict[str, Any]], str], dict[str, Any]]] = {
    "prices": (
        "Mid prices of the last steps.",
        _prices,
        {"instrument": _INSTRUMENT, "steps": _STEPS},
    ),
    "own_trades": (
        "Your latest trades.",
        _own_trades,
        {"count": {"type": "integer", "minimum": 1, "maximum": MAX_TRADES, "description": "How many."}},
    ),
    "own_orders": ("Your open orders.", _own_orders, {}),
    "indicator": (
        "An indicator of the mid price: rsi is Wilder's (0 to 100), volatility the standard deviation of the"
        " relative change a step.",
        _indicator,
        {
            "indicator": {"type": "string", "enum": list(_INDICATORS), "description": "Which."},
            "instrument": _INSTRUMENT,
            "steps": _STEPS,
        },
    ),
    "calculator": (
        "The value of an arithmetic expression.",
        _calculator,
        {
            "expression": {
                "type": "string",
                "maxLength": MAX_EXPRESSION,
                "description": "For example 2 * (3 + 4).",
            }
        },
    ),
}
"""By name: what a tool does in a sentence, the function, and the JSON schema of its arguments."""
