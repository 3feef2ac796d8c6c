"""Believe what others have shown: the chance that a price is accepted, from the shouts and trades of late.

To buy and to sell are mirror images, so everything is said of a *reach*: the price for a seller, the price
with its sign changed for a buyer. The larger the reach of a shout, the more it would earn, and the less
likely it is to be accepted. Gjerstad and Dickhaut (1998, equations 3 and 4) believe that a reach x is
accepted with the chance ::

    (T(x) + O(x)) / (T(x) + O(x) + R(x))

where T counts own-side shouts of at least x that were accepted, O shouts of the other side of at least x, and
R own-side shouts of at most x that were not accepted: who would have taken x would have taken less, and who
refused less would refuse x. It is 1 where somebody offers x now, and 0 at the end of the range of prices;
between the reaches that were named it is interpolated by cubics that are level at both ends.

All functions are compiled.
"""

from __future__ import annotations

from simlab.agents.compiled import SHOUTS, Shout
from simlab.agents.library.shouting import heard_kind, heard_price
from simlab.core.jit import jit

__all__ = ["CANDIDATES", "KNOTS", "acceptance", "candidates", "history", "knots", "reach_of"]

KNOTS = SHOUTS + 2
"""Most reaches at which a belief is computed."""
_BETWEEN = 6
"""Parts into which the reaches between two knots are divided."""
CANDIDATES = _BETWEEN * KNOTS
"""Most reaches that are compared."""
_TRADE = int(Shout.BUY)


@jit
def reach_of(side, price):
    """Return the reach of a price for a buyer (side 0) or a seller; or the price of a reach."""
    return price if side == 1 else -price


@jit
def history(view, trades):
    """Return the number of the first shout that led to the latest `trades` trades, and how many there are.

    It may be that the view remembers fewer.
    """
    n, found = view.shouts - 1, 0
    oldest = max(view.shouts - SHOUTS, 0)
    while n >= oldest:
        if heard_kind(view, n) >= _TRADE:
            if found == trades:
                break
            found += 1
        n -= 1
    return n + 1, found


@jit
def acceptance(view, first, side, reach, grace):
    """Return the believed chance that a reach is accepted, from shout number `first` on; -1 if nothing tells.

    A shout that was not accepted counts as refused in the measure of its age, in full after `grace` steps.
    """
    sign = 1.0 if side == 1 else -1.0
    willing, refused = 0.0, 0.0
    for n in range(first, view.shouts):
        kind, at = heard_kind(view, n), sign * heard_price(view, n)
        if kind == _TRADE + 1 - side:
            willing += 1.0 if at >= reach else 0.0
            refused -= 1.0 if at <= reach else 0.0
        elif kind == side and at <= reach:
            age = float(view.step - view.shout_steps[n & (SHOUTS - 1)])
            refused += 1.0 if age >= grace else age / grace
        elif kind == 1 - side and at >= reach:
            willing += 1.0
    total = willing + max(refused, 0.0)
    return willing / total if total > 0.0 else -1.0


@jit
def _ends(view, side, highest):
    """Return the reach that is accepted for sure, and that which never is."""
    if side == 1:
        return (float(view.best_bid) if view.bid_depth > 0 else 0.0), max(highest, 1.0)
    return (-float(view.best_ask) if view.ask_depth > 0 else -max(highest, 1.0)), 0.0


@jit
def _insert(reaches, count, reach):
    """Put a reach into its place among those sorted so far, unless it is there; return how many there are."""
    i = count
    while i > 0 and reaches[i - 1] > reach:
        i -= 1
    if i > 0 and reaches[i - 1] == reach:
        return count
    for j in range(count, i, -1):
        reaches[j] = reaches[j - 1]
    reaches[i] = reach
    return count + 1


@jit
def knots(view, first, side, highest, grace, reaches, chances):
    """Fill the reaches that are known and the chances believed, rising reaches; return how many there are.

    Parameters
    ----------
    view : VIEW_DTYPE record
    first : int
        The first shout that counts.
    side : int
    highest : float, price units
        Highest price of the market.
    grace : float, steps
    reaches, chances : (KNOTS,) float64
    """
    sure, never = _ends(view, side, highest)
    count = _insert(reaches, 0, sure)
    if never <= sure:
        chances[0] = 1.0
        return count
    for n in range(first, view.shouts):
        reach = reach_of(side, heard_price(view, n))
        if sure < reach < never:
            count = _insert(reaches, count, reach)
    count = _insert(reaches, count, never)
    kept = 1
    chances[0] = 1.0
    for i in range(1, count - 1):
        chance = acceptance(view, first, side, reaches[i], grace)
        if chance >= 0.0:
            reaches[kept], chances[kept] = reaches[i], chance
            kept += 1
    reaches[kept], chances[kept] = never, 0.0
    return kept + 1


@jit
def candidates(reaches, chances, count, fine_reaches, fine_chances):
    """Fill more reaches between the knots, with chances by level-ended cubics; return how many there are."""
    n = 0
    for k in range(count - 1):
        for i in range(_BETWEEN):
            t = i / _BETWEEN
            fine_reaches[n] = reaches[k] + t * (reaches[k + 1] - reaches[k])
            fine_chances[n] = chances[k] + t * t * (3.0 - 2.0 * t) * (chances[k + 1] - chances[k])
            n += 1
    if count == 1:
        fine_reaches[0], fine_chances[0] = reaches[0], chances[0]
        n = 1
    return n
