"""How well a market served its traders' customers: efficiency, prices and profits against equilibrium."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis.quality.allocation import equilibrium, smiths_alpha
from simlab.analysis.tables import Frames, batches, require, signs
from simlab.errors import AnalysisError

__all__ = ["allocation", "customer_profits", "customer_units"]

_ORDERS = ("step", "account", "instrument", "side", "limit_price", "limit_step", "quantity")
_TRADES = ("step", "instrument", "price", "quantity", "aggressor_side", "taker_account", "maker_account")
_OWNER = ["instrument", "account"]


def customer_units(
    trades: Frames, customer_orders: pd.DataFrame, instruments: pd.DataFrame, *, period: int | None = None
) -> pd.DataFrame:
    """Return every lot that was to be traded for a customer, what it was worth and what became of it.

    A lot that an account buys (sells) counts for the customer's order that it has in that step, if that is
    one to buy (sell) and lots of it are left.

    Parameters
    ----------
    trades : Frames
        In order: ``step``, ``instrument``, ``price``, ``quantity``, ``aggressor_side``, ``taker_account``,
        ``maker_account``.
    customer_orders : DataFrame
        As recorded, accounts and instruments as the trades have them.
    instruments : DataFrame
        ``instrument`` (or names in ``name``, where the trades have names) and ``lot_size``.
    period : int, optional
        Steps of a period. By default a period begins whenever all accounts of an instrument are given orders
        at once; where they are given at different steps the whole run is one period.

    Returns
    -------
    DataFrame
        One row a lot: ``instrument``, ``period`` (0, 1, ...), ``account``, ``side``, ``unit`` (0, 1, ... for
        the account in the period), ``value`` (limit price, price units), ``given`` (step), ``traded`` (step,
        null if not), ``price`` (likewise), ``profit`` (price units; 0 if not traded).

    Raises
    ------
    AnalysisError
        When a column is missing, or the period is not positive.
    """
    require(customer_orders, _ORDERS, "customer_orders")
    if period is not None and period < 1:
        raise AnalysisError(f"period is {period}; it must be 1 step or more")
    orders = customer_orders.sort_values("step", kind="stable").reset_index(drop=True)
    orders["period"] = _periods(orders, period)
    units = _given(orders, _lot_sizes(orders, instruments))
    units = units.merge(_used(trades, orders), on=["order", "place"], how="left")
    sign = np.where(units["side"] == "buy", 1, -1)
    units["profit"] = ((units["value"] - units["price"]) * sign).fillna(0.0)
    units["unit"] = units.groupby(["period", *_OWNER, "side"], observed=True).cumcount()
    columns = [
        "instrument",
        "period",
        "account",
        "side",
        "unit",
        "value",
        "given",
        "traded",
        "price",
        "profit",
    ]
    return units[columns]


def _periods(orders: pd.DataFrame, period: int | None) -> NDArray[np.int64]:
    if period is not None:
        return (orders["step"] // period).to_numpy(np.int64)
    number = np.zeros(len(orders), np.int64)
    for _, own in orders.groupby("instrument", observed=True):
        steps = np.unique(own["step"])
        if len(own) == len(steps) * own["account"].nunique():
            number[own.index] = np.searchsorted(steps, own["step"])
    return number


def _lot_sizes(orders: pd.DataFrame, instruments: pd.DataFrame) -> NDArray[np.int64]:
    key = "instrument" if pd.api.types.is_integer_dtype(orders["instrument"]) else "name"
    sizes = instruments.set_index(key)["lot_size"]
    return sizes.loc[orders["instrument"].astype(sizes.index.dtype)].to_numpy(np.int64)


def _given(orders: pd.DataFrame, lot_size: NDArray[np.int64]) -> pd.DataFrame:
    """Return a row for each lot of each order; `order` is its row, `place` counts its lots from 0."""
    row = np.repeat(np.arange(len(orders)), orders["quantity"])
    units = orders.loc[row].reset_index(drop=True).assign(order=row)
    units["place"] = units.groupby("order").cumcount()
    further = units["place"].to_numpy() // lot_size[row] * units["limit_step"]
    units["value"] = units["limit_price"] + np.where(units["side"] == "buy", -further, further)
    return units.rename(columns={"step": "given"})


def _used(trades: Frames, orders: pd.DataFrame) -> pd.DataFrame:
    """Return which lots of which orders were traded, when and at which price."""
    legs = pd.concat([_no_legs(orders), *_legs(trades)], ignore_index=True)
    present = orders[["step", *_OWNER, "side", "quantity"]].assign(order=np.arange(len(orders)))
    for column in _OWNER:  # of the same type on both sides, whatever the categories
        legs[column], present[column] = legs[column].astype(object), present[column].astype(object)
    legs = legs.assign(sequence=np.arange(len(legs))).sort_values("step", kind="stable")
    found = pd.merge_asof(
        legs, present.rename(columns={"side": "wanted"}), on="step", by=_OWNER, direction="backward"
    ).sort_values("sequence")
    found = found[found["side"].astype(str) == found["wanted"].astype(str)]
    found = found.assign(place=found.groupby("order").cumcount())
    found = found[found["place"] < found["quantity"]]
    used = found[["order", "place", "step", "price"]].rename(columns={"step": "traded"})
    return used.astype({"order": np.int64, "place": np.int64})


def _no_legs(orders: pd.DataFrame) -> pd.DataFrame:
    empty = orders.loc[[], ["step", *_OWNER, "side"]]
    return empty.assign(side=empty["side"].astype(object), price=np.zeros(0))


def _legs(trades: Frames) -> Iterator[pd.DataFrame]:
    """Yield a row for each lot that an account bought or sold, in order."""
    for frame in batches(trades, _TRADES, "trades"):
        bought = signs(frame["aggressor_side"]) > 0
        taker, maker = frame["taker_account"].to_numpy(), frame["maker_account"].to_numpy()
        both = [
            pd.DataFrame(
                {
                    "step": frame["step"].to_numpy(np.int64),
                    "instrument": frame["instrument"].to_numpy(),
                    "account": np.where(bought == (side == "buy"), taker, maker),
                    "side": side,
                    "price": frame["price"].to_numpy(float),
                }
            )
            for side in ("buy", "sell")
        ]
        joint = pd.concat(both).sort_index(kind="stable")
        lots = frame["quantity"].to_numpy(np.int64)[joint.index]
        yield joint.iloc[np.repeat(np.arange(len(joint)), lots)]


def customer_profits(units: pd.DataFrame) -> pd.DataFrame:
    r"""Return each account's profit from its customers' orders beside that of the equilibrium.

    In equilibrium an account trades every unit that is worth it at the price :math:`p_0`, and earns
    :math:`\pi_i = \sum \max(0, v - p_0)` (a seller with cost `c`: :math:`p_0 - c`).

    Parameters
    ----------
    units : DataFrame
        As `customer_units` returns it.

    Returns
    -------
    DataFrame
        One row an account and period: ``instrument``, ``period``, ``account``, ``side``, ``profit`` and
        ``equilibrium_profit`` (price units times lots; NaN without an equilibrium price).
    """
    prices = _by_market(units).set_index(["instrument", "period"])["price"]
    at = pd.MultiIndex.from_frame(units[["instrument", "period"]].astype({"instrument": object}))
    price = prices.reindex(at).to_numpy()
    sign = np.where(units["side"] == "buy", 1, -1)
    ideal = units.assign(equilibrium_profit=np.maximum((units["value"] - price) * sign, 0.0))
    keys = ["instrument", "period", "account", "side"]
    sums = ideal.groupby(keys, observed=True, sort=False)[["profit", "equilibrium_profit"]]
    return sums.sum(min_count=1).reset_index()


def _by_market(units: pd.DataFrame) -> pd.DataFrame:
    """Return the equilibrium of each instrument and period."""
    parts = []
    for instrument, own in units.groupby("instrument", observed=True, sort=False):
        table = equilibrium(own[["period", "account", "side", "unit", "value"]])
        table.insert(0, "instrument", pd.Series([instrument] * len(table), dtype=object))
        parts.append(table)
    names = ["instrument", "period", "quantity", "low", "high", "price", "surplus"]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=names)


def allocation(units: pd.DataFrame) -> pd.DataFrame:
    r"""Return how near each market came to the competitive equilibrium of its customers' limit prices.

    Allocative efficiency is the surplus realised, :math:`\sum v - \sum c` over the units traded, as a share
    of the largest possible (`equilibrium`). Where orders are given at different steps, a unit counts as
    available for the whole period, so that the largest surplus is an upper bound that no market can reach.
    Smith's alpha is that of the prices at which customers' units traded. Profit dispersion is the root mean
    square difference of the accounts' profits from those of the equilibrium, :math:`\sqrt{\sum_i (a_i -
    \pi_i)^2 / n}`.

    Parameters
    ----------
    units : DataFrame
        As `customer_units` returns it.

    Returns
    -------
    DataFrame
        One row an instrument and period: ``instrument``, the columns of `equilibrium`, ``bought`` and
        ``sold`` (lots traded for customers), ``realised`` (price units times lots), ``efficiency`` (1 is
        perfect; NaN without gains from trade), ``alpha`` (percent; NaN without trades), ``dispersion``
        (price units times lots).

    References
    ----------
    Smith (1962), Journal of Political Economy 70, 111. Gode and Sunder (1993), Journal of Political Economy
    101, 119. Cliff and Bruten (1997), HPL-97-141 (profit dispersion).

    Example
    -------
    >>> orders = pd.DataFrame({"account": [0, 1, 2, 3], "side": ["buy"] * 2 + ["sell"] * 2})
    >>> orders = orders.assign(step=0, instrument=0, limit_price=[10, 6, 3, 8], limit_step=0, quantity=1)
    >>> trades = pd.DataFrame({"step": [4], "instrument": [0], "price": [5], "quantity": [1]})
    >>> trades = trades.assign(aggressor_side="buy", taker_account=1, maker_account=2)
    >>> units = customer_units(trades, orders, pd.DataFrame({"instrument": [0], "lot_size": [1]}))
    >>> allocation(units)[["surplus", "realised", "efficiency"]].round(3).to_numpy().tolist()
    [[7.0, 3.0, 0.429]]
    """
    table = _by_market(units)
    done = units[units["traded"].notna()]
    keys = ["instrument", "period"]
    signed = done["value"].where(done["side"] == "buy", -done["value"])
    sides = {name: done[done["side"] == side] for name, side in (("bought", "buy"), ("sold", "sell"))}
    measures = {name: own.groupby(keys, observed=True).size() for name, own in sides.items()}
    measures["realised"] = signed.groupby([done[it] for it in keys], observed=True).sum()
    profits = customer_profits(units)
    off = (profits["profit"] - profits["equilibrium_profit"]) ** 2
    squares = off.groupby([profits[it] for it in keys], observed=True).mean()
    at = pd.MultiIndex.from_frame(table[keys])
    for name, measure in measures.items():
        table[name] = _at(measure, at, 0)
    table["efficiency"] = (table["realised"] / table["surplus"]).where(table["surplus"] > 0)
    table["alpha"] = _alphas(done, table)
    table["dispersion"] = np.sqrt(_at(squares, at, np.nan))
    return table


def _at(measure: pd.Series, at: pd.MultiIndex, otherwise: float) -> NDArray[np.float64]:
    index = pd.MultiIndex.from_frame(measure.index.to_frame().astype({"instrument": object}))
    return measure.set_axis(index).reindex(at, fill_value=otherwise).to_numpy()


def _alphas(done: pd.DataFrame, table: pd.DataFrame) -> list[float]:
    prices = dict(iter(done.groupby([done["instrument"].astype(object), "period"])["price"]))
    alphas = []
    for row in table.itertuples():
        own = prices.get((row.instrument, row.period), [])
        known = len(own) > 0 and np.isfinite(row.price) and row.price > 0
        alphas.append(smiths_alpha(own, row.price) if known else np.nan)
    return alphas
