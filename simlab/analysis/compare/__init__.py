"""Compare runs: treatments against a baseline, measure by measure, after a warm-up.

Owns what a treatment is, the measures that comparisons are about if no others are asked for, and how long a
run takes to forget its start. May import `pnl`, `quality`, `statistics`, `tables` and `libraries`.
"""

from __future__ import annotations

from simlab.analysis.compare.measures import UNITS, run_measures
from simlab.analysis.compare.treatments import NO_DIFFERENCE, ONE_SEED, Measures, compare
from simlab.analysis.compare.warmup import mser, warmup

__all__ = ["NO_DIFFERENCE", "ONE_SEED", "UNITS", "Measures", "compare", "mser", "run_measures", "warmup"]
