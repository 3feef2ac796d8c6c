"""One decision of one agent as a LangGraph graph: observe, decide, check, act.

::

    observe -> decide -> check -> act
                 ^         |
                 └─────────┘  a tool was called, or the answer was invalid and is asked for once more

The graph is compiled once a process and has no state of its own: everything about a decision is in its
`Turn`. Nothing is sent to the market in here, so that it does not matter whose model answers first.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, TypedDict

from simlab.agents.llm.answers import Decision, Form, InvalidAnswerError
from simlab.agents.llm.options import Options
from simlab.agents.llm.prompts import Prompts
from simlab.agents.llm.rules import broken_rules
from simlab.agents.llm.session import Answer, Request, Session
from simlab.agents.llm.tools import Desk, call_tool
from simlab.agents.llm.view import view_of
from simlab.errors import LlmError, SimlabError

__all__ = ["Outcome", "Turn", "decided", "prepare"]

_MOST_CALLS_AT_ONCE = 8
"""Tools that one answer may call."""


@dataclass(frozen=True)
class Turn:
    """What one agent decides with.

    `markets` is what all agents of the population see, `tools` and `schema` are as a request wants them.
    """

    session: Session
    desk: Desk
    options: Options
    prompts: Prompts
    form: Form
    schema: dict[str, Any]
    tools: list[dict[str, Any]]
    markets: list[dict[str, Any]]


@dataclass(frozen=True)
class Outcome:
    """What came of a turn: a decision, or why there is none (`kind`, `detail`), and all answers."""

    decision: Decision | None
    kind: str
    detail: str
    answers: tuple[Answer, ...]
    facts: dict[str, Any] = field(default_factory=dict)


class _State(TypedDict, total=False):
    messages: list[dict[str, Any]]
    answers: list[Answer]
    rounds: int
    called: list[str]
    refused: list[str]
    """What was wrong with the first answer."""
    decision: Decision | None
    kind: str
    detail: str
    outcome: Outcome


async def decided(turn: Turn) -> Outcome:
    """Let the graph decide for one agent."""
    try:
        return (await _graph().ainvoke({}, context=turn))["outcome"]
    except SimlabError as error:
        vars(error).pop("__notes__", None)  # LangGraph's: the node, and an id that is another in each run
        raise


def prepare() -> None:
    """Import what the graph needs, before a run and on its own thread.

    It takes a second, and while several threads run, the filters of warnings that packages set get lost.

    Raises
    ------
    LlmError
        When LangGraph is not installed.
    """
    generator = random.getstate()  # some of what is imported draws from it
    try:
        _graph()
    except ImportError as error:
        raise LlmError(
            f"language models need a package that is not installed ({error.name}); install it with"
            ' pip install "simlab[llm]"'
        ) from error
    finally:
        random.setstate(generator)


@lru_cache(maxsize=1)
def _graph() -> Any:
    from langgraph.graph import END, START, StateGraph
    from langgraph.runtime import Runtime

    async def observe(state: _State, runtime: Runtime[Turn]) -> _State:
        return _observed(runtime.context)

    async def decide(state: _State, runtime: Runtime[Turn]) -> _State:
        return {"answers": [*state["answers"], await _ask(state, runtime.context)]}

    async def check(state: _State, runtime: Runtime[Turn]) -> _State:
        return _checked(state, runtime.context)

    async def act(state: _State, runtime: Runtime[Turn]) -> _State:
        return {"outcome": _outcome(state)}

    graph = StateGraph(_State, context_schema=Turn)
    for node in (observe, decide, check, act):
        # a plain name each, as it is shown when a graph is drawn
        graph.add_node(node.__name__, node)
    graph.add_edge(START, "observe")
    graph.add_edge("observe", "decide")
    graph.add_edge("decide", "check")
    graph.add_conditional_edges("check", _next, ["act", "decide"])
    graph.add_edge("act", END)
    return graph.compile()


def _observed(turn: Turn) -> _State:
    view = view_of(turn.desk, turn.options, turn.markets)
    return {
        "messages": turn.prompts.messages(view),
        "answers": [],
        "rounds": 0,
        "called": [],
        "refused": [],
        "decision": None,
        "kind": "",
        "detail": "",
    }


async def _ask(state: _State, turn: Turn) -> Answer:
    offered = turn.tools if state["rounds"] < turn.options.max_tool_calls else []
    request = Request(
        messages=state["messages"],
        schema=turn.schema,
        tools=offered or None,
        asker=turn.desk.name,
        occasion=f"{int(turn.desk.observation.step)}/{len(state['answers'])}",
    )
    return await turn.session.ask(request)


def _checked(state: _State, turn: Turn) -> _State:
    answer = state["answers"][-1]
    if answer.failure is not None:
        return {"kind": answer.failure.kind, "detail": answer.failure.detail}
    if answer.tool_calls and state["rounds"] < turn.options.max_tool_calls and turn.tools:
        return _tools_answered(state, answer, turn)
    try:
        decision = _valid(answer, turn)
    except InvalidAnswerError as error:
        return _refused(state, answer, error.problems)
    return {"decision": decision}


def _valid(answer: Answer, turn: Turn) -> Decision:
    if answer.tool_calls:
        raise InvalidAnswerError(["no more tools may be called; decide now"])
    decision = turn.form.read(answer.text)
    problems = broken_rules(turn.desk.observation, turn.desk.i, decision.moves)
    if problems:
        raise InvalidAnswerError(problems)
    return decision


def _refused(state: _State, answer: Answer, problems: Sequence[str]) -> _State:
    """Ask once more, with all that was wrong; a second invalid answer is none."""
    if state["refused"]:
        return {"kind": "invalid answer", "detail": "; ".join(problems)}
    told = "\n".join(f"- {it}" for it in problems)
    again = (
        f"Your answer cannot be taken:\n{told}\nNothing was sent. Answer again with one valid JSON object."
    )
    messages = [
        *state["messages"],
        {"role": "assistant", "content": _whole_characters(answer.text)},
        {"role": "user", "content": again},
    ]
    return {"refused": list(problems), "messages": messages}


def _tools_answered(state: _State, answer: Answer, turn: Turn) -> _State:
    calls = list(answer.tool_calls)
    asked = {
        "role": "assistant",
        "content": _whole_characters(answer.text),
        "tool_calls": [
            {
                "id": it.id,
                "type": "function",
                "function": {
                    "name": _whole_characters(it.name),
                    "arguments": _whole_characters(it.arguments),
                },
            }
            for it in calls
        ],
    }
    told = []
    for k, call in enumerate(calls):
        text = "error: too many calls at once"
        if k < _MOST_CALLS_AT_ONCE:
            text = call_tool(call.name, call.arguments, turn.options.tools, turn.desk)
        told.append({"role": "tool", "tool_call_id": call.id, "content": text})
    return {
        "messages": [*state["messages"], asked, *told],
        "rounds": state["rounds"] + 1,
        "called": [*state["called"], *(it.name for it in calls if it.name in turn.options.tools)],
    }


def _whole_characters(text: str | None) -> str:
    """Return a text that can be sent: a model may answer with half of a surrogate pair."""
    return (text or "").encode(errors="replace").decode()


def _next(state: _State) -> str:
    return "act" if state["decision"] is not None or state["kind"] else "decide"


def _outcome(state: _State) -> Outcome:
    facts: dict[str, Any] = {}
    if state["called"]:
        facts["tools"] = ", ".join(state["called"])
    if state["refused"]:
        facts["refused"] = "; ".join(state["refused"])
    return Outcome(state["decision"], state["kind"], state["detail"], tuple(state["answers"]), facts)
