"""What `IndexStore` promises about files on disk, other processes, and upkeep."""

import json
import os
import pickle
import shutil
import subprocess
import sys
import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from lancedb.table import LanceTable

import code_index.tables.table_upkeep as upkeep_module
from code_index.core.errors import StoreError
from code_index.tables import IndexStore
from code_index.tables.lance_tables import LanceTables
from code_index.tables.retries import ATTEMPTS, TableUnreadableError, with_retries
from code_index.tables.schema_version import SCHEMA_VERSION
from code_index.tables.schemas import FILES
from indexing_assets.upkeep.compaction import compact_due
from tests.waiting import PATIENCE_S, started

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[2]


def chunk_rows(*ids, path="a"):
    return pa.table({"chunk_id": list(ids), "file_path": [path] * len(ids), "file_hash": ["h"] * len(ids)})


def file_rows(*paths):
    return pa.table({"file_path": list(paths), "file_hash": ["h"] * len(paths)})


def test_constructing_a_store_touches_nothing(store, tables_dir):
    assert not tables_dir.exists()
    assert store.upkeep.versions() == {}
    assert store.upkeep.disk_bytes() == {}


def test_a_second_store_sees_every_commit_at_once(store, tables_dir):
    other = IndexStore(tables_dir)
    for number in range(3):
        store.files.upsert(file_rows(f"f{number}"))
        assert other.files.read().num_rows == number + 1
    assert other.files.delete(["f0"]) == 1
    assert store.files.delete(["f0"]) == 0


def test_a_store_is_pickled_without_its_handles(store):
    store.files.upsert(file_rows("a"))
    copy = pickle.loads(pickle.dumps(store))
    assert copy.files.read(["file_path"]).to_pylist() == [{"file_path": "a"}]


def test_a_forked_process_is_told_to_spawn(store, monkeypatch):
    store.files.upsert(file_rows("a"))
    monkeypatch.setattr(os, "getpid", lambda: -1)
    with pytest.raises(StoreError, match="spawn or forkserver"):
        store.files.read()


def test_the_schema_version_stands_next_to_the_tables(store, tables_dir):
    store.files.upsert(file_rows("a"))
    assert json.loads((tables_dir / "schema_version.json").read_text()) == {"schema_version": SCHEMA_VERSION}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (json.dumps({"schema_version": SCHEMA_VERSION + 1}), f"have schema version {SCHEMA_VERSION + 1};.*Upgrade"),
        ("{", "is damaged"),
        ("[]", "is damaged"),
    ],
)
def test_tables_of_a_newer_or_unknown_version_are_refused(store, tables_dir, content, reason):
    store.files.upsert(file_rows("a"))
    (tables_dir / "schema_version.json").write_text(content)
    fresh = IndexStore(tables_dir)
    with pytest.raises(StoreError, match=reason):
        fresh.files.read()
    with pytest.raises(StoreError, match=reason):
        fresh.chunks.replace(["a"], chunk_rows("1"), now=NOW)


def test_tables_without_a_version_file_are_read(store, tables_dir):
    store.files.upsert(file_rows("a"))
    (tables_dir / "schema_version.json").unlink()
    assert IndexStore(tables_dir).files.read().num_rows == 1


def test_columns_that_another_process_adds_first_are_no_error(tables_dir, monkeypatch):
    tables = LanceTables(tables_dir)
    older = pa.schema([field for field in FILES if field.name != "reason"])
    tables.merge("files", older, file_rows("a"), keys=("file_path",))
    add = LanceTable.add_columns

    def lose_the_race(table, fields):
        add(table, fields)
        return add(table, fields)

    monkeypatch.setattr(LanceTable, "add_columns", lose_the_race)
    IndexStore(tables_dir).files.upsert(file_rows("b"))
    assert IndexStore(tables_dir).files.read(["reason"]).num_rows == 2


def test_columns_that_a_newer_code_knows_are_added_to_an_older_table(tables_dir):
    tables = LanceTables(tables_dir)
    older = pa.schema([field for field in FILES if field.name != "reason"])
    tables.merge("files", older, file_rows("a"), keys=("file_path",))
    store = IndexStore(tables_dir)
    assert store.files.read(["file_path", "reason"]).to_pylist() == [{"file_path": "a", "reason": None}]
    store.files.upsert(file_rows("b").append_column("reason", pa.array(["binary"])))
    found = {row["file_path"]: row["reason"] for row in store.files.read().to_pylist()}
    assert found == {"a": None, "b": "binary"}


@pytest.mark.parametrize(
    "damage",
    [
        lambda table: shutil.rmtree(table / "_versions"),
        lambda table: [path.unlink() for path in table.glob("data/*")],
        lambda table: [path.write_bytes(b"xx") for path in table.glob("_versions/*")],
        lambda table: [path.write_bytes(b"xx") for path in table.glob("data/*")],
    ],
    ids=["manifests gone", "data gone", "manifests garbage", "data garbage"],
)
@pytest.mark.parametrize("warm", [False, True], ids=["opened afterwards", "open before"])
def test_a_damaged_table_is_an_error_that_names_it_and_the_fix(store, tables_dir, damage, warm):
    store.files.upsert(file_rows("a"))
    if not warm:
        store = IndexStore(tables_dir)
    damage(tables_dir / "files.lance")
    with pytest.raises(StoreError, match=r"(?s)'files' in .*remove it and index again"):
        store.files.read()


def test_a_damaged_table_is_not_written_over(store, tables_dir):
    store.files.upsert(file_rows("a"))
    shutil.rmtree(tables_dir / "files.lance" / "_versions")
    with pytest.raises(TableUnreadableError):
        IndexStore(tables_dir).files.upsert(file_rows("b"))
    assert list((tables_dir / "files.lance" / "data").iterdir())


def test_a_table_that_was_removed_reads_as_empty_and_comes_back_with_a_write(store, tables_dir):
    store.files.upsert(file_rows("a"))
    shutil.rmtree(tables_dir / "files.lance")
    assert store.files.read().num_rows == 0
    store.files.upsert(file_rows("b"))
    assert store.files.read(["file_path"]).to_pylist() == [{"file_path": "b"}]


def test_a_table_that_was_exchanged_is_read_afresh(store, tables_dir, tmp_path):
    store.files.upsert(file_rows("a"))
    other = IndexStore(tmp_path / "other")
    other.files.upsert(file_rows("b", "c"))
    shutil.rmtree(tables_dir / "files.lance")
    shutil.copytree(tmp_path / "other" / "files.lance", tables_dir / "files.lance")
    assert store.files.read().num_rows == 2


def test_the_folder_of_a_killed_creation_is_no_table(store, tables_dir):
    (tables_dir / "files.lance" / "_transactions").mkdir(parents=True)
    assert store.files.read().num_rows == 0
    store.files.upsert(file_rows("a"))
    assert store.files.read().num_rows == 1


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
import pyarrow as pa
from code_index.tables import IndexStore

store = IndexStore(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for round in range(8):
    ids = [f"{round}-{number}" for number in range(20)]
    rows = pa.table({"chunk_id": ids, "file_path": [f"f{round}"] * 20, "file_hash": ["h"] * 20})
    store.chunks.replace([f"f{round}"], rows, now=datetime(2024, 5, 1, tzinfo=UTC))
    store.files.upsert(pa.table({"file_path": [f"f{round}", f"own-{sys.argv[2]}-{round}"], "file_hash": ["h", "h"]}))
"""


def test_processes_that_upsert_the_same_new_keys_at_once_leave_each_row_once(tables_dir):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    with ExitStack() as stack:
        writers = [
            stack.enter_context(started(sys.executable, "-c", WRITER, tables_dir, number, **pipes))
            for number in range(2)
        ]
        for writer in writers:
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            writer.stdin.write("go\n")
            writer.stdin.flush()
        for writer in writers:
            writer.communicate(timeout=PATIENCE_S)
    assert [writer.returncode for writer in writers] == [0, 0]
    store = IndexStore(tables_dir)
    ids = store.chunks.read(["chunk_id"]).column("chunk_id").to_pylist()
    assert sorted(ids) == sorted(f"{turn}-{number}" for turn in range(8) for number in range(20))
    paths = store.files.read(["file_path"]).column("file_path").to_pylist()
    assert len(paths) == len(set(paths)) == 8 + 2 * 8


def test_threads_share_a_store(store):
    failures = []

    def write(number):
        try:
            for turn in range(5):
                store.files.upsert(file_rows("shared", f"{number}-{turn}"))
                store.files.read()
        except StoreError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert store.files.read().num_rows == 1 + 3 * 5


@pytest.mark.parametrize("words", ["Retryable commit conflict for version 7", "Incompatible transaction: x"])
def test_lost_races_are_repeated_with_growing_waits_and_then_named(tmp_path, words):
    waits = []
    errors = [RuntimeError(f"lance error: {words}")] * 3

    def lose_thrice():
        if errors:
            raise errors.pop()
        return "done"

    assert with_retries(lose_thrice, table="chunks", directory=tmp_path, sleep=waits.append) == "done"
    assert len(waits) == 3
    assert all(0 <= wait <= 0.05 * 2**attempt for attempt, wait in enumerate(waits))

    def lose():
        raise RuntimeError("Too many concurrent writers")

    waits.clear()
    with pytest.raises(StoreError, match=f"changing table 'chunks' .* {ATTEMPTS} attempts"):
        with_retries(lose, table="chunks", directory=tmp_path, sleep=waits.append)
    assert len(waits) == ATTEMPTS - 1
    assert max(waits) <= 2


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (
            RuntimeError("lance error: Not found: x/data/1.lance, /root/.cargo/y.rs:1"),
            TableUnreadableError,
            "Not found",
        ),
        (OSError("No space left on device (os error 28)"), StoreError, "disk that holds"),
        (ValueError("Invalid input, Schema error: No field named x"), StoreError, "refused the request: Invalid"),
        (RuntimeError(""), StoreError, "RuntimeError"),
    ],
)
def test_other_errors_are_explained_at_once(tmp_path, error, kind, reason):
    def fail():
        raise error

    with pytest.raises(kind, match=reason) as caught:
        with_retries(fail, table="chunks", directory=tmp_path, sleep=lambda _wait: pytest.fail("waited"))
    assert ".cargo" not in str(caught.value)
    assert caught.value.__cause__ is error


def test_errors_that_are_not_lancedbs_pass_through(tmp_path):
    def fail():
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        with_retries(fail, table="chunks", directory=tmp_path)


def test_indexes_are_built_once_and_only_where_there_are_rows(store):
    assert store.upkeep.ensure_indexes() == []
    store.chunks.replace(["a"], chunk_rows("1"), now=NOW)
    names = ["chunks.function_name", "chunks.class_name", "chunks.chunk_type"]  # a search for a name looks it up
    assert store.upkeep.ensure_indexes() == ["chunks.chunk_id", "chunks.file_path", *names, "chunks.search_text"]
    assert store.upkeep.ensure_indexes() == []


def test_an_index_on_the_key_does_not_break_replacing_or_upserting(store, tables_dir):
    store.chunks.replace(["a"], chunk_rows("1", "2"), now=NOW)
    store.upkeep.ensure_indexes()
    other = IndexStore(tables_dir)
    for turn in (store, other, store):
        turn.chunks.replace(["a"], chunk_rows("2", "3"), now=NOW)
    assert sorted(store.chunks.read(["chunk_id"]).column("chunk_id").to_pylist()) == ["2", "3"]


def test_optimize_takes_new_rows_into_the_indexes_and_keeps_the_rows(store):
    store.chunks.replace(["a"], chunk_rows("1"), now=NOW)
    store.upkeep.ensure_indexes()
    for number in range(5):
        store.chunks.replace([f"f{number}"], chunk_rows(f"f{number}", path=f"f{number}"), now=NOW)
    assert store.upkeep.unindexed_rows("chunks", "search_text") == 5
    assert store.upkeep.unindexed_rows("chunks", "content") is None
    store.upkeep.optimize(timedelta(minutes=10))
    assert store.upkeep.unindexed_rows("chunks", "search_text") == 0
    assert store.chunks.read().num_rows == 6


def test_optimize_is_due_where_rows_are_outside_an_index_files_are_many_or_versions_are_old(store, monkeypatch):
    store.chunks.replace(["a"], chunk_rows("1"), now=NOW)
    store.files.upsert(file_rows("a"))
    store.upkeep.ensure_indexes()
    for number in range(4):
        store.chunks.replace([f"f{number}"], chunk_rows(f"f{number}", path=f"f{number}"), now=NOW)
    assert store.upkeep.due_for_optimize() == []
    monkeypatch.setattr(upkeep_module, "_ROWS_OUTSIDE_INDEX", 3)
    assert store.upkeep.due_for_optimize() == ["chunks"]
    store.upkeep.optimize(timedelta(minutes=10), tables=["chunks"])
    assert store.upkeep.due_for_optimize() == []
    monkeypatch.setattr(upkeep_module, "_SMALL_FILES", 0)
    assert store.upkeep.due_for_optimize() == ["chunks", "files"], "a file is more than none"
    monkeypatch.undo()
    for _ in range(12):
        store.files.upsert(file_rows("a"))
    assert store.upkeep.due_for_optimize() == [], "young versions may be in use"
    for path in (store.tables.path("files") / "_versions").iterdir():
        os.utime(path, (0, 0))
    assert store.upkeep.due_for_optimize() == ["files"]


def test_many_small_files_of_a_new_table_are_joined_before_its_indexes_are_built(store, monkeypatch):
    monkeypatch.setattr(upkeep_module, "_SMALL_FILES", 3)
    for number in range(5):
        store.chunks.replace([f"f{number}"], chunk_rows(f"f{number}", path=f"f{number}"), now=NOW)
    assert store.upkeep.due_before_indexes(["chunks", "files"]) == ["chunks"]
    compact_due(store, ["chunks"])
    indexes = store.tables.run("chunks", lambda table: list(table.list_indices()))
    folders = list((store.tables.path("chunks") / "_indices").iterdir())
    assert len(folders) == len(indexes), "an index was written twice"
    stats = store.tables.run("chunks", lambda table: table.stats())
    assert stats["fragment_stats"]["num_fragments"] == 1
    assert store.upkeep.due_before_indexes(["chunks"]) == []


def test_a_damaged_table_beside_those_that_are_asked_for_is_not_opened(store):
    store.chunks.replace(["a"], chunk_rows("1", "2"), now=NOW)
    store.tables.create("notes", pa.table({"note": ["mine"]}))
    shutil.rmtree(store.tables.path("notes") / "_versions")
    fresh = IndexStore(store.tables.where)
    assert fresh.upkeep.due_for_optimize(["chunks", "files"]) == []
    assert fresh.upkeep.holding_copies(["chunks", "files"]) == []
    with pytest.raises(StoreError, match="notes"):
        fresh.upkeep.due_for_optimize()


def test_copies_that_compaction_leaves_go_once_no_reader_can_need_them(store, monkeypatch):
    store.chunks.replace(["a"], chunk_rows(*map(str, range(2_000))), now=NOW)
    store.upkeep.ensure_indexes()
    for number in range(5):
        store.chunks.replace([f"f{number}"], chunk_rows(f"f{number}", path=f"f{number}"), now=NOW)
    store.upkeep.optimize(timedelta(minutes=10))
    assert store.upkeep.holding_copies() == [], "young versions may be in use"
    monkeypatch.setattr(
        upkeep_module, "MIN_RETENTION", timedelta(milliseconds=1)
    )  # as if each step came hours after the last
    assert store.upkeep.disk_bytes()["chunks"] > 1.5 * store.upkeep.live_bytes()["chunks"]
    turns = 0
    while holding := store.upkeep.holding_copies():
        assert holding == ["chunks"]
        store.upkeep.optimize(timedelta(milliseconds=1), tables=holding)
        turns += 1
        assert turns <= 3, "each turn leaves another copy"
    assert turns > 0
    assert store.upkeep.disk_bytes()["chunks"] < 1.5 * store.upkeep.live_bytes()["chunks"]
    assert store.chunks.read().num_rows == 2_005
    store.chunks.replace(["g"], chunk_rows("g", path="g"), now=NOW)
    store.chunks.replace(["h"], chunk_rows("h", path="h"), now=NOW)
    assert store.upkeep.holding_copies() == [], "nothing was compacted since"


def test_several_copies_go_although_there_is_something_to_compact(store, monkeypatch):
    store.chunks.replace(["a"], chunk_rows(*map(str, range(2_000))), now=NOW)
    store.upkeep.ensure_indexes()
    for number in range(5):  # a long phase: none of its versions is old enough to go
        store.chunks.replace([f"f{number}"], chunk_rows(f"f{number}", path=f"f{number}"), now=NOW)
        store.upkeep.optimize(timedelta(minutes=10))
    for number in range(3):
        store.chunks.replace([f"g{number}"], chunk_rows(f"g{number}", path=f"g{number}"), now=NOW)
    monkeypatch.setattr(upkeep_module, "MIN_RETENTION", timedelta(milliseconds=1))
    assert store.upkeep.copies_on_disk()
    for _ in range(4):
        store.upkeep.optimize(timedelta(milliseconds=1), tables=store.upkeep.holding_copies())
    assert not store.upkeep.copies_on_disk()
    assert store.chunks.read().num_rows == 2_008


def test_versions_that_may_be_in_use_are_never_removed(store):
    store.files.upsert(file_rows("a"))
    with pytest.raises(StoreError, match="Keep versions for 0:10:00 or more"):
        store.upkeep.optimize(timedelta(minutes=9))


def test_optimize_while_another_store_writes_loses_nothing(store, tables_dir):
    other = IndexStore(tables_dir)
    store.files.upsert(file_rows("a"))
    done = threading.Event()

    def write():
        for number in range(15):
            other.files.upsert(file_rows(f"f{number}"))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    while not done.is_set():
        store.upkeep.optimize(timedelta(minutes=10))
    writer.join()
    assert store.files.read().num_rows == 16


def test_sweeping_removes_old_leftovers_of_killed_writers_alone(store, tables_dir):
    store.files.upsert(file_rows("a"))
    leftovers = [tables_dir / "files.lance" / "data" / f".tmp{name}" for name in ("aaaaaa", "bbbbbb")]
    for path in leftovers:
        path.write_bytes(b"x")
    os.utime(leftovers[0], (1_000, 1_000))
    assert store.upkeep.sweep_leftovers(timedelta(hours=1)) == 1
    assert not leftovers[0].exists()
    assert leftovers[1].exists()
    assert store.files.read().num_rows == 1
