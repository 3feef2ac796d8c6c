"""What happens from outside is looked at before the run: `validate` finds what the run would come upon."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from simlab.config import build, load, validate
from simlab.errors import ConfigError
from simlab.kernel import Simulation

Write = Callable[[str, str], Path]

TRADERS = """
populations:
  value: {strategy: value, count: 5, activation: {rate: 0.05}, account: {cash: 10_000_000, inventory: 100}}
  noise: {strategy: noise, count: 5, activation: {rate: 0.05}, account: {cash: 10_000_000, inventory: 100}}
"""


def _market(steps: int, fundamental: str) -> str:
    share = f"{{initial_price: 10000, fundamental: {fundamental}}}"
    return f"steps: {steps}\ninstruments: {{ACME: {share}}}{TRADERS}"


@pytest.mark.parametrize(
    ("steps", "fundamental", "words"),
    [
        (20_000, "{model: geometric, drift: 0.05}", r"drift 0\.05 takes the geometric value.* at step 246;"),
        (60_000, "{model: geometric, volatility: 0.2}", r"volatility 0\.2 takes the geometric value to zero"),
        (400, "{model: file, path: short.csv}", r"short\.csv has 300 rows.*step 399 is asked for"),
        (100, "{model: mean_reverting, initial: 1e10}", r"initial is 10000000000\.0; it must be at most"),
    ],
)
def test_a_fundamental_that_cannot_last_is_found_by_validate(
    write: Write, steps: int, fundamental: str, words: str
) -> None:
    write("short.csv", "close\n" + "10000\n" * 300)
    path = write("market.yaml", _market(steps, fundamental))
    with pytest.raises(ConfigError, match=words):
        validate(path)


def test_what_was_built_can_be_run_twice(write: Write) -> None:
    path = write("market.yaml", _market(50, "{model: geometric, volatility: 0.01}"))
    spec = build(load(path))
    hashes = []
    for _ in range(2):
        simulation = Simulation(spec)
        simulation.advance()
        assert simulation.messages > 0
        hashes.append(simulation.event_log_hash)
    assert hashes[0] == hashes[1]
