"""Allocative efficiency: what trade gained of what it could, where the traders' values are known."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from simlab.analysis.tables import Frames, batches, require, signs
from simlab.errors import AnalysisError

__all__ = ["allocative_efficiency", "equilibrium", "smiths_alpha"]

_VALUES = ("account", "side", "unit", "value")
_TRADES = ("quantity", "aggressor_side", "taker_account", "maker_account")
_SIDES = ("buy", "sell")


def equilibrium(values: pd.DataFrame) -> pd.DataFrame:
    r"""Return the competitive equilibrium of induced supply and demand.

    With buyers' values in falling order :math:`d_1 \ge d_2 \ge \ldots` and sellers' costs in rising order
    :math:`s_1 \le s_2 \le \ldots`, the quantity is the largest `q` with :math:`d_q \ge s_q`; any price from
    :math:`\max(s_q, d_{q+1})` to :math:`\min(d_q, s_{q+1})` clears the market. The surplus
    :math:`\sum_{k \le q} (d_k - s_k)` is the largest that trade can make.

    Parameters
    ----------
    values : DataFrame
        One row a unit: ``account``, ``side`` (``buy``, ``sell``), ``unit`` (0, 1, ...: the order in which the
        account trades them), ``value`` (price units a lot: redemption value or cost), and ``period`` where
        the schedule is given anew for each.

    Returns
    -------
    DataFrame
        One row a period: ``period`` (where given), ``quantity`` (lots), ``low``, ``high``, ``price`` (the
        middle), ``surplus`` (price units times lots). Without a buyer and a seller who gain from trade,
        `quantity` is 0 and `low` to `high` are the prices at which nobody wants to trade (infinite where a
        side is missing).

    Raises
    ------
    AnalysisError
        For a missing value, an unknown side, or units that do not count 0, 1, ...

    References
    ----------
    Smith (1962), Journal of Political Economy 70, 111.

    Example
    -------
    >>> values = pd.DataFrame({"account": ["b0", "b1", "s0", "s1"], "side": ["buy"] * 2 + ["sell"] * 2})
    >>> values = values.assign(unit=0, value=[10, 6, 3, 8])
    >>> equilibrium(values).to_numpy().tolist()
    [[1.0, 6.0, 8.0, 7.0, 7.0]]
    """
    checked = _checked(values)
    rows = [{"period": period, **_clearing(group)} for period, group in checked.groupby("period", sort=False)]
    table = pd.DataFrame(rows)
    return table if "period" in values.columns else table.drop(columns="period")


def _clearing(values: pd.DataFrame) -> dict[str, float]:
    demand = np.sort(values.loc[values["side"] == "buy", "value"].to_numpy(float))[::-1]
    supply = np.sort(values.loc[values["side"] == "sell", "value"].to_numpy(float))
    both = min(len(demand), len(supply))
    quantity = int((demand[:both] >= supply[:both]).sum())
    demand, supply = np.append(demand, -np.inf), np.append(supply, np.inf)
    low, high = demand[quantity], supply[quantity]
    if quantity:
        low, high = max(supply[quantity - 1], low), min(demand[quantity - 1], high)
    price = (low + high) / 2 if np.isfinite(low) and np.isfinite(high) else np.nan
    surplus = float((demand[:quantity] - supply[:quantity]).sum())
    return {"quantity": quantity, "low": float(low), "high": float(high), "price": price, "surplus": surplus}


def allocative_efficiency(trades: Frames, values: pd.DataFrame) -> pd.DataFrame:
    r"""Return the share of the possible gains from trade that trading realised.

    :math:`E = \sum_{trades} (v_{buyer} - c_{seller}) / S`, where the k-th lot an account buys (sells) in a
    period has the value (cost) of its unit k, and `S` is the surplus of `equilibrium`. Prices only divide
    the surplus and do not enter. It falls below 1 when units that should trade do not, or units that should
    not, do; it may be negative.

    Parameters
    ----------
    trades : Frames
        Of one instrument, in order: ``quantity``, ``aggressor_side``, ``taker_account``, ``maker_account``,
        and ``period`` when `values` has it.
    values : DataFrame
        As for `equilibrium`; accounts as the trades have them (names or numbers).

    Returns
    -------
    DataFrame
        The rows of `equilibrium`, and ``volume`` (lots traded), ``realised`` (surplus, price units times
        lots), ``efficiency`` (1 is perfect).

    Raises
    ------
    AnalysisError
        When an account trades more units than it has values, when the schedule has no gains from trade, or
        when trades are of several instruments or of a period without values.

    References
    ----------
    Smith (1962), Journal of Political Economy 70, 111; Gode and Sunder (1993), Journal of Political Economy
    101, 119.

    Example
    -------
    >>> values = pd.DataFrame({"account": ["b0", "b1", "s0", "s1"], "side": ["buy"] * 2 + ["sell"] * 2})
    >>> values = values.assign(unit=0, value=[10, 6, 3, 8])
    >>> trades = pd.DataFrame({"quantity": [1], "aggressor_side": ["buy"], "taker_account": ["b1"]})
    >>> trades["maker_account"] = "s0"
    >>> allocative_efficiency(trades, values)["efficiency"].round(3).tolist()
    [0.429]
    """
    checked = _checked(values)
    by_period = "period" in values.columns
    table = equilibrium(checked)
    if (table["surplus"] <= 0).any():
        raise AnalysisError(
            "values offer no gains from trade in a period (no buyer's value above a seller's cost), so "
            "efficiency is not defined; check the values and sides"
        )
    units = _traded_units(trades, by_period)
    keys = ["period", "account", "side", "unit"]
    worth = units.merge(checked[[*keys, "value"]], on=keys, how="left")
    _check_known(worth)
    signed = np.where(worth["side"] == "buy", worth["value"], -worth["value"])
    realised = pd.Series(signed, dtype=float).groupby(worth["period"].to_numpy()).sum()
    volume = worth[worth["side"] == "buy"].groupby("period").size()
    table["volume"] = table["period"].map(volume).fillna(0).astype(int)
    table["realised"] = table["period"].map(realised).fillna(0.0)
    table["efficiency"] = table["realised"] / table["surplus"]
    return table if by_period else table.drop(columns="period")


def smiths_alpha(prices: ArrayLike, equilibrium_price: float) -> float:
    r"""Return the root mean square distance of trade prices from equilibrium, percent of equilibrium.

    :math:`\alpha = 100 \sqrt{\overline{(p_i - p_0)^2}} / p_0`.

    Parameters
    ----------
    prices : (n,) array_like, price units
        One price a trade.
    equilibrium_price : float, price units
        Above 0; for instance ``equilibrium(values)["price"]``.

    Raises
    ------
    AnalysisError
        Without trades or a positive, finite equilibrium price.

    References
    ----------
    Smith (1962), Journal of Political Economy 70, 111 (his coefficient of convergence).

    Example
    -------
    >>> smiths_alpha([98, 102], 100)
    2.0
    """
    traded = np.asarray(prices, float)
    if not len(traded):
        raise AnalysisError("there are no trade prices, so Smith's alpha is not defined")
    if not (np.isfinite(equilibrium_price) and equilibrium_price > 0):
        raise AnalysisError(f"the equilibrium price is {equilibrium_price}; it must be finite and above 0")
    return float(100 * np.sqrt(np.mean((traded - equilibrium_price) ** 2)) / equilibrium_price)


def _checked(values: pd.DataFrame) -> pd.DataFrame:
    """Return values as columns period, account, side, unit, value; raises where they cannot be read."""
    require(values, _VALUES, "values")
    period = values["period"].to_numpy() if "period" in values.columns else 0
    checked = pd.DataFrame({name: np.asarray(values[name]) for name in _VALUES}).assign(period=period)
    unknown = set(checked["side"]) - set(_SIDES)
    if unknown:
        raise AnalysisError(f"values: side {sorted(map(str, unknown))[0]!r} is not one of buy, sell")
    if checked["value"].isna().any():
        raise AnalysisError("values: a value is missing; leave out units that have none")
    ordered = checked.sort_values("unit", kind="stable")
    count = ordered.groupby(["period", "account", "side"]).cumcount()
    wrong = ordered[ordered["unit"] != count]
    if len(wrong):
        row = wrong.iloc[0]
        raise AnalysisError(
            f"values: the units of account {row['account']!r}, side {row['side']}, do not count 0, 1, ...; "
            f"unit {row['unit']} is repeated or follows a gap"
        )
    return checked


def _traded_units(trades: Frames, by_period: bool) -> pd.DataFrame:
    """Return one row for each lot an account bought or sold, with the number of the unit it was."""
    columns = (*_TRADES, "period") if by_period else _TRADES
    parts: list[pd.DataFrame] = []
    instruments: set[object] = set()
    for frame in batches(trades, columns, "trades"):
        instruments |= set(frame["instrument"].unique()) if "instrument" in frame.columns else set()
        parts.append(_lots(frame, frame["period"].to_numpy() if by_period else 0))
    if len(instruments) > 1:
        raise AnalysisError(
            f"trades are of {len(instruments)} instruments, and values of one; give the trades of one"
        )
    if not parts:
        return pd.DataFrame({"period": [], "account": [], "side": [], "unit": []})
    units = pd.concat(parts, ignore_index=True)
    units["unit"] = units.groupby(["period", "account", "side"], sort=False).cumcount()
    return units


def _lots(trades: pd.DataFrame, period: NDArray[np.generic] | int) -> pd.DataFrame:
    taker, maker = np.asarray(trades["taker_account"]), np.asarray(trades["maker_account"])
    bought = signs(trades["aggressor_side"]) > 0
    sides = [
        pd.DataFrame({"period": period, "account": np.where(bought, taker, maker), "side": "buy"}),
        pd.DataFrame({"period": period, "account": np.where(bought, maker, taker), "side": "sell"}),
    ]
    quantity = trades["quantity"].to_numpy(np.int64)
    return pd.concat([side.loc[side.index.repeat(quantity)] for side in sides], ignore_index=True)


def _check_known(worth: pd.DataFrame) -> None:
    unknown = worth[worth["value"].isna()]
    if len(unknown):
        row = unknown.iloc[0]
        verb = "bought" if row["side"] == "buy" else "sold"
        raise AnalysisError(
            f"account {row['account']!r} {verb} its unit {row['unit']} in period {row['period']}, for which "
            "values has no row; give a value for every unit an account can trade"
        )
