"""Give the schema as JSON Schema, for editors, for the manual, and for finding the nearest known key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from simlab.config.models import ExperimentConfig

__all__ = ["at_path", "descend", "flat", "known_keys", "may_set", "schema"]

_RENAMED = {"ge": "minimum", "le": "maximum", "gt": "exclusiveMinimum"}
_EXTENDS = {
    "type": "string",
    "title": "Extends",
    "description": "Another YAML file, relative to this one, that this one is merged onto; this one wins",
}


@cache
def schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a configuration file; do not change it.

    Units stand under the key `unit`.

    Example
    -------
    >>> schema()["properties"]["steps"]["unit"]
    'steps'
    """
    made = _clean(ExperimentConfig.model_json_schema())
    made["properties"] = {"extends": _EXTENDS} | made["properties"]
    made["$defs"]["MeanStd"] = {
        "anyOf": [
            made["$defs"]["MeanStd"],
            {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
        ]
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | made


def _clean(node: Any) -> Any:
    """Name bounds as JSON Schema does, and say "any key" with `additionalProperties` only."""
    if isinstance(node, list):
        return [_clean(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {_RENAMED.get(key, key): _clean(value) for key, value in node.items() if key != "discriminator"}
    if isinstance(node.get("type", ""), type(None)):
        del made["type"]
    patterns = made.pop("patternProperties", None)
    if isinstance(patterns, dict) and "type" in made:
        pattern, value = next(iter(patterns.items()))
        made["additionalProperties"] = value
        made["propertyNames"] = {"pattern": pattern} | made.get("propertyNames", {})
    return made


def flat(schemas: Sequence[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield schemas with references followed and alternatives spread out."""
    for part in schemas:
        if "$ref" in part:
            yield from flat([schema()["$defs"][part["$ref"].rsplit("/", 1)[1]]])
            continue
        yield part
        for alternative in ("anyOf", "oneOf", "allOf"):
            yield from flat(part.get(alternative, []))


def descend(schemas: Sequence[Mapping[str, Any]], key: str | int) -> Iterator[Mapping[str, Any]]:
    """Yield what the schema says about the value of a key, or of an item of a list."""
    for part in flat(schemas):
        extra = part.get("additionalProperties")
        if isinstance(key, int):
            yield from [part["items"]] if isinstance(part.get("items"), Mapping) else []
            yield from part.get("prefixItems", [])[key : key + 1]
        elif key in part.get("properties", {}):
            yield part["properties"][key]
        elif extra:
            yield {"additionalProperties": True} if extra is True else extra


def may_set(schemas: Sequence[Mapping[str, Any]], key: str) -> bool:
    """Say whether an absent key may be set: a key of the schema, or any key where keys are free.

    Populations and instruments cannot be made from nothing by setting one value in them.
    """
    for part in flat(schemas):
        extra = part.get("additionalProperties")
        if key in part.get("properties", {}) or extra is True or (extra and "$ref" not in extra):
            return True
    return False


def at_path(path: Sequence[str | int]) -> list[Mapping[str, Any]]:
    """Return what the schema says about a path: several parts where there are alternatives."""
    parts: list[Mapping[str, Any]] = [schema()]
    for key in path:
        parts = list(descend(parts, key))
    return parts


def known_keys(path: Sequence[str | int], given: Mapping[str, Any]) -> list[str]:
    """Return the keys that the mapping at a path may have.

    Of several forms that are told apart by a key (`kind` of a shock, `model` of a fundamental) only the
    form that `given`, the mapping there, names is looked at.
    """
    names: dict[str, None] = {}
    for part in flat(at_path(path)):
        properties = part.get("properties", {})
        if all(given.get(name) == it["const"] for name, it in properties.items() if "const" in it):
            names |= dict.fromkeys(properties)
    return list(names)
