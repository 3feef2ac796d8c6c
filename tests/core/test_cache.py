"""Compiled code is kept where it can be, never taken from strangers, and its place stops no command."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from simlab.core.cache import choose_folder, fingerprint

NO_FOLDER = """
import tempfile
tempfile.tempdir = {nowhere!r}
from simlab.core.numerics import exp
assert exp(0.0) == 1.0
assert exp.signatures, "compiled"
print(exp._cache.cache_path)
"""


@pytest.fixture
def nowhere(tmp_path: Path) -> Path:
    """Return a path that cannot be made, even by a superuser: it lies below a file."""
    (tmp_path / "file").touch()
    return tmp_path / "file" / "below"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return what the system's temporary folder is for this test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def _run(*command: str, nowhere: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    homeless = {
        name: value
        for name, value in os.environ.items()
        if name not in ("NUMBA_CACHE_DIR", "NUMBA_DISABLE_JIT")
    }
    homeless |= {"HOME": str(nowhere), "XDG_CACHE_HOME": str(nowhere)} | environment
    return subprocess.run(
        [sys.executable, *command], env=homeless, capture_output=True, text=True, check=False
    )


def test_the_folder_asked_for_is_taken_and_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = tmp_path / "a" / "b"
    assert choose_folder("compiled-1", str(asked)) == asked
    assert asked.is_dir()
    assert list(asked.iterdir()) == []
    assert capsys.readouterr() == ("", "")


def test_without_it_a_folder_of_the_user_alone_is_taken_and_said(
    nowhere: Path, temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = choose_folder("compiled-1", str(nowhere))
    assert folder is not None
    assert folder.parent.parent == temporary
    assert stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert choose_folder("compiled-1", str(nowhere)) == folder, "and again, so that compiling is worth it"
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert all(str(folder) in line and "NUMBA_CACHE_DIR" in line for line in lines)
    assert f"{nowhere}: Not a directory" in lines[0]


@pytest.mark.parametrize("trap", ["open to others", "a link", "a file"])
def test_what_a_stranger_may_have_put_there_is_not_taken(
    nowhere: Path, temporary: Path, tmp_path: Path, trap: str, capsys: pytest.CaptureFixture[str]
) -> None:
    own = temporary / f"simlab-{os.getuid()}"
    if trap == "open to others":
        own.mkdir()
        own.chmod(0o777)
    elif trap == "a link":
        own.symlink_to(tmp_path)
    else:
        own.touch()
    assert choose_folder("compiled-1", str(nowhere)) is None
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert "compiled code is not kept" in error


def test_a_command_runs_without_a_home(nowhere: Path, tmp_path: Path) -> None:
    done = _run("-m", "simlab.cli", "schema", nowhere=nowhere, TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["title"] == "ExperimentConfig"
    assert len(done.stderr.splitlines()) == 1
    assert f"compiled code is kept in {tmp_path}/simlab-{os.getuid()}/compiled-" in done.stderr


def test_compiled_code_runs_without_any_folder(nowhere: Path) -> None:
    done = _run("-c", NO_FOLDER.format(nowhere=str(nowhere)), nowhere=nowhere)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "None\n", "kept nowhere, least of all beside the sources without a fingerprint"
    assert len(done.stderr.splitlines()) == 1
    assert "compiled code is not kept" in done.stderr


def test_the_fingerprint_follows_the_content_of_every_file(tmp_path: Path) -> None:
    files = [tmp_path / "a.py", tmp_path / "b.py"]
    for file in files:
        file.write_text("x = 1")
    before = fingerprint(files)
    assert fingerprint(reversed(files)) == before
    files[1].write_text("x = 2")
    assert fingerprint(files) != before
