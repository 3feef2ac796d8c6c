"""Run a recorded run again, in a fresh process, and say exactly where the two differ, if they do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from simlab.config import build
from simlab.errors import RecordingError
from simlab.kernel.simulation import Simulation
from simlab.recording import TABLES, Run, open_run
from simlab.recording.manifest import CONFIG_FILE
from simlab.runner.author import Author
from simlab.runner.journal import journal_folder
from simlab.runner.lineage import PARENT, ancestors, journal_of
from simlab.runner.replay import let_in
from simlab.runner.resume import config_of
from simlab.runner.run import outcome_of

__all__ = ["Difference", "Verification", "fork_again", "verify_run"]

_MEASURED = {"decisions": ("ms", "cached")}
"""Columns that say how a run went on its machine, and not what happened in the market."""
_OUTSIDE = "outside"
"""The strategy of accounts that are traded from outside: their orders are in the journal, and entered again;
why they sent them was told by programs that do not run again."""
_ENVIRONMENT = ("versions", "plugins", "provenance")
_FORK_AGAIN = """
import json, sys
from pathlib import Path
from simlab.runner.verify import fork_again
print(json.dumps({"run_dir": str(fork_again(Path(sys.argv[1]), Path(sys.argv[2])))}))
"""


@dataclass(frozen=True)
class Difference:
    """The first row in which a table differs: its number from 0, the step, and one column of both.

    A row that only one of the two has is in the column ``rows``, with how many each has up to there.
    """

    table: str
    row: int
    step: int | None
    column: str
    recorded: Any
    again: Any


@dataclass(frozen=True)
class Verification:
    """What came of running a run again.

    `differences` has at most one for each table, `environment` what differs of versions, files of strategies
    and what they depend on, as ``{key: [recorded, now]}``.
    """

    run_dir: str
    event_log_hash: str
    again: str
    differences: tuple[Difference, ...]
    environment: dict[str, list[Any]]

    @property
    def same(self) -> bool:
        """Whether hash and tables are the same."""
        return self.event_log_hash == self.again and not self.differences

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data that fits JSON."""
        return {"same": self.same} | asdict(self)


def verify_run(run_dir: Path | str) -> Verification:
    """Run a finished run again from its folder, and compare: what was traded from outside, from its journal.

    The process has another hash seed and another number of threads, so that what depends on these shows.

    Raises
    ------
    SimlabError
        When it is no finished run, or cannot be run again.
    """
    run = open_run(Path(run_dir))
    if not run.finished:
        raise RecordingError(f"{run.path} is {run.status}; {_before(run.path)}")
    with tempfile.TemporaryDirectory(prefix="simlab-verify-") as folder:
        again = open_run(_run_again(run, Path(folder)))
        found = (_first_difference(table, run, again) for table in TABLES)
        return Verification(
            str(run.path),
            str(run.event_log_hash),
            str(again.event_log_hash),
            tuple(it for it in found if it is not None),
            _environment(run.manifest, again.manifest),
        )


def _before(run: Path) -> str:
    """Return what can be done with a run that did not come to its end."""
    if journal_folder(run).is_dir():
        return f"simlab replay {run} runs again what is in its journal"
    return f"go on with it first: simlab resume {run}"


def _run_again(run: Run, folder: Path) -> Path:
    """Run a configuration, a journal or a fork in a process unlike this one; return the folder of the run."""
    threads = "1" if (os.cpu_count() or 1) > 1 else "2"
    other = {"PYTHONHASHSEED": "20230", "OMP_NUM_THREADS": threads, "NUMBA_NUM_THREADS": threads}
    outside = journal_folder(run.path).is_dir()
    if PARENT in run.manifest:
        command = [sys.executable, "-c", _FORK_AGAIN, str(run.path), str(folder)]
    else:
        what = ["replay", str(run.path)] if outside else ["run", str(run.path / CONFIG_FILE), "--quiet"]
        command = [sys.executable, "-m", "simlab.cli", *what, "--out", str(folder), "--json"]
    done = subprocess.run(command, env=os.environ | other, capture_output=True, text=True)
    if done.returncode and not (outside and done.stdout):  # a replay that differs says so by its status
        raise RecordingError(f"{run.path} cannot be run again: {done.stderr.strip()}")
    told = json.loads(done.stdout.splitlines()[-1])
    return Path(told["again_dir"] if "again_dir" in told else told["run_dir"])


def fork_again(run_dir: Path, out: Path) -> Path:
    """Run a fork again from the first run's beginning, without any checkpoint; return the folder it is in."""
    run = open_run(run_dir)
    config = config_of(run.path)
    spec = build(config)
    earlier = ancestors(run)
    specs = [*(build(it) for it, _ in earlier), spec]
    journal = journal_of(run.path)
    author = Author(out, config, spec)
    with author:
        market = Simulation(specs[0], _Past(author))
        for i, ((_, step), after) in enumerate(zip(earlier, specs[1:], strict=True)):
            if journal is not None and not i:
                let_in(market, journal, step)
            if market.step < step:
                market.advance(step)
            added = market.spec.added
            after = replace(after, instruments=(*after.instruments, *added), added=added)
            with closing(market) as before:
                market = before.fork(author if i + 1 == len(earlier) else _Past(author), spec=after)
        with closing(market):
            author.begin(market)
            market.advance()
        market.finish()
        market.audit()
        author.finish(outcome_of(config, market, author.folder, 0.0).as_dict())
    return author.folder


class _Past:
    """Hand on to a recording what happened, but not who was there and what was traded, which the last say."""

    def __init__(self, author: Author) -> None:
        self.events = author.events
        self._rows = author.rows

    def rows(self, table: str, columns: dict[str, Any]) -> None:
        """Hand on rows of a table with steps."""
        if not TABLES[table].static:
            self._rows(table, columns)


def _environment(recorded: dict[str, Any], again: dict[str, Any]) -> dict[str, list[Any]]:
    """Return what differs of what a run depends on beside its configuration."""
    found = {}
    for what in _ENVIRONMENT:
        then, now = recorded.get(what, {}), again.get(what, {})
        for key in sorted({*then, *now}):
            if then.get(key) != now.get(key):
                found[f"{what}.{key}"] = [then.get(key), now.get(key)]
    return found


def _first_difference(table: str, recorded: Run, again: Run) -> Difference | None:
    """Return the first row in which a table of two runs differs, in bounded memory."""
    done = 0
    for one, other in _side_by_side(_pieces(table, recorded), _pieces(table, again)):
        for at in _unlike(one, other):
            column = next(name for name in one if not _alike(one[name].iloc[at], other[name].iloc[at]))
            step = int(one["step"].iloc[at]) if "step" in one else None
            values = (_plain(frame[column].iloc[at]) for frame in (one, other))
            return Difference(table, done + at, step, column, *values)
        done += len(one)
    rows = _rows(table, recorded), _rows(table, again)
    return None if rows[0] == rows[1] else Difference(table, done, None, "rows", *rows)


def _pieces(table: str, run: Run) -> Iterator[pd.DataFrame]:
    columns = [name for name in TABLES[table].names if name not in _MEASURED.get(table, ())]
    pieces = run.batches(table, columns=columns, names=False)
    if table != "decisions":
        return pieces
    agents = pd.concat(run.batches("agents", names=False))
    outside = set(agents.loc[agents["strategy"] == _OUTSIDE, "account"])
    return (it[~it["account"].isin(outside)] for it in pieces)


def _rows(table: str, run: Run) -> int:
    if table != "decisions":
        return run.tables()[table]
    return sum(len(it) for it in _pieces(table, run))


def _side_by_side(
    one: Iterator[pd.DataFrame], other: Iterator[pd.DataFrame]
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Iterate over pieces of the same length of two tables, until one of them ends."""
    a, b = next(one, None), next(other, None)
    while a is not None and b is not None:
        count = min(len(a), len(b))
        yield a.iloc[:count].reset_index(drop=True), b.iloc[:count].reset_index(drop=True)
        a, b = a.iloc[count:], b.iloc[count:]
        a = a if len(a) else next(one, None)
        b = b if len(b) else next(other, None)


def _unlike(one: pd.DataFrame, other: pd.DataFrame) -> list[int]:
    """Return the first row in which two frames differ, or none."""
    if one.equals(other):
        return []
    unlike = pd.Series(False, index=one.index)
    for name in one:
        a, b = one[name].astype(object), other[name].astype(object)
        unlike |= (a != b) & ~(a.isna() & b.isna())
    return unlike.to_numpy().nonzero()[0][:1].tolist()


def _alike(a: Any, b: Any) -> bool:
    return bool(a == b) or bool(pd.isna(a) and pd.isna(b))


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value
