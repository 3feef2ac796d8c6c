"""Send the order flow of a whole crowd at random: zero intelligence with Poisson rates.

Each time it acts the agent sends a market order with probability `market_rate`, a limit order with
probability `limit_rate`, and otherwise nothing; it buys or sells with equal probability, always `size` lots.
Every limit order lives for a geometric time drawn when it is sent, so that each resting order is cancelled
with probability `cancel_rate` in every step. An agent that acts once a step, with free credit, stands for a
whole market: a Bernoulli event a step is a Poisson process as long as little happens in a step. With several
agents their rates add up.

The two strategies differ in where a limit order goes. `poisson_flow` puts it anywhere in the `window` ticks
next to the best opposite price, each tick as likely: the density is limit_rate / (2 window) orders per tick,
step and side (alpha of the paper; its mu is `market_rate`, both sides together, and its delta `cancel_rate`).
`power_law_placement` puts it at a whole distance, floor(x), from the best price of its own side, where::

    P(x) ~ (x + offset)^-(1 + exponent),    0 <= x < reach,

towards the inside of the spread or away from it with equal probability; if it would reach the opposite
price, both are drawn again.

Simplifications: in the papers time is continuous. Prices are whole ticks, and the window and the reach are
finite; an order below one tick is not sent. Where one side of the book is empty the last mid price stands
for its best price, and no market order is sent to it. Bouchaud, Mezard and Potters give the distance for
orders outside the spread; what is done inside is our choice.

References
----------
Daniels, Farmer, Gillemot, Iori and Smith (2003), Quantitative model of price diffusion and market
formation based on trading as a mechanistic random process, Physical Review Letters 90, 108102.
Smith, Farmer, Gillemot and Krishnamurthy (2003), Statistical theory of the continuous double auction,
Quantitative Finance 3(6), 481-514, section 1.3.
Bouchaud, Mezard and Potters (2002), Statistical properties of stock order books: empirical results and
models, Quantitative Finance 2(4), 251-256.
"""

from __future__ import annotations

from simlab.agents.compiled import Parameter, compiled_strategy, limit, market
from simlab.agents.library.quoting import MAX_PRICE, lowest_price, opposite_depth, touch
from simlab.core.jit import jit
from simlab.core.numerics import exp, log
from simlab.core.random import exponential, integers, uniform

__all__ = ["poisson_flow", "power_law_placement"]

_MARKET_RATE, _LIMIT_RATE, _CANCEL_RATE, _SIZE, _WINDOW = range(5)
_EXPONENT, _OFFSET, _REACH = 4, 5, 6
_NOTHING, _MARKET, _LIMIT = range(3)
_LONGEST_LIFE = 1e12
_MOST_DRAWS = 100

_RATES = (
    Parameter("market_rate", 0.1, "per activation", "Probability of a market order.", 0.0, 0.5),
    Parameter("limit_rate", 0.5, "per activation", "Probability of a limit order.", 0.0, 0.5),
    Parameter("cancel_rate", 0.005, "per step", "Probability that an order is cancelled.", 0.0, 1.0),
    Parameter("size", 1, "lots", "Size of every order.", 1, 10**6, True),
)


@jit
def _draw_event(view, me, rng):
    if view.halted:
        return _NOTHING
    draw = uniform(rng)
    if draw < me.parameters[_MARKET_RATE]:
        return _MARKET
    return _LIMIT if draw < me.parameters[_MARKET_RATE] + me.parameters[_LIMIT_RATE] else _NOTHING


@jit
def _draw_expiry(view, me, rng):
    """Draw the last step of an order that is cancelled with a constant probability a step."""
    rate = me.parameters[_CANCEL_RATE]
    if rate <= 0.0:
        return 0
    life = 0.0 if rate >= 1.0 else min(exponential(rng) / -log(1.0 - rate), _LONGEST_LIFE)
    # An expiry of 0 would mean that the order never expires.
    return max(view.step + int(life), 1)


@jit
def _size(view, me):
    return max(int(me.parameters[_SIZE]), view.lot_size)


@jit
def _send_market(view, me, orders, side):
    if opposite_depth(view, side) > 0:
        market(orders, view, side, _size(view, me))


@jit
def _send_limit(view, me, rng, orders, side, price):
    if lowest_price(view) <= price <= MAX_PRICE:
        limit(orders, view, side, price, _size(view, me), 0, 0, _draw_expiry(view, me, rng))


@compiled_strategy(
    "poisson_flow",
    "Sends a crowd's random market and limit orders, the latter uniform over a price window.",
    (*_RATES, Parameter("window", 100, "ticks", "Prices a limit order may have.", 1, 10**6, True)),
    source="Smith, Farmer, Gillemot and Krishnamurthy (2003), Quantitative Finance 3(6), 481-514",
)
def poisson_flow(view, me, rng, orders):
    """Send a market order, a limit order uniform over the window, or nothing."""
    event = _draw_event(view, me, rng)
    side = integers(rng, 0, 2)
    if event == _MARKET:
        _send_market(view, me, orders, side)
    elif event == _LIMIT:
        away = (1 + integers(rng, 0, int(me.parameters[_WINDOW]))) * view.tick_size
        opposite = touch(view, 1 - side)
        _send_limit(view, me, rng, orders, side, opposite - away if side == 0 else opposite + away)


@jit
def _draw_distance(me, rng):
    """Draw a whole distance from a power law by inversion, in ticks."""
    exponent = me.parameters[_EXPONENT]
    offset = me.parameters[_OFFSET]
    reach = me.parameters[_REACH]
    kept = 1.0 - exp(-exponent * log(1.0 + reach / offset))
    distance = offset * (exp(-log(1.0 - kept * uniform(rng)) / exponent) - 1.0)
    return int(min(distance, reach - 1.0))


@jit
def _draw_price(view, me, rng, side):
    """Draw a price near the best on the own side that does not reach the opposite one; 0 if none is found."""
    own = touch(view, side)
    opposite = touch(view, 1 - side)
    outwards = -view.tick_size if side == 0 else view.tick_size
    for _ in range(_MOST_DRAWS):
        inside = integers(rng, 0, 2) == 1
        distance = _draw_distance(me, rng)
        price = own - distance * outwards if inside else own + distance * outwards
        allowed = opposite_depth(view, side) == 0 or (price < opposite if side == 0 else price > opposite)
        # The best price itself belongs to the outside; counted twice it would have twice the weight.
        if allowed and not (inside and distance == 0):
            return price
    return 0


@compiled_strategy(
    "power_law_placement",
    "Sends a crowd's random market and limit orders, the latter at power-law distances from the best price.",
    (
        *_RATES,
        Parameter("exponent", 0.6, "1", "Tail exponent of the distance (mu of the paper).", 0.1, 10.0),
        Parameter("offset", 1.0, "ticks", "Distance below which the power law flattens.", 1e-3, 1e6),
        Parameter("reach", 1000, "ticks", "Distances are below it.", 1, 10**6, True),
    ),
    source="Bouchaud, Mezard and Potters (2002), Quantitative Finance 2(4), 251-256",
)
def power_law_placement(view, me, rng, orders):
    """Send a market order, a limit order at a power-law distance, or nothing."""
    event = _draw_event(view, me, rng)
    side = integers(rng, 0, 2)
    if event == _MARKET:
        _send_market(view, me, orders, side)
    elif event == _LIMIT:
        _send_limit(view, me, rng, orders, side, _draw_price(view, me, rng, side))
