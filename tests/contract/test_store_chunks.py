"""What `IndexStore` promises about files, chunks and errors."""

import itertools
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import code_index.tables.chunks as chunks_module
from code_index.core.errors import StoreError
from code_index.tables import IndexStore
from code_index.tables.schemas import CHUNKS, FILES
from code_index.tables.sql import equals
from tests.contract.rows import chunk_rows

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def file_rows(*paths, **columns):
    return pa.table({"file_path": list(paths), "file_hash": ["h"] * len(paths), **columns})


def ids(table):
    return sorted(table.column("chunk_id").to_pylist())


def test_reading_tables_that_were_never_written_gives_no_rows_of_the_right_schema(store, tmp_path):
    assert store.chunks.read().schema == CHUNKS
    assert store.files.read(columns=["status", "file_path"]).schema.names == ["status", "file_path"]
    assert store.chunks.read().num_rows == store.files.read().num_rows == store.errors.read().num_rows == 0
    assert store.files.counts() == {}
    assert list(store.chunks.iter_read()) == []
    assert not (tmp_path / "tables").exists()


def test_an_unknown_column_is_refused_by_name(store):
    with pytest.raises(StoreError, match="no column 'nope'"):
        store.chunks.read(columns=["nope"])


def test_replacing_a_slice_inserts_updates_and_deletes_in_one_version(store):
    store.chunks.replace(["a", "b"], chunk_rows(("1", "a"), ("2", "a"), ("3", "b")), now=NOW)
    before = store.upkeep.versions()["chunks"]
    store.chunks.replace(["a"], chunk_rows(("2", "a"), ("4", "a")), now=LATER)
    assert store.upkeep.versions()["chunks"] == before + 1
    written = {row["chunk_id"]: row["updated_at"] for row in store.chunks.read().to_pylist()}
    assert written == {"2": LATER, "3": NOW, "4": LATER}


def test_an_empty_table_clears_the_slice_and_nothing_else(store):
    store.chunks.replace(["a", "b"], chunk_rows(("1", "a"), ("2", "b")), now=NOW)
    store.chunks.replace(["a"], chunk_rows(), now=NOW)
    assert ids(store.chunks.read()) == ["2"]


def test_no_files_write_nothing(store):
    store.chunks.replace([], chunk_rows(), now=NOW)
    assert store.upkeep.versions() == {}


def test_kept_rows_keep_their_creation_and_batch_and_use_up_no_numbers(store):
    numbers = itertools.count(7)
    asked = []

    def assign(count):
        asked.append(count)
        return [next(numbers) for _ in range(count)]

    store.chunks.replace(["a"], chunk_rows(("1", "a"), ("2", "a")), now=NOW, assign_batch=assign)
    store.chunks.replace(["a"], chunk_rows(("3", "a"), ("2", "a"), ("4", "a")), now=LATER, assign_batch=assign)
    assert asked == [2, 2]
    rows = {row["chunk_id"]: row for row in store.chunks.read().to_pylist()}
    assert {key: row["embedding_batch_id"] for key, row in rows.items()} == {"3": 9, "2": 8, "4": 10}
    assert (rows["2"]["created_at"], rows["2"]["updated_at"]) == (NOW, LATER)
    assert (rows["3"]["created_at"], rows["3"]["updated_at"]) == (LATER, LATER)


def test_a_slice_without_new_rows_asks_for_no_batch(store):
    rows = chunk_rows(("1", "a"))
    store.chunks.replace(["a"], rows, now=NOW, assign_batch=lambda count: [0] * count)

    def fail(_count):
        raise AssertionError("asked for a batch")

    store.chunks.replace(["a"], rows, now=NOW, assign_batch=fail)
    assert store.chunks.max_batch_id() == 0


def test_too_few_batch_ids_are_refused_before_anything_is_written(store):
    with pytest.raises(StoreError, match="gave 1 batch ids for 2 chunks"):
        store.chunks.replace(["a"], chunk_rows(("1", "a"), ("2", "a")), now=NOW, assign_batch=lambda _count: [0])
    assert store.chunks.read().num_rows == 0


def test_a_chunk_id_twice_in_the_source_is_refused_by_name(store):
    with pytest.raises(StoreError, match=r"1 keys more than once: 1\."):
        store.chunks.replace(["a"], chunk_rows(("1", "a"), ("1", "a")), now=NOW)
    assert store.chunks.read().num_rows == 0


def test_chunks_of_a_file_outside_the_slice_are_refused_by_name(store):
    with pytest.raises(StoreError, match=r"1 files outside the slice.*: b"):
        store.chunks.replace(["a"], chunk_rows(("1", "a"), ("2", "b")), now=NOW)
    assert store.chunks.read().num_rows == 0


def test_a_time_without_zone_is_refused(store):
    with pytest.raises(ValueError, match="has no time zone"):
        store.chunks.replace(["a"], chunk_rows(("1", "a")), now=datetime(2024, 5, 1))  # noqa: DTZ001


def test_unknown_columns_and_wrong_types_are_refused_by_name(store):
    with pytest.raises(StoreError, match="'chunks' has no column 'extra'"):
        store.chunks.replace(["a"], chunk_rows(("1", "a"), extra=["x"]), now=NOW)
    with pytest.raises(StoreError, match="'start_line'"):
        store.chunks.replace(["a"], chunk_rows(("1", "a"), start_line=["one"]), now=NOW)


def test_null_keys_are_refused(store):
    with pytest.raises(StoreError, match=r"Key column 'file_hash' .* 1 nulls"):
        store.files.upsert(pa.table({"file_path": ["a"], "file_hash": pa.array([None], pa.string())}))
    with pytest.raises(StoreError, match="lack the key column 'file_hash'"):
        store.files.upsert(pa.table({"file_path": ["a"]}))


PATHS = ["src/a.py", "it's.py", 'say "hi".py', "new\nline", "100%_[x]\\.py"]


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sets(st.sampled_from(PATHS), min_size=1),
            st.lists(st.tuples(st.integers(0, 3), st.sampled_from(PATHS)), unique=True, max_size=8),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_any_sequence_of_replacements_equals_a_dict_of_files(tmp_path_factory, steps):
    store = IndexStore(tmp_path_factory.mktemp("tables"))
    model = {}
    for slice_paths, chunks in steps:
        pairs = [(f"{path}#{number}", path) for number, path in chunks if path in slice_paths]
        store.chunks.replace(sorted(slice_paths), chunk_rows(*pairs), now=NOW, assign_batch=lambda count: [1] * count)
        model.update({path: {chunk_id for chunk_id, of in pairs if of == path} for path in slice_paths})
    for path, expected in model.items():
        assert set(ids(store.chunks.read(["chunk_id"], equals("file_path", path)))) == expected
    assert store.chunks.read(["chunk_id"]).num_rows == sum(map(len, model.values()))


def test_all_columns_survive_the_round_trip(store):
    full = {
        "chunk_id": "1",
        "file_path": "a",
        "file_hash": "h",
        "start_line": 3,
        "end_line": 4,
        "content": "def f(): ...\n",
        "imports": ["os", "it's"],
        "child_chunk_ids": [],
        "parameters": [{"name": "x", "type": None, "default": "'1'"}],
        "type_annotations": [{"name": "return", "type": "int"}],
        "decorators": None,
        "complexity_score": 1.5,
        "embedding_batch_id": 12,
        "created_at": NOW,
        "updated_at": NOW,
    }
    row = {name: full.get(name) for name in CHUNKS.names}
    store.chunks.replace(["a"], pa.Table.from_pylist([row], schema=CHUNKS), now=NOW)
    assert store.chunks.read().to_pylist() == [row]
    assert store.chunks.read().schema == CHUNKS


def test_thousands_of_files_are_one_slice(store):
    paths = [f"src/file'{number}.py" for number in range(5_000)]
    rows = chunk_rows(*((f"{path}#", path) for path in paths))
    store.chunks.replace(paths, rows, now=NOW)
    assert store.chunks.count() == 5_000
    store.chunks.replace(paths, rows.slice(0, 10), now=NOW)
    assert store.chunks.count() == 10


def test_chunks_by_ids_come_in_the_order_asked_for_and_absent_ones_are_left_out(store):
    store.chunks.replace(["a"], chunk_rows(("1", "a"), ("2", "a"), ("3", "a")), now=NOW)
    found = store.chunks.by_ids(["3", "nope", "1"], ["chunk_id", "file_path"])
    assert found.to_pylist() == [{"chunk_id": "3", "file_path": "a"}, {"chunk_id": "1", "file_path": "a"}]
    assert store.chunks.by_ids([], ["file_path"]).num_rows == 0


def test_more_ids_than_fit_a_condition_are_found_in_order_too(store, monkeypatch):
    monkeypatch.setattr(chunks_module, "_LONGEST_CONDITION", 2)
    store.chunks.replace(["a"], chunk_rows(("1", "a"), ("2", "a"), ("3", "a")), now=NOW)
    found = store.chunks.by_ids(["3", "nope", "1", "2"], ["file_path", "chunk_id"])
    assert found.column("chunk_id").to_pylist() == ["3", "1", "2"]
    assert found.schema.names == ["file_path", "chunk_id"]


def test_chunks_of_batches_come_by_batch_then_place(store):
    batches = iter([[2, 1, 1]])
    rows = chunk_rows(("x", "b"), ("y", "b"), ("z", "a"))
    store.chunks.replace(["a", "b"], rows, now=NOW, assign_batch=lambda _count: next(batches))
    assert store.chunks.of_batches([1, 2, 9], ["chunk_id"]).column("chunk_id").to_pylist() == ["z", "y", "x"]
    assert store.chunks.of_batches([], ["chunk_id"]).num_rows == 0


def test_streamed_chunks_are_all_chunks_in_batches_of_the_size_asked_for(store):
    rows = chunk_rows(*((str(number), "a") for number in range(100)))
    store.chunks.replace(["a"], rows, now=NOW)
    batches = list(store.chunks.iter_read(["chunk_id"], batch_size=30))
    assert max(batch.num_rows for batch in batches) <= 30
    assert sorted(i for b in batches for i in b.column("chunk_id").to_pylist()) == sorted(map(str, range(100)))


def test_deleting_by_file_removes_the_chunks_and_their_errors(store):
    store.chunks.replace(["a", "it's"], chunk_rows(("1", "a"), ("2", "it's")), now=NOW)
    store.errors.record(error_rows("1", "2"))
    assert store.chunks.delete_by_file(["it's", "nope"]) == 1
    assert ids(store.chunks.read()) == ids(store.errors.read()) == ["1"]


def error_rows(*chunk_ids, model="m", **columns):
    count = len(chunk_ids)
    return pa.table(
        {
            "chunk_id": pa.array(chunk_ids, pa.string()),
            "embedding_model": pa.array([model] * count, pa.string()),
            "error_message": pa.array(["boom"] * count, pa.string()),
            "failed_at": pa.array([NOW] * count, pa.timestamp("us", tz="UTC")),
            **columns,
        }
    )


def test_repeated_errors_count_their_attempts_per_model(store):
    store.errors.record(error_rows("1", "2"))
    store.errors.record(error_rows("1"))
    store.errors.record(error_rows("1", model="other"))
    store.errors.record(error_rows("2", attempts=pa.array([3], pa.int32())))
    found = {(row["chunk_id"], row["embedding_model"]): row["attempts"] for row in store.errors.read().to_pylist()}
    assert found == {("1", "m"): 2, ("2", "m"): 4, ("1", "other"): 1}
    assert store.errors.read("other").num_rows == 1


def test_recording_no_errors_writes_nothing(store):
    store.errors.record(error_rows())
    assert store.upkeep.versions() == {}


def test_chunks_are_counted(store):
    assert store.chunks.count() == 0
    store.chunks.replace(["a"], chunk_rows(("1", "a"), ("2", "a")), now=NOW)
    assert store.chunks.count() == 2


def test_errors_are_cleared_by_chunk_by_model_or_all(store):
    for model in ("m", "other"):
        store.errors.record(error_rows("1", "2", "3", model=model))
    assert store.errors.clear(["1"], "m") == 1
    assert store.errors.clear(["2"]) == 2
    assert store.errors.clear(model="other") == 2
    assert store.errors.clear() == 1
    assert store.errors.clear(["1"]) == 0


def test_errors_go_with_the_chunks_that_a_replacement_removes(store):
    store.chunks.replace(["a"], chunk_rows(("1", "a"), ("2", "a")), now=NOW)
    store.errors.record(error_rows("1", "2"))
    store.chunks.replace(["a"], chunk_rows(("2", "a")), now=NOW)
    assert ids(store.errors.read()) == ["2"]


def test_files_are_upserted_counted_filtered_and_deleted(store):
    store.files.upsert(file_rows("a", "b", "it's", status=["parsed", "pending", "pending"]))
    store.files.upsert(file_rows("b", "c", status=["error", "skipped"]))
    assert store.files.counts() == {"parsed": 1, "error": 1, "pending": 1, "skipped": 1}
    assert store.files.read(["file_path"], "status = 'error'").to_pylist() == [{"file_path": "b"}]
    assert store.files.delete(["it's", "nope"]) == 1
    assert store.files.delete([]) == 0
    assert store.files.read().schema == FILES
    with pytest.raises(StoreError, match="more than once: a"):
        store.files.upsert(file_rows("a", "a"))


def test_a_condition_that_cannot_be_read_is_refused_with_the_reason(store):
    store.files.upsert(file_rows("a"))
    with pytest.raises(StoreError, match=r"Table 'files' in .* refused the request: .*nope"):
        store.files.read(where="nope = 1")
