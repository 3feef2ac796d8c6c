"""Put fundamentals, news and shocks together into the blocks that the kernel asks for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from simlab.errors import ConfigError, SimlabError, did_you_mean
from simlab.processes.correlation import Correlation, cholesky_factor, correlation_matrix
from simlab.processes.draws import ChunkedUniforms, normals, poisson_counts
from simlab.processes.fundamental import FundamentalSpec, fundamental_path, jumps
from simlab.processes.news import NewsStream, PoissonNews, ScheduledNews
from simlab.processes.outside import NewsItem, OutsideBlock
from simlab.processes.shocks import FundamentalJump, MarketShock
from simlab.processes.tabulated import TabulatedValues

__all__ = ["World"]

_NOISY_MODELS = ("mean_reverting", "geometric")


class World:
    """Make the outside world of one run; implements `OutsideWorld`.

    The path of an instrument depends on the seed, its own specification, the news and jumps about it, and
    the noise of the instruments before it in name order that it is correlated with, and on nothing else.

    Parameters
    ----------
    seed : int
        The run's seed.
    instruments : sequence of str
        Names, in any order; results are in name order.
    initial_prices : sequence of float
        Price units, in the order of `instruments`: where a fundamental without `initial` starts.
    fundamentals : sequence of FundamentalSpec
        At most one an instrument; an instrument without one has a constant fundamental.
    correlation : Correlation
        Of the normal noise of mean-reverting and geometric fundamentals (jumps are independent).
    news : sequence of ScheduledNews
        Items of one step appear in this order, before those of `poisson`.
    poisson : sequence of PoissonNews
    shocks : sequence of FundamentalJump, FatFinger, Halt, Leave or Join
        Names of populations are not checked here.

    Raises
    ------
    ConfigError
        When a name is unknown or given twice, or the correlations contradict each other.

    Example
    -------
    >>> world = World(1, ["ACME"], [10_000.0], [FundamentalSpec("ACME", "geometric", volatility=0.001)])
    >>> world.block(0, 5).fundamental.shape
    (5, 1)
    """

    def __init__(
        self,
        seed: int,
        instruments: Sequence[str],
        initial_prices: Sequence[float],
        fundamentals: Sequence[FundamentalSpec] = (),
        correlation: Correlation = (),
        news: Sequence[ScheduledNews] = (),
        poisson: Sequence[PoissonNews] = (),
        shocks: Sequence[FundamentalJump | MarketShock] = (),
    ) -> None:
        self._names = _sorted_names(instruments, initial_prices)
        prices = dict(zip(instruments, initial_prices, strict=True))
        specs = self._specs(fundamentals)
        self._specs_in_order = [specs.get(name, FundamentalSpec(name)) for name in self._names]
        self._factor = self._correlate(correlation, list(instruments))
        self._paths = [_Path(seed, spec, float(prices[spec.instrument])) for spec in self._specs_in_order]
        self._scheduled = sorted((self._scheduled_item(item) for item in news), key=lambda item: item.step)
        self._streams = self._news_streams(seed, poisson)
        self._jumps = [
            (shock.step, self._index_of(shock.where, shock.instrument), float(shock.size))
            for shock in shocks
            if isinstance(shock, FundamentalJump)
        ]
        resolved = [s.resolve(self._index_of) for s in shocks if not isinstance(s, FundamentalJump)]
        self._shocks = sorted(resolved, key=lambda shock: shock.step)
        self._next_step = 0

    @property
    def instruments(self) -> tuple[str, ...]:
        """Names in the order of the columns of `OutsideBlock.fundamental`."""
        return tuple(self._names)

    def block(self, start: int, steps: int) -> OutsideBlock:
        """Return the block that follows the last one.

        Raises
        ------
        SimlabError
            When `start` is not the step after the last block.
        ConfigError
            When a file of values is too short, or an impact takes a geometric value to zero or below.
        """
        if start != self._next_step or steps < 0:
            raise SimlabError(
                f"outside world: {steps} steps from step {start} asked for, but the next block starts at "
                f"step {self._next_step}; ask for blocks in order, or restore a state"
            )
        stop = start + steps
        news = self._news(start, steps)
        impact = self._impacts(start, steps, news)
        noise = [path.noise(start, steps) for path in self._paths]
        fundamental = np.empty((steps, len(self._paths)))
        for i, path in enumerate(self._paths):
            fundamental[:, i] = path.advance(start, self._mixed(i, noise), impact[:, i])
        self._next_step = stop
        shocks = tuple(shock for shock in self._shocks if start <= shock.step < stop)
        return OutsideBlock(start, fundamental, tuple(news), shocks)

    def state(self) -> dict[str, object]:
        """Return the next step, and each fundamental's level: all that is not a function of the seed."""
        levels = {name: path.level for name, path in zip(self._names, self._paths, strict=True)}
        return {"next_step": self._next_step, "levels": levels}

    def restore(self, state: dict[str, object]) -> None:
        """Continue from a state of a world of the same instruments.

        Raises
        ------
        SimlabError
            When the state is of other instruments.
        """
        levels, next_step = state["levels"], state["next_step"]
        if not isinstance(levels, dict) or sorted(levels) != self._names or not isinstance(next_step, int):
            raise SimlabError(
                f"outside world: the state is not one of a world of {', '.join(self._names)}; restore it "
                "into the world that it was taken from"
            )
        for name, path in zip(self._names, self._paths, strict=True):
            path.level = float(levels[name])
        self._next_step = next_step

    def _index_of(self, where: str, name: str | None) -> int:
        if name is None:
            return -1
        if name in self._names:
            return self._names.index(name)
        hint = did_you_mean(name, self._names)
        raise ConfigError(f"{where}: there is no instrument {name!r}{hint}")

    def _specs(self, fundamentals: Sequence[FundamentalSpec]) -> dict[str, FundamentalSpec]:
        specs: dict[str, FundamentalSpec] = {}
        for spec in fundamentals:
            self._index_of("fundamental", spec.instrument)
            if spec.instrument in specs:
                raise ConfigError(f"fundamental of {spec.instrument!r} is given twice; remove one")
            specs[spec.instrument] = spec
        return specs

    def _correlate(self, correlation: Correlation, instruments: list[str]) -> NDArray[np.float64]:
        matrix = correlation_matrix(correlation, instruments, self._names)
        for i, spec in enumerate(self._specs_in_order):
            if spec.model not in _NOISY_MODELS and np.count_nonzero(matrix[i]) > 1:
                raise ConfigError(
                    f"correlation of {spec.instrument!r}: its fundamental is {spec.model!r}, without noise; "
                    "make it mean_reverting or geometric, or remove the correlation"
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

    def _news_streams(self, seed: int, poisson: Sequence[PoissonNews]) -> list[NewsStream]:
        names = [spec.name for spec in poisson]
        if len(set(names)) < len(names):
            raise ConfigError(
                f"news streams: the names {names} are not all different; give each its own name"
            )
        streams = []
        for spec in sorted(poisson, key=lambda spec: spec.name):
            for name in sorted(spec.instruments or self._names):
                index = self._index_of(f"news stream {spec.name!r}", name)
                streams.append(NewsStream(seed, spec, name, index))
        return streams

    def _news(self, start: int, steps: int) -> list[NewsItem]:
        found = [item for item in self._scheduled if start <= item.step < start + steps]
        for news_stream in self._streams:
            found += news_stream.items(start, steps)
        return sorted(found, key=lambda item: item.step)

    def _impacts(self, start: int, steps: int, news: list[NewsItem]) -> NDArray[np.float64]:
        """Sum what news and jumps add at each step, ``(steps, instruments) float64``, price units."""
        impact = np.zeros((steps, len(self._names)))
        for item in news:
            columns = slice(None) if item.instrument < 0 else item.instrument
            impact[item.step - start, columns] += item.impact
        for step, instrument, size in self._jumps:
            if start <= step < start + steps:
                impact[step - start, slice(None) if instrument < 0 else instrument] += size
        return impact


def _sorted_names(instruments: Sequence[str], initial_prices: Sequence[float]) -> list[str]:
    if len(instruments) != len(initial_prices):
        raise ConfigError(
            f"outside world: {len(instruments)} instruments and {len(initial_prices)} initial prices; "
            "give one each"
        )
    if len(set(instruments)) < len(instruments):
        raise ConfigError(f"outside world: the instruments {list(instruments)} are not all different")
    return sorted(instruments)


class _Path:
    """One instrument's fundamental: its specification, its draws, and its level, which alone is state."""

    def __init__(self, seed: int, spec: FundamentalSpec, initial_price: float) -> None:
        self._spec = spec
        name = spec.instrument
        initial = initial_price if spec.initial is None else spec.initial
        if spec.model == "geometric" and initial <= 0.0:
            raise ConfigError(
                f"fundamental of {name!r}: a geometric value must start above 0, not at {initial}"
            )
        self._mean = initial if spec.mean is None else spec.mean
        self._noise = ChunkedUniforms(seed, "fundamental.noise", name)
        self._jump_counts = ChunkedUniforms(seed, "fundamental.jump_counts", name)
        self._jump_sizes = ChunkedUniforms(seed, "fundamental.jump_sizes", name)
        self._file = None
        if spec.path is not None:
            self._file = TabulatedValues(spec.path, spec.column, f"fundamental of {name!r}")
        self.level = 0.0 if self._file else initial

    def noise(self, start: int, steps: int) -> NDArray[np.float64]:
        """Return the instrument's own standard normals; zeros where the model has none."""
        if self._spec.model not in _NOISY_MODELS:
            return np.zeros(steps)
        return normals(self._noise.steps(start, steps))

    def advance(
        self, start: int, noise: NDArray[np.float64], impact: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Move through a block of steps and return its values, ``(steps,) float64``."""
        steps = len(noise)
        tabulated = self._file.steps(start, steps) if self._file else None
        path = fundamental_path(
            self._spec,
            level=self.level,
            start=start,
            noise=noise,
            jump=self._jump(start, steps),
            impact=impact.copy(),
            mean=self._mean,
        )
        if steps:
            self.level = float(path[-1])
        return path if tabulated is None else path + tabulated

    def _jump(self, start: int, steps: int) -> NDArray[np.float64]:
        if not self._spec.jump_rate:
            return np.zeros(steps)
        counts = poisson_counts(self._jump_counts.steps(start, steps), self._spec.jump_rate)
        sizes = normals(self._jump_sizes.steps(start, steps))
        return jumps(counts, sizes, self._spec.jump_scale, relative=self._spec.model == "geometric")
