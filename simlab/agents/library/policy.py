"""Trade as a learnt policy says: what was trained in an environment, as a population.

The policy sees what a learner sees (`simlab.agents.library.seat.FEATURES`) and answers with an action of its
task, so it is used as it was trained: in market making, trading or execution. It must be a function of the
observation alone; one that remembers is shared by all agents, and starts anew when a market is resumed.

Simplifications: a learner in an environment acts at the boundary between two steps, before all others; here
the agent acts in the step, at the place that it drew. Episodes follow one another every `horizon` steps, from
when the agent first acts, so that `time_left`, `gain` and `drift` are as in training; an execution has one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from simlab.agents.batch import BatchObservation, BatchOrders, batch_strategy
from simlab.agents.compiled import HISTORY_STEPS, ME_DTYPE, ORDERS_DTYPE, VIEW_DTYPE, VISIBLE_ORDERS
from simlab.agents.library.actions import numbers_of
from simlab.agents.library.seat import FEATURES, MOST_NUMBERS, SEAT, Task, act, begin, observe
from simlab.agents.ml.policies import load_policy
from simlab.agents.strategy import Decider, Strategy
from simlab.core.jit import jit
from simlab.core.types import MESSAGE_DTYPE, Side
from simlab.errors import StrategyError

__all__ = ["LearntPolicy"]

_MIDS = 22
"""The farthest back that a feature looks, steps."""


@jit
def _begin_and_observe(views, accounts, seats, out):
    """Let each of (n,) agents see the market of the only view, and begin the episodes of this step."""
    view = views[0]
    for i in range(len(seats)):
        if seats[i].first_step == view.step:
            begin(view, accounts[i], seats[i])
        observe(view, accounts[i], seats[i], out[i])


@jit
def _act_all(views, accounts, seats, actions, orders, turn_steps):
    """Turn (n, 4) actions into messages, which stand in as many orders."""
    for i in range(len(seats)):
        act(views[0], accounts[i], seats[i], actions[i], orders[i], turn_steps)


@batch_strategy("policy", "Acts as a learnt policy says, from a Python or an ONNX file.", decider=Decider.ML)
class LearntPolicy:
    """Show each agent what a learner sees, and do what the policy answers.

    Parameters
    ----------
    policy : Path
        A file .onnx, or .py with an object that has ``predict(observation)``.
    task : str
        ``market_making``, ``trading`` or ``execution``.
    attribute : str
        The object in a file .py, or what makes one.
    together : bool
        The object is asked for all agents at once: ``predict`` takes ``(n, 18)``.
    size : int
        Lots of an order (trading), or the most of a quote (market making).
    max_inventory : int
        Lots; beyond, long or short, no order leads.
    max_offset : int
        Ticks: the farthest quote from the mid price, or in execution limit price from the best of its side.
    side : str
        ``buy`` or ``sell``: what is to be executed.
    quantity : int
        Lots that are to be executed.
    horizon : int
        Steps of an episode, as in training.
    turn_steps : int
        Steps between two actions, as in training; `activation` says when the agents act.
    """

    strategy: ClassVar[Strategy]

    def __init__(
        self,
        policy: Path,
        task: Literal["market_making", "trading", "execution"] = "market_making",
        attribute: str = "policy",
        together: bool = False,
        size: int = 10,
        max_inventory: int = 100,
        max_offset: int = 10,
        side: Literal["buy", "sell"] = "sell",
        quantity: int = 500,
        horizon: int = 2000,
        turn_steps: int = 1,
    ) -> None:
        numbers = {"size": size, "max_inventory": max_inventory, "max_offset": max_offset}
        numbers |= {"quantity": quantity, "horizon": horizon, "turn_steps": turn_steps}
        for name, value in numbers.items():
            if not 1 <= value < 2**31:
                raise StrategyError(f"{name} {value} is not in the range of 1 to 2^31 - 1")
        self._task, self._horizon, self._turn_steps = Task[task.upper()], horizon, turn_steps
        self._loaded = policy, attribute, together
        self._blank = np.zeros(1, SEAT)
        self._blank["task"], self._blank["side"] = self._task, Side[side.upper()]
        for name in ("size", "max_inventory", "max_offset", "quantity"):
            self._blank[name] = numbers[name]
        self._blank["last_step"] = -1
        self._seats = self._blank[:0].copy()
        self._policy = load_policy(policy, attribute, together=together)

    @classmethod
    def check_options(cls, policy: Path, attribute: str = "policy", **_: Any) -> None:
        """Load the policy, which says what is wrong with it."""
        load_policy(policy, attribute)

    @staticmethod
    def provenance(options: dict[str, Any]) -> dict[str, str]:
        """Return the hash of the policy, and the version of what runs it."""
        return load_policy(options["policy"], options.get("attribute", "policy")).versions

    def __getstate__(self) -> dict[str, Any]:
        kept = {name: value for name, value in vars(self).items() if name != "_policy"}
        return kept | {"versions": self._policy.versions}

    def __setstate__(self, state: dict[str, Any]) -> None:
        versions = state.pop("versions")
        vars(self).update(state)
        path, attribute, together = self._loaded
        self._policy = load_policy(path, attribute, together=together)
        if self._policy.versions != versions:
            raise StrategyError(f"{path}: the policy is another one than when the market was saved")

    def decide(self, observation: BatchObservation, orders: BatchOrders) -> None:
        """Ask the policy what each agent does, and do it."""
        index, step = observation.index, observation.step
        views, accounts = _view(observation), _accounts(observation)
        seats = self._seats_of(index, step, int(observation.multiplier[0]))
        seen = np.zeros((len(index), len(FEATURES)), np.float32)
        _begin_and_observe(views, accounts, seats, seen)
        actions = np.zeros((len(index), MOST_NUMBERS))
        for row, action in zip(actions, self._policy.actions(seen), strict=True):
            numbers = numbers_of(self._task, action)
            row[: len(numbers)] = numbers
        sent = np.zeros(len(index), ORDERS_DTYPE)
        _act_all(views, accounts, seats, actions, sent, self._turn_steps)
        self._seats[index] = seats
        _pass_on(sent, orders)

    def _seats_of(self, index: NDArray[np.int64], step: int, multiplier: int) -> NDArray[Any]:
        """Return the seats of agents, ``(n,) SEAT``; an episode that is over gives way to the next."""
        missing = int(index.max(initial=-1)) + 1 - len(self._seats)
        if missing > 0:
            self._seats = np.concatenate([self._seats, np.repeat(self._blank, missing)])
        seats = self._seats[index]
        starts = seats["last_step"] < 0
        if self._task is not Task.EXECUTION:
            starts |= step >= seats["last_step"]
        seats["first_step"][starts], seats["last_step"][starts] = step, step + self._horizon
        seats["multiplier"] = multiplier
        return seats


def _view(observation: BatchObservation) -> NDArray[Any]:
    """Return the first instrument as compiled strategies see it, ``(1,) VIEW_DTYPE``."""
    view, step = np.zeros(1, VIEW_DTYPE), observation.step
    view["step"] = step
    for name in ("tick_size", "lot_size", "halted", "best_bid", "bid_depth", "best_ask", "ask_depth"):
        view[name] = getattr(observation, name)[0]
    view["mid"], view["price_low"] = observation.mid[0], observation.price_low[0]
    mids = observation.mids(_MIDS)
    view["mids"][0, (step - np.arange(len(mids), 0, -1)) % HISTORY_STEPS] = mids
    return view


def _accounts(observation: BatchObservation) -> NDArray[Any]:
    """Return the agents as compiled strategies see them, ``(n,) ME_DTYPE``."""
    accounts = np.zeros(len(observation.agents), ME_DTYPE)
    accounts["agent"], accounts["cash"] = observation.agents, observation.cash
    for name in ("inventory", "bought", "sold", "fills"):
        accounts[name] = getattr(observation, name)[:, 0]
    accounts["open_orders"] = observation.open_orders
    for i in np.flatnonzero(accounts["open_orders"]).tolist():
        resting = observation.resting(i)[:VISIBLE_ORDERS]
        account = accounts[i]
        account["visible_orders"] = len(resting)
        for k, order in enumerate(resting):
            account["order_ids"][k], account["order_sides"][k] = order.order_id, order.side
            account["order_prices"][k], account["order_quantities"][k] = order.price, order.quantity
    return accounts


def _pass_on(sent: NDArray[Any], orders: BatchOrders) -> None:
    """Send what stands in records of compiled strategies."""
    counts = sent["count"]
    who = np.repeat(np.arange(len(sent)), counts)
    if not len(who):
        return
    parts = [row["messages"][:count] for row, count in zip(sent, counts, strict=True)]
    rows = np.ascontiguousarray(np.concatenate(parts)).view(MESSAGE_DTYPE)
    orders.send(who, rows["kind"], rows["side"], rows["price"], rows["quantity"], rows["order_id"])
