"""The card: every fact of a source, one line each."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pandas as pd

from simlab.analysis.facts import orders, returns, volatility
from simlab.analysis.facts.evidence import Evidence
from simlab.analysis.facts.finding import Fact
from simlab.analysis.facts.order_flow import from_run
from simlab.analysis.facts.price_files import from_csv
from simlab.analysis.statistics import Options
from simlab.errors import AnalysisError
from simlab.recording import Run, open_run

__all__ = ["FACTS", "card", "read"]

FACTS: tuple[Fact, ...] = (
    returns.absence_of_autocorrelation,
    returns.fat_tails,
    returns.power_law_of_returns,
    returns.gain_loss_asymmetry,
    returns.aggregational_gaussianity,
    volatility.intermittency,
    volatility.volatility_clustering,
    volatility.clustering_of_squares,
    returns.conditional_heavy_tails,
    volatility.slow_decay,
    volatility.leverage_effect,
    volatility.volume_and_volatility,
    volatility.asymmetry_of_time_scales,
    orders.memory_of_order_signs,
    orders.power_law_of_order_sizes,
    orders.skewed_volume,
    orders.order_clustering,
    orders.dispersed_waiting_times,
    orders.concave_impact,
)
"""The lines of the card: those about prices in the order of Cont 2001, then those about orders."""


def card(
    source: Evidence | Run | str | Path,
    *,
    instrument: str | None = None,
    every: int | None = None,
    replications: int = 500,
    seed: int = 0,
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Return every stylised fact of a source: one line a fact.

    The lines about prices come in the order of Cont 2001, then those about orders.

    Parameters
    ----------
    source : Evidence, Run or path
        What `read` takes.
    instrument : str, optional
        Of a run with several; all by default.
    every : int, optional
        Steps of a return of a run; see `simlab.analysis.facts.from_tables`.
    replications, seed, confidence
        See `simlab.analysis.statistics.Options`; the same values give the same card.

    Returns
    -------
    DataFrame
        ``fact``, ``estimate``, ``low``, ``high``, ``verdict`` (shown, not shown, not enough data), ``unit``,
        ``description``; before them ``instrument``, if the run has several and none was named. Its `attrs`
        tell the ``source``, the ``interval`` that a return spans and how many ``returns`` there are (by
        instrument then), and ``notes``: what a reader must know beside, such as that a run is unfinished and
        to which step it reaches.

    Raises
    ------
    AnalysisError
        When the source cannot be read, or an option is out of its range.

    Example
    -------
    >>> import numpy as np
    >>> from simlab.analysis.facts.evidence import from_returns
    >>> noise = from_returns(np.random.default_rng(0).standard_normal(1_000), name="noise")
    >>> lines = card(noise, replications=100).set_index("fact")
    >>> lines.loc[["absence of autocorrelation", "fat tails", "volume and volatility"], "verdict"].tolist()
    ['shown', 'not shown', 'not enough data']
    """
    options = Options(replications, seed, confidence)
    if isinstance(source, str | Path) and not _is_file(Path(source)):
        source = open_run(source)
    if isinstance(source, Run) and instrument is None and len(source.instruments()) > 1:
        return _by_instrument(source, every, options)
    return _one(read(source, instrument=instrument, every=every), options)


def _by_instrument(run: Run, every: int | None, options: Options) -> pd.DataFrame:
    cards = {name: _one(from_run(run, name, every=every), options) for name in run.instruments()["name"]}
    joined = pd.concat(cards, names=["instrument"]).reset_index("instrument").reset_index(drop=True)
    told = {key: {name: table.attrs[key] for name, table in cards.items()} for key in ("interval", "returns")}
    joined.attrs = {"source": run.path.name} | told | {"notes": _joined_notes(cards)}
    return joined


def _joined_notes(cards: dict[str, pd.DataFrame]) -> list[str]:
    """Return the notes of all instruments, with the name where a note is not of all."""
    found: dict[str, list[str]] = {}
    for name, table in cards.items():
        for note in table.attrs["notes"]:
            found.setdefault(note, []).append(name)
    return [
        note if len(names) == len(cards) else f"{', '.join(names)}: {note}" for note, names in found.items()
    ]


def _one(source: Evidence, options: Options) -> pd.DataFrame:
    table = pd.DataFrame([asdict(find(source, options)) for find in FACTS])
    table.attrs = {"source": source.name, "interval": source.interval, "returns": len(source.returns)}
    table.attrs["notes"] = list(source.notes)
    return table


def read(
    source: Evidence | Run | str | Path, *, instrument: str | None = None, every: int | None = None
) -> Evidence:
    """Return a source of facts: of a run or its folder, of a CSV file of prices, or the source itself.

    Raises
    ------
    AnalysisError
        When the file is not a price series, or `instrument` or `every` is given for what is not a run.
    RecordingError
        When the folder is not a run.

    Example
    -------
    >>> read("prices.csv").returns  # doctest: +SKIP
    """
    if isinstance(source, str | Path) and not _is_file(Path(source)):
        source = open_run(source)
    if isinstance(source, Run):
        return from_run(source, instrument, every=every)
    if instrument is not None or every is not None:
        raise AnalysisError(
            "instrument and every are for runs; a price series has one instrument, and its rows"
        )
    return source if isinstance(source, Evidence) else from_csv(source)


def _is_file(path: Path) -> bool:
    return path.is_file() or path.suffix.lower() == ".csv"
