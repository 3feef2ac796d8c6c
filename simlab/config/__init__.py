"""The YAML schema, loading, and building a simulation from it.

Imports the kernel's specification, `agents`, `processes` and `market`, and nothing above.
"""

from simlab.config.build import build, validate
from simlab.config.load import ConfigLike, load, resolved
from simlab.config.models import ExperimentConfig
from simlab.config.schema import schema
from simlab.config.source import dump

__all__ = ["ConfigLike", "ExperimentConfig", "build", "dump", "load", "resolved", "schema", "validate"]
