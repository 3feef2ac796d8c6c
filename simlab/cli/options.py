"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["AsJson", "ConfigFile", "RunFolders", "Seed", "Settings", "Steps"]

ConfigFile = Annotated[Path, typer.Argument(metavar="FILE", help="A YAML file; see `simlab schema`.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Put a value on top, e.g. populations.noise.count=50."),
]
Seed = Annotated[int | None, typer.Option(help="The run's seed, in place of the file's.")]
Steps = Annotated[int | None, typer.Option(help="Number of steps, in place of the file's.")]
RunFolders = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of recorded runs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, one object a line.")]
