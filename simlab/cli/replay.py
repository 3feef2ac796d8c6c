"""The command that runs again what was traded from outside."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from simlab.cli.options import AsJson
from simlab.cli.output import print_json

__all__ = ["commands"]

commands = typer.Typer()


@commands.command(epilog="Example:\n\n    simlab replay runs/live-1-1")
def replay(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a live session or an episode.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Record it again, in a folder below this one.", show_default="not recorded"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a session or an episode again in batch, from its journal; fails unless its events are the same."""
    from simlab.runner.replay import replay_run

    found = replay_run(run, out=out)
    if as_json:
        print_json(found.as_dict())
    else:
        typer.echo(
            f"step {found.step:,}, {found.messages:,} messages, {found.trades:,} trades, {found.seconds:.2f}"
            f" s; event-log hash {found.event_log_hash}"
        )
    if not found.same:
        typer.echo(f"the session's own hash is {found.recorded_hash}: it is not the same", err=True)
        raise typer.Exit(1)
