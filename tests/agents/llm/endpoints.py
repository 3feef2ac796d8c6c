"""An endpoint for tests, in a process on loopback; see `simlab.bench.endpoint` for how it behaves."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def endpoint(delay_ms: float = 0.0) -> Iterator[str]:
    """Serve until the context ends; give the address."""
    command = [sys.executable, "-m", "simlab.bench.endpoint", "--delay-ms", str(delay_ms)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["base_url"]
        finally:
            process.stdin.close()
