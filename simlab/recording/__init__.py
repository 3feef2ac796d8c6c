"""Write and read runs as Parquet: writer, manifest, reader.

A run is a folder: the resolved configuration (``config.yaml``), a manifest (``manifest.json``) and one
folder of Parquet parts a table. `TABLES` declares the tables, `RunWriter` writes a run as it goes on, and
`open_run` reads one, finished or not.

Imports nothing of simlab but `core` and `errors`; pyarrow, pandas and DuckDB are loaded on use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from simlab.recording.schema import TABLES

if TYPE_CHECKING:
    from simlab.recording.run import Run, open_run
    from simlab.recording.writer import RunWriter

__all__ = ["TABLES", "Run", "RunWriter", "open_run"]

_HOMES = {"Run": "run", "RunWriter": "writer", "open_run": "run"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
