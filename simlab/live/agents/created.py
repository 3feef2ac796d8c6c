"""Make the specification of an agent that was created while the market runs: a population of one.

Who creates an agent says its personality in words, or names a strategy (`simlab.live.playable`).
"""

from __future__ import annotations

from typing import Any

from simlab.config import ExperimentConfig, build, load, resolved
from simlab.core.random import name_key
from simlab.kernel.spec import SimulationSpec
from simlab.live.agents.mirror import Mirror
from simlab.live.playable import NEUTRAL, strategy_named

__all__ = ["spec_of"]

_SIGNAL_SHARE = 0.001
"""Of its price: by how much it is wrong about what an instrument is worth, where it thinks of that."""


def spec_of(
    config: ExperimentConfig,
    mirror: Mirror,
    *,
    agent_id: str,
    personality: str,
    strategy: str | None,
    parameters: dict[str, Any] | None,
    period: int,
) -> SimulationSpec:
    """Return a specification whose one population is the agent; it acts every `period` steps.

    Raises
    ------
    LiveError, ConfigError
        When the strategy or its parameters cannot be.
    """
    name = strategy_named(personality, strategy, models=config.llm is not None)
    data = resolved(config)
    first = min(mirror.listings.values(), key=lambda it: it.number)
    population: dict[str, Any] = {
        "strategy": name,
        "parameters": parameters or {},
        "activation": {"period": period, "stagger": True},
        "account": (config.live.seats.account.model_dump() if config.live is not None else {}),
        "signal_noise": _SIGNAL_SHARE * first.initial_price,
    }
    if name == "llm":
        population["options"] = {"personality": personality}
        population["fallback"] = [{"strategy": NEUTRAL}]
    kept = ("steps", "step_duration_s", "instruments", "llm")
    market = {key: data[key] for key in kept if data.get(key) is not None}
    seed = int(name_key(config.seed, "created", agent_id)) >> 33  # two agents of one name draw differently
    return build(load(market | {"name": "created", "seed": seed, "populations": {"created": population}}))
