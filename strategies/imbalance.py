"""A strategy as one compiled function: the fastest way, for agents by the thousand.

The function is compiled when it is first used and then kept on disk. It takes numbers and arrays only: `view`
is the market, `me` the agent (both as documented in `simlab.agents.compiled`), `rng` its own random stream,
`orders` where its messages go. Set NUMBA_DISABLE_JIT=1 to run it as plain Python, in a debugger if need be.

When the queue at the best bid is much longer than the one at the best ask, the price is more likely to rise
than to fall: Gould and Bonart (2016), Queue imbalance as a one-tick-ahead price predictor in a limit order
book, Market Microstructure and Liquidity 2(2).
"""

from __future__ import annotations

from simlab.agents.compiled import Parameter, compiled_strategy, limit

# Parameters arrive in the order they are declared in; names for the places keep that in one spot.
THRESHOLD, SIZE, INVENTORY_LIMIT = range(3)
IOC = 1


@compiled_strategy(
    "imbalance",
    "Takes from the side of the book with the much shorter queue.",
    (
        Parameter("threshold", 0.6, "1", "Queue imbalance, 0 to 1, from which it trades.", low=0.0, high=1.0),
        Parameter("size", 5, "lots", "Order size.", low=1, high=10_000, integer=True),
        Parameter(
            "inventory_limit",
            50,
            "lots",
            "Largest inventory, long or short.",
            low=0,
            high=10**6,
            integer=True,
        ),
    ),
    source="Gould and Bonart (2016), Market Microstructure and Liquidity 2(2)",
)
def imbalance(view, me, rng, orders):
    """Buy at the ask when buyers queue, sell at the bid when sellers do."""
    if view.halted or view.bid_depth == 0 or view.ask_depth == 0:
        return
    queues = (view.bid_depth - view.ask_depth) / (view.bid_depth + view.ask_depth)
    size = int(me.parameters[SIZE])
    most = int(me.parameters[INVENTORY_LIMIT])
    if queues >= me.parameters[THRESHOLD]:
        limit(orders, view, 0, view.best_ask, min(size, most - me.inventory), IOC)
    elif queues <= -me.parameters[THRESHOLD]:
        limit(orders, view, 1, view.best_bid, min(size, most + me.inventory), IOC)
