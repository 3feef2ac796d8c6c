"""Compare treatments: runs of one configuration against runs of another, paired by seed where they are.

Runs of one configuration with different seeds are replications of one treatment. One treatment, the first if
no other is named, is the baseline that every other is compared with.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd

from simlab.analysis.compare.measures import UNITS, run_measures
from simlab.analysis.compare.warmup import warmup as warmup_of
from simlab.analysis.libraries import library
from simlab.analysis.statistics import Effect, independent, paired
from simlab.errors import AnalysisError, did_you_mean
from simlab.recording import Run

__all__ = ["NO_DIFFERENCE", "ONE_SEED", "Measures", "compare"]

Measures = Callable[[Run], Mapping[str, float]]
"""What a comparison is about: a number by name for a run."""

ONE_SEED = "one seed: cannot rank"
NO_DIFFERENCE = "no difference shown"
_NO_VARIATION = "no variation between seeds: cannot rank"
_NOT_THE_TREATMENT = ("seed", "name", "description")
_SHOWN_KEYS = 3
_SHORTEST_WARMUP = 1_000


@dataclass(frozen=True)
class _Treatment:
    label: str
    runs: dict[int, Run]
    config: dict[str, Any]
    """Value of every key but seed, name and description, by its dotted path."""


def compare(
    runs: Sequence[Run] | Mapping[str, Sequence[Run]],
    *,
    measures: Measures | None = None,
    warmup: int | str = 0,
    confidence: float = 0.95,
    baseline: str | Run | None = None,
) -> pd.DataFrame:
    """Compare every treatment with a baseline, measure by measure.

    Treatments of the same seeds are compared seed by seed (paired t test, Cohen's d_z): the same world with
    one thing changed. Otherwise samples are taken as independent (Welch's t test, Hedges' g). P-values are
    corrected for the number of rows by Holm's method, and the verdict follows from the corrected one;
    intervals are of one row each. Nothing is ranked on one seed, whatever the difference.

    Parameters
    ----------
    runs : sequence of Run, or mapping of labels to sequences of Run
        Finished runs. In a sequence, runs whose resolved configurations are equal but for the seed are one
        treatment, labelled by its name, or by what is different in its configuration where names do not tell:
        the keys that tell the treatments apart, three at most, and a number where those do not do.
    measures : callable, optional
        ``measures(run) -> {name: number}``; by default `simlab.analysis.compare.run_measures`.
    warmup : int or "auto", optional
        Steps at the start of all runs that the default measures leave out. ``"auto"`` takes the longest that
        `simlab.analysis.compare.warmup` finds in any run, and at least a thousandth of the run if it finds
        any.
    confidence : float
        Of the intervals; a difference is shown when its corrected p-value is below ``1 - confidence``.
    baseline : str or Run, optional
        Label of a treatment, or one of its runs; the first treatment by default.

    Returns
    -------
    DataFrame
        One row a treatment and measure: ``measure``, ``unit``, ``a`` and ``b`` (labels, a is the baseline),
        ``mean_a``, ``mean_b``, ``difference`` (b less a), ``low``, ``high``, ``effect``, ``effect_low``,
        ``effect_high``, ``effect_kind`` (d_z or g), ``p``, ``p_holm``, ``seeds_a``, ``seeds_b``, ``paired``,
        ``verdict`` (a or b "is higher", "no difference shown", "one seed: cannot rank", or why there is
        none). Its `attrs`: ``treatments`` (what is different in the configuration of each),
        ``warmup`` (steps) and ``notes`` (what a reader must know, such as that runs differ in length).

    Raises
    ------
    AnalysisError
        When there are fewer than two treatments, the baseline is none of them, a run is unfinished, two runs
        of a treatment have one seed, a labelled group mixes configurations, or the warm-up cannot be found.

    Example
    -------
    >>> runs = [simlab.run("market.yaml", seed=seed, set=[f"populations.makers.count={makers}"])
    ...         for seed in (1, 2, 3) for makers in (5, 0)]  # doctest: +SKIP
    >>> compare(runs)[["measure", "difference", "low", "high", "verdict"]]  # doctest: +SKIP

    References
    ----------
    Holm 1979, Scandinavian Journal of Statistics 6, 65-70.
    """
    if not 0.5 < confidence < 1:
        raise AnalysisError(f"confidence is {confidence}; it lies between 0.5 and 1, such as 0.95")
    treatments = _labelled(runs) if isinstance(runs, Mapping) else _grouped(runs)
    if len(treatments) < 2:
        raise AnalysisError(
            f"there are {len(treatments)} treatments to compare, and it takes two: runs of one configuration "
            "are replications of one treatment; change a key for the others"
        )
    if measures is not None and warmup != 0:
        raise AnalysisError("warmup is for the default measures; leave the steps out in the measures given")
    treatments = _from_baseline(treatments, baseline)
    left_out = _warmup(treatments, warmup)
    measured = [_measured(treatment, measures, left_out) for treatment in treatments]
    rows = [
        row
        for other, values in zip(treatments[1:], measured[1:], strict=True)
        for row in _compared(treatments[0], measured[0], other, values, confidence)
    ]
    table = _corrected(pd.DataFrame(rows), confidence)
    table.attrs = {"treatments": _differences(treatments), "warmup": left_out, "notes": _notes(treatments)}
    return table


def _grouped(runs: Sequence[Run]) -> list[_Treatment]:
    groups: dict[str, list[Run]] = {}
    for run in runs:
        groups.setdefault(json.dumps(_flat(run), sort_keys=True, default=str), []).append(run)
    flat = [_flat(group[0]) for group in groups.values()]
    names = [str(group[0].config.get("name", "")) for group in groups.values()]
    telling = all(names) and len(set(names)) == len(names)
    labels = names if telling else _difference_labels(flat)
    rows = zip(labels, groups.values(), flat, strict=True)
    return [_Treatment(label, _by_seed(label, group), config) for label, group, config in rows]


def _from_baseline(treatments: list[_Treatment], baseline: str | Run | None) -> list[_Treatment]:
    """Return the treatments with the baseline first."""
    if baseline is None:
        return treatments
    if isinstance(baseline, str):
        chosen = [it for it in treatments if it.label == baseline]
        hint = did_you_mean(baseline, [it.label for it in treatments], otherwise="the treatments are")
    else:
        path = baseline.path.resolve()
        chosen = [it for it in treatments if path in {run.path.resolve() for run in it.runs.values()}]
        baseline, hint = str(baseline.path), "; give it among the runs too"
    if not chosen:
        raise AnalysisError(f"the baseline {baseline!r} is not compared{hint}")
    return chosen + [it for it in treatments if it is not chosen[0]]


def _notes(treatments: Sequence[_Treatment]) -> list[str]:
    lengths = {
        it.label: sorted({int(run.manifest["steps"]) for run in it.runs.values()}) for it in treatments
    }
    if len({steps for found in lengths.values() for steps in found}) < 2:
        return []
    told = ", ".join(f"{' and '.join(f'{n:,}' for n in found)} ({label})" for label, found in lengths.items())
    return [
        f"runs differ in length: steps {told}; P&L is of whole runs, so it grows with their length, and the "
        "other measures are means over different times"
    ]


def _labelled(runs: Mapping[str, Sequence[Run]]) -> list[_Treatment]:
    treatments = []
    for label, group in runs.items():
        if not group:
            raise AnalysisError(f"treatment {label!r} has no runs; give at least one")
        config = _flat(group[0])
        for run in group[1:]:
            changed = _changed([config, _flat(run)])
            if changed:
                raise AnalysisError(
                    f"treatment {label!r} mixes configurations: {group[0].path} and {run.path} differ in "
                    f"{', '.join(changed[:_SHOWN_KEYS])}; give them as two treatments"
                )
        treatments.append(_Treatment(label, _by_seed(label, group), config))
    return treatments


def _by_seed(label: str, runs: Sequence[Run]) -> dict[int, Run]:
    found: dict[int, Run] = {}
    for run in runs:
        if not run.finished:
            raise AnalysisError(
                f"{run.path} is unfinished ({run.manifest.get('status', 'unknown')}); run it to its end, or "
                "leave it out"
            )
        seed = int(run.manifest["seed"])
        if seed in found:
            raise AnalysisError(
                f"{found[seed].path} and {run.path} are one run twice: treatment {label!r} with seed {seed}; "
                "leave one out"
            )
        found[seed] = run
    return found


def _flat(run: Run) -> dict[str, Any]:
    """Return the configuration by dotted path, without what is no treatment, and what it does not hold."""
    config = {key: value for key, value in run.config.items() if key not in _NOT_THE_TREATMENT}
    elsewhere = {key: run.manifest.get(key, {}) for key in ("plugins", "provenance")}
    parent = run.manifest.get("parent")
    if parent is not None:  # the same from a step on is not the same from the beginning
        elsewhere["fork"] = {"at": parent["step"]}
    return dict(_leaves(config | elsewhere, ""))


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


_ABSENT = "(absent)"


def _changed(configs: Sequence[dict[str, Any]]) -> list[str]:
    """Return the paths that do not have one value in all configurations, in their order."""
    paths = dict.fromkeys(path for config in configs for path in config)
    return [path for path in paths if len({repr(config.get(path, _ABSENT)) for config in configs}) > 1]


def _difference_labels(configs: Sequence[dict[str, Any]]) -> list[str]:
    """Return a label for each configuration, no two the same."""
    changed = _changed(configs)
    shown = _telling(changed, configs)
    more = len(changed) - len(shown)
    rest = f" and {more} more" if more else ""
    labels = [", ".join(f"{path}={config.get(path, _ABSENT)}" for path in shown) + rest for config in configs]
    return [
        f"{label} (treatment {number})" if labels.count(label) > 1 else label
        for number, label in enumerate(labels, 1)
    ]


def _telling(paths: Sequence[str], configs: Sequence[dict[str, Any]]) -> list[str]:
    """Return some of the paths, in their order, chosen one by one so that each tells most apart."""
    chosen: list[str] = []
    while len(chosen) < min(_SHOWN_KEYS, len(paths)):
        left = [path for path in paths if path not in chosen]
        chosen.append(max(left, key=lambda path: _kinds([*chosen, path], configs)))
    return [path for path in paths if path in chosen]


def _kinds(paths: Sequence[str], configs: Sequence[dict[str, Any]]) -> int:
    return len({tuple(repr(config.get(path, _ABSENT)) for path in paths) for config in configs})


def _differences(treatments: Sequence[_Treatment]) -> dict[str, dict[str, Any]]:
    changed = _changed([treatment.config for treatment in treatments])
    return {it.label: {path: it.config.get(path, _ABSENT) for path in changed} for it in treatments}


def _warmup(treatments: Sequence[_Treatment], asked: int | str) -> int:
    every = [run for treatment in treatments for run in treatment.runs.values()]
    shortest = min(int(run.manifest["steps"]) for run in every)
    if asked == "auto":
        longest = max(_found_warmup(run) for run in every)
        return longest and max(longest, -(-shortest // _SHORTEST_WARMUP))
    if isinstance(asked, str) or not 0 <= asked < shortest:
        raise AnalysisError(
            f"warmup is {asked!r}; it is 'auto', or steps from 0 to {shortest - 1} (the shortest run)"
        )
    return asked


def _found_warmup(run: Run) -> int:
    found = warmup_of(run)
    unknown = found[found["steps"].isna()]
    if len(unknown):
        row = unknown.iloc[0]
        raise AnalysisError(
            f"{run.path} is too short to tell when the {row['measure']} of {row['instrument']} has settled; "
            "run more steps, or give warmup in steps"
        )
    return int(found["steps"].max())


def _measured(treatment: _Treatment, measures: Measures | None, warmup: int) -> pd.DataFrame:
    """Return a row a seed and a column a measure."""
    rows = {
        seed: run_measures(run, warmup) if measures is None else dict(measures(run))
        for seed, run in treatment.runs.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").sort_index()


def _compared(
    a: _Treatment, values_a: pd.DataFrame, b: _Treatment, values_b: pd.DataFrame, confidence: float
) -> Iterator[dict[str, Any]]:
    together = list(a.runs) if set(a.runs) == set(b.runs) else []
    for measure in dict.fromkeys([*values_a.columns, *values_b.columns]):
        row = {"measure": measure, "unit": _unit(measure), "a": a.label, "b": b.label}
        samples = [
            frame[measure] if measure in frame else pd.Series(dtype=float) for frame in (values_a, values_b)
        ]
        known = [sample.dropna().astype(float) for sample in samples]
        row |= {"mean_a": known[0].mean(), "mean_b": known[1].mean()}
        pairs = bool(together) and len(known[0]) == len(known[1]) == len(together)
        effect = _effect(known, pairs, confidence)
        row |= asdict(effect) | {"effect_kind": "d_z" if pairs else "g"}
        row |= {"seeds_a": len(known[0]), "seeds_b": len(known[1]), "paired": pairs}
        yield row | {"verdict": _obstacle(row)}


def _effect(known: Sequence[pd.Series], pairs: bool, confidence: float) -> Effect:
    if not len(known[0]) or not len(known[1]):
        return Effect(np.nan)
    test = paired if pairs else independent
    return test(known[0].to_numpy(), known[1].to_numpy(), confidence)


def _unit(measure: str) -> str:
    return next(
        (unit for name, unit in UNITS.items() if measure == name or measure.startswith(f"{name} ")), ""
    )


def _obstacle(row: Mapping[str, Any]) -> str:
    """Return why nothing can be ranked, or an empty text."""
    for side in "ab":
        if not row[f"seeds_{side}"]:
            return f"not measured in {side}"
    if min(row["seeds_a"], row["seeds_b"]) < 2:
        return ONE_SEED
    return _NO_VARIATION if np.isnan(row["p"]) and row["difference"] else ""


def _corrected(table: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Return the table with corrected p-values and, where nothing is in the way, a verdict."""
    tested = table["p"].notna()
    holm = np.full(len(table), np.nan)
    if tested.any():
        multipletests = library("statsmodels.stats.multitest").multipletests
        holm[tested] = multipletests(table.loc[tested, "p"], alpha=1 - confidence, method="holm")[1]
    table.insert(table.columns.get_loc("p") + 1, "p_holm", holm)
    higher = np.where(table["difference"] > 0, table["b"], table["a"])
    judged = np.where(holm < 1 - confidence, [f"{label} is higher" for label in higher], NO_DIFFERENCE)
    table["verdict"] = np.where(table["verdict"] == "", judged, table["verdict"])
    return table
