"""One market for all tests of the gateway."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from gateway_market import MARKET, Market, market_of, write


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Market]:
    """One market for all tests that leave it as usable as they found it."""
    with market_of(write(tmp_path_factory.mktemp("market"), MARKET)) as it:
        yield it
