"""Every built-in compiled strategy keeps the contract, compiled and interpreted; a broken one is caught."""

from __future__ import annotations

import doctest
import hashlib
import importlib
import os
import subprocess
import sys

import numpy as np
import pytest

from simlab.agents import conformance
from simlab.agents.compiled import Parameter, cancel, compiled_strategy, limit
from simlab.agents.conformance import check_compiled_strategy, decide, plain_case, random_case
from simlab.agents.library import STRATEGIES
from simlab.agents.strategy import Calling
from simlab.errors import StrategyError

COMPILED = [name for name, strategy in STRATEGIES.items() if strategy.level == Calling.COMPILED]


@compiled_strategy("free", "Bids zero.")
def bids_zero(view, me, rng, orders):
    limit(orders, view, 0, 0, view.lot_size)


@compiled_strategy("third_side", "Names a side that does not exist.")
def names_third_side(view, me, rng, orders):
    limit(orders, view, 2, 100 * view.tick_size, view.lot_size)


@compiled_strategy("chatterbox", "Sends too much.")
def sends_too_much(view, me, rng, orders):
    for i in range(40):
        cancel(orders, i + 1)


@compiled_strategy("vandal", "Writes to the view.")
def writes_to_view(view, me, rng, orders):
    view.best_bid += 1


@compiled_strategy("forger", "Writes to its account.")
def writes_to_account(view, me, rng, orders):
    me.cash += 1


@compiled_strategy("gambler", "Draws from a generator that is not its own.")
def draws_elsewhere(view, me, rng, orders):
    limit(orders, view, 0, view.tick_size * np.random.randint(1, 10**6), view.lot_size)


@compiled_strategy("time_traveller", "Sends orders that have expired.")
def sends_expired(view, me, rng, orders):
    limit(orders, view, 0, view.tick_size, view.lot_size, 0, 0, view.step - 1)


@compiled_strategy("beyond", "Has a default out of bounds.", (Parameter("size", 5, "lots", "Size.", 1, 4),))
def has_bad_default(view, me, rng, orders):
    pass


@pytest.mark.parametrize("name", COMPILED)
def test_built_in_strategies_keep_the_contract(name: str) -> None:
    check_compiled_strategy(STRATEGIES[name])


@pytest.mark.parametrize(
    ("strategy", "breach"),
    [
        (bids_zero, "price 0"),
        (names_third_side, "side 2"),
        (sends_too_much, "more than 32 messages"),
        (writes_to_view, "writes to the view"),
        (writes_to_account, "beyond its memory"),
        (draws_elsewhere, "answers differently"),
        (sends_expired, "in the past"),
        (has_bad_default, "outside"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_breach_is_named(strategy, breach: str) -> None:
    with pytest.raises(AssertionError, match=f"'{strategy.name}'.*{breach}"):
        check_compiled_strategy(strategy, seeds=range(20))


def test_plain_case_names_an_unknown_parameter_and_the_nearest() -> None:
    with pytest.raises(StrategyError, match=r"'half_spred'.*half_spread"):
        plain_case(STRATEGIES["market_maker"], half_spred=1)


def digest(name: str) -> str:
    """Hash what a strategy answers, remembers and draws on a number of random cases."""
    state = hashlib.sha256()
    for seed in range(40):
        case = random_case(STRATEGIES[name], seed)
        for _ in range(3):
            state.update(decide(STRATEGIES[name], case).tobytes())
            state.update(case.me.tobytes())
            state.update(case.rng.tobytes())
            case.view[0].step += 1
    return state.hexdigest()


@pytest.fixture(scope="module")
def interpreted_digests() -> dict[str, str]:
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, __file__], env=environment, capture_output=True, text=True, check=True
    )
    return dict(line.split() for line in done.stdout.splitlines())


@pytest.mark.parametrize("name", COMPILED)
def test_interpreted_code_answers_like_compiled_code(name: str, interpreted_digests) -> None:
    assert digest(name) == interpreted_digests[name]


@pytest.mark.parametrize(
    "module", sorted({it.defined_in for it in STRATEGIES.values()} | {conformance.__name__})
)
def test_examples_run(module: str) -> None:
    assert doctest.testmod(importlib.import_module(module)).failed == 0


if __name__ == "__main__":
    for name in COMPILED:
        print(name, digest(name))
