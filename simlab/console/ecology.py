"""Show what a tournament says of its strategies, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from rich.table import Table

__all__ = ["equilibria_table", "ranking_table"]


def ranking_table(ranking: pd.DataFrame) -> Table:
    """Return the strategies, the best first, with shares, payoffs and regrets where the dynamics leads."""
    table = Table(title="strategies, the best first", title_justify="left")
    names = ("strategy", "share", "95%", "payoff", "regret", "95%", "first")
    for name in names:
        table.add_column(name, justify="left" if name == "strategy" else "right")
    for row in ranking.itertuples():
        table.add_row(
            row.strategy,
            f"{row.share:.3f}",
            f"{row.share_low:.2f} to {row.share_high:.2f}",
            f"{row.payoff:,.4g}",
            f"{row.regret:,.4g}",
            f"{row.regret_low:,.4g} to {row.regret_high:,.4g}",
            f"{row.first:.0%}",
        )
    table.caption = (
        "where the replicator dynamics leads from equal shares: payoffs in money units an agent, intervals"
        " over resampled seeds; first: in how many of these it ranks first"
    )
    return table


def equilibria_table(names: Sequence[str], rows: Sequence[dict[str, Any]]) -> Table:
    """Return the symmetric equilibria: the share of each strategy, the payoff, and whether it is stable."""
    table = Table(title="symmetric equilibria", title_justify="left")
    for name in (*names, "payoff", "stable"):
        table.add_column(name, justify="right")
    for row in rows:
        shares = [f"{row['mixture'][name]:.3f}" for name in names]
        table.add_row(*shares, f"{row['payoff']:,.4g}", "yes" if row["stable"] else "no")
    return table
