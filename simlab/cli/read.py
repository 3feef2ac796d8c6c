"""The commands that read recorded runs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from simlab.cli.options import AsJson, RunFolders
from simlab.cli.output import show

__all__ = ["commands"]

commands = typer.Typer()


class _Format(StrEnum):
    HTML = "html"
    PDF = "pdf"


@commands.command(
    epilog="Examples:\n\n    simlab report runs/quickstart-1-1\n\n    simlab report runs/quickstart-1-1"
    " runs/large_tick-1-1 --out comparison.html\n\n    simlab report runs/quickstart-1-1 --format pdf"
)
def report(
    runs: RunFolders,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The file to write.",
            show_default="report.html in the run's folder; comparison.html beside it",
        ),
    ] = None,
    format_: Annotated[
        _Format | None,
        typer.Option("--format", help="pdf needs Chromium.", show_default="as the file is called, or html"),
    ] = None,
) -> None:
    """Write what a run or a sweep shows, or how several runs differ, as one file that works offline."""
    from simlab.analysis import open_run
    from simlab.analysis.compare import is_sweep, read_sweep
    from simlab.analysis.report import write_report, write_sweep_report

    suffix = out.suffix.lower() if out is not None else ""
    named = _Format.PDF if suffix == ".pdf" else _Format.HTML
    format_ = format_ or named
    if suffix not in ("", ".html", ".htm", ".pdf"):
        raise typer.BadParameter(f"{out} names no report; end it in .html or .pdf", param_hint="--out")
    if suffix in (".html", ".htm", ".pdf") and format_ is not named:
        raise typer.BadParameter(f"{out} is not a name for {format_.value}", param_hint="--format")
    stem = runs[0] / "report" if len(runs) == 1 else runs[0].resolve().parent / "comparison"
    target = out or stem.with_name(f"{stem.name}.{format_.value}")
    if len(runs) == 1 and is_sweep(runs[0]):
        typer.echo(write_sweep_report(read_sweep(runs[0]), target, format=format_.value))
        return
    typer.echo(write_report([open_run(folder) for folder in runs], target, format=format_.value))


@commands.command(
    epilog="Examples:\n\n    simlab facts runs/quickstart-1-1\n\n    simlab facts daily_prices.csv --json"
)
def facts(
    source: Annotated[
        Path, typer.Argument(metavar="RUN|FILE.csv", help="A run, or prices: a date column and `close`.")
    ],
    explain: Annotated[bool, typer.Option("--explain", help="Say how each is measured and judged.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print which stylised facts of real markets a run, or a price series, shows; a line a fact."""
    from simlab.analysis.facts import card
    from simlab.console.findings import facts_table

    found = card(source)
    for note in found.attrs["notes"] if as_json else ():
        typer.echo(f"{source}: {note}", err=True)
    show(facts_table(str(source), found, explain), found.to_dict("records"), as_json)


@commands.command(
    epilog="Example: the same seeds with and without a market maker, paired by seed\n\n"
    "    simlab compare runs/with-1-1 runs/with-2-1 runs/without-1-1 runs/without-2-1"
)
def compare(
    runs: RunFolders,
    warmup: Annotated[
        str, typer.Option(metavar="STEPS|auto", help="Steps to leave out at the start; auto finds them.")
    ] = "0",
    baseline: Annotated[
        Path | None,
        typer.Option(metavar="RUN", help="A run of the treatment to compare with.", show_default="the first"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare runs: by seed where they are paired, with intervals, corrected for many comparisons.

    The runs of one configuration with different seeds are one treatment; the first one given, or that of
    --baseline, is compared with each of the others.
    """
    from rich.console import Console

    from simlab.analysis import open_run
    from simlab.analysis.compare import compare as work
    from simlab.console.findings import comparison_tables

    if warmup != "auto" and not warmup.isdecimal():
        raise typer.BadParameter(f"{warmup!r} is neither a number of steps nor auto", param_hint="--warmup")
    found = work(
        [open_run(folder) for folder in runs],
        warmup="auto" if warmup == "auto" else int(warmup),
        baseline=None if baseline is None else open_run(baseline),
    )
    for note in found.attrs["notes"] if as_json else ():
        typer.echo(note, err=True)
    show(comparison_tables(found, Console().width), found.to_dict("records"), as_json)
