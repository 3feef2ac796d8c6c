"""Build what the kernel runs from a configuration: draw the agents' parameters, make the outside world."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from simlab.agents.strategy import Parameter
from simlab.config.accounts import AccountConfig
from simlab.config.customers import build_customers
from simlab.config.distributions import DrawError, draw_column
from simlab.config.load import ConfigLike, load
from simlab.config.models import (
    ActivationConfig,
    ExperimentConfig,
    FallbackConfig,
    InstrumentConfig,
    LatencyRange,
)
from simlab.config.options import options_of, parameter_names
from simlab.config.problems import Problem, config_error
from simlab.config.source import KeyPath
from simlab.config.world import build_outside
from simlab.core.types import SelfTrade
from simlab.kernel.spec import Activation, Fallback, Latency, Population, RecordingPlan, SimulationSpec
from simlab.market.instruments import UNLIMITED, AccountPolicy, Instrument
from simlab.processes import CustomerOrders, Halt

__all__ = ["build", "validate"]


def build(config: ExperimentConfig) -> SimulationSpec:
    """Build the experiment that a configuration describes.

    Costs a few seconds for a million agents whose parameters are drawn, nothing for constants.

    Raises
    ------
    ConfigError
        When a distribution cannot give values that its parameter allows.
    Example
    -------
    >>> from simlab.config import load
    >>> build(load({"steps": 10, "instruments": {"ACME": {"initial_price": 100}}})).steps
    10
    """
    problems: list[Problem] = []
    populations = tuple(_population(name, config, problems) for name in config.cast)
    if problems:
        raise config_error(problems, config._source)
    return SimulationSpec(
        seed=config.seed,
        steps=config.steps,
        instruments=tuple(_instrument(name, it) for name, it in config.instruments.items()),
        populations=populations,
        outside=build_outside(config, _halts(config, populations)),
        simultaneous=config.activation == "simultaneous",
        step_duration_s=config.step_duration_s,
        recording=RecordingPlan(**config.recording.model_dump(exclude={"enabled"})),
        name=config.name,
    )


def _halts(config: ExperimentConfig, populations: Sequence[Population]) -> Iterator[Halt]:
    """Yield the halts that populations want, as `Strategy.halts` describes."""
    for population in populations:
        if population.strategy.halts is None or not population.count:
            continue
        for first, end in population.strategy.halts(population.options, population.parameters[0]):
            last = config.steps if end is None else min(end, config.steps)
            if first < last:
                for instrument in population.instruments or config.instruments:
                    yield Halt(first, instrument, last - first)


def _instrument(name: str, config: InstrumentConfig) -> Instrument:
    fields = config.model_dump(exclude={"fundamental", "self_trade"})
    return Instrument(name=name, self_trade=SelfTrade[config.self_trade.upper()], **fields)


def _population(name: str, config: ExperimentConfig, problems: list[Problem]) -> Population:
    it = config.cast[name]
    own, *fallback = [
        _decider(path, each, it.count, config, problems) for path, each in config.deciders(name)
    ]
    instruments = it.instruments or tuple(config.instruments)
    latency = it.latency.uniform if isinstance(it.latency, LatencyRange) else (it.latency, it.latency)
    return Population(
        name=name,
        strategy=own.strategy,
        count=it.count,
        parameters=own.parameters,
        options=own.options,
        parameter_names=own.parameter_names,
        instruments=it.instruments,
        activation=_activation(it.activation),
        latency=Latency(*latency),
        account=_account(it.account, instruments),
        signal_noise=it.signal_noise,
        joins=it.joins,
        leaves=it.leaves,
        fallback=tuple(fallback),
        customers=_customers(name, config, problems),
    )


def _decider(
    path: KeyPath, it: FallbackConfig, count: int, config: ExperimentConfig, problems: list[Problem]
) -> Fallback:
    """Return a strategy with what it is given, as a population has it first and in `fallback`."""
    strategy = config.strategy_of(it.strategy, config.folder_of((*path, "strategy")))
    names = parameter_names(it, strategy)
    declared = {parameter.name: parameter for parameter in strategy.parameters}
    table = np.empty((count, len(names)), np.float64)
    for column, name in enumerate(names):
        parameter = declared.get(name, Parameter(name, 0.0, "", ""))
        try:
            table[:, column] = draw_column(
                it.parameters.get(name, parameter.default),
                seed=config.seed,
                population=str(path[1]),
                parameter=name,
                count=count,
                low=parameter.low,
                high=parameter.high,
                integer=parameter.integer,
            )
        except DrawError as error:
            problems.append(Problem((*path, "parameters", name), str(error)))
    return Fallback(
        strategy, table, options_of(path, it, strategy, config, config._source), parameter_names=names
    )


def _customers(name: str, config: ExperimentConfig, problems: list[Problem]) -> CustomerOrders | None:
    it = config.cast[name]
    if it.customer_orders is None:
        return None
    try:
        return build_customers(it.customer_orders, seed=config.seed, population=name, count=it.count)
    except DrawError as error:
        problems.append(Problem(("populations", name, "customer_orders"), str(error)))
        return None


def _activation(config: ActivationConfig) -> Activation:
    steps = None if config.steps is None else tuple(sorted(set(config.steps)))
    return Activation(
        rate=config.rate, period=config.period, phase=config.phase, stagger=config.stagger, steps=steps
    )


def _account(config: AccountConfig, instruments: tuple[str, ...]) -> AccountPolicy:
    inventory = config.inventory
    if not isinstance(inventory, dict):
        inventory = dict.fromkeys(instruments, inventory) if inventory else {}
    rate = config.message_rate
    return AccountPolicy(
        cash=config.cash,
        inventory=tuple(inventory.items()),
        borrowing=_limit(config.borrowing),
        short_limit=_limit(config.short_selling),
        position_limit=UNLIMITED if config.position_limit is None else config.position_limit,
        reserve=config.reserve,
        rate_limit=UNLIMITED if rate is None else rate.messages,
        rate_window=1 if rate is None else rate.steps,
        max_open_orders=config.max_open_orders,
    )


def _limit(limit: int | str) -> int:
    return {"none": 0, "free": UNLIMITED}[limit] if isinstance(limit, str) else limit


def validate(
    config: ConfigLike,
    *,
    set: Sequence[str] | Mapping[str, Any] = (),
    seed: int | None = None,
    steps: int | None = None,
) -> ExperimentConfig:
    """Load a configuration and build it, so that everything it names is looked at, without running it.

    Takes what `load` takes and returns what it returns.

    Raises
    ------
    ConfigError, PluginError

    Example
    -------
    >>> validate({"steps": 10, "instruments": {"ACME": {"initial_price": 100}}}).name
    'experiment'
    """
    loaded = load(config, set=set, seed=seed, steps=steps)
    build(loaded)
    return loaded
