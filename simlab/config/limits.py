"""How large what a file says may be, and why: every whole number has a bound with a reason.

Prices, quantities and money are 64-bit integers, and no product of two of them may wrap. What the file alone
decides is decided here and in `simlab.config.money`, which does the products; what depends on the orders that
agents send is refused when they arrive.
"""

from __future__ import annotations

from typing import NamedTuple

from simlab.market.instruments import MAX_MONEY

__all__ = [
    "AGENTS",
    "ANSWER",
    "BUFFERED",
    "CALLS",
    "CHECKPOINTS",
    "CONNECTIONS",
    "FEE",
    "INSTRUMENTS",
    "INTERVAL",
    "LATENCY",
    "LEVELS",
    "LINE",
    "LOTS",
    "MAX_POSITIONS",
    "MAX_VALUE",
    "MESSAGES",
    "MONEY",
    "MULTIPLIER",
    "OPEN_ORDERS",
    "PORT",
    "POSITION",
    "PRICE",
    "QUEUE",
    "REQUESTS",
    "RETRIES",
    "SEED",
    "STEPS",
    "THINKING",
    "TOKENS",
    "Bound",
]


class Bound(NamedTuple):
    """The largest value that something may have, and the reason, which ends the message about it."""

    most: int
    why: str


STEPS = Bound(10**12, "steps are counted up to 10^12")
PRICE = Bound(2**31 - 1, "so that price times quantity fits 64 bits; choose a larger price unit")
LOTS = Bound(2**31 - 1, "so that price times quantity fits 64 bits; choose larger lots")
MULTIPLIER = Bound(10**6, "so that the money of an order fits 64 bits; choose a larger money unit")
MONEY = Bound(10**17, "so that sums of money fit 64 bits; choose a larger money unit")
POSITION = Bound(10**15, "no position becomes that large; a larger limit would limit nothing")
FEE = Bound(10**6, "a fee, or a rebate, is at most the whole notional")
AGENTS = Bound(10**8, "each agent takes some hundred bytes of memory")
INSTRUMENTS = Bound(10_000, "every account has a position in every instrument")
LATENCY = Bound(
    10**7, "each step of the longest latency takes 16 bytes of memory; let a step stand for more time"
)
MESSAGES = Bound(10**9, "a larger one limits nothing; leave message_rate out")
OPEN_ORDERS = Bound(10**6, "each resting order takes about a hundred bytes of memory")
LEVELS = Bound(100, "every sample has a row for each level")
CHECKPOINTS = Bound(1000, "each takes as much room on disk as the market in memory")
ANSWER = Bound(10**6, "no model writes more")
REQUESTS = Bound(1000, "an endpoint answers fewer at once")
RETRIES = Bound(20, "the waits double, so the last would take days")
CALLS = Bound(10**9, "a larger one limits nothing; leave it out")
THINKING = Bound(4096, "each step takes 16 bytes of memory; let a step stand for more time")
TOKENS = Bound(10**12, "a larger one limits nothing; leave it out")
PORT = Bound(65_535, "a port is a number of 16 bits")
QUEUE = Bound(10**6, "whoever waits behind so many waits for seconds; answer QUEUE_FULL instead")
INTERVAL = Bound(60_000, "nobody waits longer than a minute")
LINE = Bound(16 * 2**20, "each connection may hold so much memory")
CONNECTIONS = Bound(100_000, "each takes some ten kilobytes and a file descriptor")
BUFFERED = Bound(2**30, "each listener may hold so much memory")
SEED = Bound(2**63 - 1, "a seed is a number of 63 bits")

MAX_POSITIONS = 10**9
"""Accounts times instruments; each takes 64 bytes of memory."""

MAX_VALUE = MAX_MONEY
"""Money units: the most that one order, or an account, may be worth at any price of the band, with fees."""
