"""Say what is wrong with a configuration: every problem at once, each with its place, rule and remedy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from simlab.config.schema import Schema, at_path, flat, known_keys
from simlab.config.source import KeyPath, Source
from simlab.errors import ConfigError, did_you_mean, nearest_name

__all__ = ["Problem", "config_error", "from_validation", "of_value", "validated"]

_LONGEST_VALUE = 60
_Model = TypeVar("_Model", bound=BaseModel)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong at one path."""

    path: KeyPath
    rule: str

    def text(self, source: Source) -> str:
        """Write ``file:line: path: value: rule``."""
        mark = source.mark(self.path)
        where = f"{mark}: " if mark is not None else ""
        return f"{where}{'.'.join(map(str, self.path))}: {_shown(source.data, self.path)}{self.rule}"


def config_error(problems: Iterable[Problem], source: Source) -> ConfigError:
    """Return one error that lists all problems in the order of the file."""
    order = {path: i for i, path in enumerate(source.marks)}
    ordered = sorted(problems, key=lambda it: order.get(it.path, len(order)))
    texts = list(dict.fromkeys(problem.text(source) for problem in ordered))
    name = source.origin or "the configuration"
    if len(texts) == 1:
        return ConfigError(texts[0])
    return ConfigError("\n  ".join([f"{len(texts)} problems in {name}", *texts]))


def validated(model: type[_Model], source: Source, root: Schema) -> _Model:
    """Return what a source says, checked by a schema of its own.

    Raises
    ------
    ConfigError
        Listing every problem with its path, file and line.
    """
    try:
        return model.model_validate(source.data)
    except ValidationError as error:
        raise config_error(from_validation(error, source.data, root), source) from None


def from_validation(error: ValidationError, data: Any, root: Schema | None = None) -> list[Problem]:
    """Turn what pydantic found into problems with paths of the YAML file.

    `root` is the JSON Schema of the file, by default that of an experiment.
    """
    problems = []
    details = error.errors(include_url=False)
    mistyped = {
        (*path[:-1], near)
        for detail in details
        if detail["type"] == "extra_forbidden"
        for path in [_path(detail, data)]
        if (near := nearest_name(path[-1], _known_keys(path, data, root))) is not None
    }
    for detail in details:
        path = _path(detail, data)
        if detail["type"] == "missing" and path in mistyped:
            continue
        if detail["type"].startswith("union_tag"):
            path = (*path, detail["ctx"]["discriminator"].strip("'"))
        problems.append(Problem(path, _rule(detail, path, data, root)))
    return problems


def of_value(error: ValidationError, path: KeyPath, value: Any) -> list[Problem]:
    """Turn what pydantic found in one value, which the schema knows nothing of, into problems of its path.

    A value that may be of several types gets one problem, which names them all.
    """
    rules: dict[KeyPath, list[str]] = {}
    details = error.errors(include_url=False)
    for detail in details:
        if detail["type"] != "none_required" or len(details) == 1:
            rules.setdefault((*path, *_path(detail, value)), []).append(_rule(detail, path, {}, None))
    return [Problem(place, ", or ".join(dict.fromkeys(found))) for place, found in rules.items()]


def _path(detail: Any, data: Any) -> KeyPath:
    """Drop from pydantic's location the names of alternatives, which the YAML file does not have."""
    loc: Sequence[str | int] = detail["loc"]
    path: list[str | int] = []
    node = data
    for i, part in enumerate(loc):
        known = range(len(node)) if isinstance(node, list) else node if isinstance(node, dict) else ()
        if part in known:
            node = node[part]
        elif i < len(loc) - 1 or detail["type"] != "missing":
            continue
        path.append(part)
    return tuple(path)


def _known_keys(path: KeyPath, data: Any, root: Schema | None) -> list[str]:
    """Return the keys that could have stood in place of the last key of a path."""
    given = data
    for part in path[:-1]:
        given = given[part]
    return known_keys(path[:-1], given, root)


def _rule(detail: Any, path: KeyPath, data: Any, root: Schema | None) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            if isinstance(path[-1], int):
                return f"item {path[-1]} is missing (items count from 0)"
            return f"missing; {_of_schema(path, 'description', root) or 'it is required'}"
        case "extra_forbidden":
            return f"unknown key{did_you_mean(path[-1], _known_keys(path, data, root))}"
        case "literal_error" | "union_tag_invalid" | "enum":
            expected = context.get("expected") or context.get("expected_tags")
            given = context["tag"] if detail["type"] == "union_tag_invalid" else detail["input"]
            names = [it for it in expected.split("'") if it.isidentifier() and it != "or"]
            return f"must be {expected}{did_you_mean(given, names, otherwise='')}"
        case "union_tag_not_found":
            choices = [it["const"] for it in flat(at_path(path, root), root) if "const" in it]
            return f"missing; one of {', '.join(choices)}"
        case "greater_than_equal":
            return f"must be at least {_exact(context['ge'])}{_unit(path, root)}"
        case "greater_than":
            return f"must be more than {_exact(context['gt'])}{_unit(path, root)}"
        case "less_than_equal":
            return f"must be at most {_exact(context['le'])}{_unit(path, root)}{_why(path, root)}"
        case "too_long" | "string_too_long":
            return f"{_sized(detail, context['max_length'], 'at most')}{_why(path, root)}"
        case "too_short" | "string_too_short":
            return _sized(detail, context["min_length"], "at least")
        case other:
            return _PLAIN_RULES.get(other, detail["msg"][:1].lower() + detail["msg"][1:])


_PLAIN_RULES = {
    "string_type": "must be text; put it in quotes",
    "tuple_type": "must be a list, such as [a, b]",
    "list_type": "must be a list, such as [a, b]",
    "model_type": "must be a mapping of keys",
    "model_attributes_type": "must be a mapping of keys",
    "dict_type": "must be a mapping of keys",
    "finite_number": "must be finite",
    "string_pattern_mismatch": "must be a name of letters, digits, '_', '-' and '.'",
}


def _of_schema(path: KeyPath, key: str, root: Schema | None) -> str:
    """Return what the schema says under a key of a path, or of the list that the path is an item of."""
    found = [it[key] for it in flat(at_path(path, root), root) if key in it]
    if not found and path and isinstance(path[-1], int):
        return _of_schema(path[:-1], key, root)
    return found[0] if found else ""


def _unit(path: KeyPath, root: Schema | None) -> str:
    unit = _of_schema(path, "unit", root)
    return f" ({unit})" if unit and unit != "1" else ""


def _why(path: KeyPath, root: Schema | None) -> str:
    why = _of_schema(path, "why", root)
    return f"; {why}" if why else ""


def _exact(bound: float) -> str:
    return f"{bound:g}" if isinstance(bound, float) else str(bound)


def _sized(detail: Any, size: int, word: str) -> str:
    given = detail["input"]
    one, many = ("character", "characters") if isinstance(given, str) else ("item", "items")
    if isinstance(given, dict):
        one, many = "entry", "entries"
    return f"must have {word} {size} {one if size == 1 else many}"


def _shown(data: Any, path: KeyPath) -> str:
    """Return the value at a path as ``value: ``, or nothing for what is absent or not a single value."""
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return ""
    if isinstance(data, dict):
        return ""
    text = "null" if data is None else repr(data)
    text = text.lower() if isinstance(data, bool) else text
    return f"{text if len(text) <= _LONGEST_VALUE else text[: _LONGEST_VALUE - 3] + '...'}: "
