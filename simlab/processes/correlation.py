"""Correlate the noise of instruments without sharing their draws."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from simlab.errors import ConfigError, did_you_mean

__all__ = ["Correlation", "check_correlation", "cholesky_factor", "correlation_matrix"]

Correlation: TypeAlias = tuple[tuple[str, str, float], ...]
"""Pairs ``(name, name, rho)``; pairs that are not given are uncorrelated."""

_TOLERANCE = 1e-10


def check_correlation(correlation: Correlation) -> None:
    """Raise ConfigError when a pair comes twice or is no pair, or a value lies outside [-1, 1].

    Example
    -------
    >>> check_correlation((("ACME", "BETA", 0.5),))
    """
    seen: set[frozenset[str]] = set()
    for a, b, rho in correlation:
        where = f"correlation of {a!r} and {b!r}"
        if a == b or frozenset((a, b)) in seen:
            raise ConfigError(f"{where}: give each pair of two different instruments once")
        if not -1.0 <= rho <= 1.0:
            raise ConfigError(f"{where} is {rho}; it must lie between -1 and 1")
        seen.add(frozenset((a, b)))


def correlation_matrix(correlation: Correlation, names: Sequence[str]) -> NDArray[np.float64]:
    """Return the correlation matrix in the order of `names`.

    Raises
    ------
    ConfigError
        When a name is unknown.

    Example
    -------
    >>> correlation_matrix((("B", "A", 0.5),), ["A", "B"])[0, 1].item()
    0.5
    """
    matrix = np.eye(len(names))
    for a, b, rho in correlation:
        for name in (a, b):
            if name not in names:
                hint = did_you_mean(name, names)
                raise ConfigError(f"correlation of {a!r} and {b!r}: there is no instrument {name!r}{hint}")
        i, j = names.index(a), names.index(b)
        matrix[i, j] = matrix[j, i] = rho
    return matrix


def cholesky_factor(matrix: NDArray[np.float64], names: Sequence[str]) -> NDArray[np.float64]:
    """Return the lower triangular L with L L^T = `matrix`, for any positive semi-definite matrix.

    Computed by plain loops: a linear algebra library's last bits differ between machines. Rows of
    instruments that are uncorrelated with the rest stay those of the identity to the bit.

    Raises
    ------
    ConfigError
        When the matrix is not positive semi-definite; the message has the pairs that contradict each
        other.
    """
    count = len(names)
    factor = np.zeros((count, count))
    for k in range(count):
        pivot = _residual(matrix, factor, k, k)
        if pivot < -_TOLERANCE:
            raise _contradiction(matrix, names, k)
        factor[k, k] = math.sqrt(pivot) if pivot > _TOLERANCE else 0.0
        for i in range(k + 1, count):
            rest = _residual(matrix, factor, i, k)
            if factor[k, k] > 0.0:
                factor[i, k] = rest / factor[k, k]
            elif abs(rest) > math.sqrt(_TOLERANCE):
                raise _contradiction(matrix, names, i)
    return factor


def _residual(matrix: NDArray[np.float64], factor: NDArray[np.float64], i: int, k: int) -> float:
    value = float(matrix[i, k])
    for j in range(k):
        value -= float(factor[i, j]) * float(factor[k, j])
    return value


def _contradiction(matrix: NDArray[np.float64], names: Sequence[str], last: int) -> ConfigError:
    pairs = [
        f"{names[i]!r} and {names[j]!r} ({matrix[i, j]:g})"
        for i, j in combinations(range(last + 1), 2)
        if matrix[i, j] != 0.0
    ]
    return ConfigError(
        f"the correlations of {', '.join(pairs)} contradict each other: the matrix is not positive "
        "semi-definite; bring them closer to 0"
    )
