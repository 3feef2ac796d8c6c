"""Check what one section says against another: names that must exist, strategies and their parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from simlab.agents.strategy import MAX_PARAMETERS, Calling, Decider, Parameter, Strategy
from simlab.config.distributions import Distribution
from simlab.config.live import TRADERS
from simlab.config.models import ExperimentConfig, FallbackConfig, PopulationConfig
from simlab.config.money import money_problems
from simlab.config.options import model_problems, option_problems, options_of, parameter_names
from simlab.config.problems import Problem
from simlab.config.source import KeyPath, Source
from simlab.errors import ConfigError, PluginError, SimlabError, did_you_mean
from simlab.processes.tabulated import TabulatedValues

__all__ = ["OF_AGENTS", "cross_check"]

_MOST_WHOLE = 2**53
_ORDER = (Decider.LLM, Decider.ML, Decider.HEURISTIC)
OF_AGENTS = ("activation", "latency", "signal_noise", "joins", "leaves", "instruments")
"""What a population of seats has no use for."""


def cross_check(config: ExperimentConfig, source: Source) -> list[Problem]:
    """Return what is wrong between sections that are each well formed.

    `config` may lack entries of `source` that are not well formed; their names still count as known.
    """
    instruments = _names(source.data, "instruments")
    populations = _names(source.data, "populations")
    problems = [
        *_fundamentals(config, source),
        *_correlations(config, instruments),
        *_news(config, instruments),
        *_shocks(config, instruments, populations),
        *_live(config, instruments),
        *money_problems(config),
    ]
    for name, population in config.populations.items():
        problems += _population(("populations", name), population, instruments, config, source)
    return problems


def _names(data: dict[str, Any], section: str) -> list[str]:
    found = data.get(section)
    return list(found) if isinstance(found, dict) else []


def _known(path: KeyPath, name: str | None, known: list[str], what: str) -> Iterator[Problem]:
    if name is not None and name not in known:
        yield Problem(path, f"no such {what}{did_you_mean(name, known)}")


def _fundamentals(config: ExperimentConfig, source: Source) -> Iterator[Problem]:
    for name, instrument in config.instruments.items():
        path = ("instruments", name, "fundamental", "path")
        if instrument.fundamental.model == "file":
            file = source.folder_of(path) / instrument.fundamental.path
            if not file.is_file():
                yield Problem(path, f"there is no file {file}")
                continue
            try:
                values = TabulatedValues(file, instrument.fundamental.column, "the fundamental value")
                values.steps(config.steps - 1, 1)
            except ConfigError as error:
                yield Problem(path, str(error))


def _correlations(config: ExperimentConfig, instruments: list[str]) -> Iterator[Problem]:
    seen: dict[frozenset[str], int] = {}
    matrix = np.eye(len(instruments))
    for i, item in enumerate(config.correlation):
        path = ("correlation", i, "between")
        unknown = [
            it
            for j, name in enumerate(item.between)
            for it in _known((*path, j), name, instruments, "instrument")
        ]
        pair = frozenset(item.between)
        yield from unknown
        if len(pair) == 1:
            yield Problem(path, "must name two different instruments")
        elif pair in seen:
            yield Problem(path, f"the pair is given twice (first in correlation.{seen[pair]}); keep one")
        elif silent := [name for name in item.between if _has_no_noise(config, name)]:
            yield Problem(
                path,
                f"the fundamental of {silent[0]!r} has no noise to correlate; make it mean_reverting,"
                " geometric or path_dependent, or remove the correlation",
            )
        elif not unknown:
            a, b = (instruments.index(name) for name in item.between)
            matrix[a, b] = matrix[b, a] = item.rho
        seen.setdefault(pair, i)
    if len(instruments) > 1 and np.linalg.eigvalsh(matrix)[0] < -1e-9:
        yield Problem(
            ("correlation",), "no processes can be correlated like this: bring the values of rho nearer to 0"
        )


def _has_no_noise(config: ExperimentConfig, instrument: str) -> bool:
    known = config.instruments.get(instrument)
    return known is not None and known.fundamental.model in ("constant", "file")


def _news(config: ExperimentConfig, instruments: list[str]) -> Iterator[Problem]:
    for i, item in enumerate(config.news.scheduled):
        yield from _known(("news", "scheduled", i, "instrument"), item.instrument, instruments, "instrument")
    if config.news.poisson is not None:
        for i, name in enumerate(config.news.poisson.instruments):
            yield from _known(("news", "poisson", "instruments", i), name, instruments, "instrument")


def _shocks(config: ExperimentConfig, instruments: list[str], populations: list[str]) -> Iterator[Problem]:
    for i, shock in enumerate(config.shocks):
        instrument = getattr(shock, "instrument", None)
        yield from _known(("shocks", i, "instrument"), instrument, instruments, "instrument")
        yield from _known(
            ("shocks", i, "population"), getattr(shock, "population", None), populations, "population"
        )
        lot_size = config.instruments[instrument].lot_size if instrument in config.instruments else 1
        if shock.kind == "fat_finger" and shock.quantity % lot_size:
            yield Problem(("shocks", i, "quantity"), f"must be a multiple of lot_size {lot_size}")


def _live(config: ExperimentConfig, instruments: list[str]) -> Iterator[Problem]:
    if config.live is None:
        return
    if TRADERS in config.populations:
        yield Problem(
            ("populations", TRADERS),
            "the section live adds a population of this name, for those who trade from outside; rename yours",
        )
    for name in config.live.instruments:
        yield from _known(("live", "instruments", name), name, instruments, "instrument")


def _population(
    path: KeyPath,
    population: PopulationConfig,
    instruments: list[str],
    config: ExperimentConfig,
    source: Source,
) -> Iterator[Problem]:
    traded = list(population.instruments) or instruments
    for i, name in enumerate(population.instruments):
        yield from _known((*path, "instruments", i), name, instruments, "instrument")
        if name in population.instruments[:i]:
            yield Problem((*path, "instruments", i), "the instrument is named twice; keep one")
    if isinstance(population.account.inventory, dict):
        for name in population.account.inventory:
            yield from _known(
                (*path, "account", "inventory", name), name, traded, "instrument of this population"
            )
    chain: list[Strategy] = []
    for place, decider in config.deciders(str(path[-1])):
        try:
            strategy = config.strategy_of(decider.strategy, source.folder_of((*place, "strategy")))
        except PluginError as error:
            yield Problem((*place, "strategy"), str(error))
            continue
        chain.append(strategy)
        yield from _place_in_chain((*place, "strategy"), chain)
        if strategy.level is Calling.OUTSIDE:
            for key in OF_AGENTS:
                if key in population.model_fields_set:
                    yield Problem(
                        (*path, key), "seats trade what and when somebody outside wants to; remove it"
                    )
        if strategy.needs.customers and population.customer_orders is None:
            yield Problem(
                (*path, "customer_orders"),
                f"missing; strategy {strategy.name!r} trades for customers: say on which `side`, at which"
                " `limit_price`",
            )
        yield from _decider(place, decider, strategy, traded, config, source)


def _place_in_chain(path: KeyPath, chain: Sequence[Strategy]) -> Iterator[Problem]:
    """Check that the last strategy may come after those before it."""
    if len(chain) < 2:
        return
    before, last = chain[-2:]
    if before.level not in (Calling.BATCH, Calling.AGENT):
        yield Problem(path, f"{before.name!r} always decides by itself, so nothing comes after it; remove it")
    elif last.level is Calling.OUTSIDE:
        yield Problem(path, f"{last.name!r} reserves seats and cannot decide; remove it")
    elif _ORDER.index(last.decider) < _ORDER.index(before.decider):
        yield Problem(
            path,
            f"{last.name!r} ({last.decider}) comes after {before.name!r} ({before.decider}); the order is"
            " llm, ml, heuristic",
        )


def _decider(
    path: KeyPath,
    decider: FallbackConfig,
    strategy: Strategy,
    traded: list[str],
    config: ExperimentConfig,
    source: Source,
) -> Iterator[Problem]:
    """Check what a strategy is given: parameters, options, and which language model."""
    yield from _parameters((*path, "parameters"), decider, strategy)
    wrong = [
        *option_problems((*path, "options"), decider.options, strategy),
        *model_problems(path, decider, strategy, config),
    ]
    if not wrong:
        options = options_of(path, decider, strategy, config, source)
        wrong = list(_options((*path, "options"), options, strategy))
        wrong = wrong or list(_markets((*path, "options"), options, traded, strategy, config))
    yield from wrong


def _options(path: KeyPath, options: Mapping[str, Any], strategy: Strategy) -> Iterator[Problem]:
    """Let the strategy look at its options, as `Strategy.check` describes."""
    if strategy.check is None:
        return
    try:
        strategy.check(**options)
    except SimlabError as error:
        yield Problem(path, str(error))
    except Exception as error:  # whatever a plug-in raises is the file's problem and no traceback
        yield Problem(
            path, f"strategy {strategy.name!r} refuses its options: {type(error).__name__}: {error}"
        )


def _markets(
    path: KeyPath,
    options: Mapping[str, Any],
    traded: list[str],
    strategy: Strategy,
    config: ExperimentConfig,
) -> Iterator[Problem]:
    """Let the strategy look at the instruments it trades, as `Strategy.check_market` describes."""
    if strategy.check_market is None:
        return
    for name in traded:
        if name in config.instruments:
            try:
                strategy.check_market(options, config.instruments[name])
            except SimlabError as error:
                yield Problem(path, f"{name}: {error}")


def _parameters(path: KeyPath, population: FallbackConfig, strategy: Strategy) -> Iterator[Problem]:
    known = {parameter.name: parameter for parameter in strategy.parameters}
    names = parameter_names(population, strategy)
    if len(names) > MAX_PARAMETERS:
        yield Problem(path, f"{len(names)} parameters; an agent has at most {MAX_PARAMETERS}")
    for name, value in population.parameters.items():
        if name not in known and strategy.open_parameters:
            continue
        if name not in known:
            hint = f"; {name!r} is an option, put it under options"
            if name not in strategy.options:
                hint = did_you_mean(name, known) or "; it takes none"
            yield Problem((*path, name), f"strategy {strategy.name!r} has no such parameter{hint}")
        elif not isinstance(value, Distribution):
            yield from _number((*path, name), value, known[name])
        elif value.choice is not None or value.each is not None:
            for i, one in enumerate(value.choice or value.each or ()):
                yield from _number((*path, name, value.form, i), one, known[name])
    for parameter in strategy.parameters:
        if parameter.required and parameter.name not in population.parameters:
            what = f": {parameter.description}" if parameter.description else ""
            yield Problem(
                (*path, parameter.name),
                f"missing; strategy {strategy.name!r} needs it{what}{_unit(parameter)}",
            )


def _number(path: KeyPath, value: float, parameter: Parameter) -> Iterator[Problem]:
    unit = _unit(parameter)
    if parameter.integer and value != int(value):
        yield Problem(path, f"must be a whole number{unit}")
    elif parameter.integer and abs(value) > _MOST_WHOLE:
        yield Problem(path, f"must be at most 2^53{unit}; larger whole numbers are not exact")
    elif value < parameter.low:
        yield Problem(path, f"must be at least {parameter.low:g}{unit}")
    elif value > parameter.high:
        yield Problem(path, f"must be at most {parameter.high:g}{unit}")


def _unit(parameter: Parameter) -> str:
    return f" ({parameter.unit})" if parameter.unit else ""
