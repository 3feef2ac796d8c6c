import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from recorded_events import one_of_each

from simlab.core.types import EventKind, Reason
from simlab.recording import TABLES, RunWriter


def test_recording_has_these_tables():
    expected = "messages trades quotes depth accounts news customer_orders seats decisions agents instruments"
    assert list(TABLES) == expected.split()


@pytest.mark.parametrize("table", TABLES.values(), ids=str)
def test_every_column_has_a_unit_and_a_description(table):
    for column, field in zip(table.columns, table.schema, strict=True):
        assert field.metadata == {b"unit": column.unit.encode(), b"description": column.description.encode()}
        assert column.unit
        assert column.description
        assert bool(column.categories) == (column.dtype == "category")


def test_every_event_kind_and_reason_has_a_category():
    assert len(TABLES["messages"].column("event").categories) == len(EventKind) - 1
    assert len(TABLES["messages"].column("reason").categories) == len(Reason)


def test_units_and_descriptions_are_in_the_files(tmp_path):
    with RunWriter(tmp_path / "run", config={}) as writer:
        writer.events(one_of_each())
    schema = pq.read_schema(tmp_path / "run" / "trades" / "part-00000.parquet")
    assert schema.field("price").metadata[b"unit"] == b"price units"
    assert b"resting" in schema.field("price").metadata[b"description"]
    assert json.loads(schema.metadata[b"units"])["quantity"] == "lots"
    assert schema.field("price").type == pa.int64()
    assert not schema.field("price").nullable


def test_importing_the_package_loads_neither_pandas_nor_pyarrow():
    code = "import sys, simlab.recording; print(sorted({'pandas', 'pyarrow', 'duckdb'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
