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
