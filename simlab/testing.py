"""Test a strategy of one's own: the public conformance suite, and ordinary markets to decide on.

Example
-------
>>> from simlab.agents.each import agent_strategy
>>> from simlab.testing import check_strategy
>>> @agent_strategy("hopeful", "Bids below the best bid, wherever it is.")
... class Hopeful:
...     def decide(self, observation, orders):
...         orders.limit("buy", observation.best_bid - 1, 1)
>>> check_strategy(Hopeful)
Traceback (most recent call last):
AssertionError: strategy 'hopeful' fails with TypeError(...) (an empty book, step 50)
"""

from simlab.agents.conformance import (
    Case,
    check_agent_strategy,
    check_batch_strategy,
    check_compiled_strategy,
    check_strategy,
    decide,
    plain_case,
    random_case,
)

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
