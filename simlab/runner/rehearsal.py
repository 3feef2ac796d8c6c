"""Rehearse a run with language models without asking any: first prompts, number of decisions, expected cost.

The market runs as it would, and each time a model would be asked its prompt is kept count of and the
population's fallback decides. When agents act does not depend on what they do, so the decisions are those of
the run; what the prompts say is not, so their length is an estimate.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from simlab.agents.llm.session import Answer, Failure, Request
from simlab.agents.strategy import Decider
from simlab.config import ExperimentConfig, build
from simlab.errors import ConfigError
from simlab.kernel.simulation import Simulation

__all__ = ["CHARACTERS_PER_TOKEN", "USUAL_ANSWER", "Rehearsed", "rehearse"]

CHARACTERS_PER_TOKEN = 4
"""Of English, about, for most tokenizers."""
USUAL_ANSWER = 80
"""Tokens of an answer with a reason and an order or two."""


@dataclass(frozen=True)
class Rehearsed:
    """What a population of language models will ask, if every answer is valid and no tool is called.

    `cost` is expected with answers of `USUAL_ANSWER` tokens, `most_cost` with answers as long as they may be;
    both are None where the model has no price. `prompt` is the first agent's, as messages.
    """

    population: str
    model: str
    decisions: int
    prompt_tokens: int
    answer_tokens: int
    most_answer_tokens: int
    cost: float | None
    most_cost: float | None
    prompt: Sequence[Mapping[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data that fits JSON."""
        return dict(vars(self))


def rehearse(config: ExperimentConfig) -> list[Rehearsed]:
    """Run a loaded configuration without its models and without recording; return what each population asks.

    Raises
    ------
    ConfigError
        When no population has a language model.
    """
    spec = build(config)
    listeners: dict[str, _Listener] = {}
    populations = []
    for population in spec.populations:
        settings = population.options.get("llm")
        if population.strategy.decider is Decider.LLM and settings is not None:
            listeners[population.name] = listener = _Listener(settings)
            population = replace(population, options={**population.options, "session": listener})
        populations.append(population)
    if not listeners:
        raise ConfigError("nothing to rehearse: no population has a language model and a section llm for it")
    simulation = Simulation(replace(spec, populations=tuple(populations)))
    simulation.advance()
    simulation.finish()
    return [listener.heard(name) for name, listener in listeners.items()]


class _Listener:
    """Stand in for a session: listen to what is asked, and answer nothing."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        self._settings = settings
        self._decisions = self._characters = 0
        self._first: list[dict[str, Any]] = []

    def admit(self, shared: dict[str, Any], wanted: int) -> int:
        return wanted

    async def ask(self, request: Request) -> Answer:
        self._first = self._first or request.messages
        self._decisions += 1
        asked = [request.messages, request.schema, request.tools]
        self._characters += len(json.dumps(asked, ensure_ascii=False))
        return Answer(failure=Failure("rehearsal", "nobody was asked"))

    def spend(self, shared: dict[str, Any], answers: Sequence[Answer]) -> None:
        """Nothing was spent."""

    def heard(self, name: str) -> Rehearsed:
        """Return what was asked."""
        settings, decisions = self._settings, self._decisions
        prompt_tokens = -(-self._characters // CHARACTERS_PER_TOKEN)
        most = decisions * int(settings["max_tokens"])
        usual = min(most, decisions * USUAL_ANSWER)
        price = (settings.get("prices") or {}).get(settings["model"])
        return Rehearsed(
            population=name,
            model=settings["model"],
            decisions=decisions,
            prompt_tokens=prompt_tokens,
            answer_tokens=usual,
            most_answer_tokens=most,
            cost=_cost(price, prompt_tokens, usual),
            most_cost=_cost(price, prompt_tokens, most),
            prompt=self._first,
        )


def _cost(price: Mapping[str, float] | None, tokens_in: int, tokens_out: int) -> float | None:
    if price is None:
        return None
    return (price["input"] * tokens_in + price["output"] * tokens_out) / 1e6
