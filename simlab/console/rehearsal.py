"""Show what a run would ask of language models: the first prompts, and what it would cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

__all__ = ["first_prompts", "rehearsal_table"]


def rehearsal_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return a table of what each population asks.

    Parameters
    ----------
    rows : sequence of mapping
        As `simlab.runner.rehearsal.Rehearsed.as_dict` gives them.
    """
    numbers = ("decisions", "prompt tokens", "answer tokens", "expected cost", "at most")
    table = Table(
        Column("population", no_wrap=True),
        Column("model"),
        *(Column(name, justify="right") for name in numbers),
        title="What will be asked (tokens and cost are estimates; a retry or a tool asks once more)",
        title_justify="left",
    )
    for row in rows:
        cells = [f"{row[name]:,}" for name in ("decisions", "prompt_tokens", "answer_tokens")]
        table.add_row(row["population"], row["model"], *cells, _money(row["cost"]), _money(row["most_cost"]))
    return table


def first_prompts(rows: Sequence[Mapping[str, Any]]) -> Group:
    """Return the messages that each population's first agent would be sent."""
    parts: list[Text] = []
    for row in rows:
        for message in row["prompt"]:
            parts.append(Text(f"{row['population']}, {message['role']}:", style="bold"))
            parts.append(Text(message["content"] + "\n"))
    return Group(*parts)


def _money(value: float | None) -> str:
    return "no price" if value is None else f"{value:,.4f}"
