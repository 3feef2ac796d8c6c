"""Spreads: what the quotes ask for trading at once, what trades paid, and what the resting side kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis.tables import (
    Frames,
    Mids,
    Sums,
    batches,
    finite,
    in_basis_points,
    instrument_names,
    numbers,
    quoted_mids,
    require_steps,
    signs,
    watched,
)
from simlab.errors import AnalysisError

__all__ = ["QUOTE_COLUMNS", "TRADE_COLUMNS", "QuotedSpreads", "TradedSpreads", "spreads"]

QUOTE_COLUMNS = ("step", "instrument", "best_bid", "best_ask")
TRADE_COLUMNS = ("step", "instrument", "price", "quantity", "aggressor_side")


def spreads(
    trades: Frames, quotes: Frames, instruments: pd.DataFrame, *, horizons: Sequence[int] = (10, 100)
) -> pd.DataFrame:
    r"""Return quoted, effective and realised spreads and the price impact of trades, by instrument.

    With price :math:`p`, sign :math:`d` (+1 when the aggressor buys), mid :math:`m`, a fill at step `t`:

    - quoted spread: ``best_ask - best_bid``, the mean over quotes (time-weighted: quotes are taken at
      equal intervals) where both sides are there;
    - effective spread: :math:`2 d (p - m_{t-1})`, against the last mid before the step;
    - realised spread at `h`: :math:`2 d (p - m_{t+h})`, what the resting side keeps `h` steps later;
    - price impact at `h`: :math:`2 d (m_{t+h} - m_{t-1})`, what it loses to the move: effective - realised.

    Those of trades are means weighted by lots. Close to the end of the run the last mid stands for
    :math:`m_{t+h}`, so that the two parts add up to the effective spread exactly.

    Parameters
    ----------
    trades : Frames
        ``step``, ``instrument``, ``price``, ``quantity``, ``aggressor_side``.
    quotes : Frames
        ``step``, ``instrument``, ``best_bid``, ``best_ask``.
    instruments : DataFrame
        ``instrument``, ``name``, ``initial_price``.
    horizons : sequence of int, steps
        At which realised spread and price impact are taken.

    Returns
    -------
    DataFrame
        One row an instrument: ``instrument``, ``trades`` (fills), ``volume`` (lots), ``two_sided`` (share of
        the quotes that have both sides), and in price units ``quoted``, ``effective``, ``realised_<h>``,
        ``price_impact_<h>``; each again in basis points of the mid before, as ``relative_...``.

    Raises
    ------
    AnalysisError
        When there are no trades or no two-sided quotes in an instrument, a horizon is negative or reaches
        past the run, or the quotes were not recorded at every step.

    References
    ----------
    Huang and Stoll (1996), Journal of Financial Economics 41; Bessembinder (2003), Journal of Financial and
    Quantitative Analysis 38.

    Example
    -------
    >>> table = pd.DataFrame({"instrument": [0], "name": ["A"], "initial_price": [100]})
    >>> quotes = pd.DataFrame({"step": [0, 1, 2], "instrument": 0, "best_bid": [99, 99, 100]})
    >>> quotes["best_ask"] = [101, 101, 102]
    >>> trades = pd.DataFrame({"step": [1], "instrument": 0, "price": 101, "quantity": 5})
    >>> trades["aggressor_side"] = "buy"
    >>> spreads(trades, quotes, table, horizons=[1])[["effective", "realised_1", "price_impact_1"]].to_numpy()
    array([[2., 0., 2.]])
    """
    quoted = QuotedSpreads(instruments)
    mids = Mids(watched(quotes, QUOTE_COLUMNS, "quotes", quoted.add), instruments)
    traded = TradedSpreads(instruments, mids, horizons)
    for frame in batches(trades, TRADE_COLUMNS, "trades"):
        traded.add(frame)
    names = instrument_names(instruments)
    rows = [
        {"instrument": names[number], **traded.row(number), **quoted.row(number)}
        for number in mids.instruments
    ]
    return pd.DataFrame(rows)[_columns(horizons)]


def _columns(horizons: Sequence[int]) -> list[str]:
    later = [f"{part}_{horizon}" for horizon in horizons for part in ("realised", "price_impact")]
    measures = ["quoted", "effective", *later]
    return [
        "instrument",
        "trades",
        "volume",
        "two_sided",
        *measures,
        *(f"relative_{name}" for name in measures),
    ]


class QuotedSpreads:
    """Add up quoted spreads, batch by batch.

    Example
    -------
    >>> totals = QuotedSpreads(pd.DataFrame({"instrument": [0], "name": ["A"]}))
    >>> totals.add(pd.DataFrame({"step": [0], "instrument": [0], "best_bid": [99], "best_ask": [101]}))
    >>> totals.row(0)
    {'quoted': 2.0, 'relative_quoted': 200.0, 'two_sided': 1.0}
    """

    def __init__(self, instruments: pd.DataFrame) -> None:
        self._instruments = instruments
        self._names = instrument_names(instruments)
        self._sums = Sums(instruments)

    def add(self, quotes: pd.DataFrame) -> None:
        """Add the quotes of one frame; a quote with an empty side counts for ``two_sided`` alone."""
        instrument = numbers(quotes["instrument"], self._instruments, "instrument")
        bid, ask = quotes["best_bid"].to_numpy(float), quotes["best_ask"].to_numpy(float)
        both = ~np.isnan(bid + ask)
        spread, mid = (ask - bid)[both], (ask + bid)[both] / 2
        self._sums.add(instrument, quotes=np.ones(len(bid)), both=both)
        self._sums.add(instrument[both], spread=spread, relative=in_basis_points(spread, mid))

    def row(self, instrument: int) -> dict[str, float]:
        """Return the means of one instrument; raises AnalysisError when it never had both sides."""
        both = self._sums["both"][instrument]
        if not both:
            raise AnalysisError(
                f"{self._names[instrument]} has no quote with both sides, so there is no spread; leave it out"
            )
        return {
            "quoted": float(self._sums["spread"][instrument] / both),
            "relative_quoted": float(self._sums["relative"][instrument] / both),
            "two_sided": float(both / self._sums["quotes"][instrument]),
        }


class TradedSpreads:
    """Add up what trades paid and what became of it, batch by batch; `spreads` has the definitions.

    Parameters
    ----------
    instruments : DataFrame
        ``instrument``, ``name``.
    mids : Mids
        The mids of the whole run.
    horizons : sequence of int, steps
    """

    def __init__(self, instruments: pd.DataFrame, mids: Mids, horizons: Sequence[int]) -> None:
        for horizon in horizons:
            require_steps(horizon, "horizon", 0)
            if not 0 <= horizon < mids.steps:
                raise AnalysisError(
                    f"horizon {horizon} is not in a run of {mids.steps} steps; choose 0 to {mids.steps - 1}"
                )
        self._instruments = instruments
        self._names = instrument_names(instruments)
        self._mids = mids
        self._horizons = tuple(horizons)
        self._sums = Sums(instruments)

    def add(self, trades: pd.DataFrame) -> None:
        """Add the trades of one frame."""
        instrument = numbers(trades["instrument"], self._instruments, "instrument")
        step, quantity = trades["step"].to_numpy(np.int64), finite(trades["quantity"], "trades: quantity")
        twice = 2.0 * signs(trades["aggressor_side"])
        before = quoted_mids(self._mids, instrument, step - 1)
        effective = twice * (finite(trades["price"], "trades: price") - before)
        self._sums.add(instrument, trades=np.ones(len(step)), volume=quantity)
        self._add_weighted(instrument, quantity, before, "effective", effective)
        for horizon in self._horizons:
            impact = twice * (quoted_mids(self._mids, instrument, step + horizon) - before)
            self._add_weighted(instrument, quantity, before, f"price_impact_{horizon}", impact)
            self._add_weighted(instrument, quantity, before, f"realised_{horizon}", effective - impact)

    def _add_weighted(
        self,
        instrument: NDArray[np.int64],
        quantity: NDArray[np.float64],
        mid: NDArray[np.float64],
        name: str,
        spread: NDArray[np.float64],
    ) -> None:
        weighted = quantity * spread
        self._sums.add(instrument, **{name: weighted, f"relative_{name}": in_basis_points(weighted, mid)})

    def counts(self, instrument: int) -> dict[str, float]:
        """Return ``trades`` and ``volume`` of one instrument."""
        return {name: int(self._sums[name][instrument]) for name in ("trades", "volume")}

    def row(self, instrument: int) -> dict[str, float]:
        """Return `counts` and the means of one instrument.

        Raises AnalysisError when it had no trade, or the quotes were not recorded at every step.
        """
        counts = self.counts(instrument)
        if not counts["volume"]:
            raise AnalysisError(
                f"{self._names[instrument]} was never traded, so no spread was paid; leave it out"
            )
        self._mids.require_every_step("what trades paid")
        later = [f"{part}_{horizon}" for horizon in self._horizons for part in ("realised", "price_impact")]
        measures = [name for part in ("effective", *later) for name in (part, f"relative_{part}")]
        return counts | {name: float(self._sums[name][instrument] / counts["volume"]) for name in measures}
