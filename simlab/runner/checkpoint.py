"""Write down a running market, so that another process can go on with it, and how far its recording is.

A checkpoint is one file that appears whole or not at all: a magic line, a header of JSON (lengths, the step,
the position of the recording), the arrays of the State compressed one by one, what the caller adds, and a
CRC-32 of all that. It appears when the rows that were recorded before it are on disk.
"""

from __future__ import annotations

import json
import os
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from simlab.core.rows import new_rows
from simlab.errors import SimlabError
from simlab.kernel.inbox import texts_from_json, texts_to_json
from simlab.kernel.simulation import Simulation, Sink
from simlab.kernel.spec import SimulationSpec
from simlab.kernel.state import State
from simlab.runner.author import Position

__all__ = ["CHECKPOINTS_FOLDER", "Checkpoint", "Checkpoints", "Taken", "take"]

CHECKPOINTS_FOLDER = "checkpoints"
"""Folder of a run that they are in."""

_MAGIC = b"simlab checkpoint 1\n"
_SIZE = struct.Struct("<Q")
_CHECK = struct.Struct("<I")
_CODEC = "lz4_raw"
_SUFFIX = ".checkpoint"
_DTYPES = {name: str(dtype) for name, dtype in State.dtypes().items()}


@dataclass(frozen=True)
class Checkpoint:
    """A market as it was between two steps.

    `position` is how far its recording was, `extra` what whoever wrote it added, `file` where it is.
    """

    file: Path
    position: Position
    extra: bytes
    _header: dict[str, Any]
    _arrays: dict[str, NDArray[Any]]

    @property
    def step(self) -> int:
        """The next step to run."""
        return int(self._header["step"])

    def restore(self, spec: SimulationSpec, sink: Sink | None = None) -> Simulation:
        """Return the market, to go on with.

        Parameters
        ----------
        spec : SimulationSpec
            What the market was made of; instruments that it was given later are added here.
        sink : Sink, optional

        Raises
        ------
        SimlabError
            When it is not one of this specification.
        """
        added = tuple(texts_from_json(self._header["added"]))
        spec = replace(spec, instruments=(*spec.instruments, *added), added=added)  # type: ignore[arg-type]
        return Simulation.restore(spec, State.from_arrays(self._arrays), sink)


class Taken(NamedTuple):
    """A market that is to be written: its position, what the file says first, its arrays, what is added."""

    position: Position
    header: dict[str, Any]
    arrays: dict[str, NDArray[Any]]
    extra: bytes


class Checkpoints:
    """Keep the latest checkpoints of one run in a folder.

    Parameters
    ----------
    folder : Path
        Made with the first checkpoint.
    keep : int
        How many are kept.
    """

    def __init__(self, folder: Path, keep: int = 3) -> None:
        if keep < 1:
            raise SimlabError(f"keep is {keep}; keep 1 checkpoint or more")
        self._folder, self._keep = folder, keep
        self._thread: threading.Thread | None = None
        self._error: OSError | None = None

    def write(self, simulation: Simulation, *, position: Position, extra: bytes = b"") -> None:
        """Write a market that stands between two steps; the position must be on disk (`Author.settle`).

        Raises
        ------
        SimlabError
            When it cannot be written, or a strategy's object cannot be saved.
        """
        self.wait()
        self._write(take(simulation, position=position, extra=extra))
        self.wait()

    def begin(self, taken: Taken, settle: Callable[[Position], bool]) -> None:
        """Write a market that was taken, in a thread, once `settle` has waited for its position.

        One that is still being written is waited for first. Nothing is written when `settle` returns False.

        Raises
        ------
        SimlabError
            When the one before could not be written.
        """
        self.wait()

        def finish() -> None:
            if settle(taken.position):
                self._write(taken)

        self._thread = threading.Thread(target=finish, name=f"checkpoint of {self._folder}", daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Wait until everything begun is on disk.

        Raises
        ------
        SimlabError
            When it cannot be written.
        """
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise SimlabError(
                f"cannot write a checkpoint to {self._folder}: {error}; make room, or leave `checkpoint` out"
            ) from error

    @property
    def busy(self) -> bool:
        """Whether one is being written."""
        return self._thread is not None and self._thread.is_alive()

    def latest(self) -> Checkpoint | None:
        """Return the latest checkpoint that is whole, or None; those after it are removed."""
        for file in reversed(self._files()):
            found = _read(file)
            if found is not None:
                return found
            file.unlink()
        return None

    def before(self, step: int) -> Checkpoint | None:
        """Return the latest whole checkpoint whose step is not after `step`, or None."""
        files = [it for it in self._files() if int(it.stem.split("-")[0]) <= step]
        return next((it for it in map(_read, reversed(files)) if it is not None), None)

    def clear(self) -> None:
        """Remove all."""
        for file in self._files():
            file.unlink()

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(f"*{_SUFFIX}"))

    def _write(self, taken: Taken) -> None:
        header = taken.header
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            final = self._folder / f"{header['step']:015d}-{header['sequence']:018d}{_SUFFIX}"
            temporary = final.with_name(f".{final.name}.writing")
            with temporary.open("wb") as file:
                _write_content(file, header, taken.arrays, taken.extra)
                os.fsync(file.fileno())
            os.replace(temporary, final)
            _sync_folder(self._folder)
            for file_ in self._files()[: -self._keep]:
                file_.unlink()
            for left in self._folder.glob(f".*{_SUFFIX}.writing"):  # of a process that was killed
                left.unlink()
        except OSError as error:
            self._error = error


def take(simulation: Simulation, *, position: Position, extra: bytes = b"") -> Taken:
    """Copy a market that stands between two steps, with how far its recording is, for `Checkpoints.begin`.

    Raises
    ------
    SimlabError
        When a strategy's object cannot be saved.
    """
    arrays = simulation.kept()
    sizes = {name: len(array) for name, array in simulation.state.to_arrays().items()}
    header = {
        "step": simulation.step,
        "sequence": int(simulation.state.book.counters["sequence"][0]),
        "position": {"step": position.step, "rows": dict(position.rows)},
        "added": texts_to_json(simulation.spec.added),
        "arrays": [[name, _DTYPES[name], len(array), sizes[name]] for name, array in arrays.items()],
    }
    return Taken(position, header, arrays, extra)


def _write_content(file: Any, header: dict[str, Any], arrays: dict[str, NDArray[Any]], extra: bytes) -> None:
    packed = [_packed(array) for array in arrays.values()]
    header |= {"lengths": [len(it) for it in packed], "extra": len(extra)}
    text = json.dumps(header).encode()
    check = 0
    for piece in (_MAGIC, _SIZE.pack(len(text)), text, *packed, extra):
        check = crc32(piece, check)
        file.write(piece)
    file.write(_CHECK.pack(check))
    file.flush()


def _packed(array: NDArray[Any]) -> Any:
    plain = np.ascontiguousarray(array).view(np.uint8)
    return pa.compress(plain, codec=_CODEC) if len(plain) else b""


def _read(file: Path) -> Checkpoint | None:
    """Return a checkpoint, or None when the file is not whole.

    Raises
    ------
    SimlabError
        When it was written by another version of simlab.
    """
    data = file.read_bytes()
    if not data.startswith(_MAGIC) or _CHECK.pack(crc32(data[: -_CHECK.size])) != data[-_CHECK.size :]:
        return None
    start = len(_MAGIC) + _SIZE.size
    end = start + _SIZE.unpack_from(data, len(_MAGIC))[0]
    header = json.loads(data[start:end])
    arrays, dtypes = {}, State.dtypes()
    for (name, dtype, used, size), length in zip(header["arrays"], header["lengths"], strict=True):
        if _DTYPES.get(name) != dtype:
            raise SimlabError(
                f"{file} was written by another version of simlab ({name} is {dtype}); go on with that"
                " version, or run again from the beginning"
            )
        arrays[name] = _unpacked(data[end : end + length], dtypes[name], used, size)
        end += length
    position = Position(header["position"]["step"], header["position"]["rows"])
    return Checkpoint(file, position, data[end : end + header["extra"]], header, arrays)


def _unpacked(data: bytes, dtype: np.dtype[Any], used: int, size: int) -> NDArray[Any]:
    array = new_rows(size, dtype)
    if used:
        plain = pa.decompress(data, decompressed_size=used * dtype.itemsize, codec=_CODEC)
        array[:used] = np.frombuffer(plain, dtype)
    return array


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # a folder cannot be synced everywhere
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
