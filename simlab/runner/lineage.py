"""Say what a fork goes on from, in its own folder, so that it can be resumed, forked and proven without it.

The folder ``origin`` of a fork has the market as it was when it began, as a checkpoint; the configurations of
all it descends from, the first run's as ``0.yaml``; and the journal, where others traded in the first run.
The tables of what came before are shared with the parent (`simlab.recording.parts.share_parts`).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from simlab.config import ExperimentConfig, load, resolved
from simlab.errors import RecordingError
from simlab.recording import Run
from simlab.recording.manifest import CONFIG_FILE
from simlab.runner.author import Position
from simlab.runner.checkpoint import CHECKPOINTS_FOLDER, Checkpoint, Checkpoints
from simlab.runner.journal import journal_folder

__all__ = [
    "PARENT",
    "ancestors",
    "changes_between",
    "journal_of",
    "keep_ancestors",
    "nearest",
    "origin",
    "origin_folder",
    "parents",
    "start_of",
]

PARENT = "parent"
"""What a manifest says of the run that a fork goes on from."""


def origin_folder(folder: Path) -> Path:
    """Return where a fork keeps what it began with."""
    return folder / "origin"


def origin(folder: Path) -> Checkpoints:
    """Return the checkpoint that a fork began with, as the only one of its kind."""
    return Checkpoints(origin_folder(folder), keep=1)


def parents(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what a manifest says of all that a fork descends from, the first run first; none of another."""
    found = []
    parent = manifest.get(PARENT)
    while parent is not None:
        found.append(parent)
        parent = parent.get(PARENT)
    return found[::-1]


def ancestors(run: Run) -> list[tuple[ExperimentConfig, int]]:
    """Return the configurations that a fork ran under before its own, and the step up to which each held."""
    files = [origin_folder(run.path) / f"{i}.yaml" for i in range(len(parents(run.manifest)))]
    missing = next((it for it in files if not it.is_file()), None)
    if missing is not None:
        raise RecordingError(f"{missing} is missing, without which nobody knows what came before; restore it")
    return [(load(file), it["step"]) for file, it in zip(files, parents(run.manifest), strict=True)]


def keep_ancestors(parent: Run, folder: Path, journal: Path | None) -> None:
    """Put into a fork's folder what its parent and all before ran under, and the first one's journal."""
    own = origin_folder(folder)
    own.mkdir(parents=True, exist_ok=True)
    count = len(parents(parent.manifest))
    for i in range(count):
        shutil.copyfile(origin_folder(parent.path) / f"{i}.yaml", own / f"{i}.yaml")
    shutil.copyfile(parent.path / CONFIG_FILE, own / f"{count}.yaml")
    if journal is not None:
        (own / journal.name).mkdir()
        for file in journal.iterdir():
            shutil.copyfile(file, own / journal.name / file.name)


def journal_of(folder: Path) -> Path | None:
    """Return the journal of a run, or of the first one that it descends from, where others traded in it."""
    return next((it for it in map(journal_folder, (folder, origin_folder(folder))) if it.is_dir()), None)


def start_of(run: Run) -> tuple[Checkpoint | None, Position]:
    """Return what a run that has no other checkpoint goes on from: its beginning, or where a fork began.

    Raises
    ------
    RecordingError
        When it is a fork that was killed before it began.
    """
    if PARENT not in run.manifest:
        return None, Position()
    found = origin(run.path).latest()
    if found is None:
        parent = run.manifest[PARENT]
        raise RecordingError(
            f"{run.path} was killed before it began; remove it, and fork again: simlab fork {parent['path']}"
            f" --at {parent['step']}"
        )
    return found, found.position


def nearest(folder: Path, step: int) -> Checkpoint | None:
    """Return the latest checkpoint of a run that is not after a step, also the one that a fork began with."""
    found = Checkpoints(folder / CHECKPOINTS_FOLDER).before(step)
    return origin(folder).before(step) if found is None else found


def changes_between(old: ExperimentConfig, new: ExperimentConfig) -> dict[str, list[Any]]:
    """Return what differs between two configurations: by dotted path, what it was and what it is.

    Example
    -------
    >>> one = load({"steps": 10, "instruments": {"ACME": {"initial_price": 100}}})
    >>> changes_between(one, load(one, steps=20))
    {'steps': [10, 20]}
    """
    return dict(_differing(resolved(old), resolved(new), ()))


def _differing(old: Any, new: Any, path: tuple[str, ...]) -> Iterator[tuple[str, list[Any]]]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {**old, **new}:
            yield from _differing(old.get(key), new.get(key), (*path, str(key)))
    elif old != new:
        yield ".".join(path), [old, new]
