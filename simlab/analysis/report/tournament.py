"""The section of the page of a tournament: ranking, equilibria, where the shares go, and the payoff table."""

from __future__ import annotations

import pandas as pd

from simlab.analysis.compare import Judged, judge
from simlab.analysis.figures import dynamics
from simlab.analysis.report.elements import Cell, Element, Figure, Section, Table, Text, attempt, number

__all__ = ["ecology_section"]

_PROFILES_SHOWN = 1_000


def ecology_section(found: pd.DataFrame) -> Section:
    """Return the section of a tournament's strategies."""
    return Section("ecology", "Strategies", attempt("Strategies", lambda: _ecology(found)))


def _ecology(found: pd.DataFrame) -> list[Element]:
    judged, told = judge(found), found.attrs["tournament"]
    scale = told["agents"] // told["players"]
    about = (
        f"{told['players']} players choose a strategy each, with {scale} agents of it; payoffs are the P&L of"
        " one agent, in money units. A strategy's share grows while it earns more than the mean (replicator"
        " dynamics). Intervals are of 95%, over resampled seeds; regret is what a player loses against the"
        " best answer to where the dynamics leads."
    )
    triangle = "A corner is a market of one strategy; paths begin everywhere inside."
    caption = triangle if len(judged.names) == 3 else "Shares over time, from equal ones."
    picture = Figure(dynamics(judged.game, judged.names), "Replicator dynamics", caption)
    return [Text(about), _ranking(judged), picture, _rests(judged), _payoffs(judged)]


def _ranking(judged: Judged) -> Table:
    rows = [
        [
            Cell(row.strategy, row.strategy),
            number(row.share, 3),
            _interval(row.share_low, row.share_high),
            number(row.payoff, 4, significant=True),
            number(row.regret, 4, significant=True),
            _interval(row.regret_low, row.regret_high),
            number(row.first, 3),
        ]
        for row in judged.ranking.itertuples()
    ]
    columns = [("strategy", False), ("share in the end", True), ("95%", False), ("payoff there", True)]
    columns += [("regret", True), ("regret 95%", False), ("ranks first in", True)]
    return Table("Ranking", columns, rows, "`ranks first in` is a share of resampled seeds.")


def _rests(judged: Judged) -> Table:
    rows = [
        [
            *(number(share, 3) for share in it.mixture),
            number(it.payoff, 4, significant=True),
            Cell("yes" if it.stable else "no", it.stable),
        ]
        for it in judged.equilibria
    ]
    columns = [*((name, True) for name in judged.names), ("payoff", True), ("stable", False)]
    return Table("Symmetric equilibria", columns, rows, "Of the mean payoffs; those that a search finds.")


def _payoffs(judged: Judged) -> Table:
    shown = judged.payoffs.head(_PROFILES_SHOWN)
    rows = [
        [
            *(number(float(row[name]), 0) for name in judged.names),
            Cell(row["strategy"], row["strategy"]),
            number(row["payoff"], 4, significant=True),
            _interval(row["low"], row["high"]),
            number(float(row["runs"]), 0),
        ]
        for row in shown.to_dict("records")
    ]
    columns = [*((name, True) for name in judged.names), ("strategy", False), ("payoff", True)]
    columns += [("95%", False), ("seeds", True)]
    left = len(judged.payoffs) - len(shown)
    return Table("Payoffs by players of each strategy", columns, rows, f"and {left:,} more" if left else "")


def _interval(low: float, high: float) -> Cell:
    ends = [number(it, 4, significant=True).text for it in (low, high)]
    return Cell(f"{ends[0]} to {ends[1]}", low)
