"""Language models that trade: each agent is asked what to do, with what it sees, remembers and is.

All agents of a population that act in a step are asked at once. An agent is a graph of four nodes: it
observes, decides (a model answers), checks the answer against its form and the market's rules, with one
retry, and acts. What does not come to a valid decision, for whatever reason, is handed to the population's
`fallback` with that reason.

Any OpenAI-compatible endpoint will do; the section `llm` of the YAML file names it. ``docs/llm.md`` has the
options, the prompts and the form of an answer.

References
----------
Lopez-Lira (2025), Can large language models trade? Testing financial theories with LLM agents in market
simulations, arXiv:2504.10789 (agents that are prompted with a strategy, see the book and answer in a fixed
form).
"""

from __future__ import annotations

import asyncio
import json
import math
import random
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from simlab.agents.batch import BatchObservation, BatchOrders, batch_strategy
from simlab.agents.llm import feed
from simlab.agents.llm.memory import Deed, Entry, Memory
from simlab.agents.llm.options import NAMES, Options
from simlab.agents.llm.settings import check_ready, check_settings
from simlab.agents.strategy import Decider, Needs, Strategy

if TYPE_CHECKING:
    from simlab.agents.llm.answers import Move
    from simlab.agents.llm.graph import Outcome, Turn
    from simlab.agents.llm.session import Session
    from simlab.agents.llm.tools import Desk

__all__ = ["LanguageModels"]


@batch_strategy(
    "llm",
    "Asks a language model what to do.",
    options=NAMES,
    source="Lopez-Lira (2025), arXiv:2504.10789",
    needs=Needs(depth=10, orders=True, signal=True, news=True, fills=True),
    decider=Decider.LLM,
    open_parameters=True,
)
class LanguageModels:
    """The agents of a population, and what each remembers.

    Parameters
    ----------
    options
        See ``docs/llm.md``; beside those of a YAML file `session`, which is asked in place of the run's
        session with the model (a rehearsal).
    """

    strategy: ClassVar[Strategy]

    def __init__(self, **options: Any) -> None:
        self._session: Session | None = options.pop("session", None)
        self.options = Options.of(**options)
        self.memories: dict[int, Memory] = {}
        if self.options.llm is not None:
            from simlab.agents.llm.graph import prepare

            prepare()
            if self._session is None:
                check_ready(self.options.llm)

    @staticmethod
    def check_options(**options: Any) -> None:
        """Raise an error that says what is wrong with options, templates included."""
        from simlab.agents.llm.prompts import Prompts

        Prompts.of(Options.of(**options)).check()
        if options.get("llm") is not None:
            check_settings(options["llm"])

    @staticmethod
    def provenance(options: dict[str, Any]) -> dict[str, str]:
        """Return the hashes of the templates, for a run's manifest."""
        from simlab.agents.llm.prompts import Prompts

        return Prompts.of(Options.of(**options)).provenance()

    async def decide(self, observation: BatchObservation, orders: BatchOrders) -> None:
        """Let the agents that act look, be asked, and act, in the order of their places."""
        everybody = np.arange(len(observation.agents))
        settings = self.options.llm
        if settings is None:
            detail = "there is no section llm that says where the model is"
            orders.pass_on(everybody, "not configured", detail)
            return
        for i in everybody.tolist():
            self._memory(observation, i).look(observation, i)
        session = self._session_of(observation, settings)
        admitted = session.admit(observation.shared, len(everybody))
        turns = self._turns(session, observation, admitted)
        outcomes = await _all(turns)
        session.spend(observation.shared, [it for outcome in outcomes for it in outcome.answers])
        for turn, outcome in zip(turns, outcomes, strict=True):
            self._act(turn.desk, orders, outcome)
        for i in everybody[admitted:].tolist():
            self._pass_on(observation, orders, i, "budget", "the budget of the run is spent")

    def _memory(self, observation: BatchObservation, i: int) -> Memory:
        index = int(observation.index[i])
        if index not in self.memories:
            self.memories[index] = Memory(self.options.memory, self.options.notes.count)
        return self.memories[index]

    def _session_of(self, observation: BatchObservation, settings: Mapping[str, Any]) -> Session:
        """Return the run's session with these settings, made when it is first needed."""
        if self._session is not None:
            return self._session
        from simlab.agents.llm.session import Session

        key = "llm " + json.dumps(settings, sort_keys=True)
        return observation.resource(key, lambda: Session(settings))

    def _turns(self, session: Session, observation: BatchObservation, count: int) -> list[Turn]:
        from simlab.agents.llm.answers import Form
        from simlab.agents.llm.graph import Turn
        from simlab.agents.llm.prompts import Prompts
        from simlab.agents.llm.tools import Desk, described
        from simlab.agents.llm.view import markets_of

        if not count:
            return []
        options = self.options
        form = Form(
            observation.instruments,
            options.max_orders,
            options.notes.length if options.notes.count else 0,
            options.posts.length if options.posts.write else 0,
            options.max_quantity,
            (int(observation.price_low.min()), int(observation.price_high.max())),
        )
        common: dict[str, Any] = {
            "session": session,
            "options": options,
            "prompts": Prompts.of(options),
            "form": form,
            "schema": form.schema(),
            "tools": described(options.tools, observation.instruments),
            "markets": markets_of(observation, options),
        }
        desks = [
            Desk(observation, i, name, self._memory(observation, i))
            for i, name in enumerate(observation.names[:count])
        ]
        return [Turn(desk=desk, **common) for desk in desks]

    def _act(self, desk: Desk, orders: BatchOrders, outcome: Outcome) -> None:
        observation, i = desk.observation, desk.i
        orders.note([i], **_facts(outcome))
        decision = outcome.decision
        if decision is None:
            self._pass_on(observation, orders, i, outcome.kind, outcome.detail)
            return
        memory, names = desk.memory, observation.instruments
        steps = self._thinking_steps(observation, i, outcome)
        if steps:
            orders.think([i], steps)
        deeds = [_do(orders, i, move, names, memory) for move in decision.moves]
        memory.remember(Entry(int(observation.step), deeds, decision.reason))
        memory.note(decision.note)
        if decision.post:
            feed.publish(observation.shared, int(observation.step), desk.name, decision.post)

    def _pass_on(
        self, observation: BatchObservation, orders: BatchOrders, i: int, kind: str, detail: str
    ) -> None:
        orders.pass_on([i], kind, detail)
        told = f"invalid answer, {detail}" if kind == "invalid answer" else kind
        self._memory(observation, i).remember(Entry(int(observation.step), [], fallback=told))

    def _thinking_steps(self, observation: BatchObservation, i: int, outcome: Outcome) -> int:
        """Return after how many steps the orders leave: by the time the model took, or a drawn one."""
        thinking = (self.options.llm or {}).get("thinking") or {}
        charge = thinking.get("charge", "none")
        if charge == "none":
            return 0
        if charge == "measured":
            taken_ms = sum(it.ms for it in outcome.answers)
        else:  # exponential, each agent's own draw
            taken_ms = -thinking["mean_ms"] * math.log1p(-float(observation.uniform(1)[i, 0]))
        return min(int(taken_ms / thinking["ms_per_step"]), int(thinking["most_steps"]))


async def _all(turns: Sequence[Turn]) -> list[Outcome]:
    """Let all decide at once; of what fails the first in their order is raised, whoever fails first."""
    if not turns:
        return []
    from simlab.agents.llm.graph import decided

    generator = random.getstate()  # LangGraph draws ids from it, which are nobody's business in a run
    deciding: list[asyncio.Future[Outcome]] = []
    try:
        for turn in turns:
            deciding.append(asyncio.ensure_future(decided(turn)))
            await asyncio.sleep(0)  # so that the first are asked while the last still look
        outcomes = await asyncio.gather(*deciding, return_exceptions=True)
    finally:
        for it in deciding:
            it.cancel()  # nothing, but where this is cancelled itself
        random.setstate(generator)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return outcomes  # type: ignore[return-value]


def _do(orders: BatchOrders, i: int, move: Move, names: Sequence[str], memory: Memory) -> Deed:
    """Send what a move says; return it in words."""
    if move.action == "cancel_all":
        orders.cancel_all([i])
        memory.cancelled()
        return Deed("cancel all")
    if move.action == "cancel":
        orders.cancel([i], move.order_id)
        memory.cancelled(move.order_id)
        return Deed(f"cancel {move.order_id}")
    what = f"{move.action} {move.quantity} {names[move.instrument]}"
    if move.price is None:
        ids = orders.market([i], move.action, move.quantity, instrument=move.instrument)
        return Deed(f"{what} at the market", int(ids[0]), move.quantity)
    ids = orders.limit([i], move.action, move.price, move.quantity, instrument=move.instrument)
    return Deed(f"{what} at {move.price}", int(ids[0]), move.quantity)


def _facts(outcome: Outcome) -> dict[str, Any]:
    """Return what the decisions table says of a turn."""
    answers, decision = outcome.answers, outcome.decision
    facts: dict[str, Any] = {
        "request": answers[-1].request_hash,
        "calls": sum(it.calls for it in answers),
        "tokens_in": sum(it.tokens_in for it in answers),
        "tokens_out": sum(it.tokens_out for it in answers),
        "ms": sum(it.ms for it in answers),
        "cost": sum(it.cost for it in answers),
        "cached": sum(it.cached for it in answers),
        **outcome.facts,
    }
    if decision is not None:
        facts["reason"] = decision.reason
        facts |= {name: text for name in ("note", "post") if (text := getattr(decision, name))}
    return facts
