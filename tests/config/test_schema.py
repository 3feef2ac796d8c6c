"""The schema describes every key, and the manual is generated from it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from simlab.config import schema
from simlab.config.docs import manual

ROOT = Path(__file__).parent.parent.parent


def _fields(node: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, section in {"": node, **node["$defs"]}.items():
        for key, field in section.get("properties", {}).items():
            yield f"{name}.{key}", field


def test_every_key_is_described() -> None:
    assert [name for name, field in _fields(schema()) if not field.get("description")] == []


def test_numbers_have_units_and_bounds_have_json_schema_names() -> None:
    text = json.dumps(schema())
    assert '"unit": "price units"' in text
    assert '"ge":' not in text
    fields = dict(_fields(schema()))
    latency = fields["PopulationConfig.latency"]["oneOf"][0]
    assert (latency["type"], latency["minimum"], latency["maximum"]) == ("integer", 0, 10**7)
    assert fields[".steps"]["minimum"] == 1


def _whole_numbers(node: Any) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if node.get("type") == "integer":
            yield node
        for part in node.values():
            yield from _whole_numbers(part)
    elif isinstance(node, list):
        for part in node:
            yield from _whole_numbers(part)


def test_every_whole_number_has_an_upper_bound_with_a_reason() -> None:
    for name, field in _fields(schema()):
        for number in _whole_numbers(field):
            assert "maximum" in number, name
            assert number.get("why") or field.get("why"), name


def test_the_manual_is_current() -> None:
    written = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
    assert written == manual(), "run: python -m simlab.config.docs"
