"""The command that opens a market to the world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from simlab.cli.options import AsJson, ConfigFile, Seed, Settings, Steps
from simlab.cli.output import print_json

if TYPE_CHECKING:
    from simlab.config import ExperimentConfig

__all__ = ["commands"]

commands = typer.Typer()


@commands.command(
    epilog="Examples:\n\n    simlab live configs/live.yaml\n\n    simlab live my.yaml --set"
    " live.steps_per_second=max --json"
)
def live(
    file: ConfigFile,
    part: Annotated[
        str | None, typer.Option(help="Run one part only: engine, gateway, dashboard or agents.")
    ] = None,
    set_: Settings = None,
    seed: Seed = None,
    steps: Steps = None,
    out: Annotated[Path, typer.Option(help="Folder in which the run's own folder is made.")] = Path("runs"),
    run_dir: Annotated[Path | None, typer.Option(help="Folder of a run to go on with.")] = None,
    as_json: AsJson = False,
) -> None:
    """Open a market that people and programs trade in while it runs."""
    from simlab.config import load
    from simlab.live.ready import end_with_supervisor

    if part is not None:
        end_with_supervisor()
    config = load(file, set=set_ or (), seed=seed, steps=steps)
    if part is not None:
        _run_part(part, config, out, run_dir)
        return
    arguments = ["--out", str(out)]
    for name, values in (("--set", set_ or ()), ("--seed", (seed,)), ("--steps", (steps,))):
        for value in values:
            arguments += [] if value is None else [name, str(value)]
    _supervise(file, config, arguments, run_dir, as_json)


def _run_part(part: str, config: ExperimentConfig, out: Path, run_dir: Path | None) -> None:
    from simlab.live.settings import PARTS, settings_of

    if part == "engine":
        import_module("simlab.live.engine.process").run(config, out=out, run_dir=run_dir)
    elif part == "gateway":
        import_module("simlab.live.gateway").serve(settings_of(config))
    elif part == "dashboard":
        import_module("simlab.live.dashboard.server").serve(settings_of(config))
    elif part == "agents":
        import_module("simlab.live.agents.runner").run(config, run_dir=run_dir)
    else:
        parts = ", ".join(PARTS)
        raise typer.BadParameter(f"there is no part {part!r}; the parts are: {parts}", param_hint="--part")


def _supervise(
    file: Path, config: ExperimentConfig, arguments: Sequence[str], run_dir: Path | None, as_json: bool
) -> None:
    """Start all parts, say where they are, and keep them running until Ctrl-C or SIGTERM."""
    import asyncio

    from simlab.live.parts import market_parts
    from simlab.live.settings import settings_of, token_of
    from simlab.live.supervisor import Supervisor

    token_of(settings_of(config))  # an error here is better than in four processes

    def started(healthy: Mapping[str, Mapping[str, Any]]) -> None:
        if as_json:
            shown = {name: {"address": it["address"], "pid": it["pid"]} for name, it in healthy.items()}
            print_json(shown | {"run_dir": healthy["engine"]["run_dir"]})
        else:
            _say_where(healthy)

    async def supervise() -> None:
        parts = market_parts(file, arguments, run_dir=run_dir)
        await Supervisor(parts, say=lambda text: typer.echo(text, err=True)).run(started)

    asyncio.run(supervise())


def _say_where(healthy: Mapping[str, Mapping[str, Any]]) -> None:
    gateway = f"http://{healthy['gateway']['address']}"
    typer.echo(
        f"page       http://{healthy['dashboard']['address']}\n"
        f"market     {gateway} (WebSocket at /ws, REST at /api)\n"
        f"engine     {healthy['engine']['address']} (TCP, JSON lines)\n"
        f"recording  {healthy['engine']['run_dir']}\n"
        f'\nfrom simlab.live import Client\nmarket = Client("{gateway}", name="me")\n'
        "\nCtrl-C stops the market"
    )
