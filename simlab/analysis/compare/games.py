"""Symmetric games from tables of payoffs: what a mixture of strategies earns, where it goes and rests."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simlab.analysis.libraries import library
from simlab.errors import AnalysisError

__all__ = ["Game", "Rest", "profiles"]

Floats = NDArray[np.float64]
_TIME, _POINTS, _REGRET, _SAME, _STILL = 200.0, 201, 1e-3, 1e-3, 1e-10
"""Time of the dynamics in units of 1 / (range of payoffs), and points of a path; the regret, as a share of
that range, below which a mixture is in equilibrium, the distance at which two are one, and the change that
is none."""


def profiles(strategies: int, players: int) -> NDArray[np.int64]:
    """Return every way of giving players to strategies, ``(profiles, strategies)``, all to the first first.

    Example
    -------
    >>> profiles(2, 2).tolist()
    [[2, 0], [1, 1], [0, 2]]
    """
    bars = itertools.combinations(range(players + strategies - 1), strategies - 1)
    rows = [np.diff([-1, *it, players + strategies - 1]) - 1 for it in bars]
    return np.array(rows[::-1], np.int64)


@dataclass(frozen=True)
class Rest:
    """A symmetric equilibrium: a mixture from which no player gains by another strategy.

    `mixture` is ``(strategies,) float64``, `payoff` what a player earns there, `regret` the most one could
    gain by another strategy (a rest found by numbers has a little), `stable` whether the replicator dynamics
    comes back after a small push.
    """

    mixture: Floats
    payoff: float
    regret: float
    stable: bool


class Game:
    """A symmetric game of `players`, by the payoff of each strategy at each profile.

    Parameters
    ----------
    counts : (profiles, strategies) int64
        Players of each strategy, all profiles once, each with the same number of players.
    payoffs : (..., profiles, strategies) float64
        What one player of a strategy earns; ignored where it has none. Leading axes are games side by side,
        such as resamples.

    References
    ----------
    Walsh, Das, Tesauro and Kephart 2002, Analyzing complex strategic interactions in multi-agent systems,
    AAAI workshop on game-theoretic and decision-theoretic agents (the heuristic payoff table); Wellman 2006,
    Methods for empirical game-theoretic analysis, AAAI, 1552-1555; Taylor and Jonker 1978, Evolutionary
    stable strategies and game dynamics, Mathematical Biosciences 40, 145-156.

    Example
    -------
    Hawks and doves, a prize of 2 and a fight's cost of 4: half are hawks.

    >>> game = Game(profiles(2, 2), np.array([[-1.0, 0.0], [2.0, 0.0], [0.0, 1.0]]))
    >>> [(it.mixture.round(3).tolist(), it.stable) for it in game.equilibria()]
    [([0.5, 0.5], True)]
    """

    def __init__(self, counts: NDArray[np.int64], payoffs: Floats) -> None:
        players = int(counts[0].sum())
        if not (counts.sum(axis=1) == players).all() or not np.isfinite(payoffs[..., counts > 0]).all():
            raise AnalysisError("every profile needs the same players, and a payoff for each strategy it has")
        factorial = library("scipy.special").factorial
        self.counts, self.players = counts, players
        self._others = counts[:, None, :] - np.eye(counts.shape[1], dtype=np.int64)
        possible = counts > 0
        many = factorial(players - 1) / factorial(np.maximum(self._others, 0)).prod(axis=-1)
        self._terms = np.where(possible, many * np.where(possible, payoffs, 0.0), 0.0)
        self._others = np.maximum(self._others, 0)
        known = payoffs[..., possible]
        self.range = float(known.max() - known.min()) or 1.0

    def payoffs(self, mixture: Floats) -> Floats:
        """Return what a player of each strategy earns, (..., strategies), when the others are a mixture."""
        powers = mixture[..., None, :] ** np.arange(self.players + 1)[:, None]
        chance = powers[..., self._others, np.arange(mixture.shape[-1])].prod(axis=-1)
        return np.asarray((chance * self._terms).sum(axis=-2))

    def regret(self, mixture: Floats) -> float:
        """Return the most that a player of the mixture gains by another strategy."""
        earned = self.payoffs(mixture)
        return float(earned.max() - mixture @ earned)

    def flow(self, mixture: Floats) -> Floats:
        """Return the replicator dynamics: how fast shares grow that earn more than the mean."""
        earned = self.payoffs(mixture) / self.range
        return np.asarray(mixture * (earned - (mixture * earned).sum(axis=-1, keepdims=True)))

    def path(self, start: Floats) -> tuple[Floats, Floats]:
        """Follow the dynamics from a mixture; return times, (n,), and mixtures, (n, strategies)."""
        times = np.concatenate([[0.0], np.geomspace(0.01, _TIME, _POINTS - 1)])
        found = library("scipy.integrate").solve_ivp(
            lambda _, it: self.flow(_cut(it)), (0.0, _TIME), start, "LSODA", times, rtol=1e-8, atol=1e-10
        )
        return times, _cut(found.y.T)

    def end(self, start: Floats, steps: int = 2_000, step: float = 1.0) -> Floats:
        """Return where the dynamics leads, of games side by side: its exponential form in long steps.

        The form keeps shares positive, and rests where the dynamics rests.
        """
        shape = np.broadcast_shapes(start.shape, self._terms.shape[:-2] + start.shape[-1:])
        mixture = np.broadcast_to(start, shape)
        for _ in range(steps):
            grown = mixture * np.exp(step * self.payoffs(mixture) / self.range)
            grown /= grown.sum(axis=-1, keepdims=True)
            if np.abs(grown - mixture).max() < _STILL:
                break
            mixture = grown
        return np.asarray(grown)

    def equilibria(self) -> list[Rest]:
        """Return the symmetric equilibria that are found on all supports, those of most payoff first.

        On each support, payoffs are made equal by least squares from its centre and from near its corners: an
        equilibrium with a narrow neighbourhood may be missed, and of a continuum some points are found.
        """
        size = self.counts.shape[1]
        found: list[Rest] = []
        for count in range(1, size + 1):
            for support in itertools.combinations(range(size), count):
                for mixture in self._balanced(np.array(support)):
                    known = any(np.abs(mixture - it.mixture).max() < _SAME for it in found)
                    if not known and self.regret(mixture) <= _REGRET * self.range:
                        payoff = float(mixture @ self.payoffs(mixture))
                        found.append(Rest(mixture, payoff, self.regret(mixture), self._stable(mixture)))
        return sorted(found, key=lambda it: (-it.payoff, it.mixture.tolist()))

    def _balanced(self, support: NDArray[np.int64]) -> list[Floats]:
        """Return mixtures on a support whose strategies earn the same."""
        size = len(support)
        if size == 1:
            return [self._spread(support, np.ones(1))]

        def unequal(heights: Floats) -> Floats:
            earned = self.payoffs(self._spread(support, _shares(heights)))[support] / self.range
            return earned[1:] - earned[0]

        solve, made = library("scipy.optimize").least_squares, []
        for start in np.vstack([np.zeros(size), 3.0 * np.eye(size)]):
            answer = solve(unequal, start[1:] - start[0], bounds=(-30.0, 30.0), xtol=1e-12, gtol=1e-12)
            if np.abs(answer.fun).max() < _REGRET / 10:
                made.append(self._spread(support, _shares(answer.x)))
        return made

    def _spread(self, support: NDArray[np.int64], shares: Floats) -> Floats:
        mixture = np.zeros(self.counts.shape[1])
        mixture[support] = shares
        return mixture

    def _stable(self, mixture: Floats) -> bool:
        """Tell whether small pushes die out: the flow's derivative has negative parts within the simplex."""
        size, push = len(mixture), 1e-6
        basis = np.linalg.svd(np.ones((1, size)))[2][1:].T
        slopes = [
            (self.flow(mixture + push * it) - self.flow(mixture - push * it)) / (2 * push) for it in basis.T
        ]
        return bool((np.linalg.eigvals(basis.T @ np.array(slopes).T).real < -1e-9).all())


def _shares(heights: Floats) -> Floats:
    raised = np.exp(np.concatenate([[0.0], heights]))
    return np.asarray(raised / raised.sum())


def _cut(mixture: Floats) -> Floats:
    """Put what left the simplex by rounding back into it."""
    kept = np.maximum(mixture, 0.0)
    return np.asarray(kept / kept.sum(axis=-1, keepdims=True))
