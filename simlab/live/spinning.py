"""Run an event loop that looks for more work for a moment before it sleeps.

A processor that sleeps takes longer to wake than an order takes to be matched, and every order wakes several
processes in turn. So a loop that has just heard from a socket asks again for a tenth of a millisecond, giving
way to whoever else wants the processor, before it waits. A loop that hears nothing does not spin.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import time
from collections.abc import Coroutine
from typing import Any

__all__ = ["SpinningSelector", "run_spinning"]

_SPIN_S = 100e-6

_Found = list[tuple[selectors.SelectorKey, int]]


class SpinningSelector(selectors.DefaultSelector):
    """Wait for sockets; after it heard of any, first without sleeping."""

    _heard = False

    def select(self, timeout: float | None = None) -> _Found:
        if timeout is not None and timeout <= 0:  # the loop has more to do, and does not wait
            found = super().select(0)
            self._heard |= bool(found)
        else:
            found = self._spin(timeout) if self._heard else super().select(timeout)
            self._heard = bool(found)
        return found

    def _spin(self, timeout_s: float | None) -> _Found:
        look, now = super().select, time.perf_counter
        found = look(0)
        end_s = now() + (_SPIN_S if timeout_s is None else min(_SPIN_S, timeout_s))
        while not found and now() < end_s:
            os.sched_yield()
            found = look(0)
        if found or (timeout_s is not None and timeout_s <= _SPIN_S):
            return found
        return look(None if timeout_s is None else timeout_s - _SPIN_S)


def _loop() -> asyncio.AbstractEventLoop:
    """Return a loop that spins where somebody else can work meanwhile: with more than one processor."""
    spins = hasattr(os, "sched_yield") and hasattr(os, "sched_getaffinity")
    if spins and len(os.sched_getaffinity(0)) > 1:
        return asyncio.SelectorEventLoop(SpinningSelector())
    return asyncio.new_event_loop()


def run_spinning(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, as `asyncio.run` does.

    Example
    -------
    >>> async def greet() -> None:
    ...     print("hello")
    >>> run_spinning(greet())
    hello
    """
    with asyncio.Runner(loop_factory=_loop) as runner:
        runner.run(main)
