"""Judge a market: spreads, depth, price impact, efficiency, allocation, and what becomes of orders.

Owns the measures of a market, each a function of recorded tables, and the table that brings the most used
ones together, `quality`. May import `tables`, `statistics` and `libraries`.
"""

from __future__ import annotations

from simlab.analysis.quality.allocation import allocative_efficiency, equilibrium, smiths_alpha
from simlab.analysis.quality.customers import allocation, customer_profits, customer_units
from simlab.analysis.quality.decisions import outcomes
from simlab.analysis.quality.depth import book_shape, depth_shape, whole_samples
from simlab.analysis.quality.efficiency import efficiency, resilience, signature_plot, variance_ratio
from simlab.analysis.quality.impact import kyle_lambda, ofi, ofi_regression, trade_imbalance_regression
from simlab.analysis.quality.metaorders import ImpactCurve, metaorder_impact, metaorders
from simlab.analysis.quality.orders import order_to_trade_ratio, queue_outcomes, time_to_fill
from simlab.analysis.quality.overview import quality
from simlab.analysis.quality.queueing import limit_orders
from simlab.analysis.quality.spreads import spreads
from simlab.analysis.quality.volatility import volatility

__all__ = [
    "ImpactCurve",
    "allocation",
    "allocative_efficiency",
    "book_shape",
    "customer_profits",
    "customer_units",
    "depth_shape",
    "efficiency",
    "equilibrium",
    "kyle_lambda",
    "limit_orders",
    "metaorder_impact",
    "metaorders",
    "ofi",
    "ofi_regression",
    "order_to_trade_ratio",
    "outcomes",
    "quality",
    "queue_outcomes",
    "resilience",
    "signature_plot",
    "smiths_alpha",
    "spreads",
    "time_to_fill",
    "trade_imbalance_regression",
    "variance_ratio",
    "volatility",
    "whole_samples",
]
