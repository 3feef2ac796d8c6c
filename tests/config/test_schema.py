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
    assert fields["PopulationConfig.latency"]["oneOf"][0] == {"type": "integer", "minimum": 0}
    assert fields[".steps"]["minimum"] == 1


def test_the_manual_is_current() -> None:
    written = (ROOT / "docs" / "config.md").read_text(encoding="utf-8")
    assert written == manual(), "run: python -m simlab.config.docs"
