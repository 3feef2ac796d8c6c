"""A short run of the fuzzer that coverage guides; a long one is ``python tests/live/fuzz_wire.py``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def test_the_wires_hold_for_what_coverage_finds(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="atheris has wheels for Linux on x86-64 only")
    command = [sys.executable, str(Path(__file__).with_name("fuzz_wire.py")), "-runs=10000", "-seed=1"]
    # The fuzzer's own limit counts the most that this process ever took, which its process begins with.
    command += ["-max_len=400", "-rss_limit_mb=0"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done 10000 runs" in done.stderr
