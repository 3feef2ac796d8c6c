"""Compare runs: treatments against a baseline, measure by measure, after a warm-up; sweeps too.

Owns what a treatment is, the measures that comparisons are about if no others are asked for, and how long a
run takes to forget its start. May import `pnl`, `quality`, `statistics`, `tables` and `libraries`.
"""

from __future__ import annotations

from simlab.analysis.compare.games import Game, Rest, profiles
from simlab.analysis.compare.measures import UNITS, run_measures
from simlab.analysis.compare.sensitivity import INDEXED, drawn_for, sensitivity
from simlab.analysis.compare.sweeps import (
    FACTS,
    PLANNED,
    TOURNAMENT,
    is_sweep,
    parameter_effects,
    read_sweep,
    treatment_effects,
)
from simlab.analysis.compare.tournament import Judged, judge
from simlab.analysis.compare.treatments import NO_DIFFERENCE, ONE_SEED, Measures, compare
from simlab.analysis.compare.warmup import mser, warmup

__all__ = [
    "FACTS",
    "INDEXED",
    "NO_DIFFERENCE",
    "ONE_SEED",
    "PLANNED",
    "TOURNAMENT",
    "UNITS",
    "Game",
    "Judged",
    "Measures",
    "Rest",
    "compare",
    "drawn_for",
    "is_sweep",
    "judge",
    "mser",
    "parameter_effects",
    "profiles",
    "read_sweep",
    "run_measures",
    "sensitivity",
    "treatment_effects",
    "warmup",
]
