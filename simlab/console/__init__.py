"""What a terminal shows: how far a run is, its summary, strategies, and what an analysis found.

Everything here turns data into something for `rich` to print; nothing is computed. It may import `kernel` and
what lies below; not `config`, its neighbour, and nothing above.
"""

from simlab.console.progress import Progress, SilentProgress, TerminalProgress
from simlab.console.summary import summary_tables

__all__ = ["Progress", "SilentProgress", "TerminalProgress", "summary_tables"]
