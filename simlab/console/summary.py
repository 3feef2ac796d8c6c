"""Show the summary of a run: a table of its populations and one of its instruments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.table import Table

__all__ = ["summary_tables"]


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
    return Group(
        _populations(summary["populations"], price_units), _instruments(summary["instruments"], price_units)
    )


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
