"""Split P&L into where it came from, and say who earned it from whom."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis.pnl.fills import (
    F_INSTRUMENT,
    F_MAKER,
    F_PRICE,
    F_QUANTITY,
    F_TAKER,
    MAX_CELLS,
    T_MAKER_PPM,
    T_MULTIPLIER,
    T_TAKER_PPM,
    Fills,
    group_accounts,
)
from simlab.analysis.pnl.ledger import fee
from simlab.analysis.tables import Frames, require_steps
from simlab.errors import AnalysisError

__all__ = ["attribution", "fees_paid", "initial_gains", "markouts", "taker_gains", "transfers"]

Int64 = NDArray[np.int64]

_ROLES = ("maker", "taker")


@dataclass(frozen=True)
class _Totals:
    """Sums over the fills of every account as maker and as taker, (accounts, 2) int64.

    `gains` (half money units) stands once for the mid before the fill, once for that of each horizon and once
    for the closing mark; `fees` is in money units, `volume` in lots.
    """

    gains: list[Int64]
    fees: Int64
    volume: Int64


def attribution(
    trades: Frames,
    quotes: Frames,
    agents: pd.DataFrame,
    instruments: pd.DataFrame,
    accounts: Frames | None = None,
    *,
    by: str = "population",
    horizon: int = 10,
) -> pd.DataFrame:
    """Return P&L split into spread, adverse selection, inventory and fees, which add up to it exactly.

    For a fill at step t of q lots (negative for the seller) at price p, with m the last mid before the step,
    m_h the mid at the end of step t + horizon (at horizon 0 that of the fill's own), and M the closing mark::

        spread            = q (m - p)          earned by who provides liquidity, paid by who takes it
        adverse selection = q (m_h - m)        what the price does to the position within the horizon
        inventory         = q (M - m_h)        and after it
        fees              = -fee

    each times the instrument's multiplier and summed over fills. An inventory held from the start, of q lots
    at initial price p, adds q (M - p) to inventory. The sum telescopes to cash and positions at the end less
    those at the start. For a liquidity provider, spread plus adverse selection is the realised half-spread
    (times quantity) of `simlab.analysis.quality.spreads` at the same horizon; within a step, m is before the
    step, so a trader's own earlier fills of the same step do not move the reference.

    Parameters
    ----------
    trades, quotes : Frames
        In order of steps; read once, in bounded memory.
    agents, instruments : DataFrame
    accounts : Frames, optional
        Tells the inventory at the start and the closing marks; see `simlab.analysis.pnl.pnl`.
    by : {"population", "agent"}
    horizon : int
        Steps from 0; `markouts` compares several.

    Returns
    -------
    DataFrame
        ``population`` or ``agent``; in money units, float64: ``spread``, ``adverse_selection``,
        ``inventory``, ``fees`` (negative when paid), ``total``; then each part but the total once for fills
        as maker and once for fills as taker (``spread_maker``, ``spread_taker``, ...), and
        ``inventory_initial``. What the fee account receives stands in the role of who paid it.

    Raises
    ------
    AnalysisError
        When a table lacks a column or contradicts another, the horizon is not a whole number from 0, or the
        quotes were not recorded at every step.

    References
    ----------
    Huang and Stoll (1996), Dealer versus auction markets, Journal of Financial Economics 41, for the split
    of the effective spread into realised spread and price impact.

    Example
    -------
    >>> import simlab
    >>> run = simlab.open("runs/quickstart-1")  # doctest: +SKIP
    >>> run.attribution(horizon=60)[["population", "spread", "adverse_selection", "total"]]  # doctest: +SKIP
    """
    groups = group_accounts(agents, by)
    source = Fills(trades, quotes, agents, instruments, accounts)
    totals = _totals(source, [horizon])
    at_fill, at_horizon, at_close = totals.gains
    initial = groups.sums(initial_gains(source))
    by_role = {
        "spread": groups.sums(at_fill),
        "adverse_selection": groups.sums(at_horizon - at_fill),
        "inventory": groups.sums(at_close - at_horizon),
        "fees": groups.sums(-2 * totals.fees),
    }
    halves = {name: part.sum(axis=1) for name, part in by_role.items()}
    halves["inventory"] = halves["inventory"] + initial
    halves["total"] = sum(halves.values())
    for name, part in by_role.items():
        halves |= {f"{name}_{role}": part[:, r] for r, role in enumerate(_ROLES)}
    halves["inventory_initial"] = initial
    return pd.DataFrame({by: groups.names} | {name: part / 2 for name, part in halves.items()})


def markouts(
    trades: Frames,
    quotes: Frames,
    agents: pd.DataFrame,
    instruments: pd.DataFrame,
    *,
    by: str = "population",
    horizons: Sequence[int] = (1, 10, 100, 1000),
) -> pd.DataFrame:
    """Return what fills were worth after several horizons, for fills as maker and as taker.

    For a fill at step t of q lots (negative for the seller) at price p, ``markout = q (m_h - p)``, with m_h
    the mid at the end of step t + h: spread plus adverse selection of `attribution`, before fees.

    Parameters
    ----------
    trades, quotes : Frames
    agents, instruments : DataFrame
    by : {"population", "agent"}
    horizons : sequence of int
        Steps from 0.

    Returns
    -------
    DataFrame
        ``population`` or ``agent``, ``role`` (maker or taker), ``horizon`` (steps), ``volume`` (lots), and in
        money units ``spread``, ``adverse_selection``, ``markout``. Divide by the volume to compare.

    Raises
    ------
    AnalysisError
        See `attribution`.

    Example
    -------
    >>> import simlab
    >>> run = simlab.open("runs/quickstart-1")  # doctest: +SKIP
    >>> markouts(run.trades(), run.quotes(), run.agents(), run.instruments())  # doctest: +SKIP
    """
    if not len(horizons):
        raise AnalysisError("markouts needs at least one horizon; give for instance horizons=(1, 10)")
    groups = group_accounts(agents, by)
    source = Fills(trades, quotes, agents, instruments)
    totals = _totals(source, horizons)
    spread, lots = groups.sums(totals.gains[0]) / 2, groups.sums(totals.volume)
    tables = []
    for horizon, gain in zip(horizons, totals.gains[1:-1], strict=True):
        markout = groups.sums(gain) / 2
        for r, role in enumerate(_ROLES):
            columns = {
                by: groups.names,
                "role": role,
                "horizon": horizon,
                "volume": lots[:, r],
                "spread": spread[:, r],
                "adverse_selection": markout[:, r] - spread[:, r],
                "markout": markout[:, r],
            }
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def transfers(
    trades: Frames,
    quotes: Frames,
    agents: pd.DataFrame,
    instruments: pd.DataFrame,
    accounts: Frames | None = None,
    *,
    horizon: int | None = None,
    by: str = "population",
) -> pd.DataFrame:
    """Return who earned how much from whom: in every trade one side gains what the other loses.

    For a trade of q lots at price p the buyer gains ``q (M - p)`` times the multiplier from the seller, where
    M is the closing mark, or with a horizon h the mid at the end of step t + h, which takes quotes of every
    step.

    Parameters
    ----------
    trades, quotes : Frames
    agents, instruments : DataFrame
    accounts : Frames, optional
        Tells the closing marks; by default they are the last mids.
    horizon : int, optional
        Steps from 0; the end of the run by default.
    by : {"population", "agent"}

    Returns
    -------
    DataFrame
        Money units, float64; the row's group earned it from the column's. Antisymmetric, and zero on the
        diagonal. A row sums to the group's P&L before fees, but for what an inventory held from the start
        gained.

    Raises
    ------
    AnalysisError
        See `attribution`; also when the matrix would have more than 50 million cells.

    Example
    -------
    >>> import simlab
    >>> run = simlab.open("runs/quickstart-1")  # doctest: +SKIP
    >>> transfers(run.trades(), run.quotes(), run.agents(), run.instruments()).round()  # doctest: +SKIP
    """
    groups = group_accounts(agents, by)
    size = len(groups.names)
    if size**2 > MAX_CELLS:
        raise AnalysisError(
            f"transfers between {size:,} {by}s would have {size**2:,} cells; the most is {MAX_CELLS:,}; give "
            'by="population"'
        )
    if horizon is not None:
        require_steps(horizon, "horizon", 0)
    source = Fills(trades, quotes, agents, instruments, accounts)
    if horizon is not None:
        source.require_every_step("a transfer up to a horizon")
    gained = np.zeros((size, size), np.int64)
    for fills in source:
        marks = source.closing_marks_of(fills) if horizon is None else source.marks_of(fills, horizon)
        pair = (groups.of_account[fills[:, F_TAKER]], groups.of_account[fills[:, F_MAKER]])
        np.add.at(gained, pair, taker_gains(source, fills, marks))
    return pd.DataFrame(
        (gained - gained.T) / 2,
        index=pd.Index(groups.names, name="earns"),
        columns=pd.Index(groups.names, name="from"),
    )


def taker_gains(source: Fills, fills: Int64, marks: Int64) -> Int64:
    """Return what each fill brings its taker at these marks, half money units."""
    multiplier = source.terms[fills[:, F_INSTRUMENT], T_MULTIPLIER]
    return fills[:, F_QUANTITY] * (marks - 2 * fills[:, F_PRICE]) * multiplier


def _totals(source: Fills, horizons: Sequence[int]) -> _Totals:
    for horizon in horizons:
        require_steps(horizon, "horizon", 0)
    source.require_every_step("attribution to spread and adverse selection")
    shape = (len(source.agents), len(_ROLES))
    gains = [np.zeros(shape, np.int64) for _ in range(len(horizons) + 2)]
    fees, volume = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    for fills in source:
        marks = [source.marks_of(fills, later) for later in (-1, *horizons)]
        marks.append(source.closing_marks_of(fills))
        for total, mark in zip(gains, marks, strict=True):
            gain = taker_gains(source, fills, mark)
            np.add.at(total[:, 0], fills[:, F_MAKER], -gain)
            np.add.at(total[:, 1], fills[:, F_TAKER], gain)
        _add_fees(source, fills, fees)
        for role, column in enumerate((F_MAKER, F_TAKER)):
            np.add.at(volume[:, role], fills[:, column], np.abs(fills[:, F_QUANTITY]))
    return _Totals(gains, fees, volume)


def _add_fees(source: Fills, fills: Int64, fees: Int64) -> None:
    """Add the fees that accounts pay as maker and as taker, and what the fee account receives of each."""
    for role, column in enumerate((F_MAKER, F_TAKER)):
        paid = fees_paid(source, fills, column)
        np.add.at(fees[:, role], fills[:, column], paid)
        if source.fee_account >= 0:
            fees[source.fee_account, role] -= paid.sum()


def fees_paid(source: Fills, fills: Int64, who: int) -> Int64:
    """Return what each fill costs its maker or its taker, money units; `who` is F_MAKER or F_TAKER."""
    terms = source.terms_of(fills)
    notional = np.abs(fills[:, F_QUANTITY]) * fills[:, F_PRICE] * terms[:, T_MULTIPLIER]
    return fee(notional, terms[:, T_MAKER_PPM if who == F_MAKER else T_TAKER_PPM])


def initial_gains(source: Fills) -> Int64:
    """Return what the inventory held from the start gained each account, (accounts,), half money units."""
    change = source.terms[:, T_MULTIPLIER] * (source.closing_marks - source.initial_marks)
    return source.initial_inventory @ change
