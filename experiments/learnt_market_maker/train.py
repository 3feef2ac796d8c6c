"""Train a market maker by evolution strategies, and compare it with others on seeds not trained on.

    python experiments/learnt_market_maker/train.py --out market_maker.onnx

It takes about a minute on one core. The policy is tanh(W x + b) of what a learner sees. Evolution
strategies [1]_ (mirrored noise, centred ranks) need no gradient of the market: in each generation as many
variants as there are markets play one episode each, all with the same seed, and the policy moves towards
those that earned more, by Adam's steps [2]_.

References
----------
.. [1] Salimans, Ho, Chen, Sidor and Sutskever (2017), Evolution strategies as a scalable alternative to
   reinforcement learning, arXiv:1703.03864, algorithm 2.
.. [2] Kingma and Ba (2015), Adam: a method for stochastic optimization, ICLR, algorithm 1.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console
from rich.progress import track

from simlab.agents.library.seat import FEATURES, Task
from simlab.console.tables import lines_table
from simlab.faces.gymnasium import MarketVectorEnv
from simlab.runner.study import mean_interval

Array = NDArray[np.float64]
Act = Callable[[NDArray[np.float32]], Any]

MARKETS, TURNS = 64, 500
SEAT: dict[str, Any] = {"size": 10, "max_inventory": 100, "max_offset": 10, "inventory_penalty": 0.01}
"""A tick on one lot is a reward of 1; to carry 10 lots over a turn costs 1."""
NAMES = [name for name, *_ in FEATURES]
EVEN = {"spread": 0.1, "volatility": 0.2, "time_left": 1.0}
"""Features that mean the same to both quotes, and factors that make all of them about as large."""
ODD = {"inventory": 3.0, "imbalance": 1.0, "change_1": 0.2, "change_5": 0.1, "change_20": 0.05}
"""Features that mean to the bid what their opposite means to the ask."""
NUMBERS = 2 * (len(EVEN) + len(ODD) + 1)
"""What is learnt: for the distance and for the size of a quote a weight a feature, and one constant."""
TRAINING_SEEDS, TEST_SEEDS = 10_000, 5_000_000
"""The first seed of each; none is of both."""


@dataclass(frozen=True)
class Policy:
    """A policy tanh(W x + b): `weights` is ``(18, 4)``, of all that a learner sees, and `bias` ``(4,)``.

    Those of several policies, ``(n, 18, 4)`` and ``(n, 4)``, answer a row each.
    """

    weights: Array
    bias: Array

    def predict(self, observation: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return an action for an observation ``(18,)``, or one a row for ``(n, 18)``."""
        rows = np.einsum("...i,...ij->...j", observation, self.weights) + self.bias
        return np.tanh(rows).astype(np.float32)

    @classmethod
    def of(cls, numbers: Array) -> Policy:
        """Return the policies of ``(n, NUMBERS)``, or the one of ``(NUMBERS,)``; both sides are alike."""
        lead = numbers.shape[:-1]
        halves = numbers.reshape(*lead, 2, NUMBERS // 2)
        weights, bias = np.zeros((*lead, 18, 4)), np.zeros((*lead, 4))
        for half, (bid, ask) in enumerate(((0, 1), (2, 3))):
            for at, (name, scale) in enumerate({**EVEN, **ODD}.items()):
                weight = halves[..., half, at] * scale
                weights[..., NAMES.index(name), bid] = weight
                weights[..., NAMES.index(name), ask] = weight if name in EVEN else -weight
            bias[..., bid] = bias[..., ask] = halves[..., half, -1]
        return cls(weights, bias)


@dataclass(frozen=True)
class AvellanedaStoikov:
    """The baseline: quotes half the optimal spread from the reservation price, in full size [3]_.

    Distances are cut at 0 and at the farthest quote. `gamma` is in 1 / (tick x lot), `k` in 1 / tick, `sigma`
    in ticks a square root of a turn.

    References
    ----------
    .. [3] Avellaneda and Stoikov (2008), High-frequency trading in a limit order book, Quantitative Finance
       8(3), 217-224, equations 29 and 30.
    """

    gamma: float
    k: float
    sigma: float = 1.25

    def predict(self, observations: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return an action for each row."""
        inventory = observations[:, NAMES.index("inventory")] * SEAT["max_inventory"]
        remaining = observations[:, NAMES.index("time_left")] * TURNS
        risk = self.gamma * self.sigma**2 * remaining
        half = 0.5 * risk + np.log1p(self.gamma / self.k) / self.gamma
        distances = np.stack([half + inventory * risk, half - inventory * risk], axis=1)
        quotes = 2.0 * np.clip(distances / SEAT["max_offset"], 0.0, 1.0) - 1.0
        return np.hstack([quotes, np.ones_like(quotes)]).astype(np.float32)


class Scores(NamedTuple):
    """How episodes went, one a seed: `reward` and `gain` in ticks on one lot, `inventory` in lots.

    `inventory` is the root mean square over the turns: what is at risk when the price moves.
    """

    reward: Array
    gain: Array
    inventory: Array


def environment() -> MarketVectorEnv:
    """Return the markets that all play in."""
    return MarketVectorEnv(Task.MARKET_MAKING, MARKETS, turns=TURNS, **SEAT)


def play(env: MarketVectorEnv, act: Act, seeds: list[int]) -> Scores:
    """Play one episode a market."""
    observations, _ = env.reset(seed=seeds)
    reward, squares = np.zeros(MARKETS), np.zeros(MARKETS)
    for _ in range(TURNS):
        observations, rewards, _, _, info = env.step(act(observations))
        reward += rewards
        squares += np.square(observations[:, NAMES.index("inventory")] * SEAT["max_inventory"])
    return Scores(reward, np.array(info["gain"], np.float64), np.sqrt(squares / TURNS))


def evaluate(env: MarketVectorEnv, act: Act, seeds: int, first: int = TEST_SEEDS) -> Scores:
    """Play one episode for each of so many seeds, a multiple of the markets."""
    parts = [play(env, act, list(range(at, at + MARKETS))) for at in range(first, first + seeds, MARKETS)]
    return Scores(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def learn(
    env: MarketVectorEnv, generations: int, *, seed: int = 0, history: list[float] | None = None
) -> Policy:
    """Return what evolution strategies find; the same seed finds the same.

    A `history` gets the mean reward of every generation, and then there is no progress bar.
    """
    rng, noise, rate = np.random.default_rng(seed), 0.1, 0.05
    numbers, mean, square = np.zeros(NUMBERS), np.zeros(NUMBERS), np.zeros(NUMBERS)
    console, shown = Console(stderr=True), history is None
    for generation in track(
        range(generations), "learning", console=console, transient=True, disable=not shown
    ):
        half = rng.normal(size=(MARKETS // 2, NUMBERS))
        tried = np.concatenate([half, -half])
        act = Policy.of(numbers + noise * tried).predict
        reward = play(env, act, [TRAINING_SEEDS + generation] * MARKETS).reward
        if history is not None:
            history.append(float(reward.mean()))
        ranks = np.argsort(np.argsort(reward)) / (MARKETS - 1) - 0.5
        gradient = ranks @ tried / (MARKETS * noise)
        mean, square = 0.9 * mean + 0.1 * gradient, 0.99 * square + 0.01 * gradient**2
        unbiased = mean / (1 - 0.9 ** (generation + 1)), square / (1 - 0.99 ** (generation + 1))
        numbers = numbers + rate * unbiased[0] / (np.sqrt(unbiased[1]) + 1e-8)
    return Policy.of(numbers)


def tuned_baseline(env: MarketVectorEnv) -> AvellanedaStoikov:
    """Return the baseline that earns most on training seeds, of a grid of its two parameters."""
    grid = [
        AvellanedaStoikov(gamma, k)
        for gamma in (0.00003, 0.0001, 0.0002, 0.0003, 0.0005, 0.001)
        for k in (0.3, 0.4, 0.5, 0.7)
    ]
    rewards = [evaluate(env, it.predict, MARKETS, TRAINING_SEEDS).reward.mean() for it in grid]
    return grid[int(np.argmax(rewards))]


def save(policy: Policy, path: Path) -> None:
    """Write a policy as an ONNX file, which `strategy: policy` trades on."""
    nodes = [
        helper.make_node("MatMul", ["observation", "weights"], ["product"]),
        helper.make_node("Add", ["product", "bias"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["action"]),
    ]
    graph = helper.make_graph(
        nodes,
        "market_maker",
        [helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["n", 18])],
        [helper.make_tensor_value_info("action", TensorProto.FLOAT, ["n", 4])],
        [
            numpy_helper.from_array(policy.weights.astype(np.float32), "weights"),
            numpy_helper.from_array(policy.bias.astype(np.float32), "bias"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path)


def rows_of(scores: dict[str, Scores]) -> list[dict[str, str]]:
    """Return a row for each: means over seeds with 95% intervals."""
    return [
        {"market maker": name} | {what: told(getattr(it, what)) for what in Scores._fields}
        for name, it in scores.items()
    ]


def told(values: Array) -> str:
    """Return a mean with its 95% interval."""
    mean, low, high = mean_interval(list(values))
    return f"{mean:,.1f} [{low:,.1f}, {high:,.1f}]"


def main() -> None:
    """Train, compare and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("market_maker.onnx"), help="where the policy is put")
    parser.add_argument("--generations", type=int, default=200, help="of 64 episodes each")
    parser.add_argument("--seeds", type=int, default=256, help="of the comparison, a multiple of 64")
    given = parser.parse_args()
    env, rng = environment(), np.random.default_rng(1)
    began_s = time.perf_counter()
    policy = learn(env, given.generations)
    learnt_s = time.perf_counter() - began_s
    baseline = tuned_baseline(env)
    scores = {
        "random": evaluate(env, lambda _: rng.uniform(-1.0, 1.0, (MARKETS, 4)), given.seeds),
        "Avellaneda-Stoikov": evaluate(env, baseline.predict, given.seeds),
        "learnt": evaluate(env, policy.predict, given.seeds),
    }
    save(policy, given.out)
    console = Console(width=110)
    console.print(lines_table(f"{given.seeds} seeds that were not trained on", rows_of(scores)))
    learnt, other = scores["learnt"], scores["Avellaneda-Stoikov"]
    console.print(f"learnt in {learnt_s:.0f} s; the baseline is {baseline}")
    console.print("learnt less baseline, paired by seed:")
    for what in Scores._fields:
        console.print(f"  {what}: {told(getattr(learnt, what) - getattr(other, what))}")
    console.print(f"the policy is in {given.out}")


if __name__ == "__main__":
    main()
