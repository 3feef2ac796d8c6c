"""The gateway's process: `simlab live CONFIG --part gateway` replaces itself by it."""

from __future__ import annotations

import sys

from simlab.live.gateway.server import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
