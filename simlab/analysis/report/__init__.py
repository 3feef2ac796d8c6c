"""Write a run, or several side by side, as one page that needs no network: HTML, or PDF where Chromium is.

Sections are built from tables, measures and figures of `simlab.analysis`; what was not recorded is said on
the page, with the key that records it.

Owns the page and the browser that prints it. May import every other room.
"""

from __future__ import annotations

from simlab.analysis.report.browser import screenshot
from simlab.analysis.report.build import write_report, write_sweep_report

__all__ = ["screenshot", "write_report", "write_sweep_report"]
