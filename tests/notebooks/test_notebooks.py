"""Every notebook runs from a clean state, draws, concludes, and lies in the repository without outputs."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
FOLDERS = ("configs", "experiments/learnt_market_maker", "strategies", "notebooks")
NAMES = [
    "01_first_look",
    "02_who_earns_what",
    "03_your_own_strategy",
    "04_market_design",
    "05_reasons_and_trades",
    "06_learn_to_make_markets",
]
FIGURE = "application/vnd.plotly.v1+json"
TIMEOUT_S = 600  # of one cell; the first may have to compile simlab


def _read(name: str) -> nbformat.NotebookNode:
    return nbformat.read(ROOT / "notebooks" / f"{name}.ipynb", nbformat.NO_CONVERT)


def _of_type(notebook: nbformat.NotebookNode, kind: str) -> list[nbformat.NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == kind]


def _files(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder but compiled Python, by relative path."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    }


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Return a copy of what a notebook may read, and nothing else."""
    for folder in FOLDERS:
        ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
        shutil.copytree(ROOT / folder, tmp_path / "workspace" / folder, ignore=ignored)
    return tmp_path / "workspace"


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the kernel this simlab, and a folder for temporary files; return that folder."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("TMPDIR", str(temporary))
    return temporary


def test_every_notebook_is_tested_and_described() -> None:
    found = sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))
    assert found == NAMES
    described = (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")
    assert sorted(set(re.findall(r"\((\w+)\.ipynb\)", described))) == NAMES


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_runs_from_a_clean_state_and_leaves_nothing(name: str, workspace: Path, kernel: Path) -> None:
    notebook = _read(name)
    before = _files(workspace)
    resources = {"metadata": {"path": str(workspace / "notebooks")}}
    NotebookClient(notebook, kernel_name="python3", timeout=TIMEOUT_S, resources=resources).execute()
    outputs = [output for cell in _of_type(notebook, "code") for output in cell.outputs]
    figures = [output for output in outputs if FIGURE in output.get("data", {})]
    assert figures
    assert all(figure["data"][FIGURE]["data"] for figure in figures)
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    conclusion = _of_type(notebook, "code")[-1]
    assert "assert " in conclusion.source
    assert [output.name for output in conclusion.outputs] == ["stdout"]
    assert _files(workspace) == before
    assert list(kernel.glob("simlab-*")) == []


@pytest.mark.parametrize("name", NAMES)
def test_explains_itself(name: str) -> None:
    notebook = _read(name)
    prose = [cell.source for cell in _of_type(notebook, "markdown")]
    assert prose[0].startswith("# ")
    assert sum(source.startswith("#") for source in prose) >= 4
    assert any(source.startswith("## Conclusion") for source in prose)
    assert len(" ".join(prose).split()) > 250


@pytest.mark.parametrize("name", NAMES)
def test_has_no_outputs_and_nothing_of_one_machine(name: str) -> None:
    notebook = _read(name)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    kernelspec = {"display_name": "Python 3", "language": "python", "name": "python3"}
    assert notebook.metadata == {"kernelspec": kernelspec}
    identities = [cell.id for cell in notebook.cells]
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", identity) for identity in identities)  # words, not chance
    assert len(set(identities)) == len(identities)
    assert [cell.metadata for cell in notebook.cells if cell.metadata] == []
    code = _of_type(notebook, "code")
    assert [cell.id for cell in code if cell.outputs or cell.execution_count is not None] == []


def test_cells_are_short() -> None:
    limits = {"code": 45, "markdown": 30}
    long = [
        (name, cell.id)
        for name in NAMES
        for cell in _read(name).cells
        if len(cell.source.splitlines()) > limits[cell.cell_type]
    ]
    assert long == []
