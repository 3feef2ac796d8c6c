"""What `simlab new` writes works as it is: it runs, its tests pass, and nothing is overwritten."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import simlab

ROOT = Path(__file__).parents[2]
LEVELS = {"first_idea": "agent", "second_idea": "batch", "third_idea": "compiled"}


def _process(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "200", "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def _simlab(*arguments: str, cwd: Path) -> str:
    done = _process("simlab.cli", *arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _refused(*arguments: str, cwd: Path) -> str:
    done = _process("simlab.cli", *arguments, cwd=cwd)
    assert done.returncode == 2
    assert done.stdout == ""
    return done.stderr


def _contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a new workspace with a strategy of each level."""
    lab = tmp_path_factory.mktemp("new") / "My Lab"
    written = _simlab("new", "workspace", str(lab), cwd=lab.parent).splitlines()
    assert sorted(lab.parent / name for name in written) == sorted(_contents(lab))
    written = _simlab("new", "strategy", "second_idea", "--level", "batch", cwd=lab / "configs").splitlines()
    assert written == ["../strategies/second_idea.py", "second_idea.yaml", "../tests/test_second_idea.py"]
    _simlab("new", "strategy", "third_idea", "--level", "compiled", cwd=lab)
    return lab


@pytest.mark.slow
def test_the_tests_that_were_written_pass(lab: Path) -> None:
    done = _process("pytest", "-q", "-p", "no:cacheprovider", cwd=lab)
    assert done.returncode == 0, done.stdout
    assert "9 passed" in done.stdout


@pytest.mark.parametrize("name", LEVELS)
def test_the_markets_that_were_written_run(lab: Path, name: str) -> None:
    folder = _simlab("run", f"configs/{name}.yaml", "--steps", "500", "-q", cwd=lab).strip()
    run = simlab.open(lab / folder)
    assert run.finished
    assert list(run.manifest["plugins"]) == [str(lab / "strategies" / f"{name}.py")]
    assert LEVELS[name] in _simlab("strategies", f"strategies/{name}.py", cwd=lab)


@pytest.mark.slow
def test_the_experiment_and_the_notebook_run(lab: Path) -> None:
    done = _process("experiments.first_idea", cwd=lab)
    assert "mine less noise: " in done.stdout, done.stderr
    notebook = nbformat.read(lab / "notebooks" / "first_idea.ipynb", nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    resources = {"metadata": {"path": str(lab / "notebooks")}}
    NotebookClient(notebook, kernel_name="python3", timeout=600, resources=resources).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert len([it for it in shown if "application/vnd.plotly.v1+json" in it.get("data", {})]) == 2


def test_nothing_is_overwritten_nor_half_written(lab: Path) -> None:
    before = _contents(lab)
    (lab / "strategies" / "first_idea.py").unlink()
    told = _refused("new", "strategy", "first_idea", cwd=lab)
    assert "first_idea.yaml, " in told
    assert "exist already, and nothing was written" in told
    assert not (lab / "strategies" / "first_idea.py").exists()
    (lab / "strategies" / "first_idea.py").write_bytes(before[lab / "strategies" / "first_idea.py"])
    assert "README.md" in _refused("new", "workspace", ".", cwd=lab)
    assert _contents(lab) == before


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("DipBuyer", "did you mean 'dip_buyer'?"),
        ("my-idea", "did you mean 'my_idea'?"),
        ("lambda", "such as"),
    ],
)
def test_a_name_that_python_cannot_use_is_refused(tmp_path: Path, name: str, hint: str) -> None:
    assert hint in _refused("new", "strategy", name, cwd=tmp_path)
    assert not _contents(tmp_path)


def test_where_there_is_no_workspace_the_present_folder_becomes_one(tmp_path: Path) -> None:
    _simlab("new", "strategy", "alone", cwd=tmp_path)
    assert "valid" in _simlab("validate", "configs/alone.yaml", cwd=tmp_path)


def test_the_code_that_is_written_is_clean(lab: Path) -> None:
    for command in (("check",), ("format", "--check")):
        settings = ("--isolated", "--line-length", "110", *(("--select", "E,F,I,B,UP") * (len(command) == 1)))
        done = _process("ruff", *command, *settings, ".", cwd=lab)
        assert done.returncode == 0, done.stdout
    for name in LEVELS:
        done = _process(
            "mypy", "--cache-dir", os.devnull, "--ignore-missing-imports", f"strategies/{name}.py", cwd=lab
        )
        assert done.returncode == 0, done.stdout
