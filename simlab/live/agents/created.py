"""Make the specification of an agent that was created while the market runs: a population of one.

Who creates an agent says its personality in words, or names a strategy. Only strategies that have a name are
taken, built in or from an installed plug-in: a path or a module would let anybody run code here.
"""

from __future__ import annotations

from typing import Any

from simlab.agents.registry import known_strategies
from simlab.agents.strategy import Calling
from simlab.config import ExperimentConfig, build, load, resolved
from simlab.core.random import name_key
from simlab.errors import LiveError, did_you_mean
from simlab.kernel.spec import SimulationSpec
from simlab.live.agents.mirror import Mirror
from simlab.live.agents.troupe import require_playable

__all__ = ["spec_of", "strategy_named"]

_PREFIX = "personality/"
_NEUTRAL = "personality/neutral"
_SIGNAL_SHARE = 0.001
"""Of its price: by how much it is wrong about what an instrument is worth, where it thinks of that."""


def strategy_named(personality: str, strategy: str | None, *, models: bool) -> str:
    """Return the strategy that lets an agent trade.

    Parameters
    ----------
    personality : str
        A word such as ``market maker``, or any text.
    strategy : str, optional
        Its name, where one was given.
    models : bool
        Whether there is a language model that can play any text.

    Raises
    ------
    LiveError
        When there is no strategy of that name, or it cannot trade as a client.

    Example
    -------
    >>> strategy_named("Market maker", None, models=False), strategy_named("a cynic", None, models=False)
    ('personality/market_maker', 'personality/neutral')
    """
    known = known_strategies()
    if strategy:
        if strategy not in known or known[strategy].level is Calling.OUTSIDE:
            raise LiveError(f"there is no strategy {strategy!r}{did_you_mean(strategy, known, otherwise='')}")
        require_playable(known[strategy])
        return strategy
    word = _PREFIX + personality.strip().lower().replace(" ", "_").replace("-", "_")
    if word in known:
        return word
    return "llm" if models and personality.strip() else _NEUTRAL


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
        population["fallback"] = [{"strategy": _NEUTRAL}]
    kept = ("steps", "step_duration_s", "instruments", "llm")
    market = {key: data[key] for key in kept if data.get(key) is not None}
    seed = int(name_key(config.seed, "created", agent_id)) >> 33  # two agents of one name draw differently
    return build(load(market | {"name": "created", "seed": seed, "populations": {"created": population}}))
