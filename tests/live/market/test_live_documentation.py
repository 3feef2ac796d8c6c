"""What docs/live.md and the README say of a live market is what happens, on configs/live.yaml."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from whole_market import PORTS, WholeMarket, until, whole_market

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "live.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", TEXT, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WholeMarket]:
    """The market of configs/live.yaml."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "configs" / "live.yaml").read_text())
    strategy = config["populations"]["dip_buyers"]["strategy"]
    config["populations"]["dip_buyers"]["strategy"] = str((ROOT / "configs" / strategy).resolve())
    config["live"] |= PORTS
    with whole_market(tmp_path_factory.mktemp("live"), config) as running:
        yield running


def examples(language: str) -> list[str]:
    return [body for name, body in BLOCKS if name == language]


@pytest.mark.slow
def test_the_examples_trade(market: WholeMarket, capsys: pytest.CaptureFixture[str]) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    by_hand, asynchronous = examples("python")
    [short] = [it for it in re.findall(r"^```python\n(.*?)^```$", readme, re.M | re.S) if "simlab.live" in it]
    for text in (by_hand, short):
        names: dict[str, Any] = {}
        exec(text.replace("http://127.0.0.1:8000", market.gateway), names)
        names["market"].close()
    printed = capsys.readouterr().out
    assert "filled" in printed
    assert "cash=" in printed
    exec(asynchronous.replace('AsyncClient(name="me")', f'AsyncClient({market.gateway!r}, name="me")'), names)
    asyncio.run(names["trade"]())


def test_the_lines_of_the_wire_are_understood(market: WholeMarket) -> None:
    from websockets.sync.client import connect

    [lines] = examples("json")
    with connect(f"{market.gateway.replace('http', 'ws')}/ws", max_size=None) as listener:
        for line in lines.splitlines():
            listener.send(line)
        told, wanted = [], {"agent_registered", "order_response", "cancel_response", "subscribed"}
        while not wanted <= {it["type"] for it in told}:
            told.append(json.loads(listener.recv(timeout=60)))
    [answer] = [it["data"] for it in told if it["type"] == "order_response"]
    assert answer["status"] == "success"


def test_the_engine_answers_lines(market: WholeMarket) -> None:
    [command] = [line for body in examples("sh") for line in body.splitlines() if line.startswith("printf")]
    requests = command.split("'")[1].replace("\\n", "\n").encode()
    host, port = market.said["engine"]["address"].rsplit(":", 1)
    with socket.create_connection((host, int(port)), timeout=60) as line:
        line.sendall(requests)
        reader = line.makefile()
        answers = [json.loads(reader.readline()) for _ in range(2)]
    assert [it["status"] for it in answers] == ["success", "success"]
    assert answers[0]["id"] == 1


@pytest.mark.slow
def test_the_ten_lines_run_in_a_notebook(market: WholeMarket) -> None:
    import nbformat
    from nbclient import NotebookClient

    text = examples("python")[0].replace("http://127.0.0.1:8000", market.gateway)
    lines = text.splitlines()
    parts = ("\n".join(lines[:3]), "\n".join(lines[3:]), "print(order.status)")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(it) for it in parts])
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    assert notebook.cells[-1].outputs[0]["text"].strip() in ("filled", "cancelled")


def _tell_a_decision(market: WholeMarket) -> None:
    from websockets.sync.client import connect

    said = {"type": "decision", "agent_id": "teller", "action": "hold", "reason": "I am told to"}
    with connect(f"{market.gateway.replace('http', 'ws')}/ws", max_size=None) as client:
        client.send(json.dumps({"type": "agent_register", "agent_id": "teller", "name": "teller"}))
        client.send(json.dumps(said))
        until(lambda: market.get("/api/agents/teller/decisions"), "a decision")


@pytest.mark.slow
def test_the_session_is_reported_and_run_again(market: WholeMarket) -> None:
    _tell_a_decision(market)
    report = [sys.executable, "-m", "simlab.cli", "report", str(market.run_dir)]
    done = subprocess.run(report, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert market.stop() == 0
    for command in ("replay", "verify"):  # also where clients told why they traded
        again = [sys.executable, "-m", "simlab.cli", command, str(market.run_dir)]
        done = subprocess.run(again, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
