"""Put the sections of one run, or of several, into the page and write it."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from simlab.analysis.libraries import library
from simlab.analysis.report.browser import to_pdf
from simlab.analysis.report.comparison import comparison_sections, comparison_tiles, labels
from simlab.analysis.report.elements import Section
from simlab.analysis.report.reading import Reading
from simlab.analysis.report.sections import run_sections
from simlab.analysis.report.sweep import sweep_sections, sweep_tiles
from simlab.analysis.report.words import Tile, tiles
from simlab.errors import AnalysisError

if TYPE_CHECKING:
    import pandas as pd

    from simlab.analysis.run import Run

__all__ = ["write_report", "write_sweep_report"]

_HERE = Path(__file__).parent
_FORMATS = ("html", "pdf")


def write_report(runs: Run | Sequence[Run], path: Path | str, format: str | None = None) -> Path:
    """Write the report of a run, or the comparison of several, as one file that needs no network.

    Parameters
    ----------
    runs : Run or sequence of Run
        As `simlab.open` returns them. Two or more are shown side by side, each of them once.
    path : Path
        The file to write; its folder is made. It appears whole or not at all.
    format : {"html", "pdf"}, optional
        As the file is called by default, in any case of its letters, and else HTML. PDF is printed by
        Chromium, which must be installed.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    AnalysisError
        For no run, one that is given twice, an unknown format or one that the file is not called by, a file
        that cannot be written, or PDF without Chromium. What was not recorded is no error: the page says so.

    Example
    -------
    >>> write_report(simlab.open("runs/quickstart-1"), "report.html")  # doctest: +SKIP
    PosixPath('report.html')
    """
    chosen = [runs] if not isinstance(runs, Iterable) else list(runs)
    if not chosen:
        raise AnalysisError("there is no run to report on; give one, or several to compare")
    _require_once(chosen)
    return _write(lambda: _one(chosen[0]) if len(chosen) == 1 else _several(chosen), Path(path), format)


def write_sweep_report(found: pd.DataFrame, path: Path | str, format: str | None = None) -> Path:
    """Write the report of a sweep: what its parameters and treatments do, with intervals.

    Parameters
    ----------
    found : DataFrame
        The runs, as `simlab.sweep` or `simlab.analysis.compare.read_sweep` returns them.
    path, format
        As for `write_report`.

    Raises
    ------
    AnalysisError
        As for `write_report`.
    """
    title = f"Sweep {found.attrs.get('name', Path(found.attrs['place']).name)}"

    def content() -> _Content:
        return _Content(title, found.attrs["place"], sweep_tiles(found), sweep_sections(found))

    return _write(content, Path(path), format)


def _write(make: Callable[[], _Content], target: Path, asked: str | None) -> Path:
    """Write a page, which appears whole or not at all."""
    format = _format(target, asked)
    page = _render(make())
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".simlab-report-", dir=target.parent) as folder:
            written = Path(folder) / "report.html"
            written.write_text(page, encoding="utf-8")
            if format == "pdf":
                written = to_pdf(written, Path(folder) / "report.pdf")
            os.replace(written, target)
    except OSError as error:
        raise AnalysisError(f"cannot write the report {target}: {error}; choose another path") from error
    return target


def _require_once(runs: Sequence[Run]) -> None:
    seen: set[Path] = set()
    for run in runs:
        if run.path.resolve() in seen:
            raise AnalysisError(
                f"{run.path} is given twice; a run beside itself tells nothing, so give each once"
            )
        seen.add(run.path.resolve())


def _format(target: Path, asked: str | None) -> str:
    """Return the format of the file: as asked, which must not contradict its name, or as it is called."""
    if asked not in (*_FORMATS, None):
        raise AnalysisError(f"there is no report format {asked!r}; choose {' or '.join(_FORMATS)}")
    suffix = target.suffix.lower().removeprefix(".")
    called = suffix if suffix in _FORMATS else None
    if asked and called and asked != called:
        raise AnalysisError(
            f"{target} is no name for a report in {asked}; call it .{asked}, or ask for {called}"
        )
    return asked or called or _FORMATS[0]


@dataclass(frozen=True)
class _Content:
    title: str
    subtitle: str
    tiles: list[Tile]
    sections: list[Section]


def _one(run: Run) -> _Content:
    reading = Reading(run)
    subtitle = str(reading.config.get("description") or "")
    return _Content(reading.name, subtitle, tiles(reading), run_sections(reading))


def _several(runs: list[Run]) -> _Content:
    readings = [Reading(run) for run in runs]
    title = f"Comparison of {len(runs)} runs"
    subtitle = ", ".join(labels(readings)[:6]) + (", ..." if len(runs) > 6 else "")
    return _Content(title, subtitle, comparison_tiles(readings), comparison_sections(readings))


def _render(content: _Content) -> str:
    jinja2 = library("jinja2")
    from simlab import __version__

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE), autoescape=True, undefined=jinja2.StrictUndefined
    )
    plotly, script = library("plotly.offline").get_plotlyjs(), (_HERE / "page.js").read_text(encoding="utf-8")
    return environment.get_template("page.html").render(
        title=content.title,
        subtitle=content.subtitle,
        tiles=content.tiles,
        sections=content.sections,
        style=(_HERE / "style.css").read_text(encoding="utf-8"),
        plotly=plotly,
        script=script,
        script_hashes=" ".join(f"'{_hash(text)}'" for text in (plotly, script)),
        version=__version__,
    )


def _hash(script: str) -> str:
    """Return the hash by which the page's own policy lets exactly this script run."""
    digest = hashlib.sha256(script.replace("\r\n", "\n").encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
