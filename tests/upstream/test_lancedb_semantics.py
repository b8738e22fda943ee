"""What the store relies on in LanceDB. A failure here after an upgrade says which decision to look at again."""

from datetime import timedelta

import lancedb
import pyarrow as pa
import pytest
from lancedb.index import FTS, BTree
from lancedb.query import MatchQuery

KEY_METADATA = {"lance-schema:unenforced-primary-key:position": "1"}
ROWS = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("place", pa.string()),
        pa.field("vector", pa.list_(pa.float32(), 2)),
    ]
)
KEYED = pa.schema([ROWS.field("key").with_metadata(KEY_METADATA), *list(ROWS)[1:]])


def rows(*keys, place="a"):
    return pa.Table.from_pylist([{"key": key, "place": place, "vector": [1, 0]} for key in keys], schema=ROWS)


def connect(folder, *, consistent=True):
    return lancedb.connect(str(folder), read_consistency_interval=timedelta(0) if consistent else None)


def upsert(table, data, *, use_index=False):
    merge = table.merge_insert("key").when_matched_update_all().when_not_matched_insert_all()
    return merge.use_index(use_index).execute(data)


def keys_of(table):
    return sorted(table.search().select(["key"]).to_arrow().column("key").to_pylist())


@pytest.fixture
def table(tmp_path):
    created = connect(tmp_path).create_table("t", schema=KEYED)
    upsert(created, rows("1", "2"))
    return created


def test_key_metadata_at_creation_is_the_unenforced_primary_key(table):
    with pytest.raises(ValueError, match="an unenforced primary key is already set"):
        table.set_unenforced_primary_key("key")


def test_a_nullable_column_cannot_be_the_key(tmp_path):
    nullable = pa.schema([ROWS.field("key").with_nullable(True).with_metadata(KEY_METADATA)])
    with pytest.raises((ValueError, RuntimeError), match="must not be nullable"):
        connect(tmp_path).create_table("t", schema=nullable)


def stale_and_fresh(tmp_path, schema):
    """A handle that was opened before the fresh one's commit and does not look for newer versions."""
    fresh = connect(tmp_path).create_table("t", schema=schema)
    stale = connect(tmp_path, consistent=False).open_table("t")
    assert stale.count_rows() == 0
    upsert(fresh, rows("new"))
    return stale, fresh


def test_with_a_primary_key_a_stale_upsert_of_the_same_new_key_updates_it(tmp_path):
    stale, fresh = stale_and_fresh(tmp_path, KEYED)
    upsert(stale, rows("new", place="b"))
    assert fresh.to_arrow().select(["key", "place"]).to_pylist() == [{"key": "new", "place": "b"}]


def test_without_a_primary_key_a_stale_upsert_duplicates_the_row(tmp_path):
    stale, fresh = stale_and_fresh(tmp_path, ROWS)
    upsert(stale, rows("new"))
    assert keys_of(fresh) == ["new", "new"]


def test_a_stale_handle_deletes_nothing_without_an_error(tmp_path):
    stale, fresh = stale_and_fresh(tmp_path, KEYED)
    assert stale.delete("key = 'new'").num_deleted_rows == 0
    assert keys_of(fresh) == ["new"]


def test_a_handle_with_consistency_interval_zero_sees_every_commit(tmp_path):
    first = connect(tmp_path).create_table("t", schema=KEYED)
    second = connect(tmp_path).open_table("t")
    upsert(first, rows("new"))
    assert second.delete("key = 'new'").num_deleted_rows == 1


def test_an_upsert_without_index_works_on_a_key_that_has_one(table):
    table.create_index("key", config=BTree())
    upsert(table, rows("2", "3"))
    assert keys_of(table) == ["1", "2", "3"]


def test_new_duplicates_of_one_source_are_inserted_silently(table):
    upsert(table, rows("new", "new"))
    assert keys_of(table) == ["1", "2", "new", "new"]


def test_a_by_source_delete_replaces_a_slice_in_one_version(table):
    upsert(table, rows("3", place="b"))
    before = table.version
    merge = table.merge_insert("key").when_matched_update_all().when_not_matched_insert_all()
    result = merge.when_not_matched_by_source_delete("place IN ('a')").use_index(False).execute(rows("2", "4"))
    assert (result.num_inserted_rows, result.num_updated_rows, result.num_deleted_rows) == (1, 1, 1)
    assert table.version == result.version == before + 1
    assert keys_of(table) == ["2", "3", "4"]


def test_an_empty_source_clears_the_slice(table):
    merge = table.merge_insert("key").when_matched_update_all().when_not_matched_insert_all()
    merge.when_not_matched_by_source_delete("place IN ('a')").use_index(False).execute(rows())
    assert keys_of(table) == []


def test_a_merge_of_some_columns_leaves_the_others_alone(table):
    some = pa.table({"key": ["1", "absent"], "place": ["moved", "nowhere"]})
    table.merge_insert("key").when_matched_update_all().use_index(False).execute(some.cast(pa.schema(list(ROWS)[:2])))
    found = {row["key"]: (row["place"], row["vector"]) for row in table.to_arrow().to_pylist()}
    assert found == {"1": ("moved", [1.0, 0.0]), "2": ("a", [1.0, 0.0])}


def test_a_query_without_limit_gives_all_rows(table):
    upsert(table, rows(*map(str, range(100, 150))))
    assert len(keys_of(table)) == 52


def test_quotes_are_doubled_and_backslashes_mean_nothing(table):
    upsert(table, rows("it's \\' %_"))
    assert table.count_rows("key = 'it''s \\'' %_'") == 1


def test_paths_are_matched_by_prefix_and_by_regular_expression(table):
    upsert(table, rows("src/a.py", "src/b/c.py"))
    assert table.count_rows("starts_with(key, 'src/')") == 2
    assert table.count_rows("regexp_like(key, '(?s)^src/[^/]*\\.py$')") == 1


def test_the_cosine_distance_is_one_minus_the_cosine(table):
    query = table.search([0.6, 0.8], vector_column_name="vector").distance_type("cosine").limit(1)
    assert query.to_arrow().column("_distance").to_pylist() == pytest.approx([0.4])


@pytest.fixture
def texts(tmp_path):
    data = pa.table({"key": ["1", "2"], "text": ["Alpha", "beta and"]})
    return connect(tmp_path).create_table("texts", data=data)


def matches(table, words):
    found = table.search(MatchQuery(words, "text"), query_type="fts").limit(10).to_arrow()
    return sorted(found.column("key").to_pylist())


def test_without_a_text_index_words_are_found_but_case_matters(texts):
    assert matches(texts, "beta") == ["2"]
    assert matches(texts, "Alpha") == ["1"]
    assert matches(texts, "alpha") == []


def test_with_a_text_index_case_does_not_matter_for_rows_in_it_and_new_ones(texts):
    texts.create_index("text", config=FTS(stem=False, remove_stop_words=False))
    texts.add(pa.table({"key": ["3"], "text": ["ALPHA"]}))
    assert matches(texts, "alpha") == ["1", "3"]


def test_a_match_query_has_no_operators(texts):
    texts.create_index("text", config=FTS(stem=False, remove_stop_words=False))
    assert matches(texts, '"alpha" AND (x') == ["1", "2"]


def test_a_missing_table_and_one_that_exists_are_told_by_these_words(tmp_path, table):
    with pytest.raises(ValueError, match="was not found"):
        connect(tmp_path).open_table("nope")
    with pytest.raises(ValueError, match="already exists"):
        connect(tmp_path).create_table("t", schema=KEYED)


def test_missing_data_files_are_told_by_these_words(tmp_path, table):
    for path in (tmp_path / "t.lance" / "data").iterdir():
        path.unlink()
    with pytest.raises(RuntimeError, match="Not found"):
        connect(tmp_path).open_table("t").to_arrow()


def test_creating_over_data_without_a_manifest_hides_the_loss(tmp_path, table):
    for path in (tmp_path / "t.lance" / "_versions").iterdir():
        path.unlink()
    assert connect(tmp_path).create_table("t", schema=KEYED).count_rows() == 0


def test_overwriting_a_table_is_one_version_and_keeps_the_older_ones(tmp_path, table):
    before = table.version
    replaced = connect(tmp_path).create_table("t", data=pa.table({"other": [1]}), mode="overwrite")
    assert replaced.version == before + 1
    assert table.schema.names == ["other"]


def test_columns_can_be_added_as_nulls(table):
    table.add_columns(pa.schema([pa.field("added", pa.int32())]))
    assert table.to_arrow().column("added").to_pylist() == [None, None]


def test_row_ids_hold_until_a_compaction_which_loses_rows_without_an_error(table):
    upsert(table, rows("3"))
    found = table.search().select(["key"]).with_row_id(True).to_arrow()
    row_ids = found.column("_rowid").to_pylist()
    assert sorted(table.take_row_ids(row_ids).select(["key"]).to_arrow().column("key").to_pylist()) == ["1", "2", "3"]
    table.optimize()
    assert table.take_row_ids(row_ids).select(["key"]).to_arrow().num_rows == 0


def test_an_empty_table_is_false(tmp_path):
    assert not connect(tmp_path).create_table("t", schema=KEYED)
