"""Run one experiment, record it, say how it went."""

from simlab.runner.report import summary_tables
from simlab.runner.run import Outcome, execute, run

__all__ = ["Outcome", "execute", "run", "summary_tables"]
