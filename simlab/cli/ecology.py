"""The command that lets strategies play against each other."""

from __future__ import annotations

import os

import typer

from simlab.cli.many import time_told
from simlab.cli.options import AsJson, Dask, DryRun, Resume, StudyFile, SweepsFolder, Workers
from simlab.cli.output import show

__all__ = ["commands"]

commands = typer.Typer()


@commands.command(
    epilog="Examples:\n\n    simlab tournament experiments/ecology/study.yaml\n\n"
    "    simlab tournament study.yaml --dry-run\n\n    simlab tournament study.yaml --resume --json\n\n"
    "    simlab report sweeps/ecology"
)
def tournament(
    study: StudyFile,
    out: SweepsFolder = "sweeps",
    workers: Workers = None,
    dask: Dask = None,
    resume: Resume = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Run every mixture of some strategies; say what each earns, which mixtures last, and how they rank.

    --json gives one object: payoffs, ranking, equilibria and the place of the rows.
    """
    from rich.console import Console

    from simlab.analysis.compare import judge
    from simlab.console.ecology import equilibria_table, ranking_table
    from simlab.console.sweeps import plan_table
    from simlab.runner.sweep import Tournament
    from simlab.runner.sweep import tournament as make_all
    from simlab.runner.sweep.estimate import run_seconds

    console = Console(stderr=True)
    made = Tournament(study)
    plan = made.sweep.plan
    each_s = None if resume else run_seconds(made.sweep.tasks(plan))
    told = time_told(len(plan), each_s, 1 if dask else workers or os.cpu_count() or 1)
    console.print(f"{made.config.name}: {told}", highlight=False)
    if dry_run:
        show(plan_table(plan), plan.to_dict("records"), as_json)
        return
    found = make_all(made, out=out, workers=workers, dask=dask, resume=resume, console=console)
    judged = judge(found)
    rests = [
        {
            "mixture": dict(zip(judged.names, it.mixture.tolist(), strict=True)),
            "payoff": it.payoff,
            "regret": it.regret,
            "stable": it.stable,
        }
        for it in judged.equilibria
    ]
    answer = {
        "place": found.attrs["place"],
        "ranking": judged.ranking.to_dict("records"),
        "equilibria": rests,
        "payoffs": judged.payoffs.to_dict("records"),
    }
    show(ranking_table(judged.ranking), [answer], as_json)
    if not as_json:
        show(equilibria_table(judged.names, rests), [], as_json)
        typer.echo(found.attrs["place"])
