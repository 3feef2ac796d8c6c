"""End a run that Ctrl-C cannot stop: a strategy that never returns keeps Python from hearing the first one.

Python runs the handler of a signal between two of its own instructions, of which there are none while
compiled code loops. The signal itself comes through at once, as a byte in a pipe (`signal.set_wakeup_fd`),
and compiled code lets other threads run, so a thread at the other end of the pipe can speak, and end the
process.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

__all__ = ["EXIT_INTERRUPTED", "EXIT_TERMINATED", "Interrupts", "Terminated"]

EXIT_INTERRUPTED, EXIT_TERMINATED = 130, 143
"""As a shell says it of a process that SIGINT or SIGTERM ended."""


class Terminated(KeyboardInterrupt):
    """Say that SIGTERM ended a run, between two steps."""

    exit_code = EXIT_TERMINATED


class Interrupts(AbstractContextManager["Interrupts"]):
    """While entered, the first Ctrl-C stops the run when it can be stopped, the second ends the process.

    SIGTERM stops it at the end of the step under way, the second one ends the process.

    It does nothing outside the main thread, which is the only one that hears signals, and where somebody else
    listens already (an event loop).

    Attributes
    ----------
    describe : callable
        Says what is under way, for the message of the second Ctrl-C. It is called from another thread.
    heard : int
        How often Ctrl-C was pressed. Whoever steps looks at it: the exception that Python raises at the first
        gets lost where it comes up in a callback of a library, such as LLVM's while compiled code is loaded.
    terminated : int
        How often SIGTERM came. Python raises nothing then.
    """

    def __init__(self) -> None:
        self.describe: Callable[[], str] = lambda: ""
        self.heard = self.terminated = 0
        self._terminating: Any = None
        self._ends: tuple[int, int] | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        reading, writing = os.pipe()
        os.set_blocking(writing, False)
        before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        if before != -1:
            signal.set_wakeup_fd(before)
            os.close(reading)
            os.close(writing)
            return self
        self._ends = reading, writing
        self._terminating = signal.signal(signal.SIGTERM, lambda number, frame: None)  # heard by the thread
        self._thread = threading.Thread(target=self._watch, args=(reading,), name="interrupts", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._ends is None or self._thread is None:
            return
        reading, writing = self._ends
        signal.signal(signal.SIGTERM, self._terminating)
        signal.set_wakeup_fd(-1)
        os.close(writing)
        self._thread.join()
        os.close(reading)
        self._ends = None

    def _watch(self, reading: int) -> None:
        while received := os.read(reading, 64):
            for number in received:
                if number == signal.SIGINT:
                    self.heard += 1
                    if self.heard > 1:
                        self._end(EXIT_INTERRUPTED)
                    _say("stopping after this decision; press Ctrl-C again to end at once")
                elif number == signal.SIGTERM:
                    self.terminated += 1
                    if self.terminated > 1:
                        self._end(EXIT_TERMINATED)
                    _say("stopping after this step; another SIGTERM ends at once")

    def _end(self, code: int) -> None:
        try:
            what = self.describe()
        except Exception:  # the run is in the midst of anything; the process ends whatever it can say
            what = ""
        try:
            _say(f"ended at once{f': {what}' if what else ''}")
        finally:  # nobody may be listening any more
            os._exit(code)


def _say(text: str) -> None:
    """Write a line to stderr without Python's buffers, whose locks the main thread may hold."""
    os.write(2, f"\n{text}\n".encode())
