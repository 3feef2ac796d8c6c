"""The command that trains a model."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import typer

from simlab.cli.options import AsJson, RunFolders
from simlab.cli.output import print_json

__all__ = ["commands"]

commands = typer.Typer()


@commands.command(
    epilog="Examples:\n\n    simlab train configs/training/slow_news.yaml runs/slow_news-1-1\n\n"
    "    simlab train my.yaml runs/* --out models/first --json"
)
def train(
    config: Annotated[
        Path,
        typer.Argument(metavar="CONFIG", help="A YAML file: features, label, estimator; see docs/ml.md."),
    ],
    runs: RunFolders,
    out: Annotated[Path | None, typer.Option(help="The model's folder.", show_default="models/NAME")] = None,
    shuffle_labels: Annotated[
        bool,
        typer.Option(
            "--shuffle-labels", help="Learn nothing, from labels in a random order, to compare with."
        ),
    ] = False,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no tables.")] = False,
) -> None:
    """Train a model from recorded runs; write it with its card: scores, importances, what it is made of."""
    from rich.console import Console

    from simlab.console.tables import lines_table
    from simlab.runner.training import train as train_model

    console = Console(stderr=True)
    with nullcontext() if quiet else console.status("training") as status:
        progress = (lambda what: None) if status is None else status.update
        trained = train_model(config, runs, out=out, shuffle_labels=shuffle_labels, progress=progress)
    card = trained.card
    if not quiet:
        tables = Console(stderr=as_json)
        tables.print(lines_table(f"{card['estimator']}: scores", card["scores"]))
        tables.print(lines_table("By how much the score falls without a feature", card["importances"]))
    if as_json:
        print_json({"folder": trained.folder, **card})
    else:
        typer.echo(trained.folder)
