"""What `IndexStore` promises about its two raw searches and their filters."""

import re
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lancedb.query import AsyncQueryBase
from lancedb.table import AsyncTable

import code_index.tables.read_handles as handles_module
import code_index.tables.search_rows as search_module
import code_index.tables.table_upkeep as upkeep_module
from code_index.core.errors import StoreError, UsageError
from code_index.tables import IndexStore, SearchFilter
from code_index.tables.filters import glob_to_regex, path_condition
from code_index.tables.sql import all_of, equals, is_in, sql_literal
from indexing_assets.upkeep.compaction import compact_due
from tests.contract import rows
from tests.waiting import wait_until

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
MODEL = "m"
DIMENSION = 16
unit_rows = partial(rows.unit_rows, dimension=DIMENSION)


def add_chunks(store, texts, path="src/a.py", **columns):
    count = len(texts)
    rows = {
        "chunk_id": pa.array([f"{path}#{place}" for place in range(count)], pa.string()),
        "file_path": pa.array([path] * count, pa.string()),
        "file_hash": pa.array(["h"] * count, pa.string()),
        "search_text": pa.array(texts, pa.string()),
        **columns,
    }
    store.chunks.replace([path], pa.table(rows), now=NOW)


def add_vectors(store, values, *, model=MODEL, paths=None, language="python", first=0):
    count = len(values)
    rows = {
        "chunk_id": [str(first + place) for place in range(count)],
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1]),
        "text_hash": [f"t{first + place}" for place in range(count)],
        "embedding_model": [model] * count,
        "file_path": paths or ["src/a.py"] * count,
        "language": [language] * count,
    }
    store.vectors.add(pa.table(rows))


def words(store, query, **how):
    return store.search.start_words(query, **how).result().rows


def ids(found):
    return found.column("chunk_id").to_pylist()


def test_searching_before_anything_was_written_finds_nothing(store):
    for found in (store.search.near(unit_rows(1)[0], model=MODEL, limit=5), words(store, "x", limit=5)):
        assert found.num_rows == 0
        assert found.schema.names[-1] == "score"


@pytest.mark.parametrize("exact", [True, False])
def test_vector_search_ranks_by_cosine_and_says_it(store, exact):
    values = unit_rows(200)
    add_vectors(store, values)
    query = unit_rows(1, seed=1)[0]
    found = store.search.near(query * 3, model=MODEL, limit=10, exact=exact)
    expected = values @ query
    best = np.argsort(-expected)[:10]
    assert ids(found) == [str(place) for place in best]
    assert np.allclose(found.column("score").to_numpy(), expected[best], atol=1e-5)


def test_vector_search_keeps_models_apart(store):
    values = unit_rows(20)
    add_vectors(store, values[:10])
    add_vectors(store, values[10:], model="other", first=10)
    found = store.search.near(values[0], model="other", limit=50)
    assert sorted(map(int, ids(found))) == list(range(10, 20))
    assert store.search.near(values[0], model="none", limit=50).num_rows == 0


def test_vector_search_sees_a_model_that_came_after_the_first_search(store):
    values = unit_rows(20)
    add_vectors(store, values[:10])
    assert store.search.near(values[0], model=MODEL, limit=50).num_rows == 10
    add_vectors(store, values[10:], model="other", first=10)
    assert store.search.near(values[0], model=MODEL, limit=50).num_rows == 10


def test_a_query_of_another_dimension_is_refused_with_both(store):
    add_vectors(store, unit_rows(2))
    with pytest.raises(StoreError, match=r"has 3 dimensions, .* 16"):
        store.search.near(np.ones(3, np.float32), model=MODEL, limit=1)


@pytest.fixture
def indexed(store, monkeypatch):
    """3,000 vectors under an index of several partitions; 5 of them under rare/."""
    monkeypatch.setattr(upkeep_module, "VECTOR_INDEX_ROWS", 1_000)
    monkeypatch.setattr(upkeep_module, "_ROWS_PER_PARTITION", 100)
    values = unit_rows(3_000)
    paths = ["rare/x.py" if place % 600 == 0 else f"src/{place}.py" for place in range(3_000)]
    add_vectors(store, values, paths=paths)
    assert "vectors.vector" in store.upkeep.ensure_indexes()
    return store, values, paths


@pytest.mark.parametrize("few_rows", [20_000, 0], ids=["compared one by one", "through the index"])
def test_a_selective_filter_on_an_indexed_table_still_finds_every_row(indexed, monkeypatch, few_rows):
    monkeypatch.setattr(search_module, "_FEW_ROWS", few_rows)
    store, values, paths = indexed
    found = store.search.near(values[1], model=MODEL, limit=10, where=SearchFilter(path_glob="rare/").where())
    expected = [str(place) for place in np.argsort(-(values @ values[1])) if paths[place] == "rare/x.py"]
    assert ids(found) == expected


def test_rows_that_move_while_a_filtered_search_picks_them_are_still_found(indexed, monkeypatch):
    store, values, paths = indexed
    pick = AsyncTable.take_row_ids
    monkeypatch.setattr(AsyncTable, "take_row_ids", lambda table, row_ids: pick(table, [*row_ids[1:], 10**15]))
    found = store.search.near(values[1], model=MODEL, limit=10, where=SearchFilter(path_glob="rare/").where())
    expected = [str(place) for place in np.argsort(-(values @ values[1])) if paths[place] == "rare/x.py"]
    assert ids(found) == expected


def test_a_filter_that_many_of_the_nearest_meet_is_not_evaluated_for_every_row(indexed, monkeypatch):
    store, values, paths = indexed
    where = SearchFilter(path_glob="[1-5]*.py").where()
    expected = [
        str(place) for place in np.argsort(-(values @ values[1])) if re.match(r"src/[1-5]", paths[place]) is not None
    ]

    async def evaluated(*_):
        raise AssertionError("every row was looked at")

    with monkeypatch.context() as patched:
        patched.setattr(search_module, "_fitting", evaluated)
        found = store.search.near(values[1], model=MODEL, limit=10, where=where)
    assert ids(found) == expected[:10]
    assert found.column("score").to_pylist() == pytest.approx([values[int(one)] @ values[1] for one in expected[:10]])

    async def moved_on(_table):
        return -1

    monkeypatch.setattr(AsyncTable, "version", moved_on)
    assert ids(store.search.near(values[1], model=MODEL, limit=10, where=where)) == expected[:10]


def test_a_filter_that_nothing_fits_finds_nothing_on_an_indexed_table(indexed):
    store, values, _paths = indexed
    found = store.search.near(values[1], model=MODEL, limit=10, where=SearchFilter(languages=("cobol",)).where())
    assert found.num_rows == 0
    assert found.schema.names[-1] == "score"


def test_rows_that_are_not_in_the_index_yet_are_found(indexed):
    store, _values, _paths = indexed
    fresh = unit_rows(1, seed=5)
    add_vectors(store, fresh, first=9_999)
    assert ids(store.search.near(fresh[0], model=MODEL, limit=1)) == ["9999"]


def test_an_exact_search_on_an_indexed_table_equals_comparing_all(indexed):
    store, values, _paths = indexed
    query = unit_rows(1, seed=3)[0]
    found = store.search.near(query, model=MODEL, limit=20, exact=True)
    assert ids(found) == [str(place) for place in np.argsort(-(values @ query))[:20]]


@pytest.mark.parametrize("with_index", [False, True], ids=["no index", "index"])
def test_text_search_ranks_chunks_by_their_words(store, with_index):
    add_chunks(store, ["parse the user Name", "name NAME name", "nothing here"])
    if with_index:
        assert "chunks.search_text" in store.upkeep.ensure_indexes()
    found = words(store, "Name", limit=10)
    assert ids(found) == ["src/a.py#1", "src/a.py#0"]
    scores = found.column("score").to_pylist()
    assert scores == sorted(scores, reverse=True)
    assert words(store, "Name", limit=1).num_rows == 1


def test_text_search_neither_stems_nor_drops_common_words(store):
    add_chunks(store, ["the running", "runs is not"])
    store.upkeep.ensure_indexes()
    assert ids(words(store, "the", limit=5)) == ["src/a.py#0"]
    assert ids(words(store, "not", limit=5)) == ["src/a.py#1"]
    assert words(store, "run", limit=5).num_rows == 0


def test_text_search_sees_chunks_written_after_the_index(store):
    add_chunks(store, ["alpha"])
    store.upkeep.ensure_indexes()
    add_chunks(store, ["beta gamma"], path="src/b.py")
    assert ids(words(store, "gamma", limit=5)) == ["src/b.py#0"]


def test_text_search_honours_filters(store):
    add_chunks(store, ["alpha"], language=pa.array(["python"]))
    add_chunks(store, ["alpha"], path="lib/it's.js", language=pa.array(["javascript"]))
    where = SearchFilter(languages=("javascript",), path_glob="lib/it's.js").where()
    assert ids(words(store, "alpha", limit=5, where=where)) == ["lib/it's.js#0"]


@pytest.mark.parametrize("looked_at", [8, 1_000], ids=["few are looked at", "more than there are"])
@pytest.mark.parametrize("language", ["python", "cobol"])
def test_a_filter_never_shortens_the_list_of_a_text_search(store, monkeypatch, language, looked_at):
    monkeypatch.setattr(search_module, "_LOOKED_AT", looked_at)
    # The more of the words, the better: the first eight are Python but one.
    languages = ["python"] * 3 + ["cobol"] + ["python"] * 6 + ["cobol"] * 6
    texts = ["alpha " * (20 - place) + "beta " * place for place in range(len(languages))]
    add_chunks(store, texts, language=pa.array(languages))
    store.upkeep.ensure_indexes()
    best = [f"src/a.py#{place}" for place, one in enumerate(languages) if one == language]
    assert ids(words(store, "alpha", limit=5, where=SearchFilter(languages=(language,)).where())) == best[:5]


@settings(max_examples=40, deadline=None)
@given(query=st.text(max_size=30) | st.sampled_from(["'", '"', "a AND", "(", "a:b", "-x", "x*~2", "\\", "NOT", "\0"]))
def test_no_text_a_user_types_breaks_the_search(shared_store, query):
    found = words(shared_store, query, limit=5)
    assert found.schema.names[-1] == "score"


@pytest.fixture(scope="module")
def shared_store(tmp_path_factory):
    store = IndexStore(tmp_path_factory.mktemp("tables"))
    for path in PATHS:
        add_chunks(store, ["alpha and (beta) 'x'"], path=path)
    store.upkeep.ensure_indexes()
    return store


PATHS = [
    "a.py",
    "src/a.py",
    "src/x/a.py",
    "src/x/deep/b.py",
    "src/xy/c.py",
    "src/a_b/100%.py",
    "src/aXb/1000.py",
    "src/it's.py",
    "src/[slug]/page.tsx",
    "app/[id]/page.tsx",
    "app/[[...all]]/page.tsx",
    "app/(group)/+page.svelte",
    "app/$id.tsx",
    "app/with space/#1.md",
    "app/{{name}}/a,b.py",
    "app/*star/what?.md",
    "app/i/page.tsx",
    "src/new\nline.py",
    "src/back\\slash.py",
    "docs/a.md",
]


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("*.py", {path for path in PATHS if path.endswith(".py")}),
        ("a.py", {"a.py"}),
        ("src/x/", {"src/x/a.py", "src/x/deep/b.py"}),
        ("src/x", {"src/x/a.py", "src/x/deep/b.py"}),
        ("./src/x/", {"src/x/a.py", "src/x/deep/b.py"}),
        ("src/**/*.py", {path for path in PATHS if path.startswith("src/") and path.endswith(".py")}),
        ("src/*.py", {"src/a.py", "src/it's.py", "src/new\nline.py", "src/back\\slash.py"}),
        ("**/a.py", {"a.py", "src/a.py", "src/x/a.py"}),
        ("src/**/a.py", {"src/a.py", "src/x/a.py"}),
        ("**/x/**", {"src/x/a.py", "src/x/deep/b.py"}),
        ("**", set(PATHS)),
        ("src/x/**", {"src/x/a.py", "src/x/deep/b.py"}),
        ("src/x*/", {"src/x/a.py", "src/x/deep/b.py", "src/xy/c.py"}),
        ("src/a_b/*%.py", {"src/a_b/100%.py"}),
        ("src/a?b/*", {"src/a_b/100%.py", "src/aXb/1000.py"}),
        ("src/a[_Y]b/*", {"src/a_b/100%.py"}),
        ("src/a[!_]b/*", {"src/aXb/1000.py"}),
        ("src/a[A-Z]b/*", {"src/aXb/1000.py"}),
        ("src/it's.py", {"src/it's.py"}),
        ("src/[[]slug]/*", {"src/[slug]/page.tsx"}),
        ("*slash.py", {"src/back\\slash.py"}),
        ("nothing/*.py", set()),
        *(
            (glob, {"app/[id]/page.tsx", "app/i/page.tsx"})
            for glob in ("app/[id]/**", "app/[id]", "app/[id]/", "app/[id]/*")
        ),
        *((glob, {"app/[id]/page.tsx"}) for glob in (r"app/\[id\]/**", r"app/\[id\]", "app/[[]id]/*")),
        ("app/[[...all]]/**", {"app/[[...all]]/page.tsx"}),
        ("app/[[...all]]/page.tsx", {"app/[[...all]]/page.tsx"}),
        ("**/[id]/page.tsx", {"app/[id]/page.tsx", "app/i/page.tsx"}),
        ("app/(group)/**", {"app/(group)/+page.svelte"}),
        (r"app/\(group\)", {"app/(group)/+page.svelte"}),
        ("+page.svelte", set()),
        ("**/+page.svelte", {"app/(group)/+page.svelte"}),
        ("app/$id.tsx", {"app/$id.tsx"}),
        (r"app/\$*.tsx", {"app/$id.tsx"}),
        ("app/with space/#*", {"app/with space/#1.md"}),
        (r"app/with\ space", {"app/with space/#1.md"}),
        ("app/{{name}}/*", {"app/{{name}}/a,b.py"}),
        (r"app/*/a\,b.py", {"app/{{name}}/a,b.py"}),
        (r"app/\*star/what\?.md", {"app/*star/what?.md"}),
        (r"app/\*star/*", {"app/*star/what?.md"}),
        ("{a,src/x/a}.py", {"a.py", "src/x/a.py"}),
        ("src/{x,xy}/*.{py,md}", {"src/x/a.py", "src/xy/c.py"}),
        ("{nothing,docs}/**", {"docs/a.md"}),
        ("{,a.py}", {"a.py"}),
        ("a.md", set()),
    ],
)
def test_path_globs_mean_what_people_write(shared_store, glob, expected):
    condition = path_condition(glob)
    assert set(shared_store.chunks.read(["file_path"], condition).column("file_path").to_pylist()) == expected


@pytest.mark.parametrize("glob", ["/", "./"])
def test_the_root_is_no_condition(glob):
    assert path_condition(glob) is None


@settings(max_examples=60, deadline=None)
@given(pattern=st.text("ab*?[]{,}!-^.%_'\\/ ", min_size=1, max_size=8))
def test_no_glob_breaks_the_query(shared_store, pattern):
    shared_store.chunks.read(["file_path"], path_condition(pattern))


def test_a_store_says_which_languages_it_holds(store):
    assert not store.search.holds_language("python")
    add_chunks(store, ["alpha"], language=pa.array(["python"]))
    assert store.search.holds_language("python")
    assert not store.search.holds_language("Python")
    assert not store.search.holds_language("' OR true --")


def test_braces_that_stand_for_too_many_patterns_are_refused():
    with pytest.raises(UsageError, match="too many patterns"):
        path_condition("{a,b}" * 7)


PIECES = st.sampled_from(["src/", "**/", "**", "*", "?", "x/", "a", "a.py", ".py", "b.py", "[a-c]", "'"])


@settings(max_examples=120, deadline=None)
@given(pattern=st.lists(PIECES, min_size=2, max_size=5).map("".join))
def test_prefixes_and_suffixes_say_the_same_as_the_regular_expression(shared_store, pattern):
    whole = pattern + "**" if pattern.endswith("/") and set(pattern) & set("*?[") else pattern
    if not set(pattern) & set("*?["):
        return
    start = "^" if "/" in whole else "(^|/)"
    regex = re.compile(f"(?s){start}{glob_to_regex(whole)}$(?!\n)")
    found = shared_store.chunks.read(["file_path"], path_condition(pattern)).column("file_path").to_pylist()
    assert set(found) == {path for path in PATHS if regex.search(path)}


@settings(max_examples=300)
@given(pattern=st.text("ab*?.+($", max_size=8), name=st.text("ab.+($", max_size=8))
def test_globs_without_slash_agree_with_fnmatch(pattern, name):
    assert bool(re.fullmatch(glob_to_regex(pattern), name)) == fnmatchcase(name, pattern)


@settings(max_examples=60, deadline=None)
@given(value=st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_no_value_ends_its_own_literal(shared_store, value):
    condition = is_in("file_path", [value, "a.py"])
    expected = {"a.py", value} & set(PATHS)
    assert set(shared_store.chunks.read(["file_path"], condition).column("file_path").to_pylist()) == expected
    assert shared_store.chunks.read(["file_path"], equals("file_path", value)).num_rows == (value in PATHS)


def test_conditions_compose():
    assert all_of(None, "") is None
    assert all_of(None, "a = 1") == "a = 1"
    assert all_of("a = 1 OR b = 2", "c = 3") == "(a = 1 OR b = 2) AND (c = 3)"
    assert is_in("a", []) == "false"


@pytest.mark.parametrize("value", [True, 1.5, None, b"x"])
def test_only_text_and_integers_become_literals(value):
    with pytest.raises(TypeError, match=type(value).__name__):
        sql_literal(value)


def test_a_filter_joins_all_its_conditions():
    everything = SearchFilter(
        languages=("python", "go"),
        path_glob="src/",
        chunk_types=("method",),
        function_name="f'",
        class_name="C",
        subproject="web",
    )
    assert everything.where() == (
        "(language IN ('python','go')) AND (starts_with(file_path, 'src/')) AND (chunk_type IN ('method'))"
        " AND (function_name = 'f''') AND (class_name = 'C') AND (subproject_name = 'web')"
    )
    assert SearchFilter().where() is None


def test_optimize_keeps_every_search_answer(indexed):
    store, values, _paths = indexed
    before = ids(store.search.near(values[7], model=MODEL, limit=5))
    store.upkeep.optimize(timedelta(minutes=10))
    assert ids(store.search.near(values[7], model=MODEL, limit=5)) == before


def vector_indexes(store):
    return [
        index.name
        for index in store.tables.run("vectors", lambda table: list(table.list_indices()))
        if index.columns == ["vector"]
    ]


def test_upkeep_while_a_phase_adds_vectors_indexes_them_and_copies_none(store, monkeypatch):
    monkeypatch.setattr(upkeep_module, "_ROWS_OUTSIDE_INDEX", 100)
    monkeypatch.setattr(upkeep_module, "VECTOR_INDEX_ROWS", 200)
    monkeypatch.setattr(upkeep_module, "_ROWS_PER_PARTITION", 50)
    data = store.tables.path("vectors") / "data"
    outside = []
    for number in range(12):
        add_vectors(store, unit_rows(100, seed=number), first=100 * number)
        compact_due(store, ["vectors"], under_way=True)
        outside.append((store.upkeep.unindexed_rows("vectors", "file_path"), store.vectors.count()))
    assert all(rows <= max(100, count // 4) for rows, count in outside)
    assert outside[-1] == (200, 1200), "indexes were not built on the way"
    compact_due(store, ["vectors"])
    assert [store.upkeep.unindexed_rows("vectors", column) for column in ("file_path", "vector")] == [0, 0]
    assert len(list(data.iterdir())) == 12, "files of vectors were joined, and copies left"
    assert ids(store.search.near(unit_rows(100, seed=11)[7], model=MODEL, limit=1)) == ["1107"]


def test_the_vector_index_is_built_anew_when_the_table_has_doubled(indexed):
    store, values, _paths = indexed
    assert vector_indexes(store) == ["vector_rq30"]
    more = unit_rows(2_900, seed=8)
    add_vectors(store, more, first=10_000)
    assert store.upkeep.ensure_indexes() == []
    add_vectors(store, unit_rows(200, seed=9), first=20_000)
    assert store.upkeep.ensure_indexes() == ["vectors.vector"]
    assert vector_indexes(store) == ["vector_rq61"]
    assert ids(store.search.near(more[17], model=MODEL, limit=1)) == ["10017"]
    assert ids(store.search.near(values[17], model=MODEL, limit=1)) == ["17"]


def test_vectors_of_a_length_that_no_byte_divides_have_an_index_too(store, monkeypatch):
    monkeypatch.setattr(upkeep_module, "VECTOR_INDEX_ROWS", 1_000)
    values = rows.unit_rows(1_100, dimension=12)
    add_vectors(store, values)
    assert "vectors.vector" in store.upkeep.ensure_indexes()
    assert vector_indexes(store) == ["vector_p1"]
    assert store.upkeep.ensure_indexes() == []
    assert ids(store.search.near(values[17], model=MODEL, limit=1)) == ["17"]


@pytest.mark.parametrize("name", ["vector_idx", "vector_p30"])
def test_an_index_of_an_earlier_version_is_built_anew_once(indexed, name):
    store, _values, _paths = indexed
    from lancedb.index import IvfSq

    store.tables.run("vectors", lambda table: table.drop_index("vector_rq30"))
    store.tables.run(
        "vectors", lambda table: table.create_index("vector", config=IvfSq(distance_type="cosine"), name=name)
    )
    assert vector_indexes(store) == [name]
    assert store.upkeep.ensure_indexes() == ["vectors.vector"]
    assert vector_indexes(store) == ["vector_rq30"]
    assert store.upkeep.ensure_indexes() == []


@pytest.fixture
def kept(store, monkeypatch):
    """A store with chunks and vectors whose places are loaded at the first search."""
    monkeypatch.setattr(handles_module, "STABLE_S", 0.0)
    values = unit_rows(40)
    for path in ("src/a.py", "lib/b.py"):
        add_chunks(store, [f"shared word{place}" for place in range(20)], path=path, language=pa.array(["python"] * 20))
    chunk_ids = [f"{path}#{place}" for path in ("src/a.py", "lib/b.py") for place in range(20)]
    rows = {
        "chunk_id": chunk_ids,
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), DIMENSION),
        "text_hash": chunk_ids,
        "embedding_model": [MODEL] * 40,
        "file_path": [chunk_id.partition("#")[0] for chunk_id in chunk_ids],
        "language": ["python"] * 40,
    }
    store.vectors.add(pa.table(rows))
    store.files.upsert(pa.table({"file_path": ["src/a.py", "lib/b.py"], "file_hash": ["h", "h"]}))
    return store, values, chunk_ids


PLACE = ("chunk_id", "file_path", "language")
SHOWN = ("chunk_id", "file_path", "file_hash", "start_line", "content", "qualified_name", "docstring")


def everything(store, values, chunk_ids):
    """What each question of a search is answered."""
    return (
        store.search.near(values[3], model=MODEL, limit=7, columns=PLACE).to_pylist(),
        words(store, "shared word4", limit=7, columns=PLACE).to_pylist(),
        store.search.details(chunk_ids[5:9], ["src/a.py", "lib/b.py"], SHOWN),
    )


def loaded(store, values, chunk_ids):
    """Search until places and hashes are in memory."""

    def is_loaded():
        everything(store, values, chunk_ids)
        readers = [
            store.search.handles.run(store.search.handles.current(name)) for name in ("chunks", "vectors", "files")
        ]
        return all(reader._loading is not None and reader._loading.done() for reader in readers)

    wait_until(is_loaded, "places and hashes are in memory")


def test_what_is_kept_in_memory_is_answered_as_it_is_from_the_tables(kept, monkeypatch):
    store, values, chunk_ids = kept
    loaded(store, values, chunk_ids)
    from_memory = everything(store, values, chunk_ids)
    assert len(from_memory[0]) == len(from_memory[1]) == 7
    assert len(from_memory[2][0]) == 4
    monkeypatch.setattr(handles_module, "STABLE_S", 1e9)
    assert from_memory == everything(IndexStore(store.tables.where), values, chunk_ids)


def test_what_is_kept_in_memory_spares_reading_places(kept, monkeypatch):
    store, values, chunk_ids = kept
    loaded(store, values, chunk_ids)
    asked = []
    select = AsyncQueryBase.select
    monkeypatch.setattr(
        AsyncQueryBase, "select", lambda query, columns: asked.append(columns) or select(query, columns)
    )
    everything(store, values, chunk_ids)
    assert sorted(asked) == [["_distance"], ["_score"], ["content", "qualified_name", "docstring"]]


def test_a_write_of_another_process_is_seen_by_the_next_search_whatever_is_kept(kept):
    store, values, chunk_ids = kept
    loaded(store, values, chunk_ids)
    writer = IndexStore(store.tables.where)
    add_chunks(writer, ["fresh"], path="new/c.py", language=pa.array(["go"]))
    writer.chunks.delete_by_file(["lib/b.py"])
    writer.files.upsert(pa.table({"file_path": ["src/a.py"], "file_hash": ["other"]}))
    assert words(store, "fresh", limit=5, columns=PLACE).select(PLACE).to_pylist() == [
        {"chunk_id": "new/c.py#0", "file_path": "new/c.py", "language": "go"}
    ]
    assert {row["file_path"] for row in words(store, "shared", limit=50, columns=PLACE).to_pylist()} == {"src/a.py"}
    chunks, hashes = store.search.details([*chunk_ids[18:22]], ["src/a.py"], SHOWN)
    assert sorted(chunks) == chunk_ids[18:20]
    assert hashes["src/a.py"] == "other"


def test_a_vector_whose_chunk_is_gone_is_still_found_by_its_own_row(kept):
    store, values, chunk_ids = kept
    IndexStore(store.tables.where).chunks.delete_by_file(["lib/b.py"])
    loaded(store, values, chunk_ids)
    assert ids(store.search.near(values[25], model=MODEL, limit=1, columns=PLACE)) == [chunk_ids[25]]


def test_a_table_that_was_removed_and_made_again_is_read_anew(kept):
    store, values, chunk_ids = kept
    loaded(store, values, chunk_ids)
    writer = IndexStore(store.tables.where)
    writer.vectors.drop()
    assert store.search.near(values[0], model=MODEL, limit=5).num_rows == 0
    assert store.search.available().vectors == 0
    add_vectors(writer, values[:3])
    assert sorted(ids(store.search.near(values[0], model=MODEL, limit=5))) == ["0", "1", "2"]


def test_chunks_without_a_vector_are_told_apart_by_model(store):
    add_chunks(store, ["one", "two", "three"])
    assert store.search.without_vector(["src/a.py#0"], MODEL) == {"src/a.py#0"}
    values = unit_rows(3)
    rows = {
        "chunk_id": ["src/a.py#0", "src/a.py#1", "src/a.py#2"],
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), DIMENSION),
        "text_hash": ["a", "b", "c"],
        "embedding_model": [MODEL, "other", MODEL],
    }
    store.vectors.add(pa.table(rows))
    asked = [f"src/a.py#{place}" for place in range(3)]
    # As many vectors as chunks, but not all of the model.
    assert store.search.without_vector(asked, MODEL) == {"src/a.py#1"}
    assert store.search.without_vector([], MODEL) == set()


def test_a_search_of_a_forked_process_is_refused(kept, monkeypatch):
    store, values, _chunk_ids = kept
    store.search.near(values[0], model=MODEL, limit=1)
    monkeypatch.setattr(store.search.handles, "_owner", 1)
    with pytest.raises(StoreError, match="fork"):
        store.search.near(values[0], model=MODEL, limit=1)


def test_a_table_whose_versions_are_gone_is_damaged_and_not_empty(kept):
    store, values, _chunk_ids = kept
    for path in (store.tables.where / "vectors.lance" / "_versions").iterdir():
        path.unlink()
    with pytest.raises(StoreError, match=r"'vectors'.*missing or damaged"):
        store.search.near(values[0], model=MODEL, limit=1)


def six_chunks(store, *, index):
    """Store 3 chunks, index their words if `index` says so, add 3 more, and search all."""
    add_chunks(store, ["alpha one", "alpha two", "beta"])
    if index:
        store.upkeep.ensure_indexes()
    add_chunks(store, ["alpha new", "gamma", "gamma delta"], path="src/b.py", language=pa.array(["python"] * 3))
    return store.search.start_words("alpha", limit=10).result()


@pytest.mark.parametrize(
    ("most", "index", "found", "left_out"),
    [(3, True, 3, 0), (2, True, 2, 3), (6, False, 3, 0), (5, False, 0, 6)],
    ids=["few outside", "many outside", "few and no index", "many and no index"],
)
def test_a_text_search_leaves_chunks_outside_of_the_word_index_out_where_they_are_many(
    store, monkeypatch, most, index, found, left_out
):
    for module in (search_module, upkeep_module):
        monkeypatch.setattr(module, "MOST_OUTSIDE_WORD_INDEX", most)
    by_words = six_chunks(store, index=index)
    assert (by_words.rows.num_rows, by_words.left_out) == (found, left_out)
    assert store.upkeep.words_are_left_out() == bool(left_out)


def test_chunks_that_a_text_search_left_out_are_found_once_the_word_index_has_them(store, monkeypatch):
    monkeypatch.setattr(search_module, "MOST_OUTSIDE_WORD_INDEX", 2)
    assert six_chunks(store, index=True).left_out == 3
    store.upkeep.optimize(timedelta(minutes=10))
    by_words = store.search.start_words("gamma", limit=10, where=equals("language", "python")).result()
    assert (by_words.rows.num_rows, by_words.left_out) == (2, 0)
