"""Judge a trader by its P&L and inventory over time, and a society of traders by its wealth."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from simlab.analysis.tables import EXCHANGE, Frames, batches, numbers, require
from simlab.errors import AnalysisError

__all__ = [
    "gini",
    "inventory_half_life",
    "lorenz",
    "max_drawdown",
    "sharpe",
    "turnover",
    "wealth",
    "wealth_distribution",
]

_QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}
_STEPS_SHOWN = 5


def sharpe(pnl: ArrayLike) -> NDArray[np.float64]:
    """Return the Sharpe ratio over the whole length of a series of cumulative P&L.

    The mean of the increments over their standard deviation, times the square root of their number::

        sharpe = mean(d) / std(d, ddof=1) * sqrt(n),   d[k] = pnl[k] - pnl[k - 1],  pnl[-1] = 0

    It is that of P&L in money (accounts may be short or hold no capital, so that returns have no meaning),
    above a riskless gain of zero, and scaled to the length of the series as if increments were independent.

    Parameters
    ----------
    pnl : (n,) or (n, k)
        P&L since the start at equal distances in time, which runs along the first axis; any unit.

    Returns
    -------
    () or (k,) float64
        No unit. NaN where it is undefined: fewer than two increments, or increments that do not vary.

    References
    ----------
    Sharpe (1994), The Sharpe ratio, Journal of Portfolio Management 21; the factor sqrt(n) for independent
    increments: Lo (2002), The statistics of Sharpe ratios, Financial Analysts Journal 58.

    Example
    -------
    >>> float(sharpe([1.0, 3.0, 4.0, 6.0]))
    5.196152422706632
    """
    increments = np.diff(np.asarray(pnl, np.float64), axis=0, prepend=0.0)
    count = len(increments)
    if count < 2:
        return np.full(increments.shape[1:], np.nan)
    spread = increments.std(axis=0, ddof=1)
    ratio = np.full(spread.shape, np.nan)
    np.divide(
        increments.mean(axis=0) * np.sqrt(count), spread, out=ratio, where=np.ptp(increments, axis=0) > 0
    )
    return ratio


def max_drawdown(pnl: ArrayLike) -> NDArray[np.float64]:
    """Return the deepest fall of cumulative P&L below its highest value so far, the start (0) included.

    ``max over t of (max over s <= t of pnl[s] - pnl[t])``

    Parameters
    ----------
    pnl : (n,) or (n, k)
        P&L since the start, money units, in order of time along the first axis.

    Returns
    -------
    () or (k,) float64
        Money units, never negative. It is not a share, because P&L starts from zero.

    Example
    -------
    >>> float(max_drawdown([5.0, 2.0, 7.0, 3.0]))
    4.0
    """
    values = np.asarray(pnl, np.float64)
    values = np.concatenate([np.zeros((1, *values.shape[1:])), values])
    return (np.maximum.accumulate(values, axis=0) - values).max(axis=0)


def inventory_half_life(inventory: ArrayLike, every: int = 1) -> NDArray[np.float64]:
    """Return the time in which an inventory comes half of the way back to its mean.

    From a first-order autoregression fitted by least squares, with x taken at distances of `every` steps::

        x[k + 1] = a + phi x[k] + e,     half-life = every * ln(2) / -ln(phi)

    In short samples least squares puts phi too low by about (1 + 3 phi) / n (Kendall 1954), and hence the
    half-life; this is not corrected.

    Parameters
    ----------
    inventory : (n,) or (n, k)
        Inventory at equal distances in time, along the first axis; any unit.
    every : int
        Distance in steps.

    Returns
    -------
    () or (k,) float64
        Steps. Infinite when the inventory does not come back (phi >= 1), 0 when it does within one distance
        (phi <= 0), NaN when it is undefined: fewer than three values, or an inventory that does not change.

    References
    ----------
    Madhavan and Smidt (1993), An analysis of changes in specialist inventories and quotations, Journal of
    Finance 48, measure market makers so.

    Example
    -------
    >>> float(inventory_half_life([16.0, 8.0, 4.0, 2.0, 1.0], every=10))
    10.0
    """
    values = np.asarray(inventory, np.float64)
    if len(values) < 3:
        return np.full(values.shape[1:], np.nan)
    now, following = values[:-1], values[1:]
    now = now - now.mean(axis=0)
    spread = (now**2).sum(axis=0)
    phi = np.full(spread.shape, np.nan)
    np.divide(
        (now * (following - following.mean(axis=0))).sum(axis=0),
        spread,
        out=phi,
        where=np.ptp(values[:-1], axis=0) > 0,
    )
    life = np.where(phi >= 1, np.inf, np.where(phi <= 0, 0.0, np.nan))
    within = (phi > 0) & (phi < 1)
    life[within] = every * np.log(2) / -np.log(phi[within])
    return life


def turnover(notional: ArrayLike, position_value: ArrayLike) -> NDArray[np.float64]:
    """Return how many times a position was turned over.

    ``turnover = traded notional / (2 * mean over time of |position value|)``

    A purchase and the sale that undoes it are one turn, hence the 2. The SEC's Form N-1A takes the lesser of
    purchases and sales over the mean value held; here their mean, and values without their sign, because a
    position may be short.

    Parameters
    ----------
    notional : () or (k,)
        Price times quantity of all fills, money units.
    position_value : (n,) or (n, k)
        Value of the positions at equal distances in time, along the first axis, money units.

    Returns
    -------
    () or (k,) float64
        No unit. 0 for who never traded; infinite for who traded but held nothing whenever looked at.

    Example
    -------
    >>> float(turnover(400.0, [100.0, -100.0]))
    2.0
    """
    traded = np.asarray(notional, np.float64)
    held = 2 * np.abs(np.asarray(position_value, np.float64)).mean(axis=0)
    turns = np.where(traded > 0, np.inf, 0.0)
    np.divide(traded, held, out=turns, where=held > 0)
    return turns


def gini(values: ArrayLike) -> float:
    """Return the Gini coefficient, normalised so that it lies in 0 to 1 for values of any sign.

    Half the mean absolute difference over the largest it could be with the same sums of positive and of
    negative values, which is when one owns all that is positive and another owes all that is negative::

        G = sum over i, j of |x[i] - x[j]| / (2 (n - 1) sum over i of |x[i]|)

    Without negative values it is the common coefficient times n / (n - 1), its small-sample correction.

    Parameters
    ----------
    values : (n,)
        Wealth or P&L of n >= 2 persons, any unit.

    Returns
    -------
    float
        0 when all have the same, 1 in the extreme case above.

    Raises
    ------
    AnalysisError
        With fewer than two values, or one that is not finite.

    References
    ----------
    Raffinetti, Siletti and Vernizzi (2015), On the Gini coefficient normalization when attributes with
    negative values are considered, Statistical Methods and Applications 24.

    Example
    -------
    >>> gini([0, 0, 0, 10]), gini([-10, 0, 0, 10]), gini([3, 3])
    (1.0, 1.0, 0.0)
    """
    ordered = np.sort(np.asarray(values, np.float64).ravel())
    count = len(ordered)
    if count < 2 or not np.isfinite(ordered).all():
        raise AnalysisError(f"gini needs two or more finite values; it has {count}; drop missing ones first")
    if ordered[0] == ordered[-1]:
        return 0.0
    weights = 2.0 * np.arange(1, count + 1) - count - 1
    return float(weights @ ordered / ((count - 1) * np.abs(ordered).sum()))


def lorenz(values: ArrayLike) -> pd.DataFrame:
    """Return the Lorenz curve: the share of all wealth that the poorest share of the population has.

    With negative values the curve falls below zero before it rises.

    Parameters
    ----------
    values : (n,)
        Wealth of n >= 1 persons; its sum must be positive.

    Returns
    -------
    DataFrame
        ``population_share`` and ``wealth_share``, both from 0 to 1; n + 1 rows.

    Raises
    ------
    AnalysisError
        When the sum is not positive: shares of it mean nothing then (P&L sums to zero); `gini` still does.

    References
    ----------
    Lorenz (1905), Methods of measuring the concentration of wealth, Publications of the American Statistical
    Association 9.

    Example
    -------
    >>> lorenz([1, 3])["wealth_share"].tolist()
    [0.0, 0.25, 1.0]
    """
    ordered = np.sort(np.asarray(values, np.float64).ravel())
    total = ordered.sum()
    if not total > 0:
        raise AnalysisError(
            f"a Lorenz curve needs values with a positive sum; {len(ordered)} values sum to {total:g}; "
            "give wealth rather than P&L, or use gini"
        )
    shares = np.concatenate([[0.0], ordered.cumsum() / total])
    shares[-1] = 1.0
    people = np.linspace(0.0, 1.0, len(ordered) + 1)
    return pd.DataFrame({"population_share": people, "wealth_share": shares})


def wealth(
    accounts: Frames, agents: pd.DataFrame, instruments: pd.DataFrame, *, step: int | None = None
) -> pd.DataFrame:
    """Return what everybody owns at one step: cash and all positions at their marks.

    ``wealth = cash + sum over instruments of inventory * mark_price * multiplier``

    Parameters
    ----------
    accounts : Frames
    agents, instruments : DataFrame
    step : int, optional
        A step that the table accounts has; its last by default.

    Returns
    -------
    DataFrame
        ``agent``, ``population`` and ``wealth`` (float64, money units), in the order of the accounts.

    Raises
    ------
    AnalysisError
        When accounts were not recorded (at that step), or something held has no mark.

    Example
    -------
    >>> import simlab
    >>> run = simlab.open("runs/quickstart-1")  # doctest: +SKIP
    >>> wealth(run.accounts(), run.agents(), run.instruments()).nlargest(3, "wealth")  # doctest: +SKIP
    """
    rows = _rows_at(accounts, step)
    account = numbers(rows["account"], agents, "account")
    instrument = numbers(rows["instrument"], instruments, "instrument")
    multiplier = instruments.set_index("instrument")["multiplier"].reindex(instrument).to_numpy()
    inventory, mark = rows["inventory"].to_numpy(), rows["mark_price"].to_numpy(np.float64)
    unmarked = np.isnan(mark) & (inventory != 0)
    if unmarked.any():
        raise AnalysisError(
            f"accounts: account {account[unmarked][0]} holds instrument {instrument[unmarked][0]}, which has "
            "no mark_price, so that its wealth is unknown; choose a step at which it has one"
        )
    value = np.where(inventory == 0, 0.0, inventory * mark * multiplier)
    held = pd.DataFrame({"cash": rows["cash"].to_numpy(), "value": value}).groupby(account)
    owned = held["cash"].first() + held["value"].sum()
    who = require(agents, ("account", "name", "population"), "agents").set_index("account").loc[owned.index]
    return pd.DataFrame(
        {
            "agent": who["name"].to_numpy(),
            "population": who["population"].to_numpy(),
            "wealth": owned.to_numpy(np.float64),
        }
    )


def _rows_at(accounts: Frames, step: int | None) -> pd.DataFrame:
    """Return the rows of one step, the last by default."""
    columns = ("step", "account", "instrument", "cash", "inventory", "mark_price")
    kept: list[pd.DataFrame] = []
    sampled: set[int] = set()
    for frame in batches(accounts, columns, "accounts"):
        steps = frame["step"].to_numpy(np.int64)
        sampled.update(np.unique(steps).tolist())
        wanted = max(sampled) if step is None else step
        kept = [part for part in kept if part["step"].iloc[0] == wanted]
        if (steps == wanted).any():
            kept.append(frame.loc[steps == wanted, list(columns)])
    if kept:
        return pd.concat(kept, ignore_index=True)
    if not sampled:
        raise AnalysisError("there are no accounts; record the run with recording.accounts_every: 1000")
    nearest = sorted(sorted(sampled, key=lambda other: abs(other - (step or 0)))[:_STEPS_SHOWN])
    raise AnalysisError(
        f"accounts were not recorded at step {step}; steps near it are {', '.join(map(str, nearest))}"
    )


def wealth_distribution(
    accounts: Frames, agents: pd.DataFrame, instruments: pd.DataFrame, *, step: int | None = None
) -> pd.DataFrame:
    """Return how wealth is spread within each population, and over all traders.

    Parameters
    ----------
    accounts : Frames
    agents, instruments : DataFrame
    step : int, optional
        A step that the table accounts has; its last by default.

    Returns
    -------
    DataFrame
        ``population``, ``agents`` (their number); in money units ``total``, ``mean``, ``std`` (with n in the
        denominator), ``min``, the quantiles ``q05``, ``q25``, ``median``, ``q75``, ``q95``, ``max``; ``gini``
        (see `gini`; NaN for a single agent). The last row, ``(all)``, is of all traders. The exchange's own
        accounts are left out.

    Raises
    ------
    AnalysisError
        See `wealth`.

    Example
    -------
    >>> accounts = pd.DataFrame({"step": 9, "account": [0, 1], "instrument": 0, "cash": [50, 30],
    ...                          "inventory": [0, 2], "mark_price": 10.0})
    >>> agents = pd.DataFrame({"account": [0, 1], "name": ["a/0", "a/1"], "population": "a"})
    >>> instruments = pd.DataFrame({"instrument": [0], "name": ["ACME"], "multiplier": [1]})
    >>> wealth_distribution(accounts, agents, instruments)[["population", "mean", "gini"]].values.tolist()
    [['a', 50.0, 0.0], ['(all)', 50.0, 0.0]]
    """
    owned = wealth(accounts, agents, instruments, step=step)
    traders = owned[owned["population"] != EXCHANGE]
    rows = [_summary(str(name), own) for name, own in traders.groupby("population", sort=False)["wealth"]]
    return pd.DataFrame([*rows, _summary("(all)", traders["wealth"])])


def _summary(population: str, values: pd.Series) -> dict[str, object]:
    own = values.to_numpy()
    levels = np.quantile(own, list(_QUANTILES.values()))
    return {
        "population": population,
        "agents": len(own),
        "total": own.sum(),
        "mean": own.mean(),
        "std": own.std(),
        "min": own.min(),
        **dict(zip(_QUANTILES, levels.tolist(), strict=True)),
        "max": own.max(),
        "gini": gini(own) if len(own) > 1 else np.nan,
    }
