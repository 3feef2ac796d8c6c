"""Give the schema as JSON Schema, for editors, for the manual, and for finding the nearest known key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from simlab.config.models import ExperimentConfig

__all__ = ["Schema", "at_path", "clean", "descend", "flat", "known_keys", "may_set", "schema"]

Schema = Mapping[str, Any]
"""A JSON Schema."""

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
    made = clean(ExperimentConfig.model_json_schema())
    made["properties"] = {"extends": _EXTENDS} | made["properties"]
    made["$defs"]["MeanStd"] = {
        "anyOf": [
            made["$defs"]["MeanStd"],
            {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
        ]
    }
    return {"$schema": "https://json-schema.org/draft/2020-12/schema"} | made


def clean(node: Any) -> Any:
    """Name bounds as JSON Schema does, and say "any key" with `additionalProperties` only."""
    if isinstance(node, list):
        return [clean(item) for item in node]
    if not isinstance(node, dict):
        return node
    made = {_RENAMED.get(key, key): clean(value) for key, value in node.items() if key != "discriminator"}
    if isinstance(node.get("type", ""), type(None)):
        del made["type"]
    patterns = made.pop("patternProperties", None)
    if isinstance(patterns, dict) and "type" in made:
        pattern, value = next(iter(patterns.items()))
        made["additionalProperties"] = value
        made["propertyNames"] = {"pattern": pattern} | made.get("propertyNames", {})
    return made


def flat(schemas: Sequence[Mapping[str, Any]], root: Schema | None = None) -> Iterator[Mapping[str, Any]]:
    """Yield schemas with references followed, in `root`, and alternatives spread out.

    Here and below `root` is the schema of a whole file, by default that of an experiment.
    """
    for part in schemas:
        if "$ref" in part:
            yield from flat([(root or schema())["$defs"][part["$ref"].rsplit("/", 1)[1]]], root)
            continue
        yield part
        for alternative in ("anyOf", "oneOf", "allOf"):
            yield from flat(part.get(alternative, []), root)


def descend(
    schemas: Sequence[Mapping[str, Any]], key: str | int, root: Schema | None = None
) -> Iterator[Mapping[str, Any]]:
    """Yield what the schema says about the value of a key, or of an item of a list."""
    for part in flat(schemas, root):
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


def at_path(path: Sequence[str | int], root: Schema | None = None) -> list[Mapping[str, Any]]:
    """Return what the schema says about a path: several parts where there are alternatives."""
    parts: list[Mapping[str, Any]] = [root or schema()]
    for key in path:
        parts = list(descend(parts, key, root))
    return parts


def known_keys(path: Sequence[str | int], given: Mapping[str, Any], root: Schema | None = None) -> list[str]:
    """Return the keys that the mapping at a path may have.

    Of several forms that are told apart by a key (`kind` of a shock, `model` of a fundamental) only the
    form that `given`, the mapping there, names is looked at.
    """
    names: dict[str, None] = {}
    for part in flat(at_path(path, root), root):
        properties = part.get("properties", {})
        if all(given.get(name) == it["const"] for name, it in properties.items() if "const" in it):
            names |= dict.fromkeys(properties)
    return list(names)
