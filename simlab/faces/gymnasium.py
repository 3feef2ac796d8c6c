"""Markets as Gymnasium environments: `simlab/Trading-v0`, `simlab/MarketMaking-v0`, `simlab/Execution-v0`.

To import this module is to register them; ``gymnasium.make("simlab.faces.gymnasium:simlab/Trading-v0")`` does
both. ``gymnasium.make_vec`` gives a `VectorEnv` that steps all its markets in one compiled call.

All see the same 18 numbers, `simlab.agents.library.seat.FEATURES`; docs/environments.md has observations,
actions and rewards in full. Episodes end by truncation when their turns are over, and an execution by
termination when it is complete or out of time.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from simlab.errors import SimlabError

try:
    import gymnasium
    from gymnasium.vector import AutoresetMode, VectorEnv
    from gymnasium.vector.utils import batch_space
except ImportError as missing:
    raise SimlabError(
        f'simlab.faces.gymnasium needs Gymnasium ({missing}): pip install "simlab[rl]"'
    ) from missing

from simlab.agents.library.actions import numbers_of
from simlab.agents.library.seat import Task
from simlab.config import ConfigLike
from simlab.faces.spaces import action_space, next_episode, observation_space
from simlab.faces.turns import Seat, Turns

__all__ = [
    "ENVIRONMENTS",
    "ExecutionEnv",
    "MarketEnv",
    "MarketMakingEnv",
    "MarketVectorEnv",
    "TradingEnv",
]

_Numbers = NDArray[np.float32]


class MarketEnv(gymnasium.Env[_Numbers, Any]):
    """One learner in one market; see `Turns` for how episodes go, and `Seat` for `seat`.

    Parameters
    ----------
    config : path, mapping or ExperimentConfig, optional
        Any experiment with a population ``strategy: outside``; a market of ten agents by default.
    turn_steps, warmup_steps, turns, record
        As in `Turns`.
    render_mode : {"ansi"}, optional
    **seat
        As in `Seat`.

    Example
    -------
    >>> env = MarketMakingEnv(turns=5)
    >>> observation, info = env.reset(seed=7)
    >>> observation, reward, terminated, truncated, info = env.step(env.action_space.sample())
    >>> observation.shape, terminated, truncated
    ((18,), False, False)
    >>> env.close()
    """

    task: ClassVar[Task] = Task.TRADING
    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 1}  # noqa: RUF012

    def __init__(
        self,
        config: ConfigLike | None = None,
        *,
        turn_steps: int = 1,
        warmup_steps: int = 100,
        turns: int | None = None,
        record: Path | str | None = None,
        render_mode: str | None = None,
        **seat: Any,
    ) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise SimlabError(f"render_mode {render_mode!r} is not known; use 'ansi' or None")
        self.render_mode = render_mode
        self.turns = Turns(
            config, seats=[Seat(task=self.task, **seat)], turn_steps=turn_steps, warmup_steps=warmup_steps,
            turns=turns, record=record,
        )  # fmt: skip
        self.observation_space: Any = observation_space()
        self.action_space = action_space(self.task)
        self._numbers = self.action_space.shape[0] if self.action_space.shape else 0
        self._episode = -1
        self._seed: int | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[_Numbers, dict[str, Any]]:
        """Begin an episode: with a seed its first, without one the next of the seed given before.

        The information has the seed of the market as ``market_seed``: `simlab run` takes it too.
        """
        super().reset(seed=seed)
        self._seed, self._episode = next_episode(seed, self._seed, self._episode, lambda: self.np_random)
        self.turns.reset(0, seed=self._seed, episode=self._episode)
        return self.turns.observations[0].copy(), {"market_seed": self.turns.market_seed(0)}

    def step(self, action: Any) -> tuple[_Numbers, float, bool, bool, dict[str, Any]]:
        """Act, and see the market at the next turn.

        Raises
        ------
        SimlabError
            When the action is not one of the space, or no episode is under way.
        """
        turns = self.turns
        turns.require_turn(0)
        turns.actions[0, : self._numbers] = numbers_of(self.task, action)
        turns.step()
        done = bool(turns.done[0])
        over = bool(turns.over[0])
        info = turns.ending(0) if over else {}
        return turns.observations[0].copy(), float(turns.rewards[0]), done, over and not done, info

    def render(self) -> Any:
        """Return the book and the account as text."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() shows nothing without a render_mode; make it with 'ansi'")
            return None
        return self.turns.text(0)

    def close(self) -> None:
        """End the episode; what was recorded of it says where it was left."""
        self.turns.close()


class TradingEnv(MarketEnv):
    """Trade one instrument with limit and market orders.

    Action, ``MultiDiscrete([4, 2, 10, 5])``: what (nothing, a limit order, a market order, cancel all), side
    (buy, sell), ticks of a limit price behind the best of its own side, and quantity less one, in order
    sizes. Reward: the change of wealth, in ticks on one lot, less the penalties of `Seat`.
    """

    task = Task.TRADING


class MarketMakingEnv(MarketEnv):
    """Quote both sides of one instrument.

    Action, ``Box(-1, 1, (4,))``: distance of bid and of ask from the mid price (-1 is 0 ticks, 1 is
    `max_offset`), size of bid and of ask (-1 is none, 1 is `size` lots). Quotes that stay where they are keep
    their place in the queue. Reward: the change of wealth, in ticks on one lot, less ``inventory_penalty *
    inventory^2`` [1]_ [2]_, less the part `dampening` of what the inventory carried has gained by itself
    [3]_.

    References
    ----------
    .. [1] Avellaneda and Stoikov (2008), High-frequency trading in a limit order book, Quantitative Finance
       8(3), 217-224.
    .. [2] Cartea, Jaimungal and Penalva (2015), Algorithmic and High-Frequency Trading, chapter 10.
    .. [3] Spooner, Fearnley, Savani and Koukorinis (2018), Market making via reinforcement learning, AAMAS,
       section 4.2 (asymmetrically dampened profit and loss).
    """

    task = Task.MARKET_MAKING


class ExecutionEnv(MarketEnv):
    """Sell or buy a quantity within the episode.

    Action, ``Box(-1, 1, (2,))``: the part of what remains that is offered (-1 is none, 1 is all), and its
    limit price in ticks towards the other side (1 is `max_offset` ticks from the best price of its own side,
    -1 as many behind it). In the last turn all that remains is sent as a market order. Reward: what was paid
    or got, with fees, against the mid price at the start, in ticks on one lot of the quantity; what is left
    at the end counts at the mid price of then. Its sum is the implementation shortfall [1]_ with a minus,
    whose mean and variance [2]_ trades off; to learn it from limit prices is the idea of [3]_.

    References
    ----------
    .. [1] Perold (1988), The implementation shortfall, Journal of Portfolio Management 14(3), 4-9.
    .. [2] Almgren and Chriss (2001), Optimal execution of portfolio transactions, Journal of Risk 3(2), 5-39.
    .. [3] Nevmyvaka, Feng and Kearns (2006), Reinforcement learning for optimized trade execution, ICML.
    """

    task = Task.EXECUTION


class MarketVectorEnv(VectorEnv[_Numbers, Any, Any]):
    """Many markets of one kind, each with its own seed, stepped in one compiled call.

    An episode that is over begins anew with the next step (`AutoresetMode.NEXT_STEP`): that step ignores its
    action and returns the first observation with reward 0. Market `i` goes exactly as a `MarketEnv` that was
    reset with its seed: ``seed + i`` where one number was given.

    Parameters
    ----------
    task : Task
    num_envs : int
    config, turn_steps, warmup_steps, turns, record, **seat
        As in `MarketEnv`.

    Example
    -------
    >>> env = MarketVectorEnv(Task.MARKET_MAKING, num_envs=3, turns=5)
    >>> observations, _ = env.reset(seed=7)
    >>> observations.shape
    (3, 18)
    >>> env.close()
    """

    metadata: dict[str, Any] = {"render_modes": [], "autoreset_mode": AutoresetMode.NEXT_STEP}  # noqa: RUF012

    def __init__(
        self,
        task: Task,
        num_envs: int,
        config: ConfigLike | None = None,
        *,
        turn_steps: int = 1,
        warmup_steps: int = 100,
        turns: int | None = None,
        record: Path | str | None = None,
        render_mode: str | None = None,
        **seat: Any,
    ) -> None:
        if render_mode is not None:
            raise SimlabError(f"render_mode {render_mode!r} is not known to a vector environment; use None")
        self.task, self.num_envs, self.render_mode = task, num_envs, None
        self.turns = Turns(
            config, seats=[Seat(task=task, **seat)], markets=num_envs, turn_steps=turn_steps,
            warmup_steps=warmup_steps, turns=turns, record=record,
        )  # fmt: skip
        self.single_observation_space = observation_space()
        self.single_action_space = action_space(task)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        assert self.single_action_space.shape
        self._taken = self.turns.actions[:, : self.single_action_space.shape[0]]
        self._seeds: list[int | None] = [None] * num_envs
        self._numbers = [-1] * num_envs

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[_Numbers, dict[str, Any]]:
        """Begin an episode in all markets, or those of ``options["reset_mask"]``; see `MarketEnv`."""
        first = seed if not isinstance(seed, Sequence) else None
        super().reset(seed=first)
        seeds = [None if first is None else first + i for i in range(self.num_envs)]
        if isinstance(seed, Sequence):
            seeds = list(seed)
        if len(seeds) != self.num_envs:
            raise SimlabError(f"{len(seeds)} seeds do not fit {self.num_envs} markets; give one each")
        mask = np.ones(self.num_envs, np.bool_) if options is None else options.get("reset_mask")
        if mask is None:
            mask = np.ones(self.num_envs, np.bool_)
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (self.num_envs,):
            raise SimlabError(f"options['reset_mask'] must be ({self.num_envs},) bool, not {mask!r}")
        info: dict[str, Any] = {}
        for i in np.flatnonzero(mask).tolist():
            info = self._open(i, seeds[i], info)
        self.turns.begin()
        return self.turns.observations.copy(), info

    def _open(self, market: int, seed: int | None, info: dict[str, Any]) -> dict[str, Any]:
        chosen = next_episode(seed, self._seeds[market], self._numbers[market], lambda: self.np_random)
        self._seeds[market], self._numbers[market] = chosen
        self.turns.open(market, seed=chosen[0], episode=chosen[1])
        return self._add_info(info, {"market_seed": self.turns.market_seed(market)}, market)

    def step(self, actions: Any) -> tuple[_Numbers, Any, Any, Any, dict[str, Any]]:
        """Act in every market; see `MarketEnv.step`."""
        turns = self.turns
        self._taken[:] = numbers_of(self.task, actions, self.num_envs)
        info: dict[str, Any] = {}
        if turns.over.any():
            turns.require_begun()
            for i in np.flatnonzero(turns.over).tolist():
                info = self._open(i, None, info)
        turns.step()
        done, over = turns.done.copy(), turns.over != 0
        if over.any():
            for i in np.flatnonzero(over).tolist():
                info = self._add_info(info, turns.ending(i), i)
        return turns.observations.copy(), turns.rewards.copy(), done, over & ~done, info

    def close_extras(self, **kwargs: Any) -> None:
        """End all episodes."""
        self.turns.close()


ENVIRONMENTS = {
    "simlab/Trading-v0": TradingEnv,
    "simlab/MarketMaking-v0": MarketMakingEnv,
    "simlab/Execution-v0": ExecutionEnv,
}
"""What is registered, by name."""


trading_vector = partial(MarketVectorEnv, Task.TRADING)
market_making_vector = partial(MarketVectorEnv, Task.MARKET_MAKING)
execution_vector = partial(MarketVectorEnv, Task.EXECUTION)

for _name, _environment in ENVIRONMENTS.items():
    if _name not in gymnasium.registry:
        gymnasium.register(
            _name,
            entry_point=f"{__name__}:{_environment.__name__}",
            vector_entry_point=f"{__name__}:{_environment.task.name.lower()}_vector",
        )
