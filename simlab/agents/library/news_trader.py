"""Trade on what the news says: with its sentiment, late, and for a while.

From `delay` steps after a publication on, and for `window` steps, the agent sends market orders in the
direction of the sentiment: of `size` lots, times the sentiment's strength with `scaled` 1. A sentiment
nearer to 0 than `threshold` is no news. With `contrarian` 1 it trades against it. When the window is over
it closes its position over the next window, with `close` 1: what was bought on the news is sold when it is
old.

Simplifications: the sentiment is read from the publication, where the source measures pessimism as the
first factor of the words of a column; the source finds that pessimism is followed by falling prices that
come back within days, here the agent takes one side of that or the other.

References
----------
Tetlock (2007), Giving content to investor sentiment: the role of media in the stock market, Journal of
Finance 62(3), 1139-1168, sections II and III.
"""

from __future__ import annotations

import math

from simlab.agents.compiled import Needs, Parameter, compiled_strategy, market
from simlab.agents.library.quoting import capacity, opposite_depth
from simlab.core.jit import jit

__all__ = ["news_trader"]

_DELAY, _WINDOW, _THRESHOLD, _SIZE, _SCALED, _CONTRARIAN, _CLOSE, _INVENTORY_LIMIT = range(8)


@jit
def _direction(me, sentiment):
    """Return 1 to buy, -1 to sell, 0 for no news."""
    if abs(sentiment) < me.parameters[_THRESHOLD] or sentiment == 0.0:
        return 0
    towards = 1 if sentiment > 0.0 else -1
    return -towards if me.parameters[_CONTRARIAN] == 1.0 else towards


@jit
def _wanted(me, sentiment):
    """Return the lots of an order in the direction of the news."""
    size = me.parameters[_SIZE]
    if me.parameters[_SCALED] == 1.0:
        size = math.ceil(size * min(abs(sentiment), 1.0))
    return int(size)


@compiled_strategy(
    "news_trader",
    "Trades in the direction of the news' sentiment, some steps after it appears.",
    (
        Parameter("delay", 5, "steps", "Steps from the publication to the first order.", 0, 10**6, True),
        Parameter("window", 20, "steps", "Steps in which it trades on one publication.", 1, 10**6, True),
        Parameter("threshold", 0.1, "1", "Sentiment, without its sign, from which it trades.", 0.0, 1.0),
        Parameter("size", 5, "lots", "Order size.", 1, 10**6, True),
        Parameter("scaled", 1, "1", "1 to scale the size by the sentiment.", 0, 1, True),
        Parameter("contrarian", 0, "1", "1 to trade against the sentiment.", 0, 1, True),
        Parameter("close", 1, "1", "1 to close the position when the news is old.", 0, 1, True),
        Parameter("inventory_limit", 100, "lots", "Largest inventory, long or short.", 0, 10**9, True),
    ),
    needs=Needs(news=True),
    source="Tetlock (2007), Journal of Finance 62(3), 1139-1168",
)
def news_trader(view, me, rng, orders):
    """Take while the news is fresh, close when it is old."""
    if view.halted or view.news_step < 0:
        return
    age = view.step - view.news_step - int(me.parameters[_DELAY])
    window = int(me.parameters[_WINDOW])
    direction = _direction(me, view.news_sentiment)
    if age < 0:
        return
    if age < window and direction != 0:
        side = 0 if direction > 0 else 1
        room = capacity(me, side, int(me.parameters[_INVENTORY_LIMIT]))
        quantity = min(_wanted(me, view.news_sentiment), room)
    elif age >= window and me.parameters[_CLOSE] == 1.0 and me.inventory != 0:
        side = 1 if me.inventory > 0 else 0
        quantity = min(int(me.parameters[_SIZE]), abs(me.inventory))
    else:
        return
    if quantity > 0 and opposite_depth(view, side) > 0:
        market(orders, view, side, quantity)
