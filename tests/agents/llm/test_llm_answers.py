"""An answer is read whatever is around it, and every mistake in it is told, all at once."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.agents.llm.answers import Decision, Form, InvalidAnswerError, Move

FORM = Form(("ACME", "BOLT"), max_orders=3, note_length=20, post_length=10)
ONE = Form(("ACME",))
BUY = {"action": "buy", "instrument": "ACME", "quantity": 5, "price": 100}
GOOD = {"reason": "cheap", "orders": [BUY, {"action": "cancel", "order_id": 7}], "note": "wait", "post": None}


def problems(answer: object, form: Form = FORM) -> str:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    with pytest.raises(InvalidAnswerError) as caught:
        form.read(text)
    return "; ".join(caught.value.problems)


def read_or_refused(text: str) -> Decision | tuple[str, ...]:
    try:
        return FORM.read(text)
    except InvalidAnswerError as error:
        return error.problems


def test_a_good_answer_is_a_decision() -> None:
    decision = FORM.read(json.dumps(GOOD))
    assert decision.moves == (Move("buy", 0, 5, 100), Move("cancel", order_id=7))
    assert (decision.reason, decision.note, decision.post) == ("cheap", "wait", "")


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "```json\n{}\n```",
        "Sure! Here is {my} answer: {}. Hope that helps {}",
        "<think>perhaps {{'orders'}} or {{\"orders\": []}}</think>{}",
    ],
)
def test_the_first_object_of_a_text_is_taken(text: str) -> None:
    whole = text.replace("{}", json.dumps(GOOD)).replace("{{", "{").replace("}}", "}")
    assert FORM.read(whole) == FORM.read(json.dumps(GOOD))


def test_to_hold_is_to_send_nothing() -> None:
    for orders in ([], [{"action": "hold"}]):
        assert ONE.read(json.dumps({"reason": "", "orders": orders})).moves == ()


def test_an_order_at_the_market_has_no_price_and_one_instrument_needs_no_name() -> None:
    text = json.dumps({"reason": "", "orders": [{"action": "sell", "quantity": 2.0, "price": None}]})
    assert ONE.read(text).moves == (Move("sell", 0, 2, None),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the answer is empty"),
        ("Ich kaufe fünf Stück.", "no JSON object in it, it begins with 'Ich kaufe"),
        ('{"reason": "x", "orders": [{"action": "buy", "quantity": 5}', "no valid JSON: .* at character 5"),
        ('{"reason": "x", "reason": "y", "orders": []}', "'reason' is given twice"),
        ('{"orders": [{"action": "buy", "quantity": NaN}]}', "NaN is no number"),
        ('{"orders": [{"action": "buy", "quantity": %s}]}' % ("9" * 5000), "no valid JSON"),
        ("{" * 50_000, "no valid JSON"),
        ('{"a":' * 50_000, "no valid JSON: nested too deep|no valid JSON: .*"),
        ('["buy"]', "no JSON object in it"),
    ],
)
def test_what_is_no_object_is_told(text: str, message: str) -> None:
    with pytest.raises(InvalidAnswerError, match=message):
        FORM.read(text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"orders": None}, "orders: must be a list"),
        ({"orders": {"action": "buy"}}, "orders: must be a list"),
        ({"orders": [BUY] * 4}, "orders: 4 are too many; give at most 3"),
        ({"orders": ["buy"]}, r"orders\[0\]: must be an object with an action, not 'buy'"),
        ({"orders": [{"action": "kaufen"}]}, r"orders\[0\].action: 'kaufen' is none; use one of: buy, sell"),
        ({"orders": [BUY | {"action": "Buy"}]}, "did you mean 'buy'"),
        ({"orders": [BUY | {"action": ["buy"]}]}, r"orders\[0\].action"),
        ({"orders": [BUY | {"instrument": "ACNE"}]}, "instrument: 'ACNE' is none; did you mean 'ACME'"),
        ({"orders": [BUY | {"instrument": None}]}, "instrument: None is none; known: ACME, BOLT"),
        ({"orders": [BUY | {"quantity": "ten"}]}, "quantity: must be a whole number, not 'ten'"),
        ({"orders": [BUY | {"quantity": True}]}, "quantity: must be a whole number, not True"),
        ({"orders": [BUY | {"quantity": 2.5}]}, "quantity: must be a whole number, not 2.5"),
        ({"orders": [BUY | {"quantity": 0}]}, "quantity: must be from 1 to 2147483647, not 0"),
        ({"orders": [BUY | {"quantity": 10**30}]}, "quantity: must be from 1 to .*, not 1000"),
        ({"orders": [BUY | {"quantity": None}]}, "quantity: is missing"),
        ({"orders": [BUY | {"price": 1e300}]}, "price: must be from"),
        ({"orders": [BUY | {"type": "market"}]}, r"orders\[0\].type: does not belong here"),
        ({"orders": [{"action": "cancel"}]}, "order_id: is missing"),
        ({"orders": [{"action": "hold", "quantity": 3}]}, "quantity: does not belong here"),
        ({"reason": 5}, "reason: must be a text, not 5"),
        ({"note": "x" * 21}, "note: has 21 characters, at most 20 are allowed"),
        ({"post": ["x"]}, "post: must be a text"),
        ({"reason": "x" * 1001}, "reason: has 1001 characters, at most 1000"),
        ({"reason": "\ud800"}, "reason: has half of a surrogate pair"),
        ({"\ud800": 1}, r"\\ud800: does not belong here"),
        ({"order": []}, "order: does not belong here; did you mean 'orders'"),
    ],
)
def test_a_mistake_is_told(change: dict, message: str) -> None:
    with pytest.raises(InvalidAnswerError, match=message):
        FORM.read(json.dumps(GOOD | change))


def test_all_mistakes_are_told_at_once() -> None:
    told = problems(
        {"orders": [BUY | {"quantity": "ten", "price": "low"}, {"action": "cancel", "order_id": "x"}]}
    )
    assert [it.split(":")[0] for it in told.split("; ")] == [
        "orders[0].quantity",
        "orders[0].price",
        "orders[1].order_id",
    ]


def test_notes_and_posts_belong_to_those_who_may_write_them() -> None:
    assert "note: does not belong here" in problems({"orders": [], "note": "x"}, ONE)
    assert set(ONE.schema()["properties"]) == {"reason", "orders"}
    assert set(FORM.schema()["properties"]) == {"reason", "orders", "note", "post"}


def test_the_schema_is_bounded_and_takes_what_is_read() -> None:
    schema = FORM.schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(GOOD, schema)
    FORM.read(json.dumps(GOOD))
    assert all("maxLength" in it or "enum" in it for it in _of_type(schema, "string"))
    assert all("maxItems" in it for it in _of_type(schema, "array"))
    assert all(it["additionalProperties"] is False for it in _of_type(schema, "object"))
    assert all(it["required"] == list(it["properties"]) for it in _of_type(schema, "object"))


def _of_type(node: object, kind: str) -> list[dict]:
    if isinstance(node, list):
        return [it for part in node for it in _of_type(part, kind)]
    if not isinstance(node, dict):
        return []
    own = (
        [node]
        if kind in (node.get("type") if isinstance(node.get("type"), list) else [node.get("type")])
        else []
    )
    return own + [it for part in node.values() for it in _of_type(part, kind)]


@given(st.text() | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(str))
def test_no_text_is_too_odd(text: str) -> None:
    assert read_or_refused(text)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["buy", "cancel", "ACME"]),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    ["reason", "orders", "action", "instrument", "quantity", "price", "order_id"]
                ),
                inner,
            )
        ),
    )
)
def test_no_object_is_too_odd(answer: object) -> None:
    assert read_or_refused(json.dumps({"orders": answer}))
