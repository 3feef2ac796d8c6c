"""The random streams: published test vectors, ranges, independence of what else is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from simlab.core.jit import jit
from simlab.core.random import Role, integers, name_key, new_stream, normal, philox, reset, uniform


@jit
def _block(c0, c1, key):
    return philox(c0, c1, key)


@jit
def _draws(rng, key, step, out):
    reset(rng, key, np.uint64(1), step)
    for i in range(out.shape[1]):
        out[0, i] = uniform(rng)
    for i in range(out.shape[1]):
        out[1, i] = normal(rng)


@jit
def _whole_numbers(rng, key, out):
    reset(rng, key, np.uint64(1), 0)
    for i in range(out.shape[0]):
        out[i] = integers(rng, -3, 4)


@pytest.mark.parametrize(
    ("counter", "key", "expected"),
    [
        ((0, 0), 0, (0xCA00A0459843D731, 0x66C24222C9A845B5)),
        ((2**64 - 1, 2**64 - 1), 2**64 - 1, (0x65B021D60CD8310F, 0x4D02F3222F86DF20)),
        (
            (0x243F6A8885A308D3, 0x13198A2E03707344),
            0xA4093822299F31D0,
            (0x0A5E742C2997341C, 0xB0F883D38000DE5D),
        ),
    ],
)
def test_philox_gives_the_published_vectors(
    counter: tuple[int, int], key: int, expected: tuple[int, int]
) -> None:
    """Random123, kat_vectors, philox2x64 with 10 rounds."""
    words = _block(np.uint64(counter[0]), np.uint64(counter[1]), np.uint64(key))
    assert tuple(int(word) for word in words) == expected


def _sample(name: str, step: int = 0, count: int = 20_000) -> np.ndarray:
    out = np.zeros((2, count))
    _draws(new_stream(), name_key(1, "agent", name), step, out)
    return out


def test_draws_have_the_moments_of_their_distributions() -> None:
    flat, bell = _sample("a")
    assert 0.0 <= flat.min() < 0.001
    assert 0.999 < flat.max() < 1.0
    assert abs(flat.mean() - 0.5) < 4 * (1 / 12 / len(flat)) ** 0.5
    assert abs(bell.mean()) < 4 / len(bell) ** 0.5
    assert abs(bell.var() - 1) < 4 * (2 / len(bell)) ** 0.5


def test_a_stream_depends_on_name_and_step_alone() -> None:
    assert np.array_equal(_sample("a", 3), _sample("a", 3))
    for other in (_sample("b", 3), _sample("a", 4)):
        assert abs(np.corrcoef(_sample("a", 3)[0], other[0])[0, 1]) < 4 / 20_000**0.5


def test_integers_cover_their_range_evenly() -> None:
    out = np.zeros(70_000, np.int64)
    _whole_numbers(new_stream(), name_key(1, "agent", "c"), out)
    values, counts = np.unique(out, return_counts=True)
    assert values.tolist() == [-3, -2, -1, 0, 1, 2, 3]
    assert np.abs(counts - 10_000).max() < 5 * (70_000 * (1 / 7) * (6 / 7)) ** 0.5


def test_roles_fit_their_byte() -> None:
    roles = [value for name, value in vars(Role).items() if name.isupper()]
    assert len(set(roles)) == len(roles)
    assert all(0 <= role < 256 for role in roles)
