"""Put a configuration together: a file, what it extends, and what the command line sets.

Mappings are merged key by key and the extending file wins. Lists are replaced whole, and so are the
mappings that state one of several forms (a distribution, an activation, a latency, a fundamental of
another model). ``null`` in place of a mapping removes it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from simlab.config.schema import descend, flat, may_set, schema
from simlab.config.source import (
    MAX_DEPTH,
    MAX_DIGITS,
    KeyPath,
    Mark,
    Source,
    did_you_mean_file,
    parse_value,
    read_file,
    whole_text,
)
from simlab.errors import ConfigError, did_you_mean

__all__ = ["assign", "from_dict", "from_file", "from_study", "parse_assignments", "plain"]

_LONGEST_PATH = 60

_REPLACED_WHOLE: tuple[tuple[str, ...], ...] = (
    ("populations", "*", "parameters", "*"),
    ("populations", "*", "activation"),
    ("populations", "*", "latency"),
    ("populations", "*", "customer_orders", "limit_price"),
    ("populations", "*", "customer_orders", "units"),
)


def from_file(path: Path) -> Source:
    """Read a file and everything it extends, merged.

    Raises
    ------
    ConfigError
        When a file cannot be read, or files extend each other in a circle.
    """
    return _extended(read_file(path), (path.resolve(),))


def from_dict(data: Mapping[str, Any]) -> Source:
    """Copy a mapping into a source; its `extends`, if any, is relative to the current folder.

    Raises
    ------
    ConfigError
        When it holds something that YAML could not.
    """
    return _extended(Source(plain(data, ())), ())


def from_study(study: str | os.PathLike[str] | Mapping[str, Any]) -> Source:
    """Read a study of many runs; the path of its experiment becomes absolute.

    One that is a file and has no name is called as the file is, or as its folder if that is ``study.yaml``.

    Raises
    ------
    ConfigError
        As `from_file` and `from_dict` do.
    """
    if isinstance(study, Mapping):
        source = from_dict(study)
    else:
        path = Path(study).resolve()
        source = from_file(Path(study))
        source.data.setdefault("name", path.parent.name if path.stem == "study" else path.stem)
    experiment = source.data.get("experiment")
    if isinstance(experiment, str):
        source.data["experiment"] = str((source.folder_of(("experiment",)) / experiment).resolve())
    return source


def _extended(source: Source, chain: tuple[Path, ...]) -> Source:
    if "extends" not in source.data:
        return source
    mark = source.mark(("extends",))
    prefix = f"{mark}: " if mark else ""
    name = source.data.pop("extends")
    if not isinstance(name, str):
        raise ConfigError(f"{prefix}extends: {name!r}: must be the path of one YAML file, as text")
    path = source.folder / name
    if path.resolve() in chain:
        circle = " -> ".join(it.name for it in (*chain, path.resolve()))
        raise ConfigError(f"{prefix}extends: the files extend each other in a circle: {circle}")
    if not path.is_file():
        raise ConfigError(f"{prefix}extends: {name!r}: there is no file {path}{did_you_mean_file(path)}")
    base = _extended(read_file(path), (*chain, path.resolve()))
    base.data.pop("name", None)  # two experiments must not record under one name
    return _merged(base, source)


def _merged(base: Source, over: Source) -> Source:
    marks = dict(base.marks)
    data = _merge_mapping(base.data, over.data, (), marks)
    return Source(data, marks | over.marks, over.origin, over.folder)


def _merge_mapping(
    base: dict[str, Any], over: dict[str, Any], path: KeyPath, marks: dict[KeyPath, Mark]
) -> dict[str, Any]:
    made = dict(base)
    for key, value in over.items():
        here = (*path, key)
        old = base.get(key)
        if not isinstance(old, dict) or not isinstance(value, dict) or _is_whole(here, old, value):
            _forget(marks, here)
            made[key] = value
        else:
            made[key] = _merge_mapping(old, value, here, marks)
        if value is None and isinstance(old, dict):
            del made[key]
    return made


def _is_whole(path: KeyPath, old: dict[str, Any], new: dict[str, Any]) -> bool:
    if len(path) == 3 and path[0] == "instruments" and path[2] == "fundamental":
        return "model" in new and new["model"] != old.get("model")
    return any(
        len(pattern) == len(path)
        and all(want in ("*", part) for want, part in zip(pattern, path, strict=True))
        for pattern in _REPLACED_WHOLE
    )


def _forget(marks: dict[KeyPath, Mark], path: KeyPath) -> None:
    for stale in [it for it in marks if it[: len(path)] == path]:
        del marks[stale]


def plain(value: Any, path: KeyPath) -> Any:
    """Copy data, turning NumPy scalars, tuples and paths into what YAML would have given.

    Raises
    ------
    ConfigError
        When it holds what YAML could not, or is nested without end.
    """
    where = ".".join(map(str, path)) or "the configuration"
    if len(path) > MAX_DEPTH:
        raise ConfigError(
            f"{where[:_LONGEST_PATH]}...: nested more than {MAX_DEPTH} deep; nothing needs that"
        )
    if isinstance(value, Mapping):
        return {str(key): plain(it, (*path, str(key))) for key, it in value.items()}
    if isinstance(value, list | tuple):
        return [plain(it, (*path, i)) for i, it in enumerate(value)]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, str):
        return whole_text(value, f"{where}: ")
    if isinstance(value, int) and abs(value) >= 10**MAX_DIGITS:
        raise ConfigError(f"{where}: a whole number of more than {MAX_DIGITS} digits; nothing is that large")
    if value is None or isinstance(value, bool | int | float):
        return value
    raise ConfigError(
        f"{where}: a {type(value).__name__} cannot stand in a configuration; use numbers, text, lists and"
        " mappings"
    )


def parse_assignments(assignments: Sequence[str] | Mapping[str, Any]) -> list[tuple[str, Any, Mark]]:
    """Read ``a.b.c=VALUE`` texts, or a mapping from dotted paths to values.

    Raises
    ------
    ConfigError
        When a text has no ``=`` or its value is not YAML.
    """
    made = []
    if isinstance(assignments, Mapping):
        for path, value in assignments.items():
            made.append((path, plain(value, (path,)), Mark(f"set {path}", folder=Path.cwd())))
        return made
    for text in assignments:
        path, equals, value = text.partition("=")
        if not equals or not path.strip():
            raise ConfigError(
                f"--set {text}: write it as path=value, for example --set populations.noise.count=50"
            )
        origin = f"--set {text}"
        made.append((path.strip(), parse_value(value, origin), Mark(origin, folder=Path.cwd())))
    return made


def assign(source: Source, dotted: str, value: Any, mark: Mark) -> None:
    """Set one value by its dotted path; the path must exist in the data or be an optional key of the schema.

    List items are addressed by number, as in ``shocks.0.step``.

    Raises
    ------
    ConfigError
        When the path leads nowhere; the message names the nearest keys.
    """
    parts = dotted.split(".")
    path: KeyPath = ()
    node: Any = source.data
    allowed: list[Mapping[str, Any]] = [schema()]
    while True:
        key, parts = _next_key(node, parts, allowed, path, mark)
        path = (*path, key)
        allowed = list(descend(allowed, key))
        if not parts:
            break
        node = _enter(node, key, allowed, path, mark)
    node[key] = value
    _forget(source.marks, path)
    source.marks[path] = mark


def _enter(node: Any, key: str | int, allowed: list[Mapping[str, Any]], path: KeyPath, mark: Mark) -> Any:
    held = node[key] if isinstance(key, int) else node.get(key)
    if not isinstance(held, dict | list):
        if not any(it.get("properties") or it.get("additionalProperties") for it in flat(allowed)):
            raise ConfigError(f"{mark}: {_dotted(path)} is a single value; nothing can be set inside it")
        node[key] = {}
    return node[key]


def _next_key(
    node: Any,
    parts: list[str],
    allowed: list[Mapping[str, Any]],
    path: KeyPath,
    mark: Mark,
) -> tuple[str | int, list[str]]:
    """Take the next key off the path; a key with dots in it (an instrument ``BRK.B``) is matched whole."""
    if isinstance(node, list):
        if not parts[0].isdigit() or int(parts[0]) >= len(node):
            raise ConfigError(
                f"{mark}: {_dotted(path)} is a list of {len(node)}; no item {parts[0]!r} (count from 0)"
            )
        return int(parts[0]), parts[1:]
    for length in range(1, len(parts) + 1):
        key = ".".join(parts[:length])
        if key in node or may_set(allowed, key):
            return key, parts[length:]
    known = set(node) | {name for it in flat(allowed) for name in it.get("properties", {})}
    hint = did_you_mean(parts[0], sorted(known))
    raise ConfigError(f"{mark}: {_dotted((*path, parts[0]))}: no such key{hint}")


def _dotted(path: KeyPath) -> str:
    return ".".join(map(str, path))
