"""A market of simlab as a Mesa model: its agents in an AgentSet, and agents of your own that trade in it.

This package is the only one of simlab that imports Mesa, which is the extra ``mesa``. It may import `runner`
and what is below.

Example
-------
>>> from simlab.faces.mesa import MarketAgent, MarketModel
>>> class Bidder(MarketAgent):
...     def step(self):
...         self.market.cancel_all()
...         self.market.limit("buy", int(self.market.mid) - 1, 10)
>>> model = MarketModel({"steps": 3, "instruments": {"ACME": {"initial_price": 100}}}, seed=7)
>>> bidder = Bidder(model)
>>> model.run_model()
>>> model.steps, model.best_bid, bidder.cash
(3, 99, 10000000)
"""

from __future__ import annotations

from simlab.errors import SimlabError

try:
    import mesa  # noqa: F401
except ImportError as missing:
    raise SimlabError(f'simlab.faces.mesa needs Mesa ({missing}): pip install "simlab[mesa]"') from missing

from simlab.faces.mesa.agents import AccountAgent, MarketAgent
from simlab.faces.mesa.collecting import Collector
from simlab.faces.mesa.model import MarketModel
from simlab.faces.mesa.seat import Refusal, Seat

__all__ = ["AccountAgent", "Collector", "MarketAgent", "MarketModel", "Refusal", "Seat"]
