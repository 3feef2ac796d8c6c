"""Become the gateway's process, which is small: a thousand listeners take less memory than a compiler."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import simlab
from simlab.live.gateway.settings import GatewaySettings

if TYPE_CHECKING:
    from simlab.config.live import LiveConfig

__all__ = ["serve"]


def serve(live: LiveConfig) -> NoReturn:
    """Serve WebSocket and REST until SIGINT or SIGTERM, and say so in one line once it works.

    This process is replaced, under its number, by one that has not loaded what checks a configuration.

    Parameters
    ----------
    live : LiveConfig
        The section `live`, with the port that the engine listens on.

    Raises
    ------
    ConfigError
        When the environment variable with the token is not set.
    """
    from simlab.live.settings import token_of

    token_of(live)
    found_in = [str(Path(simlab.__file__).parent.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, found_in))}
    command = [sys.executable, "-P", "-m", "simlab.live.gateway", GatewaySettings.of(live).written()]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, command, environment)
