"""What `IndexStore` promises about vectors and the status that follows from them."""

import uuid
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import code_index.tables.vector_sync as sync_module
from code_index.core.errors import StoreError
from code_index.tables import IndexStore
from code_index.tables.lance_tables import LanceTables
from tests.contract import rows
from tests.contract.rows import chunk_rows

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
DIMENSION = 4
MODEL = "mini@1"
unit_rows = partial(rows.unit_rows, dimension=DIMENSION)


def vector_column(values):
    values = np.asarray(values, dtype=np.float32)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def vector_rows(*chunk_ids, values=None, model=MODEL, **columns):
    return pa.table(
        {
            "chunk_id": list(chunk_ids),
            "vector": vector_column(unit_rows(len(chunk_ids)) if values is None else values),
            "text_hash": [f"t{chunk_id}" for chunk_id in chunk_ids],
            "embedding_model": [model] * len(chunk_ids),
            "embedded_at": [NOW] * len(chunk_ids),
            **columns,
        }
    )


def error_rows(*chunk_ids, model=MODEL):
    return pa.table({"chunk_id": list(chunk_ids), "embedding_model": [model] * len(chunk_ids)})


def one_batch(number=0):
    return lambda count: [number] * count


def test_vectors_come_back_bit_by_bit(store):
    values = unit_rows(3)
    store.vectors.add(vector_rows("1", "2", "3", values=values))
    found = store.vectors.read().sort_by("chunk_id")
    assert np.array_equal(np.array(found.column("vector").to_pylist(), np.float32), values)
    assert found.column("embedded_at").to_pylist() == [NOW] * 3
    assert store.vectors.dimension() == DIMENSION


def test_adding_a_vector_again_overwrites_it(store):
    store.vectors.add(vector_rows("1", "2"))
    store.vectors.add(vector_rows("1", values=[[1, 0, 0, 0]], model="other"))
    assert store.vectors.counts() == {MODEL: 1, "other": 1}
    assert store.vectors.count() == 2
    assert store.vectors.count("other") == 1


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([[float("nan"), 0, 0, 0]], "1 vectors are not finite or not of unit norm: 1 .norm nan"),
        ([[float("inf"), 0, 0, 0]], "not finite"),
        ([[0, 0, 0, 0]], "norm 0"),
        ([[1.01, 0, 0, 0]], "norm 1.01"),
    ],
)
def test_vectors_that_are_not_finite_or_not_of_unit_norm_are_refused(store, values, reason):
    with pytest.raises(StoreError, match=reason):
        store.vectors.add(vector_rows("1", values=values))
    assert store.vectors.count() == 0


def test_the_rounding_of_half_precision_is_tolerated(store):
    halved = unit_rows(50).astype(np.float16).astype(np.float32)
    store.vectors.add(vector_rows(*map(str, range(50)), values=halved))
    assert store.vectors.count() == 50


def test_another_dimension_is_refused_with_both(store):
    store.vectors.add(vector_rows("1"))
    with pytest.raises(StoreError, match="of 4 dimensions, the model gives 8"):
        store.vectors.add(vector_rows("1", values=unit_rows(1, dimension=8)))


def test_dropping_the_vectors_makes_room_for_another_dimension(store):
    store.vectors.add(vector_rows("1", "2"))
    store.vectors.retire(now=NOW, chunk_ids=["1"])
    store.vectors.drop()
    store.vectors.add(vector_rows("1", values=unit_rows(1, dimension=8)))
    assert store.vectors.dimension() == 8


@pytest.mark.parametrize("column", ["text_hash", "embedding_model"])
def test_vectors_without_identity_of_text_or_model_are_refused(store, column):
    with pytest.raises(StoreError, match=f"need '{column}'"):
        store.vectors.add(vector_rows("1").drop_columns([column]))


def test_duplicate_ids_and_missing_or_ragged_vectors_are_refused(store):
    with pytest.raises(StoreError, match="more than once: 1"):
        store.vectors.add(vector_rows("1", "1"))
    with pytest.raises(StoreError, match="lack the column 'vector'"):
        store.vectors.add(vector_rows("1").drop_columns(["vector"]))
    absent = pa.array([None], pa.list_(pa.float32(), DIMENSION))
    with pytest.raises(StoreError, match="1 rows for table 'vectors' have no vector"):
        store.vectors.add(vector_rows("1").set_column(1, "vector", absent))
    holes = pa.array([[1, 0, 0, None]], pa.list_(pa.float32(), DIMENSION))
    with pytest.raises(StoreError, match="hold 1 nulls"):
        store.vectors.add(vector_rows("1").set_column(1, "vector", holes))
    ragged = vector_rows("1").set_column(1, "vector", pa.array([[1.0, 0.0]]))
    with pytest.raises(StoreError, match="fixed-size list"):
        store.vectors.add(ragged)


def test_a_text_is_found_by_hash_and_model_in_use_or_retired(store):
    values = unit_rows(3)
    store.vectors.add(vector_rows("1", "2", "3", values=values))
    assert store.vectors.retire(now=NOW, chunk_ids=["2"]) == 1
    found = {
        row["text_hash"]: row["vector"] for row in store.vectors.by_text_hash(["t1", "t2", "nope"], MODEL).to_pylist()
    }
    assert set(found) == {"t1", "t2"}
    assert np.allclose(found["t1"], values[0], atol=0)
    assert np.allclose(found["t2"], values[1], atol=0)
    assert store.vectors.by_text_hash(["t1", "t2"], "other").num_rows == 0
    assert store.vectors.by_text_hash([], MODEL).num_rows == 0


def test_a_text_that_many_chunks_share_is_found_once(store):
    rows = vector_rows("1", "2", values=[[1, 0, 0, 0]] * 2).set_column(2, "text_hash", pa.array(["same", "same"]))
    store.vectors.add(rows)
    assert store.vectors.by_text_hash(["same"], MODEL).num_rows == 1
    assert store.vectors.retire(now=NOW, model=MODEL) == 2
    assert store.vectors.by_text_hash(["same"], MODEL).num_rows == 1


def test_a_run_reads_once_which_texts_have_vectors_and_knows_those_of_its_own_and_of_others(store, monkeypatch):
    store.vectors.add(vector_rows("1"))
    reads = []
    read = LanceTables.read

    def counted(self, name, schema, *, columns=None, **more):
        reads.append(columns)
        return read(self, name, schema, columns=columns, **more)

    monkeypatch.setattr(LanceTables, "read", counted)
    texts = ["t1", "t2", "t3"]

    def found():
        return sorted(store.vectors.by_text_hash(texts, MODEL).column("text_hash").to_pylist())

    assert found() == ["t1"]
    store.vectors.add(vector_rows("2"))
    assert found() == ["t1", "t2"]
    assert reads.count(["text_hash"]) == 1
    IndexStore(store.tables.where).vectors.add(vector_rows("3"))
    assert found() == ["t1", "t2", "t3"]
    assert reads.count(["text_hash"]) == 2


def test_retired_vectors_are_forgotten_by_age(store):
    store.vectors.add(vector_rows("1", "2"))
    store.vectors.retire(now=NOW, chunk_ids=["1"])
    store.vectors.retire(now=LATER, chunk_ids=["2"])
    assert store.vectors.forget_retired(before=NOW) == 0
    assert store.vectors.forget_retired(before=LATER) == 1
    assert store.vectors.by_text_hash(["t1", "t2"], MODEL).column("text_hash").to_pylist() == ["t2"]


def test_sync_retires_vectors_whose_chunk_is_gone(store):
    store.chunks.replace(["a", "b"], chunk_rows(("1", "a"), ("2", "b")), now=NOW)
    store.vectors.add(vector_rows("1", "2", file_path=["a", "b"]))
    store.chunks.replace(["a"], chunk_rows(), now=NOW)
    assert store.sync.vectors(["b"], now=NOW) == 0
    assert store.sync.vectors(["a"], now=NOW) == 1
    assert store.vectors.read(["chunk_id"]).column("chunk_id").to_pylist() == ["2"]
    assert store.vectors.by_text_hash(["t1"], MODEL).num_rows == 1


@pytest.mark.parametrize("file_paths", [None, ["a"]], ids=["whole table", "one file"])
def test_sync_carries_lines_and_names_over_and_leaves_the_vector_alone(store, file_paths):
    names = {"function_name": ["f"], "language": ["python"], "start_line": pa.array([10], pa.int32())}
    store.chunks.replace(["a"], chunk_rows(("1", "a"), **names), now=NOW)
    values = unit_rows(1)
    store.vectors.add(vector_rows("1", values=values, file_path=["a"]))
    assert store.sync.vectors(file_paths, now=LATER) == 0
    (row,) = store.vectors.read().to_pylist()
    assert (row["function_name"], row["language"], row["start_line"], row["class_name"]) == ("f", "python", 10, None)
    assert np.array_equal(np.array(row["vector"], np.float32), values[0])
    assert (row["embedded_at"], row["text_hash"]) == (NOW, "t1")


def test_sync_writes_nothing_when_nothing_differs(store):
    store.chunks.replace(["a"], chunk_rows(("1", "a")), now=NOW)
    store.vectors.add(vector_rows("1"))
    store.sync.vectors(now=NOW)
    before = store.upkeep.versions()
    assert store.sync.vectors(now=NOW) == store.sync.vectors(["a"], now=NOW) == 0
    assert store.upkeep.versions() == before


def test_more_files_than_fit_a_condition_are_synchronized_too(store, monkeypatch):
    monkeypatch.setattr(sync_module, "_MANY_FILES", 1)
    store.chunks.replace(["b"], chunk_rows(("2", "b")), now=NOW)
    store.vectors.add(vector_rows("1", "2", file_path=["a", "b"]))
    assert store.sync.vectors(["a", "b"], now=NOW) == 1
    assert store.sync.vectors([], now=NOW) == 0


def test_sync_without_vectors_does_nothing(store):
    store.chunks.replace(["a"], chunk_rows(("1", "a")), now=NOW)
    assert store.sync.vectors(now=NOW) == 0
    assert "vectors" not in store.upkeep.versions()


def test_sync_of_the_whole_table_removes_errors_without_a_chunk(store):
    store.chunks.replace(["a"], chunk_rows(("1", "a")), now=NOW)
    store.vectors.add(vector_rows("1"))
    store.errors.record(error_rows("1", "gone"))
    store.sync.vectors(now=NOW)
    assert store.errors.read().column("chunk_id").to_pylist() == ["1"]


@settings(max_examples=20, deadline=None)
@given(
    chunks=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 3)),
    vectors=st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 3), min_size=1),
    whole=st.booleans(),
)
def test_after_any_drift_one_sync_makes_vectors_a_copy_of_chunks(tmp_path_factory, chunks, vectors, whole):
    store = IndexStore(tmp_path_factory.mktemp("tables"))
    lines = pa.array(list(chunks.values()), pa.int32())
    store.chunks.replace(["f"], chunk_rows(*((key, "f") for key in chunks), start_line=lines), now=NOW)
    copied = {"start_line": pa.array(list(vectors.values()), pa.int32()), "file_path": ["f"] * len(vectors)}
    store.vectors.add(vector_rows(*vectors, **copied))
    retired = store.sync.vectors(None if whole else ["f"], now=NOW)
    kept = {key: line for key, line in chunks.items() if key in vectors}
    found = store.vectors.read(["chunk_id", "start_line"]).to_pylist()
    assert {row["chunk_id"]: row["start_line"] for row in found} == kept
    assert len(found) == len(kept)
    assert retired == len(vectors.keys() - chunks.keys())
    assert store.vectors.by_text_hash([f"t{key}" for key in vectors], MODEL).num_rows == len(vectors)


def test_deleting_vectors_is_for_good(store):
    store.vectors.add(vector_rows("1", "2"))
    assert store.vectors.delete(["2", "nope"]) == 1
    assert store.vectors.by_text_hash(["t2"], MODEL).num_rows == 0


@pytest.fixture
def mixed(store):
    """Batches 0 (a: 1 complete, 2 failed), 1 (b: 3 complete after an error, 4 pending), 2 (c: 5 complete)."""
    for batch, (path, pair) in enumerate([("a", ("1", "2")), ("b", ("3", "4")), ("c", ("5",))]):
        rows = chunk_rows(*((chunk_id, path) for chunk_id in pair))
        store.chunks.replace([path], rows, now=NOW, assign_batch=one_batch(batch))
    store.errors.record(error_rows("2", "3"))
    store.vectors.add(vector_rows("1", "3", "5"))
    return store


def test_status_follows_from_the_tables(mixed):
    found = mixed.statuses.read(MODEL)
    assert dict(found.select("chunk_id", "embedding_status").iter_rows()) == {
        "1": "complete",
        "2": "error",
        "3": "complete",
        "4": "pending",
        "5": "complete",
    }
    assert found.columns == ["chunk_id", "file_path", "embedding_batch_id", "embedding_status"]
    assert mixed.statuses.count(MODEL) == {"pending": 1, "in_progress": 0, "complete": 3, "error": 1}


def test_a_running_batch_is_in_progress_where_nothing_else_is_known(mixed):
    assert mixed.statuses.count(MODEL, [0, 1]) == {"pending": 0, "in_progress": 1, "complete": 3, "error": 1}


def test_another_model_has_everything_pending(mixed):
    assert mixed.statuses.count("other") == {"pending": 5, "in_progress": 0, "complete": 0, "error": 0}
    assert IndexStore(mixed.tables.where / "none").statuses.count(MODEL)["pending"] == 0


def test_pending_batches_are_those_not_wholly_complete(mixed):
    assert mixed.statuses.pending_batches(MODEL).to_pylist() == [
        {"embedding_batch_id": 0, "pending": 0, "errors": 1, "complete": 1},
        {"embedding_batch_id": 1, "pending": 1, "errors": 0, "complete": 1},
    ]


def test_batches_count_their_chunks(mixed):
    assert mixed.statuses.batches().to_pylist() == [
        {"embedding_batch_id": 0, "chunks": 2},
        {"embedding_batch_id": 1, "chunks": 2},
        {"embedding_batch_id": 2, "chunks": 1},
    ]
    assert mixed.statuses.batches(MODEL).column("chunks").to_pylist() == [2, 2, 1]
    assert mixed.chunks.max_batch_id() == 2
    assert mixed.statuses.read(MODEL, columns=["language"]).schema["language"] == pl.String


def reopened(store):
    """The same tables at another path, of which this process knows nothing: every look is at all rows."""
    link = store.tables.where.with_name(f"again-{uuid.uuid4().hex}")
    link.symlink_to(store.tables.where)
    return IndexStore(link)


_COMMITS = {
    "replace": lambda store, path, ids, batch: store.chunks.replace(
        [path], chunk_rows(*((chunk_id, path) for chunk_id in ids)), now=NOW, assign_batch=one_batch(batch)
    ),
    "delete": lambda store, path, _ids, _batch: store.chunks.delete_by_file([path]),
    "add": lambda store, path, ids, _batch: store.vectors.add(vector_rows(*ids, file_path=[path] * len(ids))),
    "retire": lambda store, _path, ids, _batch: store.vectors.retire(now=NOW, chunk_ids=ids),
    "fail": lambda store, _path, ids, _batch: store.errors.record(error_rows(*ids)),
    "clear": lambda store, _path, ids, _batch: store.errors.clear(ids, MODEL),
    "foreign delete": lambda store, _path, ids, _batch: reopened(store).vectors.delete(ids),
    "foreign add": lambda store, _path, ids, _batch: reopened(store).vectors.add(vector_rows(*ids)),
    "drop": lambda store, _path, _ids, _batch: store.vectors.drop(),
    "follow": lambda store, _path, _ids, _batch: store.sync.vectors(now=NOW),
}
_AT_FIRST = [("replace", 0, {0, 1}), ("replace", 1, {0, 1}), ("add", 0, {0})]
_STEPS = st.tuples(st.sampled_from(sorted(_COMMITS)), st.integers(0, 3), st.sets(st.integers(0, 3), min_size=1))


@given(steps=st.lists(_STEPS, min_size=1, max_size=6))
@example(steps=[("add", 0, {0}), ("foreign add", 2, {0}), ("follow", 0, {0})])  # a vector of no file is retired
@settings(max_examples=15, deadline=None)
def test_whatever_is_committed_by_whom_counts_are_those_of_a_first_look(tmp_path_factory, steps):
    store = IndexStore(tmp_path_factory.mktemp("index") / "tables")
    for batch, (what, file, numbers) in enumerate([*_AT_FIRST, *steps]):
        if store.vectors.dimension() is None and what in {"retire", "foreign delete"}:
            continue
        _COMMITS[what](store, f"f{file}", [f"{file}{number}" for number in sorted(numbers)], batch)
        first = reopened(store)
        assert store.statuses.batches(MODEL).to_pylist() == first.statuses.batches(MODEL).to_pylist()
        assert store.statuses.batches().to_pylist() == first.statuses.batches().to_pylist()
        if what == "follow":
            assert first.sync.vectors(now=NOW) == 0, "nothing was left to follow"
