"""Let strategies decide so that a slow one holds up its own agent alone, and nobody's end."""

from __future__ import annotations

import asyncio
import faulthandler
import inspect
import logging
import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Any

__all__ = ["end_without_them", "finished", "leave", "leave_soon"]

_log = logging.getLogger("simlab.live.agents")
_MOST_THREADS = 64
_THREADS = ThreadPoolExecutor(_MOST_THREADS, thread_name_prefix="deciding")
_LONG_S = 10.0
"""How long a strategy may take to decide before the log says so."""
_GRACE_S = 1.0
"""How long the end of the process waits for strategies on threads."""
_STUCK_S = 5.0
"""How long after a signal the process ends, whatever it is doing."""
_MOST_NAMES = 5

_deciding: Counter[str] = Counter()
_on_threads: dict[Future[Any], str] = {}


async def finished(decide: Callable[[Any, Any], Any], observation: Any, orders: Any, *, who: str) -> None:
    """Let a strategy decide: here where it is asynchronous, else on a thread, while others go on.

    `who` is the agent, or the population that decides as one; the log names it when this takes long.

    Raises
    ------
    TypeError
        When `decide` returned something.

    Example
    -------
    >>> asyncio.run(finished(lambda observation, orders: orders.append("buy"), None, sent := [], who="me/0"))
    >>> sent
    ['buy']
    """
    with _named(who):
        if inspect.iscoroutinefunction(decide):
            answer = decide(observation, orders)
        else:
            future = _THREADS.submit(decide, observation, orders)
            _on_threads[future] = who
            future.add_done_callback(lambda it: _on_threads.pop(it, None))
            answer = await asyncio.wrap_future(future)
        if inspect.isawaitable(answer):
            answer = await answer
    if answer is not None:
        raise TypeError("decide() must return None: send messages through `orders`")


@contextmanager
def _named(who: str) -> Iterator[None]:
    """Know who decides, and say so once if it takes long."""
    text = "agent %s has been deciding for %g s: it sends nothing until its decide() returns"
    told = asyncio.get_running_loop().call_later(_LONG_S, _log.warning, text, who, _LONG_S)
    _deciding[who] += 1
    try:
        yield
    finally:
        told.cancel()
        _deciding[who] -= 1
        if not _deciding[who]:
            del _deciding[who]


def leave() -> None:
    """Return once no strategy is on a thread; where one does not return, end the process without it.

    A thread cannot be stopped, and the interpreter would wait for it for ever.
    """
    wait(list(_on_threads), timeout=_GRACE_S)
    names = sorted({name for it, name in list(_on_threads.items()) if not it.done()})
    if names:
        end_without_them(names, 1 if sys.exc_info()[0] else 0)


def leave_soon() -> None:
    """End the process in a few seconds, even if an asynchronous strategy never lets anybody else run."""
    timer = threading.Timer(_STUCK_S, lambda: end_without_them(sorted(_deciding), 0))
    timer.daemon = True
    timer.start()


def end_without_them(names: list[str], code: int) -> None:
    """End the process at once; the log says who was deciding, and where in its code."""
    shown = ", ".join(names[:_MOST_NAMES]) + (", ..." if len(names) > _MOST_NAMES else "")
    _log.warning(
        "decide() of %s had not returned at the end, and was cut off: give what it waits for a timeout%s",
        shown or "no agent",
        ", and await it where decide is async",
        exc_info=sys.exc_info()[0] is not None,
    )
    faulthandler.dump_traceback(all_threads=True)
    logging.shutdown()
    os._exit(code)
