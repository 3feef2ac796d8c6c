"""The commands that make many runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simlab.cli.options import AsJson
from simlab.cli.output import show

__all__ = ["commands"]

commands = typer.Typer()


@commands.command(
    epilog="Examples:\n\n    simlab replicate\n\n    simlab replicate gode_sunder_1993\n\n"
    "    simlab replicate --quick"
)
def replicate(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Studies.", show_default="all")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Where the studies are.")] = Path("experiments"),
    jobs: Annotated[int | None, typer.Option(min=1, help="Worker processes.", show_default="cores")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A tenth of the seeds; writes no table.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the studies of published results; print what the papers claim beside what simlab finds.

    The table in the folder's README and each study's figure are written anew.
    """
    from rich.console import Console

    from simlab.runner.replicate import claims_table, replicate_all, result_rows

    results = replicate_all(folder, names or (), jobs=jobs, quick=quick, console=Console(stderr=True))
    title = "Published results"
    title += ": a quick look, a tenth of the seeds, nothing to believe" if quick else ""
    show(claims_table(results, title), result_rows(results), as_json)
