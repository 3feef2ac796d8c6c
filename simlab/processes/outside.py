"""Outside processes: a specification, a small state, and what follows from the two, block by block.

They do not look at the market, so their path is the same whatever the agents do; that is what makes paired
experiments possible. The specification (`OutsideSpec`) is plain data and can be run any number of times.
Whoever runs it owns the state (`OutsideState`), so that a copy of a market holds a copy of it. `Outside` is
everything that follows from specification, seed and instruments alone; it remembers nothing of a run.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from simlab.errors import ConfigError, SimlabError, did_you_mean
from simlab.processes.correlation import Correlation, check_correlation, cholesky_factor, correlation_matrix
from simlab.processes.fundamental import FundamentalSpec
from simlab.processes.happenings import NewsItem, OutsideBlock, Shock
from simlab.processes.news import NewsStream, PoissonNews, ScheduledNews
from simlab.processes.path import REMEMBERED, FundamentalPath
from simlab.processes.shocks import FundamentalJump, MarketShock

__all__ = ["Outside", "OutsideSpec", "OutsideState"]

_step = attrgetter("step")
_Happening = TypeVar("_Happening", NewsItem, Shock)


@dataclass(frozen=True)
class OutsideSpec:
    """Say what happens to a market from outside. Nothing by default: every fundamental is constant.

    Plain data: it can be compared, pickled, copied, and run any number of times. Instruments are named;
    the names are looked up when an `Outside` is made for a market.

    Parameters
    ----------
    fundamentals : tuple of FundamentalSpec
        At most one an instrument; an instrument without one has a constant fundamental.
    correlation : tuple of (str, str, float)
        Of the normal noise of mean-reverting and geometric fundamentals (jumps are independent); pairs that
        are not given are uncorrelated.
    news : tuple of ScheduledNews
        Items of one step appear in this order, before those of `poisson`.
    poisson : tuple of PoissonNews
        Each with a name of its own.
    shocks : tuple of FundamentalJump, FatFinger, Halt, Leave or Join
        Names of populations are not checked here.

    Raises
    ------
    ConfigError
        When something is given twice, or a correlation is out of range.

    Example
    -------
    >>> spec = OutsideSpec(fundamentals=(FundamentalSpec("ACME", "geometric", volatility=0.001),))
    >>> spec == OutsideSpec([FundamentalSpec("ACME", "geometric", volatility=0.001)])
    True
    """

    fundamentals: tuple[FundamentalSpec, ...] = ()
    correlation: Correlation = ()
    news: tuple[ScheduledNews, ...] = ()
    poisson: tuple[PoissonNews, ...] = ()
    shocks: tuple[FundamentalJump | MarketShock, ...] = ()

    def __post_init__(self) -> None:
        for field in fields(self):  # a list would not be plain data: it could change afterwards
            object.__setattr__(self, field.name, tuple(getattr(self, field.name)))
        named = [spec.instrument for spec in self.fundamentals]
        twice = next((name for name in named if named.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(f"fundamental of {twice!r} is given twice; remove one")
        names = [spec.name for spec in self.poisson]
        if len(set(names)) < len(names):
            raise ConfigError(
                f"news streams: the names {names} are not all different; give each its own name"
            )
        check_correlation(self.correlation)


@dataclass(frozen=True, eq=False)
class OutsideState:
    """All of the running outside processes that is not a function of specification and seed.

    `levels` is ``(instruments,) float64`` in name order, `memory` ``(instruments, REMEMBERED)``; neither can
    be written to, so copies of a market may share them.
    """

    next_step: int
    """The first step that has not been made yet."""
    levels: NDArray[np.float64]
    """Each fundamental's value before `next_step`, price units; of a file, what impacts have added to it."""
    memory: NDArray[np.float64]
    """What a path-dependent one remembers of its past returns; zeros for the others."""

    def __post_init__(self) -> None:
        for name, shape in (("levels", (-1,)), ("memory", (-1, REMEMBERED))):
            array = np.array(getattr(self, name), np.float64).reshape(shape)
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Return the state as arrays: ``next_step (1,) int64``, ``levels`` and ``memory`` as float64."""
        step = np.array([self.next_step], np.int64)
        return {"next_step": step, "levels": self.levels.copy(), "memory": self.memory.copy()}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> OutsideState:
        """Return the state that `to_arrays` wrote down."""
        return cls(int(arrays["next_step"][0]), arrays["levels"], arrays["memory"])


class Outside:
    """Make the outside processes of one market, any stretch of steps from any state.

    The path of an instrument depends on the seed, its own specification, the news and jumps about it, and
    the noise of the instruments before it in name order that it is correlated with, and on nothing else.
    Nothing of a run is kept here: copies of a market can share one `Outside`.

    Parameters
    ----------
    spec : OutsideSpec
    seed : int
        The run's seed.
    initial_prices : mapping of str to float
        For each instrument of the market, in any order, where a fundamental without `initial` starts,
        price units. Results are in name order.

    Raises
    ------
    ConfigError
        When a name is unknown, a file of values cannot be read, or the correlations contradict each other.

    Example
    -------
    >>> spec = OutsideSpec(fundamentals=(FundamentalSpec("ACME", "geometric", volatility=0.001),))
    >>> outside = Outside(spec, seed=1, initial_prices={"ACME": 10_000.0})
    >>> block, state = outside.advance(outside.start(), 5)
    >>> block.fundamental.shape, state.next_step
    ((5, 1), 5)
    """

    def __init__(self, spec: OutsideSpec, *, seed: int, initial_prices: Mapping[str, float]) -> None:
        self._names = sorted(initial_prices)
        self._paths = self._make_paths(spec, seed, initial_prices)
        self._factor = self._correlate(spec.correlation)
        self._scheduled = sorted((self._scheduled_item(item) for item in spec.news), key=_step)
        self._streams = list(self._news_streams(spec.poisson, seed))
        self._jumps = sorted((it for it in spec.shocks if isinstance(it, FundamentalJump)), key=_step)
        self._jumping = [self._columns(self._index_of(it.where, it.instrument)) for it in self._jumps]
        resolved = (it.resolve(self._index_of) for it in spec.shocks if not isinstance(it, FundamentalJump))
        self._shocks = sorted(resolved, key=_step)

    @property
    def instruments(self) -> tuple[str, ...]:
        """Names in the order of the columns of `OutsideBlock.fundamental` and of `OutsideState.levels`."""
        return tuple(self._names)

    def start(self) -> OutsideState:
        """Return the state before step 0."""
        levels = np.array([path.initial for path in self._paths], np.float64)
        return OutsideState(0, levels, np.array([path.blank_memory for path in self._paths], np.float64))

    def advance(self, state: OutsideState, steps: int) -> tuple[OutsideBlock, OutsideState]:
        """Return what happens in the next `steps` steps, and the state after them.

        How a stretch of steps is cut into blocks does not change what happens in it.

        Raises
        ------
        SimlabError
            When the state is one of another number of instruments.
        ConfigError
            When a file of values is too short, or a value leaves the range that its model allows.
        """
        if len(state.levels) != len(self._names):
            raise SimlabError(
                f"outside processes: the state is one of {len(state.levels)} instruments, and there are "
                f"{len(self._names)} ({', '.join(self._names)}); go on with a state of the same market"
            )
        start, stop = state.next_step, state.next_step + steps
        news = self._news(start, stop)
        impact = self._impacts(start, stop, news)
        noise = [path.noise(start, steps) for path in self._paths]
        values = np.empty((steps, len(self._names)))
        levels, memory = np.array(state.levels), np.array(state.memory)
        for i, path in enumerate(self._paths):
            values[:, i], levels[i] = path.advance(
                float(levels[i]), memory[i], start, self._mixed(i, noise), impact[:, i].copy()
            )
        block = OutsideBlock(start, values, tuple(news), tuple(_between(self._shocks, start, stop)))
        return block, OutsideState(stop, levels, memory)

    def check(self, steps: int, *, values: int = 1 << 20) -> None:
        """Raise what a run of `steps` steps would come upon: files too short, values out of range.

        Files are checked for every step, values that are drawn for the first `values` of all instruments,
        which takes a tenth of a second a million.

        Raises
        ------
        ConfigError
        """
        for path in self._paths:
            path.check_length(steps)
        if not self._names:
            return
        state, last = self.start(), min(steps, values // len(self._names))
        while state.next_step < last:
            _, state = self.advance(state, min(4096, last - state.next_step))

    def _index_of(self, where: str, name: str | None) -> int:
        if name is None:
            return -1
        if name in self._names:
            return self._names.index(name)
        raise ConfigError(f"{where}: there is no instrument {name!r}{did_you_mean(name, self._names)}")

    def _columns(self, index: int) -> slice:
        return slice(None) if index < 0 else slice(index, index + 1)

    def _make_paths(
        self, spec: OutsideSpec, seed: int, initial_prices: Mapping[str, float]
    ) -> list[FundamentalPath]:
        specs = {name: FundamentalSpec(name) for name in self._names}
        for given in spec.fundamentals:
            self._index_of("fundamental", given.instrument)
            specs[given.instrument] = given
        return [FundamentalPath(specs[name], seed, float(initial_prices[name])) for name in self._names]

    def _correlate(self, correlation: Correlation) -> NDArray[np.float64]:
        matrix = correlation_matrix(correlation, self._names)
        for i, path in enumerate(self._paths):
            if not path.is_noisy and np.count_nonzero(matrix[i]) > 1:
                raise ConfigError(
                    f"correlation of {self._names[i]!r}: its fundamental is {path.spec.model!r}, "
                    "without noise; make it mean_reverting, geometric or path_dependent, or remove the "
                    "correlation"
                )
        return cholesky_factor(matrix, self._names)

    def _mixed(self, i: int, noise: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return an instrument's own noise mixed with that of the instruments it is correlated with."""
        mixed = np.zeros(len(noise[i]))
        for j in np.flatnonzero(self._factor[i]):
            mixed += self._factor[i, j] * noise[j]
        return mixed

    def _scheduled_item(self, item: ScheduledNews) -> NewsItem:
        index = self._index_of(f"news {item.headline!r} at step {item.step}", item.instrument)
        return NewsItem(
            item.step, index, item.headline, item.content, item.sentiment, item.impact, item.source
        )

    def _news_streams(self, poisson: Sequence[PoissonNews], seed: int) -> Iterator[NewsStream]:
        for spec in sorted(poisson, key=attrgetter("name")):
            for name in sorted(spec.instruments or self._names):
                yield NewsStream(seed, spec, name, self._index_of(f"news stream {spec.name!r}", name))

    def _news(self, start: int, stop: int) -> list[NewsItem]:
        found = _between(self._scheduled, start, stop)
        for news_stream in self._streams:
            found += news_stream.items(start, stop - start)
        return sorted(found, key=_step)

    def _impacts(self, start: int, stop: int, news: Sequence[NewsItem]) -> NDArray[np.float64]:
        """Sum what news and jumps add at each step, ``(steps, instruments) float64``, price units."""
        impact = np.zeros((stop - start, len(self._names)))
        for item in news:
            impact[item.step - start, self._columns(item.instrument)] += item.impact
        for shock, columns in zip(self._jumps, self._jumping, strict=True):
            if start <= shock.step < stop:
                impact[shock.step - start, columns] += float(shock.size)
        return impact


def _between(items: list[_Happening], start: int, stop: int) -> list[_Happening]:
    """Return the items of steps [start, stop) of a list that is sorted by step."""
    return items[bisect_left(items, start, key=_step) : bisect_left(items, stop, key=_step)]
