"""Say what agents earned: over time, from which source, from whom, and who earned most.

Everything is computed from fills. P&L of an account adds up exactly in each of two ways::

    total = change of cash + change of the inventory's value
          = realised + unrealised - fees

and over all accounts, the exchange's own included, it sums to zero at every step, if nobody starts with an
inventory; otherwise to what those inventories have gained.

Owns the second ledger, which books the recorded fills again. May import `tables`.
"""

from __future__ import annotations

from simlab.analysis.pnl.attribution import attribution, markouts, transfers
from simlab.analysis.pnl.deciders import decision_gains, pnl_by_source
from simlab.analysis.pnl.leaderboard import leaderboard
from simlab.analysis.pnl.over_time import pnl
from simlab.analysis.pnl.performance import (
    gini,
    inventory_half_life,
    lorenz,
    max_drawdown,
    sharpe,
    turnover,
    wealth,
    wealth_distribution,
)

__all__ = [
    "attribution",
    "decision_gains",
    "gini",
    "inventory_half_life",
    "leaderboard",
    "lorenz",
    "markouts",
    "max_drawdown",
    "pnl",
    "pnl_by_source",
    "sharpe",
    "transfers",
    "turnover",
    "wealth",
    "wealth_distribution",
]
