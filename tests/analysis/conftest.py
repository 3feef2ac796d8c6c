"""Recorded runs that the tests of the analysis read."""

from __future__ import annotations

from pathlib import Path

import pytest

import simlab

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.fixture(scope="session")
def day(tmp_path_factory: pytest.TempPathFactory) -> simlab.Run:
    """Return the quickstart market's first 6,000 steps, recorded."""
    return simlab.run(CONFIGS / "quickstart.yaml", steps=6_000, out=tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def two_shares(tmp_path_factory: pytest.TempPathFactory) -> simlab.Run:
    """Return a recorded market of two shares."""
    return simlab.run(CONFIGS / "two_shares.yaml", steps=3_000, out=tmp_path_factory.mktemp("runs"))
