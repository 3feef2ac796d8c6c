"""A name that is unknown is answered with the known one most like it."""

from __future__ import annotations

from pathlib import Path

import pytest

import simlab
from simlab.errors import did_you_mean, nearest_name


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("trade", ["quotes", "trades"], "trades"),
        ("acme", ["BETA", "ACME"], "ACME"),
        ("Acme", ["ACME", "acme"], "ACME"),
        ("price", ["quotes", "trades"], None),
        (3, ["three", "33"], "33"),
        ("x", [], None),
    ],
)
def test_the_nearest_name_is_found_whatever_its_case(
    name: object, known: list[str], expected: str | None
) -> None:
    assert nearest_name(name, iter(known)) == expected


def test_what_is_known_is_listed_when_nothing_is_near() -> None:
    known = ["quotes", "trades"]
    assert did_you_mean("trade", known) == "; did you mean 'trades'?"
    assert did_you_mean("price", known) == "; known: quotes, trades"
    assert did_you_mean("price", iter(known), otherwise="it has") == "; it has: quotes, trades"
    assert did_you_mean("price", known, otherwise="") == ""
    assert did_you_mean("price", []) == ""


def test_only_errors_looks_for_near_names() -> None:
    root = Path(simlab.__file__).parent
    users = [
        path.name for path in root.rglob("*.py") if "get_close_matches" in path.read_text(encoding="utf-8")
    ]
    assert users == ["errors.py"]
