"""What stylised facts are found in: returns, volumes, and orders one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from simlab.errors import AnalysisError

__all__ = ["Evidence", "OrderFlow", "from_prices", "from_returns"]


@dataclass(frozen=True, eq=False)
class OrderFlow:
    """Orders and trades of one instrument, as the facts about them need them.

    Attributes
    ----------
    signs : (k,) int8
        Side of each incoming order that traded, in order: 1 buy, -1 sell. Its fills count once.
    sizes : (k,) int64, lots
        What it traded.
    net_volume : (q,) float64, lots
        Bought less sold by incoming orders between two quotes, where both have a mid.
    mid_changes : (q,) float64
        Change of the log mid between them.
    orders : (n,) float64 or None
        New orders accepted during each return of the source; None without messages.
    waiting : (w,) int64, steps, or None
        Steps from one step with a new order to the next.
    """

    signs: NDArray[np.int8]
    sizes: NDArray[np.int64]
    net_volume: NDArray[np.float64]
    mid_changes: NDArray[np.float64]
    orders: NDArray[np.float64] | None = None
    waiting: NDArray[np.int64] | None = None


@dataclass(frozen=True, eq=False)
class Evidence:
    """What stylised facts are found in: returns, and where there are any, volumes and orders.

    Make one with `from_csv`, `from_prices`, `from_returns`, `simlab.analysis.facts.from_run` or
    `simlab.analysis.facts.from_tables`.

    Attributes
    ----------
    name : str
        Where the data come from, for people.
    interval : str
        What one return spans, such as ``"10 steps"`` or ``"1 row"``.
    returns : (n,) float64
        Log returns.
    volume : (n,) float64 or None
        What was traded during each return; lots in a run.
    flow : OrderFlow or None
        Orders and trades one by one.
    missing : mapping
        Why ``"volume"`` or ``"flow"`` is missing, for the card.
    notes : tuple of str
        What a reader must know beside, such as that a run is unfinished.
    """

    name: str
    interval: str
    returns: NDArray[np.float64]
    volume: NDArray[np.float64] | None = None
    flow: OrderFlow | None = None
    missing: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    notes: tuple[str, ...] = ()


def from_returns(returns: ArrayLike, *, name: str = "returns", interval: str = "1 observation") -> Evidence:
    """Take a series of log returns as it is.

    Parameters
    ----------
    returns : (n,) array-like of float
        Finite.
    name, interval : str
        For the card.

    Raises
    ------
    AnalysisError
        When a return is not finite, or they are not one series.

    Example
    -------
    >>> len(from_returns(np.zeros(100)).returns)
    100
    """
    values = _series(returns, name, "returns")
    unknown = np.flatnonzero(~np.isfinite(values))
    if len(unknown):
        raise AnalysisError(
            f"{name}: return {unknown[0]} is {values[unknown[0]]}; leave out what is not a finite number"
        )
    lacking = {"volume": "The source is returns only", "flow": "The source is returns only"}
    return Evidence(name, interval, values, missing=lacking)


def from_prices(
    prices: ArrayLike,
    volume: ArrayLike | None = None,
    *,
    name: str = "prices",
    interval: str = "1 observation",
) -> Evidence:
    """Take a series of prices, oldest first, and the volume traded up to each.

    Parameters
    ----------
    prices : (n,) array-like of float
        Positive, any currency.
    volume : (n,) array-like of float, optional
        Not negative; entry i was traded between price i - 1 and price i.
    name, interval : str
        For the card.

    Raises
    ------
    AnalysisError
        When the prices are not one series of positive numbers, a volume is negative, or their lengths
        differ.

    Example
    -------
    >>> from_prices([100.0, 110.0], [5, 7]).volume.tolist()
    [7.0]
    """
    values = _series(prices, name, "prices")
    wrong = np.flatnonzero(~(np.isfinite(values) & (values > 0)))
    if len(wrong):
        raise AnalysisError(
            f"{name}: price {wrong[0]} is {values[wrong[0]]}; log returns need positive prices"
        )
    source = from_returns(np.diff(np.log(values)), name=name, interval=interval)
    lacking = {"flow": "Needs orders and trades; the source is a price series"}
    if volume is None:
        lacking["volume"] = "The source has no volume"
        return Evidence(name, interval, source.returns, missing=lacking)
    traded = _series(volume, name, "volumes")
    if len(traded) != len(values):
        raise AnalysisError(f"{name}: {len(values)} prices and {len(traded)} volumes; give one each")
    wrong = np.flatnonzero(~(np.isfinite(traded) & (traded >= 0)))
    if len(wrong):
        raise AnalysisError(f"{name}: volume {wrong[0]} is {traded[wrong[0]]}; a volume is 0 or more")
    return Evidence(name, interval, source.returns, traded[1:], missing=lacking)


def _series(values: ArrayLike, name: str, what: str) -> NDArray[np.float64]:
    try:
        series = np.asarray(values, float)
    except (TypeError, ValueError) as error:
        raise AnalysisError(f"{name}: {what} are not numbers ({error}); give a list of numbers") from error
    if series.ndim != 1:
        raise AnalysisError(
            f"{name} has shape {series.shape}; {what} are one series, shape (n,): give a list of numbers"
        )
    return series
