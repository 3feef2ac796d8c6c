"""One engine for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from engine_process import MARKET, Engine, Line, engine_of

collect_ignore = ["conftest.py"]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One engine for all tests of a module, whose market stands still."""
    with engine_of(tmp_path_factory.mktemp("engine"), MARKET) as started:
        with started.line() as line:
            line.ask("pause")
        yield started


@pytest.fixture
def line(engine: Engine) -> Iterator[Line]:
    with engine.line() as opened:
        yield opened
