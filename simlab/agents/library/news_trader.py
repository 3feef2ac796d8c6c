"""Trade on what the news says: with its sentiment, late, and for a while.

From `delay` steps after a publication on, and for `window` steps, the agent sends market orders in the
direction of the sentiment: of `size` lots, times the sentiment's strength with `scaled` 1. A sentiment
nearer to 0 than `threshold` is no news. With `contrarian` 1 it trades against it. When the window is over it
closes what it has traded on news, with `close` 1: what was bought is sold when it is old. Delays that differ
between agents let news spread gradually, as among the newswatchers of Hong and Stein.

It has the latest three publications in mind, so that one that comes while another waits is not lost, and
acts on the newest whose time it is. Of several in one step it sees the last.

Simplifications: the sentiment is read from the publication, where Tetlock measures pessimism by the words of
a column. He finds that pessimism is followed by falling prices, which come back within days; here the agent
takes one side of that or the other. With a latency longer than the time between two activations it sends
before it knows its fills, and closes too much.

References
----------
Tetlock (2007), Giving content to investor sentiment: the role of media in the stock market, Journal of
Finance 62(3), 1139-1168 (sentiment, pressure and its reversal).
Hong and Stein (1999), A unified theory of underreaction, momentum trading, and overreaction in asset
markets, Journal of Finance 54(6), 2143-2184, section I (newswatchers, to whom information diffuses).
"""

from __future__ import annotations

import math

from simlab.agents.compiled import Needs, Parameter, compiled_strategy, market
from simlab.agents.library.quoting import capacity, opposite_depth
from simlab.core.jit import jit

__all__ = ["news_trader"]

_KEPT = 3
_POSITION = (
    2 * _KEPT
)  # memory: lots traded on news; before it, of each publication, its step + 1 and sentiment
_DELAY, _WINDOW, _THRESHOLD, _SIZE, _SCALED, _CONTRARIAN, _CLOSE, _INVENTORY_LIMIT = range(8)


@jit
def _keep_news(view, me):
    """Put a publication that is news before those kept, of which the oldest is forgotten."""
    worth = view.news_sentiment != 0.0 and abs(view.news_sentiment) >= me.parameters[_THRESHOLD]
    if view.news_step < 0 or not worth or me.memory[0] == view.news_step + 1.0:
        return
    for i in range(2 * _KEPT - 1, 1, -1):
        me.memory[i] = me.memory[i - 2]
    me.memory[0], me.memory[1] = view.news_step + 1.0, view.news_sentiment


@jit
def _fresh_sentiment(view, me):
    """Return the sentiment of the newest publication whose time it is, 0 for none."""
    for i in range(_KEPT):
        age = view.step - (int(me.memory[2 * i]) - 1) - int(me.parameters[_DELAY])
        if me.memory[2 * i] > 0.0 and 0 <= age < int(me.parameters[_WINDOW]):
            return me.memory[2 * i + 1]
    return 0.0


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
        Parameter("close", 1, "1", "1 to close what it traded when the news is old.", 0, 1, True),
        Parameter("inventory_limit", 100, "lots", "Largest inventory, long or short.", 0, 10**9, True),
    ),
    needs=Needs(news=True),
    source="Tetlock (2007), Journal of Finance 62(3), 1139-1168",
)
def news_trader(view, me, rng, orders):
    """Take while the news is fresh, close when it is old."""
    me.memory[_POSITION] += me.bought - me.sold
    _keep_news(view, me)
    if view.halted:
        return
    sentiment, position = _fresh_sentiment(view, me), int(me.memory[_POSITION])
    if sentiment != 0.0:
        side = 0 if (sentiment > 0.0) != (me.parameters[_CONTRARIAN] == 1.0) else 1
        quantity = min(_wanted(me, sentiment), capacity(me, side, int(me.parameters[_INVENTORY_LIMIT])))
    elif me.parameters[_CLOSE] == 1.0:
        side = 1 if position > 0 else 0
        quantity = min(int(me.parameters[_SIZE]), abs(position))
    else:
        return
    if opposite_depth(view, side) > 0:
        market(orders, view, side, quantity)
