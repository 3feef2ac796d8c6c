"""Correlate the noise of instruments without sharing their draws."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from simlab.errors import ConfigError, did_you_mean

__all__ = ["Correlation", "cholesky_factor", "correlation_matrix"]

Correlation: TypeAlias = (
    Sequence[tuple[str, str, float]] | Mapping[tuple[str, str], float] | NDArray[np.float64]
)
"""Pairs ``(name, name, rho)``, a mapping of pairs to rho, or a matrix in the order of the instruments."""

_TOLERANCE = 1e-10


def correlation_matrix(
    correlation: Correlation, instruments: Sequence[str], names: Sequence[str]
) -> NDArray[np.float64]:
    """Return the correlation matrix in the order of `names`; pairs not given are uncorrelated.

    Parameters
    ----------
    correlation : Correlation
    instruments : sequence of str
        The order of a matrix's rows and columns.
    names : sequence of str
        The order of the result: the same names, sorted.

    Raises
    ------
    ConfigError
        When a name is unknown, a pair comes twice, a value lies outside [-1, 1], or a matrix is not
        symmetric with a unit diagonal.

    Example
    -------
    >>> correlation_matrix([("B", "A", 0.5)], ["A", "B"], ["A", "B"])[0, 1].item()
    0.5
    """
    if isinstance(correlation, np.ndarray):
        return _checked_matrix(correlation, instruments, names)
    if isinstance(correlation, Mapping):
        correlation = [(*pair, rho) for pair, rho in correlation.items()]
    matrix = np.eye(len(names))
    seen: set[frozenset[str]] = set()
    for a, b, rho in correlation:
        where = f"correlation of {a!r} and {b!r}"
        i, j = _index(where, a, names), _index(where, b, names)
        if i == j or frozenset((a, b)) in seen:
            raise ConfigError(f"{where}: give each pair of two different instruments once")
        if not -1.0 <= rho <= 1.0:
            raise ConfigError(f"{where} is {rho}; it must lie between -1 and 1")
        seen.add(frozenset((a, b)))
        matrix[i, j] = matrix[j, i] = rho
    return matrix


def _index(where: str, name: str, names: Sequence[str]) -> int:
    if name in names:
        return names.index(name)
    hint = did_you_mean(name, names)
    raise ConfigError(f"{where}: there is no instrument {name!r}{hint}")


def _checked_matrix(
    matrix: NDArray[np.float64], instruments: Sequence[str], names: Sequence[str]
) -> NDArray[np.float64]:
    count = len(names)
    if matrix.shape != (count, count):
        raise ConfigError(f"the correlation matrix has shape {matrix.shape}, expected ({count}, {count})")
    if not np.all(np.diagonal(matrix) == 1.0) or not np.array_equal(matrix, matrix.T):
        raise ConfigError("the correlation matrix must be symmetric, with ones on the diagonal")
    if not np.all(np.abs(matrix) <= 1.0):
        raise ConfigError("the correlation matrix must hold values between -1 and 1")
    order = [instruments.index(name) for name in names]
    return np.array(matrix, np.float64)[np.ix_(order, order)]


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
