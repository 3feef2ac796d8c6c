"""What fields of requests have in common on every wire: plain texts, and words of which there are few.

A control character in a name can make a log, a terminal or a page show something else than was sent, so
names, tickers and ids have none; texts that people read at length may have line breaks.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

__all__ = ["LINES", "PLAIN", "TICKER", "choices_of", "cleaned", "fault_of", "readable"]

_CONTROL = r"\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
"""Control characters but the line break, and those that turn the direction of writing."""
PLAIN, LINES = rf"^[^\n{_CONTROL}]*\Z", rf"^[^{_CONTROL}]*\Z"
"""Patterns of texts without control characters, and of those that may have line breaks."""
TICKER = r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*\Z"
_SAID = {
    PLAIN: "it has a control character, or a line break; leave it out",
    LINES: "it has a control character other than a line break; leave it out",
    TICKER: "it is not of letters, digits, _, . and -, or begins with one of the last two; choose another",
}
_UNREADABLE = {f"Expected `str` matching regex {pattern!r}": said for pattern, said in _SAID.items()}
_UNWANTED = re.compile(f"[{_CONTROL}]")


def readable(error: str) -> str:
    """Return what msgspec says of a field, with words in the place of these patterns."""
    for unreadable, said in _UNREADABLE.items():
        error = error.replace(unreadable, said)
    return error


def cleaned(text: str) -> str:
    """Return a text with spaces in the place of control characters; line breaks stay.

    Example
    -------
    >>> cleaned("red\\x1b[31m\\ttape")
    'red [31m tape'
    """
    return _UNWANTED.sub(" ", text)


def fault_of(text: str, pattern: str) -> str | None:
    """Return why a text is not what one of these patterns asks for, None if it is."""
    return None if re.match(pattern, text) else _SAID[pattern]


def choices_of(kind: type[msgspec.Struct]) -> dict[str, str]:
    """Return what may stand in fields that take one of few values, by their paths.

    Example
    -------
    >>> from simlab.live.protocol import Add
    >>> choices_of(Add)["order.side"]
    '0, 1, buy, sell'
    """
    return {path: ", ".join(map(str, values)) for path, values in _choices(inspect.type_info(kind), "")}


def _choices(kind: inspect.Type, path: str) -> Iterator[tuple[str, list[Any]]]:
    match kind:
        case inspect.LiteralType(values=values):
            yield path, list(values)
        case inspect.StructType(fields=fields):
            for it in fields:
                yield from _choices(it.type, f"{path}.{it.encode_name}".lstrip("."))
        case inspect.ListType(item_type=item):
            yield from _choices(item, path)
        case inspect.UnionType(types=types):
            number = ["a number"] if any(isinstance(it, inspect.FloatType) for it in types) else []
            for one in types:
                yield from ((where, values + number) for where, values in _choices(one, path))
