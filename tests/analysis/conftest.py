"""Recorded runs that the tests of the analysis read."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import simlab
from simlab.recording.manifest import MANIFEST_FILE, RUNNING, write_reached

CONFIGS = Path(__file__).parents[2] / "configs"
AT_THE_END = {
    "ended",
    "counts",
    "reached",
    "event_log_hash",
    "messages",
    "trades",
    "populations",
    "instruments",
}
"""What only a run that came to its end has in its manifest."""


@pytest.fixture(scope="session")
def day(tmp_path_factory: pytest.TempPathFactory) -> simlab.Run:
    """Return the quickstart market's first 6,000 steps, recorded."""
    return simlab.run(CONFIGS / "quickstart.yaml", steps=6_000, out=tmp_path_factory.mktemp("runs"))


@pytest.fixture
def killed(day: simlab.Run, tmp_path: Path) -> simlab.Run:
    """Return the quickstart market as a process that was killed after 4,000 steps leaves it."""
    folder = shutil.copytree(day.path, tmp_path / "killed")
    manifest = json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))
    kept = {key: value for key, value in manifest.items() if key not in AT_THE_END}
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    running = json.dumps(kept | {"status": RUNNING, "pid": ended.pid})
    (folder / MANIFEST_FILE).write_text(running, encoding="utf-8")
    write_reached(folder, 4_000)
    return simlab.open(folder)


@pytest.fixture(scope="session")
def two_shares(tmp_path_factory: pytest.TempPathFactory) -> simlab.Run:
    """Return a recorded market of two shares."""
    return simlab.run(CONFIGS / "two_shares.yaml", steps=3_000, out=tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def thin(tmp_path_factory: pytest.TempPathFactory) -> simlab.Run:
    """Return a market of three noise traders, whose book is often empty on a side."""
    account = {"borrowing": "free", "short_selling": "free"}
    noise = {"strategy": "noise", "count": 3, "activation": {"rate": 0.2}, "account": account}
    config = {
        "name": "thin",
        "seed": 1,
        "steps": 2_000,
        "instruments": {"ACME": {"initial_price": 10_000}},
        "populations": {"noise": noise},
    }
    return simlab.run(config, out=tmp_path_factory.mktemp("runs"))
