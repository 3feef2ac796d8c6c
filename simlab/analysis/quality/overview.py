"""The quality of a market in one table: the measures most used, each from one reading of the run."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from simlab.analysis.quality.depth import LevelDepths, whole_samples
from simlab.analysis.quality.efficiency import FUNDAMENTAL_COLUMNS, PricingErrors, variance_ratio
from simlab.analysis.quality.impact import BEST_COLUMNS, SIGNED_COLUMNS, FlowImbalance, SignedVolume
from simlab.analysis.quality.orders import COUNT_COLUMNS, FillTimes, MessageCounts, QueueOutcomes
from simlab.analysis.quality.queueing import MESSAGE_COLUMNS, TRADE_COLUMNS, limit_orders
from simlab.analysis.quality.spreads import TRADE_COLUMNS as SPREAD_COLUMNS
from simlab.analysis.quality.spreads import QuotedSpreads, TradedSpreads
from simlab.analysis.quality.volatility import volatility
from simlab.analysis.tables import Frames, Mids, instrument_names, watched
from simlab.errors import AnalysisError

__all__ = ["quality"]

_HORIZONS = (10, 100)
_INTERVAL = 10
_KYLE_INTERVAL = 60
_RETURN_INTERVAL = 50
_VARIANCE_LAG = 10
_NEAR_LEVELS = 5
_BELOW_0 = "the mid was 0 or below, of which there are no basis points"


def quality(
    trades: Frames, quotes: Frames, messages: Frames, instruments: pd.DataFrame, depth: Frames | None = None
) -> pd.DataFrame:
    """Return the measures of market quality in one table.

    Every table is read once, in order. The definitions are those of `spreads`, `depth_shape`, `kyle_lambda`,
    `ofi_regression`, `volatility`, `variance_ratio`, `efficiency`, `order_to_trade_ratio`, `queue_outcomes`
    and `time_to_fill`, with horizons of 10 and 100 steps, regressions over 10 steps (Kyle's lambda over 60),
    a variance ratio of 10 steps to 1, and returns correlated with the fundamental's over 50 steps. With
    quotes that are more than a step apart there is no value for what takes the mid of every step: spreads
    paid, price impact and regressions, volatility and variance ratio.

    Parameters
    ----------
    trades, quotes, messages : Frames
        The tables of a whole recording, in order.
    instruments : DataFrame
        The table instruments.
    depth : Frames, optional
        The table depth; without it there is no depth beyond the best prices.

    Returns
    -------
    DataFrame
        One row an instrument and measure: ``instrument``, ``measure``, ``value``, ``unit``, and ``note``:
        empty, or why there is no value (NaN), for instance too little data.

    Raises
    ------
    AnalysisError
        When there are no quotes, or the tables do not belong together.

    Example
    -------
    >>> table = quality(run.trades(), run.quotes(), run.messages(), run.instruments())  # doctest: +SKIP
    >>> table.pivot(index="measure", columns="instrument", values="value")  # doctest: +SKIP
    """
    reading = _Reading(instruments)
    reading.read_quotes(quotes)
    reading.read_events(messages, trades)
    levels = None if depth is None else _near_depth(depth, instruments)
    names = instrument_names(instruments)
    rows = []
    for number in reading.mids.instruments:
        for source in _sources(reading, number, names[number], levels):
            rows += [{"instrument": names[number], **row} for row in source]
    return pd.DataFrame(rows)[["instrument", "measure", "value", "unit", "note"]]


class _Reading:
    """What one reading of quotes, messages and trades adds up to."""

    def __init__(self, instruments: pd.DataFrame) -> None:
        self._instruments = instruments
        self.quoted = QuotedSpreads(instruments)
        self.imbalance = FlowImbalance(instruments, _INTERVAL)
        self.errors = PricingErrors(instruments, _RETURN_INTERVAL)
        self.volume = SignedVolume(instruments, _INTERVAL)
        self.kyle = SignedVolume(instruments, _KYLE_INTERVAL)
        self.counts = MessageCounts(instruments)
        self.fill_times = FillTimes(instruments)
        self.outcomes = QueueOutcomes(instruments, ())

    def read_quotes(self, quotes: Frames) -> None:
        columns = (*BEST_COLUMNS, *FUNDAMENTAL_COLUMNS)
        watchers = (self.quoted.add, self.imbalance.add, self.errors.add)
        self.mids = Mids(watched(quotes, columns, "quotes", *watchers), self._instruments)
        self.traded = TradedSpreads(self._instruments, self.mids, self._horizons())

    def _horizons(self) -> tuple[int, ...]:
        return tuple(horizon for horizon in _HORIZONS if horizon < self.mids.steps)

    def read_events(self, messages: Frames, trades: Frames) -> None:
        sent = watched(messages, {*MESSAGE_COLUMNS, *COUNT_COLUMNS}, "messages", self.counts.add_messages)
        watchers = (self.traded.add, self.volume.add, self.kyle.add, self.counts.add_trades)
        columns = {*TRADE_COLUMNS, *SPREAD_COLUMNS, *SIGNED_COLUMNS}
        done = watched(trades, columns, "trades", *watchers)
        for stays in limit_orders(sent, done, self._instruments):
            self.fill_times.add(stays)
            self.outcomes.add(stays)

    def outcomes_of(self, name: str) -> dict[str, float]:
        table = self.outcomes.result()
        mine = table[table["instrument"] == name]
        if mine.empty:
            raise AnalysisError(f"no limit order came to rest in {name}")
        return mine.iloc[0].to_dict()


Wanted = list[tuple[str, str, str, float]]
"""Measure, its key in the row it is taken from, unit, factor."""


def _sources(
    reading: _Reading, number: int, name: str, levels: pd.Series | None
) -> list[list[dict[str, object]]]:
    """Return the measures of one instrument, in the order of the table."""
    mids = reading.mids
    sources: list[tuple[Callable[[], dict[str, float]], Wanted]] = [
        (lambda: reading.traded.counts(number), _TRADED),
        (lambda: {"volatility": volatility(mids, number)}, _VOLATILITY),
        (lambda: reading.quoted.row(number), _QUOTED),
        (lambda: reading.traded.row(number), _PAID),
        (lambda: {"depth": reading.imbalance.mean_depth(number)}, _DEPTH),
        (lambda: _levels_of(levels, name), _LEVELS if levels is not None else []),
        (lambda: reading.kyle.row(mids, number), _KYLE),
        (lambda: reading.imbalance.row(mids, number), _IMBALANCE),
        (lambda: reading.volume.row(mids, number), _TRADE_IMBALANCE),
        (lambda: _variance_ratio(mids, number), _VARIANCE_RATIO),
        (lambda: reading.errors.row(number), _ERRORS),
        (lambda: {"correlation": reading.errors.return_correlation(number)}, _CORRELATION),
        (lambda: reading.counts.row(number), _COUNTS),
        (lambda: reading.outcomes_of(name), _OUTCOMES),
        (lambda: _median(reading, number), _MEDIAN),
    ]
    return [_rows(source, wanted) for source, wanted in sources]


_TRADED: Wanted = [("trades", "trades", "fills", 1), ("volume", "volume", "lots", 1)]
_VOLATILITY: Wanted = [("volatility", "volatility", "per step", 1)]
_QUOTED: Wanted = [
    ("quoted spread", "quoted", "price units", 1),
    ("relative quoted spread", "relative_quoted", "bp", 1),
    ("quotes with both sides", "two_sided", "%", 100),
]
_PAID: Wanted = [
    ("effective spread", "effective", "price units", 1),
    ("relative effective spread", "relative_effective", "bp", 1),
    *(
        (f"{measure} {horizon}", f"{key}_{horizon}", "price units", 1)
        for horizon in _HORIZONS
        for measure, key in (("realised spread", "realised"), ("price impact", "price_impact"))
    ),
]
_DEPTH: Wanted = [("depth at the best price", "depth", "lots", 1)]
_LEVELS: Wanted = [(f"depth of {_NEAR_LEVELS} levels", "depth", "lots", 1)]
_KYLE: Wanted = [("Kyle's lambda", "slope", "price units a lot", 1)]
_IMBALANCE: Wanted = [
    ("order flow imbalance slope", "slope", "price units a lot", 1),
    ("order flow imbalance R2", "r2", "1", 1),
]
_TRADE_IMBALANCE: Wanted = [("trade imbalance R2", "r2", "1", 1)]
_VARIANCE_RATIO: Wanted = [(f"variance ratio {_VARIANCE_LAG}", "ratio", "1", 1)]
_ERRORS: Wanted = [
    ("pricing error (RMSE)", "rmse", "price units", 1),
    ("half-life of the pricing error", "half_life", "steps", 1),
]
_CORRELATION: Wanted = [(f"correlation with the fundamental {_RETURN_INTERVAL}", "correlation", "1", 1)]
_COUNTS: Wanted = [
    ("orders per trade", "orders_per_trade", "1", 1),
    ("messages per trade", "messages_per_trade", "1", 1),
]
_OUTCOMES: Wanted = [
    ("lots ahead on arrival", "mean_ahead", "lots", 1),
    ("resting orders filled", "filled", "%", 100),
    ("resting orders filled in part", "partly_filled", "%", 100),
]


_MEDIAN: Wanted = [("median time to first fill", "median", "steps", 1)]


def _rows(source: Callable[[], dict[str, float]], wanted: Wanted) -> list[dict[str, object]]:
    """Return one row a measure; where it cannot be computed, the reason is the note."""
    try:
        found, missing = source(), "not enough data: the run is shorter than the horizon"
    except AnalysisError as error:
        found, missing = {}, str(error)
    rows = []
    for measure, key, unit, factor in wanted:
        value = float(found[key]) * factor if key in found else np.nan
        undefined = _BELOW_0 if unit == "bp" and np.isnan(value) else ""
        note = undefined if key in found else missing
        rows.append({"measure": measure, "value": value, "unit": unit, "note": note})
    return rows


def _variance_ratio(mids: Mids, number: int) -> dict[str, float]:
    return variance_ratio(mids.series(number), lags=[_VARIANCE_LAG]).iloc[0].to_dict()


def _median(reading: _Reading, number: int) -> dict[str, float]:
    if number not in reading.fill_times.instruments:
        raise AnalysisError("no limit order came to rest, so there is no time to fill")
    return {"median": reading.fill_times.median(number, "first fill")}


def _near_depth(depth: Frames, instruments: pd.DataFrame) -> pd.Series:
    """Return the mean lots of one side within the nearest levels, by instrument; empty if not recorded."""
    levels = LevelDepths(instruments)
    for frame in whole_samples(depth):
        levels.add(frame)
    if levels.empty:
        return pd.Series(dtype=float)
    shape = levels.result()
    near = shape[shape["level"] < _NEAR_LEVELS]
    return near.groupby("instrument")["depth"].sum() / near.groupby("instrument")["side"].nunique()


def _levels_of(levels: pd.Series | None, name: str) -> dict[str, float]:
    if levels is None:
        return {}
    if name not in levels.index:
        raise AnalysisError(f"no depth of {name} was recorded")
    return {"depth": float(levels[name])}
