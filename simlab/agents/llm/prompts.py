"""Write the prompts: sandboxed Jinja2 templates, where an unknown name is an error with the nearest known.

A template is one of simlab's own, a file, or a text in the YAML file. It is tried when the configuration is
loaded, and its hash is kept with the run.

Example
-------
>>> Prompts.of(Options.of(template="Best bid {{ market.best_bid }}")).user.render(SAMPLE)
'Best bid 99'
>>> Prompts.of(Options.of(template="{{ market.bestbid }}")).user.render(SAMPLE)
Traceback (most recent call last):
simlab.errors.StrategyError: template (in YAML), line 1: 'bestbid' is undefined; did you mean 'best_bid'?
"""

from __future__ import annotations

import hashlib
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

from simlab.agents.llm.options import Options
from simlab.agents.llm.view import NAMES, SAMPLE
from simlab.errors import StrategyError, did_you_mean

__all__ = ["SAMPLE", "Options", "Prompts", "Template"]

MAX_PROMPT = 200_000
"""Characters of a prompt; a template that loops on is stopped there."""


@dataclass(frozen=True)
class Template:
    """One template: its text, and where it comes from.

    Parameters
    ----------
    name : str
        What the option is called.
    origin : str
    source : str
    """

    name: str
    origin: str
    source: str

    @property
    def hash(self) -> str:
        """SHA-256 of the text."""
        return hashlib.sha256(self.source.encode()).hexdigest()

    def render(self, view: Mapping[str, Any]) -> str:
        """Return the text for a view.

        Raises
        ------
        StrategyError
            When the template is none, or names what is not there.
        """
        parts, length = [], 0
        try:
            for part in _compiled(self.source).generate(view):
                parts.append(part)
                length += len(part)
                if length > MAX_PROMPT:
                    raise ValueError(f"the prompt has more than {MAX_PROMPT:,} characters")
        except Exception as error:  # a template may raise whatever its expressions do
            raise self._failure(error) from error
        return "".join(parts).strip()

    def check(self) -> None:
        """Try the template on a made-up view.

        Raises
        ------
        StrategyError
        """
        try:
            unknown = sorted(_unknown_names(self.source))
        except Exception as error:
            raise self._failure(error) from error
        if unknown:
            hint = did_you_mean(unknown[0], NAMES)
            raise StrategyError(f"{self.name} ({self.origin}): {unknown[0]!r} is undefined{hint}")
        self.render(SAMPLE)

    def _failure(self, error: Exception) -> StrategyError:
        frames = traceback.extract_tb(error.__traceback__)
        line = getattr(error, "lineno", None) or next(
            (it.lineno for it in reversed(frames) if it.filename == "<template>"), None
        )
        where = f", line {line}" if line else ""
        return StrategyError(f"{self.name} ({self.origin}){where}: {error or type(error).__name__}")


@dataclass(frozen=True)
class Prompts:
    """What a model is told: who it is (`system`), and what it sees (`user`)."""

    system: Template
    user: Template

    @classmethod
    def of(cls, options: Options) -> Prompts:
        """Return the templates that a population's options name.

        Raises
        ------
        StrategyError
            When a file cannot be read.
        """
        return cls(
            _template("system_template", options.system_template, options.system_template_path, "system.j2"),
            _template("template", options.template, options.template_path, "prompt.j2"),
        )

    def messages(self, view: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the first messages of a decision."""
        return [
            {"role": "system", "content": self.system.render(view)},
            {"role": "user", "content": self.user.render(view)},
        ]

    def check(self) -> None:
        """Try both on a made-up view.

        Raises
        ------
        StrategyError
        """
        self.system.check()
        self.user.check()

    def provenance(self) -> dict[str, str]:
        """Return the hashes of the templates by name, for a run's manifest."""
        return {it.name: it.hash for it in (self.system, self.user)}


def _template(name: str, text: str | None, path: str | None, built_in: str) -> Template:
    if text is not None:
        return Template(name, "in YAML", text)
    if path is None:
        return Template(name, "built in", _packaged(built_in))
    try:
        return Template(name, path, Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise StrategyError(f"{name}_path: {path} cannot be read: {error}") from error


@lru_cache(maxsize=8)
def _packaged(file: str) -> str:
    return (resources.files("simlab.agents.llm") / "templates" / file).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _environment() -> Any:
    try:
        from jinja2 import StrictUndefined
        from jinja2.sandbox import ImmutableSandboxedEnvironment
        from jinja2.utils import missing
    except ImportError as error:
        raise StrategyError(f'prompts need Jinja2 ({error}); pip install "simlab[llm]"') from error

    class Missing(StrictUndefined):
        """Say which known name may have been meant."""

        __slots__ = ()

        @property
        def _undefined_message(self) -> str:
            owner, name = self._undefined_obj, self._undefined_name
            known = NAMES if owner is missing else owner if isinstance(owner, Mapping) else ()
            return f"{name!r} is undefined{did_you_mean(name, known)}"

    made = ImmutableSandboxedEnvironment(
        undefined=Missing, trim_blocks=True, lstrip_blocks=True, autoescape=False, keep_trailing_newline=False
    )
    made.filters["number"] = _number
    return made


@lru_cache(maxsize=64)
def _compiled(source: str) -> Any:
    return _environment().from_string(source)


def _unknown_names(source: str) -> set[str]:
    from jinja2.meta import find_undeclared_variables

    environment = _environment()
    return find_undeclared_variables(environment.parse(source)) - set(NAMES) - set(environment.globals)


def _number(value: float) -> str:
    """Write a number with as many decimals as it needs, at most two.

    Example
    -------
    >>> _number(10000.0), _number(9999.5), _number(1 / 3)
    ('10000', '9999.5', '0.33')
    """
    return f"{value:.2f}".rstrip("0").rstrip(".")
