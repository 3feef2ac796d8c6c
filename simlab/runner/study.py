"""What a study is: a folder with ``experiment.yaml``, ``analysis.py`` and ``README.md``.

``analysis.py`` has one function ``study(lab)`` that runs the experiment in as many variants as it needs and
returns what it found, claim by claim::

    def efficiency(run):
        return len(run.trades()) / 10

    def study(lab):
        found = lab.runs(efficiency, [Trial(seed=seed) for seed in lab.seeds(20)])
        mean, low, high = mean_interval(found)
        return [Claim("All units trade", "10 trades", mean, low, high, holds=low > 0.9)]
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from simlab.analysis import Run, open_run
from simlab.analysis.libraries import library
from simlab.analysis.statistics import mean_interval
from simlab.config import load
from simlab.errors import AnalysisError, ConfigError, PluginError, SimlabError
from simlab.runner.run import execute

__all__ = ["Claim", "Lab", "Study", "Trial", "find_studies", "mean_interval"]

CONFIG_FILE = "experiment.yaml"
SWEEP_FILE = "study.yaml"
"""Of a folder that is a sweep and not a study: `simlab sweep` runs it."""
ANALYSIS_FILE = "analysis.py"
README_FILE = "README.md"
_QUICK_SHARE = 10
_FEWEST_SEEDS = 3

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Claim:
    """One claim of a paper and what simlab found.

    Parameters
    ----------
    claim : str
        What is claimed, in a few words.
    paper : str
        The paper's figure, with its unit.
    estimate, low, high : float
        What was found, with its confidence interval of 95%.
    holds : bool
        Whether the claim is reproduced.
    unit : str
        Stands behind the figures.
    reason : str
        Why it is thought not to be reproduced; required then.
    digits : int
        Digits after the point.

    Raises
    ------
    PluginError
        When the claim does not hold and no reason is given.
    AnalysisError
        When the estimate or an end of its interval is not a finite number.

    Example
    -------
    >>> Claim("ZI-C extract nearly all surplus", "99.9%", 99.7, 99.5, 99.9, holds=True, unit="%").ours
    '99.70% [99.50, 99.90]'
    """

    claim: str
    paper: str
    estimate: float
    low: float
    high: float
    holds: bool
    unit: str = ""
    reason: str = ""
    digits: int = 2

    def __post_init__(self) -> None:
        if not self.holds and not self.reason:
            raise PluginError(f"claim {self.claim!r} does not hold: say in `reason` why that may be")
        if not np.isfinite([self.estimate, self.low, self.high]).all():
            raise AnalysisError(
                f"claim {self.claim!r} has an estimate or an interval that is not a number: {self.ours}; a "
                "trial may have recorded too little to measure it, so look at what the trials return"
            )

    @property
    def ours(self) -> str:
        """The estimate and its interval as text."""
        shown = (f"{value:,.{self.digits}f}" for value in (self.estimate, self.low, self.high))
        estimate, low, high = shown
        return f"{estimate}{self.unit} [{low}, {high}]"

    @property
    def verdict(self) -> str:
        """``reproduced`` or ``not reproduced``."""
        return "reproduced" if self.holds else "not reproduced"


@dataclass(frozen=True)
class Trial:
    """One run of a study's experiment: its seed, and what `simlab.run` puts on top of the file."""

    seed: int
    set: Mapping[str, Any] = field(default_factory=dict)
    steps: int | None = None


class Lab(AbstractContextManager["Lab"]):
    """Where a study runs its trials: in worker processes, with a progress bar.

    Parameters
    ----------
    folder : Path
        The study's folder.
    jobs : int
        Worker processes.
    quick : bool
        Take a tenth of the seeds: to try out a study, not to believe it.
    console : Console, optional
        Where the progress is shown; none shows nothing.
    """

    def __init__(
        self, folder: Path, *, jobs: int = 1, quick: bool = False, console: Console | None = None
    ) -> None:
        self.folder = folder
        self.quick = quick
        self.figures: list[Any] = []
        self._jobs = jobs
        self._bar = Progress(
            TextColumn("{task.description}", style="bold"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=console is None,
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def seeds(self, count: int) -> range:
        """Return the seeds 1 to `count`; when quick a tenth of them, at least three."""
        if self.quick:
            count = min(count, max(_FEWEST_SEEDS, count // _QUICK_SHARE))
        return range(1, count + 1)

    def runs(
        self, reduce: Callable[[Run], Result], trials: Sequence[Trial], *, config: str = CONFIG_FILE
    ) -> list[Result]:
        """Run every trial, recorded, and return what `reduce` makes of each; the recordings are then removed.

        Parameters
        ----------
        reduce : callable
            Takes the opened `Run`, in the worker process; what it returns is sent back.
        trials : sequence of Trial
        config : str
            The YAML file in the study's folder.

        Returns
        -------
        list
            In the order of the trials, whatever the number of workers.
        """
        path = self.folder / config
        return self._parallel([(_run_trial, (path, trial, reduce)) for trial in trials], "runs")

    def map(self, function: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """Return `function` of every item, computed in the workers, in order."""
        return self._parallel([(function, (item,)) for item in items], "tasks")

    def figure(self, figure: Any) -> None:
        """Keep a Plotly figure for the study's page; the first one stands for the study."""
        if not hasattr(figure, "to_html"):
            raise PluginError(f"lab.figure takes a Plotly figure, not {type(figure).__name__}")
        self.figures.append(figure)

    def _parallel(self, calls: list[tuple[Callable[..., Any], tuple[Any, ...]]], unit: str) -> list[Any]:
        joblib = library("joblib")
        task = self._bar.add_task(f"{self.folder.name} ({unit})", total=len(calls))
        workers = joblib.Parallel(n_jobs=self._jobs, return_as="generator", batch_size=1)
        results = []
        with warnings.catch_warnings():
            # A worker that has grown is replaced by a new one; its tasks are not lost.
            warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)
            for result in workers(joblib.delayed(_in_worker)(*call) for call in calls):
                results.append(result)
                self._bar.advance(task)
        return results


def _in_worker(function: Callable[..., Result], arguments: tuple[Any, ...]) -> Result:
    """Call a study's function; where it fails is told here, for a traceback does not leave its process."""
    try:
        return function(*arguments)
    except SimlabError:
        raise
    except (Exception, SystemExit) as error:
        trial = next((it for it in arguments if isinstance(it, Trial)), None)
        raise PluginError(("" if trial is None else f"{trial}: ") + _failure(error)) from error


def _failure(error: BaseException) -> str:
    """Return what an exception says, and the last place in a study's own code on the way to it.

    Example
    -------
    >>> _failure(ValueError("no such seed"))
    'ValueError: no such seed'
    """
    said = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    if isinstance(error, SyntaxError):
        return said  # it names the file and the line itself
    # the file by the module's word: code that was sent to a worker may have lost its own
    places = [
        (frame.f_globals.get("__file__") or frame.f_code.co_filename, line, frame.f_code.co_name)
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    own = [place for place in places if Path(place[0]).name == ANALYSIS_FILE]
    for file, line, name in (own or places)[-1:]:
        said += f" ({file}, line {line}, in {name})"
    return said


def _run_trial(path: Path, trial: Trial, reduce: Callable[[Run], Result]) -> Result:
    with tempfile.TemporaryDirectory(prefix="simlab-trial-") as folder:
        config = load(path, seed=trial.seed, set=trial.set, steps=trial.steps)
        outcome = execute(config, out=folder)
        if outcome.run_dir is None:
            raise ConfigError(f"{path}: a study reads recorded runs; leave recording.enabled at true")
        return reduce(open_run(outcome.run_dir))


@dataclass(frozen=True)
class Study:
    """One study: where it is and what it is called."""

    folder: Path

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def title(self) -> str:
        """The heading of its README."""
        lines = (self.folder / README_FILE).read_text(encoding="utf-8").splitlines()
        return next((line.lstrip("# ").strip() for line in lines if line.startswith("# ")), self.name)

    @cached_property
    def analysis(self) -> ModuleType:
        """The module ``analysis.py``."""
        return _module(self.folder / ANALYSIS_FILE)

    def carry_out(self, lab: Lab) -> list[Claim]:
        """Run the study in a lab and return its claims.

        Raises
        ------
        PluginError
            When it has no ``study(lab)``, that raises or returns no list of claims, or a claim lacks its
            reason. The message says what was raised, with file and line.
        SimlabError
            As simlab raises it, the study's name before it: when something cannot be measured, a claim is not
            a number, or a trial cannot be run.
        """
        function = getattr(self.analysis, "study", None)
        if not callable(function):
            raise PluginError(f"{self.folder / ANALYSIS_FILE} has no function study(lab)")
        try:
            claims = list(function(lab) or ())
        except SimlabError as error:
            raise type(error)(f"study {self.name}: {error}") from error
        except (Exception, SystemExit) as error:
            raise PluginError(f"study {self.name}: {_failure(error)}") from error
        if not claims or not all(isinstance(claim, Claim) for claim in claims):
            raise PluginError(f"{self.folder / ANALYSIS_FILE}: study(lab) must return a list of Claim")
        return claims


def _module(path: Path) -> ModuleType:
    """Load a file as a module that stays out of `sys.modules`, so that workers get its functions by value."""
    spec = importlib.util.spec_from_file_location(f"study_{path.parent.name}", path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where a dataclass looks for its module
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise PluginError(f"{path} cannot be loaded: {_failure(error)}") from error
    finally:
        del sys.modules[spec.name]
    return module


def find_studies(folder: Path) -> dict[str, Study]:
    """Return the studies in a folder by name: its subfolders that have all three files, in order.

    Raises
    ------
    PluginError
        When there are none, or a subfolder has a market or an analysis and not all of the files.
    """
    wanted = (CONFIG_FILE, ANALYSIS_FILE, README_FILE)
    found = {}
    for candidate in sorted(folder.iterdir()) if folder.is_dir() else ():
        missing = [name for name in wanted if not (candidate / name).is_file()]
        if not missing:
            found[candidate.name] = Study(candidate)
        elif not {CONFIG_FILE, ANALYSIS_FILE} <= {*missing} and not (candidate / SWEEP_FILE).is_file():
            raise PluginError(f"{candidate} lacks {', '.join(missing)}; a study has {', '.join(wanted)}")
    if not found:
        raise PluginError(f"no studies in {folder}; a study is a folder with {', '.join(wanted)}")
    return found
