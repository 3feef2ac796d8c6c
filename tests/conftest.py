"""What all tests need of the process they run in."""

from __future__ import annotations

import signal

collect_ignore_glob = ["*conftest.py"]
"""Not modules with examples: here and in the folders below, one would be taken for the other."""


def pytest_configure() -> None:
    """Let Ctrl-C be heard, here and in every process that a test starts.

    Whoever starts the tests in the background, as a shell script or a CI service does, may have SIGINT
    ignored or blocked, which processes inherit.
    """
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.default_int_handler)
