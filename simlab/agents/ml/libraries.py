"""Load what the extra ``ml`` installs, and keep its results apart from the number of threads."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from importlib.metadata import version
from typing import Any

import numpy as np

from simlab.errors import StrategyError

__all__ = ["library", "single_threaded", "versions"]


def library(module: str) -> Any:
    """Import a module of an optional library; raises StrategyError that says how to install it.

    Example
    -------
    >>> library("sklearn.linear_model").LinearRegression.__name__
    'LinearRegression'
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise StrategyError(f'{module} cannot be imported ({error}): pip install "simlab[ml]"') from error


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that decide what a model forecasts."""
    library("sklearn")
    names = ("simlab", "scikit-learn", "skops")
    return {name: version(name) for name in names} | {
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


@cache
def _controller() -> Any:
    library("sklearn.utils._openmp_helpers")  # so that its threads are there to be found
    return library("threadpoolctl").ThreadpoolController()


@contextmanager
def single_threaded() -> Iterator[None]:
    """Let OpenMP and BLAS use one thread, so that sums are made in one order; costs 15 microseconds."""
    with _controller().limit(limits=1):
        yield
