"""Fundamental values have the moments that the literature gives, and read files exactly."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from simlab.errors import ConfigError
from simlab.processes import (
    FundamentalJump,
    FundamentalSpec,
    Outside,
    OutsideSpec,
    OutsideState,
    PoissonNews,
    ScheduledNews,
)

STEPS = 100_000


def _outside(spec: FundamentalSpec, *, seed: int = 1, **happenings: Any) -> Outside:
    whole = OutsideSpec((spec,), **happenings)
    return Outside(whole, seed=seed, initial_prices={spec.instrument: 10_000.0})


def _path(spec: FundamentalSpec, *, seed: int = 1, steps: int = STEPS, **happenings: Any) -> np.ndarray:
    outside = _outside(spec, seed=seed, **happenings)
    return outside.advance(outside.start(), steps)[0].fundamental[:, 0]


def test_a_constant_value_is_the_initial_price() -> None:
    assert np.all(_path(FundamentalSpec("A"), steps=10) == 10_000.0)
    assert np.all(_path(FundamentalSpec("A", initial=7.0), steps=10) == 7.0)


def test_a_mean_reverting_value_has_the_stationary_moments_of_ornstein_and_uhlenbeck() -> None:
    spec = FundamentalSpec("A", "mean_reverting", mean=10_000.0, reversion=0.05, volatility=2.0)
    deviation = _path(spec) - 10_000.0
    variance = 2.0**2 / (2 * 0.05)
    effective = STEPS * math.tanh(0.05 / 2)  # independent observations in a path with this autocorrelation
    assert abs(deviation.mean()) < 4 * math.sqrt(variance / effective)
    assert deviation.var() == pytest.approx(variance, rel=4 * math.sqrt(2 / (STEPS * math.tanh(0.05))))
    lagged = np.corrcoef(deviation[:-20], deviation[20:])[0, 1]
    assert lagged == pytest.approx(math.exp(-1.0), abs=0.05)


def test_a_mean_reverting_value_decays_exactly_without_noise() -> None:
    path = _path(FundamentalSpec("A", "mean_reverting", initial=110.0, mean=100.0, reversion=0.25), steps=9)
    assert path == pytest.approx(100.0 + 10.0 * np.exp(-0.25 * np.arange(9)), rel=1e-14)


def test_reversion_zero_is_a_random_walk() -> None:
    moves = np.diff(_path(FundamentalSpec("A", "mean_reverting", volatility=3.0)))
    assert moves.std() == pytest.approx(3.0, rel=4 / math.sqrt(2 * STEPS))
    assert abs(np.corrcoef(moves[:-1], moves[1:])[0, 1]) < 4 / math.sqrt(STEPS)


def test_a_geometric_value_has_the_drift_and_volatility_of_its_logarithm() -> None:
    moves = np.diff(np.log(_path(FundamentalSpec("A", "geometric", volatility=0.01, drift=0.0001))))
    assert moves.mean() == pytest.approx(0.0001 - 0.01**2 / 2, abs=4 * 0.01 / math.sqrt(STEPS))
    assert moves.std() == pytest.approx(0.01, rel=4 / math.sqrt(2 * STEPS))
    z = (moves - moves.mean()) / moves.std()
    assert abs((z**3).mean()) < 4 * math.sqrt(6 / STEPS)
    assert abs((z**4).mean() - 3.0) < 4 * math.sqrt(24 / STEPS)


PDV = FundamentalSpec(
    "A", "path_dependent", volatility=1e-4, leverage=1.0, feedback=0.9, volatility_memory=(20.0, 500.0)
)


def _log_moves(spec: FundamentalSpec, **kwargs: Any) -> np.ndarray:
    return np.diff(np.log(_path(spec, **kwargs)))


def test_a_path_dependent_value_without_feedback_is_geometric() -> None:
    plain = _log_moves(FundamentalSpec("A", "geometric", volatility=1e-4, drift=1e-6))
    same = _log_moves(FundamentalSpec("A", "path_dependent", volatility=1e-4, drift=1e-6))
    assert same == pytest.approx(plain, abs=1e-13)


def test_a_path_dependent_volatility_is_the_formula_of_the_past() -> None:
    """R1 and R2 written out as sums over all past moves, from the noise of the geometric value."""
    noise = (_log_moves(FundamentalSpec("A", "geometric", volatility=1.0), steps=41) + 0.5).tolist()
    moves, (fast, slow) = [], PDV.volatility_memory
    for z in noise:
        ages = np.arange(len(moves))[::-1]
        weights = [(1 - 1 / age) ** ages / age for age in (*PDV.trend_memory, fast, slow)]
        past = np.array(moves)
        trend = sum(0.5 * float(w @ past) for w in weights[:2])
        start = [PDV.volatility**2 * (1 - 1 / age) ** len(moves) for age in (fast, slow)]
        square = sum(0.5 * (float(w @ past**2) + it) for w, it in zip(weights[2:], start, strict=True))
        volatility = (1 - 0.9) * PDV.volatility + 0.9 * math.sqrt(square) - trend
        moves.append(min(max(volatility, 0.1 * PDV.volatility), 10 * PDV.volatility) * z)
    found = _log_moves(PDV, steps=41)
    assert len(set(np.round(np.array(moves) / noise, 9))) > 30  # the volatility does move
    assert found + 0.5 * (np.array(moves) / noise) ** 2 == pytest.approx(moves, abs=1e-12)


def test_what_a_path_dependent_value_remembers_is_in_the_state() -> None:
    outside, whole = _outside(PDV), _path(PDV, steps=9_000)
    state, values = outside.start(), []
    for steps in (1, 999, 4_000, 4_000):
        block, state = outside.advance(OutsideState.from_arrays(state.to_arrays()), steps)
        values.append(block.fundamental[:, 0])
    assert np.concatenate(values).tobytes() == whole.tobytes()


def test_falls_raise_a_path_dependent_volatility_and_large_moves_keep_it_high() -> None:
    moves = _log_moves(PDV)
    assert np.corrcoef(moves[:-1], moves[1:] ** 2)[0, 1] < -0.02
    assert np.corrcoef(np.abs(moves[:-100]), np.abs(moves[100:]))[0, 1] > 5 / math.sqrt(STEPS)
    assert abs(np.corrcoef(moves[:-1], moves[1:])[0, 1]) < 6 / math.sqrt(STEPS)


def test_jumps_of_a_path_dependent_value_skew_it_and_leave_mean_and_variance() -> None:
    jumps = {"jump_rate": 0.02, "jump_mean": -3.0, "jump_scale": 2.0}
    moves = _log_moves(FundamentalSpec("A", "path_dependent", volatility=0.001, **jumps)) / 0.001
    assert abs(moves.mean() + 0.0005) < 4 / math.sqrt(STEPS)
    assert moves.std() == pytest.approx(1.0, rel=0.03)
    # the third moment of a compound Poisson process: rate E[J^3], J normal
    expected = 0.02 * (-27 + 3 * -3 * 4) / (1 + 0.02 * 13) ** 1.5
    assert np.mean(moves**3) == pytest.approx(expected, rel=0.15)


def test_jumps_add_the_variance_of_a_compound_poisson_process() -> None:
    spec = FundamentalSpec("A", "mean_reverting", volatility=1.0, jump_rate=0.02, jump_scale=10.0)
    moves = np.diff(_path(spec))
    assert moves.var() == pytest.approx(1.0 + 0.02 * 100.0, rel=0.1)
    assert np.mean(np.abs(moves) > 5.0) == pytest.approx(0.02 * 0.62, rel=0.15)


def test_geometric_jumps_leave_the_expected_growth_at_the_drift() -> None:
    spec = FundamentalSpec("A", "geometric", drift=0.001, jump_rate=0.5, jump_scale=0.1)
    path = _path(spec)
    growth = path[1:] / path[:-1]
    assert growth.mean() == pytest.approx(math.exp(0.001), abs=4 * growth.std() / math.sqrt(STEPS))
    assert np.any(growth != growth[0])


def test_seeds_and_names_have_draws_of_their_own() -> None:
    spec = FundamentalSpec("A", "mean_reverting", volatility=1.0)
    other = FundamentalSpec("B", "mean_reverting", volatility=1.0)
    first = np.diff(_path(spec, steps=5_000))
    for path in (_path(spec, seed=2, steps=5_000), _path(other, steps=5_000)):
        assert abs(np.corrcoef(first, np.diff(path))[0, 1]) < 4 / math.sqrt(5_000)


def test_the_path_of_a_seed_is_pinned_to_the_bit() -> None:
    specs = [
        FundamentalSpec("A", "mean_reverting", reversion=0.1, volatility=2.0, jump_rate=0.5, jump_scale=3.0),
        FundamentalSpec("B", "geometric", volatility=0.01, drift=1e-4, jump_rate=0.5, jump_scale=0.02),
    ]
    news = [PoissonNews(0.1, impact_scale=2.0)]
    spec = OutsideSpec(tuple(specs), (("A", "B", 0.5),), poisson=tuple(news))
    outside = Outside(spec, seed=1, initial_prices={"A": 10_000.0, "B": 10_000.0})
    block, _ = outside.advance(outside.start(), 5_000)
    assert [value.hex() for value in block.fundamental[-1]] == [
        "0x1.38350781ffd4ep+13",
        "0x1.85c5a221b2beap+14",
    ]
    assert block.news[-1].headline == "B misses earnings expectations"
    assert block.news[-1].impact.hex() == "-0x1.cc8106111bde0p-5"


def test_a_file_gives_one_value_a_step(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("date,close\n2020-01-01,100.25\n2020-01-02,101\n2020-01-03,99.5\n")
    spec = FundamentalSpec("A", "file", path=path)
    assert _path(spec, steps=2).tolist() == [100.25, 101.0]
    too_short = r"'A'.*prices\.csv has 3 rows.*step 3 is asked for"
    with pytest.raises(ConfigError, match=too_short):
        _path(spec, steps=4)
    outside = _outside(spec)
    outside.check(3)
    with pytest.raises(ConfigError, match=too_short):
        outside.check(4)


def test_a_step_column_holds_values_until_the_next(tmp_path: Path) -> None:
    path = tmp_path / "prices.parquet"
    pq.write_table(pa.table({"step": [0, 3, 4], "price": [10, 20, 30]}), path)
    spec = FundamentalSpec("A", "file", path=path, column="price")
    assert _path(spec, steps=7).tolist() == [10, 10, 10, 20, 30, 30, 30]


@pytest.mark.parametrize(
    ("text", "column", "words"),
    [
        ("clsoe\n1\n", "close", "no column 'close'; did you mean 'clsoe'"),
        ("close\n1\nx\n", "close", "text in column 'close'"),
        ("close,other\n1,1\n,2\n", "close", "no finite number in column 'close', row 2"),
        ("close\n", "close", "text in column 'close'|no rows"),
        ("step,close\n1,5\n", "close", "begins at step 1"),
        ("step,close\n0,5\n4,6\n4,7\n", "close", "step 4 in row 3"),
        ("step,close\n0.5,5\n", "close", "'step' of type double"),
        ("close\n5\n-3e9\n", "close", "-3e.09 in column 'close', row 2; no price lies beyond 2147483647"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, column: str, words: str) -> None:
    path = tmp_path / "broken.csv"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words) as caught:
        _outside(FundamentalSpec("A", "file", path=path, column=column))
    assert str(path) in str(caught.value)


def test_a_missing_file_and_an_unknown_ending_are_named(tmp_path: Path) -> None:
    for name, words in (("absent.csv", "does not exist"), ("prices.txt", "ends in '.txt'")):
        (tmp_path / "prices.txt").touch()
        with pytest.raises(ConfigError, match=words):
            _outside(FundamentalSpec("A", "file", path=tmp_path / name))


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"model": "geometrc"}, "did you mean 'geometric'"),
        ({"model": "constant", "volatility": 1.0}, "volatility is not used.*geometric or path_dependent"),
        ({"model": "geometric", "mean": 1.0}, "mean is not used"),
        ({"model": "geometric", "leverage": 1.0}, "leverage is not used.*use path_dependent"),
        ({"model": "path_dependent", "feedback": 1.1}, "feedback is 1.1; it must be at most 1"),
        ({"model": "path_dependent", "trend_memory": (0.5, 9.0)}, "both ages must be at least 1 step"),
        ({"model": "path_dependent", "jump_mean": -1.0}, "there are no jumps; set jump_rate"),
        ({"model": "file"}, "needs a path"),
        ({"model": "file", "path": Path("x.csv"), "initial": 1.0}, "initial is not used"),
        ({"model": "geometric", "initial": 0.0}, "must start above 0"),
        ({"model": "mean_reverting", "reversion": -0.1}, "reversion is -0.1"),
        ({"model": "mean_reverting", "volatility": math.inf}, "volatility is inf"),
        ({"model": "mean_reverting", "mean": -3e9}, "mean is -3000000000.0; it must be at least -2147483647"),
        ({"model": "geometric", "volatility": 1e200}, "volatility is 1e.200; it must be at most 100"),
        ({"model": "geometric", "drift": -101.0}, "drift is -101.0; it must be at least -100"),
        ({"model": "mean_reverting", "jump_rate": 0.1}, "go together"),
        ({"model": "mean_reverting", "jump_rate": 11.0, "jump_scale": 1.0}, "at most 10"),
    ],
)
def test_a_specification_that_cannot_be_is_refused(values: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        FundamentalSpec("ACME", **values)
    assert "'ACME'" in str(caught.value)


JUMPS = {"jump_rate": 2.0, "jump_scale": 0.5}
GEOMETRIC, REVERTING = {"model": "geometric"}, {"model": "mean_reverting"}


@pytest.mark.parametrize(
    ("values", "impacts", "words"),
    [
        (GEOMETRIC | {"drift": 0.05}, {}, r"drift 0\.05 takes the geometric value beyond 2147483647"),
        (GEOMETRIC | {"drift": -0.5}, {}, r"drift -0\.5 takes the geometric value to zero"),
        (GEOMETRIC | {"drift": 0.001, "volatility": 0.9}, {}, r"volatility 0\.9 takes the geometric value"),
        (GEOMETRIC | {"volatility": 0.01} | JUMPS, {}, r"jump_scale 0\.5 takes the geometric value"),
        (GEOMETRIC | {"volatility": 0.01}, {30: -11_000.0}, r"an impact of -11000, news or a jump, takes"),
        (
            REVERTING | {"volatility": 1e9, "jump_rate": 1.0, "jump_scale": 1e8},
            {},
            r"volatility 1e\+09 takes",
        ),
        (
            REVERTING | {"volatility": 1e7, "jump_rate": 1.0, "jump_scale": 1e9},
            {},
            r"jump_scale 1e\+09 takes",
        ),
        (REVERTING | {"volatility": 1.0}, {7: -1e12}, r"an impact of -1e\+12.*value beyond -2147483647"),
        ({}, {3: 2e9, 5: 2e9}, r"an impact of \+2e\+09.*constant value beyond 2147483647"),
        ({}, {4: 1e308, 5: 1e308}, r"an impact of \+1e\+308"),
    ],
)
def test_a_value_that_no_price_can_follow_is_refused_with_its_cause_and_step(
    values: dict[str, Any], impacts: dict[int, float], words: str
) -> None:
    spec = FundamentalSpec("A", **values)
    terms = {"shocks": tuple(FundamentalJump(step, "A", size) for step, size in impacts.items())}
    with pytest.raises(ConfigError, match=words) as caught:
        _path(spec, steps=4_000, **terms)
    found = re.search(r"at step (\d+);", str(caught.value))
    assert found is not None
    step = int(found[1])
    assert np.all(np.isfinite(_path(spec, steps=step, **terms))), "every step before is in range"
    with pytest.raises(ConfigError, match=f"at step {step};"):
        _outside(spec, **terms).check(step + 1)


def test_a_file_that_impacts_take_out_of_range_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prices.csv"
    path.write_text("step,close\n0,100\n9,2000000000\n")
    spec = FundamentalSpec("A", "file", path=path)
    news = (ScheduledNews(2, "A", "up", impact=1e9),)
    with pytest.raises(ConfigError, match=r"what news and jumps have added to the file takes.*at step 9"):
        _path(spec, steps=20, news=news)
    with pytest.raises(ConfigError, match=r"an impact of \+3e\+09.*at step 2"):
        _path(spec, steps=20, news=(ScheduledNews(2, "A", "up", impact=3e9),))


def test_checking_ahead_looks_at_so_many_values_and_no_more() -> None:
    outside = _outside(FundamentalSpec("A", "geometric", drift=0.05))
    outside.check(100_000, values=246)
    with pytest.raises(ConfigError, match="at step 246"):
        outside.check(100_000, values=247)
