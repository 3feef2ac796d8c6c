"""The order book that runs: tables of named rows, compiled functions over them, and a thin class."""

from simlab.engine.compiled.book import CompiledOrderBook

__all__ = ["CompiledOrderBook"]
