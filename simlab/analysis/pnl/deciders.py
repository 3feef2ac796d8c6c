"""Put P&L down to the decisions that the orders were sent in, and to who decided."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis.pnl.attribution import fees_paid, initial_gains, taker_gains
from simlab.analysis.pnl.fills import F_MAKER, F_QUANTITY, F_TAKER, Fills
from simlab.analysis.tables import Frames, SentOrders, require, require_steps
from simlab.errors import AnalysisError

__all__ = ["NOT_RECORDED", "START", "decision_gains", "pnl_by_source"]

Int64 = NDArray[np.int64]

NOT_RECORDED = "not recorded"
"""Source of what was traded with orders that no recorded decision sent."""
START = "initial inventory"
"""Source of what an inventory held from the start gained."""

_SOURCES = ("llm", "ml", "heuristic", "none", NOT_RECORDED, START)
_TAKER_ORDER, _MAKER_ORDER = 6, 7
_SIDES = ((F_TAKER, _TAKER_ORDER, 1), (F_MAKER, _MAKER_ORDER, -1))
_GAINS = ("fills", "volume", "markout", "gain", "fees")
_SPENT = ("calls", "cached", "tokens_in", "tokens_out", "cost")


class _FillsOfOrders(Fills):
    """Fills with two more columns: the ids of the taker's and of the maker's order."""

    def _fills(self, frame: pd.DataFrame) -> Int64:
        ids = ["taker_order_id", "maker_order_id"]
        require(frame, ids, "trades")
        return np.hstack([super()._fills(frame), frame[ids].to_numpy(np.int64)])


def decision_gains(
    decisions: pd.DataFrame,
    trades: Frames,
    quotes: Frames,
    agents: pd.DataFrame,
    instruments: pd.DataFrame,
    accounts: Frames | None = None,
    *,
    horizon: int | None = 10,
) -> pd.DataFrame:
    """Return decisions with what their orders' fills were worth.

    For a fill at step t of q lots (negative for the seller) at price p, with m_h the mid at the end of step
    t + horizon and M the closing mark::

        markout = q (m_h - p)
        gain    = q (M - p)

    each times the instrument's multiplier, summed over the fills of all orders that were sent in a decision,
    also where a later decision has replaced the order.

    Parameters
    ----------
    decisions : DataFrame
        ``account`` (numbers), ``first_order``, ``last_order``, ``orders``.
    trades, quotes : Frames
        In order of steps; trades are read once, in memory that follows the decisions.
    agents, instruments : DataFrame
    accounts : Frames, optional
        Tells the closing marks; by default they are the last mids.
    horizon : int, optional
        Steps from 0; takes quotes of every step. With None there is no ``markout`` (NaN).

    Returns
    -------
    DataFrame
        The decisions, and ``fills``, ``volume`` (lots), and in money units ``markout``, ``gain`` and ``fees``
        (positive when paid).

    Raises
    ------
    AnalysisError
        See `simlab.analysis.pnl.attribution`.

    Example
    -------
    >>> run = simlab.open("runs/mixed_agents-1-1")  # doctest: +SKIP
    >>> run.decision_gains().groupby("source")["gain"].mean()  # doctest: +SKIP
    """
    source = _FillsOfOrders(trades, quotes, agents, instruments, accounts)
    sums = _in_money_units(_sums(decisions, source, horizon).iloc[: len(decisions)], horizon)
    return decisions.assign(**{name: sums[name].to_numpy() for name in sums})


def pnl_by_source(
    decisions: pd.DataFrame,
    trades: Frames,
    quotes: Frames,
    agents: pd.DataFrame,
    instruments: pd.DataFrame,
    accounts: Frames | None = None,
    *,
    horizon: int | None = 10,
) -> pd.DataFrame:
    """Return what each population earned by whose decisions: language models, learners, rules.

    The gains of `decision_gains`, summed by population and source. The sources of a population add up to its
    P&L exactly: what was traded with orders of decisions that are not recorded, and what an inventory held
    from the start gained, have rows of their own, ``not recorded`` and ``initial inventory``.

    Parameters
    ----------
    decisions : DataFrame
        As for `decision_gains`, and ``source``; ``calls``, ``cached``, ``tokens_in``, ``tokens_out`` and
        ``cost`` are summed where they are there.
    trades, quotes, agents, instruments, accounts, horizon
        As for `decision_gains`.

    Returns
    -------
    DataFrame
        One row a population with decisions and a source, in the order of the table agents: ``population``,
        ``source``, ``decisions``, ``fills``, ``volume`` (lots), ``markout``, ``gain``, ``fees`` (positive
        when paid), ``total`` (gain less fees; all money units), ``calls``, ``cached``, ``tokens_in``,
        ``tokens_out`` and ``cost`` (currency), which is not in the total.

    Raises
    ------
    AnalysisError
        See `simlab.analysis.pnl.attribution`.

    Example
    -------
    >>> run = simlab.open("runs/mixed_agents-1-1")  # doctest: +SKIP
    >>> run.pnl_by_source()[["population", "source", "decisions", "total", "cost"]]  # doctest: +SKIP
    """
    require(decisions, ("source",), "decisions")
    source = _FillsOfOrders(trades, quotes, agents, instruments, accounts)
    sums = _sums(decisions, source, horizon)
    sums = _sums(decisions, source, horizon)
    spent = decisions.reindex(columns=_SPENT).astype(float).fillna(0.0).reset_index(drop=True)
    told = {"population": _populations(decisions, source), "source": decisions["source"].astype(str)}
    held = source.agents["population"]
    others = sums.iloc[len(decisions) :].assign(population=held.to_numpy(), source=NOT_RECORDED)
    rows = [
        sums.iloc[: len(decisions)].assign(**{name: it.to_numpy() for name, it in told.items()}, decisions=1),
        others[others["fills"] > 0],
        pd.DataFrame({"population": held, "source": START, "gain": initial_gains(source)}),
    ]
    rows[0] = rows[0].join(spent)
    rows[2] = rows[2][rows[2]["gain"] != 0]
    return _by_source(pd.concat(rows, ignore_index=True), held, horizon)


def _by_source(rows: pd.DataFrame, populations: pd.Series, horizon: int | None) -> pd.DataFrame:
    """Sum rows by population and source, of the populations that decided anything."""
    counted = ["decisions", "fills", "volume", *_SPENT[:-1]]
    rows = rows[rows["population"].isin(rows.loc[rows["decisions"].notna(), "population"])]
    order = {"population": populations.unique().tolist(), "source": _SOURCES}
    for name, known in order.items():
        rows = rows.assign(**{name: pd.Categorical(rows[name], known)})
    table = rows.groupby(list(order), observed=True).sum().reset_index()
    table = table.astype(dict.fromkeys(order, str) | dict.fromkeys(counted, np.int64))
    table = table.assign(**_in_money_units(table, horizon))
    table["total"] = table["gain"] - table["fees"]
    return table[["population", "source", "decisions", *_GAINS, "total", *_SPENT]]


def _populations(decisions: pd.DataFrame, source: Fills) -> pd.Series:
    found = decisions["account"].map(source.agents.set_index("account")["population"])
    if found.isna().any():
        wrong = decisions["account"][found.isna()].iloc[0]
        raise AnalysisError(f"decisions: account {wrong} is unknown; give it a row in the table agents")
    return found


def _sums(decisions: pd.DataFrame, source: Fills, horizon: int | None) -> pd.DataFrame:
    """Return a row a decision, and below them a row an account for what no decision sent.

    Columns are `_GAINS`, all int64; markout and gain in half money units.
    """
    if horizon is not None:
        require_steps(horizon, "horizon", 0)
        source.require_every_step("a mark-out")
    sent, numbers = SentOrders(decisions), source.agents["account"].to_numpy(np.int64)
    sums = {name: np.zeros(len(decisions) + len(numbers), np.int64) for name in _GAINS}
    for fills in source:
        marked = {"gain": source.closing_marks_of(fills)}
        if horizon is not None:
            marked["markout"] = source.marks_of(fills, horizon)
        gains = {name: taker_gains(source, fills, marks) for name, marks in marked.items()}
        for who, order, sign in _SIDES:
            rows = sent.decision_of(numbers[fills[:, who]], fills[:, order])
            rows = np.where(rows < 0, len(decisions) + fills[:, who], rows)
            added = {name: sign * gain for name, gain in gains.items()}
            added |= {"volume": np.abs(fills[:, F_QUANTITY]), "fees": fees_paid(source, fills, who)}
            for name, values in (added | {"fills": np.ones(len(fills), np.int64)}).items():
                np.add.at(sums[name], rows, values)
    return pd.DataFrame(sums)


def _in_money_units(sums: pd.DataFrame, horizon: int | None) -> pd.DataFrame:
    """Return the columns `_GAINS` with what is in half money units in whole ones."""
    markout = sums["markout"] / 2 if horizon is not None else np.nan
    return sums[list(_GAINS)].assign(markout=markout, gain=sums["gain"] / 2)
