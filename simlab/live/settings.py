"""What the parts of a live market read of its configuration: addresses, limits, who hosts whom, the token."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from simlab.agents.strategy import Calling, Decider
from simlab.config import ExperimentConfig, load, resolved
from simlab.config.live import LiveConfig
from simlab.config.models import PopulationConfig
from simlab.errors import ConfigError
from simlab.live.ready import say_ready

__all__ = [
    "PARTS",
    "Part",
    "checkpoints_folder",
    "hosted_populations",
    "market_config",
    "say_ready",
    "settings_of",
    "token_of",
]

Part = Literal["engine", "gateway", "dashboard", "agents"]
PARTS: tuple[Part, ...] = ("engine", "gateway", "dashboard", "agents")


def checkpoints_folder(run_dir: Path) -> Path:
    """Return where a live market keeps its checkpoints."""
    return run_dir / "live" / "checkpoints"


def settings_of(config: ExperimentConfig) -> LiveConfig:
    """Return the section `live`, or its defaults.

    Example
    -------
    >>> from simlab.config import load
    >>> settings_of(load({"steps": 10, "instruments": {"ACME": {"initial_price": 100}}})).engine.port
    9999
    """
    return config.live if config.live is not None else LiveConfig()


def token_of(settings: LiveConfig, environment: Mapping[str, str] | None = None) -> str | None:
    """Return the token that everybody must show, or None for a market on loopback that asks for none.

    Raises
    ------
    ConfigError
        When the environment variable that is named is not set.

    Example
    -------
    >>> settings = LiveConfig.model_validate({"gateway": {"token_env": "MARKET_TOKEN"}})
    >>> token_of(settings, {"MARKET_TOKEN": "s3cret"})
    's3cret'
    """
    name = settings.gateway.token_env
    if name is None:
        return None
    token = (os.environ if environment is None else environment).get(name, "")
    if not token:
        raise ConfigError(
            f"live.gateway.token_env: the environment variable {name} is not set; set it to the token that"
            " clients must show, or remove the key"
        )
    return token


def hosted_populations(config: ExperimentConfig) -> dict[str, PopulationConfig]:
    """Return the populations that trade as clients: those written in Python per agent, and language models.

    Whatever they do, the market does not wait for them.
    """
    return {name: it for name, it in config.populations.items() if _is_hosted(name, config)}


def _is_hosted(name: str, config: ExperimentConfig) -> bool:
    chain = [
        config.strategy_of(it.strategy, config.folder_of((*path, "strategy")))
        for path, it in config.deciders(name)
    ]
    return chain[0].level is Calling.AGENT or any(it.decider is Decider.LLM for it in chain)


def market_config(config: ExperimentConfig) -> ExperimentConfig:
    """Return what the engine runs: the same experiment with a section `live`, without hosted populations.

    Example
    -------
    >>> from simlab.config import load
    >>> config = load({"steps": 10, "instruments": {"ACME": {"initial_price": 100}}})
    >>> market_config(config).live.seats.count
    1000
    """
    hosted = hosted_populations(config)
    data: dict[str, Any] = resolved(config)
    data["populations"] = {name: it for name, it in data["populations"].items() if name not in hosted}
    data["live"] = data["live"] or {}
    return load(data)
