"""Show rows of measurements as a table for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Column, Table

__all__ = ["books_table", "lines_table", "rows_table"]


def rows_table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return measurements as a table: one line a key, one column a measurement."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    for _ in rows:
        table.add_column(justify="right", no_wrap=True)
    for key in dict.fromkeys(key for row in rows for key in row):
        table.add_row(key, *(_cell(row.get(key)) for row in rows))
    return table


def lines_table(title: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return rows with the same keys as a table: one line a row, named by its first value."""
    first, *others = rows[0]
    columns = [Column(first, no_wrap=True), *(Column(name, justify="right") for name in others)]
    table = Table(*columns, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in (first, *others)))
    return table


def books_table(rows: Sequence[Mapping[str, Any]]) -> Group:
    """Return a table a stream: one line a book, for all did the same on it; what they did is the title."""
    tables = []
    for stream in dict.fromkeys(row.get("stream", "given") for row in rows):
        books = [row for row in rows if row.get("stream", "given") == stream]
        did = books[0]
        table = Table(
            Column("book", no_wrap=True),
            Column("entry", no_wrap=True),
            *(Column(name, justify="right") for name in ("messages/s", "relative", "peak memory (MiB)")),
            title=f"The {stream} stream: {did['messages']:,} messages, {did['trades']:,} trades, "
            f"{did['volume']:,} lots",
            title_justify="left",
        )
        for row in books:
            figures = (row[key] for key in ("messages_per_s", "relative_speed", "peak_rss_mb"))
            table.add_row(row["engine"], row["entry"], *map(_cell, figures))
        tables.append(table)
    return Group(*tables)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool | str):
        return str(value)
    return (
        f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"
    )
