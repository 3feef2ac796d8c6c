"""The tools of a model only read, say what is wrong with a call, and calculate without `eval`."""

from __future__ import annotations

import json
import math
from typing import Any

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from llm_markets import Call, Scripted, buys, market, says

from simlab.agents.llm.calculator import CalculatorError, calculate
from simlab.agents.llm.session import Answer
from simlab.agents.llm.tools import TOOLS, described


def asks(*calls: tuple[str, Any]) -> Answer:
    made = [
        Call(f"c{i}", name, json.dumps(it) if isinstance(it, dict) else it)
        for i, (name, it) in enumerate(calls)
    ]
    return Answer(text="", tool_calls=made)


def told(*calls: tuple[str, Any], step: int = 20, **options: Any) -> list[str]:
    """Return what the tools answer to calls made at a step, by the model llm/0."""

    def script(request: Any) -> Any:
        at, call = request.occasion.split("/")
        if int(at) == step and call == "0" and request.asker == "llm/0":
            return asks(*calls)
        return says("", buys(2, None) if at == "0" else buys(1, 900))

    session = Scripted(script)
    market(session, tools=True, **options).advance()
    answered = next(it for it in session.requests if it.occasion == f"{step}/1" and it.asker == "llm/0")
    assert [it["role"] for it in answered.messages[2:]] == ["assistant"] + ["tool"] * len(calls)
    assert [it["tool_call_id"] for it in answered.messages[3:]] == [f"c{i}" for i in range(len(calls))]
    return [it["content"] for it in answered.messages[3:]]


def test_tools_tell_what_the_agent_may_know() -> None:
    window = {"instrument": "ACME", "steps": 10}
    prices, average, trades, orders, sum_ = told(
        ("prices", window),
        ("indicator", window | {"indicator": "moving_average"}),
        ("own_trades", {"count": 5}),
        ("own_orders", {}),
        ("calculator", {"expression": "2 * (3 + 4)"}),
    )
    mids = [float(it) for it in prices.split(": ")[1].split(", ")]
    assert len(mids) == 10
    assert float(average.split(": ")[1]) == pytest.approx(np.mean(mids), abs=0.1)
    assert trades.startswith("step 0: bought 2 ACME at 10")
    assert orders.count("buy 1 ACME at 900") == 3
    assert sum_ == "14"


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("price", {}, "there is no tool 'price'; did you mean 'prices'?"),
        ("prices", "{", "the arguments are no valid JSON"),
        ("prices", "[]", "the arguments must be an object"),
        ("prices", {"instrument": "ACNE", "steps": 5}, "no such instrument: 'ACNE'; did you mean 'ACME'?"),
        ("prices", {"instrument": "ACME", "steps": 5000}, "steps must be a whole number from 2 to 1023"),
        ("prices", {"instrument": "ACME", "steps": True}, "steps must be a whole number"),
        ("prices", {"steps": 5}, "instrument must be a text"),
        ("own_trades", {"cuont": 5}, "no such argument: 'cuont'; did you mean 'count'?"),
        (
            "indicator",
            {"indicator": "macd", "instrument": "ACME", "steps": 5},
            "indicator: 'macd' is none; known: moving_average",
        ),
        ("calculator", {"expression": "1 / 0"}, "division by zero"),
    ],
)
def test_a_wrong_call_is_told_to_the_model(name: str, arguments: Any, message: str) -> None:
    assert message in told((name, arguments))[0]


def test_only_what_is_switched_on_can_be_called() -> None:
    session = Scripted(
        lambda request: asks(("calculator", {"expression": "1"})) if "/0" in request.occasion else says()
    )
    market(session, tools=["prices"]).advance(1)
    first, second = session.requests[0], session.requests[2]
    assert [it["function"]["name"] for it in first.tools] == ["prices"]
    assert "there is no tool 'calculator'" in second.messages[-1]["content"]


def test_rounds_of_calls_are_bounded_and_then_it_must_decide() -> None:
    session = Scripted(lambda request: asks(("own_orders", {})))
    made = market(session, tools=True, max_tool_calls=2)
    made.advance(1)
    mine = [it for it in session.requests if it.asker == "llm/0"]
    assert [it.tools is None for it in mine] == [False, False, True, True]
    assert "no more tools may be called" in mine[-1].messages[-1]["content"]
    assert made.summary()["populations"][0]["population"] == "llm"
    assert made.summary()["populations"][0]["fallbacks"] == {"llm invalid answer": 2}


def test_many_calls_at_once_are_bounded() -> None:
    answers = told(*[("own_orders", {})] * 12)
    assert [it.startswith("error: too many") for it in answers] == [False] * 8 + [True] * 4


def test_descriptions_are_schemas() -> None:
    for tool in described(list(TOOLS), ["ACME", "BOLT"]):
        parameters = tool["function"]["parameters"]
        jsonschema.Draft202012Validator.check_schema(parameters)
        assert parameters["required"] == list(parameters["properties"])


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1 + 2 * 3", 7),
        ("-(10010 - 9990) / 2", -10),
        ("7 // 2 + 7 % 2", 4),
        ("2 ** 10", 1024),
        ("max(1, 2.5, -3)", 2.5),
        ("round(log(exp(2)) + sqrt(9) + abs(-1))", 6),
    ],
)
def test_the_calculator_calculates(expression: str, value: float) -> None:
    assert calculate(expression) == pytest.approx(value)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "buy",
        "().__class__",
        "__import__('os').system('true')",
        "open('x')",
        "[1][0]",
        "'a' * 9",
        "lambda: 1",
        "9 ** 9 ** 9",
        "10 ** 400",
        "(-1) ** 0.5",
        "sqrt(-1)",
        "log(0)",
        "max()",
        "1e308 * 10",
        "True + 1",
        "1 if 2 else 3",
        "(" * 150 + "1" + ")" * 150,
        "1+" * 120 + "1",
        "print(1)",
        "max(*[1])",
        "1j",
    ],
)
def test_the_calculator_refuses(expression: str) -> None:
    with pytest.raises(CalculatorError):
        calculate(expression)


@pytest.mark.filterwarnings("ignore::SyntaxWarning", "ignore::DeprecationWarning")
@given(st.text(alphabet="0123456789.+-*/%() ,eabslogmxinrtpqu", max_size=60))
def test_the_calculator_gives_a_number_or_says_why_not(expression: str) -> None:
    try:
        value = calculate(expression)
    except CalculatorError as error:
        value = float(len(str(error)))
    assert math.isfinite(value)
