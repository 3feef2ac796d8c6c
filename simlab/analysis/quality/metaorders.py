"""Metaorders: find them in the trades, and fit how their impact grows with their size."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis.libraries import library
from simlab.analysis.tables import (
    Frames,
    Mids,
    Sums,
    batches,
    finite,
    instrument_names,
    numbers,
    quoted_mids,
    require,
    require_steps,
    signs,
)
from simlab.errors import AnalysisError, did_you_mean

__all__ = ["ImpactCurve", "metaorder_impact", "metaorders"]

_TRADES = ("step", "instrument", "price", "quantity", "aggressor_side", "taker_account", "maker_account")
_FEWEST_METAORDERS = 20
_FEWEST_BINS = 3
_EXPONENTS = (-2.0, 4.0)


class ImpactCurve(NamedTuple):
    """What `metaorder_impact` returns: the binned `curve` and the `fits` of the power law."""

    curve: pd.DataFrame
    fits: pd.DataFrame


def metaorder_impact(
    metaorders: pd.DataFrame,
    *,
    bins: int = 10,
    repetitions: int = 500,
    confidence: float = 0.95,
    seed: int = 0,
) -> ImpactCurve:
    r"""Fit how the impact of metaorders grows with their size: :math:`I = c\, Q^\delta`.

    Once by least squares in logarithms on the mean impacts of bins, each weighted by its metaorders, and once
    by non-linear least squares on all metaorders. Intervals are the quantiles of a bootstrap over metaorders.
    Impact is concave where ``high`` of the exponent is below 1; the square-root law says 0.5.

    Parameters
    ----------
    metaorders : DataFrame
        ``quantity`` (lots, above 0), and either ``impact`` (price units, positive when the price moved with
        the order; for instance a difference between paired runs) or ``side`` (1 for buy, -1 for sell),
        ``start_price`` and ``end_price``. With ``volume`` (lots) and ``volatility`` (price units) as well,
        the fit is of impact / volatility on quantity / volume.
    bins : int
        How many bins, at most, from 3; they hold equally many metaorders, but equal quantities share a bin.
    repetitions : int
        Bootstrap samples, 1 or more.
    confidence : float
        Of the intervals, between 0 and 1.
    seed : int
        Of the bootstrap.

    Returns
    -------
    ImpactCurve
        ``curve``: ``quantity``, ``impact`` (means), ``standard_error`` (of the impact), ``metaorders``.
        ``fits``: ``method`` (``binned log-log``, ``least squares``), ``coefficient``, ``exponent``, ``low``,
        ``high`` (of the exponent), ``metaorders``, ``repetitions`` (bootstrap samples that could be fitted).

    Raises
    ------
    AnalysisError
        With fewer than 20 metaorders, fewer than 3 bins whose mean impact is positive, as logarithms need,
        or `bins`, `repetitions` or `confidence` out of range.

    References
    ----------
    Tóth et al. (2011), Physical Review X 1, 021006; Bouchaud, Bonart, Donier and Gould (2018), Trades, Quotes
    and Prices, chapter 12; Sato and Kanazawa (2024), arXiv:2411.13965.

    Example
    -------
    >>> quantity = np.repeat([1.0, 4.0, 16.0, 64.0], 10)
    >>> orders = pd.DataFrame({"quantity": quantity, "impact": 2 * quantity**0.5})
    >>> metaorder_impact(orders).fits[["coefficient", "exponent"]].round(3).to_numpy().tolist()
    [[2.0, 0.5], [2.0, 0.5]]
    """
    _check_curve(bins, repetitions, confidence)
    quantity, impact = _scaled(metaorders)
    curve = _binned(quantity, impact, bins)
    if (curve["impact"] > 0).sum() < _FEWEST_BINS:
        raise AnalysisError(
            f"{(curve['impact'] > 0).sum()} of {len(curve)} bins have a positive mean impact, and a power "
            f"law needs {_FEWEST_BINS}; give more metaorders, or of more different quantities"
        )
    rng = np.random.default_rng(seed)
    samples = [rng.integers(0, len(quantity), len(quantity)) for _ in range(repetitions)]
    resampled = [_binned(quantity[sample], impact[sample], bins) for sample in samples]
    logs = [_log_fit(table) for table in resampled if (table["impact"] > 0).sum() >= _FEWEST_BINS]
    squares = [_power_fit(quantity[sample], impact[sample]) for sample in samples]
    fits = [
        _fit_row("binned log-log", _log_fit(curve), logs, confidence),
        _fit_row("least squares", _power_fit(quantity, impact), squares, confidence),
    ]
    return ImpactCurve(curve, pd.DataFrame(fits).assign(metaorders=len(quantity)))


def _check_curve(bins: int, repetitions: int, confidence: float) -> None:
    for name, value, least in (("bins", bins, _FEWEST_BINS), ("repetitions", repetitions, 1)):
        if value < least:
            raise AnalysisError(f"{name} is {value}; choose {least} or more")
    if not 0 < confidence < 1:
        raise AnalysisError(f"confidence is {confidence}; choose a share between 0 and 1, such as 0.95")


def _scaled(metaorders: pd.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    moved = ("impact",) if "impact" in metaorders.columns else ("side", "start_price", "end_price")
    scales = ("volume", "volatility") if {"volume", "volatility"} & set(metaorders.columns) else ()
    require(metaorders, ("quantity", *moved, *scales), "metaorders")
    if len(metaorders) < _FEWEST_METAORDERS:
        raise AnalysisError(
            f"{len(metaorders)} metaorders are too few for a curve, which takes {_FEWEST_METAORDERS}"
        )
    quantity = metaorders["quantity"].to_numpy(float)
    if moved == ("impact",):
        impact = metaorders["impact"].to_numpy(float)
    else:
        change = metaorders["end_price"].to_numpy(float) - metaorders["start_price"].to_numpy(float)
        impact = metaorders["side"].to_numpy(float) * change
    if scales:
        quantity = quantity / metaorders["volume"].to_numpy(float)
        impact = impact / metaorders["volatility"].to_numpy(float)
    if not (np.isfinite(quantity) & np.isfinite(impact) & (quantity > 0)).all():
        raise AnalysisError(
            "metaorders: quantities must be above 0, and quantities, impacts, volumes, volatilities finite"
        )
    return quantity, impact


def _binned(quantity: NDArray[np.float64], impact: NDArray[np.float64], bins: int) -> pd.DataFrame:
    edges = np.unique(np.quantile(quantity, np.linspace(0, 1, bins + 1)[1:-1]))
    place = np.searchsorted(edges, quantity, side="right")
    place = np.unique(place, return_inverse=True)[1]
    count = np.bincount(place)
    mean = np.bincount(place, impact) / count
    squares = np.bincount(place, (impact - mean[place]) ** 2)
    return pd.DataFrame(
        {
            "quantity": np.bincount(place, quantity) / count,
            "impact": mean,
            "standard_error": np.sqrt(squares / np.maximum(count - 1, 1) / count),
            "metaorders": count,
        }
    )


def _log_fit(curve: pd.DataFrame) -> tuple[float, float]:
    rising = curve[curve["impact"] > 0]
    weight = np.sqrt(rising["metaorders"])
    exponent, intercept = np.polyfit(np.log(rising["quantity"]), np.log(rising["impact"]), 1, w=weight)
    return float(np.exp(intercept)), float(exponent)


def _power_fit(quantity: NDArray[np.float64], impact: NDArray[np.float64]) -> tuple[float, float]:
    """Fit c and delta by least squares; for a given delta the best c is known, so one search is enough."""
    scale = float(np.exp(np.log(quantity).mean()))
    sizes = quantity / scale

    def coefficient(exponent: float) -> float:
        powers = sizes**exponent
        return float(impact @ powers / (powers @ powers))

    def error(exponent: float) -> float:
        return float(((impact - coefficient(exponent) * sizes**exponent) ** 2).sum())

    exponent = library("scipy.optimize").minimize_scalar(error, bounds=_EXPONENTS, method="bounded").x
    return coefficient(exponent) / scale**exponent, float(exponent)


def _fit_row(
    method: str, fit: tuple[float, float], resampled: list[tuple[float, float]], confidence: float
) -> dict[str, float | str]:
    if not resampled:
        raise AnalysisError(
            f"no bootstrap sample has {_FEWEST_BINS} bins with a positive mean impact, so the exponent has "
            "no interval; give more metaorders or more repetitions"
        )
    tail = (1 - confidence) / 2
    low, high = np.quantile([exponent for _, exponent in resampled], [tail, 1 - tail])
    return {
        "method": method,
        "coefficient": fit[0],
        "exponent": fit[1],
        "low": float(low),
        "high": float(high),
        "repetitions": len(resampled),
    }


def metaorders(
    trades: Frames,
    quotes: Frames,
    agents: pd.DataFrame,
    instruments: pd.DataFrame,
    *,
    accounts: Iterable[str] = (),
    populations: Iterable[str] = (),
    gap: int = 100,
    period: int | None = None,
) -> pd.DataFrame:
    """Group the trades of some accounts into metaorders.

    A metaorder is a run of fills of one account in one instrument on one side, whether it took or made, that
    no fill on the other side and no pause of more than `gap` steps interrupts.

    Parameters
    ----------
    trades : Frames
        The table trades. Memory follows the fills of the chosen accounts.
    quotes : Frames
        ``step``, ``instrument``, ``best_bid``, ``best_ask``.
    agents : DataFrame
        ``account``, ``name``, ``population``.
    instruments : DataFrame
        ``instrument``, ``name``, ``initial_price``.
    accounts, populations : iterable of str
        Names of agents and of populations whose trades are grouped; at least one.
    gap : int, steps
    period : int, steps, optional
        Over which ``volume`` and ``volatility`` are stated; the whole run by default.

    Returns
    -------
    DataFrame
        One row a metaorder, in order of its first step: ``metaorder`` (number), ``account``, ``instrument``
        (names), ``side`` (1 buy, -1 sell), ``quantity`` (lots), ``fills``, ``first_step``, ``last_step``,
        ``average_price``, ``start_price`` (mid before the first fill), ``end_price`` (mid at the end of the
        step of the last fill), ``impact`` (``side * (end_price - start_price)``, price units), ``volume``
        (mean lots traded in the instrument in a period), ``volatility`` (standard deviation of the mid's
        change over a period, price units, from changes over a step).

    Raises
    ------
    AnalysisError
        When a name is unknown, none is given, the chosen accounts did not trade, or the quotes were not
        recorded at every step.

    Example
    -------
    >>> found = metaorders(run.trades(), run.quotes(), run.agents(), run.instruments(),
    ...                    populations=["splitters"])  # doctest: +SKIP
    >>> metaorder_impact(found).fits  # doctest: +SKIP
    """
    require_steps(gap, "gap", 0)
    if period is not None:
        require_steps(period, "period", 1)
    chosen = _chosen_accounts(agents, accounts, populations)
    mids = Mids(quotes, instruments)
    mids.require_every_step("the impact of metaorders")
    volume = Sums(instruments)
    parts = [
        _fills_of(chosen, frame, agents, instruments, volume) for frame in batches(trades, _TRADES, "trades")
    ]
    fills = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"step": []})
    if not len(fills):
        raise AnalysisError(f"none of the {len(chosen)} chosen accounts traded; choose others")
    found = _grouped(fills, gap, mids)
    steps = mids.steps if period is None else period
    traded = found["instrument"].map(dict(enumerate(volume["volume"])))
    deviation = {number: np.diff(mids.series(number)).std() for number in mids.instruments}
    found["volume"] = traded * steps / mids.steps
    found["volatility"] = found["instrument"].map(deviation) * np.sqrt(steps)
    found["instrument"] = found["instrument"].map(instrument_names(instruments))
    found["account"] = found["account"].map(dict(zip(agents["account"], agents["name"], strict=True)))
    return found


def _chosen_accounts(
    agents: pd.DataFrame, accounts: Iterable[str], populations: Iterable[str]
) -> NDArray[np.int64]:
    require(agents, ("account", "name", "population"), "agents")
    chosen: list[int] = []
    for column, wanted in (("name", accounts), ("population", populations)):
        for name in [wanted] if isinstance(wanted, str) else wanted:
            rows = agents[agents[column] == name]
            if not len(rows):
                hint = did_you_mean(name, agents[column].unique(), otherwise="")
                raise AnalysisError(f"agents has no {column} {name!r}{hint}")
            chosen += rows["account"].tolist()
    if not chosen:
        raise AnalysisError("no account is chosen; give accounts=[...] or populations=[...]")
    return np.unique(chosen)


def _fills_of(
    chosen: NDArray[np.int64],
    trades: pd.DataFrame,
    agents: pd.DataFrame,
    instruments: pd.DataFrame,
    volume: Sums,
) -> pd.DataFrame:
    """Return the fills of the chosen accounts in order, a row for each side of a fill that is theirs."""
    instrument = numbers(trades["instrument"], instruments, "instrument")
    quantity = finite(trades["quantity"], "trades: quantity")
    price = finite(trades["price"], "trades: price")
    volume.add(instrument, volume=quantity)
    sign = signs(trades["aggressor_side"]).astype(np.int64)
    rows = []
    for role, side in (("taker_account", sign), ("maker_account", -sign)):
        account = numbers(trades[role], agents, "account")
        mine = np.flatnonzero(np.isin(account, chosen))
        columns = {
            "row": mine,
            "step": trades["step"].to_numpy(np.int64)[mine],
            "instrument": instrument[mine],
            "account": account[mine],
            "side": side[mine],
            "price": price[mine],
            "quantity": quantity[mine],
        }
        rows.append(pd.DataFrame(columns))
    return pd.concat(rows).sort_values("row", kind="stable").drop(columns="row")


def _grouped(fills: pd.DataFrame, gap: int, mids: Mids) -> pd.DataFrame:
    ordered = fills.sort_values(["account", "instrument"], kind="stable", ignore_index=True)
    before = ordered.shift()
    same = (ordered[["account", "instrument", "side"]] == before[["account", "instrument", "side"]]).all(
        axis=1
    )
    new = ~(same & (ordered["step"] - before["step"] <= gap))
    ordered["value"] = ordered["price"] * ordered["quantity"]
    found = ordered.groupby(new.cumsum().to_numpy()).agg(
        account=("account", "first"),
        instrument=("instrument", "first"),
        side=("side", "first"),
        quantity=("quantity", "sum"),
        fills=("quantity", "size"),
        first_step=("step", "first"),
        last_step=("step", "last"),
        average_price=("value", "sum"),
    )
    found = found.sort_values(["first_step", "account"], kind="stable", ignore_index=True)
    found["average_price"] /= found["quantity"]
    instrument = found["instrument"].to_numpy()
    found["start_price"] = quoted_mids(mids, instrument, found["first_step"].to_numpy() - 1)
    found["end_price"] = quoted_mids(mids, instrument, found["last_step"].to_numpy())
    found["impact"] = found["side"] * (found["end_price"] - found["start_price"])
    found.insert(0, "metaorder", range(len(found)))
    return found
