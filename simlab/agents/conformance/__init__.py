"""Check that a strategy keeps its contract: for the built-in ones; for a plug-in's tests as `simlab.testing`.

The strategy decides on markets and accounts drawn at random, ordinary ones and degenerate ones (empty or
one-sided book, halted, prices at the edge of the range), with its default parameters and with parameters
drawn from their bounds. `check_strategy` takes a strategy of any level.

Example
-------
>>> from simlab.agents.conformance import check_strategy
>>> from simlab.agents.library import STRATEGIES
>>> check_strategy(STRATEGIES["noise"], seeds=range(5))
"""

from simlab.agents.conformance.cases import Case, plain_case, random_case
from simlab.agents.conformance.compiled import check_compiled_strategy, decide
from simlab.agents.conformance.python import check_agent_strategy, check_batch_strategy, check_strategy

__all__ = [
    "Case",
    "check_agent_strategy",
    "check_batch_strategy",
    "check_compiled_strategy",
    "check_strategy",
    "decide",
    "plain_case",
    "random_case",
]
