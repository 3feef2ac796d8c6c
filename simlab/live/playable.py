"""Say which strategies can trade as clients of a market, for agents that are created while it runs.

Only strategies that have a name are taken, built in or from an installed plug-in: a path or a module would
let anybody run code here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simlab.agents.registry import known_strategies
from simlab.agents.strategy import Calling, Strategy
from simlab.config import load
from simlab.errors import ConfigError, LiveError, did_you_mean

__all__ = ["NEUTRAL", "require_parameters", "require_playable", "strategy_named"]

NEUTRAL = "personality/neutral"
_PREFIX = "personality/"
_NOBODY = "nobody"


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
    return "llm" if models and personality.strip() else NEUTRAL


def require_playable(strategy: Strategy) -> None:
    """Raise LiveError if a strategy needs what a client is not told.

    Example
    -------
    >>> from simlab.agents.library import STRATEGIES
    >>> require_playable(STRATEGIES["momentum"])
    """
    needs = strategy.needs
    missing = "others' orders" if needs.shouts else "orders of customers" if needs.customers else ""
    if missing:
        raise LiveError(
            f"strategy {strategy.name!r} needs {missing}, which no client of a market is told; let it trade"
            " in a compiled or batch population of the configuration"
        )


def require_parameters(strategy: str, parameters: Mapping[str, Any]) -> None:
    """Raise LiveError if a strategy takes other parameters, or needs what a file alone can give it.

    Example
    -------
    >>> require_parameters("momentum", {"lookbac": 5})  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    simlab.errors.LiveError: parameters.lookbac: 5: strategy 'momentum' has no such parameter; ...lookback...
    """
    trader = {"strategy": strategy, "parameters": parameters}
    market = {"steps": 1, "instruments": {"ANY": {"initial_price": 10_000}}, "populations": {_NOBODY: trader}}
    try:
        load(market)
    except ConfigError as error:
        raise LiveError(str(error).replace(f"populations.{_NOBODY}.", "")) from None
