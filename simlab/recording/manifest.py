"""Keep the manifest: what a run was, with which versions, and how it ended.

A run that is going on, or was killed, has the status ``running`` and the process id that wrote it; only a
run that came to its end has ``finished``.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from simlab.errors import RecordingError
from simlab.recording.schema import FORMAT_VERSION

__all__ = ["CONFIG_FILE", "FINISHED", "MANIFEST_FILE", "RUNNING", "Manifest"]

MANIFEST_FILE = "manifest.json"
CONFIG_FILE = "config.yaml"
RUNNING = "running"
FINISHED = "finished"

_OURS = ("status", "format_version", "pid", "started", "ended", "counts")
_VERSIONS_OF = ("simlab", "numpy", "numba", "pandas", "pyarrow")


class Manifest:
    """Write `manifest.json` in a run folder, whole or not at all.

    Parameters
    ----------
    folder : Path
    facts : mapping
        What the caller knows of the run: seed, hashes of plug-in files, and whatever else is plain data.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self._path = folder / MANIFEST_FILE
        self._content: dict[str, Any] = {
            "status": RUNNING,
            "format_version": FORMAT_VERSION,
            "pid": os.getpid(),
            "started": _now(),
            "versions": {"python": platform.python_version()}
            | {name: _version(name) for name in _VERSIONS_OF},
        }
        self._add(facts)

    def write(self) -> None:
        """Put the manifest on disk; raises OSError when that fails."""
        temporary = self._path.with_name(f".{MANIFEST_FILE}.writing")
        with temporary.open("w", encoding="utf-8") as file:
            file.write(_text(self._content))
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._path)

    def end(self, status: str, counts: Mapping[str, int], facts: Mapping[str, Any]) -> None:
        """Write how the run ended: its status, the rows of each table on disk, and the caller's facts."""
        self._add(facts)
        self._content |= {"status": status, "ended": _now(), "counts": dict(counts)}
        self.write()

    def _add(self, facts: Mapping[str, Any]) -> None:
        taken = [key for key in facts if key in _OURS]
        if taken:
            raise RecordingError(
                f"the manifest key {taken[0]!r} is written by the recorder; use another name"
            )
        content = self._content | dict(facts)
        _text(content)
        self._content = content


def _text(content: Mapping[str, Any]) -> str:
    try:
        return json.dumps(content, indent=2, default=_plain) + "\n"
    except (TypeError, ValueError) as error:
        raise RecordingError(f"the manifest must be plain data that fits JSON: {error}") from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed as a package"


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{value!r} is a {type(value).__name__}")
