"""Trade a quantity along the optimal trajectory of Almgren and Chriss: the more averse to risk, the sooner.

What is left to trade after t of T steps is::

    x(t) = X sinh(kappa (T - t)) / sinh(kappa T)
    cosh(kappa tau) = 1 + (tau^2 / 2) lambda sigma^2 / eta',    eta' = eta - gamma tau / 2

with slices of tau steps. lambda is the risk aversion, sigma the volatility, eta the temporary and gamma the
permanent impact. Without risk aversion it is a straight line, which is `twap`; where eta' is not above 0
there is nothing to wait for, and all is due in the first slice. The agent acts once a slice, with a market
order for what is due by its end; what the book could not fill is due in the next slice, after `end` too.

Simplifications: the paper's impact is linear and a slice has one price; here the book decides. The
parameters are given, not estimated. It counts its own fills, so with a latency longer than a slice it sends
before it knows and trades more than planned.

References
----------
Almgren and Chriss (2001), Optimal execution of portfolio transactions, Journal of Risk 3(2), 5-39,
equations 15 to 19.
"""

from __future__ import annotations

import math

from simlab.agents.compiled import Parameter, compiled_strategy, market
from simlab.agents.library.execution import current_slice
from simlab.agents.library.quoting import add_fills, opposite_depth
from simlab.core.jit import jit
from simlab.core.numerics import exp, log

__all__ = ["almgren_chriss", "left_to_trade", "urgency"]

_SIDE, _QUANTITY, _START, _END, _SLICES, _RISK_AVERSION, _SIGMA, _ETA, _GAMMA = range(9)
_NEXT_SLICE = 1  # memory: number of the first slice that has not been acted on; 0 counts the fills
_NO_COST = 1e-12
_MOST_URGENT = 500.0
"""kappa T beyond which sinh is taken as half an exponential, which for larger numbers has no value."""


@jit
def urgency(tau, risk_aversion, sigma, eta, gamma):
    """Return kappa, per step.

    Parameters
    ----------
    tau : float above 0, steps
        Length of a slice.
    risk_aversion : float, 1 / (price unit x lot)
    sigma : float, price units per square root of a step
    eta : float, price units per (lot per step)
        Temporary impact.
    gamma : float, price units per lot
        Permanent impact.

    Example
    -------
    >>> round(urgency(1.0, 1e-6, 0.95, 2.5e-6, 2.5e-7), 2)  # the example of the paper: 0.61 a day
    0.61
    """
    cost = max(eta - 0.5 * gamma * tau, _NO_COST)
    bend = 0.5 * tau * tau * risk_aversion * sigma * sigma / cost
    # arcosh(1 + b), written so that small b loses no digits
    return log(1.0 + bend + math.sqrt(bend * (bend + 2.0))) / tau


@jit
def left_to_trade(quantity, kappa, elapsed, duration):
    """Return how many of `quantity` lots are left after `elapsed` of `duration` steps, a float.

    Example
    -------
    >>> left_to_trade(100.0, 0.0, 25.0, 100.0), round(left_to_trade(100.0, 0.05, 25.0, 100.0), 2)
    (75.0, 28.64)
    """
    if elapsed >= duration:
        return 0.0
    whole, rest = kappa * duration, kappa * (duration - elapsed)
    if whole < 1e-6:
        return quantity * (duration - elapsed) / duration
    if whole > _MOST_URGENT:
        return quantity * exp(-kappa * elapsed) if kappa * elapsed < _MOST_URGENT else 0.0
    return quantity * (exp(rest) - exp(-rest)) / (exp(whole) - exp(-whole))


@compiled_strategy(
    "almgren_chriss",
    "Trades a quantity along the optimal trajectory of a mean-variance trader.",
    (
        Parameter("side", 0, "1", "0 to buy, 1 to sell.", 0, 1, True),
        Parameter("quantity", 1000, "lots", "Quantity to trade in all.", 0, 10**9, True),
        Parameter("start", 0, "steps", "First step it trades.", 0, 10**12, True),
        Parameter("end", 3600, "steps", "Step by which all should be traded.", 1, 10**12, True),
        Parameter("slices", 60, "slices", "Number of equal intervals.", 1, 10**6, True),
        Parameter("risk_aversion", 1e-5, "1 / (price unit x lot)", "0 for a straight line.", 0.0, 1e3),
        Parameter("sigma", 0.5, "price units per sqrt(step)", "Volatility.", 0.0, 1e4),
        Parameter("eta", 0.5, "price units per (lot per step)", "Temporary impact.", 1e-9, 1e6),
        Parameter("gamma", 0.0, "price units per lot", "Permanent impact.", 0.0, 1e6),
    ),
    source="Almgren and Chriss (2001), Journal of Risk 3(2), 5-39, equations 15 to 19",
)
def almgren_chriss(view, me, rng, orders):
    """Act once in each slice for what is due by its end."""
    side = int(me.parameters[_SIDE])
    done = add_fills(me, side)
    start, end, slices = int(me.parameters[_START]), int(me.parameters[_END]), int(me.parameters[_SLICES])
    index = current_slice(view.step, start, end, slices)
    if view.halted or index < int(me.memory[_NEXT_SLICE]) or opposite_depth(view, side) == 0:
        return
    me.memory[_NEXT_SLICE] = index + 1
    duration = max(end - start, 1)
    tau = duration / slices
    kappa = urgency(
        tau, me.parameters[_RISK_AVERSION], me.parameters[_SIGMA], me.parameters[_ETA], me.parameters[_GAMMA]
    )
    quantity = me.parameters[_QUANTITY]
    left = left_to_trade(quantity, kappa, (index + 1) * tau, float(duration))
    market(orders, view, side, max(math.floor(quantity - left + 0.5) - done, 0))
