"""Write a run folder as the run goes on, off the kernel's thread and in bounded memory."""

from __future__ import annotations

import errno
import shutil
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

import numpy as np
import yaml
from numpy.typing import NDArray

from simlab.core.types import EVENT_DTYPE, EventKind
from simlab.errors import RecordingError
from simlab.recording.columns import arrow_table
from simlab.recording.manifest import CONFIG_FILE, FINISHED, Manifest, write_reached
from simlab.recording.parts import cut_parts, share_parts
from simlab.recording.queue import ClosedError, RecordQueue
from simlab.recording.recorder import Recorder
from simlab.recording.schema import TABLES, table_named

__all__ = ["RunWriter"]

_ROW_BYTES_WAITING = 32 << 20
_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
"""The C dumper, where PyYAML was built with it, is ten times as fast."""
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class RunWriter:
    """Record a run into a folder: Parquet tables, the configuration and a manifest.

    One thread splits, compresses and writes; the caller only copies. When the thread falls behind, the
    caller waits, so memory stays bounded. When the thread fails (a full disk), the next call raises
    instead of waiting for ever, and what was written stays readable.

    Parameters
    ----------
    path : Path
        The run folder; it is made, and must be empty if it exists.
    config : dict
        The resolved configuration, plain data.
    manifest : dict, optional
        Facts about the run for the manifest: seed, hashes of plug-in files and the like.
    rows_per_part : int, optional
        Rows after which a part is finished and gets its final name.
    seconds_per_part : float, optional
        Seconds after which whatever is waiting becomes a part, so that a slow run that is killed has
        lost little.
    queue_buffers : int, optional
        Buffers of events (`buffer_events` each, 64 bytes an event) that may wait for the thread.
    buffer_events : int, optional

    Raises
    ------
    RecordingError
        When the folder is not empty or cannot be made, `config` is not plain data, or a size is below 1.

    Notes
    -----
    Calls must come from one thread. A call to `events` costs a copy of 64 bytes an event. On a stream of
    accepts, cancels and fills the thread writes several million events a second on one core, at 6 to 8
    bytes an event.

    Example
    -------
    >>> import tempfile, numpy as np
    >>> from pathlib import Path
    >>> from simlab.core.types import EVENT_DTYPE
    >>> from simlab.recording import RunWriter, open_run
    >>> path = Path(tempfile.mkdtemp()) / "run"
    >>> with RunWriter(path, config={"steps": 1}, manifest={"seed": 7}) as writer:
    ...     writer.events(np.zeros(3, EVENT_DTYPE))
    ...     writer.finish({"event_log_hash": "0" * 16})
    >>> open_run(path).tables()["messages"]
    3
    """

    def __init__(
        self,
        path: Path | str,
        *,
        config: Mapping[str, Any],
        manifest: Mapping[str, Any] | None = None,
        rows_per_part: int = 1_000_000,
        seconds_per_part: float = 60.0,
        queue_buffers: int = 8,
        buffer_events: int = 65_536,
    ) -> None:
        _require_positive(
            rows_per_part=rows_per_part, queue_buffers=queue_buffers, buffer_events=buffer_events
        )
        self.path = Path(path)
        self._manifest = Manifest(self.path, manifest or {})
        self._make_folder(config)
        self._given = dict.fromkeys(TABLES, 0)
        self._start(rows_per_part, seconds_per_part, queue_buffers, buffer_events)

    @classmethod
    def reopen(
        cls,
        path: Path | str,
        rows: Mapping[str, int],
        *,
        step: int,
        rows_per_part: int = 1_000_000,
        seconds_per_part: float = 60.0,
        queue_buffers: int = 8,
        buffer_events: int = 65_536,
    ) -> Self:
        """Go on with a recording that ended early, behind its first rows; what follows them is removed.

        Parameters
        ----------
        path : Path
        rows : mapping of str to int
            How many rows of each table are kept, none of those not named: what `given` said at some time.
        step : int
            The step before which these rows are whole.

        Raises
        ------
        RecordingError
            When it is no recording, or has fewer rows.
        """
        writer = cls.__new__(cls)
        writer.path = Path(path)
        writer._manifest = Manifest.reopened(writer.path, step)
        writer._given = dict.fromkeys(TABLES, 0) | dict(rows)
        try:
            write_reached(writer.path, step)
            writer._manifest.write()
            for name, count in writer._given.items():
                cut_parts(writer.path / name, table_named(name), count)
        except OSError as error:
            raise RecordingError(f"cannot go on with the recording {path}: {error}") from error
        writer._start(rows_per_part, seconds_per_part, queue_buffers, buffer_events)
        return writer

    @classmethod
    def branch(
        cls,
        path: Path | str,
        source: Path | str,
        rows: Mapping[str, int],
        *,
        step: int,
        config: Mapping[str, Any],
        manifest: Mapping[str, Any] | None = None,
        rows_per_part: int = 1_000_000,
        seconds_per_part: float = 60.0,
        queue_buffers: int = 8,
        buffer_events: int = 65_536,
    ) -> Self:
        """Begin a recording with the first rows of another one, which the two share (`share_parts`).

        Parameters
        ----------
        path, config, manifest
            As of any recording; the folder must be empty.
        source : Path
            The other recording's folder; it may be going on.
        rows : mapping of str to int
            How many rows of each table, none of those not named.
        step : int
            The step before which these rows are whole.

        Raises
        ------
        RecordingError
            When the other has fewer rows, or the folder cannot be written.
        """
        writer = cls.__new__(cls)
        writer.path = Path(path)
        writer._manifest = Manifest(writer.path, manifest or {})
        writer._make_folder(config)
        writer._given = dict.fromkeys(TABLES, 0) | dict(rows)
        try:
            for name, count in writer._given.items():
                share_parts(Path(source) / name, writer.path / name, table_named(name), count)
            write_reached(writer.path, step)
        except OSError as error:
            raise RecordingError(f"cannot begin a recording in {path} with {source}: {error}") from error
        writer._start(rows_per_part, seconds_per_part, queue_buffers, buffer_events)
        return writer

    def _start(
        self, rows_per_part: int, seconds_per_part: float, queue_buffers: int, buffer_events: int
    ) -> None:
        self._outcome: str | None = None
        self._started_s = time.monotonic()
        self._queue = RecordQueue(queue_buffers, buffer_events, _ROW_BYTES_WAITING)
        self._recorder = Recorder(
            self.path, self._queue, rows_per_part=rows_per_part, seconds_per_part=seconds_per_part
        )
        self._recorder.start()

    @property
    def given(self) -> dict[str, int]:
        """How many rows of each table were handed over so far."""
        return dict(self._given)

    def _make_folder(self, config: Mapping[str, Any]) -> None:
        try:
            text = yaml.dump(dict(config), Dumper=_DUMPER, sort_keys=False, allow_unicode=True)
        except yaml.YAMLError as error:
            raise RecordingError(f"the configuration must be plain data that fits YAML: {error}") from error
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if any(self.path.iterdir()):
                raise RecordingError(
                    f"the run folder {self.path} is not empty; record into another folder, or delete this "
                    "one if its content is no longer wanted"
                )
            (self.path / CONFIG_FILE).write_text(text, encoding="utf-8")
            self._manifest.write()
        except OSError as error:
            raise RecordingError(f"cannot start a recording in {self.path}: {error}") from error

    def events(self, events: NDArray[np.void]) -> None:
        """Record events; they are copied, so the caller may reuse the memory.

        Parameters
        ----------
        events : (n,) EVENT_DTYPE
            In the order of their sequence numbers.

        Raises
        ------
        RecordingError
            When the recorder has failed or ended, or the dtype is another.
        """
        if events.dtype != EVENT_DTYPE or events.ndim != 1:
            raise RecordingError(
                f"events must be (n,) EVENT_DTYPE, not {events.shape} {events.dtype}; rows of words are "
                "viewed with rows.view(EVENT_DTYPE).ravel()"
            )
        try:
            self._queue.put_events(events)
        except ClosedError:
            self._refuse()
        fills = int(np.count_nonzero(events["kind"] == EventKind.FILL))
        self._given["trades"] += fills
        self._given["messages"] += len(events) - fills

    def rows(self, table: str, columns: Mapping[str, Any]) -> None:
        """Record rows of a table other than the event log's two.

        Parameters
        ----------
        table : str
            A name in `TABLES`. Rows of the static tables, agents and instruments, are on disk when the
            call returns.
        columns : mapping of str to (n,) array or list
            Every column of the table. Missing values, where the column allows them, are None, NaN or the
            mask of a masked array; categories are text or indices.

        Raises
        ------
        RecordingError
            When names, lengths or values do not fit the table, or the recorder has failed or ended.
        """
        declared = table_named(table)
        rows = arrow_table(declared, columns)
        if not rows.num_rows:
            return
        try:
            self._queue.put_rows(table, rows)
        except ClosedError:
            self._refuse()
        self._given[table] += rows.num_rows
        if declared.static:
            self.flush()

    def flush(self) -> None:
        """Wait until everything recorded so far stands in finished parts on disk.

        Raises
        ------
        RecordingError
            When the recorder has failed or ended.
        """
        try:
            self._queue.flush()
        except ClosedError:
            self._refuse()

    def commit(self, step: int) -> int:
        """Say that every step before `step` has been handed over whole, and number that; does not wait.

        As soon as all of it is on disk, the folder says so. Whatever then ends the process, a reader sees all
        tables up to the same step, the last that was committed.

        Parameters
        ----------
        step : int
            Not less than before.

        Returns
        -------
        int
            For `wait_for`.

        Raises
        ------
        RecordingError
            When the recorder has failed or ended.
        """
        try:
            return self._queue.commit(step)
        except ClosedError:
            self._refuse()

    def wait_for(self, commit: int) -> bool:
        """Wait until what a `commit` spoke of is on disk; False when the recorder ended before.

        Unlike all other calls this one may come from any thread.
        """
        return self._queue.wait_for(commit)

    def finish(self, summary: Mapping[str, Any] | None = None, *, step: int | None = None) -> None:
        """Write what is left and mark the run as finished.

        Parameters
        ----------
        summary : mapping, optional
            Facts known at the end, for the manifest: `event_log_hash` and the like. `seconds`, the time
            since the writer was made, is added unless given.
        step : int, optional
            The step before which everything has been handed over, as `commit` takes it; what it was told last
            by default.

        Raises
        ------
        RecordingError
            When anything could not be written; the manifest then says so, if there is room for it.
        """
        if self._outcome is not None:
            self._refuse()
        self._join()
        if not self._recorder.completed:
            self._refuse()
        if step is not None:
            self._recorder.reached = step
        seconds = round(time.monotonic() - self._started_s, 6)
        try:
            self._end(FINISHED, {"seconds": seconds, **(summary or {})})
        except OSError as error:
            self._fail(error)
        self._outcome = FINISHED

    def abandon(self, error: BaseException | str, facts: Mapping[str, Any] | None = None) -> None:
        """Write what is left and mark the run as failed, with the reason and what else is known of it.

        Never raises over a full disk.
        """
        if self._outcome is not None:
            return
        self._join()
        reason = f"{type(error).__name__}: {error}" if isinstance(error, BaseException) else error
        if not self._recorder.completed:
            reason += f"; and {self._explain(self._recorder.error)}"
        self._end_as_failed(reason, facts or {})

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.abandon(error)
        elif self._outcome is None:
            self.finish()

    def _join(self) -> None:
        self._queue.close()
        self._recorder.join()

    def _refuse(self) -> NoReturn:
        """Say why nothing more can be recorded."""
        if self._outcome is None:
            self._recorder.join()
            self._fail(self._recorder.error)
        raise RecordingError(
            f"the recording {self.path} has ended ({self._outcome}); "
            "record into another folder with a new RunWriter"
        )

    def _fail(self, error: BaseException | None) -> NoReturn:
        message = self._explain(error)
        self._end_as_failed(message, {})
        raise RecordingError(message) from error

    def _end_as_failed(self, reason: str, facts: Mapping[str, Any]) -> None:
        self._outcome = f"failed: {reason}"
        # on a full disk the manifest stays as it was, which reads as unfinished
        with suppress(OSError):
            self._end(self._outcome, facts)

    def _end(self, status: str, facts: Mapping[str, Any]) -> None:
        self._manifest.end(status, self._recorder.counts(), self._recorder.reached, facts)

    def _explain(self, error: BaseException | None) -> str:
        kept = f"{sum(self._recorder.counts().values())} rows written before are kept in {self.path}"
        if isinstance(error, OSError) and error.errno in _NO_SPACE:
            free = shutil.disk_usage(self.path).free
            return (
                f"the disk is full: cannot record to {self.path} ({free} bytes free now that "
                f"the unfinished part is removed); {kept}; free some space or choose a folder on another "
                "disk, and run again"
            )
        if error is None:
            return f"the recorder of {self.path} stopped unexpectedly, see the traceback it printed; {kept}"
        return f"cannot record to {self.path}: {error}; {kept}; remove the cause and run again"


def _require_positive(**sizes: int) -> None:
    for name, value in sizes.items():
        if value < 1:
            raise RecordingError(f"{name} is {value} and must be at least 1")
