"""Fundamental value, news, shocks and customers' orders: what happens to the market from outside.

Owns the specifications of outside processes, their state, and the code that makes blocks of steps from the
two. Knows only core and errors.
"""

from simlab.processes.customers import CustomerOrders, Customers, LimitPrices, Timing
from simlab.processes.fundamental import FundamentalSpec
from simlab.processes.happenings import NewsItem, OutsideBlock, Shock, ShockKind
from simlab.processes.news import PoissonNews, ScheduledNews
from simlab.processes.outside import Outside, OutsideSpec, OutsideState
from simlab.processes.path import REMEMBERED
from simlab.processes.shocks import FatFinger, FundamentalJump, Halt, Join, Leave

__all__ = [
    "REMEMBERED",
    "CustomerOrders",
    "Customers",
    "FatFinger",
    "FundamentalJump",
    "FundamentalSpec",
    "Halt",
    "Join",
    "Leave",
    "LimitPrices",
    "NewsItem",
    "Outside",
    "OutsideBlock",
    "OutsideSpec",
    "OutsideState",
    "PoissonNews",
    "ScheduledNews",
    "Shock",
    "ShockKind",
    "Timing",
]
