"""The commands that measure speed: `simlab bench ...`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from simlab.cli.options import AsJson
from simlab.cli.output import show

__all__ = ["commands"]

commands = typer.Typer(no_args_is_help=True, help="Measure how fast this machine runs simlab.")


class _Engine(StrEnum):
    COMPILED = "compiled"
    REFERENCE = "reference"
    BOTH = "both"


class _Entry(StrEnum):
    BATCH = "batch"
    SINGLE = "single"


@commands.command(
    "engine",
    epilog="Examples:\n\n    simlab bench engine --engine compiled --peers\n\n"
    "    simlab bench engine --entry single",
)
def bench_engine(
    stream: Annotated[
        Path | None, typer.Option(help="A stream of messages, .npy.", show_default="two built-in streams")
    ] = None,
    engine: Annotated[_Engine, typer.Option(help="Engine to measure.")] = _Engine.BOTH,
    entry: Annotated[_Entry, typer.Option(help="Whole arrays, or one call a message.")] = _Entry.BATCH,
    peers: Annotated[
        bool,
        typer.Option("--peers", help="Measure a plain sortedcontainers book and bourse, too."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure the matching engines on a stream of messages."""
    from simlab.bench.engine import ENGINES
    from simlab.bench.engine import run as measure
    from simlab.bench.peers import missing_peers
    from simlab.console.tables import books_table

    if peers:
        for name in missing_peers():
            typer.echo(f"{name} is not installed and not measured; pip install {name}", err=True)
    engines = list(ENGINES) if engine is _Engine.BOTH else [engine.value]
    rows = measure(stream, engines, entry.value, peers=peers)
    show(books_table(rows), rows, as_json)


@commands.command("kernel", epilog="Example:\n\n    simlab bench kernel --agents 10000 --steps 1000")
def bench_kernel(
    agents: Annotated[int, typer.Option(min=1, help="Number of agents.")] = 1000,
    steps: Annotated[int, typer.Option(min=1, help="Number of steps.")] = 1000,
    level: Annotated[str, typer.Option(help="compiled, batch or agent.")] = "compiled",
    record: Annotated[bool, typer.Option("--record/--no-record", help="Record the run as well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure whole runs: activations and messages per second."""
    from simlab.bench.kernel import run as measure
    from simlab.console.tables import rows_table

    result = measure(agents, steps, level, record)
    show(rows_table("Kernel", [result]), [result], as_json)


@commands.command("ml", epilog="Example:\n\n    simlab bench ml --agents 1000 --json")
def bench_ml(
    agents: Annotated[int, typer.Option(min=1, help="Number of agents, of one population.")] = 1000,
    steps: Annotated[int, typer.Option(min=1, help="Number of steps.")] = 400,
    as_json: AsJson = False,
) -> None:
    """Measure what a population that trades on a gradient-boosted model adds to the model's own predict."""
    from simlab.bench.ml import run as measure
    from simlab.console.tables import rows_table

    result = measure(agents, steps)
    show(rows_table("Trading on a model", [result]), [result], as_json)


@commands.command("llm", epilog="Example:\n\n    simlab bench llm --decisions 1000 --json")
def bench_llm(
    agents: Annotated[int, typer.Option(min=1, help="Agents that decide in every step.")] = 100,
    decisions: Annotated[int, typer.Option(min=1, help="Decisions recorded, and replayed.")] = 10_000,
    as_json: AsJson = False,
) -> None:
    """Measure language models as agents, with an endpoint on this machine in place of a model.

    With 10,000 decisions it takes a few minutes.
    """
    from simlab.bench.llm import run as measure
    from simlab.console.tables import rows_table

    rows = measure(agents, decisions)
    show(rows_table("Language models", rows), rows, as_json)


@commands.command("env", epilog="Example:\n\n    simlab bench env --markets 64 --json")
def bench_env(
    steps: Annotated[int, typer.Option(min=1, help="Environment steps of each of 7 rounds.")] = 20_000,
    markets: Annotated[int, typer.Option(min=2, help="Markets in the vector environments.")] = 64,
    as_json: AsJson = False,
) -> None:
    """Measure environments of Gymnasium: one market, and many in one compiled call, on one core."""
    from simlab.bench.env import missing_peers
    from simlab.bench.env import run as measure
    from simlab.console.tables import lines_table

    for name in missing_peers():
        typer.echo(f"{name} is not installed and not measured", err=True)
    rows = measure(steps, markets)
    show(lines_table("Environments", rows), rows, as_json)


@commands.command("sweep", epilog="Example:\n\n    simlab bench sweep --runs 200 --json")
def bench_sweep(
    runs: Annotated[int, typer.Option(min=10, help="Runs of each sweep.")] = 200,
    steps: Annotated[int, typer.Option(min=1, help="Steps of each run.")] = 10_000,
    as_json: AsJson = False,
) -> None:
    """Measure sweeps: two workers beside one, what a run costs beyond its stepping, and memory."""
    from simlab.bench.sweep import run as measure
    from simlab.console.tables import rows_table

    rows = measure(runs, steps)
    show(rows_table("Sweeps", rows), rows, as_json)


@commands.command("checkpoint", epilog="Example:\n\n    simlab bench checkpoint --agents 100000 --json")
def bench_checkpoint(
    agents: Annotated[int, typer.Option(min=1, help="Number of agents.")] = 100_000,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long it runs with them.")] = 20.0,
    as_json: AsJson = False,
) -> None:
    """Measure checkpoints: the copy for which a run waits, the writing, and their share of its time."""
    from simlab.bench.checkpoint import run as measure
    from simlab.console.tables import rows_table

    rows = measure(agents, seconds)
    show(rows_table("Checkpoints", rows), rows, as_json)


@commands.command("fork", epilog="Example:\n\n    simlab bench fork --forks 100 --json")
def bench_fork(
    forks: Annotated[int, typer.Option(min=1, help="Forks of one market.")] = 100,
    steps: Annotated[
        int, typer.Option(min=2, help="Steps of the market; each fork runs half of them.")
    ] = 10_000,
    as_json: AsJson = False,
) -> None:
    """Measure forks of one market, in memory and recorded: a hundred are to take less than a minute."""
    from simlab.bench.fork import run as measure
    from simlab.console.tables import rows_table

    rows = measure(forks, steps)
    show(rows_table("Forks", rows), rows, as_json)


@commands.command("live", epilog="Example:\n\n    simlab bench live --seconds 3 --json")
def bench_live(
    work: Annotated[list[str] | None, typer.Option(help="One work by its name; may be repeated.")] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long each round trades.")] = 3.0,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds of each work.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Measure a live market: engine, gateway and clients as processes on this machine."""
    from simlab.bench.live import WORKS
    from simlab.bench.live import run as measure
    from simlab.console.tables import rows_table
    from simlab.errors import did_you_mean

    for name in work or ():
        if name not in WORKS:
            raise typer.BadParameter(
                f"there is no work {name!r}{did_you_mean(name, WORKS)}", param_hint="--work"
            )
    rows = measure(work, seconds, rounds)
    show(rows_table("Live market", rows), rows, as_json)
