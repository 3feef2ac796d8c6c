"""Describe strategies as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from simlab.agents.registry import source_file
from simlab.agents.strategy import Parameter, Strategy

__all__ = ["strategy_as_dict", "strategy_details", "strategy_table"]


def strategy_table(strategies: Mapping[str, Strategy]) -> Table:
    """Return one line a strategy: what a YAML file calls it, level, summary."""
    table = Table(
        Column("strategy", no_wrap=True), "level", "what it does", title="Strategies", title_justify="left"
    )
    for name, strategy in strategies.items():
        table.add_row(name, strategy.level.value, Text(strategy.summary))
    return table


def strategy_details(strategy: Strategy) -> Group:
    """Return a strategy's summary, source and file; parameters with units and ranges; options with types."""
    lines = [f"{strategy.name} ({strategy.level.value})", strategy.summary]
    lines += [f"Preset of: {strategy.base.name}"] if strategy.base is not None else []
    lines += [f"Source: {strategy.source}"] if strategy.source else []
    lines += [f"Defined in: {strategy.defined_in}"]
    file = source_file(strategy)
    lines += [f"File: {file}"] if file is not None and str(file) != strategy.defined_in else []
    lines += [] if strategy.parameters else ["It takes no parameters."]
    parts: list[Any] = [Text("\n".join(lines))]
    if strategy.parameters:
        table = Table(Column("parameter", no_wrap=True), "default", "range", "unit", "meaning")
        for it in strategy.parameters:
            default = "required" if it.required else _number(it.default)
            table.add_row(it.name, default, _range(it), it.unit, Text(it.description))
        parts.append(table)
    if strategy.option_types:
        table = Table(Column("option", no_wrap=True), "default", "type", "meaning")
        for option in strategy.option_types:
            default = "required" if option.required else repr(option.written_default)
            table.add_row(option.name, Text(default), Text(option.kind), Text(option.description))
        parts.append(table)
    return Group(*parts)


def strategy_as_dict(strategy: Strategy) -> dict[str, Any]:
    """Return a strategy as plain data; an infinite bound is None."""
    finite = {float("inf"): None, float("-inf"): None}
    return {
        "name": strategy.name,
        "level": strategy.level.value,
        "summary": strategy.summary,
        "source": strategy.source,
        "preset_of": strategy.base.name if strategy.base is not None else None,
        "defined_in": strategy.defined_in,
        "file": source_file(strategy),
        "options": [
            {"name": it.name, "type": it.kind, "default": it.written_default}
            | {"description": it.description, "required": it.required}
            for it in strategy.option_types
        ],
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
