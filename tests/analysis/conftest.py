"""Recorded runs that the tests of the analysis read."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
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


EXPLAINING = """
from simlab.agents.batch import batch_strategy
from simlab.agents.strategy import Decider

MARKUP = "</script><script>document.title = 'owned'</script><img src=x onerror=alert(2)>"


@batch_strategy("thinker", "Crosses the spread and says why; every third time it fails.", decider=Decider.LLM)
class Thinker:
    def decide(self, observation, orders):
        for i, agent in enumerate(observation.index):
            if (observation.step + agent) % 3 == 0:
                orders.note([i], request="asked", calls=2, tokens_in=90, tokens_out=9, cost=0.01, ms=40.0)
                orders.pass_on([i], "invalid answer", "no JSON; llm is not the end of it: " + MARKUP)
            else:
                spent = {"calls": 1, "cached": 1, "tokens_in": 50, "tokens_out": 5, "cost": 0.005}
                orders.note([i], reason=f"{MARKUP} {'because ' * 300} of step {observation.step}", **spent)
                orders.note([i], ms=20.0 + int(agent), mood="calm")
                orders.limit([i], "sell" if observation.step % 2 else "buy", 1000, 3)


@batch_strategy("secretive", "Explains every second time only.")
class Secretive:
    def decide(self, observation, orders):
        everyone = range(len(observation.agents))
        if observation.step % 2:
            orders.note(everyone, reason="odd step")
        orders.limit(everyone, "buy" if observation.step % 4 < 2 else "sell", 1000, 2)
"""


@pytest.fixture(scope="session")
def explained_market() -> Callable[..., simlab.Run]:
    """Return what records a market with fees of agents that explain themselves, fall back, or do neither."""

    def recorded(folder: Path, **changes: object) -> simlab.Run:
        (folder / "explaining.py").write_text(EXPLAINING, encoding="utf-8")
        account = {"cash": 10_000_000, "inventory": 50, "short_selling": "free"}
        common = {"account": account, "activation": {"rate": 0.5}}
        noise = {"strategy": "noise", "parameters": {"offset": 5}}
        thinkers = {"strategy": str(folder / "explaining.py:Thinker"), "count": 4, "fallback": [noise]}
        secretive = {"strategy": str(folder / "explaining.py:Secretive"), "count": 2}
        config = {
            "name": "explained",
            "steps": 200,
            "instruments": {"ACME": {"initial_price": 1000, "taker_fee_ppm": 200, "maker_fee_ppm": -50}},
            "populations": {
                "thinkers": common | thinkers,
                "secretive": common | secretive,
                "noise": common | noise | {"count": 10},
            },
        }
        made = simlab.run(config | changes, out=folder)
        assert isinstance(made, simlab.Run)
        return made

    return recorded


@pytest.fixture(scope="session")
def explained(
    explained_market: Callable[..., simlab.Run], tmp_path_factory: pytest.TempPathFactory
) -> simlab.Run:
    """Return a recorded run of `explained_market`."""
    return explained_market(tmp_path_factory.mktemp("explained"))
