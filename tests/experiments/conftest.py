"""The analysis of the study that a test module is named after, and a lab that simulates nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from simlab.runner.study import Lab, Study, Trial

STUDIES = Path(__file__).parents[2] / "experiments"


class KnownLab(Lab):
    """A lab whose trials give known results, so that a test sees what a study makes of them."""

    def __init__(self, folder: Path, result: Callable[[Trial], Any]) -> None:
        super().__init__(folder)
        self._result = result

    def runs(self, reduce: Callable[..., Any], trials: Sequence[Trial], **_: Any) -> list[Any]:
        """Return each trial's known result, in order."""
        return [self._result(trial) for trial in trials]


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest) -> Path:
    """Return the study's folder."""
    return STUDIES / Path(request.path).stem.removeprefix("test_")


@pytest.fixture(scope="module")
def analysis(folder: Path) -> ModuleType:
    """Return the study's module ``analysis.py``."""
    return Study(folder).analysis


@pytest.fixture
def known_lab(folder: Path) -> Callable[[Callable[[Trial], Any]], KnownLab]:
    """Return a function that makes a lab from the result of each trial."""
    return lambda result: KnownLab(folder, result)
