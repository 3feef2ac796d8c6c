"""Strategies in a package that is built and installed beside simlab, in an environment of its own, work."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = {
    "pyproject.toml": """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "shy-agents"
version = "1.0"
dependencies = ["simlab"]

[project.entry-points."simlab.strategies"]
shy = "shy_agents.bidding:Shy"
shy_crowd = "shy_agents.crowd:Crowd"
shy_fast = "shy_agents.fast:fast"
""",
    "shy_agents/__init__.py": "",
    "shy_agents/prices.py": "def below(price, distance):\n    return price - distance\n",
    "shy_agents/bidding.py": '''
from pathlib import Path
from typing import Annotated, Literal

from annotated_types import Ge, Le

from shy_agents.prices import below
from simlab.agents.each import agent_strategy


@agent_strategy("shy")
class Shy:
    """Bid far below the market.

    Parameters
    ----------
    size : int, lots
        Order size.
    distance : float, price units
        From the last price.
    """

    def __init__(
        self,
        size: Annotated[int, Ge(1), Le(100)] = 1,
        distance: float = 0.5,
        mode: Literal["fast", "slow"] = "fast",
        path: Path | None = None,
        verbose: bool = False,
    ):
        assert isinstance(size, int)
        assert path is None or path.is_absolute()
        self.size, self.distance = size, int(distance)

    def decide(self, observation, orders):
        if observation.last_price > self.distance:
            orders.limit("buy", below(observation.last_price, self.distance), self.size)
''',
    "shy_agents/crowd.py": """
from simlab.agents.batch import batch_strategy


@batch_strategy("crowd", "Asks the lowest price.")
class Crowd:
    def __init__(self, size: int = 1):
        self.size = size

    def decide(self, observation, orders):
        orders.limit(range(len(observation.agents)), "sell", observation.last_price[0] + 1, self.size)
""",
    "shy_agents/fast.py": """
from simlab.agents.compiled import compiled_strategy, limit


@compiled_strategy("fast", "Bids the best bid.")
def fast(view, me, rng, orders):
    if view.bid_depth:
        limit(orders, view, 0, view.best_bid, view.lot_size)
""",
}
MARKET = """
steps: 20
instruments: {ACME: {initial_price: 100}}
populations:
  shy:
    strategy: shy
    count: 3
    parameters: {size: {uniform: [1, 9]}, distance: 5}
    options: {mode: slow, path: notes.txt}
    account: {cash: 1_000_000}
  crowd: {strategy: shy_crowd, options: {size: 2}, account: {inventory: 100}}
  fast: {strategy: shy_fast, account: {cash: 1_000_000}}
  named: {strategy: "shy_agents.bidding:Shy", account: {cash: 1_000_000}}
"""
CHECK = """
from simlab.agents.registry import known_strategies
from simlab.testing import check_strategy
for name in ("shy", "shy_crowd", "shy_fast"):
    check_strategy(known_strategies()[name], seeds=range(3))
"""


def _run(*command: str | Path, cwd: Path, succeeds: bool = True) -> subprocess.CompletedProcess[str]:
    # Interpreted: what is installed elsewhere would be compiled anew, and that is not what is tested here.
    environment = {key: it for key, it in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"NUMBA_DISABLE_JIT": "1", "COLUMNS": "200", "NO_COLOR": "1"}
    done = subprocess.run(
        [str(it) for it in command],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert (done.returncode == 0) == succeeds, done.stderr
    return done


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the interpreter of an environment with simlab and the package, both installed from wheels.

    Their dependencies are those of this environment, by a path file, so that nothing is fetched.
    """
    folder = tmp_path_factory.mktemp("plugin")
    for name, text in PACKAGE.items():
        file = folder / "source" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    offline = ("--quiet", "--no-deps", "--no-index", "--disable-pip-version-check")
    pip = (sys.executable, "-m", "pip")
    _run(*pip, "wheel", *offline, "--no-build-isolation", "-w", "dist", folder / "source", ROOT, cwd=folder)
    _run(sys.executable, "-m", "venv", "--without-pip", "venv", cwd=folder)
    python = folder / "venv" / ("Scripts" if os.name == "nt" else "bin") / "python"
    site = _run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder)
    (Path(site.stdout.strip()) / "others.pth").write_text(sysconfig.get_path("purelib"))
    wheels = sorted((folder / "dist").glob("*.whl"))
    assert len(wheels) == 2
    _run(*pip, "--python", python, "install", *offline, *wheels, cwd=folder)
    (folder / "market.yaml").write_text(MARKET)
    return python


def test_the_environment_has_its_own_simlab_and_the_package(python: Path) -> None:
    code = "import simlab, shy_agents; print(simlab.__file__, shy_agents.__file__)"
    told = _run(python, "-c", code, cwd=python.parent)
    assert all(str(python.parent.parent) in file for file in told.stdout.split())


def test_its_strategies_run_by_name_and_by_module(python: Path) -> None:
    folder = python.parents[2]
    done = _run(python, "-m", "simlab.cli", "run", "market.yaml", "--json", "-q", cwd=folder)
    outcome = json.loads(done.stdout)
    orders = {row["population"]: row["orders"] for row in outcome["populations"]}
    assert orders.pop("fast") > 10
    assert orders == {"shy": 60, "crowd": 20, "named": 20}
    manifest = json.loads((folder / outcome["run_dir"] / "manifest.json").read_text())
    hashes = {Path(file).name: it for file, it in manifest["plugins"].items()}
    expected = {
        Path(name).name: hashlib.sha256(text.encode()).hexdigest()
        for name, text in PACKAGE.items()
        if name.endswith(".py")
    }
    assert hashes == expected


def test_they_are_listed_and_described(python: Path) -> None:
    listed = _run(python, "-m", "simlab.cli", "strategies", cwd=python.parent).stdout
    assert all(f" {name} " in listed for name in ("shy", "shy_crowd", "shy_fast", "noise"))
    described = _run(python, "-m", "simlab.cli", "strategies", "shy", cwd=python.parent).stdout
    assert "Bid far below the market." in described
    assert "from 1 to 100 whole" in described
    assert "Literal['fast', 'slow']" in described


def test_a_mistake_in_their_parameters_is_named_as_in_a_built_in_strategys(python: Path) -> None:
    settings = {
        "parameters.sise=1": "parameters.sise: 1: strategy 'shy' has no such parameter; did you mean 'size'?",
        "parameters.size=1.5": "parameters.size: 1.5: must be a whole number (lots)",
        "parameters.size=101": "parameters.size: 101: must be at most 100 (lots)",
        "options.mode=fsat": "options.mode: 'fsat': must be 'fast' or 'slow'; did you mean 'fast'?",
    }
    for setting, expected in settings.items():
        command = ("-m", "simlab.cli", "validate", "market.yaml", "--set", f"populations.shy.{setting}")
        done = _run(python, *command, cwd=python.parents[2], succeeds=False)
        assert expected in done.stderr


def test_they_pass_the_conformance_suite(python: Path) -> None:
    _run(python, "-c", CHECK, cwd=python.parent)
