"""The specification that runs: an order book over sorted containers, obvious and never tuned."""

from simlab.engine.reference.book import ReferenceOrderBook

__all__ = ["ReferenceOrderBook"]
