"""Counter-based random streams, keyed by name.

Every draw is a pure function of (run seed, role, name, step, position): Philox2x64-10 of Salmon et al.
There is no generator state to save, and removing one agent cannot shift the draws of another.

A stream is a `RNG_DTYPE` record, the `rng` that a compiled strategy receives; `new_stream` makes one for
Python.

References
----------
Salmon, Moraes, Dror and Shaw (2011), Parallel random numbers: as easy as 1, 2, 3, SC11.
"""

from __future__ import annotations

import hashlib

import numpy as np

from simlab.core.jit import jit, jit_inline, multiply_high
from simlab.core.numerics import log, normal_quantile

__all__ = [
    "RNG_DTYPE",
    "Role",
    "block",
    "choice_weighted",
    "exponential",
    "integers",
    "name_key",
    "new_stream",
    "normal",
    "open_unit",
    "philox",
    "reset",
    "stream",
    "uniform",
    "unit",
]

RNG_DTYPE = np.dtype(
    [
        ("key", "u8"),
        ("role", "u8"),
        ("step", "u8"),
        ("blocks", "u8"),
        ("used", "u8"),
        ("word_0", "u8"),
        ("word_1", "u8"),
    ],
    align=True,
)
"""Where a stream is: its counter, the blocks drawn, and the halves used of the latest block's two words."""

_MULTIPLIER = np.uint64(0xD2B74407B1CE6E93)
_WEYL = np.uint64(0x9E3779B97F4A7C15)
_MASK = np.uint64(0xFFFFFFFF)
_S56 = np.uint64(56)
_S32 = np.uint64(32)
_S12 = np.uint64(12)
_S11 = np.uint64(11)
_ZERO = np.uint64(0)
_ONE = np.uint64(1)
_TWO = np.uint64(2)
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


@jit_inline
def philox(c0, c1, key):
    """Return the two words of one Philox2x64-10 block; arguments and results are uint64."""
    for _ in range(10):
        high = multiply_high(_MULTIPLIER, c0)
        low = _MULTIPLIER * c0
        c0 = high ^ key ^ c1
        c1 = low
        key = key + _WEYL
    return c0, c1


@jit_inline
def block(key, role, step, index):
    """Return block `index` of a stream at a step: two words. All arguments are uint64, `role` below 256."""
    return philox(step, (role << _S56) | index, key)


@jit_inline
def unit(word):
    """Turn a random word into a float in [0, 1) with 53 random bits."""
    return np.float64(word >> _S11) * _TO_UNIT


@jit_inline
def open_unit(word):
    """Turn a random word into a float in (0, 1), both ends excluded, with 52 random bits."""
    return (np.float64(word >> _S12) + 0.5) * _TO_OPEN_UNIT


def new_stream() -> np.record:
    """Return a record for `reset` to point at a stream, to draw from in Python."""
    return np.zeros(1, RNG_DTYPE).view(np.recarray)[0]


@jit_inline
def reset(rng, key, role, step):
    """Point `rng` at the beginning of a stream's draws for one step."""
    rng.key = key
    rng.role = np.uint64(role)
    rng.step = np.uint64(step)
    rng.blocks = _ZERO
    rng.used = _FOUR


@jit
def _refill(rng):
    w0, w1 = block(rng.key, rng.role, rng.step, rng.blocks)
    rng.word_0 = w0
    rng.word_1 = w1
    rng.blocks += _ONE
    rng.used = _ZERO


@jit
def _half(rng):
    """Draw 32 random bits."""
    if rng.used == _FOUR:
        _refill(rng)
    used = rng.used
    rng.used = used + _ONE
    word = rng.word_0 if used < _TWO else rng.word_1
    return word >> _S32 if used & _ONE else word & _MASK


@jit
def _whole(rng):
    """Draw 64 random bits; an odd half left over is dropped."""
    used = rng.used + (rng.used & _ONE)
    if used == _FOUR:
        _refill(rng)
        used = _ZERO
    rng.used = used + _TWO
    return rng.word_0 if used == _ZERO else rng.word_1


@jit
def uniform(rng):
    """Draw a float in [0, 1) with 53 random bits."""
    return unit(_whole(rng))


@jit
def integers(rng, low, high):
    """Draw an integer in [low, high), which may hold up to 2**32 values (bias below 2**-32 of the width)."""
    return low + np.int64((_half(rng) * np.uint64(high - low)) >> _S32)


@jit
def normal(rng):
    """Draw a standard normal by inversion: one draw of 64 bits, the same on every machine."""
    return normal_quantile(open_unit(_whole(rng)))


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
