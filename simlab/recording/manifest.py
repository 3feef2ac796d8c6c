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
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from simlab.errors import RecordingError
from simlab.recording.schema import FORMAT_VERSION

__all__ = [
    "CONFIG_FILE",
    "FINISHED",
    "MANIFEST_FILE",
    "REACHED_FILE",
    "RUNNING",
    "Manifest",
    "read_manifest",
    "read_reached",
    "write_reached",
    "writer_of",
]

MANIFEST_FILE = "manifest.json"
CONFIG_FILE = "config.yaml"
REACHED_FILE = "reached.json"
RUNNING = "running"
FINISHED = "finished"

_OURS = ("status", "format_version", "pid", "host", "started", "ended", "counts", "reached", "resumed")
_OF_THE_END = ("ended", "counts", "reached", "failed")
"""What only a run that ended says of itself."""
_NEARBY_SHOWN = 5
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
            "host": platform.node(),
            "started": _now(),
            "versions": {"python": platform.python_version()}
            | {name: _version(name) for name in _VERSIONS_OF},
        }
        self._add(facts)

    @classmethod
    def reopened(cls, folder: Path, step: int) -> Manifest:
        """Return the manifest of a run that goes on at a step, written by this process from now on."""
        content = read_manifest(folder)
        manifest = cls(folder, {})
        own = {key: manifest._content[key] for key in ("status", "pid", "host")}
        former = {key: it for key, it in content.items() if key not in _OF_THE_END}
        again = {"step": step, "at": _now(), "versions": manifest._content["versions"]}
        manifest._content = former | own | {"resumed": [*content.get("resumed", ()), again]}
        return manifest

    def write(self) -> None:
        """Put the manifest on disk; raises OSError when that fails."""
        _write_whole(self._path, _text(self._content))

    def end(
        self, status: str, counts: Mapping[str, int], reached: int | None, facts: Mapping[str, Any]
    ) -> None:
        """Write how the run ended: its status, the rows of each table on disk, and the caller's facts.

        `reached` is the step before which all tables are whole; None when nobody said.
        """
        self._add(facts)
        self._content |= {"status": status, "ended": _now(), "counts": dict(counts)}
        if reached is not None:
            self._content["reached"] = reached
        self.write()
        (self._path.parent / REACHED_FILE).unlink(missing_ok=True)

    def _add(self, facts: Mapping[str, Any]) -> None:
        taken = [key for key in facts if key in _OURS]
        if taken:
            raise RecordingError(
                f"the manifest key {taken[0]!r} is written by the recorder; use another name"
            )
        content = self._content | dict(facts)
        _text(content)
        self._content = content


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return what the manifest in a run folder says.

    Raises
    ------
    RecordingError
        When the folder is not that of a run; the message names runs nearby.
    """
    file = folder / MANIFEST_FILE
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        missing = f"it has no {MANIFEST_FILE}" if folder.is_dir() else "there is no such folder"
        raise RecordingError(f"{folder} is not a run: {missing}; {_nearby(folder)}") from error
    except (OSError, ValueError) as error:
        raise RecordingError(f"cannot read {file}: {error}; restore it or record the run again") from error
    if not isinstance(manifest, dict):
        raise RecordingError(f"{file} is not the manifest of a run; restore it or record the run again")
    return manifest


def _nearby(path: Path) -> str:
    around = [folder for folder in (path, path.parent) if folder.is_dir()]
    found = sorted(str(file.parent) for folder in around for file in folder.glob(f"*/{MANIFEST_FILE}"))
    if not found:
        return f"no run is in {path} or beside it; give the folder that was recorded into"
    more = "" if len(found) <= _NEARBY_SHOWN else f" and {len(found) - _NEARBY_SHOWN} more"
    return f"runs nearby: {', '.join(found[:_NEARBY_SHOWN])}{more}"


def writer_of(manifest: Mapping[str, Any]) -> str:
    """Say what became of the process that writes a run: running, killed, or either, as far as is known."""
    if manifest.get("host") != platform.node():
        return "running or killed"
    try:
        os.kill(int(manifest["pid"]), 0)
    except ProcessLookupError:
        return "killed"
    except (OSError, KeyError, TypeError, ValueError):
        return "running or killed"
    return RUNNING


def write_reached(folder: Path, step: int) -> None:
    """Say in a run folder that all tables on disk hold every step before `step`; raises OSError."""
    _write_whole(folder / REACHED_FILE, json.dumps({"reached": step}) + "\n")


def read_reached(folder: Path) -> int | None:
    """Return what `write_reached` said last; None when it said nothing, or the run has ended since."""
    try:
        return int(json.loads((folder / REACHED_FILE).read_text(encoding="utf-8"))["reached"])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RecordingError(f"cannot read {folder / REACHED_FILE}: {error}") from error


def _write_whole(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.writing")
    with temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _text(content: Mapping[str, Any]) -> str:
    try:
        return json.dumps(content, indent=2, default=_plain) + "\n"
    except (TypeError, ValueError) as error:
        raise RecordingError(f"the manifest must be plain data that fits JSON: {error}") from error


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


@cache
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
