"""Keep book, ledger and world where the compiled loop finds them: see `simlab.core.shared.pinner`."""

from __future__ import annotations

import numpy as np

from simlab.agents.strategy import MAX_MEMORY, MAX_PARAMETERS
from simlab.core.shared import pinner
from simlab.engine.compiled.arrays import allocate
from simlab.kernel.state import World
from simlab.market.ledger import FILL_LOG, Ledger

__all__ = ["find_book", "find_ledger", "find_world", "pin_book", "pin_ledger", "pin_world"]


def _rows(columns: int) -> np.ndarray:
    return np.zeros((1, columns), np.int64)


_LEDGER = Ledger(_rows(8), _rows(8), _rows(16), _rows(8), _rows(4), np.zeros((1, FILL_LOG, 4), np.int64))
_VECTOR = np.zeros(1, np.int64)
_WORLD = World(
    clock=_VECTOR,
    agents=_rows(4),
    keys=np.zeros(1, np.uint64),
    populations=_rows(20),
    population_floats=np.zeros((1, 2)),
    population_lists=_VECTOR,
    parameters=np.zeros((1, MAX_PARAMETERS)),
    memory=np.zeros((1, MAX_MEMORY)),
    wheel=_VECTOR,
    places=np.zeros((4, 1), np.uint64),
    due=np.zeros(1, np.int32),
    buckets=_VECTOR,
    flight=_rows(8),
    arrivals=_rows(2),
    outbox=_rows(8),
    fundamental=np.zeros((1, 1)),
    quotes=_rows(9),
    tape=np.zeros((1, 8)),
    rng=np.zeros(1, np.uint64),
    summary=_VECTOR,
)

pin_book, find_book = pinner(allocate(1, 1))
pin_ledger, find_ledger = pinner(_LEDGER)
pin_world, find_world = pinner(_WORLD)
