"""Wait for what strategies do asynchronously: one event loop a run, on a thread of its own.

So it works where another loop runs already (notebooks, servers), and a client that a strategy keeps between
its decisions stays on the loop that it was made on.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections.abc import Awaitable, Sequence
from typing import Any

__all__ = ["EventLoop"]


class EventLoop:
    """An event loop that starts when it is first needed and ends with its owner."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def wait(self, awaitables: Sequence[Awaitable[Any]]) -> list[Any]:
        """Wait for all together; return what each returned or raised, in their order.

        When the waiting thread is interrupted all are cancelled.
        """
        future = asyncio.run_coroutine_threadsafe(_gather(awaitables), self._running())
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise

    def _running(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            thread = threading.Thread(target=self._loop.run_forever, name="simlab strategies", daemon=True)
            thread.start()
            weakref.finalize(self, _stop, self._loop, thread)
        return self._loop


async def _gather(awaitables: Sequence[Awaitable[Any]]) -> list[Any]:
    return await asyncio.gather(*awaitables, return_exceptions=True)


def _stop(loop: asyncio.AbstractEventLoop, thread: threading.Thread) -> None:
    loop.call_soon_threadsafe(loop.stop)
    thread.join(timeout=1.0)
    if not thread.is_alive():
        with contextlib.suppress(RuntimeError):
            loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
