"""Efficiency: variance ratio, signature plot, pricing error, resilience after a shock, gains from trade."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from simlab.analysis.libraries import library
from simlab.analysis.tables import (
    Frames,
    Sums,
    batches,
    in_basis_points,
    in_order,
    instrument_names,
    numbers,
    require_steps,
)
from simlab.errors import AnalysisError

__all__ = [
    "FUNDAMENTAL_COLUMNS",
    "PricingErrors",
    "efficiency",
    "resilience",
    "signature_plot",
    "variance_ratio",
]

FUNDAMENTAL_COLUMNS = ("step", "instrument", "best_bid", "best_ask", "fundamental")
_RESILIENCE_COLUMNS = ("step", "instrument", "best_bid", "bid_depth", "best_ask", "ask_depth")
_FEWEST_SAMPLES = 30


def variance_ratio(prices: ArrayLike, *, lags: Sequence[int] = (2, 5, 10, 50)) -> pd.DataFrame:
    r"""Test whether log prices are a random walk by the variance of long against short returns.

    :math:`VR(q) = \sigma^2(q) / \sigma^2(1)`, where :math:`\sigma^2(q)` is the variance of overlapping
    returns over `q` observations divided by `q`. A random walk has 1, reversal (as bid-ask bounce makes it)
    less, trend more. The statistic `z` holds under heteroskedasticity and is standard normal for a random
    walk.

    Parameters
    ----------
    prices : (n,) array_like, price units
        At equal distances in time, above 0; for instance ``Mids(quotes, instruments).sampled(0)``, whose
        observations are the recorded quotes, ``Mids.every`` steps apart.
    lags : sequence of int, observations
        Each from 2 to below n.

    Returns
    -------
    DataFrame
        ``lag``, ``ratio``, ``z``, ``p_value`` (two-sided), ``observations`` (prices).

    Raises
    ------
    AnalysisError
        For prices that are missing, not positive or constant, fewer than 30, or a lag out of range.

    References
    ----------
    Lo and MacKinlay (1988), Review of Financial Studies 1, 41. Computed by ``arch.unitroot.VarianceRatio``.

    Example
    -------
    >>> walk = 100 * np.exp(np.random.default_rng(1).normal(0, 0.001, 5000).cumsum())
    >>> bool((variance_ratio(walk)["z"].abs() < 3).all())
    True
    """
    values = _prices(prices)
    if values.min() <= 0:
        raise AnalysisError(f"prices reach {values.min():g}, and logarithms need prices above 0")
    if np.ptp(values) == 0:
        raise AnalysisError("the price never changes, so its variance ratio is not defined")
    test = library("arch.unitroot").VarianceRatio
    rows = []
    for lag in lags:
        if not 2 <= lag < len(values):
            raise AnalysisError(f"lag {lag} does not fit {len(values)} prices; choose 2 to {len(values) - 1}")
        found = test(np.log(values), lag)
        rows.append(
            {"lag": lag, "ratio": float(found.vr), "z": float(found.stat), "p_value": float(found.pvalue)}
        )
    return pd.DataFrame(rows).assign(observations=len(values))


def signature_plot(prices: ArrayLike, *, intervals: Sequence[int] | None = None) -> pd.DataFrame:
    r"""Return the realised variance per observation against the interval at which prices are sampled.

    :math:`RV(k) = \overline{(p_{t+k} - p_t)^2} / k`, the mean over all `t` (so over all places where sampling
    may start). Flat for a martingale; rising towards small intervals where prices bounce.

    Parameters
    ----------
    prices : (n,) array_like, price units
        At equal distances in time; for instance ``Mids(quotes, instruments).sampled(0)``.
    intervals : sequence of int, observations, optional
        About twenty, spread evenly in logarithms up to a tenth of the prices, by default.

    Returns
    -------
    DataFrame
        ``interval``, ``realised_variance`` (price units squared per observation), ``ratio`` (to that of the
        shortest interval), ``observations`` (prices / interval, of which so many are independent).

    Raises
    ------
    AnalysisError
        For missing prices, fewer than 30, or an interval out of range.

    References
    ----------
    Andersen, Bollerslev, Diebold and Labys (2000), Risk 13, 105 (the volatility signature plot).

    Example
    -------
    >>> signature_plot([100, 101] * 20, intervals=[1, 2])["realised_variance"].tolist()
    [1.0, 0.0]
    """
    values = _prices(prices)
    if intervals is None:
        intervals = np.unique(np.geomspace(1, len(values) // 10, 20).astype(int)).tolist()
    rows = []
    for interval in intervals:
        if not 1 <= interval < len(values):
            raise AnalysisError(
                f"interval {interval} does not fit {len(values)} prices; choose 1 to {len(values) - 1}"
            )
        change = values[interval:] - values[:-interval]
        rows.append((interval, float(np.mean(change**2) / interval), (len(values) - 1) // interval))
    table = pd.DataFrame(rows, columns=["interval", "realised_variance", "observations"])
    shortest = table.loc[table["interval"].idxmin(), "realised_variance"]
    if shortest == 0:
        raise AnalysisError("the price never changes over the shortest interval; choose longer intervals")
    table.insert(2, "ratio", table["realised_variance"] / shortest)
    return table


def _prices(prices: ArrayLike) -> NDArray[np.float64]:
    values = np.asarray(prices, float)
    if values.ndim != 1 or len(values) < _FEWEST_SAMPLES:
        raise AnalysisError(
            f"prices have shape {values.shape}; give one price series of at least {_FEWEST_SAMPLES}"
        )
    missing = np.flatnonzero(~np.isfinite(values))
    if len(missing):
        raise AnalysisError(
            f"price {missing[0]} is {values[missing[0]]}; give finite prices, such as Mids(...).sampled(0)"
        )
    return values


def efficiency(quotes: Frames, instruments: pd.DataFrame, *, interval: int = 10) -> pd.DataFrame:
    r"""Measure how closely the mid follows the fundamental value.

    The error is :math:`e_t = m_t - v_t` at each quote that has both sides. Its half-life is that of an AR(1)
    fitted by least squares to consecutive quotes, :math:`\ln 0.5 / \ln \phi`: 0 where :math:`\phi \le 0`
    (it does not last), infinite where :math:`\phi \ge 1` (it does not shrink).

    Parameters
    ----------
    quotes : Frames
        ``step``, ``instrument``, ``best_bid``, ``best_ask``, ``fundamental``; rows in order of steps.
    instruments : DataFrame
        ``instrument``, ``name``.
    interval : int, steps
        Over which the returns of mid and fundamental are correlated.

    Returns
    -------
    DataFrame
        One row an instrument: ``instrument``; in price units ``rmse``, ``mean_absolute_error``, ``bias``
        (mean error); ``relative_error`` (mean absolute error in basis points of the fundamental); ``phi``;
        ``half_life`` (steps); ``observations`` (quotes); ``return_correlation`` (of changes over `interval`).

    Raises
    ------
    AnalysisError
        When an instrument has no fundamental value, or fewer than 30 quotes with both sides.

    Example
    -------
    >>> efficiency(run.quotes(), run.instruments())[["rmse", "half_life"]]  # doctest: +SKIP
    """
    errors = PricingErrors(instruments, interval)
    for frame in batches(quotes, FUNDAMENTAL_COLUMNS, "quotes"):
        errors.add(frame)
    names = instrument_names(instruments)
    if not errors.instruments:
        raise AnalysisError("there are no quotes; record the run with recording.quotes_every: 1")
    rows = []
    for number in errors.instruments:
        row = {"instrument": names[number], **errors.row(number)}
        rows.append(row | {"return_correlation": errors.return_correlation(number)})
    return pd.DataFrame(rows)


class PricingErrors:
    """Add up the errors of the mid against the fundamental, batch by batch; see `efficiency`."""

    def __init__(self, instruments: pd.DataFrame, interval: int) -> None:
        if interval < 1:
            raise AnalysisError(f"interval is {interval} steps; an interval has at least 1 step")
        self._instruments = instruments
        self._interval = interval
        self._sums = Sums(instruments)
        self._last: pd.DataFrame | None = None
        self._last_step = 0
        self._sampled: list[pd.DataFrame] = []
        self.instruments: list[int] = []
        """The instruments that had quotes."""

    def add(self, quotes: pd.DataFrame) -> None:
        """Add the quotes of one frame; raises AnalysisError when steps are negative or out of order."""
        self._last_step = in_order(quotes["step"].to_numpy(np.int64), self._last_step, "quotes")
        mid = (quotes["best_bid"].to_numpy(float) + quotes["best_ask"].to_numpy(float)) / 2
        fundamental = quotes["fundamental"].to_numpy(float)
        rows = pd.DataFrame(
            {
                "step": quotes["step"].to_numpy(np.int64),
                "instrument": numbers(quotes["instrument"], self._instruments, "instrument"),
                "mid": mid,
                "fundamental": fundamental,
                "error": mid - fundamental,
            }
        )
        self.instruments = sorted({*self.instruments, *rows["instrument"].unique().tolist()})
        self._sampled.append(rows[(rows["step"] + 1) % self._interval == 0])
        self._add_levels(rows.dropna())
        self._add_lagged(rows)

    def _add_levels(self, rows: pd.DataFrame) -> None:
        error = rows["error"].to_numpy()
        self._sums.add(
            rows["instrument"].to_numpy(),
            count=np.ones(len(error)),
            error=error,
            square=error**2,
            absolute=np.abs(error),
            relative=in_basis_points(np.abs(error), rows["fundamental"].to_numpy(float)),
        )

    def _add_lagged(self, rows: pd.DataFrame) -> None:
        """Add products of consecutive errors, for the AR(1)."""
        known = rows if self._last is None else pd.concat([self._last, rows], ignore_index=True)
        known = known.sort_values("instrument", kind="stable", ignore_index=True)
        before = known.groupby("instrument")[["error", "step"]].shift()
        both = before["error"].notna() & known["error"].notna()
        x, y = before["error"][both].to_numpy(), known["error"][both].to_numpy()
        apart = (known["step"] - before["step"])[both].to_numpy()
        self._sums.add(
            known["instrument"][both].to_numpy(),
            pairs=np.ones(len(x)),
            x=x,
            y=y,
            xx=x * x,
            xy=x * y,
            apart=apart,
        )
        self._last = known.groupby("instrument").tail(1)

    def row(self, instrument: int) -> dict[str, float]:
        """Return the measures of one instrument; raises AnalysisError when it has too few quotes."""
        name = instrument_names(self._instruments)[instrument]
        count = int(self._sums["count"][instrument])
        if count < _FEWEST_SAMPLES:
            raise AnalysisError(
                f"{name}: {count} quotes have both sides and a fundamental value, and {_FEWEST_SAMPLES} are "
                "needed; give the instrument a fundamental, or run longer"
            )
        mean = {key: float(self._sums[key][instrument] / count) for key in ("error", "square", "absolute")}
        phi, half_life = self._half_life(instrument)
        return {
            "rmse": float(np.sqrt(mean["square"])),
            "mean_absolute_error": mean["absolute"],
            "bias": mean["error"],
            "relative_error": float(self._sums["relative"][instrument] / count),
            "phi": phi,
            "half_life": half_life,
            "observations": count,
        }

    def _half_life(self, instrument: int) -> tuple[float, float]:
        pairs, x, y, xx, xy, apart = (
            float(self._sums[key][instrument]) for key in ("pairs", "x", "y", "xx", "xy", "apart")
        )
        variance = xx - x * x / pairs if pairs else 0.0
        if variance <= 0:
            return 0.0, 0.0
        phi = (xy - x * y / pairs) / variance
        if phi <= 0:
            return phi, 0.0
        return phi, float(np.log(0.5) / np.log(phi) * apart / pairs) if phi < 1 else np.inf

    def return_correlation(self, instrument: int) -> float:
        """Return the correlation of changes; raises AnalysisError when they are too few."""
        name = instrument_names(self._instruments)[instrument]
        rows = pd.concat(self._sampled)
        rows = rows[rows["instrument"] == instrument].sort_values("step")
        changes = rows[["mid", "fundamental"]].diff()[rows["step"].diff() == self._interval].dropna()
        if len(changes) < _FEWEST_SAMPLES or (changes.std() == 0).any():
            raise AnalysisError(
                f"{name}: {len(changes)} changes over {self._interval} steps are too few to correlate, or "
                f"all the same; {_FEWEST_SAMPLES} different ones are needed: change interval or run longer"
            )
        return float(changes["mid"].corr(changes["fundamental"]))


def resilience(
    quotes: Frames,
    instruments: pd.DataFrame,
    step: int,
    *,
    before: int = 100,
    reaction: int = 10,
    horizon: int = 1_000,
    width: float = 2.0,
    hold: int = 10,
) -> pd.DataFrame:
    """Measure how long spread, depth and mid take to come back after a shock.

    The level before is the mean of the `before` steps up to the shock, and the band around it `width` of
    their standard deviations, at least one tick (one lot for depth). A measure that leaves the band within
    `reaction` steps of the shock has recovered at the first step from which it stays inside for `hold` steps.
    One that has not by the `horizon` is censored: its recovery takes longer than stated.

    Parameters
    ----------
    quotes : Frames
        ``step``, ``instrument``, ``best_bid``, ``bid_depth``, ``best_ask``, ``ask_depth``.
    instruments : DataFrame
        ``instrument``, ``name``, ``tick_size``.
    step : int
        Step of the shock.
    before, reaction, horizon, hold : int, steps
        At least 2, 0, 0 and 1.
    width : float, standard deviations
        From 0.

    Returns
    -------
    DataFrame
        One row an instrument and measure: ``instrument``, ``measure`` (``spread``, ``depth``, ``mid``),
        ``unit``, ``level`` (before), ``low``, ``high`` (the band), ``extreme`` (value farthest from the level
        until recovery), ``left`` (whether it left the band), ``recovery`` (steps from the shock; 0 when it
        never left), ``censored``. Depth is that at both best prices together; an empty side has depth 0, and
        while there is one the spread and the mid are outside their bands.

    Raises
    ------
    AnalysisError
        When no quotes surround the step, quotes were not recorded at every step, or a parameter is out of
        range.

    References
    ----------
    Large (2007), Journal of Financial Markets 10, 1; Degryse, de Jong, van Ravenswaaij and Wuyts (2005),
    Review of Finance 9, 201.

    Example
    -------
    >>> table = pd.DataFrame({"instrument": [0], "name": ["A"], "tick_size": [1]})
    >>> quotes = pd.DataFrame({"step": range(40), "instrument": 0, "best_bid": 99, "bid_depth": 5})
    >>> quotes = quotes.assign(best_ask=101, ask_depth=5)
    >>> quotes.loc[20:24, "best_ask"] = 109
    >>> resilience(quotes, table, 20, before=10, hold=3)[["measure", "recovery"]].to_numpy().tolist()
    [['spread', 5], ['depth', 0], ['mid', 5]]
    """
    for value, name, fewest in (
        (step, "step", 0),
        (before, "before", 2),
        (reaction, "reaction", 0),
        (horizon, "horizon", 0),
        (hold, "hold", 1),
    ):
        require_steps(value, name, fewest)
    if not 0 <= width < np.inf:
        raise AnalysisError(f"width is {width} standard deviations; choose a finite number from 0")
    rows = _around(quotes, instruments, step - before, step + horizon + hold)
    names = instrument_names(instruments)
    ticks = instruments.set_index("instrument")["tick_size"]
    found = []
    for number, group in rows.groupby("instrument"):
        _require_adjacent(group, names[int(number)])
        calm, after = group[group["step"] < step], group[group["step"] >= step]
        if len(calm) < 2 or len(after) < hold:
            raise AnalysisError(
                f"{names[int(number)]} has {len(calm)} quotes before step {step} and {len(after)} from it "
                "on; choose a step inside the run, with quotes around it"
            )
        for measure, unit, least in _measures(float(ticks[number])):
            level, half = calm[measure].mean(), max(width * float(calm[measure].std()), least)
            found.append(
                {"instrument": names[int(number)], "measure": measure, "unit": unit}
                | {"level": level, "low": level - half, "high": level + half}
                | _recovery(after, measure, level, half, step, reaction=reaction, horizon=horizon, hold=hold)
            )
    if not found:
        raise AnalysisError(f"there are no quotes around step {step}; choose a step inside the run")
    return pd.DataFrame(found)


def _require_adjacent(quotes: pd.DataFrame, name: str) -> None:
    nearest = quotes["step"].diff().min()
    if nearest > 1:
        raise AnalysisError(
            f"{name}: resilience takes the book of every step, and the quotes are {nearest:.0f} steps apart; "
            "record the run with recording.quotes_every: 1"
        )


def _measures(tick: float) -> list[tuple[str, str, float]]:
    return [("spread", "price units", tick), ("depth", "lots", 1.0), ("mid", "price units", tick)]


def _around(quotes: Frames, instruments: pd.DataFrame, first: int, end: int) -> pd.DataFrame:
    parts = []
    for frame in batches(quotes, _RESILIENCE_COLUMNS, "quotes"):
        rows = frame[(frame["step"] >= first) & (frame["step"] <= end)]
        bid, ask = rows["best_bid"].to_numpy(float), rows["best_ask"].to_numpy(float)
        columns = {
            "step": rows["step"].to_numpy(np.int64),
            "instrument": numbers(rows["instrument"], instruments, "instrument"),
            "spread": ask - bid,
            "mid": (ask + bid) / 2,
            "depth": np.nan_to_num(rows["bid_depth"].to_numpy(float))
            + np.nan_to_num(rows["ask_depth"].to_numpy(float)),
        }
        parts.append(pd.DataFrame(columns))
    if not parts:
        raise AnalysisError("there are no quotes; record the run with recording.quotes_every: 1")
    return pd.concat(parts, ignore_index=True)


def _recovery(
    after: pd.DataFrame,
    measure: str,
    level: float,
    half: float,
    step: int,
    *,
    reaction: int,
    horizon: int,
    hold: int,
) -> dict[str, float | bool]:
    steps, values = after["step"].to_numpy(), after[measure].to_numpy()
    inside = np.abs(values - level) <= half
    outside = np.flatnonzero(~inside & (steps <= step + reaction))
    if not len(outside):
        extreme = _farthest(values[steps <= step + reaction], level)
        return {"extreme": extreme, "left": False, "recovery": 0, "censored": False}
    held = np.lib.stride_tricks.sliding_window_view(inside, hold).min(axis=1)
    back = np.flatnonzero(held & (steps[: len(held)] <= step + horizon))
    back = back[back > outside[0]]
    end = int(back[0]) if len(back) else len(values)
    recovery = int(steps[end] - step) if len(back) else int(min(steps[-1], step + horizon) - step)
    return {
        "extreme": _farthest(values[:end], level),
        "left": True,
        "recovery": recovery,
        "censored": not len(back),
    }


def _farthest(values: NDArray[np.float64], level: float) -> float:
    known = values[np.isfinite(values)]
    return float(known[np.argmax(np.abs(known - level))]) if len(known) else np.nan
