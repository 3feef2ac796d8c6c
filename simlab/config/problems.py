"""Say what is wrong with a configuration: every problem at once, each with its place, rule and remedy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from simlab.config.schema import at_path, flat, known_keys
from simlab.config.source import KeyPath, Source
from simlab.errors import ConfigError, did_you_mean, nearest_name

__all__ = ["Problem", "config_error", "from_validation"]

_LONGEST_VALUE = 60


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


def from_validation(error: ValidationError, data: Any) -> list[Problem]:
    """Turn what pydantic found into problems with paths of the YAML file."""
    problems = []
    details = error.errors(include_url=False)
    mistyped = {
        (*path[:-1], near)
        for detail in details
        if detail["type"] == "extra_forbidden"
        for path in [_path(detail["loc"], data)]
        if (near := nearest_name(path[-1], _known_keys(path, data))) is not None
    }
    for detail in details:
        path = _path(detail["loc"], data)
        if detail["type"] == "missing" and path in mistyped:
            continue
        if detail["type"].startswith("union_tag"):
            path = (*path, detail["ctx"]["discriminator"].strip("'"))
        problems.append(Problem(path, _rule(detail, path, data)))
    return problems


def _path(loc: Sequence[str | int], data: Any) -> KeyPath:
    """Drop from pydantic's location the names of alternatives, which the YAML file does not have."""
    path: list[str | int] = []
    node = data
    for i, part in enumerate(loc):
        known = range(len(node)) if isinstance(node, list) else node if isinstance(node, dict) else ()
        if part in known:
            node = node[part]
        elif i < len(loc) - 1 or part in ("[key]", "mapping", "number"):
            continue
        path.append(part)
    return tuple(path)


def _known_keys(path: KeyPath, data: Any) -> list[str]:
    """Return the keys that could have stood in place of the last key of a path."""
    given = data
    for part in path[:-1]:
        given = given[part]
    return known_keys(path[:-1], given)


def _rule(detail: Any, path: KeyPath, data: Any) -> str:
    context = detail.get("ctx", {})
    match detail["type"]:
        case "missing":
            return f"missing; {_description(path) or 'it is required'}"
        case "extra_forbidden":
            return f"unknown key{did_you_mean(path[-1], _known_keys(path, data))}"
        case "literal_error" | "union_tag_invalid":
            expected = context.get("expected") or context.get("expected_tags")
            given = detail["input"] if detail["type"] == "literal_error" else context["tag"]
            names = [it for it in expected.split("'") if it.isidentifier() and it != "or"]
            return f"must be {expected}{did_you_mean(given, names, otherwise='')}"
        case "union_tag_not_found":
            choices = [it["const"] for it in flat(at_path(path)) if "const" in it]
            return f"missing; one of {', '.join(choices)}"
        case "greater_than_equal":
            return f"must be at least {context['ge']}{_unit(path)}"
        case "greater_than":
            return f"must be more than {context['gt']}{_unit(path)}"
        case "less_than_equal":
            return f"must be at most {context['le']}{_unit(path)}"
        case other:
            return _PLAIN_RULES.get(other, detail["msg"][:1].lower() + detail["msg"][1:])


_PLAIN_RULES = {
    "string_type": "must be text; put it in quotes",
    "tuple_type": "must be a list, such as [a, b]",
    "model_type": "must be a mapping of keys",
    "model_attributes_type": "must be a mapping of keys",
    "dict_type": "must be a mapping of keys",
    "finite_number": "must be finite",
    "string_pattern_mismatch": "must be a name of letters, digits, '_', '-' and '.'",
}


def _description(path: KeyPath) -> str:
    return next((it["description"] for it in at_path(path) if "description" in it), "")


def _unit(path: KeyPath) -> str:
    unit = next((it["unit"] for it in at_path(path) if "unit" in it), "")
    return f" ({unit})" if unit and unit != "1" else ""


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
