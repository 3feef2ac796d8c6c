"""The analysis of the study that a test module is named after."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from simlab.runner.study import Study

STUDIES = Path(__file__).parents[2] / "experiments"


@pytest.fixture(scope="module")
def analysis(request: pytest.FixtureRequest) -> ModuleType:
    """Return the study's module ``analysis.py``."""
    return Study(STUDIES / Path(request.path).stem.removeprefix("test_")).analysis
