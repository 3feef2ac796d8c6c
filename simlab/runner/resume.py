"""Go on with a run that was killed or stopped, to the end that it would have come to."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from simlab.config import ExperimentConfig, build, load
from simlab.errors import RecordingError, SimlabError
from simlab.kernel.simulation import Simulation
from simlab.kernel.spec import SimulationSpec
from simlab.recording import open_run
from simlab.recording.manifest import CONFIG_FILE, RUNNING, writer_of
from simlab.runner.author import Author, Position
from simlab.runner.checkpoint import CHECKPOINTS_FOLDER, Checkpoints
from simlab.runner.interrupts import Interrupts
from simlab.runner.journal import journal_folder
from simlab.runner.keeping import spent_s
from simlab.runner.lineage import start_of
from simlab.runner.provenance import provenance
from simlab.runner.run import Outcome, carry_out

__all__ = ["config_of", "require_same_code", "resume_run"]


def config_of(run_dir: Path) -> ExperimentConfig:
    """Return the configuration that a run was recorded with."""
    open_run(run_dir)
    return load(run_dir / CONFIG_FILE)


def resume_run(
    run_dir: Path | str, *, progress: bool = False, interrupts: Interrupts | None = None
) -> Outcome:
    """Go on with a recorded run from its latest checkpoint, or from where it began if it has none.

    What was recorded after the checkpoint is recorded again. A run that is finished stays as it is.

    Parameters
    ----------
    run_dir : Path
        Its folder.
    progress, interrupts
        As in `simlab.runner.execute`.

    Returns
    -------
    Outcome
        What the run comes to; `seconds` is the time of stepping of all processes, without what was lost.

    Raises
    ------
    SimlabError
        When it is no run, is still running, or its strategies' files have changed.
    """
    folder = Path(run_dir)
    run = open_run(folder)
    if run.finished:
        return _outcome_of(folder, run.manifest)
    if run.manifest.get("status") == RUNNING and writer_of(run.manifest) == RUNNING:
        raise RecordingError(
            f"{folder} is still being recorded by process {run.manifest.get('pid')}; wait for it, or end it"
        )
    if journal_folder(folder).is_dir():
        raise RecordingError(
            f"{folder} was traded from outside, and would go on without those who did; simlab replay {folder}"
            " runs again what is in its journal, and a live session goes on by `simlab live --run-dir`"
        )
    config = config_of(folder)
    spec = build(config)
    require_same_code(run.manifest, spec, folder)
    checkpoint = Checkpoints(folder / CHECKPOINTS_FOLDER).latest()
    position = Position()
    if checkpoint is None:
        checkpoint, position = start_of(run)
    else:
        position = checkpoint.position
    author = Author.reopen(folder, position)
    begin = partial(Simulation, spec) if checkpoint is None else partial(checkpoint.restore, spec)
    return carry_out(
        config, spec, author, begin, spent_s=spent_s(checkpoint), progress=progress, interrupts=interrupts
    )


def require_same_code(manifest: dict[str, Any], spec: SimulationSpec, folder: Path) -> None:
    """Raise SimlabError unless what a run depends on beside its configuration is what it was."""
    for what, now in provenance(spec).items():
        then = manifest.get(what, {})
        changed = sorted(key for key in {*then, *now} if then.get(key) != now.get(key))
        if changed:
            raise SimlabError(
                f"{folder} was recorded with other code or data ({what}: {', '.join(changed)}), so it would"
                " go on as another market; put back what it was recorded with, or run the market anew"
            )


def _outcome_of(folder: Path, manifest: dict[str, Any]) -> Outcome:
    """Return what a finished run came to, from its manifest."""
    names = ("name", "seed", "steps", "event_log_hash", "messages", "trades", "seconds")
    summary = {name: manifest[name] for name in ("populations", "instruments")}
    return Outcome(run_dir=folder, summary=summary, **{name: manifest[name] for name in names})
