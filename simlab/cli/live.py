"""The command that opens a market to the world."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from simlab.cli.options import AsJson, ConfigFile, Seed, Settings, Steps

__all__ = ["commands"]

commands = typer.Typer()


@commands.command(epilog="Example:\n\n    simlab live configs/quickstart.yaml")
def live(
    file: ConfigFile,
    part: Annotated[
        str | None, typer.Option(help="Run one part only: engine, gateway, dashboard or agents.")
    ] = None,
    set_: Settings = None,
    seed: Seed = None,
    steps: Steps = None,
    out: Annotated[Path, typer.Option(help="Folder in which the run's own folder is made.")] = Path("runs"),
    run_dir: Annotated[Path | None, typer.Option(help="Folder of a run to go on with.", hidden=True)] = None,
    as_json: AsJson = False,
) -> None:
    """Open a market that people and programs trade in while it runs."""
    from simlab.config import load

    config = load(file, set=set_ or (), seed=seed, steps=steps)
    if part == "engine":
        import_module("simlab.live.engine.process").run(config, out=out, run_dir=run_dir)
    else:
        raise typer.BadParameter(f"there is no part {part!r}; the parts are: engine", param_hint="--part")
