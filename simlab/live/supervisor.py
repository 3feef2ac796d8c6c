"""Start the parts of a live market as processes, watch them, start again what dies, and stop all of them.

A part tells that it is healthy by one line of JSON on its standard output. What it writes to standard error
is kept in ``RUN/live/PART.log``. A part's standard input is a pipe from its supervisor: when that is gone,
however it ended, the pipe closes and the part ends too (`simlab.live.ready.end_with_supervisor`).
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from simlab.errors import LiveError
from simlab.live.ready import SUPERVISED

__all__ = ["Part", "Patience", "Supervisor"]

_LOG_BYTES = 5_000_000
_LOG_TAIL_LINES = 200
_SHOWN_LINES = 12
"""Lines of a part's log that are shown when it cannot be started."""
_MOST_LINE_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 16

_STOPPING = (signal.SIGINT, signal.SIGTERM)

Healthy = dict[str, Any]
"""What a part said when it was healthy: its `address`, `pid`, and of the engine `run_dir`."""


@dataclass(frozen=True)
class Part:
    """One process of a live market.

    `command` is asked before every start, with what all parts that are or were healthy have said, by name; so
    a part that is started again can have the address that it had. It is started when all of `needs` are
    healthy.
    """

    name: str
    command: Callable[[Mapping[str, Healthy]], Sequence[str]]
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Patience:
    """How long to wait for what, seconds, and how often to try.

    A part that died starts again after `first_s`, which doubles up to `longest_s` with every start that did
    not last `lasting_s`; after `tries` of these in a row the market is stopped. Compiled code may have to be
    made before a part is healthy, hence `healthy_s`; that it still starts is said every `told_s`. A part that
    is told to stop has `stop_s` for it.
    """

    first_s: float = 0.2
    longest_s: float = 10.0
    lasting_s: float = 30.0
    tries: int = 10
    healthy_s: float = 600.0
    told_s: float = 10.0
    stop_s: float = 30.0


class _Running:
    """A part and the process that it is now."""

    def __init__(self, part: Part) -> None:
        self.part, self.log = part, _Log(part.name)
        self.process: asyncio.subprocess.Process | None = None
        self.healthy = asyncio.Event()
        """Set when the part has been healthy once."""
        self._reading: list[asyncio.Task[None]] = []

    async def start(self, healthy: Mapping[str, Healthy], within_s: float) -> Healthy | None:
        """Start a process; return what it says when it is healthy, or None when it ended before."""
        process = self.process = await asyncio.create_subprocess_exec(
            *self.part.command(healthy),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {SUPERVISED: "1"},
            start_new_session=True,  # Ctrl-C is for the supervisor, which stops the parts in their order
        )
        said: asyncio.Future[Healthy | None] = asyncio.get_running_loop().create_future()
        self._reading = [
            asyncio.create_task(_listen(process.stdout, said)),
            asyncio.create_task(self.log.keep(process.stderr)),
        ]
        try:
            async with asyncio.timeout(within_s):
                return await said
        except TimeoutError:
            self.log.add(f"it was not healthy after {within_s:g} s and was killed")
            self.send(signal.SIGKILL)
            return None

    async def ended(self) -> str:
        """Wait until the process has ended, and say how."""
        if self.process is None:
            return "was not started"
        code = await self.process.wait()
        await asyncio.gather(*self._reading)
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def send(self, number: signal.Signals) -> bool:
        """Send a signal; return whether there is a process to take it."""
        if self.process is None or self.process.returncode is not None:
            return False
        self.process.send_signal(number)
        return True


class _StoppedError(Exception):
    """Say among the tasks of a supervisor that it was told to stop."""


class Supervisor:
    """Keep the parts of a live market running until it is told to stop.

    Parameters
    ----------
    parts : sequence of Part
        Each after those that it needs.
    say : callable
        Told in a line when a part starts, how long that took, when it died and when it is back.
    patience : Patience

    Attributes
    ----------
    healthy : dict
        What each part said when it was last healthy, by name.
    """

    def __init__(
        self, parts: Sequence[Part], *, say: Callable[[str], None], patience: Patience | None = None
    ) -> None:
        self.healthy: dict[str, Healthy] = {}
        self._patience = patience or Patience()
        self._say = say
        self._running = {it.name: _Running(it) for it in parts}
        self._stop = asyncio.Event()
        self._signals = 0

    async def run(self, started: Callable[[Mapping[str, Healthy]], None]) -> None:
        """Start everything, call `started` once all is healthy, and return when all has been stopped.

        SIGINT and SIGTERM stop it; a second one ends the parts at once.

        Raises
        ------
        LiveError
            When a part cannot be started, or died again and again; the others have been stopped.
        """
        loop = asyncio.get_running_loop()
        for number in _STOPPING:
            loop.add_signal_handler(number, self._signalled)
        tasks = [asyncio.create_task(self._keep(it)) for it in self._running.values()]
        tasks += [asyncio.create_task(self._stopped()), asyncio.create_task(self._tell(started))]
        try:
            await asyncio.gather(*tasks)
        except _StoppedError:
            pass
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._end_all()
            for number in _STOPPING:
                loop.remove_signal_handler(number)

    def _signalled(self) -> None:
        self._signals += 1
        self._stop.set()
        if self._signals > 1:
            for it in self._running.values():
                it.send(signal.SIGKILL)

    async def _stopped(self) -> None:
        await self._stop.wait()
        raise _StoppedError

    async def _tell(self, started: Callable[[Mapping[str, Healthy]], None]) -> None:
        for it in self._running.values():
            await it.healthy.wait()
        started(self.healthy)

    async def _keep(self, running: _Running) -> None:
        """Start a part when those that it needs are healthy, and again whenever it dies."""
        for name in running.part.needs:
            await self._running[name].healthy.wait()
        patience, name, log = self._patience, running.part.name, running.log
        failures, pause_s = 0, patience.first_s
        while True:
            began_s = time.monotonic()
            said = await self._started(running)
            if said is not None:
                self._is_healthy(running, said, time.monotonic() - began_s)
            ending = await running.ended()
            if not running.healthy.is_set():
                raise LiveError(f"part {name} could not be started: it {ending}{log.tail()}")
            if time.monotonic() - began_s >= patience.lasting_s:
                failures, pause_s = 0, patience.first_s
            failures += 1
            if failures > patience.tries:
                raise LiveError(
                    f"part {name} died {failures} times in a row, so all parts were stopped; {log.place()}"
                    f" says why{log.tail()}"
                )
            self._say(f"part {name} {ending}; it is started again in {pause_s:g} s")
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, patience.longest_s)

    async def _started(self, running: _Running) -> Healthy | None:
        """Start a part, and say that it starts for as long as it does."""
        telling = asyncio.create_task(self._tell_starting(running))
        try:
            return await running.start(self.healthy, self._patience.healthy_s)
        finally:
            telling.cancel()

    async def _tell_starting(self, running: _Running) -> None:
        name, every_s, began_s = running.part.name, self._patience.told_s, time.monotonic()
        if not running.healthy.is_set():
            self._say(f"part {name} is starting")
        while True:
            await asyncio.sleep(every_s)
            self._say(
                f"part {name} is still starting after {time.monotonic() - began_s:.0f} s (the first time,"
                f" code is compiled; it is given {self._patience.healthy_s:g} s)"
            )

    def _is_healthy(self, running: _Running, said: Healthy, took_s: float) -> None:
        again = running.healthy.is_set()
        self.healthy[running.part.name] = said
        self._place_logs()
        running.healthy.set()
        how = f"is back, process {said['pid']}" if again else f"is healthy after {took_s:.1f} s"
        self._say(f"part {running.part.name} {how}")

    def _place_logs(self) -> None:
        """Put the logs into the run folder, as soon as it is known."""
        folder = next((it["run_dir"] for it in self.healthy.values() if "run_dir" in it), None)
        if folder is not None:
            for it in self._running.values():
                it.log.put_into(Path(folder) / "live")

    async def _end_all(self) -> None:
        """Stop all parts, those first that need others."""
        for it in reversed(self._running.values()):
            if it.send(signal.SIGTERM):
                try:
                    async with asyncio.timeout(self._patience.stop_s):
                        await it.ended()
                except TimeoutError:
                    self._say(
                        f"part {it.part.name} did not stop in {self._patience.stop_s:g} s and was killed"
                    )
                    it.send(signal.SIGKILL)
                    await it.ended()
            it.log.close()


class _Log:
    """What a part writes to standard error: its latest lines, and a file of bounded size."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lines: deque[str] = deque(maxlen=_LOG_TAIL_LINES)
        self._file: RotatingFileHandler | None = None

    async def keep(self, stream: asyncio.StreamReader | None) -> None:
        """Read a stream to its end; lines need not end, or may be of any length."""
        rest = ""
        while stream is not None and (chunk := await stream.read(_CHUNK_BYTES)):
            *lines, rest = (rest + chunk.decode(errors="replace")).split("\n")
            lines, rest = ([*lines, rest], "") if len(rest) > _CHUNK_BYTES else (lines, rest)
            for line in lines:
                self.add(line)
        if rest:
            self.add(rest)

    def add(self, line: str) -> None:
        self._lines.append(line)
        if self._file is not None:
            self._file.emit(logging.LogRecord(self._name, logging.INFO, "", 0, "%s", (line,), None))

    def put_into(self, folder: Path) -> None:
        """Write what comes, and what has come, into a file of a folder."""
        if self._file is not None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        self._file = RotatingFileHandler(
            folder / f"{self._name}.log", maxBytes=_LOG_BYTES, backupCount=1, encoding="utf-8"
        )
        lines, self._lines = list(self._lines), deque(maxlen=_LOG_TAIL_LINES)
        for line in lines:
            self.add(line)

    def place(self) -> str:
        """Say where the log is."""
        return self._file.baseFilename if self._file is not None else "its log"

    def tail(self) -> str:
        """Return the last lines, each on a line of its own."""
        return "".join(f"\n  {self._name}: {line}" for line in list(self._lines)[-_SHOWN_LINES:])

    def close(self) -> None:
        if self._file is not None:
            self._file.close()


async def _listen(stream: asyncio.StreamReader | None, said: asyncio.Future[Healthy | None]) -> None:
    """Read a part's standard output to its end; the first line that is an object with a `pid` is `said`."""
    rest = b""
    while stream is not None and (chunk := await stream.read(_CHUNK_BYTES)):
        if said.done():
            continue
        *lines, rest = (rest + chunk)[-_MOST_LINE_BYTES:].split(b"\n")
        found = next((it for it in map(_object, lines) if "pid" in it), None)
        if found is not None and not said.done():
            said.set_result(found)
    if not said.done():
        said.set_result(None)


def _object(line: bytes) -> Healthy:
    """Return the JSON object of a line, an empty one where it is something else."""
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
