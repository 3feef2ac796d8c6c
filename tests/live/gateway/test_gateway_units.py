"""Prices in currency and in units: exact both ways, and refused in between."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simlab.live.gateway.units import OffGridError, Units

UNITS = st.sampled_from([0.01, 0.0001, 0.05, 0.25, 0.125, 1.0, 5.0, 0.003, 1 / 3, 1e-8])
WHOLE = st.integers(-(2**31) + 1, 2**31 - 1)


@given(UNITS, WHOLE)
def test_every_price_comes_back(unit: float, price: int) -> None:
    units = Units(unit)
    assert units.units(units.currency(price)) == price


@given(st.sampled_from([0.01, 0.0001, 0.05, 0.25]), WHOLE)
def test_a_price_is_what_a_person_would_write(unit: float, price: int) -> None:
    written = str(price * Decimal(repr(unit)))
    assert Units(unit).units(float(written)) == price


@given(WHOLE, st.integers(1, 99))
def test_what_lies_between_is_refused_with_the_nearest_two(price: int, between: int) -> None:
    wrong = float(Decimal(price) / 100 + Decimal(between) / 10_000)
    with pytest.raises(OffGridError) as caught:
        Units(0.01).units(wrong)
    low, high = (float(it) for it in str(caught.value).rsplit("use ", 1)[1].split(" or "))
    assert low < wrong < high
    assert Units(0.01).units(high) - Units(0.01).units(low) == 1


@pytest.mark.parametrize("price", [float("inf"), float("-inf"), float("nan")])
def test_no_number_is_no_price(price: float) -> None:
    with pytest.raises(OffGridError):
        Units(0.01).units(price)


def test_a_tick_of_several_units_names_ticks() -> None:
    with pytest.raises(OffGridError, match=r"100\.07 is not a multiple of 0\.05; use 100\.05 or 100\.1"):
        Units(0.01, tick_size=5).units(100.07)


def test_a_price_that_is_finite_and_huge_is_not_called_infinite() -> None:
    with pytest.raises(OffGridError, match="too large"):
        Units(0.01).units(1e308)
