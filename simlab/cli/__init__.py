"""The command line: it parses what is typed; the work is done elsewhere, and imported only when needed.

A group of commands is a module with its `commands`: `run`, `read`, `many`, `bring` (import) and `bench`;
`app` puts them together. It is the topmost layer and may import everything.
"""

from simlab.cli.app import main

__all__ = ["main"]
