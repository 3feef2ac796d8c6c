"""Build the outside world, fundamentals, news and shocks, from a configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from simlab.config.models import ExperimentConfig, ShockConfig
from simlab.core.types import Side
from simlab.processes import (
    FatFinger,
    FundamentalJump,
    FundamentalSpec,
    Halt,
    Join,
    Leave,
    PoissonNews,
    ScheduledNews,
    World,
)

__all__ = ["build_world", "fundamental_file"]


def build_world(config: ExperimentConfig) -> World:
    """Return the outside world that a configuration describes.

    Raises
    ------
    ConfigError
        When a fundamental's file cannot be read.
    """
    poisson = config.news.poisson
    return World(
        config.seed,
        list(config.instruments),
        [float(it.initial_price) for it in config.instruments.values()],
        fundamentals=[_fundamental(name, config) for name in config.instruments],
        correlation=[(*it.between, it.rho) for it in config.correlation],
        news=[ScheduledNews(**it.model_dump()) for it in config.news.scheduled],
        poisson=[PoissonNews(**poisson.model_dump())] if poisson is not None else [],
        shocks=[_shock(it) for it in config.shocks],
    )


def fundamental_file(config: ExperimentConfig, instrument: str) -> Path | None:
    """Return the absolute path of an instrument's file of fundamental values, if it has one."""
    fundamental = config.instruments[instrument].fundamental
    if fundamental.model != "file":
        return None
    folder = config.folder_of(("instruments", instrument, "fundamental", "path"))
    return (folder / fundamental.path).resolve()


def _fundamental(name: str, config: ExperimentConfig) -> FundamentalSpec:
    fields = config.instruments[name].fundamental.model_dump(exclude={"path"})
    return FundamentalSpec(name, path=fundamental_file(config, name), **fields)


_SHOCKS: Mapping[str, type[FundamentalJump | FatFinger | Halt | Leave | Join]] = {
    "fundamental_jump": FundamentalJump,
    "fat_finger": FatFinger,
    "halt": Halt,
    "leave": Leave,
    "join": Join,
}


def _shock(config: ShockConfig) -> FundamentalJump | FatFinger | Halt | Leave | Join:
    fields = config.model_dump(exclude={"kind"})
    if "side" in fields:
        fields["side"] = Side[fields["side"].upper()]
    return _SHOCKS[config.kind](**fields)
