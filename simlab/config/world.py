"""Build what happens from outside, fundamentals, news and shocks, from a configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
    Outside,
    OutsideSpec,
    PoissonNews,
    ScheduledNews,
)

__all__ = ["build_outside", "fundamental_file"]


def build_outside(config: ExperimentConfig, halts: Iterable[Halt] = ()) -> OutsideSpec:
    """Return what a configuration lets happen from outside, after looking at what the run will meet.

    `halts` come to those of the configuration: what replayed order flow has of its venue's.

    Raises
    ------
    ConfigError
        When a fundamental's file cannot be read or is too short for the run, or a fundamental leaves the
        range of prices (within the first million values, which is what can be looked at in no time).
    """
    poisson = config.news.poisson
    spec = OutsideSpec(
        fundamentals=tuple(_fundamental(name, config) for name in config.instruments),
        correlation=tuple((*it.between, it.rho) for it in config.correlation),
        news=tuple(ScheduledNews(**it.model_dump()) for it in config.news.scheduled),
        poisson=(PoissonNews(**poisson.model_dump()),) if poisson is not None else (),
        shocks=(*(_shock(it) for it in config.shocks), *halts),
    )
    prices = {name: float(it.initial_price) for name, it in config.instruments.items()}
    Outside(spec, seed=config.seed, initial_prices=prices).check(config.steps)
    return spec


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
