"""What any order book must do, as tests that a plug-in's author can run too."""

from simlab.engine.conformance.rules import OrderBookConformance

__all__ = ["OrderBookConformance"]
