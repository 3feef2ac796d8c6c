"""Sweeps as they run: on one and two workers, resumed, with failures, with workers that are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import simlab
from simlab.errors import SimlabError
from simlab.runner.sweep.pools import on_this_machine
from simlab.runner.sweep.store import Store
from simlab.runner.sweep.work import Task, carry_out

MARKET: dict[str, Any] = {
    "name": "tiny",
    "steps": 60,
    "instruments": {"ACME": {"initial_price": 1000}},
    "populations": {"noise": {"strategy": "noise", "count": 20}},
}
TICK = "instruments.ACME.tick_size"
STUDY = {
    "name": "ticks",
    "experiment": MARKET,
    "parameters": {TICK: [1, 5]},
    "treatments": {"few": {}, "many": {"populations.noise.count": 40}},
    "seeds": 3,
}
_KILLER = """
import os, signal
from pathlib import Path
from simlab.agents.each import agent_strategy

@agent_strategy("killer", "Ends its process the first time it acts anywhere.")
class Killer:
    def __init__(self, mark: str):
        self.mark = mark
    def decide(self, observation, orders):
        try:
            Path(self.mark).touch(exist_ok=False)
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)
"""


def same(a: pd.DataFrame, b: pd.DataFrame) -> bool:
    return a.drop(columns=["seconds"]).equals(b.drop(columns=["seconds"]))


def test_the_result_does_not_depend_on_the_workers(tmp_path: Path) -> None:
    one = simlab.sweep(STUDY, out=tmp_path / "one", workers=1)
    two = simlab.sweep(STUDY, out=tmp_path / "two", workers=2)
    assert same(one, two)
    assert len(one) == 12
    assert (one["status"] == "finished").all()
    assert one["event_log_hash"].nunique() == 12
    alone = simlab.run(MARKET, record=False, seed=2, set={TICK: 5})
    row = one[(one[TICK] == 5) & (one["seed"] == 2) & (one["treatment"] == "few")].iloc[0]
    assert row["event_log_hash"] == alone.event_log_hash
    assert row["P&L noise"] == pytest.approx(0.0, abs=1e-6)
    kept = pd.read_parquet(tmp_path / "one" / "ticks" / "runs.parquet")
    assert kept["run"].tolist() == list(range(12))
    assert kept["event_log_hash"].tolist() == one["event_log_hash"].tolist()
    assert kept[TICK].tolist() == one[TICK].tolist()


def test_recordings_are_kept_and_measured_where_that_is_asked(tmp_path: Path) -> None:
    study = STUDY | {"keep": "runs", "seeds": 1, "measures": ["depth", "spread"], "warmup": 10}
    found = simlab.sweep(study, out=tmp_path, workers=1)
    assert found.attrs["measures"] == ["depth", "spread"]
    for row in found.itertuples():
        run = simlab.open(tmp_path / "ticks" / "runs" / row.run_dir)
        assert run.finished
        assert run.manifest["event_log_hash"] == row.event_log_hash


def test_a_run_that_fails_is_a_row_with_its_error(tmp_path: Path) -> None:
    study = STUDY | {"parameters": {"instruments.ACME.initial_price": [1000, -5]}, "seeds": 1}
    found = simlab.sweep(study, out=tmp_path, workers=2)
    failed = found[found["status"] == "failed"]
    assert failed["instruments.ACME.initial_price"].tolist() == [-5, -5]
    assert failed["error"].str.contains("price_band").all()
    assert (found["status"] == "finished").sum() == 2


def test_results_are_not_written_over_and_not_mixed(tmp_path: Path) -> None:
    first = simlab.sweep(STUDY, out=tmp_path, workers=1)
    with pytest.raises(SimlabError, match="--resume"):
        simlab.sweep(STUDY, out=tmp_path, workers=1)
    with pytest.raises(SimlabError, match="another sweep"):
        simlab.sweep(STUDY | {"seeds": 4}, out=tmp_path, workers=1, resume=True)
    rows = tmp_path / "ticks" / "runs.parquet" / "whole.parquet"
    kept = pd.read_parquet(rows)
    kept[kept["run"].isin([0, 7])].assign(seconds=-1.0).to_parquet(rows, index=False)
    again = simlab.sweep(STUDY, out=tmp_path, workers=1, resume=True)
    assert same(first, again)
    assert again.index[again["seconds"] == -1.0].tolist() == [0, 7]  # what was done was not done again


def test_a_worker_that_dies_loses_no_run(tmp_path: Path) -> None:
    plugin = tmp_path / "killer.py"
    plugin.write_text(_KILLER)
    killer = {"strategy": f"{plugin}:Killer", "count": 1, "options": {"mark": str(tmp_path / "mark")}}
    market = MARKET | {"populations": MARKET["populations"] | {"killer": killer}}
    found = simlab.sweep(STUDY | {"experiment": market}, out=tmp_path, workers=2)
    assert (tmp_path / "mark").exists()
    assert (found["status"] == "finished").all()


def _always_dies(task: Task) -> dict[str, Any]:
    if task.run == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return carry_out(task)


@pytest.mark.slow
def test_a_run_that_kills_its_worker_every_time_fails_alone() -> None:
    tasks = [Task(run=run, seed=run, experiment=MARKET) for run in range(5)]
    rows = {row["run"]: row for row in on_this_machine(_always_dies, tasks, 2)}
    assert sorted(rows) == [0, 1, 2, 3, 4]
    assert [run for run, row in rows.items() if row["status"] == "failed"] == [2]
    assert "died" in rows[2]["error"]


@pytest.mark.slow
def test_an_interrupted_sweep_goes_on(tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(
        "experiment: {steps: 10000, instruments: {ACME: {initial_price: 1000}},"
        " populations: {noise: {strategy: noise, count: 200}}}\nname: long\nseeds: 50\n"
    )
    command = [
        sys.executable,
        "-m",
        "simlab.cli",
        "sweep",
        str(study),
        "--out",
        str(tmp_path),
        "--workers",
        "1",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        store, deadline = Store(tmp_path / "long"), time.monotonic() + 200
        while not store.names("runs.parquet") and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert "--resume" in errors
    done = store.rows()
    assert 0 < len(done) < 50
    found = simlab.sweep(study, out=tmp_path, workers=2, resume=True)
    assert (found["status"] == "finished").all()
    assert len(found) == 50
    assert found["event_log_hash"].iloc[0] == done["event_log_hash"].iloc[0]
    assert found["seconds"].iloc[0] == done["seconds"].iloc[0]


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[Any]]]]:
    """A Dask scheduler and two workers, each a process of its own."""
    pytest.importorskip("distributed")
    file = tmp_path / "scheduler.json"
    dask = [sys.executable, "-m", "dask"]
    quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": tmp_path}
    head = [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"]
    processes = [subprocess.Popen([*head, "--scheduler-file", str(file)], **quiet)]
    worker = [
        *dask,
        "worker",
        "--scheduler-file",
        str(file),
        "--nthreads",
        "1",
        "--no-nanny",
        "--no-dashboard",
    ]
    try:
        for number in (1, 2):
            processes.append(subprocess.Popen([*worker, "--name", f"worker-{number}"], **quiet))
        from distributed import Client

        deadline = time.monotonic() + 120
        while not file.exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        with Client(scheduler_file=str(file), set_as_default=False) as client:
            client.wait_for_workers(2, timeout=120)
            address = client.scheduler.address
        yield address, processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


@pytest.mark.slow
def test_a_cluster_whose_worker_is_killed_has_every_run_once(
    cluster: tuple[str, list[subprocess.Popen[Any]]], tmp_path: Path
) -> None:
    address, (_, worker, _) = cluster
    study = STUDY | {"seeds": 20, "set": {"steps": 3000}}
    alone = simlab.sweep(study, out=tmp_path / "alone", workers=1)
    script = f"import simlab; simlab.sweep({study!r}, out={str(tmp_path)!r}, dask={address!r})"
    process = subprocess.Popen([sys.executable, "-c", script])
    try:
        store, deadline = Store(tmp_path / "ticks"), time.monotonic() + 120
        while not store.names("runs.parquet") and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        in_time = process.poll() is None
        worker.send_signal(signal.SIGKILL)
        assert process.wait(timeout=120) == 0
    finally:
        process.kill()
    rows = pd.read_parquet(tmp_path / "ticks" / "runs.parquet")
    assert rows["run"].tolist() == list(range(80))
    assert rows["event_log_hash"].tolist() == alone["event_log_hash"].tolist()
    assert in_time, "the sweep was over before the worker was killed; make it longer"


@pytest.mark.slow
def test_a_scheduler_that_is_not_there_is_told(tmp_path: Path) -> None:
    pytest.importorskip("distributed")
    with pytest.raises(SimlabError, match="dask scheduler"):
        simlab.sweep(STUDY, out=tmp_path, dask="tcp://127.0.0.1:9")


def test_a_bucket_holds_results_and_recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = pytest.importorskip("moto.server").ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    pytest.importorskip("s3fs")
    server.start()
    try:
        host, port = server.get_host_and_port()
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        import s3fs

        files = s3fs.S3FileSystem(use_listings_cache=False)
        files.mkdir("results")
        study = STUDY | {"seeds": 1, "keep": "runs"}
        found = simlab.sweep(study, out="s3://results/all", workers=1)
        local = simlab.sweep(study, out=tmp_path, workers=1)
        assert found["event_log_hash"].tolist() == local["event_log_hash"].tolist()
        assert pd.read_parquet("s3://results/all/ticks/runs.parquet")["run"].tolist() == [0, 1, 2, 3]
        recording = f"results/all/ticks/runs/{found['run_dir'].iloc[0]}"
        files.get(recording, str(tmp_path / "brought"), recursive=True)
        assert simlab.open(tmp_path / "brought").finished
        again = simlab.sweep(study, out="s3://results/all", workers=1, resume=True)
        assert again["event_log_hash"].tolist() == found["event_log_hash"].tolist()
    finally:
        server.stop()
