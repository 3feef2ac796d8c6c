"""Let pytest explain the assertions of the public suite as it explains those of a test module."""

import pytest

pytest.register_assert_rewrite("simlab.engine.conformance.rules", "simlab.engine.conformance.properties")
