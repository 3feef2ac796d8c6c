"""Write down what enters the market, with what the service knows of it, before it is answered."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from simlab.kernel.inbox import ENTRY
from simlab.runner.journal import Journal, Record

__all__ = ["Log", "parts_of"]

_NOTHING = np.zeros(0, ENTRY)
_encoder = msgspec.msgpack.Encoder()


class Log:
    """Gather what belongs to the next frame of the journal, and write it.

    A frame says when it was written, what the service knew before its rows entered, and the step reached.

    Parameters
    ----------
    journal : Journal, optional
        Without one nothing is written.
    always : bool
        Whether `settle` waits for the disk.
    """

    def __init__(self, journal: Journal | None = None, *, always: bool = False) -> None:
        self.journal, self._always = journal, always
        self.now_s = 0.0
        self.rows = 0
        """Rows written."""
        self._parts: list[tuple[str, Any]] = []
        self._step = -1
        self._unsettled = False
        self._spent_s = 0.0

    def before(self, kind: str, content: Any) -> None:
        """Note something that is to be known before what enters the market next."""
        if self.journal is not None:
            self._parts.append((kind, content))

    def entered(self, rows: NDArray[Any], texts: list[Any]) -> None:
        """Write down what enters, as `Simulation.journal` is told of it."""
        self.rows += len(rows)
        self._append(int(rows["step"][0]), rows, texts)

    def write(self, step: int) -> None:
        """Write down what was noted and goes with nothing that enters, and that a step was reached."""
        if self._parts or step != self._step:
            self._append(step, _NOTHING, ())

    def settle(self) -> None:
        """Wait for the disk, where nothing is to be answered before."""
        if self._unsettled and self._always and self.journal is not None:
            began_s = time.perf_counter()
            self.journal.sync()
            self._spent_s += time.perf_counter() - began_s
        self._unsettled = False

    def spent_s(self) -> float:
        """Return the time spent here since this was asked last, s."""
        spent, self._spent_s = self._spent_s, 0.0
        return spent

    def _append(self, step: int, rows: NDArray[Any], texts: Any) -> None:
        if self.journal is None:
            return
        began_s = time.perf_counter()
        service = _encoder.encode((self.now_s, self._parts))
        self._parts.clear()
        self.journal.append(Record(step, rows, texts, service))
        self._step, self._unsettled = step, True
        self._spent_s += time.perf_counter() - began_s


def parts_of(record: Record) -> tuple[float, list[tuple[str, Any]]]:
    """Return when a frame was written, s since 1970, and what the service noted in it."""
    now_s, parts = msgspec.msgpack.decode(record.service)
    return float(now_s), [(kind, content) for kind, content in parts]
