"""The schema: what a YAML file may say, section by section, with units.

Every field's description and unit appear in the JSON Schema and in ``docs/config.md``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, PrivateAttr, Tag, field_validator, model_validator
from pydantic_core import PydanticCustomError

from simlab.agents.registry import resolve
from simlab.agents.strategy import Strategy
from simlab.config.accounts import AccountConfig
from simlab.config.customers import CustomerOrdersConfig
from simlab.config.distributions import ParameterValue
from simlab.config.fields import (
    Flag,
    Model,
    Name,
    Real,
    Step,
    Whole,
    described,
    number_or_mapping,
    within,
)
from simlab.config.language_models import LlmConfig
from simlab.config.limits import (
    AGENTS,
    CHECKPOINTS,
    FEE,
    INSTRUMENTS,
    LATENCY,
    LEVELS,
    LOTS,
    MULTIPLIER,
    PRICE,
    SEED,
)
from simlab.config.live import TRADERS, LiveConfig
from simlab.config.source import KeyPath, Source

__all__ = [
    "ActivationConfig",
    "ConstantConfig",
    "CorrelationConfig",
    "ExperimentConfig",
    "FallbackConfig",
    "FileConfig",
    "FundamentalConfig",
    "GeometricConfig",
    "InstrumentConfig",
    "MeanRevertingConfig",
    "NewsConfig",
    "PathDependentConfig",
    "PoissonConfig",
    "PopulationConfig",
    "RecordingConfig",
    "ScheduledNewsConfig",
    "ShockConfig",
]

_Price = Annotated[Whole, within(-PRICE.most, PRICE)]
_Latency = Annotated[Whole, within(0, LATENCY)]


class ConstantConfig(Model):
    """A value that only news and shocks move."""

    model: Literal["constant"] = described("constant", "Which process")
    initial: Real | None = described(None, "Value at step 0; the initial_price if not given", "price units")

    @model_validator(mode="after")
    def _model_is_given(self) -> Self:
        self.model_fields_set.add("model")  # it tells the models apart, so it is never left out
        return self


class _JumpingConfig(Model):
    @model_validator(mode="after")
    def _jumps_are_whole(self) -> Self:
        if (getattr(self, "jump_rate", 0) > 0) != (getattr(self, "jump_scale", 0) > 0):
            raise PydanticCustomError("jumps", "jump_rate and jump_scale go together; set both or neither")
        return self


class MeanRevertingConfig(_JumpingConfig):
    """An Ornstein-Uhlenbeck process with jumps, discretised exactly; with reversion 0 a random walk."""

    model: Literal["mean_reverting"] = described(..., "Which process")
    initial: Real | None = described(None, "Value at step 0; the initial_price if not given", "price units")
    mean: Real | None = described(None, "What it reverts to; `initial` if not given", "price units")
    reversion: Real = described(0.0, "Rate at which the deviation from the mean decays", "per step", ge=0)
    volatility: Real = described(
        0.0, "Standard deviation of the diffusion", "price units per sqrt(step)", ge=0
    )
    jump_rate: Real = described(0.0, "Mean number of jumps", "per step", ge=0, le=10)
    jump_scale: Real = described(0.0, "Standard deviation of a jump", "price units", ge=0)


class GeometricConfig(_JumpingConfig):
    """A geometric Brownian motion with log-normal jumps, whose expected value grows by the drift."""

    model: Literal["geometric"] = described(..., "Which process")
    initial: Real | None = described(
        None, "Value at step 0; the initial_price if not given", "price units", gt=0
    )
    drift: Real = described(0.0, "Expected relative growth", "per step")
    volatility: Real = described(0.0, "Standard deviation of the relative change", "per sqrt(step)", ge=0)
    jump_rate: Real = described(0.0, "Mean number of jumps", "per step", ge=0, le=10)
    jump_scale: Real = described(0.0, "Standard deviation of a relative jump", "1", ge=0)


_Ages = tuple[Annotated[Real, Field(ge=1)], Annotated[Real, Field(ge=1)]]


class PathDependentConfig(_JumpingConfig):
    """A value whose volatility follows from its own past returns (Guyon and Lekeufack 2023).

    Falls raise the volatility and large moves keep it high, so that returns have fat tails, cluster for long,
    and show leverage. s = (1 - feedback) volatility + feedback sqrt(R2) - leverage R1, where R1 is a weighted
    mean of past returns and R2 of their squares; kept within 0.1 and 10 times volatility.
    """

    model: Literal["path_dependent"] = described(..., "Which process")
    initial: Real | None = described(
        None, "Value at step 0; the initial_price if not given", "price units", gt=0
    )
    drift: Real = described(0.0, "Expected relative growth", "per step")
    volatility: Real = described(
        0.0, "Standard deviation of the relative change, before its past changes it", "per sqrt(step)", ge=0
    )
    leverage: Real = described(0.0, "How much a past return takes off the volatility", "1", ge=0, le=100)
    feedback: Real = described(0.0, "Share of the volatility that past moves make", "1", ge=0, le=1)
    trend_memory: _Ages = described((10.0, 100.0), "Mean ages of the two kernels of past returns", "steps")
    trend_share: Real = described(0.5, "Weight of the second of them", "1", ge=0, le=1)
    volatility_memory: _Ages = described(
        (30.0, 3000.0), "Mean ages of the two kernels of past squared returns", "steps"
    )
    volatility_share: Real = described(0.5, "Weight of the second of them", "1", ge=0, le=1)
    jump_rate: Real = described(0.0, "Mean number of jumps", "per step", ge=0, le=10)
    jump_mean: Real = described(
        0.0,
        "Mean of a jump; moves without jumps make up for it",
        "standard deviations of a move without jumps",
        ge=-100,
        le=100,
    )
    jump_scale: Real = described(
        0.0, "Standard deviation of a jump", "standard deviations of a move without jumps", ge=0, le=100
    )


class FileConfig(Model):
    """A value read from a CSV or Parquet file.

    Each row is one step; with a column `step` (increasing, from 0) a row holds until the next row's step.
    """

    model: Literal["file"] = described(..., "Which process")
    path: str = described(..., "The file, relative to the YAML file", min_length=1)
    column: str = described("close", "The column with the values, in price units", min_length=1)


FundamentalConfig = Annotated[
    ConstantConfig | MeanRevertingConfig | GeometricConfig | PathDependentConfig | FileConfig,
    Discriminator("model"),
]


class InstrumentConfig(Model):
    """What is traded and on which terms."""

    initial_price: _Price = described(..., "Price before the first trade; within price_band", "price units")
    tick_size: Whole = described(1, "Order prices are multiples of it", "price units", ge=1, bound=PRICE)
    lot_size: Whole = described(1, "Order quantities are multiples of it", "lots", ge=1, bound=LOTS)
    multiplier: Whole = described(
        1, "Cost of one lot at a price of one unit", "money units", ge=1, bound=MULTIPLIER
    )
    price_unit: Real = described(
        0.01, "What one price unit (and one money unit) is; for display only", "currency", gt=0
    )
    price_band: tuple[_Price, _Price] = described(
        (1, PRICE.most),
        "Lowest and highest price an order may have; a spread between contracts may go below zero",
        "price units",
    )
    maker_fee_ppm: Whole = described(
        0,
        "Fee of the resting side; negative is a rebate",
        "millionths of the notional",
        ge=-FEE.most,
        bound=FEE,
    )
    taker_fee_ppm: Whole = described(
        0,
        "Fee of the aggressor; negative is a rebate",
        "millionths of the notional",
        ge=-FEE.most,
        bound=FEE,
    )
    self_trade: Literal["off", "cancel_resting", "cancel_incoming", "cancel_both"] = described(
        "cancel_resting", "What happens when an order meets a resting order of its own account"
    )
    description: str = described("", "For people")
    fundamental: FundamentalConfig = described(
        ConstantConfig(), "The instrument's fundamental value; constant if not given"
    )

    @model_validator(mode="after")
    def _price_is_possible(self) -> Self:
        low, high = self.price_band
        if low > high:
            raise PydanticCustomError(
                "band", "price_band {band} must be [low, high] with low at most high", {"band": [low, high]}
            )
        price, tick = self.initial_price, self.tick_size
        if price % tick:
            raise PydanticCustomError(
                "tick",
                "initial_price {price} is not a multiple of tick_size {tick}; use {below} or {above}",
                {
                    "price": price,
                    "tick": tick,
                    "below": price // tick * tick,
                    "above": -(-price // tick) * tick,
                },
            )
        if not low <= price <= high:
            raise PydanticCustomError(
                "in_band",
                "initial_price {price} is outside price_band {band}",
                {"price": price, "band": [low, high]},
            )
        return self


class CorrelationConfig(Model):
    """How the fundamentals of two instruments move together."""

    between: tuple[Name, Name] = described(..., "Two instruments")
    rho: Real = described(..., "Correlation of their Gaussian parts", "1", ge=-1, le=1)


class ScheduledNewsConfig(Model):
    """One publication at a known step."""

    step: Step = described(..., "When it appears", "step")
    headline: str = described(..., "Its first line")
    instrument: Name | None = described(None, "What it is about; all instruments if not given")
    content: str = described("", "Its text")
    sentiment: Real = described(0.0, "From bad to good", "1", ge=-1, le=1)
    impact: Real = described(0.0, "Added to the fundamental", "price units")
    source: str = described("", "Who publishes it")


class PoissonConfig(Model):
    """News at random times: a Poisson number of items a step, each with a normal impact around 0."""

    rate: Real = described(..., "Mean number of items, for each instrument", "per step", gt=0, le=10)
    impact_scale: Real = described(
        ..., "Standard deviation of the impact on the fundamental", "price units", ge=0
    )
    instruments: tuple[Name, ...] = described((), "What it is about; all instruments if empty")


class NewsConfig(Model):
    """Publications that agents can read and that move the fundamental."""

    scheduled: tuple[ScheduledNewsConfig, ...] = described((), "Items at known steps")
    poisson: PoissonConfig | None = described(None, "Items at random steps; none if not given")


class FundamentalJumpConfig(Model):
    """The fundamental jumps once."""

    kind: Literal["fundamental_jump"] = described(..., "Which shock")
    step: Step = described(..., "When", "step")
    instrument: Name | None = described(None, "Which instrument; all if not given")
    size: Real = described(..., "Added to the fundamental", "price units")


class FatFingerConfig(Model):
    """A market order from the exchange's error account."""

    kind: Literal["fat_finger"] = described(..., "Which shock")
    step: Step = described(..., "When", "step")
    instrument: Name = described(..., "Which instrument")
    side: Literal["buy", "sell"] = described(..., "Side of the order")
    quantity: Whole = described(..., "Size of the order", "lots", ge=1, bound=LOTS)


class HaltConfig(Model):
    """The instrument refuses orders for a while; cancels pass."""

    kind: Literal["halt"] = described(..., "Which shock")
    step: Step = described(..., "When", "step")
    instrument: Name | None = described(None, "Which instrument; all if not given")
    duration: Step = described(..., "How long", "steps", ge=1)


class LeaveConfig(Model):
    """A population cancels its orders and stops acting."""

    kind: Literal["leave"] = described(..., "Which shock")
    step: Step = described(..., "When", "step")
    population: Name = described(..., "Who")


class JoinConfig(Model):
    """A population that left acts again."""

    kind: Literal["join"] = described(..., "Which shock")
    step: Step = described(..., "When", "step")
    population: Name = described(..., "Who")


ShockConfig = Annotated[
    FundamentalJumpConfig | FatFingerConfig | HaltConfig | LeaveConfig | JoinConfig, Discriminator("kind")
]


class ActivationConfig(Model):
    """When an agent acts: exactly one of `rate`, `period` and `steps`."""

    rate: Real | None = described(None, "Probability of acting in a step", "per step", ge=0, le=1)
    period: Step | None = described(None, "Acts every so many steps", "steps", ge=1)
    phase: Step = described(0, "First step of a period in which it acts", "steps")
    stagger: Flag = described(False, "Each agent draws its own phase")
    steps: tuple[Step, ...] | None = described(None, "Acts in these steps only", "step")

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        if sum(it is not None for it in (self.rate, self.period, self.steps)) != 1:
            raise PydanticCustomError("one_form", "must have exactly one of rate, period, steps")
        if self.period is None and (self.phase or self.stagger):
            raise PydanticCustomError("phase", "phase and stagger go with period only")
        if self.period is not None and self.phase >= self.period:
            raise PydanticCustomError(
                "phase",
                "phase {phase} must be less than period {period}",
                {"phase": self.phase, "period": self.period},
            )
        return self


class LatencyRange(Model):
    """A latency drawn for each message, each whole number of steps in the range as likely."""

    uniform: tuple[_Latency, _Latency] = described(..., "`[low, high]`, inclusive", "steps")

    @field_validator("uniform")
    @classmethod
    def _ordered(cls, value: tuple[int, int]) -> tuple[int, int]:
        if value[0] > value[1]:
            raise PydanticCustomError("order", "must be [low, high] with low at most high")
        return value


LatencyValue = Annotated[
    Annotated[_Latency, Tag("number")] | Annotated[LatencyRange, Tag("mapping")],
    number_or_mapping("a number of steps or {uniform: [low, high]}"),
]


class FallbackConfig(Model):
    """A strategy, and what it is given."""

    strategy: str = described(..., "`name`, `package.module:Attr` or `path/to/file.py:Attr`", min_length=1)
    parameters: dict[str, ParameterValue] = described(
        {},
        "The strategy's parameters, each a number or a distribution; see `simlab strategies NAME`",
    )
    options: dict[str, Any] = described(
        {},
        "What the strategy takes that all agents share; a file (an option called `path` or `..._path`, or of"
        " type Path) is relative to the YAML file",
    )
    llm: dict[str, Any] | None = described(
        None,
        "Any keys of the section `llm`, on top of what it says; for strategies that ask a language model",
    )


class PopulationConfig(FallbackConfig):
    """A number of agents that share a strategy and terms."""

    count: Whole = described(1, "Number of agents", "agents", ge=0, bound=AGENTS)
    instruments: tuple[Name, ...] = described((), "What it trades; all instruments if empty")
    fallback: tuple[FallbackConfig, ...] = described(
        (),
        "What decides, in turn, where the strategy passes a decision on; first llm, then ml, then heuristic",
    )
    activation: ActivationConfig = described(
        ActivationConfig(rate=1.0), "When its agents act; every step if not given"
    )
    latency: LatencyValue = described(
        0, "How long its messages travel: a number, or {uniform: [low, high]}", "steps"
    )
    signal_noise: Real = described(
        0.0, "Standard deviation of an agent's private signal around the fundamental", "price units", ge=0
    )
    joins: Step = described(0, "First step in which it acts", "step")
    leaves: Step | None = described(None, "First step in which it no longer acts; never if null", "step")
    account: AccountConfig = described(AccountConfig(), "What its accounts start with and may do")
    customer_orders: CustomerOrdersConfig | None = described(
        None, "What its agents are given to trade for customers; nothing if not given"
    )

    @model_validator(mode="after")
    def _leaves_after_joining(self) -> Self:
        if self.leaves is not None and self.leaves <= self.joins:
            raise PydanticCustomError(
                "order",
                "leaves {leaves} must come after joins {joins}",
                {"leaves": self.leaves, "joins": self.joins},
            )
        return self


class RecordingConfig(Model):
    """What is sampled for the recorder; messages, trades and news are always whole."""

    enabled: Flag = described(True, "Whether a run is recorded")
    quotes_every: Step = described(1, "Best prices; 0 for never", "steps")
    depth_every: Step = described(100, "The book to depth_levels; 0 for never", "steps")
    depth_levels: Whole = described(10, "Price levels a side", "levels", ge=1, bound=LEVELS)
    accounts_every: Step = described(1000, "Every account's cash and inventory; 0 for never", "steps")


class CheckpointConfig(Model):
    """When a recorded run writes down all that `simlab resume` and `simlab fork` need to go on from there."""

    every: Step = described(10_000, "A checkpoint at each multiple of it", "steps", ge=1)
    keep: Whole = described(3, "The latest that are kept", "checkpoints", ge=1, bound=CHECKPOINTS)


class ExperimentConfig(Model):
    """One experiment: a market, its agents, and for how long."""

    name: Name = described("experiment", "Names the run's folder; the file's name if not given")
    description: str = described("", "For people")
    seed: Whole = described(1, "Every random draw follows from it", ge=0, bound=SEED)
    steps: Step = described(..., "How long the market runs", "steps", ge=1)
    step_duration_s: Real = described(1.0, "What one step stands for; for display and live runs", "s", gt=0)
    activation: Literal["sequential", "simultaneous"] = described(
        "sequential",
        "`sequential`: each agent sees the book as it is when its turn comes; `simultaneous`: all see it as"
        " it was at the start of the step",
    )
    instruments: dict[Name, InstrumentConfig] = described(
        ..., "What is traded, by name", min_length=1, bound=INSTRUMENTS
    )
    correlation: tuple[CorrelationConfig, ...] = described(
        (), "Correlations between fundamentals; 0 if not given"
    )
    news: NewsConfig = described(NewsConfig(), "Publications")
    shocks: tuple[ShockConfig, ...] = described((), "What else happens to the market")
    populations: dict[Name, PopulationConfig] = described({}, "Who trades, by name")
    llm: LlmConfig | None = described(None, "Which language model is asked; none if not given")
    recording: RecordingConfig = described(RecordingConfig(), "What is recorded")
    checkpoint: CheckpointConfig | None = described(
        None, "From where a recorded run can go on; from its beginning if not given"
    )
    live: LiveConfig | None = described(
        None, "How the market is opened to the world; `simlab live` takes the defaults if not given"
    )

    _source: Source = PrivateAttr(default_factory=lambda: Source({}))
    _strategies: dict[tuple[str, Path], Strategy] = PrivateAttr(default_factory=dict)

    def strategy_of(self, text: str, folder: Path) -> Strategy:
        """Return the strategy that a text names, found once; `folder` is the one of the file that it is in.

        Raises
        ------
        PluginError
        """
        key = text, folder
        if key not in self._strategies:
            self._strategies[key] = resolve(text, folder=folder)
        return self._strategies[key]

    @property
    def cast(self) -> dict[str, PopulationConfig]:
        """All populations by name: those of the file, and the seats that a section `live` adds."""
        if self.live is None:
            return self.populations
        seats = self.live.seats
        traders = PopulationConfig(strategy="outside", count=seats.count, account=seats.account)
        return self.populations | {TRADERS: traders}

    def deciders(self, population: str) -> Iterator[tuple[KeyPath, FallbackConfig]]:
        """Yield a population and all that it falls back on, in order, each with where it is written."""
        path: KeyPath = ("populations", population)
        yield path, self.cast[population]
        for i, fallback in enumerate(self.cast[population].fallback):
            yield (*path, "fallback", i), fallback

    def folder_of(self, path: KeyPath) -> Path:
        """Return the folder that a relative file name written at `path` starts from."""
        return self._source.folder_of(path)
