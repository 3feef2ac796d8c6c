"""Imports point strictly downward, and neighbours on one layer never import each other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import simlab

ROOT = Path(simlab.__file__).parent
LAYERS = {
    "core": 0,
    "errors": 0,
    "engine": 1,
    "market": 2,
    "agents": 2,
    "processes": 2,
    "recording": 2,
    "importing": 2,
    "kernel": 3,
    "analysis": 3,
    "exporting": 3,
    "testing": 3,
    "config": 4,
    "console": 4,
    "runner": 5,
    "live": 6,
    "faces": 6,
    "bench": 7,
    "cli": 8,
}
ONLY_CORE = {"agents", "processes", "recording"}
HEAVY = {
    "langchain",
    "langgraph",
    "sklearn",
    "mesa",
    "gymnasium",
    "pettingzoo",
    "onnxruntime",
    "dask",
    "distributed",
    "websockets",
    "starlette",
    "uvicorn",
    "fastapi",
    "httpx",
    "msgspec",
    "prometheus_client",
}
LIVE_PARTS = {"engine", "gateway", "dashboard", "agents", "client"}


def _imports(tree: ast.Module) -> Iterator[str]:
    """Yield every absolute module name that a module imports, at any depth of its code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports inside simlab are absolute"
            yield node.module or ""
            if node.module == "simlab":
                yield from (f"simlab.{alias.name}" for alias in node.names)


def _edges() -> Iterator[tuple[str, str, str]]:
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if parts == ("__init__",):
            continue
        for name in _imports(ast.parse(path.read_text(encoding="utf-8"))):
            pieces = name.split(".")
            if pieces[0] == "simlab" and len(pieces) > 1 and pieces[1] in LAYERS:
                yield str(path.relative_to(ROOT)), parts[0], pieces[1]


EDGES = list(_edges())


def test_every_package_has_a_layer() -> None:
    found = {path.stem for path in ROOT.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert found - {"__init__"} == set(LAYERS)


@pytest.mark.parametrize("page", ["docs/design.md", "README.md"])
def test_the_picture_shows_these_layers(page: str) -> None:
    text = (ROOT.parent / page).read_text(encoding="utf-8")
    rows = re.findall(r"^(\d)  (\w+(?:(?: \| |, )\w+)*)", text, flags=re.MULTILINE)
    assert {name: int(layer) for layer, names in rows for name in re.split(r" \| |, ", names)} == LAYERS


def test_the_walk_sees_the_imports() -> None:
    assert ("engine/reference/book.py", "engine", "core") in EDGES
    assert ("config/build.py", "config", "kernel") in EDGES


@pytest.mark.parametrize("package", sorted({edge[1] for edge in EDGES}))
def test_imports_point_strictly_downward(package: str) -> None:
    upward = [
        f"{file} imports {target}"
        for file, origin, target in EDGES
        if origin == package != target and LAYERS[target] >= LAYERS[origin] > 0
    ]
    assert upward == []


@pytest.mark.parametrize("package", sorted(ONLY_CORE))
def test_knows_only_core_and_errors(package: str) -> None:
    others = {target for _, origin, target in EDGES if origin == package} - {package, "core", "errors"}
    assert others == set()


def test_core_and_errors_import_nothing_of_simlab_but_each_other() -> None:
    assert {target for _, origin, target in EDGES if LAYERS[origin] == 0} <= {"core", "errors"}


def test_the_parts_of_live_never_import_each_other() -> None:
    for path in sorted((ROOT / "live").rglob("*.py")):
        part = path.relative_to(ROOT / "live").parts[0]
        found = {name.split(".")[2] for name in _imports(ast.parse(path.read_text("utf-8")))
                 if name.startswith("simlab.live.")}  # fmt: skip
        allowed = {part, "client"} if part == "agents" else {part}  # who trade as clients
        assert part not in LIVE_PARTS or not (found & LIVE_PARTS) - allowed, path


def test_the_package_imports_no_optional_library() -> None:
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    assert not {name.split(".")[0] for name in _imports(tree)} & HEAVY
