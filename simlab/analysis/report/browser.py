"""Print and picture pages with a headless Chromium, when one is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from simlab.errors import AnalysisError

__all__ = ["find_chromium", "screenshot", "to_pdf"]

_ENVIRONMENT = "CHROME"
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "microsoft-edge")
_TIMEOUT_S = 120
_SETTLE_MS = 20_000
"""Virtual time a page gets to draw itself; it passes as fast as the page works."""
_QUIET = (
    "--headless=new",
    "--disable-gpu",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)


def find_chromium() -> Path:
    """Return the browser: what the environment variable CHROME names, else the first one on the path.

    Raises
    ------
    AnalysisError
        When there is none, with how to get one.

    Example
    -------
    >>> find_chromium()  # doctest: +SKIP
    PosixPath('/usr/bin/chromium')
    """
    named = os.environ.get(_ENVIRONMENT)
    if named:
        found = shutil.which(named)
        if found is None:
            raise AnalysisError(
                f"the environment variable {_ENVIRONMENT} names {named!r}, which is no program; set it to "
                "the browser's file, or unset it"
            )
        return Path(found)
    for name in _NAMES:
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    raise AnalysisError(
        f"there is no Chromium to print with: none of {', '.join(_NAMES)} is on the path; install one "
        f"(on Debian: apt-get install chromium), set {_ENVIRONMENT} to its file, or write HTML and print it "
        "from any browser"
    )


def to_pdf(page: Path, pdf: Path) -> Path:
    """Print an HTML file to a PDF file, with the page's own print stylesheet.

    Parameters
    ----------
    page : Path
        An HTML file.
    pdf : Path
        Where to write; its folder is made, a file that is there is replaced.

    Raises
    ------
    AnalysisError
        When there is no browser, no such page, or the browser fails or takes longer than two minutes.

    Example
    -------
    >>> to_pdf(Path("report.html"), Path("report.pdf"))  # doctest: +SKIP
    """
    return _browse(page, pdf, [f"--print-to-pdf={pdf.resolve()}", "--no-pdf-header-footer"])


def screenshot(page: Path, png: Path, *, width: int, height: int) -> Path:
    """Picture the top of an HTML file in a window of this size, in pixels; errors are those of `to_pdf`.

    Example
    -------
    >>> screenshot(Path("report.html"), Path("report.png"), width=1440, height=900)  # doctest: +SKIP
    """
    return _browse(page, png, [f"--screenshot={png.resolve()}", f"--window-size={width},{height}"])


def _browse(page: Path, output: Path, task: list[str]) -> Path:
    browser = find_chromium()
    if not page.is_file():
        raise AnalysisError(f"there is no page {page} to show; write the report first")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.unlink(missing_ok=True)
    said = _run(browser, [*task, f"--virtual-time-budget={_SETTLE_MS}", page.resolve().as_uri()])
    if not output.is_file():
        raise AnalysisError(f"{browser} did not write {output}; it said: {said[-500:].strip() or 'nothing'}")
    return output


def _run(browser: Path, arguments: list[str]) -> str:
    """Run the browser with a profile of its own, which is thrown away, and return what it said."""
    sandbox = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []  # root has no sandbox
    with tempfile.TemporaryDirectory(prefix="simlab-browser-", ignore_cleanup_errors=True) as profile:
        command = [str(browser), *_QUIET, *sandbox, f"--user-data-dir={profile}", *arguments]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, errors="replace", timeout=_TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise AnalysisError(
                f"{browser} did not finish within {_TIMEOUT_S} s; write HTML and print it from a browser"
            ) from error
        except OSError as error:
            raise AnalysisError(
                f"{browser} cannot be started: {error}; set {_ENVIRONMENT} to a browser"
            ) from error
    if done.returncode != 0:
        raise AnalysisError(f"{browser} failed with code {done.returncode}: {done.stderr[-500:].strip()}")
    return done.stderr
