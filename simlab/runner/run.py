"""Run one experiment from its configuration to a recorded, audited run folder."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simlab.agents.registry import source_file
from simlab.analysis import Run, open_run
from simlab.config import ConfigLike, ExperimentConfig, build, load, resolved
from simlab.console.progress import Progress, SilentProgress, TerminalProgress
from simlab.core.hashing import hash_text
from simlab.kernel.simulation import Simulation
from simlab.kernel.spec import SimulationSpec
from simlab.recording import RunWriter
from simlab.runner.tables import agent_columns, instrument_columns

__all__ = ["RUNS_FOLDER", "Outcome", "execute", "run"]

RUNS_FOLDER = "runs"
"""Folder under the current one that run folders are made in."""

_SLICE_S = 0.1


@dataclass(frozen=True)
class Outcome:
    """How a run went.

    `run_dir` is None when it was not recorded. `seconds` is the time of stepping, with compilation.
    `summary` has the rows of `Simulation.summary` under ``populations`` and ``instruments``.
    """

    name: str
    seed: int
    steps: int
    run_dir: Path | None
    event_log_hash: str
    messages: int
    trades: int
    seconds: float
    summary: dict[str, Any]

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data that fits JSON."""
        fields = {key: value for key, value in vars(self).items() if key != "summary"}
        return fields | {"run_dir": str(self.run_dir) if self.run_dir is not None else None} | self.summary


def run(
    config: ConfigLike,
    *,
    out: str | Path | None = None,
    record: bool = True,
    progress: bool = False,
    set: Sequence[str] | Mapping[str, Any] = (),
    seed: int | None = None,
    steps: int | None = None,
) -> Run | Outcome:
    """Load, run, record and audit one experiment.

    Parameters
    ----------
    config : path, mapping or ExperimentConfig
    out : path, optional
        The folder in which the run folder ``<name>-<seed>-<n>`` is made; ``runs`` by default.
    record : bool
        Without recording nothing is written; the event-log hash is the same.
    progress : bool
        Show a progress bar on stderr.
    set, seed, steps
        Values put on top of the configuration, as in `simlab.config.load`.

    Returns
    -------
    Run
        The recording, opened; or an `Outcome` when nothing was recorded.

    Raises
    ------
    ConfigError, PluginError, StrategyError, RecordingError
    KeyboardInterrupt
        When interrupted, after the recording was brought to a clean end.

    Example
    -------
    >>> outcome = run({"steps": 10, "instruments": {"ACME": {"initial_price": 100}}}, record=False)
    >>> outcome.trades
    0
    """
    loaded = load(config, set=set, seed=seed, steps=steps)
    outcome = execute(loaded, out=out, record=record, progress=progress)
    return open_run(outcome.run_dir) if outcome.run_dir is not None else outcome


def execute(
    config: ExperimentConfig, *, out: str | Path | None = None, record: bool = True, progress: bool = False
) -> Outcome:
    """Run a loaded configuration; see `run`. Returns the outcome instead of the opened recording."""
    spec = build(config)
    bar = TerminalProgress(spec) if progress else SilentProgress()
    if not (record and config.recording.enabled):
        return _stepped(config, spec, None, bar)
    folder = _new_folder(Path(out) if out is not None else Path(RUNS_FOLDER), f"{config.name}-{config.seed}")
    manifest = {
        "name": config.name,
        "seed": config.seed,
        "steps": config.steps,
        "plugins": _plugin_hashes(spec),
    }
    with RunWriter(folder, config=resolved(config), manifest=manifest) as writer:
        try:
            outcome = _stepped(config, spec, writer, bar)
        except KeyboardInterrupt as interruption:
            reason = str(interruption) or "interrupted before the first step"
            writer.abandon(reason)
            raise KeyboardInterrupt(f"{reason}; what was recorded is in {folder}") from None
        facts = outcome.as_dict()
        writer.finish({key: value for key, value in facts.items() if key not in (*manifest, "run_dir")})
    return outcome


def _stepped(
    config: ExperimentConfig, spec: SimulationSpec, writer: RunWriter | None, bar: Progress
) -> Outcome:
    started_s = time.perf_counter()
    with bar:
        simulation = Simulation(spec, sink=writer)
        if writer is not None:
            writer.rows("instruments", instrument_columns(simulation))
            writer.rows("agents", agent_columns(simulation))
        _advance(simulation, bar)
    simulation.finish()
    simulation.audit()
    return Outcome(
        name=config.name,
        seed=config.seed,
        steps=simulation.step,
        run_dir=writer.path if writer is not None else None,
        event_log_hash=hash_text(simulation.event_log_hash),
        messages=int(simulation.messages),
        trades=int(simulation.trades),
        seconds=round(time.perf_counter() - started_s, 6),
        summary=simulation.summary(),
    )


def _advance(simulation: Simulation, bar: Progress) -> None:
    """Step to the end in slices of about a tenth of a second, between which Ctrl-C is heard."""
    steps, total = 1, simulation.spec.steps
    try:
        while simulation.step < total:
            began_s = time.perf_counter()
            simulation.advance(min(simulation.step + steps, total))
            elapsed_s = time.perf_counter() - began_s
            steps = max(1, int(steps * min(8.0, _SLICE_S / max(elapsed_s, 1e-9))))
            bar.update(simulation)
    except KeyboardInterrupt:
        simulation.flush()
        raise KeyboardInterrupt(f"interrupted at step {simulation.step} of {total}") from None


def _new_folder(parent: Path, stem: str) -> Path:
    """Make and return ``parent/stem-<n>`` with the first free n; two runs at once get two folders."""
    parent.mkdir(parents=True, exist_ok=True)
    n = 1
    while True:
        folder = parent / f"{stem}-{n}"
        try:
            folder.mkdir()
        except FileExistsError:
            n += 1
        else:
            return folder


def _plugin_hashes(spec: SimulationSpec) -> dict[str, str]:
    """Return the SHA-256 of every file that a strategy from outside simlab was loaded from."""
    own = Path(__file__).resolve().parent.parent
    files = {source_file(population.strategy) for population in spec.populations}
    outside = sorted(file for file in files if file is not None and not file.is_relative_to(own))
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in outside}
