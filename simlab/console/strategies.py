"""Describe strategies as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from simlab.agents.strategy import Parameter, Strategy

__all__ = ["strategy_as_dict", "strategy_details", "strategy_table"]


def strategy_table(strategies: Sequence[Strategy]) -> Table:
    """Return one line a strategy: name, level, summary."""
    table = Table(
        Column("strategy", no_wrap=True), "level", "what it does", title="Strategies", title_justify="left"
    )
    for strategy in strategies:
        table.add_row(strategy.name, strategy.level.value, Text(strategy.summary))
    return table


def strategy_details(strategy: Strategy) -> Group:
    """Return a strategy's summary, source and parameters with units, defaults and ranges."""
    lines = [f"{strategy.name} ({strategy.level.value})", strategy.summary]
    lines += [f"Source: {strategy.source}"] if strategy.source else []
    lines += [f"Options: {', '.join(strategy.options)}"] if strategy.options else []
    lines += [f"Defined in: {strategy.defined_in}"]
    if not strategy.parameters:
        return Group(Text("\n".join([*lines, "It takes no parameters."])))
    table = Table(Column("parameter", no_wrap=True), "default", "range", "unit", "meaning")
    for parameter in strategy.parameters:
        default = "required" if parameter.required else _number(parameter.default)
        table.add_row(parameter.name, default, _range(parameter), parameter.unit, Text(parameter.description))
    return Group(Text("\n".join(lines)), table)


def strategy_as_dict(strategy: Strategy) -> dict[str, Any]:
    """Return a strategy as plain data; an infinite bound is None."""
    finite = {float("inf"): None, float("-inf"): None}
    return {
        "name": strategy.name,
        "level": strategy.level.value,
        "summary": strategy.summary,
        "source": strategy.source,
        "defined_in": strategy.defined_in,
        "options": list(strategy.options),
        "parameters": [
            vars(it) | {"low": finite.get(it.low, it.low), "high": finite.get(it.high, it.high)}
            for it in strategy.parameters
        ],
    }


def _range(parameter: Parameter) -> str:
    low = "" if parameter.low == float("-inf") else f"from {_number(parameter.low)} "
    high = "" if parameter.high == float("inf") else f"to {_number(parameter.high)} "
    kind = "whole" if parameter.integer else ""
    return f"{low}{high}{kind}".strip() or "any"


def _number(value: float) -> str:
    return f"{int(value):,}" if value == int(value) else f"{value:g}"
