"""Give a strategy a second name under which it has other defaults.

Example
-------
>>> from simlab.agents.library import STRATEGIES
>>> from simlab.agents.presets import preset
>>> hasty = preset(STRATEGIES["momentum"], "hasty", "Runs after the last ten steps.", lookback=10)
>>> [(it.name, it.default) for it in hasty.parameters][:2]
[('lookback', 10), ('threshold', 0.0002)]
"""

from __future__ import annotations

import sys
from dataclasses import replace

from simlab.agents.strategy import Parameter, Strategy
from simlab.errors import StrategyError, did_you_mean

__all__ = ["preset"]


def preset(strategy: Strategy, name: str, summary: str, **defaults: float) -> Strategy:
    """Return a strategy that acts as another does, with other defaults; a population may override them.

    Parameters
    ----------
    strategy : Strategy
        What it is a preset of.
    name : str
        What a YAML file calls it.
    summary : str
        What it does, in a line.
    **defaults : float
        By parameter; the others keep theirs.

    Raises
    ------
    StrategyError
        When the strategy has no parameter of a name, or a default lies outside the parameter's bounds.
    """
    known = {it.name: it for it in strategy.parameters}
    for parameter, default in defaults.items():
        if parameter not in known:
            hint = did_you_mean(parameter, known, otherwise="it has")
            raise StrategyError(
                f"preset {name!r}: strategy {strategy.name!r} has no parameter {parameter!r}{hint}"
            )
        _require_valid(name, known[parameter], default)
    changed = (
        replace(it, default=defaults[it.name], required=False) if it.name in defaults else it
        for it in strategy.parameters
    )
    declared_in = sys._getframe(1).f_globals.get("__name__", "__main__")
    return replace(
        strategy,
        name=name,
        summary=summary,
        parameters=tuple(changed),
        defined_in=declared_in,
        base=strategy,
    )


def _require_valid(name: str, parameter: Parameter, default: float) -> None:
    whole = not parameter.integer or float(default).is_integer()
    if not (parameter.low <= default <= parameter.high and whole):
        kind = "a whole number " if parameter.integer else ""
        raise StrategyError(
            f"preset {name!r}: {parameter.name} is {default}; it must be {kind}from {parameter.low:g} to"
            f" {parameter.high:g} {parameter.unit}"
        )
