"""The benchmarks of forks and checkpoints make what they measure."""

from __future__ import annotations

from simlab.bench import checkpoint
from simlab.bench.fork import run


def test_forks_come_to_ends_of_their_own() -> None:
    memory, recorded = run(forks=3, steps=40)
    assert (memory["how"], recorded["how"]) == ("in memory", "recorded")
    for row in (memory, recorded):
        assert (row["forks"], row["steps_each"]) == (3, 20)
        assert row["seconds"] > 0
        assert row["beside_stepping_ms"] > 0


def test_checkpoints_are_copied_and_written() -> None:
    (row,) = checkpoint.run(agents=50, seconds=0.3)
    assert row["agents"] == 60
    assert min(row["copy_ms"], row["write_ms"], row["megabytes"]) > 0
    assert 0 < row["share"] < 1
