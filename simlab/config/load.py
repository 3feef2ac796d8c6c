"""Load a configuration: from a file, a mapping or another configuration, with values set on top."""

from __future__ import annotations

import copy
import itertools
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from simlab.agents.registry import source_file, workspace_root
from simlab.agents.strategy import Calling
from simlab.config.checks import OF_AGENTS, cross_check
from simlab.config.merge import assign, from_dict, from_file, parse_assignments, plain
from simlab.config.models import ExperimentConfig
from simlab.config.options import absolute_options
from simlab.config.problems import Problem, config_error, from_validation
from simlab.config.source import KeyPath, Mark, Source
from simlab.config.world import fundamental_file
from simlab.errors import ConfigError, did_you_mean

__all__ = ["ConfigLike", "load", "resolved"]

ConfigLike = str | Path | Mapping[str, Any] | ExperimentConfig
"""A path of a YAML file, a mapping of the same shape, or a loaded configuration."""


def load(
    config: ConfigLike,
    *,
    set: Sequence[str] | Mapping[str, Any] = (),
    seed: int | None = None,
    steps: int | None = None,
) -> ExperimentConfig:
    """Load and check a configuration.

    Parameters
    ----------
    config : path, mapping or ExperimentConfig
    set : sequence of "a.b.c=VALUE", or mapping from "a.b.c" to values
        Values put on top, in order. A path must exist in the configuration or be a key of the schema.
    seed, steps : int, optional
        The same for these two keys.

    Raises
    ------
    ConfigError
        Listing every problem with its path, file and line.

    Example
    -------
    >>> load({"steps": 10, "instruments": {"ACME": {"initial_price": 100}}}, seed=7).seed
    7
    """
    source = _source(config)
    for dotted, value, mark in parse_assignments(set):
        assign(source, dotted, value, mark)
    for key, value in (("seed", seed), ("steps", steps)):
        if value is not None:
            assign(source, key, plain(value, (key,)), Mark(f"--{key}"))
    loaded = _checked(source)
    loaded._source = source
    return loaded


def resolved(config: ExperimentConfig) -> dict[str, Any]:
    """Return the configuration with every default written out, as plain data that YAML can hold.

    A strategy's file is written relative to its workspace root, so that the result can be run from another
    folder of the workspace; other files, and a strategy outside any workspace, by their absolute path.
    Loading the result gives the same experiment.

    Example
    -------
    >>> resolved(load({"steps": 10, "instruments": {"ACME": {"initial_price": 100}}}))["seed"]
    1
    """
    data = config.model_dump(mode="json", exclude_none=False)
    for name in config.instruments:
        if (path := fundamental_file(config, name)) is not None:
            data["instruments"][name]["fundamental"]["path"] = os.fspath(path)
    for name in config.populations:
        for place, decider in config.deciders(name):
            written = data
            for key in place:
                written = written[key]  # type: ignore[index]
            strategy = config.strategy_of(decider.strategy, config.folder_of((*place, "strategy")))
            written["strategy"] = _portable(decider.strategy, config, place)
            written["options"] = absolute_options(
                decider.options, strategy, (*place, "options"), config._source
            )
            _make_cassette_absolute(written["llm"], place, config)
            for key in OF_AGENTS if strategy.level is Calling.OUTSIDE else ():
                written.pop(key, None)  # defaults, which seats do not have
    _make_cassette_absolute(data["llm"], (), config)
    return _without_empty_forms(data)


def _source(config: ConfigLike) -> Source:
    if isinstance(config, ExperimentConfig):
        return _of_model(config)
    if isinstance(config, Mapping):
        return from_dict(config)
    source = from_file(Path(config))
    source.data.setdefault(
        "name", re.sub(r"[^A-Za-z0-9_.-]+", "-", Path(config).stem).strip("-.") or "experiment"
    )
    return source


def _of_model(config: ExperimentConfig) -> Source:
    """Return what a configuration says now, which after `model_copy` is not what its file says.

    A value that is still the file's keeps its place there; any other is said to come from a copy.
    """
    _refuse_strangers(config)
    held = config._source
    data = from_dict(_without_empty_forms(config.model_dump(exclude_unset=True, warnings=False))).data
    marks = {
        path: mark if _same(data, held.data, path) else Mark("a copied configuration", folder=mark.folder)
        for path, mark in held.marks.items()
    }
    return Source(data, marks, held.origin, held.folder)


def _refuse_strangers(config: ExperimentConfig) -> None:
    """Refuse keys that `model_copy` took although the schema does not have them."""
    for name in vars(config):
        if name not in type(config).model_fields:
            raise ConfigError(f"{name}: unknown key{did_you_mean(name, type(config).model_fields)}")


def _same(data: Any, other: Any, path: KeyPath) -> bool:
    """Whether a path leads in both to the same value, or to what holds values."""
    for part in path:
        try:
            data, other = data[part], other[part]
        except (KeyError, IndexError, TypeError):
            return False
    return isinstance(data, dict | list) or data == other


def _without_empty_forms(data: dict[str, Any]) -> dict[str, Any]:
    """Leave out the forms of a distribution that are not given; in place, and return it."""
    for population in data.get("populations", {}).values():
        if isinstance(population, dict):
            for decider in (population, *(population.get("fallback") or ())):
                if "parameters" in decider:
                    decider["parameters"] = {
                        key: {form: numbers for form, numbers in value.items() if numbers is not None}
                        if isinstance(value, dict)
                        else value
                        for key, value in decider["parameters"].items()
                    }
    return data


def _checked(source: Source) -> ExperimentConfig:
    try:
        config = ExperimentConfig.model_validate(source.data)
    except ValidationError as error:
        problems = from_validation(error, source.data)
        rest = _without(source.data, problems)
        if rest is not None:
            problems += cross_check(rest, source)
        raise config_error(problems, source) from None
    problems = cross_check(config, source)
    if problems:
        raise config_error(problems, source)
    return config


def _without(data: dict[str, Any], problems: list[Problem]) -> ExperimentConfig | None:
    """Return the configuration without its malformed parts, so that the other parts can be checked too.

    First only the malformed keys are left out, then whatever is malformed without them.
    """
    rest = copy.deepcopy(data)
    _drop(rest, [problem.path for problem in problems])
    for longest in (3, 2, 1):
        rest.setdefault("steps", 1)
        try:
            return ExperimentConfig.model_validate(rest)
        except ValidationError as error:
            _drop(rest, [problem.path[:longest] for problem in from_validation(error, rest)])
    return None


def _drop(data: dict[str, Any], paths: list[KeyPath]) -> None:
    """Delete keys; a key inside a list takes the whole list with it, so that no item changes its number."""
    for path in paths:
        keys = list(itertools.takewhile(lambda key: isinstance(key, str), path))
        node: Any = data
        for key in keys[:-1]:
            node = node.get(key) if isinstance(node, dict) else None
        if isinstance(node, dict) and keys:
            node.pop(keys[-1], None)


def _make_cassette_absolute(llm: dict[str, Any] | None, path: KeyPath, config: ExperimentConfig) -> None:
    """Make the path of a cassette absolute; in place."""
    cassette = (llm or {}).get("cassette") or {}
    if cassette.get("path") is not None:
        folder = config.folder_of((*path, "llm", "cassette", "path"))
        cassette["path"] = os.fspath((folder / cassette["path"]).resolve())


def _portable(text: str, config: ExperimentConfig, population: KeyPath) -> str:
    """Rewrite a strategy named by file so that it is found from any folder of its workspace."""
    place, colon, attribute = text.rpartition(":")
    if not colon or not place.endswith(".py"):
        return text
    folder = config.folder_of((*population, "strategy"))
    path = source_file(config.strategy_of(text, folder))
    if path is None:
        return text
    root = workspace_root(folder)
    if root is not None and path.is_relative_to(root):
        return f"{path.relative_to(root).as_posix()}:{attribute}"
    return f"{os.fspath(path)}:{attribute}"
