"""Say where a language model is, how it is asked, and what it may cost: the section `llm`, as it is run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from simlab.errors import LlmError, StrategyError

__all__ = ["LOCAL", "Settings"]

LOCAL = "local"
"""In place of an endpoint's address: a small model that is served from this machine."""
_OPENAI_KEY = "OPENAI_API_KEY"
_MODES = ("off", "record", "replay", "auto")


@dataclass(frozen=True)
class Settings:
    """One language model, as a session asks it.

    `max_tokens` are of one answer. `cassette` is a mode and a path (see `simlab.agents.llm.cassette`),
    `budget` the most calls, tokens and money of a run, None for no limit; `prices` are in currency per
    million tokens, by model and ``input`` or ``output``.
    """

    model: str
    base_url: str | None = None
    api_key_env: str | None = None
    temperature: float | None = None
    seed: int | None = None
    max_tokens: int = 512
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
            When a budget of money has no price to count by, or a cassette no path.

        Example
        -------
        >>> Settings.of({"model": "small", "budget": {"calls": 3}}).budget_calls
        3
        """
        model = str(given["model"])
        cassette, budget = given.get("cassette") or {}, given.get("budget") or {}
        price = (given.get("prices") or {}).get(model) or {}
        known = {it.name for it in fields(cls)}
        made = cls(
            **{name: it for name, it in given.items() if name in known},
            cassette_mode=cassette.get("mode", "off"),
            cassette_path=cassette.get("path"),
            budget_calls=budget.get("calls"),
            budget_tokens=budget.get("tokens"),
            budget_money=budget.get("money"),
            price_input=price.get("input"),
            price_output=price.get("output"),
        )
        made._check()
        return made

    def _check(self) -> None:
        if self.cassette_mode not in _MODES:
            raise StrategyError(
                f"llm.cassette.mode {self.cassette_mode!r} is unknown; use {', '.join(_MODES)}"
            )
        if self.cassette_mode != "off" and not self.cassette_path:
            raise StrategyError(f"llm.cassette: mode {self.cassette_mode} needs a path")
        if self.budget_money is not None and self.price_input is None:
            raise StrategyError(
                f"llm.budget.money: no price for the model {self.model!r}; add llm.prices with its input"
                " and output, in currency per million tokens"
            )

    @property
    def replays(self) -> bool:
        """Whether nothing is ever asked of an endpoint."""
        return self.cassette_mode == "replay"

    def key(self) -> str:
        """Return the secret key for the endpoint, which is kept nowhere.

        Raises
        ------
        LlmError
            When a variable that is named, or the one of OpenAI's own endpoint, is not set.
        """
        variable = self.api_key_env or _OPENAI_KEY
        found = os.environ.get(variable, "")
        if not found and (self.api_key_env or self.base_url is None):
            raise LlmError(
                f"environment variable {variable} is not set; put the key of {self.base_url or 'OpenAI'} into"
                " it, or name another variable with llm.api_key_env, or replay a cassette"
            )
        return found or "no key"

    def parameters(self) -> dict[str, Any]:
        """Return what decides an answer beside the messages: part of a request's hash."""
        named = ("model", "temperature", "seed", "max_tokens", "output")
        return {name: value for name in named if (value := getattr(self, name)) is not None}
