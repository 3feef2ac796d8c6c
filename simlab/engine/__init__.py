"""The matching engine: one contract (`interface`), two implementations, one conformance suite.

Imports `core` and `errors` only.
"""

from simlab.engine.compiled import CompiledOrderBook
from simlab.engine.interface import ORDER_DTYPE, Level, OrderBook
from simlab.engine.reference import ReferenceOrderBook

__all__ = ["ORDER_DTYPE", "CompiledOrderBook", "Level", "OrderBook", "ReferenceOrderBook"]
