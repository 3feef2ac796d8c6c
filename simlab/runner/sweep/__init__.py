"""Many runs of one experiment: a plan, workers that make its runs, and a row for each run."""

from __future__ import annotations

from simlab.runner.sweep.ecology import Tournament, tournament
from simlab.runner.sweep.pairs import pair
from simlab.runner.sweep.plan import make_plan
from simlab.runner.sweep.sweeping import SWEEPS_FOLDER, Sweep, sweep

__all__ = ["SWEEPS_FOLDER", "Sweep", "Tournament", "make_plan", "pair", "sweep", "tournament"]
