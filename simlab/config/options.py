"""Check a population's options against the types of the strategy's constructor; make them what it takes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import PurePath
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from simlab.agents.strategy import Option, Strategy
from simlab.config.fields import Flag, Model, Real, Whole
from simlab.config.language_models import LlmConfig, merged
from simlab.config.models import ExperimentConfig, FallbackConfig
from simlab.config.problems import Problem, from_validation, of_value
from simlab.config.source import KeyPath, Source
from simlab.errors import did_you_mean

__all__ = ["absolute_options", "model_problems", "option_problems", "options_of", "parameter_names"]

_LLM = "llm"
"""The option of strategies that ask a language model, which is filled from the sections of this name."""
_STRICT: dict[Any, Any] = {int: Whole, float: Real, bool: Flag}
"""What a number in a YAML file must be, as in the rest of the file."""


def option_problems(path: KeyPath, options: Mapping[str, Any], strategy: Strategy) -> Iterator[Problem]:
    """Yield what is wrong with options: unknown, missing, or not of the type that the strategy says.

    Parameters
    ----------
    path : tuple
        Where in the configuration they stand.
    options : mapping
    strategy : Strategy
    """
    known = {it.name: it for it in strategy.option_types}
    for name, value in options.items():
        if name not in strategy.options:
            instead = f"; {name!r} is a parameter, put it under parameters"
            if name not in (it.name for it in strategy.parameters):
                instead = did_you_mean(name, strategy.options) or "; it takes none"
            yield Problem((*path, name), f"strategy {strategy.name!r} has no such option{instead}")
        elif name in known:
            try:
                made = _converted(value, known[name])
                yield from _left_out((*path, name), value, made)
            except ValidationError as error:
                yield from of_value(error, (*path, name), value)
            except PydanticUserError:
                kind = getattr(known[name].type, "__name__", known[name].type)
                yield Problem(
                    (*path, name), f"strategy {strategy.name!r} wants a {kind}, which no file can hold"
                )
    for it in strategy.option_types:
        if it.required and it.name not in options and it.name != _LLM:
            what = f": {it.description}" if it.description else ""
            yield Problem((*path, it.name), f"missing; strategy {strategy.name!r} needs it{what}")


def parameter_names(decider: FallbackConfig, strategy: Strategy) -> tuple[str, ...]:
    """Return the names of the parameters that agents have: declared ones, then any others that are given."""
    declared = [it.name for it in strategy.parameters]
    return (*declared, *sorted(set(decider.parameters) - set(declared)))


class _Holder(Model):
    llm: LlmConfig


def model_problems(
    path: KeyPath, decider: FallbackConfig, strategy: Strategy, config: ExperimentConfig
) -> Iterator[Problem]:
    """Yield what is wrong with which language model is asked."""
    if _LLM not in strategy.options:
        if decider.llm is not None:
            yield Problem((*path, _LLM), f"strategy {strategy.name!r} asks no language model; remove it")
        return
    if _LLM in decider.options:
        yield Problem((*path, "options", _LLM), "write it beside options, as a key of its own")
    settings = _settings(decider, config)
    if settings is None:
        if not getattr(config.populations[str(path[1])], "fallback", ()):
            yield Problem(
                (*path, "strategy"),
                f"strategy {strategy.name!r} needs a model: add a section llm with a model, or a fallback",
            )
        return
    try:
        _Holder.model_validate({_LLM: settings})
    except ValidationError as error:
        for problem in from_validation(error, {_LLM: settings}):
            yield Problem((*path, *problem.path), problem.rule)


def _settings(decider: FallbackConfig, config: ExperimentConfig) -> dict[str, Any] | None:
    whole = None if config.llm is None else config.llm.model_dump(mode="json", exclude_unset=True)
    return merged(whole, decider.llm)


def options_of(
    path: KeyPath, decider: FallbackConfig, strategy: Strategy, config: ExperimentConfig, source: Source
) -> dict[str, Any]:
    """Return a strategy's options, which must have no problems, as its constructor takes them.

    The option `llm` of a strategy that has it is the section `llm` with what the population says on top:
    every key, the cassette's path absolute; None where no model is configured.

    Parameters
    ----------
    path : tuple
        Of the population, or of what it falls back on.
    decider : FallbackConfig
    strategy : Strategy
    config : ExperimentConfig
    source : Source
    """
    made = typed_options(absolute_options(decider.options, strategy, (*path, "options"), source), strategy)
    if _LLM in strategy.options:
        settings = _settings(decider, config)
        if settings is not None:
            settings = LlmConfig.model_validate(settings).model_dump(mode="json")
            own = isinstance(decider.llm, dict) and "path" in (decider.llm.get("cassette") or {})
            if (file := settings["cassette"]["path"]) is not None:
                folder = source.folder_of((*(path if own else ()), _LLM, "cassette", "path"))
                settings["cassette"]["path"] = os.fspath((folder / file).resolve())
            if settings["thinking"]["ms_per_step"] is None:
                settings["thinking"]["ms_per_step"] = 1000 * config.step_duration_s
        made[_LLM] = settings
    return made


def typed_options(options: Mapping[str, Any], strategy: Strategy) -> dict[str, Any]:
    """Return options, which must have no problems, as the constructor takes them: text as `Path` or enum."""
    known = {it.name: it for it in strategy.option_types}
    return {
        name: _converted(value, known[name]) if name in known else value for name, value in options.items()
    }


def absolute_options(
    options: Mapping[str, Any], strategy: Strategy, path: KeyPath, source: Source
) -> dict[str, Any]:
    """Return options with paths made absolute: those called `path` or `..._path`, and those of type `Path`.

    Parameters
    ----------
    options : mapping
    strategy : Strategy
    path : tuple
        Where in the configuration they stand.
    source : Source
        Tells which folder a relative path starts from.
    """
    paths = {it.name for it in strategy.option_types if _is_path(it.type)}
    made = dict(options)
    for name, value in options.items():
        if name in paths or name == "path" or name.endswith("_path"):
            folder = source.folder_of((*path, name))
            several = isinstance(value, list | tuple) and name in paths
            found = [
                os.fspath((folder / it).resolve()) if isinstance(it, str) else it
                for it in (value if several else [value])
            ]
            made[name] = found if several else found[0]
    return made


def _converted(value: Any, option: Option) -> Any:
    """Return a value as the option's type: strict for what JSON has; text may stand for what it has not."""
    if option.type is Any:
        return value
    return TypeAdapter(_strict(option.type)).validate_json(json.dumps(value), strict=True)


def _left_out(path: KeyPath, given: Any, made: Any) -> Iterator[Problem]:
    """Yield a problem for each key that a dataclass in an option has no use for."""
    if isinstance(given, list) and isinstance(made, list | tuple):
        for i, (one, one_made) in enumerate(zip(given, made, strict=False)):
            yield from _left_out((*path, i), one, one_made)
    elif isinstance(given, dict) and is_dataclass(made):
        names = [it.name for it in fields(made) if it.init]
        for name, value in given.items():
            if name in names:
                yield from _left_out((*path, name), value, getattr(made, name))
            else:
                yield Problem((*path, name), f"unknown key{did_you_mean(name, names)}")
    elif isinstance(given, dict) and isinstance(made, dict):
        for name, value in given.items():
            yield from _left_out((*path, name), value, made.get(name))


def _strict(kind: Any) -> Any:
    """Return a type whose numbers are as strict as those of the schema."""
    if get_origin(kind) is Annotated:
        inner, *extras = get_args(kind)
        return Annotated[(_strict(inner), *extras)]
    if get_origin(kind) in (Union, UnionType):
        return Union[tuple(_strict(it) for it in get_args(kind))]  # noqa: UP007
    return _STRICT.get(kind, kind) if isinstance(kind, type) else kind


def _is_path(kind: Any) -> bool:
    """Whether a type is a path, or a list of them, or something else that may be one."""
    return (isinstance(kind, type) and issubclass(kind, PurePath)) or any(map(_is_path, get_args(kind)))
