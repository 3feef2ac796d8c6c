"""Games whose equilibria are known: what is found, what is stable, and where the dynamics leads."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from simlab.analysis.compare import Game, judge, profiles
from simlab.analysis.figures import dynamics
from simlab.errors import AnalysisError


def of_matrix(matrix: list[list[float]], players: int = 2) -> Game:
    """Return the game in which every player meets each of the others once, and earns the mean."""
    counts = profiles(len(matrix), players)
    table = np.array(matrix)
    met = (counts[:, None, :] - np.eye(len(matrix))) @ table.T
    own = np.stack([met[:, i, i] for i in range(len(matrix))], axis=1)
    return Game(counts, np.where(counts > 0, own / (players - 1), np.nan))


@pytest.mark.parametrize("players", [2, 7])
def test_hawks_and_doves_rest_where_a_fight_costs_what_a_prize_is_worth(players: int) -> None:
    game = of_matrix([[-1.0, 2.0], [0.0, 1.0]], players)
    (rest,) = game.equilibria()
    assert rest.mixture == pytest.approx([0.5, 0.5], abs=1e-6)
    assert rest.payoff == pytest.approx(0.5)
    assert rest.stable
    _, way = game.path(np.array([0.05, 0.95]))
    assert way[-1] == pytest.approx([0.5, 0.5], abs=1e-4)
    assert game.end(np.array([0.9, 0.1])) == pytest.approx([0.5, 0.5], abs=1e-6)


def test_two_ways_to_agree_have_a_rest_between_them_that_does_not_last() -> None:
    found = of_matrix([[3.0, 0.0], [0.0, 1.0]]).equilibria()
    assert [it.mixture.round(6).tolist() for it in found] == [[1.0, 0.0], [0.0, 1.0], [0.25, 0.75]]
    assert [it.stable for it in found] == [True, True, False]


def test_rock_paper_scissors_goes_round() -> None:
    game = of_matrix([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    (rest,) = game.equilibria()
    assert rest.mixture == pytest.approx([1 / 3] * 3, abs=1e-6)
    assert not rest.stable
    _, way = game.path(np.array([0.5, 0.25, 0.25]))
    assert np.prod(way, axis=1) == pytest.approx(1 / 32, rel=1e-4)  # what a zero-sum game of this kind keeps
    assert any(trace.name == "equilibrium, not stable" for trace in dynamics(game, ["r", "p", "s"]).data)


def test_profiles_are_all_there_once() -> None:
    found = profiles(4, 5)
    assert len(found) == len({tuple(it) for it in found.tolist()}) == 56
    assert (found.sum(axis=1) == 5).all()
    assert (found >= 0).all()


def rows(gap: float = 0.0) -> pd.DataFrame:
    """Return runs of hawks and doves, two agents a player, with noise that all profiles of a seed share."""
    made = [
        {"value": 2 * hawks, "trend": 4 - 2 * hawks, "seed": seed, "status": "finished",
         "P&L value": 2 * hawks * (earned[0] + noise), "P&L trend": (4 - 2 * hawks) * (earned[1] + noise)}
        for hawks, earned in ((2, (-1.0 + gap, 0.0)), (1, (2.0 + gap, 0.0)), (0, (0.0, 1.0)))
        for seed, noise in enumerate(np.linspace(-1, 1, 9))
    ]  # fmt: skip
    found = pd.DataFrame(made)
    found.attrs["tournament"] = {"strategies": ["value", "trend"], "players": 2, "agents": 4}
    return found


def test_a_tournament_is_judged_by_what_one_agent_earns() -> None:
    judged = judge(rows())
    assert judged.payoffs["payoff"].tolist() == pytest.approx([-1.0, 2.0, 0.0, 1.0])
    half = 2.306 * np.std(np.linspace(-1, 1, 9), ddof=1) / 3
    assert (judged.payoffs["high"] - judged.payoffs["payoff"]).tolist() == pytest.approx([half] * 4, abs=1e-3)
    assert judged.ranking["share"].tolist() == pytest.approx([0.5, 0.5])
    assert (judged.ranking["share_high"] - judged.ranking["share_low"]).max() < 1e-6  # the noise is common
    better = judge(rows(gap=2.0)).ranking.set_index("strategy")
    assert better.index[0] == "value"
    assert better.loc["value", "share"] == pytest.approx(1.0, abs=1e-3)
    assert better.loc["value", "first"] == 1.0


def test_a_profile_without_runs_is_named() -> None:
    found = rows()
    found.loc[found["value"] == 2, "status"] = "failed"
    with pytest.raises(AnalysisError, match=r"fewest \(0\) for value: 2, trend: 2.*--resume"):
        judge(found)
    with pytest.raises(AnalysisError, match="simlab tournament"):
        judge(pd.DataFrame({"run": [1]}))
