"""Tables in a folder and at a store: what both owe beside rows."""

from __future__ import annotations

import pyarrow as pa
import pytest

from code_index.core.addresses import Bucket, parsed_address
from code_index.core.errors import StoreError
from code_index.tables.lance_tables import LanceTables
from code_index.tables.schema_version import SCHEMA_VERSION, VERSION_FILE, check_version, stored_version
from code_index.tables.table_folder import table_folder

_SCHEMA = pa.schema([pa.field("key", pa.string(), nullable=False), pa.field("value", pa.int64())])
_ROWS = pa.table({"key": ["a", "b"], "value": [1, 2]}, schema=_SCHEMA)


@pytest.fixture
def tables(address: str) -> LanceTables:
    """An empty folder of tables of each kind."""
    return LanceTables(parsed_address(address))


def _merge(tables: LanceTables, name: str = "notes") -> None:
    tables.merge(name, _SCHEMA, _ROWS, keys=["key"])


def test_a_table_that_was_never_written_is_none(tables: LanceTables) -> None:
    assert tables.open("notes") is None
    assert (tables.names(), tables.count("notes"), tables.version("notes")) == ([], 0, 0)
    assert (tables.disk_bytes("notes"), tables.ages_of_versions_s("notes")) == (0, [])


def test_tables_are_written_read_named_measured_and_dropped(tables: LanceTables) -> None:
    _merge(tables)
    _merge(tables)
    _merge(tables, "others")
    other = LanceTables(tables.where)
    assert other.names() == ["notes", "others"]
    assert other.read("notes", _SCHEMA).sort_by("key") == _ROWS
    assert [batch.num_rows for batch in other.iter_read("notes", _SCHEMA, batch_size=1)] == [1, 1]
    assert other.delete("notes", "key = 'a'") == 1
    assert tables.count("notes") == 1, "a handle sees the commits of others"
    assert other.disk_bytes("notes") > other.disk_bytes("others") > 0
    ages = other.ages_of_versions_s("notes")
    assert len(ages) == other.version("notes")
    assert all(-5 < age < 600 for age in ages)
    other.drop("notes")
    other.drop("notes")
    assert LanceTables(tables.where).names() == ["others"]


def test_the_version_stands_beside_the_tables_and_a_newer_one_is_refused(tables: LanceTables) -> None:
    assert stored_version(tables.where) is None
    _merge(tables)
    assert stored_version(tables.where) == SCHEMA_VERSION
    table_folder(tables.where).write(VERSION_FILE, '{"schema_version": 99}')
    with pytest.raises(StoreError, match=f"The tables in {tables.where} have schema version 99"):
        check_version(tables.where)
    with pytest.raises(StoreError, match="schema version 99"):
        LanceTables(tables.where).open("notes")


def test_tables_at_a_store_have_no_folder_of_this_machine() -> None:
    with pytest.raises(StoreError, match="s3://bucket/a is no folder of this machine"):
        assert LanceTables(Bucket("bucket", "a")).directory
