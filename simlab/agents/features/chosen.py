"""Compute chosen features: for all agents of a population at once, or for every step of a recording."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlab.agents.features.catalogue import FEATURES, Ends, Feature
from simlab.errors import StrategyError, did_you_mean

if TYPE_CHECKING:
    from simlab.agents.batch import BatchObservation

__all__ = ["FEATURES_VERSION", "STANDARD", "FeatureSet", "NewsRows"]

FEATURES_VERSION = 1
"""Rises whenever a formula changes; a model that was trained on another version is refused."""

STANDARD = (
    "spread",
    "imbalance",
    "mid_return_1",
    "mid_return_5",
    "mid_return_20",
    "flow_5",
    "flow_20",
    "order_flow_imbalance_5",
    "volatility_20",
    "volume_20",
    "last_distance",
    "mean_distance_50",
    "news_20",
)
"""What is taken where nothing is said; a recording has them with `quotes_every` 1."""

_MOST = 64
_NEWS_SHOWN = 100
_NAME = re.compile(r"([a-z_]+?)(?:_([0-9]{1,6}))?")


class NewsRows(NamedTuple):
    """News in order: (k,) int64 steps and instruments (-1 for all), (k,) float64 sentiments."""

    step: NDArray[np.int64]
    instrument: NDArray[np.int64]
    sentiment: NDArray[np.float64]

    @classmethod
    def of(cls, news: Sequence[Any]) -> NewsRows:
        """Take news as an observation shows them."""
        columns = zip(*((it.step, it.instrument, it.sentiment) for it in news), strict=True)
        step, instrument, sentiment = columns if news else ((), (), ())
        return cls(np.array(step, np.int64), np.array(instrument, np.int64), np.array(sentiment, float))

    def latest(
        self, steps: NDArray[np.int64], instrument: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return step and sentiment of the latest news about an instrument that those who act in `steps` use.

        It is of an earlier step and among the latest 100 about anything, which is what an observation shows.
        The step is -1 where there is none.
        """
        about = np.flatnonzero((self.instrument == instrument) | (self.instrument < 0))
        if not len(about):
            return np.full(len(steps), -1), np.zeros(len(steps))
        at = np.searchsorted(self.step[about], steps) - 1
        place = about[at]
        oldest_shown = np.searchsorted(self.step, steps, side="right") - _NEWS_SHOWN
        known = (at >= 0) & (place >= oldest_shown)
        return np.where(known, self.step[place], -1), np.where(known, self.sentiment[place], 0.0)


class FeatureSet:
    """Features in an order of their own: the columns of what a model is trained on and forecasts from.

    Parameters
    ----------
    names : sequence of str
        Names in `FEATURES`, those over a window with its size behind: ``mid_return_20``.

    Raises
    ------
    StrategyError
        When a name is not known or comes twice, or its number is missing, not wanted or out of range.

    Example
    -------
    >>> FeatureSet(["imbalance", "flow_10"]).names
    ('imbalance', 'flow_10')
    """

    def __init__(self, names: Sequence[str] = STANDARD) -> None:
        if isinstance(names, str) or not 0 < len(names) <= _MOST:
            raise StrategyError(
                f"features: give a list of 1 to {_MOST} names, such as [spread, mid_return_20]"
            )
        self.names: tuple[str, ...] = tuple(names)
        self._chosen = [_parsed(name) for name in self.names]
        twice = [name for name in self.names if self.names.count(name) > 1]
        if twice:
            raise StrategyError(f"features: {twice[0]!r} comes more than once; leave one out")

    def __reduce__(self) -> tuple[Any, ...]:
        return FeatureSet, (self.names,)

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def units(self) -> tuple[str, ...]:
        """The unit of each column."""
        return tuple(feature.unit for feature, _ in self._chosen)

    @cached_property
    def warm_up(self) -> int:
        """Steps that must have ended before all columns are known."""
        return max(feature.warm_up(size) for feature, size in self._chosen)

    @cached_property
    def depth(self) -> int:
        """Levels of the book that are looked at, beyond the best prices; 0 for none."""
        return max(feature.depth(size) for feature, size in self._chosen)

    @cached_property
    def own(self) -> tuple[str, ...]:
        """The columns that are an agent's own."""
        return tuple(name for name, (it, _) in zip(self.names, self._chosen, strict=True) if it.own)

    def describe(self) -> list[dict[str, Any]]:
        """Return name, unit, formula and warm-up (steps) of each column, as plain data."""
        return [
            {
                "name": name,
                "unit": feature.unit,
                "formula": feature.formula.replace("W", str(size)),
                "warm_up": feature.warm_up(size),
            }
            for name, (feature, size) in zip(self.names, self._chosen, strict=True)
        ]

    def table(
        self, history: NDArray[Any], *, tick_size: int, news: NewsRows | None = None, instrument: int = 0
    ) -> NDArray[np.float64]:
        """Compute the features as known at the end of every step.

        Parameters
        ----------
        history : (n,) HISTORY_DTYPE
            The ends of consecutive steps of one instrument.
        tick_size : int, price units
        news : NewsRows, optional
            All news up to the last step; none by default.
        instrument : int
            The instrument's number, for news.

        Returns
        -------
        (n, k) float64
            Row i is what whoever acts in step ``history["step"][i] + 1`` may use; NaN where not known. Own
            features are NaN.
        """
        seen = news or NewsRows.of(())
        ends = Ends(history, tick_size, *seen.latest(history["step"] + 1, instrument))
        out = np.full((len(history), len(self)), np.nan)
        for j, (feature, size) in enumerate(self._chosen):
            if feature.compute is not None:
                out[:, j] = feature.compute(ends, size)
        return out

    def now(self, observation: BatchObservation) -> NDArray[np.float64]:
        """Return what the agents that act now may use, ``(a, m, k) float64`` for m instruments.

        `a` is 1 where all agents know the same, the number of agents where there are own features.
        """
        news = NewsRows.of(observation.news)
        out = np.full((1, len(observation.instruments), len(self)), np.nan)
        for j, (number, tick) in enumerate(zip(observation.numbers, observation.tick_size, strict=True)):
            history = observation.history(self.warm_up, j)
            if len(history):
                found = self.table(history, tick_size=int(tick), news=news, instrument=int(number))
                out[0, j] = found[-1]
        if not self.own:
            return out
        out = np.repeat(out, len(observation.agents), axis=0)
        out[:, :, self.names.index("inventory")] = observation.inventory
        return out


def _parsed(name: str) -> tuple[Feature, int]:
    """Return a feature and the number behind its name, 0 for none."""
    found = _NAME.fullmatch(name) if isinstance(name, str) else None
    feature = FEATURES.get(found[1]) if found else None
    if found is None or feature is None:
        shown = [it.name if it.over is None else f"{it.name}_W" for it in FEATURES.values()]
        raise StrategyError(
            f"features: there is no feature {name!r}{did_you_mean(name, shown, otherwise='known')}"
        )
    if feature.over is None:
        if found[2]:
            raise StrategyError(f"features: {name!r}: {feature.name} takes no number; write {feature.name}")
        return feature, 0
    size, most, unit = int(found[2] or 0), feature.over.most, feature.over.unit
    if not 1 <= size <= most:
        raise StrategyError(
            f"features: {name!r}: {feature.name} takes a number of {unit} from 1 to {most};"
            f" write {feature.name}_{min(5, most)}"
        )
    return feature, size
