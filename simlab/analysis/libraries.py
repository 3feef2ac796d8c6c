"""Load what the extra ``analysis`` installs, when it is first needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from simlab.errors import AnalysisError

__all__ = ["library"]


def library(module: str) -> Any:
    """Import a module of an optional library; raises AnalysisError that says how to install it.

    Example
    -------
    >>> float(library("scipy.stats").norm.cdf(0.0))
    0.5
    """
    try:
        return import_module(module)
    except ImportError as error:
        remedy = 'pip install "simlab[analysis]"'
        raise AnalysisError(f"{module} cannot be imported ({error}): {remedy}") from error
