"""The supervisor, with real processes and real signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

import simlab
from simlab.live.parts import market_parts

PATIENCE_S = 60.0

PART = """
import json, os, signal, sys, time
from simlab.live import ready

name, folder, address = sys.argv[1:4]
ready._GRACE_S = 0.5
ready.end_with_supervisor()
if os.path.exists(f"{folder}/{name}.broken"):
    sys.exit("it is broken")
while os.path.exists(f"{folder}/{name}.slow"):
    time.sleep(0.01)
if name == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print("not JSON", flush=True)
print("x" * 100_000, file=sys.stderr, flush=True)
print(f"{name} speaks", file=sys.stderr, flush=True)
print(json.dumps({"part": name, "address": address, "pid": os.getpid(), "run_dir": folder}), flush=True)
while True:
    time.sleep(0.05)
"""

SUPERVISOR = """
import asyncio, json, sys
from simlab.live.supervisor import Part, Patience, Supervisor

folder, names = sys.argv[1], sys.argv[2].split(",")

def part(name, needs):
    def command(healthy):
        address = healthy.get(name, {}).get("address") or f"{name}-{len(healthy)}"
        return [sys.executable, f"{folder}/part.py", name, folder, address]
    return Part(name, command, needs)

parts = [part(name, tuple(names[:i])) for i, name in enumerate(names)]
stop_s, told_s = map(float, sys.argv[3:5])
patience = Patience(first_s=0.01, lasting_s=1e9, tries=3, stop_s=stop_s, told_s=told_s)

async def main():
    say = lambda text: print(text, file=sys.stderr, flush=True)
    await Supervisor(parts, say=say, patience=patience).run(lambda it: print(json.dumps(it), flush=True))

asyncio.run(main())
"""


def until(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + PATIENCE_S
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)
    return found


@contextmanager
def supervised(
    folder: Path, names: str = "engine,gateway", stop_s: float = 30.0, told_s: float = 60.0
) -> Iterator[Any]:
    """Start a supervisor of small parts; yield its process and what it said once all were healthy."""
    (folder / "part.py").write_text(PART)
    (folder / "supervisor.py").write_text(SUPERVISOR)
    process = subprocess.Popen(
        [sys.executable, str(folder / "supervisor.py"), str(folder), names, str(stop_s), str(told_s)],
        stdout=subprocess.PIPE,
        stderr=(folder / "said").open("w"),
        env=os.environ | {"PYTHONPATH": str(Path(simlab.__file__).parents[1])},
        start_new_session=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    said = json.loads(line) if line else {}
    try:
        yield process, said
    finally:
        process.kill()
        for it in said.values():
            with_pid = it["pid"]
            if psutil.pid_exists(with_pid):
                psutil.Process(with_pid).kill()
        process.wait()
        process.stdout.close()


def said_by(folder: Path) -> str:
    return (folder / "said").read_text()


def gone(pids: list[int]) -> bool:
    return not any(psutil.pid_exists(it) and psutil.Process(it).status() != "zombie" for it in pids)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_parts_start_in_order_and_stop_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    with supervised(tmp_path) as (process, said):
        assert {name: it["address"] for name, it in said.items()} == {
            "engine": "engine-0",
            "gateway": "gateway-1",
        }
        assert all(psutil.pid_exists(it["pid"]) for it in said.values())
        process.send_signal(number)
        assert process.wait(PATIENCE_S) == 0
        assert gone([it["pid"] for it in said.values()])
    said_lines = [it.split(" after ")[0] for it in said_by(tmp_path).splitlines()]
    assert said_lines == [
        "part engine is starting",
        "part engine is healthy",
        "part gateway is starting",
        "part gateway is healthy",
    ]
    assert "gateway speaks" in (tmp_path / "live" / "gateway.log").read_text()
    assert "engine speaks" in (tmp_path / "live" / "engine.log").read_text()


def test_a_part_that_dies_is_started_again_where_it_was(tmp_path: Path) -> None:
    with supervised(tmp_path) as (process, said):
        os.kill(said["engine"]["pid"], signal.SIGKILL)
        until(lambda: "part engine is back, process" in said_by(tmp_path), "the engine")
        assert "part engine was ended by SIGKILL; it is started again in 0.01 s" in said_by(tmp_path)
        back = int(said_by(tmp_path).split("process ")[1])
        assert psutil.Process(back).cmdline()[-1] == "engine-0"
        assert psutil.pid_exists(said["gateway"]["pid"])
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        assert gone([back, said["gateway"]["pid"]])


def test_a_port_is_the_part_s_to_choose_and_then_its_own() -> None:
    """Nobody chooses one beforehand, that somebody else could take until it is listened on."""
    parts = {it.name: it for it in market_parts(Path("market.yaml"), [])}
    healthy = {"engine": {"address": "127.0.0.1:5001"}, "gateway": {"address": "127.0.0.1:5002"}}
    healthy["engine"]["run_dir"] = "runs/market-1"
    for name in ("gateway", "dashboard"):
        assert not any("dashboard.port" in it for it in parts[name].command(healthy))
    healthy["dashboard"] = {"address": "[::1]:5003"}
    assert "live.dashboard.port=5003" in parts["dashboard"].command(healthy)


def test_a_part_that_starts_slowly_is_told_to_start(tmp_path: Path) -> None:
    slow = tmp_path / "gateway.slow"
    slow.touch()

    def hurry() -> None:
        until(lambda: "part gateway is still starting after" in said_by(tmp_path), "word of the gateway")
        slow.unlink()

    (tmp_path / "said").touch()
    watching = threading.Thread(target=hurry, daemon=True)
    watching.start()
    with supervised(tmp_path, told_s=0.05) as (_, said):
        assert set(said) == {"engine", "gateway"}
        lines = said_by(tmp_path).splitlines()
    watching.join(PATIENCE_S)
    assert lines[-1].startswith("part gateway is healthy after")


def test_parts_die_with_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with supervised(tmp_path, "engine,stubborn") as (process, said):
        process.send_signal(signal.SIGKILL)
        process.wait()
        until(lambda: gone([it["pid"] for it in said.values()]), "the parts to end")


def test_a_part_that_cannot_be_started_is_told_with_its_log(tmp_path: Path) -> None:
    (tmp_path / "gateway.broken").touch()
    with supervised(tmp_path) as (process, said):
        assert not said
        assert process.wait(PATIENCE_S) != 0
    assert "part gateway could not be started: it ended with exit code 1" in said_by(tmp_path)
    assert "gateway: it is broken" in said_by(tmp_path)


def test_a_part_that_dies_for_ever_stops_the_market(tmp_path: Path) -> None:
    with supervised(tmp_path) as (process, said):
        (tmp_path / "gateway.broken").touch()
        os.kill(said["gateway"]["pid"], signal.SIGKILL)
        assert process.wait(PATIENCE_S) != 0
        assert gone([said["engine"]["pid"]])
    assert "part gateway died 4 times in a row" in said_by(tmp_path)
    assert [it.split(" in ")[1] for it in said_by(tmp_path).splitlines() if "again" in it] == [
        "0.01 s",
        "0.02 s",
        "0.04 s",
    ]


def test_a_part_that_does_not_stop_is_killed_and_named(tmp_path: Path) -> None:
    with supervised(tmp_path, "stubborn", stop_s=0.2) as (process, said):
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_S) == 0
        assert gone([said["stubborn"]["pid"]])
    assert "part stubborn did not stop in 0.2 s and was killed" in said_by(tmp_path)
