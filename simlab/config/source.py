"""Read YAML and remember which file and line every value came from.

Scalars are read by the rules of YAML 1.2: `on`, `off`, `yes` and `no` are text, ``1e6`` is a number,
``1:30`` is text and keys are always text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from simlab.errors import ConfigError, did_you_mean

__all__ = [
    "MAX_DEPTH",
    "MAX_DIGITS",
    "KeyPath",
    "Mark",
    "Source",
    "did_you_mean_file",
    "dump",
    "parse_value",
    "read_file",
    "whole_text",
]

KeyPath = tuple[str | int, ...]

MAX_DEPTH = 64
"""How deep lists and mappings may be nested."""
MAX_DIGITS = 100
"""Characters that a whole number may be written with."""
_MAX_NODES = 2_000_000
_TAG = "tag:yaml.org,2002:"
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9][0-9_]*|0x[0-9a-fA-F][0-9a-fA-F_]*|0o[0-7][0-7_]*")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)


@dataclass(frozen=True)
class Mark:
    """Where a value was written: a file and a line (from 1), or a command-line option."""

    origin: str
    line: int | None = None
    folder: Path | None = None
    """The folder that relative paths written there start from."""

    def __str__(self) -> str:
        return f"{self.origin}:{self.line}" if self.line is not None else self.origin


@dataclass
class Source:
    """The plain data of a configuration and where each part of it was written."""

    data: dict[str, Any]
    marks: dict[KeyPath, Mark] = field(default_factory=dict)
    origin: str = ""
    folder: Path = field(default_factory=Path.cwd)

    def mark(self, path: KeyPath) -> Mark | None:
        """Return where `path`, or else the nearest thing around it, was written."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.marks:
                return self.marks[path[:end]]
        return None

    def folder_of(self, path: KeyPath) -> Path:
        """Return the folder that a relative file name written at `path` starts from."""
        mark = self.mark(path)
        return mark.folder if mark is not None and mark.folder is not None else self.folder


class _Resolver:
    """Tell scalars apart by YAML 1.2's core schema, with underscores in numbers."""

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        if kind is not yaml.ScalarNode:
            return f"{_TAG}{'seq' if kind is yaml.SequenceNode else 'map'}"
        if not implicit[0]:
            return f"{_TAG}str"
        for name, pattern in (("null", _NULL), ("bool", _BOOL), ("int", _INT), ("float", _FLOAT)):
            if pattern.fullmatch(value):
                return _TAG + name
        return f"{_TAG}str"


class _Loader(_Resolver, yaml.SafeLoader):
    """Read YAML to nodes, and refuse what is nested so deep that reading it would never end well."""

    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem=f"nested more than {MAX_DEPTH} deep", problem_mark=mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


class _Dumper(yaml.SafeDumper):
    """Quote what YAML 1.1 or 1.2 would read as something other than text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)


_Dumper.add_implicit_resolver(f"{_TAG}float", re.compile(f"^(?:{_FLOAT.pattern})$"), list("-+.0123456789"))
_Dumper.add_implicit_resolver(f"{_TAG}int", re.compile(f"^(?:{_INT.pattern})$"), list("-+0123456789"))


def dump(data: Any) -> str:
    """Write plain data as YAML, in the order given, so that any YAML reader gets the same data back.

    Example
    -------
    >>> dump({"name": "on", "recording": {"enabled": True}})
    "name: 'on'\\nrecording: {enabled: true}\\n"
    """
    return yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None
    )


def read_file(path: Path) -> Source:
    """Read one YAML file, without following `extends`.

    Raises
    ------
    ConfigError
        When the file is missing, is not YAML, is empty, repeats a key, or is not a mapping.
    """
    text = _read_text(path)
    folder = path.resolve().parent
    walker = _Walker(str(path), folder)
    root = _compose(text, str(path))
    if root is None:
        raise ConfigError(f"{path}: the file is empty; write at least `steps` and `instruments`")
    if not isinstance(root, yaml.MappingNode):
        kind = "a list" if isinstance(root, yaml.SequenceNode) else "a single value"
        raise ConfigError(
            f"{path}:1: the file is {kind}; it must be `key: value` pairs, such as `steps: 1000`"
        )
    data = walker.value(root, ())
    if walker.problems:
        raise ConfigError("\n".join(walker.problems))
    return Source(data, walker.marks, str(path), folder)


def parse_value(text: str, origin: str) -> Any:
    """Read the value of one ``--set`` option as YAML.

    Raises
    ------
    ConfigError
        When the text is not YAML.
    """
    root = _compose(text, origin)
    if root is None:
        return None
    walker = _Walker(origin, Path.cwd())
    data = walker.value(root, ())
    if walker.problems:
        raise ConfigError("\n".join(walker.problems))
    return data


def did_you_mean_file(path: Path) -> str:
    """Return `did_you_mean` for a YAML file that does not exist, from what is in its folder."""
    there = sorted(it.name for it in path.parent.glob("*.y*ml")) if path.parent.is_dir() else []
    return did_you_mean(path.name, there, otherwise="")


def _read_text(path: Path) -> str:
    if path.is_dir():
        files = ", ".join(sorted(it.name for it in path.glob("*.yaml"))) or "no .yaml file"
        raise ConfigError(f"{path}: this is a folder; name a YAML file in it (there: {files})")
    try:
        content = path.read_bytes()
        return content.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: no such file{did_you_mean_file(path)}") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{path}:{line}: not UTF-8 text (byte {error.start}); save the file as UTF-8"
        ) from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error


def _compose(text: str, origin: str) -> yaml.Node | None:
    loader = None
    try:
        loader = _Loader(text)
        return loader.get_single_node()
    except yaml.reader.ReaderError as error:
        raise ConfigError(_explain_character(error, text, origin)) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{origin}:{mark.line + 1}" if mark else origin
        raise ConfigError(f"{where}: not valid YAML: {_explain(error, mark, text)}") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # an escape like "\\U7fffffff", which is no character, is a ValueError of Python's
        where = f"{origin}:{loader.line + 1}" if loader is not None else origin
        raise ConfigError(f"{where}: not valid YAML: {error}") from error
    finally:
        if loader is not None:
            loader.dispose()


def _explain_character(error: yaml.reader.ReaderError, text: str, origin: str) -> str:
    before = text[: error.position]
    line, column = before.count("\n") + 1, error.position - before.rfind("\n")
    code = error.character if isinstance(error.character, int) else ord(error.character)
    what = "half of a character" if 0xD800 <= code <= 0xDFFF else "a control character"
    return f"{origin}:{line}: not valid YAML: {what} (U+{code:04X}, column {column}); remove it"


def whole_text(text: str, where: str) -> str:
    """Return text with the two halves of a character, as JSON escapes it, put together.

    Raises
    ------
    ConfigError
        When a half stands alone: no file could hold it.
    """
    try:
        return text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}half of a character in {text!r}; write it whole") from error


def _explain(error: yaml.MarkedYAMLError, mark: Any, text: str) -> str:
    lines = text.splitlines()
    line = lines[mark.line] if mark and mark.line < len(lines) else ""
    if "\t" in line[: len(line) - len(line.lstrip())]:
        return "the line is indented with a tab; YAML wants spaces"
    if error.problem and "expected a single document" in f"{error.context} {error.problem}":
        return "a second document begins (`---`); a file holds one"
    parts = [part for part in (error.context, error.problem) if part]
    return f"{', '.join(parts)} (column {mark.column + 1})" if mark else ", ".join(parts)


class _Walker:
    """Turn a tree of YAML nodes into plain data, noting lines and problems on the way."""

    def __init__(self, origin: str, folder: Path) -> None:
        self.origin = origin
        self.folder = folder
        self.marks: dict[KeyPath, Mark] = {}
        self.problems: list[str] = []
        self._open: set[int] = set()
        self._nodes = 0

    def value(self, node: yaml.Node, path: KeyPath) -> Any:
        self._nodes += 1
        if id(node) in self._open or self._nodes > _MAX_NODES:
            raise ConfigError(f"{self._where(node)}: an alias (*name) makes the data endless; write it out")
        self.marks.setdefault(path, self._mark(node))
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if node.tag not in (f"{_TAG}seq", f"{_TAG}map"):
            self.problems.append(f"{self._where(node)}: the tag {node.tag!r} says nothing here; leave it out")
        self._open.add(id(node))
        made = self._mapping(node, path) if isinstance(node, yaml.MappingNode) else self._sequence(node, path)
        self._open.remove(id(node))
        return made

    def _sequence(self, node: yaml.Node, path: KeyPath) -> list[Any]:
        return [self.value(child, (*path, i)) for i, child in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        made: dict[str, Any] = {}
        merges = [value for key, value in node.value if _is_merge(key)]
        for value_node in merges:
            made |= self._merged(value_node, path)
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            if _is_merge(key_node) or not self._is_new_key(key_node, path, lines):
                continue
            key = self._text(key_node)
            lines[key] = key_node.start_mark.line + 1
            self.marks[(*path, key)] = self._mark(key_node)
            made[key] = self.value(value_node, (*path, key))
        return made

    def _is_new_key(self, node: yaml.Node, path: KeyPath, lines: dict[str, int]) -> bool:
        if not isinstance(node, yaml.ScalarNode):
            self.problems.append(f"{self._where(node)}: a key must be text, not a list or a mapping")
            return False
        if node.value not in lines:
            return True
        full = ".".join(str(part) for part in (*path, node.value))
        first = lines[node.value]
        self.problems.append(
            f"{self._where(node)}: {full}: the key is written twice (first in line {first}); keep one"
        )
        return False

    def _merged(self, node: yaml.Node, path: KeyPath) -> dict[str, Any]:
        """Return what a merge key (``<<: *anchor``, or a list of those, the first wins) brings in."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        made: dict[str, Any] = {}
        for child in reversed(nodes):
            if not isinstance(child, yaml.MappingNode):
                self.problems.append(f"{self._where(child)}: `<<` takes a mapping or a list of mappings")
                continue
            made |= self.value(child, path)
        return made

    def _scalar(self, node: yaml.ScalarNode) -> Any:
        kind = node.tag.removeprefix(_TAG)
        text = node.value.replace("_", "") if kind in ("int", "float") else node.value
        match kind:
            case "str":
                return self._text(node)
            case "null":
                return None
            case "bool" if _BOOL.fullmatch(text):
                return text.lower() == "true"
            case "int" if len(text) > MAX_DIGITS:
                self.problems.append(
                    f"{self._where(node)}: a whole number of {len(text):,} digits; nothing is that large"
                )
                return None
            case "int" if _INT.fullmatch(text):
                return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
            case "float" if _FLOAT.fullmatch(text):
                return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        self.problems.append(
            f"{self._where(node)}: {node.value!r} cannot be read as {node.tag!r}; leave the tag out"
        )
        return None

    def _text(self, node: yaml.ScalarNode) -> str:
        try:
            return whole_text(node.value, f"{self._where(node)}: ")
        except ConfigError as error:
            self.problems.append(str(error))
            return node.value.encode("utf-8", "replace").decode()

    def _mark(self, node: yaml.Node) -> Mark:
        return Mark(self.origin, node.start_mark.line + 1, self.folder)

    def _where(self, node: yaml.Node) -> str:
        return f"{self.origin}:{node.start_mark.line + 1}"


def _is_merge(key: yaml.Node) -> bool:
    return isinstance(key, yaml.ScalarNode) and key.value == "<<" and key.style is None
