"""Tables in a folder and at a store: what both owe beside rows."""

from __future__ import annotations

from datetime import timedelta

import pyarrow as pa
import pytest

from code_index.core.addresses import Bucket, parsed_address
from code_index.core.errors import StoreError
from code_index.tables import folder_at_store
from code_index.tables.folder_at_store import FolderAtStore
from code_index.tables.lance_tables import LanceTables
from code_index.tables.schema_version import SCHEMA_VERSION, VERSION_FILE, check_version, stored_version
from code_index.tables.table_folder import table_folder
from tests.object_store import ObjectStore

_SCHEMA = pa.schema([pa.field("key", pa.string(), nullable=False), pa.field("value", pa.int64())])
_ROWS = pa.table({"key": ["a", "b"], "value": [1, 2]}, schema=_SCHEMA)


@pytest.fixture
def tables(address: str) -> LanceTables:
    """An empty folder of tables of each kind."""
    return LanceTables(parsed_address(address))


@pytest.fixture
def at_store(object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty place at a store."""
    place = parsed_address(object_store.new_place(monkeypatch))
    assert isinstance(place, Bucket)
    return place


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
    table_folder(tables.where).write_record(VERSION_FILE, '{"schema_version": 99}')
    with pytest.raises(StoreError, match=f"The tables in {tables.where} have schema version 99"):
        check_version(tables.where)
    with pytest.raises(StoreError, match="schema version 99"):
        LanceTables(tables.where).open("notes")


def test_records_are_written_read_and_replaced_by_who_read_them(tables: LanceTables) -> None:
    here, there = table_folder(tables.where), table_folder(tables.where)
    assert here.record("note.json") is None
    here.replace_record("note.json", "a", instead_of=None)
    assert (there.record("note.json"), here.record("other.json")) == (b"a", None)
    there.replace_record("note.json", "b's", instead_of=b"a")
    there.replace_record("note.json", "c", instead_of=b"b's")
    assert here.record("note.json") == b"c"
    here.write_record("note.json", "whatever")
    here.write_record("other.json", "{}")
    assert (there.record("note.json"), there.record("other.json")) == (b"whatever", b"{}")
    assert tables.names() == []


@pytest.mark.parametrize("read_before", [None, b"a"])
def test_a_record_that_another_machine_replaced_is_not_written_over(at_store: Bucket, read_before: bytes) -> None:
    mine, others = table_folder(at_store), table_folder(at_store)
    others.write_record("models.json", "b")
    with pytest.raises(StoreError, match=r"Another machine wrote .*models\.json meanwhile"):
        mine.replace_record("models.json", "c", instead_of=read_before)
    assert mine.record("models.json") == b"b"
    mine.replace_record("models.json", "b", instead_of=read_before)  # a commit of ours whose answer was lost


def test_a_stamp_changes_at_once_in_the_process_that_writes(tables: LanceTables) -> None:
    here, there = table_folder(tables.where), table_folder(tables.where)
    before = here.stamp("models.json")
    there.write_record("models.json", "a")
    after = here.stamp("models.json")
    assert before is None
    assert after is not None
    there.write_record("models.json", "b")
    assert here.stamp("models.json") not in {before, after}


def test_old_versions_of_records_do_not_pile_up(at_store: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_at_store, "_OLD_RECORDS", timedelta(milliseconds=1))
    monkeypatch.setattr(folder_at_store, "_RECORD_VERSIONS", 8)
    records = FolderAtStore(at_store)
    for number in range(40):
        records.write_record("scan.json", str(number))
    assert records.record("scan.json") == b"39"
    assert len(records.ages_s("records")) < 12
