"""The commands that run one experiment, check it, and tell what it may say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from simlab.cli.options import AsJson, ConfigFile, Seed, Settings, Steps
from simlab.cli.output import print_json, show

if TYPE_CHECKING:
    from simlab.config import ExperimentConfig
    from simlab.runner import Outcome

__all__ = ["commands"]

commands = typer.Typer()


@commands.command(
    epilog="Examples:\n\n    simlab run configs/quickstart.yaml\n\n    simlab run my.yaml --seed 7 --set"
    " populations.noise.count=500\n\n    simlab run my.yaml --steps 1000 --no-record --json"
)
def run(
    file: ConfigFile,
    set_: Settings = None,
    seed: Seed = None,
    steps: Steps = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder in which the run's own folder is made.", show_default="runs")
    ] = None,
    no_record: Annotated[bool, typer.Option("--no-record", help="Write nothing.")] = False,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no tables.")] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Ask no language model: show the first prompts and the expected cost."
        ),
    ] = False,
) -> None:
    """Run one experiment and record it."""
    from simlab.config import load
    from simlab.runner import execute
    from simlab.runner.interrupts import Interrupts

    config = load(file, set=set_ or (), seed=seed, steps=steps)
    if dry_run:
        _rehearse(config, as_json)
        return
    with Interrupts() as interrupts:
        outcome = execute(config, out=out, record=not no_record, progress=not quiet, interrupts=interrupts)
    _tell(outcome, config, quiet, as_json)


@commands.command(epilog="Example:\n\n    simlab resume runs/quickstart-1-1")
def resume(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run that did not end.")],
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no tables.")] = False,
) -> None:
    """Go on with a recorded run that was killed or stopped, from its latest checkpoint, to the end."""
    from simlab.runner.interrupts import Interrupts
    from simlab.runner.resume import config_of, resume_run

    with Interrupts() as interrupts:
        outcome = resume_run(folder, progress=not quiet, interrupts=interrupts)
    _tell(outcome, config_of(folder), quiet, as_json)


@commands.command(
    epilog="Examples:\n\n    simlab fork runs/quickstart-1-1 --at 5000"
    " --set instruments.ACME.taker_fee_ppm=500"
    "\n\n    simlab fork runs/quickstart-1-1 --at 5000 --set populations.makers.leaves=5000 --json"
    "\n\n    simlab fork runs/quickstart-1-1 --at 10000 --steps 20000"
)
def fork(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of the run that it branches off.")],
    at: Annotated[int, typer.Option("--at", metavar="STEP", help="The first step that may be another.")],
    set_: Settings = None,
    seed: Annotated[int | None, typer.Option(help="Another seed for what is still to be drawn.")] = None,
    steps: Annotated[int | None, typer.Option(help="Number of steps, from the parent's first.")] = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder in which the fork's own folder is made.", show_default="beside RUN"),
    ] = None,
    no_record: Annotated[bool, typer.Option("--no-record", help="Write nothing.")] = False,
    as_json: AsJson = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bar and no tables.")] = False,
) -> None:
    """Branch off a recorded run at a step, with something changed from there on, and run it to the end.

    What came before is shared with RUN, from whose nearest checkpoint it starts.
    Its manifest names RUN, the step and what was changed; nothing else draws anew.

    Fees, ticks, parameters, strategies, who joins and leaves, news, shocks,
    processes, seed and length may change; instruments, counts and the past may not.
    """
    from simlab.config import load
    from simlab.recording.manifest import CONFIG_FILE
    from simlab.runner.fork import fork_run
    from simlab.runner.interrupts import Interrupts

    with Interrupts() as interrupts:
        outcome = fork_run(
            folder, at, set=set_ or (), seed=seed, steps=steps, out=out, record=not no_record,
            progress=not quiet, interrupts=interrupts,
        )  # fmt: skip
    config = load(folder / CONFIG_FILE, set=set_ or (), seed=seed, steps=steps)
    _tell(outcome, config, quiet, as_json)


@commands.command(epilog="Example:\n\n    simlab verify runs/quickstart-1-1")
def verify(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.")],
    as_json: AsJson = False,
) -> None:
    """Run a run again in a fresh process and compare event log and tables; exit status 1 if they differ."""
    from simlab.runner.verify import verify_run

    found = verify_run(folder)
    if as_json:
        print_json(found.as_dict())
    else:
        typer.echo(
            f"{folder} is {'the same' if found.same else 'not the same'} again; event-log hash {found.again}"
        )
        for it in found.differences:
            where = f"row {it.row}" + (f" (step {it.step})" if it.step is not None else "")
            typer.echo(f"{it.table}: {where}: {it.column} was {it.recorded} and is {it.again}")
        for key, (then, now) in found.environment.items():
            typer.echo(f"{key} was {then} and is {now}")
    if not found.same:
        raise typer.Exit(1)


def _tell(outcome: Outcome, config: ExperimentConfig, quiet: bool, as_json: bool) -> None:
    """Print how a run went."""
    from simlab.recording import open_run

    agreement, lines = [], []
    if outcome.run_dir is not None and any(it.strategy == "replay" for it in config.populations.values()):
        from simlab.runner.agreement import agreement_lines, replay_agreement

        agreement = replay_agreement(open_run(outcome.run_dir))
        lines = agreement_lines(agreement)
    if not quiet:
        from rich.console import Console

        from simlab.console import summary_tables

        units = {name: instrument.price_unit for name, instrument in config.instruments.items()}
        console = Console(stderr=as_json)
        console.print(summary_tables(outcome.summary, units))
        console.print(
            f"{outcome.messages:,} messages, {outcome.trades:,} trades in {outcome.seconds:.2f} s;"
            f" event-log hash {outcome.event_log_hash}",
            highlight=False,
        )
        for line in lines:
            console.print(line, highlight=False)
    if as_json:
        print_json(outcome.as_dict() | ({"replays": agreement} if agreement else {}))
    elif outcome.run_dir is not None:
        typer.echo(outcome.run_dir)


def _rehearse(config: ExperimentConfig, as_json: bool) -> None:
    from rich.console import Group

    from simlab.console.rehearsal import first_prompts, rehearsal_table
    from simlab.runner.rehearsal import rehearse

    rows = [it.as_dict() for it in rehearse(config)]
    show(Group(first_prompts(rows), rehearsal_table(rows)), rows, as_json)


@commands.command(epilog="Example:\n\n    simlab validate my.yaml --set seed=7")
def validate(file: ConfigFile, set_: Settings = None, seed: Seed = None, steps: Steps = None) -> None:
    """Check a file and everything it names, without running it; lists every problem."""
    from simlab.config import validate as check

    config = check(file, set=set_ or (), seed=seed, steps=steps)
    agents = sum(population.count for population in config.populations.values())
    typer.echo(
        f"{file} is valid: {len(config.instruments)} instruments, {len(config.populations)} populations,"
        f" {agents:,} agents, {config.steps:,} steps"
    )


@commands.command(epilog="Example:\n\n    simlab schema > simlab.schema.json")
def schema() -> None:
    """Print the JSON Schema of a configuration file, with descriptions and units, for editors."""
    from simlab.config import schema as json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


@commands.command(
    epilog="Examples:\n\n    simlab strategies\n\n    simlab strategies market_maker\n\n"
    "    simlab strategies strategies/mine.py"
)
def strategies(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]", help="One strategy: a name, module:Attr or file.py:Attr; or all of file.py."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the strategies, or describe one with its parameters and their units."""
    from simlab.agents.registry import known_strategies, resolve, strategies_in
    from simlab.console.strategies import strategy_as_dict, strategy_details, strategy_table

    if name is None or name.endswith(".py"):
        found = known_strategies() if name is None else strategies_in(name)
        show(strategy_table(found), [strategy_as_dict(it) for it in found.values()], as_json)
    else:
        strategy = resolve(name)
        show(strategy_details(strategy), [strategy_as_dict(strategy)], as_json)
