"""Measure environments: steps a second of one market, and of many in a vector environment, on one core.

Their market is `simlab.faces.turns.MARKET_FILE`: ten background agents who all act in every step, and one
step a turn. Beside them stand ABIDES-gym and mbt-gym where they are installed; neither is on PyPI.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from statistics import median
from typing import Any

import numpy as np

from simlab.errors import SimlabError

__all__ = ["PEERS", "missing_peers", "run"]

PEERS = {"abides_gym": "ABIDES-gym", "mbt_gym": "mbt-gym"}
"""Peers by the module that they are imported as."""

_ROUNDS, _WARM_STEPS, _ACTIONS = 7, 200, 64


def missing_peers() -> list[str]:
    """Return the names of the peers that are not installed."""
    return [name for module, name in PEERS.items() if find_spec(module) is None]


def run(steps: int, markets: int) -> list[dict[str, Any]]:
    """Measure every environment with actions drawn beforehand, at random; episodes that end begin anew.

    Parameters
    ----------
    steps : int
        Environment steps of each of the rounds, of which the median is told; those of all markets count.
    markets : int
        In the vector environments.

    Returns
    -------
    list of dict
        `environment, markets, steps, steps_per_s, steps_per_cpu_s`: the last is by the processor time that
        the process took, so that what else the machine does counts less.

    Raises
    ------
    SimlabError
        When a benchmark did no work.
    """
    from simlab.faces.gymnasium import ENVIRONMENTS, MarketVectorEnv

    rows = []
    for name, kind in ENVIRONMENTS.items():
        rows.append(_measured(name, kind(), 1, steps))
        rows.append(_measured(name, MarketVectorEnv(kind.task, markets), markets, steps))
    rows += [_measured(name, env, count, steps) for name, env, count in _peers(markets)]
    return rows


def _measured(name: str, env: Any, markets: int, steps: int) -> dict[str, Any]:
    """Measure one environment; see `run`."""
    calls = max(1, steps // markets)
    env.action_space.seed(1)
    actions = [env.action_space.sample() for _ in range(_ACTIONS)]
    play = _many if markets > 1 else _single
    env.reset(seed=1)
    play(env, actions, min(calls, _WARM_STEPS))
    rates, cpu_rates, rewards = [], [], 0.0
    for _ in range(_ROUNDS):
        began, cpu_began = time.perf_counter(), time.process_time()
        rewards += play(env, actions, calls)
        rates.append(calls * markets / (time.perf_counter() - began))
        cpu_rates.append(calls * markets / (time.process_time() - cpu_began))
    if not np.isfinite(rewards) or rewards == 0.0:
        raise SimlabError(f"the benchmark did no work: all rewards of {name} come to {rewards}")
    env.close()
    return {
        "environment": name,
        "markets": markets,
        "steps": calls * markets,
        "steps_per_s": round(median(rates)),
        "steps_per_cpu_s": round(median(cpu_rates)),
    }


def _single(env: Any, actions: list[Any], calls: int) -> float:
    total = 0.0
    for i in range(calls):
        _, reward, terminated, truncated, _ = env.step(actions[i % _ACTIONS])
        total += abs(reward)
        if terminated or truncated:
            env.reset()
    return total


def _many(env: Any, actions: list[Any], calls: int) -> float:
    total = 0.0
    for i in range(calls):
        total += float(np.abs(env.step(actions[i % _ACTIONS])[1]).sum())
    return total


def _peers(markets: int) -> Iterator[tuple[str, Any, int]]:
    """Iterate over the peers that are installed, as environments of Gymnasium's interface."""
    makers: dict[str, Callable[[], Iterator[tuple[str, Any, int]]]] = {
        "abides_gym": _abides,
        "mbt_gym": lambda: _mbt(markets),
    }
    for module, make in makers.items():
        if find_spec(module) is not None:
            yield from make()


class _Older:
    """An environment of the old Gym: its `reset` takes no seed, its `step` returns four values."""

    def __init__(self, env: Any, markets: int) -> None:
        self._env, self._markets, self.action_space = env, markets, env.action_space

    def reset(self, seed: int | None = None) -> None:
        """Begin anew."""
        self._env.reset()

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, Any]:
        """Act, the same in each market, and begin anew where all have come to an end."""
        shared = np.tile(action, (self._markets, 1)) if self._markets > 1 else action
        observation, reward, done, *_, info = self._env.step(shared)
        if np.all(done):
            self._env.reset()
        return observation, float(np.abs(reward).sum()), False, False, info

    def close(self) -> None:
        """Do nothing: the older interface leaves it to the end of the process."""


def _abides() -> Iterator[tuple[str, Any, int]]:
    import abides_gym  # type: ignore[import-not-found]  # noqa: F401 -- it registers its environments
    import gym  # type: ignore[import-not-found]

    yield "ABIDES-gym", _Older(gym.make("markets-daily_investor-v0", background_config="rmsc04"), 1), 1


def _mbt(markets: int) -> Iterator[tuple[str, Any, int]]:
    from mbt_gym.gym.TradingEnvironment import TradingEnvironment  # type: ignore[import-not-found]

    for count in (1, markets):
        yield "mbt-gym", _Older(TradingEnvironment(num_trajectories=count), count), count
