"""The commands that make many runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from simlab.cli.options import (
    AsJson,
    ConfigFile,
    Dask,
    DryRun,
    Resume,
    Settings,
    StudyFile,
    SweepsFolder,
    Workers,
)
from simlab.cli.output import show

__all__ = ["commands"]

commands = typer.Typer()


@commands.command(
    epilog="Examples:\n\n    simlab sweep experiments/tick_size/study.yaml\n\n"
    "    simlab sweep study.yaml --dry-run\n\n    simlab sweep study.yaml --resume\n\n"
    "    simlab sweep study.yaml --dask tcp://10.0.0.1:8786"
)
def sweep(
    study: StudyFile,
    out: SweepsFolder = "sweeps",
    workers: Workers = None,
    dask: Dask = None,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Make many runs of one experiment: a grid, samples or a list, with seeds and treatments; a row a run."""
    from rich.console import Console

    from simlab.console.sweeps import plan_table, sweep_table
    from simlab.runner.sweep import Sweep
    from simlab.runner.sweep import sweep as make_all
    from simlab.runner.sweep.estimate import run_seconds

    console = Console(stderr=True)
    made = Sweep.of(study)
    each_s = None if resume else run_seconds(made.tasks(made.plan))
    told = time_told(len(made.plan), each_s, 1 if dask else workers or os.cpu_count() or 1)
    console.print(f"{made.config.name}: {told}", highlight=False)
    if dry_run:
        show(plan_table(made.plan), made.plan.to_dict("records"), as_json)
        return
    found = make_all(made, out=out, workers=workers, dask=dask, resume=resume, console=console)
    show(sweep_table(found), found.to_dict("records"), as_json)
    if not as_json:
        typer.echo(found.attrs["place"])


@commands.command(
    epilog="Example: what a market maker less does\n\n    simlab pair configs/quickstart.yaml"
    " --set populations.makers.count=5 --vs populations.makers.count=1 --seeds 20"
)
def pair(
    file: ConfigFile,
    set_: Settings = None,
    vs: Annotated[
        list[str] | None, typer.Option("--vs", metavar="PATH=VALUE", help="What the other arm puts on top.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=2, help="Pairs of runs.")] = 20,
    warmup: Annotated[int, typer.Option(min=0, help="Steps left out at the start of every run.")] = 0,
    workers: Workers = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder that the rows of all runs are kept in.", show_default="nowhere"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two arms of one experiment, --set against --vs, with common random numbers, seed by seed."""
    from rich.console import Console

    from simlab.console.sweeps import pair_table
    from simlab.runner.sweep import pair as compare_pairs

    found = compare_pairs(
        file,
        set_ or (),
        vs or (),
        seeds=seeds,
        warmup=warmup,
        workers=workers,
        out=out,
        console=Console(stderr=True),
    )
    show(pair_table(found), found.to_dict("records"), as_json)


@commands.command(epilog="Examples:\n\n    simlab fit fit.yaml\n\n    simlab fit fit.yaml --resume")
def fit(
    study: Annotated[Path, typer.Argument(metavar="FIT", help="A YAML file; docs/scale.md describes it.")],
    out: Annotated[Path, typer.Option(help="Where the folder of the search is made.")] = Path("fits"),
    workers: Workers = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a search, or make it longer.")] = False,
    as_json: AsJson = False,
) -> None:
    """Search the parameters with which an experiment's measures meet their targets."""
    from rich.console import Console

    from simlab.console.sweeps import fit_table
    from simlab.runner.fit import fit as search

    found = search(
        study, out=out, workers=workers or os.cpu_count() or 1, resume=resume, console=Console(stderr=True)
    )
    row = {"loss": found.loss, "best": found.best, "trials": len(found.trials), "folder": str(found.folder)}
    show(fit_table(found.trials, found.best), [row], as_json)
    if not as_json:
        typer.echo(found.folder)


def time_told(runs: int, each_s: float | None, workers: int) -> str:
    """Say how many runs there are and how long they will take.

    Example
    -------
    >>> time_told(1200, 0.5, 2), time_told(1, None, 2)
    ('1,200 runs, about 5 min on 2 workers (0.50 s each)', '1 run')
    """
    counted = f"{runs:,} run{'' if runs == 1 else 's'}"
    if each_s is None:
        return counted
    total_s = runs * each_s / workers
    units = ((86_400, "days"), (3_600, "h"), (60, "min"), (1, "s"))
    size, unit = next((it for it in units if total_s >= 2 * it[0]), units[-1])
    return (
        f"{counted}, about {max(1, round(total_s / size))} {unit} on {workers} workers ({each_s:.2f} s each)"
    )


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
