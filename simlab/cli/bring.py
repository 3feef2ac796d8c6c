"""The commands that bring in recorded order flow and take out recordings: `simlab import` and `export`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from simlab.cli.output import print_json

__all__ = ["commands", "out_commands"]

commands = typer.Typer(no_args_is_help=True, help="Turn recorded order flow into message tables.")
out_commands = typer.Typer(no_args_is_help=True, help="Write recorded runs in formats of others.")

_Table = Annotated[Path, typer.Option(help="The message table to write, .parquet.")]
_NegativePrices = Annotated[
    bool,
    typer.Option(
        "--negative-prices", help="Take prices of 0 and below; the instrument's price_band must reach them."
    ),
]


class _Resting(StrEnum):
    SEED = "seed"
    DROP = "drop"


@commands.command(
    "databento",
    epilog="Example:\n\n    simlab import databento day.mbo.dbn.zst --out day.parquet --instrument-id 17077",
)
def import_databento(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="DBN files of schema mbo, in order.")
    ],
    out: _Table,
    instrument_id: Annotated[
        int | None, typer.Option(help="Which instrument, where the files have several.")
    ] = None,
    price_unit: Annotated[
        float | None,
        typer.Option(help="Currency of one price unit.", show_default="the largest that divides every price"),
    ] = None,
    negative_prices: _NegativePrices = False,
) -> None:
    """Import Databento market-by-order files; print what was read and how far a replay agrees."""
    from simlab.importing.databento import import_databento as work

    print_json(
        work(files, out, instrument_id=instrument_id, price_unit=price_unit, negative_prices=negative_prices)
    )


@commands.command(
    "lobster",
    epilog="Example:\n\n    simlab import lobster AAPL_2012-06-21_message_50.csv"
    " --book AAPL_2012-06-21_orderbook_50.csv --out aapl.parquet",
)
def import_lobster(
    message: Annotated[Path, typer.Argument(metavar="MESSAGE.csv", help="A LOBSTER message file.")],
    out: _Table,
    book: Annotated[
        Path | None,
        typer.Option(
            metavar="ORDERBOOK.csv", help="The order book file that belongs to it, which is followed."
        ),
    ] = None,
    resting: Annotated[
        _Resting,
        typer.Option(
            help="Without --book: orders that the file never submits enter when their ids say, or are left"
            " out."
        ),
    ] = _Resting.SEED,
    price_unit: Annotated[float, typer.Option(help="Dollars of one price unit.")] = 0.01,
    negative_prices: _NegativePrices = False,
) -> None:
    """Import a LOBSTER message file; print what was read and how far a replay agrees."""
    from simlab.importing.lobster import import_lobster as work

    print_json(
        work(
            message,
            out,
            orderbook_csv=book,
            resting=resting.value,
            price_unit=price_unit,
            negative_prices=negative_prices,
        )
    )


@commands.command(
    "csv", epilog="Example:\n\n    simlab import csv orders.csv.gz --map bitstamp.yaml --out btc.parquet"
)
def import_csv(
    file: Annotated[Path, typer.Argument(metavar="FILE.csv", help="Order events, also compressed.")],
    map_: Annotated[
        Path,
        typer.Option("--map", metavar="MAP.yaml", help="Which column holds what; see docs/replay.md."),
    ],
    out: _Table,
    negative_prices: _NegativePrices = False,
) -> None:
    """Import order events of any venue; print what was read and how far a replay agrees."""
    from simlab.importing.general import import_csv as work

    print_json(work(file, map_, out, negative_prices=negative_prices))


@out_commands.command(
    "lobster", epilog="Example:\n\n    simlab export lobster runs/quickstart-1-1 --levels 10"
)
def export_lobster(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a recorded run.")],
    levels: Annotated[int, typer.Option(help="Price levels a side, 1 to 1000.")] = 10,
    out: Annotated[
        Path | None,
        typer.Option(help="The folder to write into.", show_default="lobster in the run's folder"),
    ] = None,
    instrument: Annotated[
        str | None, typer.Option(help="Which instrument, where the run has several.")
    ] = None,
    start_s: Annotated[
        float, typer.Option(help="Seconds after midnight at which the run starts; 34200 is 9:30.")
    ] = 34_200.0,
    date: Annotated[str, typer.Option(help="The day in the names of the files.")] = "2000-01-03",
    price_unit: Annotated[
        float | None,
        typer.Option(help="Dollars of one price unit.", show_default="the instrument's"),
    ] = None,
) -> None:
    """Write a run as a LOBSTER message file and order book file, with what happens within some levels."""
    from simlab.exporting import export_lobster as work

    print_json(
        work(
            run,
            out,
            levels=levels,
            instrument=instrument,
            start_s=start_s,
            date=date,
            price_unit=price_unit,
        )
    )
