"""What each part of a market does as a process: have files enough, say that it works, end in time."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from functools import cache
from typing import Any

from simlab.errors import ConfigError

try:
    import resource
except ImportError:  # on Windows, where nothing limits them so
    resource = None  # type: ignore[assignment]

__all__ = ["SUPERVISED", "allow_connections", "end_with_supervisor", "say_ready"]

SUPERVISED = "SIMLAB_SUPERVISED"
"""The environment variable that tells a part that its standard input is a pipe from its supervisor."""

_GRACE_S = 30.0
"""How long a part may take to end by itself."""

_OWN_FILES = 256
"""Files that a part has open beside its connections, and connections on their way to be refused."""


def allow_connections(count: int) -> None:
    """Let this process open as many files as so many connections take; most systems begin with 1024.

    Raises
    ------
    ConfigError
        When the system allows fewer.
    """
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _OWN_FILES
    if hard != resource.RLIM_INFINITY and wanted > hard:
        raise ConfigError(
            f"live.limits.connections: {count} connections take {wanted} open files, and a process may have"
            f" {hard}; raise that (ulimit -Hn), or take fewer"
        )
    if soft != resource.RLIM_INFINITY and wanted > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def say_ready(part: str, address: str, **more: Any) -> None:
    """Write one line of JSON on standard output: the part, where it listens, its process, and more."""
    end_with_supervisor()
    line = {"part": part, "address": address, "pid": os.getpid(), **more}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


@cache
def end_with_supervisor() -> None:
    """Let this process stop when its supervisor is gone, however that ended; nothing happens without one.

    The pipe at its standard input closes then. It is told to stop as by SIGTERM, and ended if it does not.
    """
    if SUPERVISED in os.environ:
        threading.Thread(target=_watch, name="supervisor", daemon=True).start()


def _watch() -> None:
    while os.read(0, 1 << 16):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_GRACE_S)
    os._exit(1)
