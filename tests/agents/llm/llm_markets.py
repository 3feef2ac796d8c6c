"""A small market with language models in it, and sessions that answer by a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any, NamedTuple

from simlab.agents.llm.session import Answer, Request
from simlab.config import build, load
from simlab.kernel.simulation import Simulation

SETTINGS = {"model": "scripted"}

MARKET: dict[str, Any] = {
    "seed": 3,
    "steps": 30,
    "llm": SETTINGS,
    "instruments": {"ACME": {"initial_price": 1_000, "price_band": [500, 1_500]}},
    "populations": {
        "makers": {
            "strategy": "market_maker",
            "count": 2,
            "activation": {"period": 1},
            "account": {"borrowing": "free", "short_selling": "free"},
        },
        "noise": {
            "strategy": "noise",
            "count": 5,
            "activation": {"rate": 0.5},
            "account": {"cash": 1_000_000, "inventory": 500},
        },
        "llm": {
            "strategy": "llm",
            "count": 2,
            "activation": {"period": 5},
            "account": {"cash": 100_000, "inventory": 50},
        },
    },
}
"""Two makers, some noise, and two language models that act every five steps."""


def says(reason: str = "because", *orders: dict[str, Any], **texts: str) -> str:
    """Return an answer in the right form."""
    return json.dumps({"reason": reason, "orders": list(orders)} | texts)


def buys(quantity: int = 1, price: int | None = None, side: str = "buy") -> dict[str, Any]:
    return {"action": side, "instrument": "ACME", "quantity": quantity, "price": price}


class Call(NamedTuple):
    """A tool call as an `Answer` has it."""

    id: str
    name: str
    arguments: str


class Scripted:
    """A session in which ``script(request)`` answers, with a text or an `Answer`.

    `late` says how often an answer lets others go first.
    """

    def __init__(
        self,
        script: Callable[[Request], Any],
        *,
        budget: int | None = None,
        late: Callable[[Request], int] | None = None,
    ) -> None:
        self.script, self.budget, self.late = script, budget, late
        self.requests: list[Request] = []

    def admit(self, shared: dict[str, Any], wanted: int) -> int:
        return wanted if self.budget is None else max(0, min(wanted, self.budget - shared.get("calls", 0)))

    def spend(self, shared: dict[str, Any], answers: list[Answer]) -> None:
        shared["calls"] = shared.get("calls", 0) + len(answers)

    async def ask(self, request: Request) -> Answer:
        for _ in range(self.late(request) if self.late else 0):
            await asyncio.sleep(0)
        self.requests.append(request)
        answer = self.script(request)
        return (
            answer
            if isinstance(answer, Answer)
            else Answer(text=answer, tokens_in=100, tokens_out=20, ms=50.0)
        )

    def prompts(self, asker: str = "llm/0") -> list[str]:
        """Return what an agent was told, by its decisions."""
        asked = [it for it in self.requests if it.asker == asker and it.occasion.endswith("/0")]
        return [it.messages[1]["content"] for it in asked]


def market(
    session: Any,
    sink: Any = None,
    *,
    population: dict[str, Any] | None = None,
    settings: dict[str, Any] | None = SETTINGS,
    **options: Any,
) -> Simulation:
    """Return the small market; `population` changes that of the models, `options` are theirs."""
    models = MARKET["populations"]["llm"] | (population or {}) | {"options": options}
    spec = build(load(MARKET | {"populations": MARKET["populations"] | {"llm": models}}))
    made = next(it for it in spec.populations if it.name == "llm")
    made.options.update(session=session, llm=settings)
    return Simulation(spec, sink=sink)
