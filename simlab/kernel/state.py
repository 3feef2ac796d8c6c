"""Lay out the kernel's own state in arrays: agents, populations, what is due, messages on their way."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from simlab.agents.strategy import MAX_MEMORY, MAX_PARAMETERS

__all__ = ["World"]

# agents: (agents, 4) int64: population, step it is due, next agent due in the same bucket, cursor in steps
G_POPULATION, G_DUE, G_NEXT, G_CURSOR = range(4)

# populations: (populations, 20) int64
(
    P_FIRST,
    P_COUNT,
    P_LEVEL,
    P_ADDRESS,
    P_ACTIVATION,
    P_PERIOD,
    P_STEPS_AT,
    P_STEPS,
    P_LATENCY_LOW,
    P_LATENCY_HIGH,
    P_DEPTH,
    P_ORDERS,
    P_SIGNAL,
    P_INSTRUMENTS_AT,
    P_INSTRUMENTS,
    P_PARAMETERS_AT,
    P_PARAMETERS_STRIDE,
    P_MEMORY_AT,
    P_PRESENT,
    P_DUE_COUNT,
) = range(20)

LEVEL_COMPILED, LEVEL_BATCH, LEVEL_AGENT = range(3)
EVERY_STEP, BY_RATE, BY_PERIOD, BY_STEPS = range(4)

# population_floats: (populations, 2) float64
PF_LOG_QUIET, PF_SIGNAL_NOISE = range(2)

# clock: (32,) int64
(
    T_STEP,
    T_PHASE,
    T_CURSOR,
    T_ACTIVE,
    T_NEXT_ORDER_ID,
    T_FREE_MESSAGE,
    T_TOP_MESSAGE,
    T_IN_FLIGHT,
    T_OUT_CURSOR,
    T_OUT_COUNT,
    T_AGENT,
    T_SLOT,
    T_HASH,
    T_MESSAGES,
    T_ACTIVATIONS,
    T_QUOTES,
    T_BLOCK_START,
    T_SIMULTANEOUS,
    T_QUOTES_EVERY,
    T_DEPTH_EVERY,
    T_ACCOUNTS_EVERY,
    T_EXPIRED_FROM,
    T_REPEAT,
    T_PARAMETERS,
    T_LOOKED,
) = range(25)

(PHASE_BEGIN, PHASE_EXPIRE, PHASE_ARRIVE, PHASE_COLLECT, PHASE_ACT, PHASE_DEFERRED, PHASE_END) = range(7)

# quotes: (n, 9) int64; the last column holds the bits of a float64
Q_STEP, Q_INSTRUMENT, Q_BID, Q_BID_DEPTH, Q_ASK, Q_ASK_DEPTH, Q_LAST, Q_VOLUME, Q_FUNDAMENTAL = range(9)

# tape: (instruments, 8) float64: sums for the summary
X_SPREADS, X_SPREAD_COUNT, X_LAST_MID, X_RETURNS, X_SQUARES, X_RETURN_COUNT = range(6)

ME_SUMMARY = 11
"""Numbers that a Python agent reads at once; the last is the next order id."""


class World(NamedTuple):
    """Everything of a running simulation that is neither book nor ledger, in arrays."""

    clock: NDArray[np.int64]
    agents: NDArray[np.int64]
    keys: NDArray[np.uint64]
    """Of the random streams: of every agent, then of every population, then of every instrument."""
    populations: NDArray[np.int64]
    population_floats: NDArray[np.float64]
    population_lists: NDArray[np.int64]
    """Instruments and explicit steps of all populations, one after the other."""
    parameters: NDArray[np.float64]
    memory: NDArray[np.float64]
    wheel: NDArray[np.int64]
    """First agent due in each bucket of steps, -1 for none."""
    places: NDArray[np.uint64]
    """(4, agents + populations): places drawn, who drew them, and room to sort both."""
    due: NDArray[np.int32]
    """Agents of batch populations that are due, from each population's first agent on."""
    buckets: NDArray[np.int64]
    flight: NDArray[np.int64]
    """Messages on their way; the last word chains those that arrive in the same step."""
    arrivals: NDArray[np.int64]
    """(steps, 2): first and last message that arrives in each step of a ring."""
    outbox: NDArray[np.int64]
    fundamental: NDArray[np.float64]
    quotes: NDArray[np.int64]
    tape: NDArray[np.float64]
    rng: NDArray[np.uint64]
    summary: NDArray[np.int64]

    TABLES = {  # noqa: RUF012
        "clock": 1,
        "agents": 4,
        "keys": 1,
        "populations": 20,
        "population_floats": 2,
        "population_lists": 1,
        "parameters": MAX_PARAMETERS,
        "memory": MAX_MEMORY,
        "wheel": 1,
        "due": 1,
        "flight": 8,
        "arrivals": 2,
        "quotes": 9,
        "tape": 8,
        "summary": 1,
    }
