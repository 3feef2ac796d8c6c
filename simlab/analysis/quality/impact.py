"""Price impact: of order flow imbalance, of signed volume, and of metaorders."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis.libraries import library
from simlab.analysis.tables import (
    Frames,
    IntervalSums,
    Mids,
    Sums,
    batches,
    finite,
    in_order,
    instrument_names,
    numbers,
    signs,
    watched,
)
from simlab.errors import AnalysisError

__all__ = [
    "BEST_COLUMNS",
    "SIGNED_COLUMNS",
    "FlowImbalance",
    "SignedVolume",
    "kyle_lambda",
    "ofi",
    "ofi_regression",
    "trade_imbalance_regression",
]

BEST_COLUMNS = ("step", "instrument", "best_bid", "bid_depth", "best_ask", "ask_depth")
SIGNED_COLUMNS = ("step", "instrument", "quantity", "aggressor_side")
_FEWEST_INTERVALS = 30
_COVERAGE_Z = 1.959963984540054


def ofi(quotes: Frames, instruments: pd.DataFrame) -> pd.DataFrame:
    r"""Return the order flow imbalance between each quote and the one before it.

    With best prices :math:`P^b, P^a` and depths :math:`q^b, q^a` (Cont, Kukanov and Stoikov 2014):

    .. math:: e_n = q^b_n 1[P^b_n \ge P^b_{n-1}] - q^b_{n-1} 1[P^b_n \le P^b_{n-1}]
                  - q^a_n 1[P^a_n \le P^a_{n-1}] + q^a_{n-1} 1[P^a_n \ge P^a_{n-1}]

    An empty bid counts as depth 0 at price minus infinity, an empty ask as depth 0 at plus infinity. Quotes
    are taken at the end of a step, so what comes and goes within one step cancels out.

    Parameters
    ----------
    quotes : Frames
        ``step``, ``instrument``, ``best_bid``, ``bid_depth``, ``best_ask``, ``ask_depth``; rows in order.
    instruments : DataFrame
        ``instrument``, ``name``.

    Returns
    -------
    DataFrame
        ``step``, ``instrument`` (name), ``ofi`` (lots, positive when buyers press); one row for every quote
        but the first of each instrument.

    Example
    -------
    >>> table = pd.DataFrame({"instrument": [0], "name": ["A"]})
    >>> quotes = pd.DataFrame({"step": [0, 1], "instrument": 0, "best_bid": [99, 100], "bid_depth": [5, 7]})
    >>> quotes = quotes.assign(best_ask=[101, 101], ask_depth=[4, 3])
    >>> ofi(quotes, table)["ofi"].tolist()
    [8.0]
    """
    flow = FlowImbalance(instruments, interval=1)
    found = [flow.add(frame) for frame in batches(quotes, BEST_COLUMNS, "quotes")]
    if not found:
        raise AnalysisError("there are no quotes; record the run with recording.quotes_every: 1")
    rows = pd.concat(found, ignore_index=True)
    rows["instrument"] = rows["instrument"].map(instrument_names(instruments))
    return rows


class FlowImbalance:
    """Add up order flow imbalance by interval and depth at the best prices, batch by batch.

    Parameters
    ----------
    instruments : DataFrame
        ``instrument``, ``name``, and for `row` ``tick_size``.
    interval : int, steps
    """

    def __init__(self, instruments: pd.DataFrame, interval: int) -> None:
        self._instruments = instruments
        self._flows = IntervalSums(interval)
        self._depths = Sums(instruments)
        self._last: pd.DataFrame | None = None
        self._last_step = 0

    def add(self, quotes: pd.DataFrame) -> pd.DataFrame:
        """Add the quotes of one frame; return imbalances: ``step``, ``instrument`` (number), ``ofi``.

        Raises AnalysisError when steps are negative or out of order.
        """
        rows = _best_rows(quotes, self._instruments)
        self._last_step = in_order(rows["step"].to_numpy(), self._last_step, "quotes")
        self._depths.add(
            rows["instrument"].to_numpy(),
            quotes=np.ones(len(rows)),
            depth=((rows["bid_depth"] + rows["ask_depth"]) / 2).to_numpy(),
        )
        known = rows if self._last is None else pd.concat([self._last, rows], ignore_index=True)
        known = known.sort_values("instrument", kind="stable", ignore_index=True)
        self._last = known.groupby("instrument").tail(1)
        number = known["instrument"].to_numpy()
        places = np.flatnonzero(number[1:] == number[:-1]) + 1
        found = known.loc[places, ["step", "instrument"]].assign(ofi=_imbalance(known, places))
        found = found.sort_values(["step", "instrument"], kind="stable", ignore_index=True)
        self._flows.add(*(found[name].to_numpy() for name in ("instrument", "step", "ofi")))
        return found

    def mean_depth(self, instrument: int) -> float:
        """Return the mean depth at one best price (the mean of both sides), lots."""
        return float(self._depths["depth"][instrument] / self._depths["quotes"][instrument])

    def row(self, mids: Mids, instrument: int) -> dict[str, float]:
        """Regress the changes of one instrument's mid; `ofi_regression` has the definitions."""
        fit = _regress_mid(mids, instrument, self._flows, instrument_names(self._instruments)[instrument])
        tick = self._instruments.set_index("instrument")["tick_size"][instrument]
        depth = self.mean_depth(instrument)
        return fit | {"mean_depth": depth, "predicted_slope": float(tick / (2 * depth))}


def _best_rows(quotes: pd.DataFrame, instruments: pd.DataFrame) -> pd.DataFrame:
    def filled(column: str, empty: float) -> NDArray[np.float64]:
        values = quotes[column].to_numpy(float)
        return np.where(np.isnan(values), empty, values)

    return pd.DataFrame(
        {
            "step": quotes["step"].to_numpy(np.int64),
            "instrument": numbers(quotes["instrument"], instruments, "instrument"),
            "best_bid": filled("best_bid", -np.inf),
            "bid_depth": filled("bid_depth", 0.0),
            "best_ask": filled("best_ask", np.inf),
            "ask_depth": filled("ask_depth", 0.0),
        }
    )


def _imbalance(rows: pd.DataFrame, places: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return e_n of the rows at `places`, each against the row before it."""
    bid, bid_depth, ask, ask_depth = (rows[name].to_numpy() for name in BEST_COLUMNS[2:])
    before = places - 1
    return (
        bid_depth[places] * (bid[places] >= bid[before])
        - bid_depth[before] * (bid[places] <= bid[before])
        - ask_depth[places] * (ask[places] <= ask[before])
        + ask_depth[before] * (ask[places] >= ask[before])
    )


class SignedVolume:
    """Add up buyers' less sellers' volume (lots) by interval, batch by batch; the aggressor's side counts.

    Parameters
    ----------
    instruments : DataFrame
        ``instrument``, ``name``.
    interval : int, steps
    """

    def __init__(self, instruments: pd.DataFrame, interval: int) -> None:
        self._instruments = instruments
        self._flows = IntervalSums(interval)

    def add(self, trades: pd.DataFrame) -> None:
        """Add the trades of one frame."""
        self._flows.add(
            numbers(trades["instrument"], self._instruments, "instrument"),
            trades["step"].to_numpy(np.int64),
            signs(trades["aggressor_side"]) * finite(trades["quantity"], "trades: quantity"),
        )

    def row(self, mids: Mids, instrument: int) -> dict[str, float]:
        """Regress the changes of one instrument's mid; `kyle_lambda` has the definitions."""
        return _regress_mid(mids, instrument, self._flows, instrument_names(self._instruments)[instrument])


def ofi_regression(quotes: Frames, instruments: pd.DataFrame, *, interval: int = 10) -> pd.DataFrame:
    r"""Regress the change of the mid over an interval on the order flow imbalance within it.

    :math:`\Delta m_k = \alpha + \beta\, OFI_k + \epsilon_k` (Cont, Kukanov and Stoikov 2014), by least
    squares with Newey-West standard errors of :math:`\lfloor 4 (n/100)^{2/9} \rfloor` lags. In a book of
    constant depth `D` the slope is ``tick_size / (2 D)``, given as ``predicted_slope``. The first interval,
    in which the book fills, and an incomplete last one are left out.

    Parameters
    ----------
    quotes : Frames
        ``step``, ``instrument``, ``best_bid``, ``bid_depth``, ``best_ask``, ``ask_depth``; rows in order.
    instruments : DataFrame
        ``instrument``, ``name``, ``initial_price``, ``tick_size``.
    interval : int, steps

    Returns
    -------
    DataFrame
        One row an instrument: ``instrument``, ``slope`` (price units a lot), ``standard_error``, ``low``,
        ``high`` (95% interval of the slope), ``intercept`` (price units), ``r2``, ``observations``
        (intervals), ``mean_depth`` (lots at one best price), ``predicted_slope``.

    Raises
    ------
    AnalysisError
        With fewer than 30 intervals, where the imbalance or the mid never changes, or when the quotes were
        not recorded at every step.

    References
    ----------
    Cont, Kukanov and Stoikov (2014), Journal of Financial Econometrics 12, 47; Newey and West (1987),
    Econometrica 55, 703.

    Example
    -------
    >>> ofi_regression(run.quotes(), run.instruments(), interval=10)["r2"]  # doctest: +SKIP
    """
    flow = FlowImbalance(instruments, interval)
    mids = Mids(watched(quotes, BEST_COLUMNS, "quotes", flow.add), instruments)
    return _by_instrument(flow, mids, instruments)


def trade_imbalance_regression(
    trades: Frames, quotes: Frames, instruments: pd.DataFrame, *, interval: int = 10
) -> pd.DataFrame:
    """Regress the change of the mid on signed volume over the intervals that `ofi_regression` takes.

    Cont, Kukanov and Stoikov (2014) hold the trade imbalance against the order flow imbalance: its R2 is the
    one to compare. The regression is that of `kyle_lambda`, which has the parameters and columns.

    Example
    -------
    >>> trade_imbalance_regression(run.trades(), run.quotes(), run.instruments())["r2"]  # doctest: +SKIP
    """
    return kyle_lambda(trades, quotes, instruments, interval=interval)


def kyle_lambda(
    trades: Frames, quotes: Frames, instruments: pd.DataFrame, *, interval: int = 60
) -> pd.DataFrame:
    r"""Estimate Kyle's lambda: by how much the mid moves for each lot of signed volume.

    :math:`\Delta m_k = \alpha + \lambda V_k + \epsilon_k`, where :math:`V_k` is the volume that buyers took
    less the volume that sellers took in interval `k`; least squares with Newey-West standard errors of
    :math:`\lfloor 4 (n/100)^{2/9} \rfloor` lags. The first interval, in which the book fills, and an
    incomplete last one are left out.

    Parameters
    ----------
    trades : Frames
        ``step``, ``instrument``, ``quantity``, ``aggressor_side``.
    quotes : Frames
        ``step``, ``instrument``, ``best_bid``, ``best_ask``.
    instruments : DataFrame
        ``instrument``, ``name``, ``initial_price``.
    interval : int, steps

    Returns
    -------
    DataFrame
        One row an instrument: ``instrument``, ``slope`` (lambda, price units a lot), ``standard_error``,
        ``low``, ``high`` (95% interval of the slope), ``intercept`` (price units), ``r2``, ``observations``
        (intervals).

    Raises
    ------
    AnalysisError
        With fewer than 30 intervals, where the signed volume or the mid never changes, or when the quotes
        were not recorded at every step.

    References
    ----------
    Kyle (1985), Econometrica 53, 1315; Newey and West (1987), Econometrica 55, 703.

    Example
    -------
    >>> kyle_lambda(run.trades(), run.quotes(), run.instruments())["slope"]  # doctest: +SKIP
    """
    mids = Mids(quotes, instruments)
    volume = SignedVolume(instruments, interval)
    for frame in batches(trades, SIGNED_COLUMNS, "trades"):
        volume.add(frame)
    return _by_instrument(volume, mids, instruments)


def _by_instrument(flow: FlowImbalance | SignedVolume, mids: Mids, instruments: pd.DataFrame) -> pd.DataFrame:
    names = instrument_names(instruments)
    return pd.DataFrame(
        [{"instrument": names[number], **flow.row(mids, number)} for number in mids.instruments]
    )


def _regress_mid(mids: Mids, instrument: int, flows: IntervalSums, name: str) -> dict[str, float]:
    mids.require_every_step(f"{name}: a regression over intervals of {flows.interval} steps")
    ends = np.arange(flows.interval - 1, mids.steps, flows.interval)
    if len(ends) <= _FEWEST_INTERVALS:
        raise AnalysisError(
            f"{name}: {max(len(ends) - 1, 0)} intervals of {flows.interval} steps are too few for a "
            f"regression, which takes {_FEWEST_INTERVALS}; choose a shorter interval or run longer"
        )
    change = np.diff(mids.at(instrument, ends))
    flow = flows.dense(instrument, len(ends))[1:]
    for what, values in (("the order flow", flow), ("the mid price", change)):
        if np.ptp(values) == 0:
            raise AnalysisError(
                f"{name}: {what} is the same in every interval of {flows.interval} steps, so no slope can be "
                "estimated; choose a longer interval or check the recording"
            )
    return _least_squares(flow, change)


def _least_squares(x: NDArray[np.float64], y: NDArray[np.float64]) -> dict[str, float]:
    lags = int(4 * (len(x) / 100) ** (2 / 9))
    model = library("statsmodels.regression.linear_model").OLS(y, np.column_stack([np.ones(len(x)), x]))
    fit = model.fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True})
    slope, error = float(fit.params[1]), float(fit.bse[1])
    return {
        "slope": slope,
        "standard_error": error,
        "low": slope - _COVERAGE_Z * error,
        "high": slope + _COVERAGE_Z * error,
        "intercept": float(fit.params[0]),
        "r2": float(fit.rsquared),
        "observations": len(x),
    }
