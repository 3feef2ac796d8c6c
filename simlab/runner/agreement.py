"""Say how far a run that replays recorded order flow agrees with what the venue recorded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simlab.agents.library.replay import Replay, replay_steps
from simlab.errors import RecordingError
from simlab.importing import read_halts, read_messages, read_truth, truth_path
from simlab.recording import Run

__all__ = ["agreement_lines", "replay_agreement"]


def replay_agreement(run: Run) -> list[dict[str, Any]]:
    """Compare a recorded run with the truth of every message table it replayed, step by step.

    Memory follows the fills and the steps. With others in the market the numbers tell how far it still is the
    recorded one.

    Parameters
    ----------
    run : Run
        A recording; what it did not come to does not count.

    Returns
    -------
    list of dict
        One a population that replays and whose truth is at hand: `population`, `instrument`;
        `recorded_fills`, `replayed_fills`; `recorded_volume`, `replayed_volume` (lots; of the whole
        instrument); `fill_steps`, `fill_steps_equal`, steps with fills and those with the same lots at the
        same prices; `quotes`, `quotes_equal`, best prices at the ends of steps; `refused`, the population's
        messages that were refused (reason to count).

    Example
    -------
    >>> replay_agreement(simlab.recording.open_run("runs/replay_es-1-1"))  # doctest: +SKIP
    """
    populations = run.config.get("populations", {})
    return [
        _compared(run, name, it)
        for name, it in populations.items()
        if it["strategy"] == Replay.strategy.name and truth_path(_table(it)).is_file()
    ]


def agreement_lines(rows: list[dict[str, Any]]) -> list[str]:
    """Return a line for people a row of `replay_agreement`."""
    lines = []
    for row in rows:
        refused = ", ".join(f"{count:,} {reason}" for reason, count in row["refused"].items()) or "none"
        lines.append(
            f"{row['population']} beside the venue's record: volume {row['replayed_volume']:,} of"
            f" {row['recorded_volume']:,} lots, fills equal in {row['fill_steps_equal']:,} of"
            f" {row['fill_steps']:,} steps, best prices in {row['quotes_equal']:,} of {row['quotes']:,};"
            f" refused: {refused}"
        )
    return lines


def _table(population: dict[str, Any]) -> Path:
    return Path(population["options"]["path"])


def _compared(run: Run, name: str, population: dict[str, Any]) -> dict[str, Any]:
    instrument = next(iter(population["instruments"] or run.config["instruments"]))
    ran = run.frame("quotes", columns=["step"])["step"].max() + 1 if run.tables()["quotes"] else 0
    truth = _truth(population)
    truth = truth[truth["step"] < ran]
    fills = truth[truth["record"] == "fill"]
    trades = run.trades(columns=["step", "price", "quantity"], instrument=instrument)
    recorded, replayed = (it.groupby(["step", "price"])["quantity"].sum() for it in (fills, trades))
    differ = recorded.astype(np.int64).sub(replayed, fill_value=0)
    different = set(differ[differ != 0].index.get_level_values("step"))
    steps = {*fills["step"], *trades["step"]}
    return {
        "population": name,
        "instrument": instrument,
        "recorded_fills": len(fills),
        "replayed_fills": len(trades),
        "recorded_volume": int(fills["quantity"].sum()),
        "replayed_volume": int(trades["quantity"].sum()),
        "fill_steps": len(steps),
        "fill_steps_equal": len(steps - different),
        **_quotes(run, instrument, truth),
        "refused": _refused(run, name),
    }


def _truth(population: dict[str, Any]) -> pd.DataFrame:
    """Return the truth with the step of each row."""
    table = _table(population)
    _, event, time_ns = read_messages(table)
    given = {it.name: population["parameters"].get(it.name, it.default) for it in Replay.strategy.parameters}
    if not all(isinstance(value, int | float) for value in given.values()):
        raise RecordingError(f"the parameters of a replay are {given}; they must be numbers to compare it")
    halts = read_halts(table) if population["options"].get("halts", True) else []
    parameters = {key: int(value) for key, value in given.items()}
    steps = replay_steps(time_ns, event, **parameters, halts=halts)
    truth = read_truth(table).to_pandas()
    return truth.assign(step=_step_of(truth["event_index"].to_numpy(), event, steps))


def _step_of(
    events: NDArray[np.int64], sent: NDArray[np.int64], steps: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the step after which an event is over: that of the last message up to it."""
    return steps[np.maximum(np.searchsorted(sent, events, side="right") - 1, 0)]


def _quotes(run: Run, instrument: str, truth: pd.DataFrame) -> dict[str, int]:
    columns = ["best_bid", "best_ask"]
    quotes = truth[truth["record"] == "quote"]
    wanted = quotes.drop_duplicates("step", keep="last").set_index("step")[columns]
    found = run.quotes(columns=["step", *columns], instrument=instrument).set_index("step")
    both = wanted.index.intersection(found.index)
    same = wanted.loc[both].astype(float).eq(found.loc[both].astype(float))
    empty = wanted.loc[both].isna() & found.loc[both].isna()
    return {"quotes": len(both), "quotes_equal": int((same | empty).all(axis=1).sum())}


def _refused(run: Run, population: str) -> dict[str, int]:
    agents = run.agents()
    accounts = set(agents.loc[agents["population"] == population, "account"])
    counts: dict[str, int] = {}
    for frame in run.batches("messages", columns=["event", "account", "reason"], names=False):
        mine = frame[(frame["event"] == "rejected") & frame["account"].isin(accounts)]
        for reason in mine["reason"]:
            counts[str(reason)] = counts.get(str(reason), 0) + 1
    return dict(sorted(counts.items()))
