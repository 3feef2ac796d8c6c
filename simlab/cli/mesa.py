"""The command that shows a market as a Mesa model in a browser."""

from __future__ import annotations

from typing import Annotated

import typer

from simlab.cli.options import ConfigFile, Seed, Settings, Steps

__all__ = ["commands"]

commands = typer.Typer()


@commands.command(
    epilog="Examples:\n\n    simlab mesa configs/quickstart.yaml\n\n    simlab mesa my.yaml --steps 2000"
    " --port 8765 --no-browser"
)
def mesa(
    file: ConfigFile,
    set_: Settings = None,
    seed: Seed = None,
    steps: Steps = None,
    port: Annotated[int, typer.Option(help="Where the page is served on this machine; 0 for any free.")] = 0,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Open no browser.")] = False,
) -> None:
    """Play with a market in the browser: Mesa's page with price, book and P&L (extra `mesa`)."""
    from simlab.config import load

    config = load(file, set=set_ or (), seed=seed, steps=steps)
    from simlab.faces.mesa.server import serve

    typer.echo("starting; compiled code may have to be made first", err=True)
    serve(
        config,
        port=port,
        browser=not no_browser,
        say=lambda address: typer.echo(f"page  {address}\n\nCtrl-C ends it"),
    )
