"""Parse the command line; the work is done elsewhere, and imported only when a command needs it."""

from __future__ import annotations

import json
import math
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from simlab.errors import SimlabError

__all__ = ["app", "main"]

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130


class _Group(TyperGroup):
    """Print what simlab raises on purpose as a message, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except SimlabError as error:
            _print_error("error", str(error))
            raise typer.Exit(EXIT_ERROR) from error
        except KeyboardInterrupt as error:
            _print_error("stopped", str(error) or "interrupted")
            raise typer.Exit(EXIT_INTERRUPTED) from error


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: [bold]simlab run configs/quickstart.yaml[/bold]",
)
import_app = typer.Typer(no_args_is_help=True, help="Turn recorded order flow into message tables.")
bench_app = typer.Typer(no_args_is_help=True, help="Measure how fast this machine runs simlab.")
app.add_typer(import_app, name="import")
app.add_typer(bench_app, name="bench")

ConfigFile = Annotated[Path, typer.Argument(metavar="FILE", help="A YAML file; see `simlab schema`.")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="PATH=VALUE", help="Put a value on top, e.g. populations.noise.count=50."),
]
Seed = Annotated[int | None, typer.Option(help="The run's seed, in place of the file's.")]
Steps = Annotated[int | None, typer.Option(help="Number of steps, in place of the file's.")]
RunFolders = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of recorded runs.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, one object a line.")]


class _Engine(StrEnum):
    COMPILED = "compiled"
    REFERENCE = "reference"
    BOTH = "both"


class _Entry(StrEnum):
    BATCH = "batch"
    SINGLE = "single"


class _Format(StrEnum):
    HTML = "html"
    PDF = "pdf"


def main() -> None:
    """Run the command line; the entry point of the `simlab` script."""
    app(prog_name="simlab")


def _version(wanted: bool) -> None:
    if wanted:
        from simlab import __version__

        typer.echo(f"simlab {__version__}")
        raise typer.Exit


@app.callback()
def _simlab(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """A laboratory for markets: a YAML file names a market and its agents; simlab runs and records it."""


@app.command(
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
) -> None:
    """Run one experiment and record it."""
    from simlab.config import load
    from simlab.runner import execute, summary_tables

    config = load(file, set=set_ or (), seed=seed, steps=steps)
    outcome = execute(config, out=out, record=not no_record, progress=not quiet)
    if not quiet:
        from rich.console import Console

        console = Console(stderr=as_json)
        console.print(summary_tables(outcome.summary, config))
        console.print(
            f"{outcome.messages:,} messages, {outcome.trades:,} trades in {outcome.seconds:.2f} s;"
            f" event-log hash {outcome.event_log_hash}",
            highlight=False,
        )
    if as_json:
        _print_json(outcome.as_dict())
    elif outcome.run_dir is not None:
        typer.echo(outcome.run_dir)


@app.command(epilog="Example:\n\n    simlab validate my.yaml --set seed=7")
def validate(file: ConfigFile, set_: Settings = None, seed: Seed = None, steps: Steps = None) -> None:
    """Check a file and everything it names, without running it; lists every problem."""
    from simlab.config import validate as check

    config = check(file, set=set_ or (), seed=seed, steps=steps)
    agents = sum(population.count for population in config.populations.values())
    typer.echo(
        f"{file} is valid: {len(config.instruments)} instruments, {len(config.populations)} populations,"
        f" {agents:,} agents, {config.steps:,} steps"
    )


@app.command(epilog="Example:\n\n    simlab schema > simlab.schema.json")
def schema() -> None:
    """Print the JSON Schema of a configuration file, with descriptions and units, for editors."""
    from simlab.config import schema as json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


@app.command(epilog="Examples:\n\n    simlab strategies\n\n    simlab strategies market_maker")
def strategies(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME]", help="One strategy: a name, module:Attr or file.py:Attr."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the strategies, or describe one with its parameters and their units."""
    from simlab.agents.registry import known_strategies, resolve
    from simlab.runner.describe import strategy_as_dict, strategy_details, strategy_table

    if name is None:
        found = list(known_strategies().values())
        _show(strategy_table(found), [strategy_as_dict(it) for it in found], as_json)
    else:
        strategy = resolve(name)
        _show(strategy_details(strategy), [strategy_as_dict(strategy)], as_json)


@app.command(
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
    """Write what a run shows, or how several differ, as one file that works offline."""
    from simlab.analysis import open_run
    from simlab.analysis.report import write_report

    named = _Format.PDF if out is not None and out.suffix == ".pdf" else _Format.HTML
    format_ = format_ or named
    if out is not None and out.suffix in (".html", ".pdf") and format_ is not named:
        raise typer.BadParameter(f"{out} is not a name for {format_.value}", param_hint="--format")
    stem = runs[0] / "report" if len(runs) == 1 else runs[0].resolve().parent / "comparison"
    target = out or stem.with_name(f"{stem.name}.{format_.value}")
    typer.echo(write_report([open_run(folder) for folder in runs], target, format=format_.value))


@app.command(
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
    from simlab.runner.findings import facts_table

    found = card(source)
    _show(facts_table(str(source), found, explain), found.to_dict("records"), as_json)


@app.command(
    epilog="Example: the same seeds with and without a market maker, paired by seed\n\n"
    "    simlab compare runs/with-1-1 runs/with-2-1 runs/without-1-1 runs/without-2-1"
)
def compare(
    runs: RunFolders,
    warmup: Annotated[
        str, typer.Option(metavar="STEPS|auto", help="Steps to leave out at the start; auto finds them.")
    ] = "0",
    as_json: AsJson = False,
) -> None:
    """Compare runs: by seed where they are paired, with intervals, corrected for many comparisons.

    The runs of one configuration with different seeds are one treatment; the first one given is compared with
    each of the others.
    """
    from rich.console import Console

    from simlab.analysis import open_run
    from simlab.analysis.compare import compare as work
    from simlab.runner.findings import comparison_tables

    if warmup != "auto" and not warmup.isdecimal():
        raise typer.BadParameter(f"{warmup!r} is neither a number of steps nor auto", param_hint="--warmup")
    found = work([open_run(folder) for folder in runs], warmup="auto" if warmup == "auto" else int(warmup))
    _show(comparison_tables(found, Console().width), found.to_dict("records"), as_json)


@app.command(
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
    _show(claims_table(results, title), result_rows(results), as_json)


@import_app.command(
    "databento", epilog="Example:\n\n    simlab import databento day.mbo.dbn.zst --out day.parquet"
)
def import_databento(
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="DBN files of schema mbo.")],
    out: Annotated[Path, typer.Option(help="The message table to write, .parquet.")],
) -> None:
    """Import Databento market-by-order files."""
    from simlab.importing.databento import import_databento as work

    _print_json(work(files, out))


@import_app.command(
    "lobster",
    epilog="Example:\n\n    simlab import lobster AAPL_2012-06-21_message_50.csv --out aapl.parquet",
)
def import_lobster(
    message: Annotated[Path, typer.Argument(metavar="MESSAGE.csv", help="A LOBSTER message file.")],
    out: Annotated[Path, typer.Option(help="The message table to write, .parquet.")],
) -> None:
    """Import a LOBSTER message file."""
    from simlab.importing.lobster import import_lobster as work

    _print_json(work(message, out))


@bench_app.command(
    "engine", epilog="Example:\n\n    simlab bench engine --engine compiled --engine reference --entry single"
)
def bench_engine(
    stream: Annotated[
        Path | None, typer.Option(help="A stream of messages, .npy.", show_default="two built-in streams")
    ] = None,
    engine: Annotated[_Engine, typer.Option(help="Engine to measure.")] = _Engine.BOTH,
    entry: Annotated[_Entry, typer.Option(help="Whole arrays, or one call a message.")] = _Entry.BATCH,
    as_json: AsJson = False,
) -> None:
    """Measure the matching engines on a stream of messages."""
    from simlab.bench.engine import ENGINES
    from simlab.bench.engine import run as measure
    from simlab.runner.describe import rows_table

    rows = measure(stream, list(ENGINES) if engine is _Engine.BOTH else [engine.value], entry.value)
    _show(rows_table("Matching engines", rows), rows, as_json)


@bench_app.command("kernel", epilog="Example:\n\n    simlab bench kernel --agents 10000 --steps 1000")
def bench_kernel(
    agents: Annotated[int, typer.Option(min=1, help="Number of agents.")] = 1000,
    steps: Annotated[int, typer.Option(min=1, help="Number of steps.")] = 1000,
    level: Annotated[str, typer.Option(help="compiled, batch or agent.")] = "compiled",
    record: Annotated[bool, typer.Option("--record/--no-record", help="Record the run as well.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure whole runs: activations and messages per second."""
    from simlab.bench.kernel import run as measure
    from simlab.runner.describe import rows_table

    result = measure(agents, steps, level, record)
    _show(rows_table("Kernel", [result]), [result], as_json)


def _show(renderable: Any, rows: list[dict[str, Any]], as_json: bool) -> None:
    """Print a table, or one JSON object a line."""
    if as_json:
        for row in rows:
            _print_json(row)
        return
    from rich.console import Console

    Console().print(renderable)


def _print_json(data: Any) -> None:
    typer.echo(json.dumps(_finite(data), default=_plain, allow_nan=False))


def _finite(data: Any) -> Any:
    """Put null where a number is not one, which JSON does not have."""
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_finite(value) for value in data]
    return None if isinstance(data, float) and not math.isfinite(data) else data


def _plain(value: Any) -> Any:
    """Turn NumPy scalars and paths into what JSON has."""
    return value.item() if hasattr(value, "item") else str(value)


def _print_error(label: str, text: str) -> None:
    from rich.console import Console
    from rich.text import Text

    Console(stderr=True, soft_wrap=True).print(Text(f"{label}: ", style="bold red") + Text(text))


if __name__ == "__main__":
    main()
