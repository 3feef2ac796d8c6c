"""Show rows of measurements as a table for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

__all__ = ["rows_table"]


def rows_table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return measurements as a table: one line a key, one column a measurement."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    for _ in rows:
        table.add_column(justify="right", no_wrap=True)
    for key in dict.fromkeys(key for row in rows for key in row):
        table.add_row(key, *(_cell(row.get(key)) for row in rows))
    return table


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool | str):
        return str(value)
    return (
        f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    )
