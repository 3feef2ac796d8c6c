"""Write a strategy in Python: the names of `simlab.agents.each` and `simlab.agents.batch` in one place."""

from simlab.agents.batch import BatchObservation, BatchOrders, batch_strategy
from simlab.agents.each import Observation, Orders, agent_strategy
from simlab.agents.strategy import Needs, Parameter

__all__ = [
    "BatchObservation",
    "BatchOrders",
    "Needs",
    "Observation",
    "Orders",
    "Parameter",
    "agent_strategy",
    "batch_strategy",
]
