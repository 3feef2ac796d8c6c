"""The command line as a user meets it: a real process, its output and its exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from simlab.bench.streams import common_stream
from simlab.recording import open_run

MARKET = """\
name: small
seed: 5
steps: 200
instruments:
  ACME: {initial_price: 10000, fundamental: {model: mean_reverting, reversion: 0.01, volatility: 3}}
populations:
  noise:
    strategy: noise
    count: 20
    parameters: {max_size: {uniform: [1, 10]}}
    activation: {rate: 0.3}
    account: {cash: 100_000_000, inventory: 1000}
  makers:
    strategy: market_maker
    count: 2
    account: {cash: 100_000_000, inventory: 1000}
"""


def _simlab(*arguments: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "simlab.cli", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env=os.environ | {"COLUMNS": "200", "NO_COLOR": "1"} | environment,
        timeout=300,
    )


@pytest.fixture
def market(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(MARKET)
    return path


def test_version_and_help(tmp_path: Path) -> None:
    assert _simlab("--version", cwd=tmp_path).stdout == "simlab 0.1.0\n"
    text = _simlab("--help", cwd=tmp_path)
    assert text.returncode == 0
    for command in ("run", "validate", "schema", "strategies", "import", "bench"):
        assert command in text.stdout
    assert "--set populations.noise.count=500" in _simlab("run", "--help", cwd=tmp_path).stdout


def test_unknown_command_gives_the_nearest(tmp_path: Path) -> None:
    done = _simlab("rnu", cwd=tmp_path)
    assert done.returncode == 2
    assert "'run'" in done.stderr


def test_run_records_and_reports_json_on_the_last_line(market: Path) -> None:
    done = _simlab("run", market, "--json", cwd=market.parent)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["run_dir"] == str(Path("runs") / "small-5-1")
    assert result["messages"] > 100
    assert result["trades"] > 0
    recording = open_run(market.parent / result["run_dir"])
    assert recording.event_log_hash == result["event_log_hash"]
    assert len(recording.trades()) == result["trades"]
    assert set(recording.agents()["population"]) == {"noise", "makers", "exchange"}
    assert "Populations" in done.stderr
    assert "P&L (currency)" in done.stderr


@pytest.mark.slow
def test_same_seed_same_hash_recorded_or_not_and_another_seed_another_hash(market: Path) -> None:
    def hash_of(*arguments: str) -> str:
        done = _simlab("run", market, "--json", "--quiet", *arguments, cwd=market.parent)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return json.loads(done.stdout)["event_log_hash"]

    first = hash_of()
    assert hash_of("--no-record") == first
    assert hash_of("--no-record", "--seed", "6") != first
    assert hash_of("--no-record", "--set", "populations.makers.count=3") != first
    assert [it.name for it in (market.parent / "runs").iterdir()] == ["small-5-1"]


def test_runs_get_folders_of_their_own(market: Path, tmp_path: Path) -> None:
    for n in (1, 2):
        done = _simlab("run", market, "--quiet", "--steps", "5", "--out", tmp_path / "results", cwd=tmp_path)
        assert done.stdout.strip() == str(tmp_path / "results" / f"small-5-{n}")


def test_the_recorded_configuration_runs_again_to_the_same_hash(market: Path) -> None:
    first = json.loads(_simlab("run", market, "--json", "-q", cwd=market.parent).stdout)
    config = market.parent / first["run_dir"] / "config.yaml"
    again = json.loads(_simlab("run", config, "--json", "-q", "--no-record", cwd=market.parent).stdout)
    assert again["event_log_hash"] == first["event_log_hash"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["run", "smal.yaml"], "smal.yaml: no such file; did you mean 'small.yaml'?"),
        (["validate", "small.yaml", "--set", "populations.noise.cuont=1"], "did you mean 'count'?"),
        (["strategies", "nois"], "did you mean 'noise'?"),
        (["bench", "kernel", "--level", "compild"], "compiled"),
    ],
)
def test_a_mistake_is_a_message_without_traceback_and_exit_code_2(
    market: Path, arguments: list[str], expected: str
) -> None:
    done = _simlab(*arguments, cwd=market.parent)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert expected in done.stderr
    assert "Traceback" not in done.stderr


def test_bench_engine_prints_an_object_a_line_for_each_engine(tmp_path: Path) -> None:
    np.save(tmp_path / "stream.npy", common_stream(2_000, 1))
    done = _simlab("bench", "engine", "--stream", "stream.npy", "--json", cwd=tmp_path)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["engine"] for row in rows] == ["compiled", "reference"]
    assert rows[0]["trades"] == rows[1]["trades"] > 0


def test_bench_engine_shows_a_line_a_book_with_peers_beside(tmp_path: Path) -> None:
    np.save(tmp_path / "stream.npy", common_stream(2_000, 1))
    arguments = ("--stream", "stream.npy", "--engine", "reference", "--peers")
    done = _simlab("bench", "engine", *arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "The given stream: 2,000 messages" in done.stdout
    singles = [line.split()[1] for line in done.stdout.splitlines() if " single " in line]
    assert singles == ["sortedcontainers", "bourse"][: len(singles)] != []
    assert ("bourse is not installed" in done.stderr) != (" bourse " in done.stdout)


def test_validate_says_what_is_there(market: Path) -> None:
    done = _simlab("validate", market, cwd=market.parent)
    assert done.returncode == 0
    assert "small.yaml is valid: 1 instruments, 2 populations, 22 agents, 200 steps" in done.stdout


def test_schema_is_json(tmp_path: Path) -> None:
    assert json.loads(_simlab("schema", cwd=tmp_path).stdout)["properties"]["steps"]["unit"] == "steps"


def test_strategies_are_listed_and_described(tmp_path: Path) -> None:
    assert "market_maker" in _simlab("strategies", cwd=tmp_path).stdout
    described = json.loads(_simlab("strategies", "noise", "--json", cwd=tmp_path).stdout)
    assert described["parameters"][0]["name"] == "limit_share"
    assert "Resting orders it holds" in _simlab("strategies", "noise", cwd=tmp_path).stdout


def test_interrupting_leaves_a_readable_run_that_says_so(market: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "simlab.cli", "run", str(market), "--steps", "1000000000"],
        cwd=market.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"COLUMNS": "200"},
    ) as process:
        try:
            messages = market.parent / "runs" / "small-5-1" / "agents"
            while process.poll() is None and not any(messages.glob("*.parquet")):
                os.sched_yield()
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=250)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "stopped: interrupted " in err
    assert "Traceback" not in err
    manifest = json.loads((market.parent / "runs" / "small-5-1" / "manifest.json").read_text())
    assert manifest["status"].startswith("failed: interrupted ")
    assert not open_run(market.parent / "runs" / "small-5-1").finished


def test_plugin_files_are_hashed_into_the_manifest(market: Path) -> None:
    (market.parent / "strategies").mkdir()
    plugin = market.parent / "strategies" / "idler.py"
    plugin.write_text(
        "from simlab.agents.compiled import compiled_strategy\n\n\n"
        "@compiled_strategy('idler', 'Does nothing.')\n"
        "def idler(view, me, rng, orders):\n    pass\n"
    )
    setting = "populations.noise={strategy: 'strategies/idler.py:idler'}"
    done = _simlab("run", market, "--json", "-q", "--steps", "3", "--set", setting, cwd=market.parent)
    assert done.returncode == 0, done.stderr
    run_dir = market.parent / json.loads(done.stdout)["run_dir"]
    manifest = json.loads((run_dir / "manifest.json").read_text())
    assert list(manifest["plugins"]) == [str(plugin)]
    assert len(manifest["plugins"][str(plugin)]) == 64


@pytest.mark.parametrize(
    ("arguments", "environment"), [((), {}), (("--debug",), {}), ((), {"SIMLAB_DEBUG": "1"})]
)
def test_a_failing_plugin_is_told_in_a_line_and_with_its_traceback_on_demand(
    market: Path, arguments: tuple[str, ...], environment: dict[str, str]
) -> None:
    (market.parent / "fails.py").write_text(
        "from simlab.agents.each import agent_strategy\n\n\n"
        "@agent_strategy('fails', 'Divides by what is not there.')\n"
        "class Fails:\n    def decide(self, observation, orders):\n        1 / observation.inventory\n"
    )
    setting = "populations.noise={strategy: 'fails.py:Fails'}"
    done = _simlab(*arguments, "run", market, "-q", "--set", setting, cwd=market.parent, **environment)
    assert done.returncode == 2
    told = f"ZeroDivisionError: division by zero), in {market.parent / 'fails.py'}, line 7; it saw ACME: "
    assert f"error: noise/0: strategy 'fails' failed at step 0 ({told}" in done.stderr
    assert "what happened before step 0 is recorded in " in done.stderr
    debugging = bool(arguments or environment)
    assert ("1 / observation.inventory" in done.stderr) == debugging
    assert ("Traceback" in done.stderr) == debugging
    assert ("SIMLAB_DEBUG=1 shows where" in done.stderr) != debugging
