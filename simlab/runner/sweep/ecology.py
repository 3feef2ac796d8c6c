"""Run every mixture of some strategies among some players: a sweep whose points are profiles."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console

from simlab.analysis.compare import TOURNAMENT, profiles
from simlab.config.tournament import TournamentConfig, load_tournament, sweep_of
from simlab.runner.sweep.store import Store
from simlab.runner.sweep.sweeping import SWEEPS_FOLDER, Sweep, sweep

__all__ = ["Tournament", "tournament"]


class Tournament:
    """A tournament before anything runs: what it is, and the sweep that it comes to."""

    def __init__(self, config: str | Path | Mapping[str, Any] | TournamentConfig) -> None:
        self.config = load_tournament(config)
        counts = profiles(len(self.config.strategies), self.config.players)
        self.sweep = Sweep.of(sweep_of(self.config, counts.tolist()))

    @property
    def told(self) -> dict[str, Any]:
        """What tells its rows from those of any other sweep: ``strategies``, ``players`` and ``agents``."""
        config = self.config
        return {"strategies": list(config.strategies), "players": config.players, "agents": config.agents}


def tournament(
    config: str | Path | Mapping[str, Any] | TournamentConfig | Tournament,
    *,
    out: str | Path = SWEEPS_FOLDER,
    workers: int | None = None,
    dask: str | None = None,
    resume: bool = False,
    console: Console | None = None,
) -> pd.DataFrame:
    """Run every mixture of the strategies, on the same seeds, and return a row for each run.

    Each of `players` plays one strategy, with ``agents / players`` agents of it: a game of few players stands
    for a market of many traders (hierarchical reduction; Wellman, Reeves, Lochner, Cheng and Suri 2005,
    Approximate strategic reasoning through hierarchical reduction of large symmetric games, AAAI).

    Parameters
    ----------
    config : path, mapping, TournamentConfig or Tournament
    out, workers, dask, resume, console
        As in a sweep, `simlab.sweep`.

    Returns
    -------
    DataFrame
        As of a sweep, with the agents of each strategy as columns; ``attrs["tournament"]`` has
        ``strategies``, ``players`` and ``agents``. `simlab.analysis.compare.judge` takes it.

    Raises
    ------
    ConfigError, RecordingError, SimlabError
        As of a sweep.

    Example
    -------
    >>> from simlab.analysis.compare import judge
    >>> runs = tournament("experiments/ecology/study.yaml")  # doctest: +SKIP
    >>> judge(runs).ranking  # doctest: +SKIP
    """
    made = config if isinstance(config, Tournament) else Tournament(config)
    found = sweep(made.sweep, out=out, workers=workers, dask=dask, resume=resume, console=console)
    Store(found.attrs["place"]).write_json(TOURNAMENT, made.told)
    found.attrs["tournament"] = made.told
    return found
