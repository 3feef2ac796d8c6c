"""The schema of what language models are asked where, how, and for how much: `llm`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from simlab.config.fields import Model, Real, Whole, described
from simlab.config.limits import ANSWER, CALLS, REQUESTS, RETRIES, SEED, THINKING, TOKENS

__all__ = ["BudgetConfig", "CassetteConfig", "LlmConfig", "PriceConfig", "ThinkingConfig", "merged"]

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class CassetteConfig(Model):
    """A file that keeps every request and its answer, so that a run can be repeated without a model."""

    mode: Literal["off", "record", "replay", "auto"] = described(
        "off",
        "`record` asks and keeps, `replay` answers from the file alone, `auto` asks for what the file lacks",
    )
    path: str | None = described(None, "The file, relative to the YAML file", min_length=1)

    @model_validator(mode="after")
    def _has_a_file(self) -> Self:
        if self.mode != "off" and self.path is None:
            raise PydanticCustomError("cassette", "mode {mode} needs a path", {"mode": self.mode})
        return self


class BudgetConfig(Model):
    """What a run may spend on language models; when it is spent, others decide. No limit where null."""

    calls: Whole | None = described(None, "Calls", "calls", ge=0, bound=CALLS)
    tokens: Whole | None = described(None, "Tokens read and written", "tokens", ge=0, bound=TOKENS)
    money: Real | None = described(None, "Money, by `prices`", "currency", ge=0)


class PriceConfig(Model):
    """What a model costs."""

    input: Real = described(..., "What it reads", "currency per million tokens", ge=0)
    output: Real = described(..., "What it writes", "currency per million tokens", ge=0)


class ThinkingConfig(Model):
    """Whether the time that a decision takes is charged as latency."""

    charge: Literal["none", "measured", "drawn"] = described(
        "none", "`measured`: as long as it took (kept in the cassette); `drawn`: exponential with `mean_ms`"
    )
    ms_per_step: Real | None = described(
        None, "What a step stands for; step_duration_s if not given", "milliseconds", gt=0
    )
    mean_ms: Real = described(1000.0, "Mean of a drawn time", "milliseconds", gt=0)
    most_steps: Whole = described(100, "Most that is charged", "steps", ge=0, bound=THINKING)


class LlmConfig(Model):
    """Which language model is asked, and how: any endpoint that speaks OpenAI's protocol."""

    model: str = described(..., "Its name at the endpoint", min_length=1)
    base_url: str | None = described(
        None, "The endpoint; OpenAI's if not given, `local` for a small model on this machine", min_length=1
    )
    api_key_env: str | None = described(
        None,
        "Name of the environment variable with the key; OPENAI_API_KEY for OpenAI's endpoint if not given,"
        " no key for others",
        min_length=1,
    )
    temperature: Real | None = described(None, "The model's own if not given", "1", ge=0, le=2)
    seed: Whole | None = described(None, "For models that take one", bound=SEED, ge=0)
    max_tokens: Whole = described(512, "Most that an answer may have", "tokens", ge=1, bound=ANSWER)
    output: Literal["json_schema", "json_mode", "text"] = described(
        "json_schema", "How the model is told the form of its answer; by `text` in the prompt alone"
    )
    concurrency: Whole = described(8, "Requests under way at once", "requests", ge=1, bound=REQUESTS)
    timeout_s: Real = described(60.0, "How long a request may take", "s", gt=0)
    retries: Whole = described(
        4,
        "Times that a request is repeated after 429, 5xx, a time-out or a cut connection",
        ge=0,
        bound=RETRIES,
    )
    cassette: CassetteConfig = described(
        CassetteConfig(), "What keeps requests and answers; nothing if not given"
    )
    budget: BudgetConfig = described(BudgetConfig(), "What the run may spend; no limit if not given")
    prices: dict[str, PriceConfig] = described({}, "Prices by the name of the model")
    thinking: ThinkingConfig = described(ThinkingConfig(), "Whether thinking is latency; not, if not given")

    @model_validator(mode="after")
    def _names_a_variable(self) -> Self:
        """Refuse a key in place of the name of its variable; the message does not repeat it."""
        if self.api_key_env is not None and not _VARIABLE.fullmatch(self.api_key_env):
            raise PydanticCustomError(
                "api_key_env",
                "api_key_env must be the name of an environment variable, such as MY_KEY; the key itself"
                " belongs into that variable",
            )
        return self

    @model_validator(mode="after")
    def _names_an_endpoint(self) -> Self:
        if self.base_url is None or self.base_url == "local":
            return self
        try:
            address = urlsplit(self.base_url)
        except ValueError:
            address = urlsplit("")
        if address.username is not None or address.password is not None:
            raise PydanticCustomError(
                "base_url",
                "base_url must not hold a name or a password, which would be written into every run; put the"
                " key into an environment variable and name that in api_key_env",
            )
        if address.scheme not in ("http", "https") or not address.hostname:
            raise PydanticCustomError(
                "base_url",
                "base_url {given} is no address; give one such as http://127.0.0.1:8080/v1, or local",
                {"given": self.base_url},
            )
        return self


def merged(whole: Mapping[str, Any] | None, part: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Put what a population says on top of what the file says, key by key; None where nobody says anything.

    Example
    -------
    >>> merged({"model": "a", "budget": {"calls": 5}}, {"budget": {"tokens": 9}})
    {'model': 'a', 'budget': {'calls': 5, 'tokens': 9}}
    """
    if whole is None or part is None:
        return None if whole is part is None else dict(whole or part or {})
    made = dict(whole)
    for key, value in part.items():
        old = made.get(key)
        made[key] = merged(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return made
