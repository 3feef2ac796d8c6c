"""Say what a run depends on that its configuration does not hold: the code of plug-ins, models, templates."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from simlab.agents.registry import source_files
from simlab.errors import SimlabError, StrategyError
from simlab.kernel.spec import Fallback, Population, SimulationSpec

__all__ = ["provenance"]


def provenance(spec: SimulationSpec) -> dict[str, Any]:
    """Return what goes into the manifest.

    Returns
    -------
    dict
        Under ``plugins`` the SHA-256 of every file of the strategies from outside simlab, by path (see
        `simlab.agents.registry.source_files`); under ``provenance``, by population, what its strategy says
        of itself (`Strategy.provenance`), and what those that it falls back on say, as ``fallback.0.KEY``.

    Raises
    ------
    StrategyError
        When a strategy cannot say it.
    """
    outside = sorted({file for it in spec.cast for file in source_files(it.strategy)})
    told = {population.name: _told(population) for population in spec.populations}
    return {
        "plugins": {str(file): _sha256(file) for file in outside},
        "provenance": {name: it for name, it in told.items() if it},
    }


def _told(population: Population) -> dict[str, str]:
    """Return what all strategies that decide for a population say."""
    found = _told_by(population, f"populations.{population.name}")
    for i, it in enumerate(population.fallback):
        own = _told_by(it, f"populations.{population.name}.fallback.{i}")
        found |= {f"fallback.{i}.{key}": value for key, value in own.items()}
    return found


def _told_by(decider: Population | Fallback, path: str) -> dict[str, str]:
    strategy = decider.strategy
    if strategy.provenance is None:
        return {}
    try:
        told = strategy.provenance(decider.options)
    except SimlabError:
        raise
    except Exception as error:  # a plug-in's own code may raise anything
        raise StrategyError(
            f"{path}: strategy {strategy.name!r} cannot say its provenance ({type(error).__name__}: {error})"
        ) from error
    if isinstance(told, dict) and all(isinstance(it, str) for pair in told.items() for it in pair):
        return dict(told)
    raise StrategyError(
        f"{path}: provenance of strategy {strategy.name!r} must return texts by name, not {told!r}"
    )


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
