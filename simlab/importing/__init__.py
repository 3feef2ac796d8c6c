"""Turn recorded order flow into message tables that can be replayed, and check a replay against the record.

Owns the layout of the tables, the importers and the comparison. Imports `core`, `errors` and, to check what
it made, an order book of `engine`; the libraries of the extra ``databento`` are loaded when a DBN file is
read.
"""

from simlab.importing.compare import compare_replay
from simlab.importing.databento import import_databento
from simlab.importing.general import from_frame, import_csv
from simlab.importing.lobster import import_lobster
from simlab.importing.table import (
    MESSAGE_SCHEMA,
    TRUTH_SCHEMA,
    read_halts,
    read_messages,
    read_truth,
    truth_path,
)

__all__ = [
    "MESSAGE_SCHEMA",
    "TRUTH_SCHEMA",
    "compare_replay",
    "from_frame",
    "import_csv",
    "import_databento",
    "import_lobster",
    "read_halts",
    "read_messages",
    "read_truth",
    "truth_path",
]
