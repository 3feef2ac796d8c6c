"""Counter-based random streams, keyed by name.

Every draw is a pure function of (run seed, role, name, step, position): Philox4x32-10 of Salmon et al.
There is no generator state to save, and removing one agent cannot shift the draws of another.

A stream is a small ``uint64`` array, the `rng` that a compiled strategy receives::

    [key, role and agent, step, blocks drawn, words used, word 0, word 1, word 2, word 3]

References
----------
Salmon, Moraes, Dror and Shaw (2011), Parallel random numbers: as easy as 1, 2, 3, SC11.
"""

from __future__ import annotations

import hashlib

import numpy as np

from simlab.core.jit import jit
from simlab.core.numerics import log, normal_quantile

__all__ = [
    "RNG_WORDS",
    "Role",
    "choice_weighted",
    "exponential",
    "integers",
    "name_key",
    "normal",
    "philox",
    "reset",
    "uniform",
]

RNG_WORDS = 9
_KEY, _LANE, _STEP, _BLOCKS, _USED, _W0 = 0, 1, 2, 3, 4, 5

_MUL0 = np.uint64(0xD2511F53)
_MUL1 = np.uint64(0xCD9E8D57)
_WEYL0 = np.uint64(0x9E3779B9)
_WEYL1 = np.uint64(0xBB67AE85)
_MASK = np.uint64(0xFFFFFFFF)
_S32 = np.uint64(32)
_S11 = np.uint64(11)
_S12 = np.uint64(12)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_FOUR = np.uint64(4)
_TO_UNIT = 1.0 / 9007199254740992.0  # 2**-53
_TO_OPEN_UNIT = 1.0 / 4503599627370496.0  # 2**-52


class Role:
    """What a stream is drawn for: the high byte of its counter."""

    PLACE = 0
    """An agent's place in the step, and its next activation."""
    DECIDE = 1
    """What a strategy draws while deciding."""
    LATENCY = 2
    """How long a message travels."""
    SIGNAL = 3
    """The noise on an agent's private signal."""


def name_key(seed: int, role: str, name: str) -> np.uint64:
    """Derive a stream's 64-bit key from the run seed, what it is for, and whose it is.

    Example
    -------
    >>> int(name_key(1, "agent", "noise/0")) == int(name_key(1, "agent", "noise/0"))
    True
    """
    digest = hashlib.blake2b(f"{seed}\x1f{role}\x1f{name}".encode(), digest_size=8)
    return np.uint64(int.from_bytes(digest.digest(), "little"))


@jit
def philox(c0, c1, c2, c3, k0, k1):
    """Return the four 32-bit words (as uint64) of one Philox4x32-10 block; all arguments are uint64."""
    for _ in range(10):
        p0 = _MUL0 * c0
        p1 = _MUL1 * c2
        c0 = (p1 >> _S32) ^ c1 ^ k0
        c1 = p1 & _MASK
        c2 = (p0 >> _S32) ^ c3 ^ k1
        c3 = p0 & _MASK
        k0 = (k0 + _WEYL0) & _MASK
        k1 = (k1 + _WEYL1) & _MASK
    return c0, c1, c2, c3


@jit
def block(key, role, step, index):
    """Return block `index` of a stream at a step: four 32-bit words as uint64."""
    return philox(
        step & _MASK,
        (step >> _S32) & _MASK,
        index & _MASK,
        role,
        key & _MASK,
        key >> _S32,
    )


@jit
def reset(rng, key, role, step):
    """Point `rng` at the beginning of a stream's draws for one step."""
    rng[_KEY] = key
    rng[_LANE] = np.uint64(role)
    rng[_STEP] = np.uint64(step)
    rng[_BLOCKS] = _ZERO
    rng[_USED] = _FOUR


@jit
def _word(rng):
    used = rng[_USED]
    if used == _FOUR:
        w0, w1, w2, w3 = block(rng[_KEY], rng[_LANE], rng[_STEP], rng[_BLOCKS])
        rng[5] = w0
        rng[6] = w1
        rng[7] = w2
        rng[8] = w3
        rng[_BLOCKS] += _ONE
        used = _ZERO
    rng[_USED] = used + _ONE
    return rng[_W0 + np.int64(used)]


@jit
def uniform(rng):
    """Draw a float in [0, 1) with 53 random bits."""
    high = _word(rng)
    low = _word(rng)
    return np.float64(((high << _S32) | low) >> _S11) * _TO_UNIT


@jit
def integers(rng, low, high):
    """Draw an integer in [low, high); `high - low` must be from 1 to 2**32 (bias below 2**-32 of the width)."""
    return low + np.int64((_word(rng) * np.uint64(high - low)) >> _S32)


@jit
def normal(rng):
    """Draw a standard normal by inversion: one uniform a draw, the same on every machine."""
    high = _word(rng)
    low = _word(rng)
    return normal_quantile((np.float64(((high << _S32) | low) >> _S12) + 0.5) * _TO_OPEN_UNIT)


@jit
def exponential(rng):
    """Draw a unit exponential by inversion."""
    return -log(1.0 - uniform(rng))


@jit
def choice_weighted(rng, weights):
    """Draw an index with probability proportional to ``weights``, a (n,) float64 array, not all zero."""
    target = uniform(rng) * weights.sum()
    for i in range(weights.size - 1):
        target -= weights[i]
        if target < 0.0:
            return i
    return weights.size - 1


def stream(seed: int, role: str, name: str) -> np.random.Generator:
    """Return a NumPy generator over Philox, keyed by name: for Python strategies, processes and set-up."""
    return np.random.Generator(np.random.Philox(key=int(name_key(seed, role, name))))
