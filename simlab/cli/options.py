"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "AsJson",
    "ConfigFile",
    "Dask",
    "DryRun",
    "Resume",
    "RunFolders",
    "Seed",
    "Settings",
    "Steps",
    "StudyFile",
    "SweepsFolder",
    "Workers",
]

ConfigFile = Annotated[Path, typer.Argument(metavar="FILE", help="A YAML file; see `simlab schema`.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Put a value on top, e.g. populations.noise.count=50."),
]
Seed = Annotated[int | None, typer.Option(help="The run's seed, in place of the file's.")]
Steps = Annotated[int | None, typer.Option(help="Number of steps, in place of the file's.")]
RunFolders = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of recorded runs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, one object a line.")]

# Of the commands that make many runs from a study.
StudyFile = Annotated[Path, typer.Argument(metavar="STUDY", help="A YAML file; docs/scale.md describes it.")]
SweepsFolder = Annotated[
    str, typer.Option(metavar="DIR|URL", help="Where the folder of the results is made; s3://... too.")
]
Workers = Annotated[int | None, typer.Option(min=1, help="Processes of this machine.", show_default="cores")]
Dask = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Let the workers of this Dask scheduler do it.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on; runs that are done stay as they are.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="List the runs and the time they will take.")]
