"""Stylised facts: the same functions for a simulated run, for order-level data and for daily prices.

Each fact is a function of `Evidence` that gives an estimate, a bootstrap interval and a verdict that follows
from the interval by a rule in its docstring; `card` lists all. The facts are those of Cont 2001 and, for
orders, of the catalogue of Vyetrenko et al. 2019.

References
----------
Cont 2001, Empirical properties of asset returns: stylized facts and statistical issues, Quantitative Finance
1, 223-236. Vyetrenko et al. 2019, Get real: realism metrics for robust limit order book market simulations,
arXiv 1912.04941.

Owns what evidence is and how it is read from runs, tables and price files, and the facts. May import
`statistics`, `tables` and `libraries`.
"""

from __future__ import annotations

from simlab.analysis.facts.cards import card, read
from simlab.analysis.facts.evidence import Evidence, OrderFlow, from_prices, from_returns
from simlab.analysis.facts.finding import NOT_ENOUGH, NOT_SHOWN, SHOWN, Finding
from simlab.analysis.facts.order_flow import from_run, from_tables
from simlab.analysis.facts.orders import (
    concave_impact,
    dispersed_waiting_times,
    memory_of_order_signs,
    order_clustering,
    power_law_of_order_sizes,
    skewed_volume,
)
from simlab.analysis.facts.price_files import from_csv
from simlab.analysis.facts.returns import (
    absence_of_autocorrelation,
    aggregational_gaussianity,
    conditional_heavy_tails,
    fat_tails,
    gain_loss_asymmetry,
    power_law_of_returns,
)
from simlab.analysis.facts.volatility import (
    asymmetry_of_time_scales,
    clustering_of_squares,
    intermittency,
    leverage_effect,
    slow_decay,
    volatility_clustering,
    volume_and_volatility,
)

__all__ = [
    "NOT_ENOUGH",
    "NOT_SHOWN",
    "SHOWN",
    "Evidence",
    "Finding",
    "OrderFlow",
    "absence_of_autocorrelation",
    "aggregational_gaussianity",
    "asymmetry_of_time_scales",
    "card",
    "clustering_of_squares",
    "concave_impact",
    "conditional_heavy_tails",
    "dispersed_waiting_times",
    "fat_tails",
    "from_csv",
    "from_prices",
    "from_returns",
    "from_run",
    "from_tables",
    "gain_loss_asymmetry",
    "intermittency",
    "leverage_effect",
    "memory_of_order_signs",
    "order_clustering",
    "power_law_of_order_sizes",
    "power_law_of_returns",
    "read",
    "skewed_volume",
    "slow_decay",
    "volatility_clustering",
    "volume_and_volatility",
]
