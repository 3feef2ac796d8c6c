"""Fundamental value, news and shocks: what happens to the market from outside.

Owns the specifications of outside processes, their state, and the code that makes blocks of steps from the
two. Knows only core and errors.
"""

from simlab.processes.fundamental import FundamentalSpec
from simlab.processes.happenings import NewsItem, OutsideBlock, Shock, ShockKind
from simlab.processes.news import PoissonNews, ScheduledNews
from simlab.processes.outside import Outside, OutsideSpec, OutsideState
from simlab.processes.shocks import FatFinger, FundamentalJump, Halt, Join, Leave
from simlab.processes.world import OutsideWorld, World

__all__ = [
    "FatFinger",
    "FundamentalJump",
    "FundamentalSpec",
    "Halt",
    "Join",
    "Leave",
    "NewsItem",
    "Outside",
    "OutsideBlock",
    "OutsideSpec",
    "OutsideState",
    "OutsideWorld",
    "PoissonNews",
    "ScheduledNews",
    "Shock",
    "ShockKind",
    "World",
]
