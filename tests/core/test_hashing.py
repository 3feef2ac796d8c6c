"""The hash of rows: every word and the order of the rows count, chunks do not."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from simlab.core.hashing import HASH_SEED, hash_rows, hash_text


def _hash(rows: np.ndarray, *cuts: int) -> int:
    state = HASH_SEED
    edges = (0, *cuts, len(rows))
    for start, stop in pairwise(edges):
        state = np.uint64(hash_rows(state, rows, start, stop))
    return int(state)


ROWS = np.arange(80, dtype=np.uint64).reshape(10, 8)


def test_every_bit_of_every_word_counts() -> None:
    seen = {_hash(ROWS)}
    for column in range(8):
        for bit in range(64):
            changed = ROWS.copy()
            changed[4, column] ^= np.uint64(1 << bit)
            seen.add(_hash(changed))
    assert len(seen) == 8 * 64 + 1


def test_order_counts_and_chunks_do_not() -> None:
    assert _hash(ROWS[::-1].copy()) != _hash(ROWS)
    assert _hash(ROWS, 1, 5) == _hash(ROWS)
    assert len(hash_text(_hash(ROWS))) == 16
