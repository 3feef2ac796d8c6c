"""The command line as a whole: its groups of commands, and what becomes of errors."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from simlab.cli import bench, bring, ecology, learn, live, many, mesa, models, new, read, replay, run
from simlab.cli.output import print_error
from simlab.errors import PluginError, SimlabError, StrategyError

__all__ = ["app", "main"]

EXIT_ERROR = 2
EXIT_INTERRUPTED = 130  # as a shell says it of a process that SIGINT ended


class _Group(TyperGroup):
    """Print what simlab raises on purpose as a message, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except SimlabError as error:
            told = [str(error), *getattr(error, "__notes__", ())]
            if ctx.params.get("debug"):
                traceback.print_exception(error)
            elif isinstance(error, PluginError | StrategyError) and error.__cause__ is not None:
                told.append("SIMLAB_DEBUG=1 shows where in the code it came up")
            print_error("error", "\n".join(told))
            raise typer.Exit(EXIT_ERROR) from error
        except KeyboardInterrupt as error:
            print_error("stopped", str(error) or "interrupted")
            raise typer.Exit(getattr(error, "exit_code", EXIT_INTERRUPTED)) from error


app = typer.Typer(
    cls=_Group,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with: [bold]simlab run configs/quickstart.yaml[/bold]",
)
for group in (run, live, mesa, replay, read, learn, many, ecology):
    app.registered_commands += group.commands.registered_commands
app.add_typer(new.commands, name="new")
app.add_typer(bring.commands, name="import")
app.add_typer(bring.out_commands, name="export")
app.add_typer(models.commands, name="models")
app.add_typer(bench.commands, name="bench")


def main() -> None:
    """Run the command line; the entry point of the `simlab` script.

    A process that was interrupted ends at once: threads of Parquet's library may still be under way, and to
    tidy up around them ends in SIGABRT now and then. What had to be kept is kept by then.
    """
    try:
        app(prog_name="simlab")
    except SystemExit as ending:
        if ending.code == EXIT_INTERRUPTED:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(EXIT_INTERRUPTED)
        raise


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
    debug: Annotated[
        bool, typer.Option("--debug", envvar="SIMLAB_DEBUG", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """A laboratory for markets: a YAML file names a market and its agents; simlab runs and records it."""
