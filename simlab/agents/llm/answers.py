"""Say which form an answer has, and read one: every mistake in it is told at once.

The form is one JSON object ``{reason, orders: [...], note?, post?}``. It can be asked for by a JSON schema,
as JSON, or in words; the same reading takes all three.

Example
-------
>>> form = Form(("ACME",), max_orders=3)
>>> decision = form.read('I buy: {"reason": "cheap", "orders": [{"action": "buy", "quantity": 5}]}')
>>> decision.reason, decision.moves[0].quantity, decision.moves[0].price
('cheap', 5, None)
>>> form.read('{"orders": [{"action": "buy", "quantity": "many"}]}')
Traceback (most recent call last):
simlab.agents.llm.answers.InvalidAnswerError: orders[0].quantity: must be a whole number, not 'many'
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from simlab.core.types import MAX_QUANTITY
from simlab.errors import did_you_mean

__all__ = ["MAX_PRICE", "Decision", "Form", "InvalidAnswerError", "Move"]

MAX_PRICE = 2**53
"""Prices beyond it are no prices; every band is within."""

_REASON_LENGTH = 160
_MOST_REASON = 1_000
"""Characters of a reason that is taken, where nothing holds a model to `_REASON_LENGTH`."""
_MOST_TEXT = 200_000
_MOST_STARTS = 64
"""Opening braces at which an object is looked for."""
_MOST_SHOWN = 40
_FIELDS = {
    "buy": ("action", "instrument", "quantity", "price"),
    "sell": ("action", "instrument", "quantity", "price"),
    "cancel": ("action", "order_id"),
    "cancel_all": ("action",),
    "hold": ("action",),
}
"""What belongs to each action."""


class InvalidAnswerError(Exception):
    """Tell all that is wrong with an answer."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Move:
    """One thing to do; `price` is None for a market order."""

    action: str
    instrument: int = 0
    quantity: int = 0
    price: int | None = None
    order_id: int = 0


@dataclass(frozen=True)
class Decision:
    """An answer that has the right form."""

    reason: str
    moves: tuple[Move, ...]
    note: str = ""
    post: str = ""


@dataclass(frozen=True)
class Form:
    """The form of the answers of a population.

    Parameters
    ----------
    instruments : tuple of str
    max_orders : int
    note_length, post_length : int
        Characters of a note or a post, 0 where there are none.
    max_quantity : int
        Lots of one order.
    prices : (int, int)
        The lowest and highest price of any of the instruments, price units.
    """

    instruments: tuple[str, ...]
    max_orders: int = 5
    note_length: int = 0
    post_length: int = 0
    max_quantity: int = MAX_QUANTITY
    prices: tuple[int, int] = (-MAX_PRICE, MAX_PRICE)

    @property
    def _texts(self) -> dict[str, int]:
        given = {"note": self.note_length, "post": self.post_length}
        return {name: length for name, length in given.items() if length}

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of an answer: all is required and bounded, what may be left out is null."""
        price = {"type": "integer", "minimum": self.prices[0], "maximum": self.prices[1]}
        trade = {
            "action": {"type": "string", "enum": ["buy", "sell"]},
            "instrument": {"type": "string", "enum": list(self.instruments)},
            "quantity": {"type": "integer", "minimum": 1, "maximum": self.max_quantity},
            "price": {"anyOf": [price, {"type": "null"}]},
        }
        cancel = {"action": {"type": "string", "enum": ["cancel"]}, "order_id": {"type": "integer"}}
        plain = {"action": {"type": "string", "enum": ["cancel_all", "hold"]}}
        orders = {"anyOf": [_object(trade), _object(cancel), _object(plain)]}
        return _object(
            {
                "reason": {"type": "string", "maxLength": _REASON_LENGTH},
                "orders": {"type": "array", "items": orders, "maxItems": self.max_orders},
            }
            | {name: {"type": ["string", "null"], "maxLength": it} for name, it in self._texts.items()}
        )

    def read(self, text: str | None) -> Decision:
        """Return the decision that an answer's first JSON object makes.

        Raises
        ------
        InvalidAnswerError
        """
        answer = _first_object(text or "")
        problems: list[str] = []
        _only(answer, ("reason", "orders", *self._texts), "", problems)
        texts = {"reason": _text(answer, "reason", _MOST_REASON, problems)}
        texts |= {name: _text(answer, name, length, problems) for name, length in self._texts.items()}
        orders = answer.get("orders")
        moves: list[Move] = []
        if not isinstance(orders, list):
            problems.append('orders: must be a list, such as [{"action": "hold"}]')
        elif len(orders) > self.max_orders:
            problems.append(f"orders: {len(orders)} are too many; give at most {self.max_orders}")
        else:
            moves = [self._move(f"orders[{i}]", it, problems) for i, it in enumerate(orders)]
        if problems:
            raise InvalidAnswerError(problems)
        return Decision(moves=tuple(it for it in moves if it.action != "hold"), **texts)

    def _move(self, path: str, given: Any, problems: list[str]) -> Move:
        if not isinstance(given, dict):
            problems.append(f"{path}: must be an object with an action, not {_shown(given)}")
            return Move("hold")
        action = given.get("action")
        if not isinstance(action, str) or action not in _FIELDS:
            hint = did_you_mean(action, _FIELDS, otherwise="use one of")
            problems.append(f"{path}.action: {_shown(action)} is none{hint}")
            return Move("hold")
        _only(given, _FIELDS[action], f"{path}.", problems)
        if action == "cancel":
            return Move(action, order_id=_whole(given, path, "order_id", -(2**63), 2**63 - 1, problems) or 0)
        if action not in ("buy", "sell"):
            return Move(action)
        place = self._instrument(f"{path}.instrument", given.get("instrument"), problems)
        quantity = _whole(given, path, "quantity", 1, self.max_quantity, problems) or 0
        price = None
        if given.get("price") is not None:
            price = _whole(given, path, "price", *self.prices, problems)
        return Move(action, place, quantity, price)

    def _instrument(self, path: str, name: Any, problems: list[str]) -> int:
        if name is None and len(self.instruments) == 1:
            return 0
        if name not in self.instruments:
            problems.append(f"{path}: {_shown(name)} is none{did_you_mean(name, self.instruments)}")
            return 0
        return self.instruments.index(name)


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _first_object(text: str) -> dict[str, Any]:
    """Return the first JSON object in a text, whatever is around it; thoughts in tags are left out."""
    if not text.strip():
        raise InvalidAnswerError(["the answer is empty; give one JSON object"])
    text = re.sub(r"<think>.*?</think>", "", text[:_MOST_TEXT], flags=re.DOTALL)
    decoder = json.JSONDecoder(parse_constant=_no_number, object_pairs_hook=_once)
    complaint = f"there is no JSON object in it, it begins with {_shown(text.strip())}"
    start = text.find("{")
    for _ in range(_MOST_STARTS):
        if start < 0:
            break
        try:
            return decoder.raw_decode(text, start)[0]
        except json.JSONDecodeError as error:
            complaint = f"it is no valid JSON: {error.msg} at character {error.pos}"
            start = text.find("{", max(error.pos, start + 1))  # not within what is broken off
        except (ValueError, RecursionError) as error:
            complaint = f"it is no valid JSON: {_clipped(str(error))}"
            break
    raise InvalidAnswerError([f"the answer cannot be read: {complaint}; give one JSON object"])


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{next(it for it in names if names.count(it) > 1)!r} is given twice")
    return made


def _only(given: Mapping[str, Any], names: Sequence[str], path: str, problems: list[str]) -> None:
    """Complain of what does not belong here; null is as good as absent."""
    for name, value in given.items():
        if name not in names and value is not None:
            hint = did_you_mean(name, names, otherwise="known here")
            problems.append(f"{path}{_shown(name)[1:-1]}: does not belong here{hint}")


def _text(given: Mapping[str, Any], name: str, most: int, problems: list[str]) -> str:
    value = given.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        problems.append(f"{name}: must be a text, not {_shown(value)}")
        return ""
    value = " ".join(value.split())
    if value != value.encode(errors="replace").decode():
        problems.append(f"{name}: has half of a surrogate pair in it, which is no character")
    if len(value) > most:
        problems.append(f"{name}: has {len(value)} characters, at most {most} are allowed")
    return value


def _whole(
    given: Mapping[str, Any], path: str, name: str, low: int, high: int, problems: list[str]
) -> int | None:
    value = given.get(name)
    if value is None:
        problems.append(f"{path}.{name}: is missing")
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        problems.append(f"{path}.{name}: must be a whole number, not {_shown(value)}")
        return None
    if not low <= value <= high:
        problems.append(f"{path}.{name}: must be from {low} to {high}, not {_clipped(str(value))}")
        return None
    return value


def _shown(value: Any) -> str:
    return _clipped(repr(value))


def _clipped(text: str) -> str:
    return text if len(text) <= _MOST_SHOWN else text[: _MOST_SHOWN - 3] + "..."
