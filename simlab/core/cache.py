"""Choose the folder that compiled code is kept in.

Numba notices when the file of a cached function changes, but not when a function that was inlined into it
does. The folder therefore bears a fingerprint of the sources that are compiled into one another. Without a
folder of its own Numba would look for another place, one without a fingerprint, or refuse to compile at all.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import stat
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import platformdirs

__all__ = ["choose_folder", "fingerprint"]

_REMEDY = "set NUMBA_CACHE_DIR to a folder that can be written"


def fingerprint(files: Iterable[Path]) -> str:
    """Return sixteen digits that change with the content of any of the files."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def choose_folder(name: str, asked: str = "") -> Path | None:
    """Return a folder that can be written, or None when there is none; say so when it is not the usual one.

    Parameters
    ----------
    name : str
        What the folder is called inside the user's cache folder, or inside a temporary folder of the user's
        when that one cannot be written.
    asked : str
        A folder to take instead, if it can be written.
    """
    usual = Path(asked) if asked else Path(platformdirs.user_cache_dir("simlab")) / name
    reason = _why_not(usual)
    if not reason:
        return usual
    instead = _temporary_folder(name)
    if instead is None:
        _say(f"compiled code is not kept ({usual}: {reason}): every start takes a minute longer; {_REMEDY}")
    else:
        _say(f"compiled code is kept in {instead} for now ({usual}: {reason}); {_REMEDY}")
    return instead


def _why_not(folder: Path) -> str:
    """Return why a folder cannot be written, after making it; an empty text if it can."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return ""
    except OSError as error:
        return error.strerror or str(error)


def _temporary_folder(name: str) -> Path | None:
    """Return a folder below the system's temporary one, which nobody else can write to, or None.

    What is read from it is run, so a folder that another user made there beforehand is not taken.
    """
    try:
        user = os.getuid() if hasattr(os, "getuid") else "user"
        own = Path(tempfile.gettempdir()) / f"simlab-{user}"
        own.mkdir(mode=0o700, exist_ok=True)
        found = own.lstat()
    except OSError:
        return None
    if not stat.S_ISDIR(found.st_mode):
        return None
    if hasattr(os, "getuid") and (found.st_uid != os.getuid() or found.st_mode & 0o022):
        return None
    return None if _why_not(own / name) else own / name


def _say(text: str) -> None:
    if multiprocessing.parent_process() is None:  # a worker's parent has said it
        print(f"simlab: {text}", file=sys.stderr)
