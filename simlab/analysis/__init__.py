"""Read recordings: P&L, market quality, stylised facts, comparisons, figures and the report.

Every measure takes DataFrames, with the columns that `simlab.recording.TABLES` declares, and returns one; a
large table may be given in batches. `Run` has the most used ones as methods. docs/analysis.md defines all.

A room a question, each with its public names at its door and imports pointing down (`tests/analysis` holds
it)::

    5  report
    4  run
    3  compare
    2  pnl | quality | facts | figures
    1  statistics
    0  tables, libraries

May import `recording`, `core` and `errors`; needs no simulator.
"""

from __future__ import annotations

from simlab.analysis.run import Run, open_run

__all__ = ["Run", "open_run"]
