"""What a compiled strategy sends is whole, or something that the market refuses; compiled and interpreted."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from simlab.agents.compiled import Parameter, cancel, compiled_strategy, limit, market, replace
from simlab.agents.conformance import decide, plain_case
from simlab.agents.rounding import BEYOND, NO_BYTE, NONE
from simlab.core.types import MessageKind, Side, TimeInForce

NUMBER = (Parameter("number", 0.0, "1", "What it sends."),)
NO_NUMBERS = (math.nan, math.inf, -math.inf, 1e19, -1e300)


@compiled_strategy("floats", "Sends a float everywhere.", NUMBER)
def floats(view, me, rng, orders):
    number = me.parameters[0]
    limit(orders, view, 0, number, 1)
    limit(orders, view, 1, number, 1)
    limit(orders, view, 0, 100, number)
    market(orders, view, 1, number)
    cancel(orders, number)
    replace(orders, view, 0, number, number, number)
    limit(orders, view, 0, 100, 1, 0, 0, number)
    limit(orders, view, number, 100, 1, number)


@compiled_strategy("types", "Sends numbers of other types.")
def kinds_of_numbers(view, me, rng, orders):
    limit(orders, view, Side.SELL, np.int32(105), np.uint8(3), TimeInForce.IOC)
    limit(orders, view, True, np.uint64(105), np.uint64(3), False, True)
    limit(orders, view, 0, np.uint64(2**63 + 5), np.uint64(2**63))
    limit(orders, view, 0, np.float32(105.5), np.float32(3.5))
    limit(orders, view, 256, 105, 1, 300, 256)
    limit(orders, view, -1, 105, 1, -1, -1)
    market(orders, view, 1 << 40, 1)
    replace(orders, view, 77_000, 9, 105, 1)


def answer(strategy: Any, *, tick: int = 1, lot: int = 1, **parameters: float) -> Any:
    case = plain_case(strategy, **parameters)
    case.view[0].tick_size, case.view[0].lot_size, case.view[0].instrument = tick, lot, 3
    return decide(strategy, case)


@pytest.mark.parametrize("tick", [1, 5])
@pytest.mark.parametrize("number", [100.0, 99.5, 98.0, -3.25, 2.0**53])
def test_a_float_price_goes_away_from_the_market(number: float, tick: int) -> None:
    bid, ask = answer(floats, number=number, tick=tick)["price"][:2].tolist()
    assert bid % tick == ask % tick == 0
    assert bid <= number < bid + tick
    assert ask - tick < number <= ask


def test_a_float_quantity_is_rounded_down_to_whole_lots() -> None:
    sent = answer(floats, number=27.9, lot=10)
    assert sent["quantity"][sent["price"] == 100].tolist()[0] == 20
    assert sent["quantity"][sent["kind"] == MessageKind.MARKET].tolist() == [20]
    assert sent["quantity"][sent["kind"] == MessageKind.REPLACE].tolist() == [20]


@pytest.mark.parametrize("tick", [1, 5])
@pytest.mark.parametrize("number", NO_NUMBERS)
def test_what_is_no_number_becomes_what_the_market_refuses(number: float, tick: int) -> None:
    sent = answer(floats, number=number, tick=tick)
    assert (abs(sent["price"][:2] - BEYOND) < tick).all()
    lots = sent["quantity"][2:4] if number > -math.inf and number != -1e300 else [BEYOND, BEYOND]
    assert list(lots) == [BEYOND, BEYOND]
    assert sent["order_id"][sent["kind"] == MessageKind.CANCEL].tolist() == [NONE]
    assert sent["order_id"][sent["kind"] == MessageKind.REPLACE].tolist() == [NONE]
    assert sent["expiry"][-2] == NONE
    assert sent[["side", "time_in_force"]][-1].tolist() == (NO_BYTE, NO_BYTE)


def test_a_float_that_is_whole_may_be_an_id_a_step_or_a_side() -> None:
    sent = answer(floats, number=1.0)
    assert sent["order_id"][sent["kind"] == MessageKind.CANCEL].tolist() == [1]
    assert sent["expiry"][-2] == 1
    assert sent[["side", "time_in_force"]][-1].tolist() == (1, 1)


def test_numbers_of_every_type_arrive_and_none_reaches_into_another_field() -> None:
    sent = answer(kinds_of_numbers)
    fields = ["kind", "side", "time_in_force", "post_only", "instrument"]
    assert sent[fields].tolist() == [
        (0, 1, 1, 0, 3),
        (0, 1, 0, 1, 3),
        (0, 0, 0, 0, 3),
        (0, 0, 0, 0, 3),
        (0, NO_BYTE, NO_BYTE, 1, 3),
        (0, NO_BYTE, NO_BYTE, 1, 3),
        (1, NO_BYTE, 0, 0, 3),
        (3, NO_BYTE, 0, 0, 3),
    ]
    assert sent[["price", "quantity"]][:4].tolist() == [(105, 3), (105, 3), (BEYOND, BEYOND), (105, 3)]


def everything() -> str:
    lines = [answer(kinds_of_numbers).tobytes().hex()]
    lines += [answer(floats, number=it, tick=5).tobytes().hex() for it in (*NO_NUMBERS, 99.5, -3.25, 1.0)]
    return "\n".join(lines)


def test_interpreted_code_sends_the_same() -> None:
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(
        [sys.executable, __file__], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == everything()


if __name__ == "__main__":
    print(everything())
