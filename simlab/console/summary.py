"""Show the summary of a run: its populations, what the market refused them, and its instruments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

__all__ = ["decision_lines", "refusal_lines", "summary_tables"]


def summary_tables(summary: Mapping[str, Any], price_units: Mapping[str, float]) -> Group:
    """Return a table of the populations and one of the instruments, for a rich console.

    P&L and prices are in currency, that is money units and price units times `price_unit`; where the
    instruments differ in `price_unit` P&L stays in money units.

    Parameters
    ----------
    summary : mapping
        As `simlab.kernel.simulation.Simulation.summary` returns it.
    price_units : mapping
        Of each instrument by its name: its `price_unit`, currency.
    """
    populations = _populations(summary["populations"], price_units)
    refusals = [Text(line) for line in refusal_lines(summary["populations"])]
    deciders = [Text(line) for line in decision_lines(summary["populations"])]
    return Group(populations, *refusals, *deciders, _instruments(summary["instruments"], price_units))


def refusal_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each population of which the market refused messages: how many, and why.

    Parameters
    ----------
    rows : sequence of mapping
        The populations of a summary; the key ``refused_reasons``, where there, counts by reason.

    Example
    -------
    >>> reasons = {"market_halted": 3, "funds": 1_000}
    >>> refusal_lines([{"population": "noise", "refused": 1_003, "refused_reasons": reasons}])
    ['1,003 messages of noise were refused: 1,000 funds, 3 market halted']
    """
    lines = []
    for row in rows:
        if refused := int(row.get("refused", 0)):
            reasons = {why: n for why, n in row.get("refused_reasons", {}).items() if n}
            ordered = sorted(reasons.items(), key=lambda it: -it[1])
            why = ", ".join(f"{n:,} {reason.replace('_', ' ')}" for reason, n in ordered)
            what = "1 message" if refused == 1 else f"{refused:,} messages"
            verb = "was" if refused == 1 else "were"
            lines.append(f"{what} of {row['population']} {verb} refused{f': {why}' if why else ''}")
    return lines


def decision_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each population that says who decided, and one for who before did not, and why.

    Parameters
    ----------
    rows : sequence of mapping
        The populations of a summary, with the keys ``decisions`` and ``fallbacks`` where there are any.

    Example
    -------
    >>> row = {"population": "p", "decisions": {"llm": 18, "ml": 2}, "fallbacks": {"llm timeout": 2}}
    >>> decision_lines([row])
    ['20 decisions of p: 18 by llm, 2 by ml', 'Decisions of p were passed on 2 times: 2 llm timeout']
    """
    lines = []
    for row in rows:
        if decided := row.get("decisions"):
            named = ((n, "nobody" if name == "none" else name) for name, n in decided.items())
            who = ", ".join(f"{n:,} by {name}" for n, name in named)
            count = sum(decided.values())
            lines.append(f"{count:,} decision{'' if count == 1 else 's'} of {row['population']}: {who}")
        if passed := row.get("fallbacks"):
            why = ", ".join(f"{n:,} {reason}" for reason, n in passed.items())
            times = "once" if sum(passed.values()) == 1 else f"{sum(passed.values()):,} times"
            lines.append(f"Decisions of {row['population']} were passed on {times}: {why}")
    return lines


def _populations(rows: Sequence[Mapping[str, Any]], price_units: Mapping[str, float]) -> Table:
    units = set(price_units.values())
    money, unit = (units.pop(), "currency") if len(units) == 1 else (1.0, "money units")
    table = _table(
        "Populations",
        "population",
        "agents",
        "orders",
        "fills",
        "volume (lots)",
        f"mean P&L ({unit})",
        f"std of P&L ({unit})",
    )
    for row in rows:
        counts = (f"{row[key]:,}" for key in ("agents", "orders", "fills", "volume"))
        table.add_row(
            row["population"], *counts, _decimal(row["pnl_mean"], money), _decimal(row["pnl_std"], money)
        )
    return table


def _instruments(rows: Sequence[Mapping[str, Any]], price_units: Mapping[str, float]) -> Table:
    table = _table(
        "Instruments",
        "instrument",
        "trades",
        "volume (lots)",
        "mean spread (currency)",
        "volatility (per step)",
        "last price (currency)",
    )
    for row in rows:
        unit = price_units[row["instrument"]]
        volatility = row["volatility"]
        table.add_row(
            row["instrument"],
            f"{row['trades']:,}",
            f"{row['volume']:,}",
            _decimal(row["mean_spread"], unit, digits=4),
            "-" if volatility is None or volatility != volatility else f"{volatility:.3g}",
            _decimal(row["last_price"], unit, digits=4),
        )
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _decimal(value: float | None, unit: float, digits: int = 2) -> str:
    if value is None or value != value:
        return "-"
    return f"{value * unit:,.{digits}f}"
