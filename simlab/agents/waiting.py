"""Wait for what strategies do asynchronously: one event loop a run, on a thread of its own.

So it works where another loop runs already (notebooks, servers), and a client that a strategy keeps between
its decisions stays on the loop that it was made on.

Example
-------
>>> import asyncio
>>> loop = EventLoop()
>>> loop.wait([asyncio.sleep(0, "first"), asyncio.sleep(0, "second")])
['first', 'second']
>>> loop.close()
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Awaitable, Sequence
from typing import Any

__all__ = ["EventLoop"]

_GRACE_S = 1.0
"""How long what was cancelled may take to end."""


class _RaisedError(Exception):
    """Carry whatever a strategy raised, so that it ends the strategy's task and not the loop."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error


class EventLoop:
    """An event loop that starts when it is first needed, and ends with its owner or when it is closed."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: Any = None

    def wait(self, awaitables: Sequence[Awaitable[Any]]) -> list[Any]:
        """Wait for all together; return what each returned or raised, in their order.

        When one raises, the others are cancelled: they may wait for it. What they return is then None. When
        the waiting thread is interrupted all are cancelled, and the loop is closed.
        """
        loop, future = self._running(), None
        try:
            future = asyncio.run_coroutine_threadsafe(_all(awaitables), loop)
            return future.result()
        except KeyboardInterrupt:
            if future is not None:
                future.cancel()
            self.close()
            raise

    def close(self) -> None:
        """Cancel what still runs and end the thread; a later `wait` begins anew."""
        if self._end is not None:
            self._end()
        self._loop = None

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            thread = threading.Thread(
                target=_serve, args=(self._loop,), name="simlab strategies", daemon=True
            )
            thread.start()
            self._end = weakref.finalize(self, _stop, self._loop, thread)
        return self._loop


async def _all(awaitables: Sequence[Awaitable[Any]]) -> list[Any]:
    tasks = [asyncio.ensure_future(_caught(it)) for it in awaitables]
    try:
        _, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    except asyncio.CancelledError:
        await _cancel(tasks)
        raise
    await _cancel(waiting)
    return [None if task in waiting else _outcome(task) for task in tasks]


async def _caught(awaitable: Awaitable[Any]) -> Any:
    try:
        return await awaitable
    except (Exception, SystemExit, KeyboardInterrupt, asyncio.CancelledError) as error:
        raise _RaisedError(error) from error


async def _cancel(tasks: Any) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        done, _ = await asyncio.wait(tasks, timeout=_GRACE_S)
        for task in done:
            if not task.cancelled():
                task.exception()  # looked at, so that it is not complained about


def _outcome(task: asyncio.Task[Any]) -> Any:
    raised = task.exception()
    return raised.error if isinstance(raised, _RaisedError) else raised or task.result()


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    """Run a loop until it is stopped, then end all that is left in it."""
    asyncio.set_event_loop(loop)
    while True:
        try:
            loop.run_forever()
            break
        except (SystemExit, KeyboardInterrupt):
            continue  # of a task that a strategy made; whoever waits for that task is told
    try:
        loop.run_until_complete(_cancel(asyncio.all_tasks(loop)))
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    if thread.is_alive():
        loop.call_soon_threadsafe(loop.stop)
    if thread is not threading.current_thread():
        thread.join(timeout=2 * _GRACE_S)
