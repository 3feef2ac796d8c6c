"""The measures of a run that comparisons are about, if no others are asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd

from simlab.analysis.fills import EXCHANGE
from simlab.analysis.frames import batches
from simlab.analysis.pnl import pnl
from simlab.errors import AnalysisError
from simlab.recording import Run

__all__ = ["UNITS", "run_measures"]

UNITS = {
    "P&L": "money units",
    "spread": "price units",
    "volatility": "per step",
    "volume": "lots a step",
    "depth": "lots",
    "pricing error": "price units",
}
"""The unit of each measure by its name, which stands before the population or instrument."""

_COLUMNS = ("step", "instrument", "best_bid", "bid_depth", "best_ask", "ask_depth", "volume", "fundamental")


def run_measures(run: Run, warmup: int = 0) -> dict[str, float]:
    """Return P&L by population and the state of each market, after a warm-up.

    - ``P&L <population>``: total P&L (realised, unrealised, less fees) of all its agents, money units. -
    ``spread``: mean of best ask less best bid at the ends of steps, price units. - ``volatility``:
    ``sqrt(sum(r^2) / steps)`` of log returns r of the mid between quotes, per step. - ``volume``: lots traded
    a step. - ``depth``: mean of the lots at the best bid and the best ask, lots. - ``pricing error``: root
    mean square of mid less fundamental, price units; left out without a fundamental.

    With several instruments, the name of the instrument follows that of the measure.

    Parameters
    ----------
    run : Run
    warmup : int
        Steps at the start to leave out.

    Raises
    ------
    AnalysisError
        When no quotes with both sides are left after the warm-up.

    Example
    -------
    >>> run_measures(run)["spread"]  # doctest: +SKIP
    3.24
    """
    instruments = run.instruments()
    result = _pnl(run, instruments, warmup)
    names = dict(instruments[["instrument", "name"]].itertuples(index=False))
    for number, market in _Markets.read(run, warmup).items():
        suffix = f" {names[number]}" if len(names) > 1 else ""
        result |= {f"{measure}{suffix}": value for measure, value in market.measures(run).items()}
    return result


def _pnl(run: Run, instruments: pd.DataFrame, warmup: int) -> dict[str, float]:
    trades, quotes = run.batches("trades", names=False), run.batches("quotes", names=False)
    last = int(run.manifest["steps"])
    accounts = run.batches("accounts", names=False)
    table = pnl(trades, quotes, run.agents(), instruments, accounts, by="population", every=warmup or last)
    wide = table.pivot(index="step", columns="population", values="total")
    gained = wide.iloc[-1] - (wide.iloc[0] if warmup else 0.0)
    return {f"P&L {name}": float(value) for name, value in gained.items() if name != EXCHANGE}


class _Markets:
    """Sums over the quotes of one instrument."""

    def __init__(self) -> None:
        self._sums = pd.Series(0.0, index=["quotes", "spread", "depth", "known", "error"])
        self._squares = 0.0
        self._first: pd.Series | None = None
        self._last: pd.Series | None = None

    @classmethod
    def read(cls, run: Run, warmup: int) -> dict[int, _Markets]:
        """Return the sums of every instrument; one pass over the quotes."""
        found: dict[int, _Markets] = {}
        rows = run.batches("quotes", columns=_COLUMNS, steps=(warmup, None), names=False)
        for frame in batches(rows, _COLUMNS, "quotes"):
            both = frame[frame["best_bid"].notna() & frame["best_ask"].notna()]
            for number, group in both.groupby("instrument"):
                found.setdefault(int(number), cls())._add(group)
        if not found:
            raise AnalysisError(
                f"{run.path} has no quotes with both sides from step {warmup} on; give a shorter warm-up, or "
                "record with recording.quotes_every: 1"
            )
        return found

    def _add(self, quotes: pd.DataFrame) -> None:
        mid = (quotes["best_bid"] + quotes["best_ask"]).to_numpy(float) / 2
        error = mid - quotes["fundamental"].to_numpy(float)
        self._sums["quotes"] += len(quotes)
        self._sums["spread"] += (quotes["best_ask"] - quotes["best_bid"]).sum()
        self._sums["depth"] += (quotes["bid_depth"] + quotes["ask_depth"]).sum() / 2
        self._sums["known"] += np.isfinite(error).sum()
        self._sums["error"] += np.nansum(error**2)
        before = mid[:1] if self._last is None else [self._last["mid"]]
        self._squares += float((np.diff(np.log(np.r_[before, mid])) ** 2).sum())
        ends = quotes[["step", "volume"]].assign(mid=mid)
        self._first = ends.iloc[0] if self._first is None else self._first
        self._last = ends.iloc[-1]

    def measures(self, run: Run) -> dict[str, float]:
        """Return the measures by name."""
        assert self._first is not None
        assert self._last is not None
        steps = self._last["step"] - self._first["step"]
        if steps < 1:
            raise AnalysisError(f"{run.path} has one quote after the warm-up; volatility needs two")
        sums = self._sums
        result = {
            "spread": sums["spread"] / sums["quotes"],
            "volatility": (self._squares / steps) ** 0.5,
            "volume": (self._last["volume"] - self._first["volume"]) / steps,
            "depth": sums["depth"] / sums["quotes"],
        }
        if sums["known"]:
            result["pricing error"] = (sums["error"] / sums["known"]) ** 0.5
        return {name: float(value) for name, value in result.items()}
