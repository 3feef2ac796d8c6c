"""Mix fundamentalist, chartist and noise forecasts, and order what expected utility asks for.

With weights g1, g2 and n, the agent expects over its horizon tau the log return r tau, where::

    r = (g1 ln(v / p) / tau_f + g2 r_bar + n e) / (g1 + g2 + n),    e ~ N(0, sigma_e^2)

v is its private signal of the fundamental value, p the mid price, r_bar the mean and V the variance of the
log returns of the last tau steps. It expects the price p_hat = p exp(r tau). Fundamentalists look further
ahead and are more risk averse: tau and alpha are the parameters of that name times (1 + g1) / (1 + g2).
CARA utility gives the number of shares it wants to hold at a price x::

    demand(x) = ln(p_hat / x) / (alpha V x)

It draws x uniformly between p_m, where buying up to the demand would take all its cash C, and p_M = p_hat,
where the demand is zero, so that it never borrows nor sells short. Below the price at which the demand
equals its holding S it buys demand(x) - S at x, above it sells S - demand(x). If x meets the best opposite
price, the order's size is the demand at that price instead, and what is left rests at x. The order expires
after tau steps.

Simplifications: an agent has one order at a time (a new decision withdraws the older order; in the paper
an agent comes back so rarely that it makes little difference). p is the mid price even after a trade. One
lot at a price of 1 costs one money unit. Returns before the start count as zero. The variance has a floor,
the order a largest size, and the expected log return is kept in [-1, 1]; the horizon is at most the history
the view remembers. An agent that is short counts as holding none. Both prices are found by bisection to the
precision of a float.

CARA utility is not free of scale: the width of the interval [p_m, p_M] goes with alpha times wealth times V.
The defaults suit prices near 10,000 and wealth near 2,000,000 money units, not the paper's scale; where alpha
times wealth is much above the inverse of the volatility, quotes become so wide that prices run away.

References
----------
Chiarella, Iori and Perello (2009), The impact of heterogeneous trading rules on the limit order book and
order flows, Journal of Economic Dynamics and Control 33(3), 525-537, section 2.
"""

from __future__ import annotations

from simlab.agents.compiled import (
    HISTORY_STEPS,
    Needs,
    Parameter,
    cancel_all,
    compiled_strategy,
    limit,
    mid_ago,
)
from simlab.agents.library.quoting import opposite_depth, to_price
from simlab.core.jit import jit
from simlab.core.numerics import exp, log
from simlab.core.random import normal, uniform

__all__ = ["chiarella_iori", "demand", "price_for_cash"]

_G1, _G2, _N, _SIGMA_E, _TAU, _TAU_F, _ALPHA, _MIN_VOLATILITY, _MAX_SIZE = range(9)
_BISECTIONS = 60
_LARGEST_RETURN = 1.0


@jit
def demand(expected_price, price, risk):
    """Return the number of shares a CARA investor wants to hold at `price`; `risk` is alpha times V.

    Example
    -------
    >>> from simlab.agents.library.chiarella_iori import demand
    >>> demand(100.0, 100.0, 0.001)
    0.0
    """
    return log(expected_price / price) / (risk * price)


@jit
def price_for_cash(expected_price, risk, cash, shares):
    """Return the price at which buying up to the demand takes `cash`; with cash 0, where demand is `shares`.

    It solves ``price * (demand(price) - shares) = cash``. Written in y = ln(expected_price / price) that
    is ``y = risk * (cash + shares * expected_price * exp(-y))``, whose sides differ by an increasing
    function of y when `shares` is not negative, so that there is one root, and bisection finds it.

    Example
    -------
    >>> from simlab.agents.library.chiarella_iori import price_for_cash
    >>> round(price_for_cash(100.0, 0.001, 50.0, 0.0), 3)
    95.123
    """
    low = 0.0
    high = risk * (cash + shares * expected_price)
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if middle < risk * (cash + shares * expected_price * exp(-middle)):
            low = middle
        else:
            high = middle
    return expected_price * exp(-0.5 * (low + high))


@jit
def _past_returns(view, steps):
    """Return the mean and the variance of the last `steps` log returns; before the start they are zero."""
    total = 0.0
    squares = 0.0
    later = view.mid
    for back in range(1, min(steps, view.step) + 1):
        earlier = mid_ago(view, back)
        change = log(later / earlier) if earlier > 0.0 and later > 0.0 else 0.0
        total += change
        squares += change * change
        later = earlier
    mean = total / steps
    return mean, max(squares / steps - mean * mean, 0.0)


@jit
def _horizon(me):
    tau = me.parameters[_TAU] * (1.0 + me.parameters[_G1]) / (1.0 + me.parameters[_G2])
    return int(min(max(tau, 1.0), HISTORY_STEPS - 1.0))


@jit
def _expected_price(view, me, rng, tau, mean_return):
    """Return the price that the weighted forecast gives after `tau` steps."""
    g1 = me.parameters[_G1]
    g2 = me.parameters[_G2]
    n = me.parameters[_N]
    noise = me.parameters[_SIGMA_E] * normal(rng)
    if g1 + g2 + n <= 0.0:
        return view.mid
    value = log(me.signal / view.mid) / me.parameters[_TAU_F] if me.signal > 0.0 else 0.0
    forecast = (g1 * value + g2 * mean_return + n * noise) / (g1 + g2 + n)
    return view.mid * exp(min(max(forecast * tau, -_LARGEST_RETURN), _LARGEST_RETURN))


@jit
def _order(orders, view, me, tau, price, expected_price, risk, indifferent):
    """Buy below the price where the demand equals the holding, sell above it."""
    side = 0 if price < indifferent else 1
    ticks = to_price(view, side, price)
    at = float(ticks)
    if side == 0 and opposite_depth(view, 0) > 0 and ticks >= view.best_ask:
        at = float(view.best_ask)
    elif side == 1 and opposite_depth(view, 1) > 0 and ticks <= view.best_bid:
        at = float(view.best_bid)
    shares = float(max(me.inventory, 0))
    wanted = demand(expected_price, at, risk) - shares
    # At the ask the demand is larger than at the price drawn, and may be more than the cash pays for.
    wanted = min(wanted, max(me.cash, 0) / at) if side == 0 else min(-wanted, shares)
    quantity = int(max(min(wanted, me.parameters[_MAX_SIZE]), 0.0))
    limit(orders, view, side, ticks, quantity, 0, 0, view.step + tau)


@compiled_strategy(
    "chiarella_iori",
    "Weighs fundamentalist, chartist and noise forecasts; orders what CARA utility asks for.",
    (
        Parameter("g1", 1.0, "1", "Weight of the fundamentalist forecast.", 0.0, 1e3),
        Parameter("g2", 1.0, "1", "Weight of the chartist forecast.", 0.0, 1e3),
        Parameter("n", 1.0, "1", "Weight of the noise.", 0.0, 1e3),
        Parameter("sigma_e", 1e-5, "1 per step", "Standard deviation of the noise forecast.", 0.0, 1.0),
        Parameter("tau", 200, "steps", "Reference horizon, before the weights scale it.", 1, 1e6),
        Parameter("tau_f", 200, "steps", "Time in which fundamentalists expect the value.", 1, 1e6),
        Parameter("alpha", 1e-4, "1 / money unit", "Reference risk aversion.", 1e-12, 1e6),
        Parameter("min_volatility", 1e-4, "1 per sqrt(step)", "Floor of the volatility.", 1e-9, 1.0),
        Parameter("max_size", 100, "lots", "Largest order.", 1, 10**9, True),
    ),
    needs=Needs(signal=True),
    source="Chiarella, Iori and Perello (2009), Journal of Economic Dynamics and Control 33(3), 525-537",
)
def chiarella_iori(view, me, rng, orders):
    """Forecast, draw a price, and order the difference between demand and holding."""
    if view.halted or not view.mid > 0.0:
        return
    tau = _horizon(me)
    mean, variance = _past_returns(view, tau)
    expected_price = _expected_price(view, me, rng, tau, mean)
    floor = me.parameters[_MIN_VOLATILITY]
    alpha = me.parameters[_ALPHA] * (1.0 + me.parameters[_G1]) / (1.0 + me.parameters[_G2])
    risk = alpha * max(variance, floor * floor)
    cash = float(max(me.cash, 0))
    shares = float(max(me.inventory, 0))
    lowest = price_for_cash(expected_price, risk, cash, shares)
    indifferent = price_for_cash(expected_price, risk, 0.0, shares)
    price = lowest + uniform(rng) * (expected_price - lowest)
    if me.open_orders > 0:
        cancel_all(orders, view)
    _order(orders, view, me, tau, price, expected_price, risk, indifferent)
