"""Hash rows of 64-bit words: the event log's running hash and the state hashes.

Not cryptographic. Each word is multiplied by an odd constant of its own and folded, the folds are joined by
Horner's rule in two lanes, so that a word's place counts, and each row is chained through the SplitMix64
finaliser (Steele, Lea and Flood 2014), so that the order of the rows counts too.
"""

from __future__ import annotations

import numpy as np

from simlab.core.jit import jit, jit_inline

__all__ = ["HASH_SEED", "hash_rows", "hash_text", "hash_words"]

HASH_SEED = np.uint64(0x9E3779B97F4A7C15)

_P0 = np.uint64(0xA0761D6478BD642F)
_P1 = np.uint64(0xE7037ED1A0B428DB)
_P2 = np.uint64(0x8EBC6AF09C88C6E3)
_P3 = np.uint64(0x589965CC75374CC3)
_P4 = np.uint64(0x1D8E4E27C47D124F)
_P5 = np.uint64(0xEB44ACCAB455D165)
_P6 = np.uint64(0xD6E8FEB86659FD93)
_P7 = np.uint64(0xBF58476D1CE4E5B9)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_S32 = np.uint64(32)
_S30 = np.uint64(30)
_S27 = np.uint64(27)
_S31 = np.uint64(31)


@jit_inline
def _fold(word, constant):
    product = (word ^ constant) * constant
    return product ^ (product >> _S32)


@jit_inline
def hash_words(state, w0, w1, w2, w3, w4, w5, w6, w7):
    """Continue a hash over one row of eight uint64."""
    a = (_fold(w0, _P0) * _P1 + _fold(w1, _P1)) * _P2 + _fold(w2, _P2)
    b = (_fold(w4, _P4) * _P5 + _fold(w5, _P5)) * _P6 + _fold(w6, _P6)
    a = a * _P3 + _fold(w3, _P3)
    b = b * _P7 + _fold(w7, _P7)
    x = state ^ (a * _P7 + b)
    x = (x ^ (x >> _S30)) * _M1
    x = (x ^ (x >> _S27)) * _M2
    return x ^ (x >> _S31)


@jit
def hash_rows(state, rows, start, stop):
    """Continue a hash over ``rows[start:stop]``.

    Parameters
    ----------
    state : uint64
        The hash so far; `HASH_SEED` to begin.
    rows : (n, 8) uint64
        Rows of eight words: events, or anything else in that shape.
    start, stop : int

    Returns
    -------
    uint64
    """
    for i in range(start, stop):
        row = rows[i]
        state = hash_words(state, row[0], row[1], row[2], row[3], row[4], row[5], row[6], row[7])
    return state


def hash_text(hash_value: int) -> str:
    """Write a 64-bit hash as 16 hexadecimal digits."""
    return f"{int(hash_value):016x}"
