"""The benchmark of machine learning does the work that it measures."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from simlab.bench.ml import run


def test_it_trades_on_a_model_and_says_what_that_takes() -> None:
    result = run(agents=50, steps=40)
    assert result["orders_per_step"] > 10
    assert result["steps"] == 40
    assert result["predict_ms"] > 0
    assert result["market_with_population_ms"] > result["market_ms"] > 0
    parts = result["market_ms"] + result["predict_ms"] + result["added_ms"]
    assert abs(parts - result["market_with_population_ms"]) < 1e-9


@pytest.mark.slow
def test_the_command_prints_json() -> None:
    command = [sys.executable, "-m", "simlab.cli", "bench", "ml", "--agents", "10", "--steps", "20", "--json"]
    told = json.loads(subprocess.check_output(command, text=True))
    assert told["agents"] == 10
