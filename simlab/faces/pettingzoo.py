"""Several learners in one market, as a parallel environment of PettingZoo."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from simlab.errors import SimlabError, did_you_mean

try:
    from gymnasium import spaces
    from pettingzoo import ParallelEnv
except ImportError as missing:
    raise SimlabError(
        f'simlab.faces.pettingzoo needs PettingZoo ({missing}): pip install "simlab[rl]"'
    ) from missing

from simlab.agents.library.actions import numbers_of
from simlab.agents.library.seat import Task
from simlab.config import ConfigLike
from simlab.faces.spaces import action_space, next_episode, observation_space
from simlab.faces.turns import Seat, Turns

__all__ = ["AGENTS", "MarketParallelEnv"]

AGENTS: dict[str, Seat] = {
    "maker_0": Seat(Task.MARKET_MAKING),
    "maker_1": Seat(Task.MARKET_MAKING),
    "trader_0": Seat(Task.TRADING),
    "seller_0": Seat(Task.EXECUTION),
}
"""Who learns where nobody is named: two market makers, a trader, and somebody who sells 500 lots."""

_Observation = NDArray[np.float32]
_Flags = dict[str, bool]


class MarketParallelEnv(ParallelEnv[str, _Observation, Any]):
    """Learners who trade with one another, and with the market's own agents.

    In a turn they act one after the other, on the book as it then is; who is first goes round. Observations,
    actions and rewards are those of `simlab.faces.gymnasium`, each by the agent's task. An execution is
    terminated when it is complete or out of time, and its agent leaves; the others are truncated at the end.

    Parameters
    ----------
    config : path, mapping or ExperimentConfig, optional
        Any experiment with enough seats (``strategy: outside``); a market of ten agents by default.
    agents : mapping of str to Seat, optional
        Who learns, by name; `AGENTS` by default.
    turn_steps, warmup_steps, turns, record
        As in `Turns`.
    render_mode : {"ansi"}, optional

    Example
    -------
    >>> env = MarketParallelEnv(turns=3)
    >>> observations, infos = env.reset(seed=7)
    >>> actions = {agent: env.action_space(agent).sample() for agent in env.agents}
    >>> observations, rewards, terminations, truncations, infos = env.step(actions)
    >>> sorted(rewards)
    ['maker_0', 'maker_1', 'seller_0', 'trader_0']
    >>> env.close()
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "name": "simlab_market_v0",
        "render_modes": ["ansi"],
        "is_parallelizable": True,
    }

    def __init__(
        self,
        config: ConfigLike | None = None,
        *,
        agents: Mapping[str, Seat] | None = None,
        turn_steps: int = 1,
        warmup_steps: int = 100,
        turns: int | None = None,
        record: Path | str | None = None,
        render_mode: str | None = None,
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise SimlabError(f"render_mode {render_mode!r} is not known; use 'ansi' or None")
        self.render_mode = render_mode
        self._seats = dict(AGENTS if agents is None else agents)
        self.possible_agents = list(self._seats)
        self.agents: list[str] = []
        self.turns = Turns(
            config, seats=list(self._seats.values()), turn_steps=turn_steps, warmup_steps=warmup_steps,
            turns=turns, record=record,
        )  # fmt: skip
        self.observation_spaces = {name: observation_space() for name in self._seats}
        self.action_spaces = {name: action_space(seat.task) for name, seat in self._seats.items()}
        self._place = {name: i for i, name in enumerate(self._seats)}
        self._seed: int | None = None
        self._episode = -1

    def observation_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space of what an agent sees."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space[Any]:
        """Return the space of an agent's actions."""
        return self.action_spaces[agent]

    def reset(
        self, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, _Observation], dict[str, dict[str, Any]]]:
        """Begin an episode: with a seed its first, without one the next of the seed given before."""
        self._seed, self._episode = next_episode(seed, self._seed, self._episode, np.random.default_rng)
        self.turns.reset(0, seed=self._seed, episode=self._episode)
        self.agents = list(self.possible_agents)
        told = {"market_seed": self.turns.market_seed(0)}
        return self._seen(self.agents), {name: dict(told) for name in self.agents}

    def _seen(self, agents: list[str]) -> dict[str, _Observation]:
        return {name: self.turns.observations[self._place[name]].copy() for name in agents}

    def step(
        self, actions: dict[str, Any]
    ) -> tuple[dict[str, _Observation], dict[str, float], _Flags, _Flags, dict[str, dict[str, Any]]]:
        """Let all agents act, and see the market at the next turn.

        Raises
        ------
        SimlabError
            When an agent's action is missing or not one of its space, or no episode is under way.
        """
        turns, playing = self.turns, self.agents
        if not playing:
            turns.require_turn(0)
        for name in actions.keys() ^ set(playing):
            what = "gives no action" if name in playing else "is not playing"
            raise SimlabError(f"agent {name!r} {what}{did_you_mean(name, playing)}; act for {playing}")
        for name in playing:
            task = self._seats[name].task
            numbers = numbers_of(task, actions[name])
            turns.actions[self._place[name], : len(numbers)] = numbers
        turns.step()
        done = {name: bool(turns.done[self._place[name]]) for name in playing}
        over = bool(turns.over[0])
        truncated = {name: over and not done[name] for name in playing}
        rewards = {name: float(turns.rewards[self._place[name]]) for name in playing}
        infos = {name: turns.ending(0, self._place[name]) if done[name] or over else {} for name in playing}
        self.agents = [name for name in playing if not (done[name] or over)]
        return self._seen(playing), rewards, done, truncated, infos

    def render(self) -> Any:
        """Return the book and the first agent's account as text, or None without a render_mode."""
        return None if self.render_mode is None else self.turns.text(0)

    def close(self) -> None:
        """End the episode; what was recorded of it says where it was left."""
        self.agents = []
        self.turns.close()
