"""Fundamental value, news and shocks: what happens to the market from outside.

Owns the specifications of outside processes and the code that makes blocks of them. Knows only core and
errors.
"""

from simlab.processes.fundamental import FundamentalSpec
from simlab.processes.news import PoissonNews, ScheduledNews
from simlab.processes.outside import NewsItem, OutsideBlock, OutsideWorld, Shock, ShockKind
from simlab.processes.shocks import FatFinger, FundamentalJump, Halt, Join, Leave
from simlab.processes.world import World

__all__ = [
    "FatFinger",
    "FundamentalJump",
    "FundamentalSpec",
    "Halt",
    "Join",
    "Leave",
    "NewsItem",
    "OutsideBlock",
    "OutsideWorld",
    "PoissonNews",
    "ScheduledNews",
    "Shock",
    "ShockKind",
    "World",
]
