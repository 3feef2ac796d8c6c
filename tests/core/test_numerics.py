"""Logarithm, exponential and normal quantile against the standard library."""

from __future__ import annotations

import math
from statistics import NormalDist

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simlab.core.numerics import exp, log, normal_quantile


@settings(deadline=None)  # the first call compiles
@given(st.floats(min_value=5e-324, max_value=1.7e308))
def test_log_is_within_a_unit_in_the_last_place(x: float) -> None:
    assert abs(log(x) - math.log(x)) <= 2 * math.ulp(math.log(x))


@settings(deadline=None)  # the first call compiles
@given(st.floats(min_value=-700, max_value=709))
def test_exp_is_within_a_unit_in_the_last_place(x: float) -> None:
    assert abs(exp(x) - math.exp(x)) <= 2 * math.ulp(math.exp(x))


@settings(deadline=None)  # the first call compiles
@given(st.floats(min_value=1e-300, max_value=1 - 1e-15))
def test_normal_quantile_inverts_the_distribution(p: float) -> None:
    expected = NormalDist().inv_cdf(p)
    assert normal_quantile(p) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_the_edges() -> None:
    assert log(0.0) == -math.inf
    assert math.isnan(log(-1.0))
    assert exp(1000.0) == math.inf
    assert exp(-1000.0) == 0.0
