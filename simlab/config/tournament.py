"""The YAML of `simlab tournament`: which populations of an experiment are strategies, and who plays them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from simlab.config.fields import Model, Name, Whole, described
from simlab.config.limits import AGENTS
from simlab.config.load import load, resolved
from simlab.config.merge import from_study
from simlab.config.problems import Problem, config_error, validated
from simlab.config.schema import Schema, clean
from simlab.config.sweep import SeedsConfig, SweepConfig, Value, load_sweep
from simlab.errors import did_you_mean

__all__ = ["TournamentConfig", "load_tournament", "sweep_of", "tournament_schema"]


class TournamentConfig(Model):
    """A tournament: every mixture of strategies among the players is run."""

    name: Name = described("tournament", "Names the folder of the results")
    description: str = described("", "For people")
    experiment: str | dict[str, Any] = described(
        ..., "A YAML file, relative to this one, or the experiment itself"
    )
    set: dict[str, Value] = described({}, "Put on top in all runs, by dotted path")
    strategies: tuple[Name, ...] = described(
        ..., "Populations of the experiment that are played; the others are there in all runs", min_length=2,
        max_length=6,
    )  # fmt: skip
    players: Whole = described(6, "Players, each of which plays one strategy", ge=2, le=20)
    agents: Whole | None = described(
        None,
        "Agents that the players have together, a multiple of them; one each if not given",
        ge=2,
        bound=AGENTS,
    )
    seeds: Annotated[tuple[Whole, ...], Field(min_length=2)] | SeedsConfig = described(
        SeedsConfig(count=10), "How many (from 1), the seeds, or {first, count}; the same for all mixtures"
    )


@cache
def tournament_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of a file for `simlab tournament`; do not change it."""
    made: Schema = clean(TournamentConfig.model_json_schema())
    return made


def load_tournament(config: str | Path | Mapping[str, Any] | TournamentConfig) -> TournamentConfig:
    """Load and check a tournament; its experiment becomes a mapping with all its values.

    Raises
    ------
    ConfigError
        Listing every problem with its path, file and line.

    Example
    -------
    >>> traders = {"a": {"strategy": "noise"}, "b": {"strategy": "momentum"}}
    >>> market = {"steps": 9, "instruments": {"ACME": {"initial_price": 100}}, "populations": traders}
    >>> load_tournament({"experiment": market, "strategies": ["a", "b"]}).agents
    6
    """
    if isinstance(config, TournamentConfig):
        return config
    source = from_study(config)
    made = validated(TournamentConfig, source, tournament_schema())
    market = resolved(load(made.experiment, set=made.set))
    if problems := list(_problems(made, market)):
        raise config_error(problems, source)
    return made.model_copy(update={"experiment": market, "agents": made.agents or made.players})


def _problems(config: TournamentConfig, market: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what the schema cannot say."""
    known = list(market.get("populations", {}))
    for i, name in enumerate(config.strategies):
        if name not in known:
            told = did_you_mean(name, known, otherwise="its populations are")
            yield Problem(("strategies", i), f"the experiment has no population of this name{told}")
        elif config.strategies.index(name) < i:
            yield Problem(("strategies", i), "is there twice; a strategy is named once")
    if config.agents is not None and config.agents % config.players:
        less = max(1, config.agents // config.players) * config.players
        rule = f"every one of {config.players} players has the same number of agents; use {less} or"
        yield Problem(("agents",), f"{rule} {less + config.players}")
    seeds = config.seeds
    count = seeds.count if isinstance(seeds, SeedsConfig) else len(set(seeds))
    if count < 2:
        yield Problem(("seeds",), "an interval needs two different seeds; give 2 or more")


def sweep_of(config: TournamentConfig, profiles: Sequence[Sequence[int]]) -> SweepConfig:
    """Return the sweep that runs every profile, given as players of each strategy."""
    each = (config.agents or config.players) // config.players
    points = [dict(zip(config.strategies, (it * each for it in row), strict=True)) for row in profiles]
    seeds = config.seeds
    study = {
        "name": config.name,
        "description": config.description,
        "experiment": config.experiment,
        "set": config.set,
        "parameters": {
            name: {"path": f"populations.{name}.count", "values": sorted({it[name] for it in points})}
            for name in config.strategies
        },
        "design": {"kind": "list", "points": points},
        "seeds": seeds.model_dump() if isinstance(seeds, SeedsConfig) else list(seeds),
        "measures": [f"P&L {name}" for name in config.strategies],
    }
    return load_sweep(study)
