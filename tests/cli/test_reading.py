"""The commands that read runs, as a user meets them: a real process, its output and its exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import simlab

CONFIG = Path(__file__).parents[2] / "configs" / "quickstart.yaml"


def _simlab(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "simlab.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "160", "NO_COLOR": "1"} | environment,
        timeout=300,
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Return two runs with and two without makers, paired by seed."""
    out = tmp_path_factory.mktemp("runs")
    return [
        simlab.run(CONFIG, steps=2_000, seed=seed, set={"populations.makers.count": makers}, out=out).path
        for makers in (5, 0)
        for seed in (1, 2)
    ]


@pytest.mark.slow
def test_report_is_written_where_it_is_said(runs: list[Path], tmp_path: Path) -> None:
    done = _simlab("report", runs[0], "--out", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tmp_path / "page.html")
    assert "<title>" in (tmp_path / "page.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_report_lies_in_the_run_and_a_comparison_beside_it(runs: list[Path]) -> None:
    assert _simlab("report", runs[0]).stdout.strip() == str(runs[0] / "report.html")
    assert _simlab("report", *runs).stdout.strip() == str(runs[0].parent / "comparison.html")


def test_file_and_format_must_agree(runs: list[Path], tmp_path: Path) -> None:
    for name in ("page.pdf", "page.PDF"):
        refused = _simlab("report", runs[0], "--out", tmp_path / name, "--format", "html")
        assert refused.returncode == 2
        assert not (tmp_path / name).exists()


def test_report_says_what_pdf_needs(runs: list[Path]) -> None:
    done = _simlab("report", runs[0], "--format", "pdf", PATH="/nowhere", CHROME="")
    assert done.returncode == 2
    assert "Chromium" in done.stderr
    assert not (runs[0] / "report.pdf").exists()


@pytest.mark.parametrize("command", ["report", "facts", "compare"])
def test_what_is_no_run_is_an_error_that_says_so(command: str, runs: list[Path], tmp_path: Path) -> None:
    done = _simlab(command, tmp_path)
    assert done.returncode == 2
    assert f"{tmp_path} is not a run" in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_facts_of_prices_are_a_line_a_fact(tmp_path: Path) -> None:
    steps = np.random.default_rng(1).standard_t(3, 2_000) * 0.01
    prices = pd.DataFrame({"date": pd.bdate_range("2015-01-01", periods=2_000)})
    prices.assign(close=100 * np.exp(steps.cumsum())).to_csv(tmp_path / "prices.csv", index=False)
    done = _simlab("facts", tmp_path / "prices.csv")
    lines = {line.strip().split("  ")[0]: line for line in done.stdout.splitlines()}
    assert lines["fat tails"].split()[-1] == "shown"
    assert "not enough data" in lines["concave impact"]
    explained = _simlab("facts", tmp_path / "prices.csv", "--explain")
    assert "Excess kurtosis" in explained.stdout


def test_facts_as_json(runs: list[Path]) -> None:
    rows = [json.loads(line) for line in _simlab("facts", runs[0], "--json").stdout.splitlines()]
    assert {"fact", "estimate", "low", "high", "verdict"} <= set(rows[0])
    assert all(row["estimate"] is None for row in rows if row["verdict"] == "not enough data")


def test_facts_of_a_bad_file_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("date,price\n2020-01-01,1\n")
    done = _simlab("facts", tmp_path / "prices.csv")
    assert done.returncode == 2
    assert "close" in done.stderr


def test_compare_pairs_by_seed(runs: list[Path]) -> None:
    done = _simlab("compare", *runs)
    assert done.returncode == 0, done.stderr
    assert "2 paired seeds" in done.stdout
    assert "populations.makers.count=0" in done.stdout
    spread = next(line for line in done.stdout.splitlines() if line.strip().startswith("spread"))
    assert "[" in spread


def test_compare_leaves_out_the_warm_up(runs: list[Path]) -> None:
    assert "the first 500 steps left out" in _simlab("compare", *runs, "--warmup", "500").stdout
    refused = _simlab("compare", *runs, "--warmup", "soon")
    assert refused.returncode == 2
    assert "neither a number of steps nor auto" in refused.stderr


def test_compare_does_not_rank_on_one_seed(runs: list[Path]) -> None:
    done = _simlab("compare", runs[0], runs[2])
    assert "one seed: cannot rank" in done.stdout
    assert "is higher" not in done.stdout


def test_compare_needs_two_treatments(runs: list[Path]) -> None:
    done = _simlab("compare", runs[0], runs[1])
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_replicate_without_studies_says_where_it_looked(tmp_path: Path) -> None:
    done = _simlab("replicate", "--folder", tmp_path)
    assert done.returncode == 2
    assert f"no studies in {tmp_path}" in done.stderr.replace("\n", "")
