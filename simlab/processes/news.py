"""News: publications at given steps, and streams of publications at random steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from simlab.core.random import stream
from simlab.errors import ConfigError
from simlab.processes.draws import CHUNK_STEPS, MAX_EVENTS_PER_STEP, ChunkedUniforms, normals, poisson_counts
from simlab.processes.happenings import NewsItem

__all__ = ["NewsStream", "PoissonNews", "ScheduledNews"]

GOOD_HEADLINES = (
    "{instrument} beats earnings expectations",
    "{instrument} raises its outlook",
    "Analysts upgrade {instrument}",
    "{instrument} wins a large contract",
)
BAD_HEADLINES = (
    "{instrument} misses earnings expectations",
    "{instrument} cuts its outlook",
    "Analysts downgrade {instrument}",
    "{instrument} loses a large contract",
)


@dataclass(frozen=True)
class ScheduledNews:
    """Publish at one step, about one instrument or about all (None).

    `sentiment` runs from -1 (bad) to 1 (good). `impact` is added to the fundamental of each instrument
    concerned from this step on, price units.

    Raises
    ------
    ConfigError
        When the step is negative, the sentiment out of range or the impact not finite.

    Example
    -------
    >>> ScheduledNews(100, "ACME", "ACME beats earnings expectations", sentiment=0.8, impact=25.0).step
    100
    """

    step: int
    instrument: str | None
    headline: str
    content: str = ""
    sentiment: float = 0.0
    impact: float = 0.0
    source: str = ""

    def __post_init__(self) -> None:
        where = f"news {self.headline!r} at step {self.step}"
        if self.step < 0:
            raise ConfigError(f"{where}: the step must be at least 0")
        if not -1.0 <= self.sentiment <= 1.0:
            raise ConfigError(f"{where}: sentiment is {self.sentiment}; it must lie between -1 and 1")
        if not math.isfinite(self.impact):
            raise ConfigError(f"{where}: impact is {self.impact}; it must be a finite number of price units")


@dataclass(frozen=True)
class PoissonNews:
    """Publish at random: for each instrument a Poisson number of items a step.

    Each item's impact is normal with mean 0 and standard deviation `impact_scale`, price units. Its
    sentiment is the impact's rank, from -1 to 1 uniformly: twice the probability of a smaller impact,
    minus 1. Its headline is drawn from `good` or `bad` by the sign. Every instrument has draws of its own,
    keyed by `name` and its own name, so adding another changes nothing.

    Parameters
    ----------
    rate : float
        Mean number of items per step and instrument, above 0 and at most 10.
    instruments : tuple of str
        Names; empty means all.
    good, bad : tuple of str
        Headlines; ``{instrument}`` is replaced by the name.

    Raises
    ------
    ConfigError
        When a value is out of range, or a headline has another placeholder.
    """

    rate: float
    instruments: tuple[str, ...] = ()
    impact_scale: float = 0.0
    good: tuple[str, ...] = GOOD_HEADLINES
    bad: tuple[str, ...] = BAD_HEADLINES
    content: str = ""
    source: str = ""
    name: str = "news"

    def __post_init__(self) -> None:
        where = f"news stream {self.name!r}"
        if not 0.0 < self.rate <= MAX_EVENTS_PER_STEP:
            raise ConfigError(
                f"{where}: rate is {self.rate} a step; it must be above 0 and at most {MAX_EVENTS_PER_STEP:g}"
            )
        if not (self.impact_scale >= 0.0 and math.isfinite(self.impact_scale)):
            raise ConfigError(
                f"{where}: impact_scale is {self.impact_scale}; it must be finite and at least 0"
            )
        if not self.good or not self.bad:
            raise ConfigError(f"{where}: give at least one good and one bad headline")
        for text in (*self.good, *self.bad, self.content):
            _check_template(where, text)


def _check_template(where: str, text: str) -> None:
    try:
        text.format(instrument="")
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"{where}: {text!r} has a placeholder other than {{instrument}}; write other braces twice"
        ) from error


class NewsStream:
    """Make the items of one `PoissonNews` about one instrument, a chunk of steps at a time.

    Parameters
    ----------
    seed : int
    spec : PoissonNews
    instrument : str
    index : int
        The instrument's index in name order.
    """

    def __init__(self, seed: int, spec: PoissonNews, instrument: str, index: int) -> None:
        self._seed = seed
        self._spec = spec
        self._instrument = instrument
        self._index = index
        self._key = f"{spec.name}/{instrument}"
        self._arrivals = ChunkedUniforms(seed, "news.arrivals", self._key)
        self._last: tuple[int, tuple[NewsItem, ...]] = (-1, ())

    def items(self, start: int, steps: int) -> list[NewsItem]:
        """Return the items of steps [start, start + steps), by step."""
        stop = start + steps
        found: list[NewsItem] = []
        for chunk in range(start // CHUNK_STEPS, -(-stop // CHUNK_STEPS)):
            found += [item for item in self._load(chunk) if start <= item.step < stop]
        return found

    def _load(self, chunk: int) -> Sequence[NewsItem]:
        held, items = self._last
        if chunk != held:
            items = tuple(self._make(chunk))
            self._last = (chunk, items)
        return items

    def _make(self, chunk: int) -> list[NewsItem]:
        first = chunk * CHUNK_STEPS
        counts = poisson_counts(self._arrivals.steps(first, CHUNK_STEPS), self._spec.rate)
        steps = [first + i for i, count in enumerate(counts.tolist()) for _ in range(count)]
        draws = stream(self._seed, "news.items", f"{self._key}/{chunk}").random((len(steps), 2))
        impacts = normals(draws[:, 0].copy()) * self._spec.impact_scale
        return [
            self._item(step, float(impact), float(rank), float(pick))
            for step, impact, (rank, pick) in zip(steps, impacts, draws, strict=True)
        ]

    def _item(self, step: int, impact: float, rank: float, pick: float) -> NewsItem:
        headlines = self._spec.good if rank >= 0.5 else self._spec.bad
        return NewsItem(
            step,
            self._index,
            headlines[int(pick * len(headlines))].format(instrument=self._instrument),
            self._spec.content.format(instrument=self._instrument),
            2.0 * rank - 1.0,
            impact,
            self._spec.source,
        )
