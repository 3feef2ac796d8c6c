"""Say what a run depends on that its configuration does not hold: the code of plug-ins, models, templates."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from simlab.agents.registry import source_files
from simlab.errors import SimlabError, StrategyError
from simlab.kernel.spec import Population, SimulationSpec

__all__ = ["provenance"]

_OWN = Path(__file__).resolve().parent.parent


def provenance(spec: SimulationSpec) -> dict[str, Any]:
    """Return what goes into the manifest.

    Returns
    -------
    dict
        Under ``plugins`` the SHA-256 of every file of the strategies from outside simlab, by path (see
        `simlab.agents.registry.source_files`); under ``provenance``, by population, what its strategy says
        of itself (`Strategy.provenance`).

    Raises
    ------
    StrategyError
        When a strategy cannot say it.
    """
    files = {file for it in spec.populations for file in source_files(it.strategy)}
    outside = sorted(file for file in files if not file.is_relative_to(_OWN))
    told = {it.name: _told(it) for it in spec.populations if it.strategy.provenance is not None}
    return {"plugins": {str(file): _sha256(file) for file in outside}, "provenance": told}


def _told(population: Population) -> dict[str, str]:
    strategy = population.strategy
    try:
        told = strategy.provenance(population.options)  # type: ignore[misc]
    except SimlabError:
        raise
    except Exception as error:  # a plug-in's own code may raise anything
        raise StrategyError(
            f"populations.{population.name}: strategy {strategy.name!r} cannot say its provenance"
            f" ({type(error).__name__}: {error})"
        ) from error
    if isinstance(told, dict) and all(isinstance(it, str) for pair in told.items() for it in pair):
        return told
    raise StrategyError(
        f"populations.{population.name}: provenance of strategy {strategy.name!r} must return texts by name,"
        f" not {told!r}"
    )


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
