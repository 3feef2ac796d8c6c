"""The YAML of `simlab sweep`: one experiment, which of its values vary and how, and with which seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from simlab.config.fields import Model, Name, Real, Step, Whole, described
from simlab.config.limits import SEED
from simlab.config.merge import from_study
from simlab.config.problems import Problem, config_error, validated
from simlab.config.schema import Schema, clean
from simlab.errors import ConfigError

__all__ = ["DesignConfig", "SeedsConfig", "SweepConfig", "VariedConfig", "load_sweep", "sweep_schema"]

MOST_RUNS = 10_000_000
"""Runs of one sweep."""

Value = bool | int | float | str | None | list[Any] | dict[str, Any]
_Range = tuple[Real, Real]


class VariedConfig(Model):
    """How one value of the experiment varies: a list of values, or exactly one of the forms."""

    path: str | None = described(None, "Dotted path of the value; the parameter's name if not given")
    values: tuple[Value, ...] | None = described(None, "These values", min_length=1)
    uniform: _Range | None = described(None, "`[low, high]`: any number between")
    log_uniform: _Range | None = described(
        None, "`[low, high]`: any number between, uniform in its logarithm"
    )
    integers: _Range | None = described(None, "`[low, high]`: any whole number from low to high")

    @model_validator(mode="before")
    @classmethod
    def _from_list(cls, value: Any) -> Any:
        return {"values": value} if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        forms = ("values", "uniform", "log_uniform", "integers")
        if sum(getattr(self, form) is not None for form in forms) != 1:
            raise PydanticCustomError(
                "one_form", f"must be a list, or have exactly one of {', '.join(forms)}"
            )
        for form in forms[1:]:
            given = getattr(self, form)
            if given is not None and not given[0] < given[1]:
                raise PydanticCustomError("order", f"{form} must be [low, high] with low below high")
        if self.log_uniform is not None and self.log_uniform[0] <= 0:
            raise PydanticCustomError("positive", "log_uniform is of positive numbers")
        if self.integers is not None and any(it != int(it) for it in self.integers):
            raise PydanticCustomError("whole", "integers must be two whole numbers")
        return self


class DesignConfig(Model):
    """Which points of the parameters are run."""

    kind: Literal["grid", "random", "latin_hypercube", "sobol", "morris", "list"] = described(
        "grid",
        "All combinations; samples at random or spread evenly; those that Sobol indices or Morris screening"
        " need; or the points given",
    )
    samples: Whole | None = described(
        None,
        "Number of points; of base samples (sobol: times parameters + 2) or trajectories (morris: times"
        " parameters + 1)",
        ge=1,
        le=MOST_RUNS,
    )
    seed: Whole = described(1, "The samples follow from it", ge=0, bound=SEED)
    points: str | tuple[dict[str, Value], ...] | None = described(
        None, "Of a list: a value by parameter, or a CSV file with a column for each parameter"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _what_goes_together(self) -> Self:
        if (self.samples is not None) != (self.kind not in ("grid", "list")):
            raise PydanticCustomError("samples", "samples go with designs that draw them, and only there")
        if self.kind == "sobol" and (self.samples or 0) & ((self.samples or 0) - 1):
            raise PydanticCustomError("power", "samples of a sobol design must be a power of 2, such as 64")
        if (self.points is not None) != (self.kind == "list"):
            raise PydanticCustomError("points", "points go with list, and only there")
        return self


class SeedsConfig(Model):
    """Seeds in a row."""

    first: Whole = described(1, "The first", ge=0, bound=SEED)
    count: Whole = described(..., "How many", ge=1, le=MOST_RUNS)

    @model_validator(mode="before")
    @classmethod
    def _from_count(cls, value: Any) -> Any:
        return {"count": value} if isinstance(value, int) and not isinstance(value, bool) else value


class SweepConfig(Model):
    """Many runs of one experiment."""

    name: Name = described("sweep", "Names the folder of the results")
    description: str = described("", "For people")
    experiment: str | dict[str, Any] = described(
        ..., "A YAML file, relative to this one, or the experiment itself"
    )
    set: dict[str, Value] = described({}, "Put on top in all runs, by dotted path")
    parameters: dict[str, VariedConfig] = described({}, "What varies: a name, or the dotted path itself")
    design: DesignConfig = described(DesignConfig(), "Which points are run")
    constraints: tuple[str, ...] = described(
        (), "Conditions between parameters, such as `low < high`; points that break one are left out"
    )
    treatments: dict[Name, dict[str, Value]] = described(
        {}, "Every point is run with each of these put on top, with the same seeds: compared pair by pair"
    )
    seeds: Annotated[tuple[Whole, ...], Field(min_length=1)] | SeedsConfig = described(
        SeedsConfig(count=1), "How many (from 1), the seeds, or {first, count}"
    )
    warmup: Step = described(0, "Left out at the start of every run by the measures", "steps")
    measures: tuple[str, ...] = described(
        (), "Measures to keep; those that `simlab compare` knows, all if empty"
    )
    keep: Literal["runs", "summary"] = described("summary", "Keep the recordings, or only a row a run")

    @property
    def seed_list(self) -> list[int]:
        """All seeds, in order."""
        if isinstance(self.seeds, SeedsConfig):
            return list(range(self.seeds.first, self.seeds.first + self.seeds.count))
        return list(self.seeds)

    def path_of(self, parameter: str) -> str:
        """Return the dotted path that a parameter varies."""
        return self.parameters[parameter].path or parameter


@cache
def sweep_schema() -> Schema:
    """Return the JSON Schema (draft 2020-12) of a file for `simlab sweep`; do not change it.

    Example
    -------
    >>> sweep_schema()["$defs"]["DesignConfig"]["properties"]["kind"]["default"]
    'grid'
    """
    made: Schema = clean(SweepConfig.model_json_schema())
    return made


def load_sweep(config: str | Path | Mapping[str, Any] | SweepConfig) -> SweepConfig:
    """Load and check what is to be swept; files that it names become absolute.

    Raises
    ------
    ConfigError
        Listing every problem with its path, file and line.

    Example
    -------
    >>> market = {"steps": 10, "instruments": {"ACME": {"initial_price": 100}}}
    >>> load_sweep({"experiment": market, "seeds": 3}).seed_list
    [1, 2, 3]
    """
    if isinstance(config, SweepConfig):
        return config
    source = from_study(config)
    design = source.data.get("design")
    if isinstance(design, dict) and isinstance(design.get("points"), str):
        design["points"] = str((source.folder_of(("design", "points")) / design["points"]).resolve())
    made = validated(SweepConfig, source, sweep_schema())
    problems = list(_problems(made))
    if problems:
        raise config_error(problems, source)
    return made


def _problems(config: SweepConfig) -> Iterator[Problem]:
    """Yield what the schema cannot say."""
    if config.design.kind == "grid":
        for name, varied in config.parameters.items():
            if varied.values is None:
                rule = "a grid takes a list of values; for a range choose design latin_hypercube or random"
                yield Problem(("parameters", name), rule)
    if config.design.kind != "grid" and not config.parameters:
        yield Problem(("parameters",), f"a {config.design.kind} design needs parameters that vary")
    if config.design.kind in ("sobol", "morris") and config.constraints:
        yield Problem(("constraints",), f"a {config.design.kind} design needs all its points; leave them out")
    paths = [config.path_of(name) for name in config.parameters]
    for name, path in zip(config.parameters, paths, strict=True):
        if path == "seed":
            yield Problem(("parameters", name), "seeds are given by `seeds`, so that runs are paired by seed")
        elif paths.count(path) > 1:
            yield Problem(("parameters", name), f"{path} varies twice")
    if len(set(config.seed_list)) < len(config.seed_list):
        yield Problem(("seeds",), "a seed is there twice, and would be the same run twice")
    if isinstance(config.design.points, tuple):
        yield from _listed(config)


def _listed(config: SweepConfig) -> Iterator[Problem]:
    assert isinstance(config.design.points, tuple)
    for i, point in enumerate(config.design.points):
        for wrong in sorted(set(point) ^ set(config.parameters)):
            rule = "is no parameter" if wrong in point else "is missing, and every point has all parameters"
            yield Problem(("design", "points", i), f"{wrong} {rule}")


def experiment_source(config: SweepConfig) -> Path | Mapping[str, Any]:
    """Return where the experiment is, or the experiment itself.

    Raises
    ------
    ConfigError
        When there is no such file.
    """
    if isinstance(config.experiment, Mapping):
        return config.experiment
    path = Path(config.experiment)
    if not path.is_file():
        raise ConfigError(f"experiment: there is no file {path}")
    return path
