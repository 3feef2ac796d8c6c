"""Tournaments as they run: their plan, one and two workers, killed and resumed, what is wrong in a study."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from typer.testing import CliRunner

import simlab
from simlab.analysis.compare import judge, read_sweep
from simlab.analysis.report import write_sweep_report
from simlab.cli.app import app
from simlab.config.source import dump
from simlab.errors import ConfigError
from simlab.runner.sweep.store import Store

MARKET: dict[str, Any] = {
    "steps": 60,
    "instruments": {"ACME": {"initial_price": 1000}},
    "populations": {
        "noise": {"strategy": "noise", "count": 20},
        "trend": {"strategy": "momentum", "activation": {"rate": 0.2}},
        "against": {"strategy": "mean_reversion", "activation": {"rate": 0.2}},
    },
}
STUDY: dict[str, Any] = {
    "name": "two",
    "experiment": MARKET,
    "strategies": ["trend", "against"],
    "players": 3,
    "agents": 6,
    "seeds": 2,
}


def same(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    return a.drop(columns=["seconds"]).equals(b.drop(columns=["seconds"]))


@pytest.mark.slow
def test_the_result_does_not_depend_on_the_workers(tmp_path: Path) -> None:
    one = simlab.tournament(STUDY, out=tmp_path / "one", workers=1)
    two = simlab.tournament(STUDY, out=tmp_path / "two", workers=2)
    assert same(one, two)
    assert judge(one).ranking.equals(judge(two).ranking)


def test_every_mixture_is_run_once_a_seed_and_judged(tmp_path: Path) -> None:
    one = simlab.tournament(STUDY, out=tmp_path, workers=1)
    assert one[["trend", "against"]].drop_duplicates().to_numpy().tolist() == [[6, 0], [4, 2], [2, 4], [0, 6]]
    counts = {"populations.trend.count": 4, "populations.against.count": 2}
    alone = simlab.run(MARKET, record=False, seed=2, set=counts)
    row = one[(one["trend"] == 4) & (one["seed"] == 2)].iloc[0]
    assert row["event_log_hash"] == alone.event_log_hash
    pnl = {it["population"]: it["pnl_mean"] for it in alone.summary["populations"]}
    assert row["P&L trend"] == pytest.approx(4 * pnl["trend"])
    read = read_sweep(tmp_path / "two")
    assert read.attrs["tournament"] == one.attrs["tournament"]
    assert judge(read).ranking.equals(judge(one).ranking)
    page = write_sweep_report(read, tmp_path / "report.html").read_text()
    assert "Replicator dynamics" in page
    assert "Symmetric equilibria" in page


def test_the_command_lists_and_answers_as_json(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(dump(STUDY | {"set": {"steps": 20}}))
    listed = CliRunner().invoke(app, ["tournament", str(study), "--dry-run", "--json"])
    assert [json.loads(line)["trend"] for line in listed.stdout.splitlines()] == [6, 6, 4, 4, 2, 2, 0, 0]
    done = CliRunner().invoke(
        app, ["tournament", str(study), "--out", str(tmp_path), "--workers", "1", "--json"]
    )
    answer = json.loads(done.stdout)
    assert {it["strategy"] for it in answer["ranking"]} == {"trend", "against"}
    assert len(answer["payoffs"]) == 6
    assert answer["place"] == str(tmp_path / "two")


@pytest.mark.slow
def test_a_killed_tournament_goes_on_to_the_same_rows(tmp_path: Path) -> None:
    study = STUDY | {"set": {"steps": 3000}, "seeds": 20}
    whole = simlab.tournament(study, out=tmp_path / "whole", workers=1)
    script = f"import simlab; simlab.tournament({study!r}, out={str(tmp_path)!r}, workers=1)"
    process = subprocess.Popen([sys.executable, "-c", script])
    try:
        store, deadline = Store(tmp_path / "two"), time.monotonic() + 120
        while not store.names("runs.parquet") and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        in_time = process.poll() is None
    finally:
        process.kill()  # SIGKILL
        process.wait()
    kept = len(store.rows())
    assert in_time
    assert 0 < kept < 80, "the tournament was over before it was killed; make it longer"
    assert same(simlab.tournament(study, out=tmp_path, workers=2, resume=True), whole)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (
            {"strategies": ["trend", "agianst"]},
            r"strategies\.1: 'agianst'.*no population.*did you mean 'against'",
        ),
        ({"strategies": ["trend", "trend"]}, r"strategies\.1: 'trend': is there twice"),
        ({"strategies": ["trend"]}, r"strategies: "),
        ({"agents": 7}, r"agents: 7: every one of 3 players.*use 6 or 9"),
        ({"seeds": 1}, r"seeds: .*two different seeds"),
        ({"players": 1}, r"players: 1: .*2"),
    ],
)
def test_what_is_wrong_in_a_study_is_told(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        simlab.tournament(STUDY | wrong)
