"""The benchmark of environments steps markets in which something happens."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from simlab.bench.env import missing_peers, run


def test_it_measures_every_environment_singly_and_together() -> None:
    rows = run(steps=60, markets=3)
    ours = [row for row in rows if row["environment"].startswith("simlab/")]
    assert len(ours) == 6
    assert {(row["markets"], row["steps"]) for row in ours} == {(1, 60), (3, 60)}
    assert all(row["steps_per_s"] > 0 < row["steps_per_cpu_s"] for row in rows)


@pytest.mark.slow
def test_the_command_says_what_it_did_not_measure() -> None:
    command = [
        sys.executable,
        "-m",
        "simlab.cli",
        "bench",
        "env",
        "--steps",
        "40",
        "--markets",
        "2",
        "--json",
    ]
    done = subprocess.run(command, text=True, capture_output=True, check=True)
    assert [json.loads(line)["markets"] for line in done.stdout.splitlines()][:2] == [1, 2]
    assert all(f"{name} is not installed" in done.stderr for name in missing_peers())
