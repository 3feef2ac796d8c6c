"""Each room of the analysis owns one thing, imports point down, and rooms meet at their doors only."""

from __future__ import annotations

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from simlab import analysis

ROOT = Path(analysis.__file__).parent
ROOMS = {
    "libraries": 0,
    "tables": 0,
    "statistics": 1,
    "pnl": 2,
    "quality": 2,
    "facts": 2,
    "figures": 2,
    "compare": 3,
    "run": 4,
    "report": 5,
}
OUTSIDE = {"core", "errors", "recording"}


def _modules(path: Path) -> Iterator[str]:
    """Yield every module of simlab that a file imports, at any depth of its code, checkers' imports too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module in ("simlab", "simlab.analysis"):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def _edges() -> Iterator[tuple[str, str, str]]:
    """Yield each import of simlab: the file, its room, and the module without ``simlab.``."""
    for path in sorted(ROOT.rglob("*.py")):
        inside = path.relative_to(ROOT).with_suffix("")
        if inside.parts != ("__init__",):
            for name in _modules(path):
                if name.startswith("simlab."):
                    yield str(inside), inside.parts[0], name.removeprefix("simlab.")


EDGES = list(_edges())
AMONG = [(file, room, to.removeprefix("analysis.")) for file, room, to in EDGES if to.startswith("analysis.")]


def test_the_walk_sees_the_imports() -> None:
    assert ("pnl/fills", "pnl", "tables") in AMONG
    assert ("report/reading", "report", "run") in AMONG
    assert ("run", "run", "quality") in AMONG


def test_the_rooms_are_these() -> None:
    found = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert found - {"__init__"} == set(ROOMS)


def test_imports_point_down() -> None:
    upward = [
        f"{file} imports {to}"
        for file, room, to in AMONG
        if room != to.split(".")[0] and ROOMS[to.split(".")[0]] >= ROOMS[room]
    ]
    assert upward == []


def test_rooms_meet_at_their_doors() -> None:
    past = [f"{file} imports {to}" for file, room, to in AMONG if "." in to and room != to.split(".")[0]]
    assert past == []


def test_no_two_modules_of_a_room_import_each_other() -> None:
    graph: dict[str, set[str]] = {}
    for file, room, to in AMONG:
        if to.startswith(f"{room}.") and not file.endswith("__init__"):
            graph.setdefault(file.replace("/", "."), set()).add(to)
    while True:  # take away what imports nothing that is left; a circle stays
        free = {name for name in graph if not graph[name] & set(graph)}
        if not free:
            break
        graph = {name: to for name, to in graph.items() if name not in free}
    assert graph == {}


def test_nothing_above_is_imported() -> None:
    others = {to.split(".")[0] for _, _, to in EDGES} - OUTSIDE - {"analysis"}
    assert others <= {"__version__"}


@pytest.mark.parametrize("room", sorted(name for name in ROOMS if (ROOT / name).is_dir()))
def test_a_room_says_what_it_owns_and_may_import(room: str) -> None:
    door = importlib.import_module(f"simlab.analysis.{room}")
    text = " ".join((door.__doc__ or "").split())
    assert "Owns" in text
    assert "May import" in text or "Imports no other room" in text
    assert [name for name in door.__all__ if not hasattr(door, name)] == []
