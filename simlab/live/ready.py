"""Tell whoever started a part of the market that it works."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

__all__ = ["say_ready"]


def say_ready(part: str, address: str, **more: Any) -> None:
    """Write one line of JSON on standard output: the part, where it listens, its process, and more."""
    line = {"part": part, "address": address, "pid": os.getpid(), **more}
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()
