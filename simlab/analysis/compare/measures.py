"""The measures of a run that comparisons are about, if no others are asked for."""

from __future__ import annotations

import numpy as np
import pandas as pd

from simlab.analysis.pnl import pnl
from simlab.analysis.quality import volatility
from simlab.analysis.tables import EXCHANGE, Mids, NoQuotesError, batches, instrument_names, watched
from simlab.errors import AnalysisError
from simlab.recording import Run

__all__ = ["UNITS", "run_measures"]

UNITS = {
    "P&L": "money units",
    "passed on": "1",
    "two-sided quotes": "1",
    "spread": "price units",
    "volatility": "per step",
    "volume": "lots a step",
    "depth": "lots",
    "pricing error": "price units",
}
"""The unit of each measure by its name, which stands before the population or instrument."""

_COLUMNS = ("step", "instrument", "best_bid", "bid_depth", "best_ask", "ask_depth", "fundamental")
_SUMS = ("quotes", "both", "spread", "depth", "known", "error", "volume")


def run_measures(run: Run, warmup: int = 0) -> dict[str, float]:
    """Return P&L by population and the state of each market, after a warm-up.

    - ``P&L <population>``: total P&L (realised, unrealised, less fees) of all its agents, money units.
    - ``passed on <population>``: share of its recorded decisions that those before did not take, 0 to 1; left
      out where there are no decisions.
    - ``two-sided quotes``: share of the quotes that have a bid and an ask, 0 to 1.
    - ``spread``: mean of best ask less best bid at the ends of steps, price units.
    - ``volatility``: that of `simlab.analysis.quality.volatility`, per step; NaN unless quotes were
      recorded at every step.
    - ``volume``: lots traded a step, of all steps.
    - ``depth``: mean of the lots at the best bid and the best ask, of all quotes; an empty side has 0 lots.
    - ``pricing error``: root mean square of mid less fundamental, price units; left out without a
      fundamental.

    Spread and pricing error are known where a quote has both sides, and are about those quotes only: compare
    them together with ``two-sided quotes``. A measure that is nowhere known is left out; of a
    run without quotes P&L (at the marks of the table accounts) and volume are known, and the others NaN. With
    several instruments, the name of the instrument follows that of the measure.

    Parameters
    ----------
    run : Run
    warmup : int
        Steps at the start to leave out.

    Raises
    ------
    AnalysisError
        When no quotes are left after the warm-up, or there are neither quotes nor accounts.

    Example
    -------
    >>> run_measures(run)["spread"]  # doctest: +SKIP
    3.24
    """
    instruments, agents = run.instruments(), run.agents()
    result = _pnl(run, agents, instruments, warmup) | _passed_on(run, agents, warmup)
    names = instrument_names(instruments)
    for number, found in _markets(run, instruments, warmup).items():
        suffix = f" {names[number]}" if len(names) > 1 else ""
        result |= {f"{measure}{suffix}": value for measure, value in found.items()}
    return result


def _pnl(run: Run, agents: pd.DataFrame, instruments: pd.DataFrame, warmup: int) -> dict[str, float]:
    trades, quotes = run.batches("trades", names=False), run.batches("quotes", names=False)
    last = int(run.manifest["steps"])
    accounts = run.batches("accounts", names=False)
    table = pnl(trades, quotes, agents, instruments, accounts, by="population", every=warmup or last)
    names = table["population"].cat.categories
    totals = table["total"].to_numpy().reshape(-1, len(names))
    gained = dict(zip(names, totals[-1] - (totals[0] if warmup else 0.0), strict=True))
    return {f"P&L {name}": float(value) for name, value in gained.items() if name != EXCHANGE}


def _passed_on(run: Run, agents: pd.DataFrame, warmup: int) -> dict[str, float]:
    """Return the share of each population's decisions that came to who decided because others did not."""
    population = agents.set_index("account")["population"]
    columns, sums = ("account", "fallback"), pd.DataFrame()
    for frame in run.batches("decisions", columns=columns, steps=(warmup, None), names=False):
        passed = frame["fallback"].notna().groupby(frame["account"].map(population)).agg(["sum", "size"])
        sums = sums.add(passed, fill_value=0)
    return {f"passed on {name}": float(row["sum"] / row["size"]) for name, row in sums.iterrows()}


def _markets(run: Run, instruments: pd.DataFrame, warmup: int) -> dict[int, dict[str, float]]:
    """Return the measures of every instrument that has quotes; one pass over quotes, one over trades."""
    found: dict[int, _Market] = {}

    def add_quotes(frame: pd.DataFrame) -> None:
        for number, group in frame[frame["step"] >= warmup].groupby("instrument"):
            found.setdefault(int(number), _Market()).add_quotes(group)

    quotes = run.batches("quotes", columns=_COLUMNS, names=False)
    try:
        mids = Mids(watched(quotes, _COLUMNS, "quotes", add_quotes), instruments)
    except NoQuotesError:
        mids = None
        found = {int(number): _Market() for number in instruments["instrument"]}
    if not found:
        raise AnalysisError(f"{run.path} has no quotes from step {warmup} on; give a shorter warm-up")
    columns = ("instrument", "quantity")
    trades = run.batches("trades", columns=columns, steps=(warmup, None), names=False)
    for frame in batches(trades, columns, "trades"):
        for number, lots in frame.groupby("instrument")["quantity"].sum().items():
            if number in found:
                found[number].add_volume(lots)
    steps = int(run.manifest["steps"]) - warmup
    return {number: it.measures(_volatility(mids, number, warmup), steps) for number, it in found.items()}


def _volatility(mids: Mids | None, number: int, warmup: int) -> float:
    """Return the volatility, NaN where it cannot be told: the comparison has it as not measured."""
    if mids is None:
        return np.nan
    try:
        return volatility(mids, number, warmup)
    except AnalysisError:
        return np.nan


class _Market:
    """Sums over the quotes and trades of one instrument."""

    def __init__(self) -> None:
        self._sums = dict.fromkeys(_SUMS, 0.0)

    def add_quotes(self, quotes: pd.DataFrame) -> None:
        """Add quotes, in order of steps."""
        both = quotes[quotes["best_bid"].notna() & quotes["best_ask"].notna()]
        error = ((both["best_bid"] + both["best_ask"]) / 2 - both["fundamental"]).to_numpy(float)
        self._sums["quotes"] += len(quotes)
        self._sums["both"] += len(both)
        self._sums["depth"] += (quotes["bid_depth"].fillna(0) + quotes["ask_depth"].fillna(0)).sum() / 2
        self._sums["spread"] += (both["best_ask"] - both["best_bid"]).sum()
        self._sums["known"] += np.isfinite(error).sum()
        self._sums["error"] += np.nansum(error**2)

    def add_volume(self, lots: float) -> None:
        """Add what was traded."""
        self._sums["volume"] += lots

    def measures(self, deviation: float, steps: int) -> dict[str, float]:
        """Return the measures that are known, by name; what was traded is spread over `steps`."""
        sums = self._sums
        if not sums["quotes"]:
            unknown = dict.fromkeys(("two-sided quotes", "spread", "volatility", "depth"), np.nan)
            return unknown | {"volume": float(sums["volume"] / steps)}
        result = {"two-sided quotes": sums["both"] / sums["quotes"]}
        if sums["both"]:
            result["spread"] = sums["spread"] / sums["both"]
        result["volatility"] = deviation
        result["volume"] = sums["volume"] / steps
        result["depth"] = sums["depth"] / sums["quotes"]
        if sums["known"]:
            result["pricing error"] = (sums["error"] / sums["known"]) ** 0.5
        return {name: float(value) for name, value in result.items()}
