"""Small runs whose every event was written down and looked at; a change must be meant.

After a change that is meant, write them anew with ``python tests/test_golden.py`` and read the difference.
"""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from simlab.config import build, load
from simlab.core.hashing import hash_text
from simlab.core.types import EVENT_DTYPE, FLAG_MARKET, FLAG_POST_ONLY, EventKind, Reason, Side, TimeInForce
from simlab.kernel import Simulation

FOLDER = Path(__file__).parent / "golden"
REGENERATE = "if the change is meant, run `python tests/test_golden.py` and read what git shows"
CONFIGS = sorted(FOLDER.glob("*.yaml"))


class EventLog:
    """A sink that keeps all events and news."""

    def __init__(self) -> None:
        self.parts: list[NDArray[Any]] = [np.zeros(0, EVENT_DTYPE)]
        self.news: list[str] = []

    def events(self, events: NDArray[Any]) -> None:
        self.parts.append(events.copy())

    def rows(self, table: str, columns: dict[str, Any]) -> None:
        if table == "news":
            for step, headline, impact in zip(
                columns["step"], columns["headline"], columns["impact"], strict=True
            ):
                self.news.append(f"{step:3d} NEWS {headline} ({impact:+.6f})")


def line_of(event: Any, simulation: Simulation) -> str:
    """Write one event as a line of text."""
    kind, flags = EventKind(int(event["kind"])), int(event["flags"])
    words = [
        f"{event['step']:3d} {kind.name:9s} {Side(int(event['side'])).name:4s}",
        f"{event['quantity']:3d} {simulation.spec.instruments[event['instrument']].name} at {event['price']}",
        f"order {event['order_id']} of {simulation.agent_name(int(event['account']))}",
    ]
    if kind is EventKind.FILL:
        maker = simulation.agent_name(int(event["other_account"]))
        words.append(f"with order {event['other_order_id']} of {maker}")
    if kind is EventKind.ACCEPTED:
        words.append("market" if flags & FLAG_MARKET else TimeInForce(flags & 3).name)
        words += ["post-only"] if flags & FLAG_POST_ONLY else []
    if event["reason"]:
        words.append(Reason(int(event["reason"])).name)
    return " ".join(words)


def account_line(account: int, simulation: Simulation) -> str:
    """Write down how an account ended."""
    count = len(simulation.spec.instruments)
    cash = simulation.state.ledger.accounts["cash"][account]
    lots = simulation.state.ledger.positions["inventory"][account * count : (account + 1) * count]
    return f"{simulation.agent_name(account)} ends with cash {cash}, inventory {' '.join(map(str, lots))}"


def lines_of(config: Path) -> list[str]:
    """Run an experiment and write down what happened, and how each account ended."""
    log = EventLog()
    simulation = Simulation(build(load(config)), sink=log)
    simulation.advance()
    simulation.finish()
    simulation.audit()
    events = [line_of(event, simulation) for event in np.concatenate(log.parts)]
    accounts = [account_line(account, simulation) for account in range(len(simulation.state.ledger.accounts))]
    return [*log.news, *events, *accounts, f"hash {hash_text(simulation.event_log_hash)}"]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.stem)
def test_golden_run(config: Path) -> None:
    golden = config.with_suffix(".txt")
    expected = golden.read_text(encoding="utf-8").splitlines()
    for number, (found, line) in enumerate(zip_longest(lines_of(config), expected), 1):
        if found != line:
            pytest.fail(
                f"{golden.name}, line {number}:\n  expected: {line}\n  found:    {found}\n{REGENERATE}",
                pytrace=False,
            )


if __name__ == "__main__":
    for path in CONFIGS:
        text = "\n".join(lines_of(path)) + "\n"
        path.with_suffix(".txt").write_text(text, encoding="utf-8", newline="\n")
        print(f"{path.with_suffix('.txt').name}: {text.count(chr(10))} lines")
