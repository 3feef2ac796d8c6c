"""Say where a language model is, how it is asked, and what it may cost: the section `llm`, as it is run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from simlab.errors import LlmError, StrategyError, did_you_mean

__all__ = ["LOCAL", "OPENAI", "Settings", "check_ready", "check_settings"]

LOCAL = "local"
"""In place of an endpoint's address: a small model that is served from this machine."""
OPENAI = "https://api.openai.com/v1"
"""The endpoint where none is named."""
_OPENAI_KEY = "OPENAI_API_KEY"
_MODES = ("off", "record", "replay", "auto")
_PARTS = {
    "cassette": ("mode", "path"),
    "budget": ("calls", "tokens", "money"),
    "prices": None,
    "thinking": None,
}
"""Keys that hold keys of their own; any where None."""


@dataclass(frozen=True)
class Settings:
    """One language model, as a session asks it.

    `temperature`, `seed` and `max_tokens` (of one answer) are sent only when they are given. `cassette` is a
    mode and a path (see `simlab.agents.llm.cassette`), `budget` the most calls, tokens and money of a run,
    None for no limit; `prices` are in currency per million tokens, by model and ``input`` or ``output``.
    """

    model: str
    base_url: str | None = None
    api_key_env: str | None = None
    temperature: float | None = None
    seed: int | None = None
    max_tokens: int | None = 512
    output: str = "json_schema"
    concurrency: int = 8
    timeout_s: float = 60.0
    retries: int = 4
    cassette_mode: str = "off"
    cassette_path: str | None = None
    budget_calls: int | None = None
    budget_tokens: int | None = None
    budget_money: float | None = None
    price_input: float | None = None
    price_output: float | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Settings:
        """Return the settings that the section `llm` gives, with defaults for what it leaves out.

        Raises
        ------
        StrategyError
            When a key is unknown, a budget of money has no price to count by, or a cassette no path.

        Example
        -------
        >>> Settings.of({"model": "small", "budget": {"calls": 3}}).budget_calls
        3
        """
        own = {it.name for it in fields(cls) if not it.name.startswith(("cassette_", "budget_", "price_"))}
        _refuse_unknown("llm", given, own | set(_PARTS))
        for name, keys in _PARTS.items():
            if keys is not None:
                _refuse_unknown(f"llm.{name}", given.get(name) or {}, keys)
        if not given.get("model"):
            raise StrategyError("llm.model is missing; say which model is asked, by its name at the endpoint")
        prices = given.get("prices") or {}
        price = prices.get(given["model"]) or {}
        made = cls(
            **{name: it for name, it in given.items() if name in own},
            **{
                f"{name}_{key}": value
                for name in ("cassette", "budget")
                for key, value in (given.get(name) or {}).items()
                if value is not None
            },
            price_input=price.get("input"),
            price_output=price.get("output"),
        )
        made._check(prices)
        return made

    def _check(self, prices: Mapping[str, Any]) -> None:
        if self.cassette_mode not in _MODES:
            guess = did_you_mean(self.cassette_mode, _MODES, otherwise="use")
            raise StrategyError(f"llm.cassette.mode {self.cassette_mode!r} is unknown{guess}")
        if self.cassette_mode != "off" and not self.cassette_path:
            raise StrategyError(f"llm.cassette: mode {self.cassette_mode} needs a path")
        if self.budget_money is not None and self.price_input is None:
            guess = did_you_mean(self.model, prices, otherwise="there are prices of")
            raise StrategyError(
                f"llm.budget.money: there is no price to count by; add llm.prices.{self.model} with its input"
                f" and output in currency per million tokens{guess}"
            )

    @property
    def replays(self) -> bool:
        """Whether nothing is ever asked of an endpoint."""
        return self.cassette_mode == "replay"

    @property
    def address(self) -> str:
        """Where the model is."""
        return self.base_url or OPENAI

    @property
    def is_openai(self) -> bool:
        """Whether the endpoint is OpenAI's own."""
        return urlsplit(self.address).hostname == urlsplit(OPENAI).hostname

    def key(self) -> str | None:
        """Return the secret key for the endpoint, which is kept nowhere; None where none is needed.

        The variable of OpenAI's key is looked at for OpenAI's own endpoint alone: no other is told it
        unasked.

        Raises
        ------
        LlmError
            When the variable is not set, or holds what cannot be sent.
        """
        variable = self.api_key_env or (_OPENAI_KEY if self.is_openai else None)
        if variable is None:
            return None
        found = os.environ.get(variable, "").strip()
        if not found:
            raise LlmError(
                f"environment variable {variable} is not set; put the key of {self.address} into it, or name"
                " another variable with llm.api_key_env, or replay a cassette"
            )
        if not (found.isascii() and found.isprintable()) or " " in found:
            raise LlmError(
                f"environment variable {variable} holds no key: there is a space, a line's end or a letter"
                " beyond ASCII in it; put the key there and nothing else"
            )
        return found

    def parameters(self) -> dict[str, Any]:
        """Return what decides an answer beside the messages: part of a request's hash."""
        named = ("model", "temperature", "seed", "max_tokens", "output")
        return {name: value for name in named if (value := getattr(self, name)) is not None}


def check_settings(given: Mapping[str, Any]) -> None:
    """Find out before a run whether a section `llm` can be asked by; no endpoint and no file is looked at.

    Raises
    ------
    StrategyError
        See `Settings.of`; also when a local model is none that is known.

    Example
    -------
    >>> check_settings({"model": "smolm2", "base_url": "local"})
    Traceback (most recent call last):
    ...
    simlab.errors.LlmError: there is no local model 'smolm2'; did you mean 'smollm2'?
    """
    settings = Settings.of(given)
    if settings.base_url == LOCAL and not settings.replays:
        from simlab.agents.llm.local import known_model

        known_model(settings.model)


def check_ready(given: Mapping[str, Any]) -> None:
    """Find out when a run begins, and not at its first question, whether a section `llm` can be asked by.

    Raises
    ------
    LlmError
        When a key that will be needed is not set, or there is no cassette to replay. With mode ``auto`` it
        may turn out that no key is needed.
    """
    settings = Settings.of(given)
    if settings.replays:
        from simlab.agents.llm.cassette import require_file

        require_file(Path(str(settings.cassette_path)))
    elif settings.cassette_mode != "auto":
        settings.key()


def _refuse_unknown(where: str, given: Mapping[str, Any], known: Any) -> None:
    for name in given:
        if name not in known:
            guess = did_you_mean(name, sorted(known), otherwise="there are")
            raise StrategyError(f"{where} has no key {name!r}{guess}")
