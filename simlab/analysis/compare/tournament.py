"""Judge the strategies of a tournament: payoff table, equilibria, and a ranking with its uncertainty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.analysis.compare.games import Game, Rest
from simlab.analysis.statistics import mean_interval
from simlab.errors import AnalysisError

__all__ = ["Judged", "judge"]

_RESAMPLES, _SEED = 400, 1


@dataclass(frozen=True)
class Judged:
    """What a tournament says of its strategies.

    Attributes
    ----------
    payoffs : DataFrame
        The heuristic payoff table, a row for each profile and strategy in it: the players of each strategy (a
        column each), ``strategy``, ``payoff`` (P&L of one agent, money units, mean over seeds), its 95%
        interval ``low`` to ``high``, ``runs``.
    ranking : DataFrame
        A row a strategy, the best first: ``strategy``, ``share`` in the mixture that the replicator dynamics
        leads to from equal shares, its 95% interval over resamples of the seeds (``share_low``,
        ``share_high``), ``payoff`` against that mixture, ``regret`` (what a player loses there against the
        best answer; with ``regret_low``, ``regret_high``), and ``first``, the share of resamples in which it
        ranks first.
    equilibria : list of Rest
    game : Game
        Of the means over seeds.
    """

    payoffs: pd.DataFrame
    ranking: pd.DataFrame
    equilibria: list[Rest]
    game: Game

    @property
    def names(self) -> list[str]:
        """The strategies, as columns of `payoffs`."""
        return [str(name) for name in self.payoffs.columns[: self.game.counts.shape[1]]]


def judge(found: pd.DataFrame) -> Judged:
    """Judge the strategies of a tournament.

    Seeds are common to all profiles, so intervals are of resampled seeds and not of resampled runs.
    Strategies rank by their share where the dynamics ends, those that die out by regret there (Jordan,
    Kiekintveld and Wellman 2007 rank by regret in equilibrium).

    Parameters
    ----------
    found : DataFrame
        The runs, as `simlab.tournament` returns them; ``attrs["tournament"]`` has ``strategies`` and
        ``players``.

    Raises
    ------
    AnalysisError
        When the runs are of no tournament, or of a profile none has finished.

    References
    ----------
    Jordan, Kiekintveld and Wellman 2007, Empirical game-theoretic analysis of the TAC supply chain game,
    AAMAS; Wiedenbeck, Cassell and Wellman 2014, Bootstrap statistics for empirical games, AAMAS.
    """
    told = found.attrs.get("tournament")
    if told is None:
        raise AnalysisError(
            f"{found.attrs.get('place', 'this table')} is no tournament; run simlab tournament"
        )
    names, players = list(told["strategies"]), int(told["players"])
    scale = int(told["agents"]) // players
    counts, samples = _samples(found, names, scale)
    game = Game(counts, samples.mean(axis=0))
    generator = np.random.Generator(np.random.PCG64(_SEED))
    chosen = generator.integers(0, len(samples), (_RESAMPLES, len(samples)))
    resampled = Game(counts, np.stack([samples[it].mean(axis=0) for it in chosen]))
    return Judged(_table(names, counts, samples), _ranked(names, game, resampled), game.equilibria(), game)


def _samples(
    found: pd.DataFrame, names: list[str], scale: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the profiles, and an agent's P&L, (seeds, profiles, strategies), for seeds that all have."""
    numbers = found[names].to_numpy(int) // scale
    plan = found.assign(_profile=[tuple(it) for it in numbers])
    done = plan[plan["status"] == "finished"]
    counts = plan["_profile"].drop_duplicates().tolist()
    seeds = sorted(
        set.intersection(*(set(done.loc[done["_profile"] == profile, "seed"]) for profile in counts))
    )
    if len(seeds) < 2:
        finished = done.groupby("_profile")["seed"].nunique()
        least = min(counts, key=lambda profile: finished.get(profile, 0))
        told = ", ".join(f"{name}: {count * scale}" for name, count in zip(names, least, strict=True))
        raise AnalysisError(
            f"{len(seeds)} seeds have finished for all {len(counts)} profiles, and 2 are needed; fewest"
            f" ({finished.get(least, 0)}) for {told}: see the column `error`, or go on with --resume"
        )
    table = done.set_index(["seed", "_profile"])
    where = pd.MultiIndex.from_product([seeds, counts])
    totals = table.loc[where, [f"P&L {name}" for name in names]].to_numpy(float)
    counted = np.array(counts, np.int64)
    agents = np.maximum(counted, 1) * scale
    return counted, totals.reshape(len(seeds), len(counts), len(names)) / agents


def _table(names: list[str], counts: NDArray[np.int64], samples: NDArray[np.float64]) -> pd.DataFrame:
    rows = []
    for i, profile in enumerate(counts):
        for j in np.flatnonzero(profile):
            mean, low, high = mean_interval(samples[:, i, j])
            about = dict(zip(names, profile.tolist(), strict=True)) | {"strategy": names[j]}
            rows.append(about | {"payoff": mean, "low": low, "high": high, "runs": len(samples)})
    return pd.DataFrame(rows)


def _ranked(names: list[str], game: Game, resampled: Game) -> pd.DataFrame:
    even = np.full(len(names), 1 / len(names))
    end, ends = game.end(even), resampled.end(even)
    earned, all_earned = game.payoffs(end), resampled.payoffs(ends)
    regret, regrets = earned.max() - earned, all_earned.max(axis=-1, keepdims=True) - all_earned
    first = _order(ends, regrets)[:, 0]
    table = pd.DataFrame(
        {
            "strategy": names,
            "share": end,
            "share_low": np.quantile(ends, 0.025, axis=0),
            "share_high": np.quantile(ends, 0.975, axis=0),
            "payoff": earned,
            "regret": regret,
            "regret_low": np.quantile(regrets, 0.025, axis=0),
            "regret_high": np.quantile(regrets, 0.975, axis=0),
            "first": [float((first == i).mean()) for i in range(len(names))],
        }
    )
    return table.iloc[_order(end[None], regret[None])[0]].reset_index(drop=True)


def _order(shares: NDArray[np.float64], regrets: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the strategies, the best first, of every game: by share, those that died out by regret."""
    return np.asarray(np.lexsort((regrets, -shares.round(3)), axis=-1), np.int64)
