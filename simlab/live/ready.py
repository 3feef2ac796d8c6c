"""What a part of the market owes to whoever started it: to say that it works, and to end with it."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from functools import cache
from typing import Any

__all__ = ["SUPERVISED", "end_with_supervisor", "say_ready"]

SUPERVISED = "SIMLAB_SUPERVISED"
"""The environment variable that tells a part that its standard input is a pipe from its supervisor."""

_GRACE_S = 30.0
"""How long a part may take to end by itself."""


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
