"""The measures of a run that comparisons are about, if no others are asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd

from simlab.analysis.pnl import pnl
from simlab.analysis.tables import EXCHANGE, batches, instrument_names
from simlab.errors import AnalysisError
from simlab.recording import Run

__all__ = ["UNITS", "run_measures"]

UNITS = {
    "P&L": "money units",
    "two-sided quotes": "1",
    "spread": "price units",
    "volatility": "per step",
    "volume": "lots a step",
    "depth": "lots",
    "pricing error": "price units",
}
"""The unit of each measure by its name, which stands before the population or instrument."""

_COLUMNS = ("step", "instrument", "best_bid", "bid_depth", "best_ask", "ask_depth", "fundamental")
_SUMS = ("quotes", "both", "spread", "depth", "known", "error", "squares", "volume")


def run_measures(run: Run, warmup: int = 0) -> dict[str, float]:
    """Return P&L by population and the state of each market, after a warm-up.

    - ``P&L <population>``: total P&L (realised, unrealised, less fees) of all its agents, money units.
    - ``two-sided quotes``: share of the quotes that have a bid and an ask, 0 to 1.
    - ``spread``: mean of best ask less best bid at the ends of steps, price units.
    - ``volatility``: ``sqrt(sum(r^2) / steps)`` of log returns r of the mid between quotes, per step.
    - ``volume``: lots traded a step, of all steps.
    - ``depth``: mean of the lots at the best bid and the best ask, of all quotes; an empty side has 0 lots.
    - ``pricing error``: root mean square of mid less fundamental, price units; left out without a
      fundamental.

    Spread, volatility and pricing error are known where a quote has both sides, and are about those quotes
    only: compare them together with ``two-sided quotes``. A measure that is nowhere known is left out. With
    several instruments, the name of the instrument follows that of the measure.

    Parameters
    ----------
    run : Run
    warmup : int
        Steps at the start to leave out.

    Raises
    ------
    AnalysisError
        When no quotes are left after the warm-up.

    Example
    -------
    >>> run_measures(run)["spread"]  # doctest: +SKIP
    3.24
    """
    instruments = run.instruments()
    result = _pnl(run, instruments, warmup)
    names = instrument_names(instruments)
    for number, market in _markets(run, warmup).items():
        suffix = f" {names[number]}" if len(names) > 1 else ""
        result |= {f"{measure}{suffix}": value for measure, value in market.measures().items()}
    return result


def _pnl(run: Run, instruments: pd.DataFrame, warmup: int) -> dict[str, float]:
    trades, quotes = run.batches("trades", names=False), run.batches("quotes", names=False)
    last = int(run.manifest["steps"])
    accounts = run.batches("accounts", names=False)
    table = pnl(trades, quotes, run.agents(), instruments, accounts, by="population", every=warmup or last)
    wide = table.pivot(index="step", columns="population", values="total")
    gained = wide.iloc[-1] - (wide.iloc[0] if warmup else 0.0)
    return {f"P&L {name}": float(value) for name, value in gained.items() if name != EXCHANGE}


def _markets(run: Run, warmup: int) -> dict[int, _Market]:
    """Return the sums of every instrument that has quotes; one pass over the quotes, one over the trades."""
    steps = int(run.manifest["steps"]) - warmup
    found: dict[int, _Market] = {}
    quotes = run.batches("quotes", columns=_COLUMNS, steps=(warmup, None), names=False)
    for frame in batches(quotes, _COLUMNS, "quotes"):
        for number, group in frame.groupby("instrument"):
            found.setdefault(int(number), _Market(steps)).add_quotes(group)
    if not found:
        raise AnalysisError(
            f"{run.path} has no quotes from step {warmup} on; give a shorter warm-up, or record with "
            "recording.quotes_every: 1"
        )
    columns = ("instrument", "quantity")
    trades = run.batches("trades", columns=columns, steps=(warmup, None), names=False)
    for frame in batches(trades, columns, "trades"):
        for number, lots in frame.groupby("instrument")["quantity"].sum().items():
            if number in found:
                found[number].add_volume(lots)
    return found


class _Market:
    """Sums over the quotes and trades of one instrument."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._sums = dict.fromkeys(_SUMS, 0.0)
        self._first_step: int | None = None
        self._last_step = 0
        self._last_mid: float | None = None

    def add_quotes(self, quotes: pd.DataFrame) -> None:
        """Add quotes, in order of steps."""
        both = quotes[quotes["best_bid"].notna() & quotes["best_ask"].notna()]
        self._sums["quotes"] += len(quotes)
        self._sums["both"] += len(both)
        self._sums["depth"] += (quotes["bid_depth"].fillna(0) + quotes["ask_depth"].fillna(0)).sum() / 2
        self._sums["spread"] += (both["best_ask"] - both["best_bid"]).sum()
        if len(both):
            self._add_mids(both)

    def add_volume(self, lots: float) -> None:
        """Add what was traded."""
        self._sums["volume"] += lots

    def _add_mids(self, quotes: pd.DataFrame) -> None:
        mid = (quotes["best_bid"] + quotes["best_ask"]).to_numpy(float) / 2
        error = mid - quotes["fundamental"].to_numpy(float)
        self._sums["known"] += np.isfinite(error).sum()
        self._sums["error"] += np.nansum(error**2)
        before = mid[0] if self._last_mid is None else self._last_mid
        self._sums["squares"] += float((np.diff(np.log(np.r_[before, mid])) ** 2).sum())
        if self._first_step is None:
            self._first_step = int(quotes["step"].iloc[0])
        self._last_step, self._last_mid = int(quotes["step"].iloc[-1]), float(mid[-1])

    def measures(self) -> dict[str, float]:
        """Return the measures that are known, by name."""
        sums = self._sums
        result = {"two-sided quotes": sums["both"] / sums["quotes"]}
        if self._first_step is not None:
            result["spread"] = sums["spread"] / sums["both"]
            if self._last_step > self._first_step:
                span = self._last_step - self._first_step
                result["volatility"] = (sums["squares"] / span) ** 0.5
        result["volume"] = sums["volume"] / self._steps
        result["depth"] = sums["depth"] / sums["quotes"]
        if sums["known"]:
            result["pricing error"] = (sums["error"] / sums["known"]) ** 0.5
        return {name: float(value) for name, value in result.items()}
