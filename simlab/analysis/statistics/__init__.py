"""Say how sure a number is: bootstrap intervals of series, tests and effect sizes of samples.

Owns what is statistics and knows nothing of markets: arrays in, numbers out. The work is done by SciPy and
arch. Imports no other room but `libraries`.
"""

from __future__ import annotations

from simlab.analysis.statistics.bootstrap import (
    Options,
    UndefinedError,
    block_length,
    percentile_interval,
    resampled_means,
)
from simlab.analysis.statistics.effects import Effect, independent, mean_interval, paired

__all__ = [
    "Effect",
    "Options",
    "UndefinedError",
    "block_length",
    "independent",
    "mean_interval",
    "paired",
    "percentile_interval",
    "resampled_means",
]
