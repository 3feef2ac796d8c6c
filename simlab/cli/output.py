"""Print results and errors."""

from __future__ import annotations

import json
import math
from typing import Any

import typer

__all__ = ["print_error", "print_json", "show"]


def show(renderable: Any, rows: list[dict[str, Any]], as_json: bool) -> None:
    """Print a table, or one JSON object a line."""
    if as_json:
        for row in rows:
            print_json(row)
        return
    from rich.console import Console

    Console().print(renderable)


def print_json(data: Any) -> None:
    """Print plain data as one line of JSON."""
    typer.echo(json.dumps(_finite(data), default=_plain, allow_nan=False))


def _finite(data: Any) -> Any:
    """Put null where a number is not one, which JSON does not have."""
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def _plain(value: Any) -> Any:
    """Turn NumPy scalars and paths into what JSON has."""
    return value.item() if hasattr(value, "item") else str(value)


def print_error(label: str, text: str) -> None:
    """Print a labelled line to stderr."""
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True, soft_wrap=True).print(Text(f"{label}: ", style="bold red") + Text(text))
