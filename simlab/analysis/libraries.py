"""Load what an extra installs, by default ``analysis``, when it is first needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from simlab.errors import AnalysisError

__all__ = ["library"]


def library(module: str, extra: str = "analysis") -> Any:
    """Import a module of an optional library; raises AnalysisError that says how to install it.

    Example
    -------
    >>> float(library("scipy.stats").norm.cdf(0.0))
    0.5
    """
    try:
        return import_module(module)
    except ImportError as error:
        remedy = f'pip install "simlab[{extra}]"'
        raise AnalysisError(f"{module} cannot be imported ({error}): {remedy}") from error
