"""Run one experiment and record it, and carry out studies of many runs.

It may import everything but the command line and its neighbours `bench` and `live`.
"""

from simlab.runner.run import Outcome, execute, run

__all__ = ["Outcome", "execute", "run"]
