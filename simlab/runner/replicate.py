"""Carry out studies and write down what came of them: the table of published results, replicated."""

from __future__ import annotations

import contextlib
import html
import json
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from simlab import __version__
from simlab.analysis.figures import COLOURS, FONT, INK
from simlab.analysis.report import screenshot
from simlab.errors import AnalysisError, PluginError, did_you_mean
from simlab.runner.study import Claim, Lab, Study, find_studies

__all__ = [
    "Result",
    "choose",
    "claims_table",
    "read_results",
    "replicate",
    "replicate_all",
    "result_rows",
    "write_figures",
    "write_results",
]

RESULTS_FILE = "results.json"
PAGE = "README.md"
FIGURES_PAGE = "figures.html"
PICTURE = "figure.png"
_HEIGHT = 480
_BEGIN = "<!-- results: begin; written by `simlab replicate` -->"
_END = "<!-- results: end -->"


@dataclass(frozen=True)
class Result:
    """What a study found, and how long it took."""

    study: str
    title: str
    claims: tuple[Claim, ...]
    seconds: float
    version: str = __version__


def choose(folder: Path, names: Sequence[str] = ()) -> list[Study]:
    """Return the named studies of a folder, all by default.

    Raises
    ------
    PluginError
        When a name is unknown; the message has the nearest one.
    """
    known = find_studies(folder)
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known, otherwise="there are")
            raise PluginError(f"no study {name!r} in {folder}{hint}")
    return [known[name] for name in names] if names else list(known.values())


def replicate(
    study: Study, *, jobs: int | None = None, quick: bool = False, console: Console | None = None
) -> tuple[Result, list[Any]]:
    """Carry out one study; return its result and its Plotly figures.

    Parameters
    ----------
    study : Study
    jobs : int, optional
        Worker processes; as many as there are cores by default. The result does not depend on it.
    quick : bool
        Take a tenth of the seeds.
    console : Console, optional
        Where the progress is shown.
    """
    started_s = time.perf_counter()
    with Lab(study.folder, jobs=jobs or os.cpu_count() or 1, quick=quick, console=console) as lab:
        claims = study.carry_out(lab)
    seconds = round(time.perf_counter() - started_s, 1)
    return Result(study.name, study.title, tuple(claims), seconds), lab.figures


def replicate_all(
    folder: Path,
    names: Sequence[str] = (),
    *,
    jobs: int | None = None,
    quick: bool = False,
    console: Console | None = None,
) -> list[Result]:
    """Carry out the named studies of a folder, all by default, and write table and figures unless quick.

    What is done is written at once, so that an interruption loses no more than the study under way.
    """
    results = []
    for study in choose(folder, names):
        result, figures = replicate(study, jobs=jobs, quick=quick, console=console)
        results.append(result)
        if not quick:
            write_results(folder, [result])
            write_figures(study, figures)
    return results


def write_figures(study: Study, figures: Sequence[Any]) -> None:
    """Write figures as a page, ``figures.html``, and where Chromium is there the first as ``figure.png``."""
    if not figures:
        return
    page = study.folder / FIGURES_PAGE
    parts = [
        _dressed(figure).to_html(full_html=False, include_plotlyjs=i == 0, config={"displayModeBar": False})
        for i, figure in enumerate(figures)
    ]
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(study.title)}</title>'
    page.write_text(f"{head}<body style='margin: 0'>{''.join(parts)}</body></html>\n", encoding="utf-8")
    with contextlib.suppress(AnalysisError):  # the picture is for those who read on paper or in a repository
        screenshot(page, study.folder / PICTURE, width=900, height=figures[0].layout.height)


def _dressed(figure: Any) -> Any:
    """Return the figure in the look that all studies share; colours that it chose itself stay."""
    figure.update_layout(
        template="plotly_white",
        colorway=COLOURS,
        font={"family": FONT, "size": 13, "color": INK},
        height=figure.layout.height or _HEIGHT,
        legend={"orientation": "h", "y": -0.2, "yanchor": "top"},
        margin={"l": 70, "r": 24, "t": 56 if figure.layout.title.text else 24, "b": 96},
    )
    return figure


def result_rows(results: Iterable[Result]) -> list[dict[str, Any]]:
    """Return results as plain data, one row a claim."""
    return [
        {"study": result.study, "ours": claim.ours, "verdict": claim.verdict, **asdict(claim)}
        for result in results
        for claim in result.claims
    ]


def claims_table(results: Iterable[Result], title: str = "Published results") -> Table:
    """Return a table for a terminal: under each study a line for each of its claims."""
    table = Table("claim", "paper", "simlab [95% interval]", "verdict", title=title)
    for result in results:
        table.add_row(Text(result.title, style="bold"))
        for claim in result.claims:
            verdict = Text(claim.verdict, style="green" if claim.holds else "yellow")
            table.add_row(Text(f"  {claim.claim}"), Text(claim.paper), Text(claim.ours), verdict)
        table.add_section()
    return table


def read_results(folder: Path) -> dict[str, Result]:
    """Return the results that were written to a folder earlier, by study; none if there are none."""
    file = folder / RESULTS_FILE
    if not file.exists():
        return {}
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
        found = [Result(**row | {"claims": tuple(Claim(**claim) for claim in row["claims"])}) for row in rows]
    except (OSError, ValueError, TypeError, KeyError, AnalysisError, PluginError) as error:
        raise PluginError(f"cannot read {file}: {error}; remove it and run all studies again") from error
    return {result.study: result for result in found}


def write_results(folder: Path, results: Iterable[Result]) -> Path:
    """Put results beside those of an earlier time, and the table of all into the folder's README; return it.

    Results of studies that are no longer there are dropped.
    """
    known = find_studies(folder)
    page = folder / PAGE
    before, after = _around_table(page)
    merged = read_results(folder) | {result.study: result for result in results}
    kept = [merged[name] for name in known if name in merged]
    text = json.dumps([asdict(result) for result in kept], indent=1, default=_plain) + "\n"
    (folder / RESULTS_FILE).write_text(text, encoding="utf-8")
    page.write_text(f"{before}{_BEGIN}\n\n{_markdown(kept)}\n{_END}{after}", encoding="utf-8")
    return page


def _plain(value: Any) -> Any:
    return value.item()


def _around_table(page: Path) -> tuple[str, str]:
    text = page.read_text(encoding="utf-8") if page.exists() else f"# Studies\n\n{_BEGIN}\n{_END}\n"
    if text.count(_BEGIN) != 1 or text.count(_END) != 1:
        raise PluginError(f"{page} must have the lines {_BEGIN!r} and {_END!r} once, around the table")
    before, rest = text.split(_BEGIN)
    return before, rest.split(_END)[1]


def _markdown(results: Sequence[Result]) -> str:
    lines = ["| study | claim | paper | simlab [95% interval] | verdict |", "| --- | --- | --- | --- | --- |"]
    notes = []
    for result in results:
        for i, claim in enumerate(result.claims):
            study = f"[{result.title}]({result.study})" if i == 0 else ""
            cells = (study, claim.claim, claim.paper, claim.ours, claim.verdict)
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
            if not claim.holds:
                notes.append(f"- {result.study}, {claim.claim}: {claim.reason}")
    held = sum(claim.holds for result in results for claim in result.claims)
    total = sum(len(result.claims) for result in results)
    seconds = sum(result.seconds for result in results)
    lines += ["", f"{held} of {total} claims reproduced; {seconds / 60:.1f} minutes for all studies."]
    lines += ["", "Why claims may not be reproduced:", "", *notes] if notes else []
    return "\n".join(lines) + "\n"
