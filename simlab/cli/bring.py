"""The commands that bring in recorded order flow: `simlab import ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simlab.cli.output import print_json

__all__ = ["commands"]

commands = typer.Typer(no_args_is_help=True, help="Turn recorded order flow into message tables.")


@commands.command(
    "databento", epilog="Example:\n\n    simlab import databento day.mbo.dbn.zst --out day.parquet"
)
def import_databento(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="DBN files of schema mbo.")],
    out: Annotated[Path, typer.Option(help="The message table to write, .parquet.")],
) -> None:
    """Import Databento market-by-order files."""
    from simlab.importing.databento import import_databento as work

    print_json(work(files, out))


@commands.command(
    "lobster",
    epilog="Example:\n\n    simlab import lobster AAPL_2012-06-21_message_50.csv --out aapl.parquet",
)
def import_lobster(
    message: Annotated[Path, typer.Argument(metavar="MESSAGE.csv", help="A LOBSTER message file.")],
    out: Annotated[Path, typer.Option(help="The message table to write, .parquet.")],
) -> None:
    """Import a LOBSTER message file."""
    from simlab.importing.lobster import import_lobster as work

    print_json(work(message, out))
