"""Tell what processes hold in memory, and the most that this one held."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

__all__ = ["peak_mb", "rss_mb"]


def rss_mb(pid: int | None = None) -> float:
    """Return what a process, by default this one, holds in memory, MiB; NaN where that is not told.

    Example
    -------
    >>> 1.0 < rss_mb() <= peak_mb() + 1.0
    True
    """
    return round(_told("VmRSS", "self" if pid is None else str(pid)), 1)


def peak_mb() -> float:
    """Return the most that this process held in memory so far, MiB.

    Linux hands `ru_maxrss` on from the parent to the program it starts; what `/proc` tells begins anew.
    """
    if Path("/proc/self/status").exists():
        return _told("VmHWM", "self")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def _told(name: str, pid: str) -> float:
    status = Path(f"/proc/{pid}/status")
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
    return float("nan")
