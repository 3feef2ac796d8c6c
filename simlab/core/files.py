"""Find out before the work whether its result can be written."""

from __future__ import annotations

import tempfile
from pathlib import Path

from simlab.errors import RecordingError

__all__ = ["require_writable_file", "require_writable_folder"]


def require_writable_folder(folder: Path, option: str = "--out") -> None:
    """Make a folder, if it is not there, and see whether files can be made in it.

    Parameters
    ----------
    folder : Path
    option : str
        How the user names another folder, for the message.

    Raises
    ------
    RecordingError
        When it is a file, or nothing can be written there.

    Example
    -------
    >>> import tempfile
    >>> require_writable_folder(Path(tempfile.mkdtemp()) / "runs")
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except FileExistsError as error:
        raise RecordingError(f"{folder} is a file, not a folder; name a folder with {option}") from error
    except OSError as error:
        raise RecordingError(
            f"nothing can be written to the folder {folder} ({error.strerror}); name another with {option}"
        ) from error


def require_writable_file(file: Path, option: str = "--out") -> None:
    """See whether a file can be written, or written anew; its folder is made, if it is not there.

    Parameters
    ----------
    file : Path
    option : str
        How the user names another file, for the message.

    Raises
    ------
    RecordingError
        When it is a folder, or nothing can be written there.

    Example
    -------
    >>> import tempfile
    >>> require_writable_file(Path(tempfile.mkdtemp()) / "table.parquet")
    """
    if file.is_dir():
        raise RecordingError(f"{file} is a folder; name a file in it with {option}")
    require_writable_folder(file.parent, option)
    if file.exists():
        try:
            file.open("ab").close()
        except OSError as error:
            raise RecordingError(
                f"{file} cannot be written ({error.strerror}); name another file with {option}"
            ) from error
