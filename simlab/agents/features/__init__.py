"""Features of a market: numbers that models forecast from, the same live and from a recording.

Owns the catalogue (`FEATURES`: name, unit, formula, warm-up) and `FeatureSet`, which computes chosen ones
once for all agents of a population. A feature that an agent uses in step t is known at the end of step t - 1:
what happens within a step depends on who acts before whom and is not recorded, the ends of steps are.
NumPy only; imports `core` and `errors`.

Example
-------
>>> from simlab.agents.features import FeatureSet
>>> chosen = FeatureSet(["spread", "mid_return_20"])
>>> chosen.units, chosen.warm_up
(('ticks', '1'), 21)
"""

from __future__ import annotations

from simlab.agents.features.catalogue import FEATURES, MAX_WINDOW, Feature
from simlab.agents.features.chosen import FEATURES_VERSION, STANDARD, FeatureSet, NewsRows
from simlab.agents.features.labels import future_move

__all__ = [
    "FEATURES",
    "FEATURES_VERSION",
    "MAX_WINDOW",
    "STANDARD",
    "Feature",
    "FeatureSet",
    "NewsRows",
    "future_move",
]
