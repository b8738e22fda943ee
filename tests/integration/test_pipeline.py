"""Both phases through the real Dagster instance, tables and parser processes, with a small embedder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest

from code_index.embedding.embedder import EmbeddingResult
from code_index.index.contents import failed_chunks, failed_files
from code_index.index.folder import resolve_index_folder
from code_index.search.hybrid import SearchMode, search
from code_index.tables import IndexStore, SearchFilter
from code_index.tables.search_rows import MOST_OUTSIDE_WORD_INDEX
from code_index.tables.vector_sync import VectorSync
from indexing_assets.assets import parsed_chunks
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.index_names import UNNAMED
from indexing_assets.runs.index_status import read_status, throughput
from indexing_assets.runs.partitions import partitions_definition
from indexing_assets.upkeep import compaction
from tests.fakes import Faulty, GivenEmbedder, give, refusing

Write = Callable[..., None]
PARSED = dg.AssetKey("parsed_chunks")
VECTORS = dg.AssetKey("chunk_vectors")


@pytest.fixture
def embedder() -> Faulty:
    return give(Faulty())


@pytest.fixture
def pipeline(small_repository: Path, embedder: Faulty) -> Iterator[Pipeline]:
    with Pipeline(resolve_index_folder(small_repository), embedder=GivenEmbedder()) as opened:
        yield opened


def run_all(pipeline: Pipeline) -> None:
    """Scan, parse and embed; all must succeed."""
    assert [r.error for r in (pipeline.scan(), pipeline.parse(), pipeline.embed())] == [None, None, None]


def materializations(pipeline: Pipeline, key: dg.AssetKey) -> int:
    return len(pipeline.instance.fetch_materializations(key, limit=10_000).records)


def assert_complete(pipeline: Pipeline) -> None:
    """Nothing of a file is lost, each chunk has one vector, tables, partitions and events agree."""
    store = pipeline.store
    root = pipeline.folder.repository_root
    chunks = pl.DataFrame(store.chunks.read(["chunk_id", "file_path", "file_hash", "content"]))
    assert chunks["chunk_id"].is_unique().all()
    files = pl.DataFrame(store.files.read())
    indexed = files.filter(pl.col("status") == "parsed")
    for path in indexed["file_path"]:
        contents = "".join(chunks.filter(pl.col("file_path") == path)["content"])
        for line in (root / path).read_text().splitlines():
            assert line.strip() in contents, f"{path}: {line!r} is in no chunk"
    assert set(chunks["file_path"]) <= set(indexed["file_path"])
    vectors = pl.DataFrame(store.vectors.read(["chunk_id", "file_path"]))
    assert sorted(vectors["chunk_id"]) == sorted(chunks["chunk_id"])
    file_keys = set(pipeline.instance.get_dynamic_partitions("file_hash"))
    assert file_keys == set(files["partition_key"].drop_nulls())
    assert set(indexed["partition_key"]) <= set(pipeline.instance.get_materialized_partitions(PARSED))
    batch_keys = set(pipeline.instance.get_dynamic_partitions("embedding_batch"))
    batches = {f"{i:08d}" for i in store.statuses.batches()["embedding_batch_id"].to_pylist()}
    assert batch_keys == batches
    assert batches <= set(pipeline.instance.get_materialized_partitions(VECTORS))


def test_every_line_is_in_a_chunk_and_every_chunk_has_one_vector(pipeline: Pipeline) -> None:
    run_all(pipeline)
    assert_complete(pipeline)
    assert pipeline.store.chunks.count() >= 8


def test_a_second_index_parses_and_embeds_nothing(pipeline: Pipeline, embedder: Faulty) -> None:
    run_all(pipeline)
    events, texts = materializations(pipeline, PARSED), len(embedder.asked)
    assert pipeline.scan().partitions == 1
    assert pipeline.parse().partitions == 0
    assert pipeline.embed().partitions == 0
    assert materializations(pipeline, PARSED) == events
    assert len(embedder.asked) == texts


def test_an_edited_function_is_the_only_thing_that_is_embedded_again(
    pipeline: Pipeline, embedder: Faulty, small_repository: Path, write: Write
) -> None:
    run_all(pipeline)
    before = {row["chunk_id"]: row for row in pipeline.store.vectors.read(["chunk_id", "start_line"]).to_pylist()}
    embedder.asked.clear()
    source = (small_repository / "app/greeting.py").read_text()
    write(
        small_repository,
        {"app/greeting.py": source.replace("def greet", "# moved\n\ndef greet").replace("hello", "hi")},
    )
    edited = (small_repository / "app/greeting.py").read_text().replace('return f"', 'return "dear " + f"')
    write(small_repository, {"app/greeting.py": edited})
    assert pipeline.scan().error is None
    assert pipeline.parse().partitions == 1
    assert pipeline.embed().error is None
    assert_complete(pipeline)
    assert any("dear" in text for text in embedder.asked)
    assert not any("increment" in text and "def increment" in text for text in embedder.asked)
    after = {row["chunk_id"]: row for row in pipeline.store.vectors.read(["chunk_id", "start_line"]).to_pylist()}
    moved = [key for key in before.keys() & after.keys() if before[key]["start_line"] != after[key]["start_line"]]
    assert moved, "the unchanged method moved down, and its vector's lines with it"


def test_deleting_a_file_removes_its_rows_and_keys_and_nothing_else(
    pipeline: Pipeline, small_repository: Path, embedder: Faulty
) -> None:
    run_all(pipeline)
    embedder.asked.clear()
    others = set(pipeline.store.chunks.read(["chunk_id"], "file_path <> 'docs/guide.md'")["chunk_id"].to_pylist())
    (small_repository / "docs/guide.md").unlink()
    run_all(pipeline)
    assert set(pipeline.store.chunks.read(["chunk_id"])["chunk_id"].to_pylist()) == others
    assert_complete(pipeline)
    assert embedder.asked == []


def test_a_renamed_and_a_moved_file_leave_exactly_the_right_rows(pipeline: Pipeline, small_repository: Path) -> None:
    run_all(pipeline)
    (small_repository / "web/getUserName.ts").rename(small_repository / "web/users.ts")
    (small_repository / "lib").mkdir()
    (small_repository / "app/greeting.py").rename(small_repository / "lib/greeting.py")
    run_all(pipeline)
    assert_complete(pipeline)
    paths = set(pipeline.store.chunks.read(["file_path"])["file_path"].to_pylist())
    assert paths == {"web/users.ts", "lib/greeting.py", "docs/guide.md", "settings.toml"}


def test_going_back_to_an_earlier_version_calls_the_model_for_nothing(
    pipeline: Pipeline, embedder: Faulty, small_repository: Path, write: Write
) -> None:
    run_all(pipeline)
    original = (small_repository / "app/greeting.py").read_text()
    write(small_repository, {"app/greeting.py": "def other() -> int:\n    return 1\n"})
    run_all(pipeline)
    embedder.asked.clear()
    write(small_repository, {"app/greeting.py": original})
    run_all(pipeline)
    assert_complete(pipeline)
    assert embedder.asked == []


def test_a_new_manifest_renames_the_subproject_of_its_chunks_without_a_model_call(
    pipeline: Pipeline, embedder: Faulty, small_repository: Path, write: Write
) -> None:
    run_all(pipeline)
    embedder.asked.clear()
    write(small_repository, {"web/package.json": '{"name": "storefront", "private": true}\n'})
    run_all(pipeline)
    assert_complete(pipeline)
    for table in (pipeline.store.chunks, pipeline.store.vectors):
        names = table.read(["subproject_name"], "file_path = 'web/getUserName.ts'")["subproject_name"].to_pylist()
        assert set(names) == {"storefront"}
    assert [text for text in embedder.asked if "getUserName" in text] == []
    hits = search(pipeline.store, embedder, "user", filters=SearchFilter(subproject="storefront"))
    assert "web/getUserName.ts" in {hit.file_path for hit in hits}


def test_equal_texts_are_embedded_once(pipeline: Pipeline, embedder: Faulty, small_repository: Path) -> None:
    run_all(pipeline)
    embedder.asked.clear()
    assert pipeline.embed(force=True).error is None
    assert len(embedder.asked) == len(set(embedder.asked))


def test_a_file_that_cannot_be_parsed_fails_alone(
    pipeline: Pipeline, small_repository: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(small_repository, {"Bomb.java": "a<" * 12_000})
    monkeypatch.setenv("CODE_INDEX_PARSE_MEMORY_BYTES", str(256 << 20))
    with Pipeline(pipeline.folder, embedder=GivenEmbedder()) as limited:
        limited.scan()
        result = limited.parse()
        assert result.partial
        assert "Bomb.java" in (result.error or "")
        assert [item.file_path for item in failed_files(limited.store)] == ["Bomb.java"]
        assert limited.store.files.counts()["parsed"] == 4
        keys = set(limited.instance.get_dynamic_partitions("file_hash"))
        missing = keys - set(limited.instance.get_materialized_partitions(PARSED))
        assert [key.split(":")[1] for key in missing] == ["Bomb.java"]
        status = limited.instance.get_status_by_partition(PARSED, sorted(keys), _partitions_of(limited))
        assert {key for key, value in (status or {}).items() if value.value == "FAILED"} == missing

        assert limited.parse().partitions == 0, "a failure that lasts is not tried again by itself"
        assert limited.parse(retry_failed=True).partitions == 1
        write(small_repository, {"Bomb.java": "class A {\n  int a() {\n    return 1;\n  }\n}\n"})
        run_all(limited)
        assert_complete(limited)


def test_a_file_whose_grammar_is_too_slow_is_found_as_text_and_says_so(
    pipeline: Pipeline,
    small_repository: Path,
    embedder: Faulty,
    write: Write,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(small_repository, {"Bomb.java": "// quagga\n" + "a<" * 12_000})
    monkeypatch.setenv("CODE_INDEX_PARSE_TIMEOUT_S", "1")
    with Pipeline(pipeline.folder, embedder=GivenEmbedder()) as limited:
        run_all(limited)
        assert_complete(limited)
        (file,) = limited.store.files.read(where="file_path = 'Bomb.java'").to_pylist()
        assert (file["status"], file["language"]) == ("parsed", "java")
        assert file["reason"] == "cut as plain text: its grammar took longer than parse_timeout_s = 1 s"
        assert search(limited.store, embedder, "quagga", mode=SearchMode.LEXICAL)[0].file_path == "Bomb.java"

        write(small_repository, {"Bomb.java": "class A {\n  int a() {\n    return 1;\n  }\n}\n"})
        run_all(limited)
        (file,) = limited.store.files.read(where="file_path = 'Bomb.java'").to_pylist()
        assert (file["status"], file["reason"]) == ("parsed", None)


def _partitions_of(pipeline: Pipeline) -> dg.PartitionsDefinition:
    return partitions_definition(UNNAMED, "parsed_chunks")


def test_a_poisoned_text_fails_alone_and_recovers_when_the_file_is_edited(
    pipeline: Pipeline, embedder: Faulty, small_repository: Path, write: Write
) -> None:
    embedder.fault = refusing("def greet")
    pipeline.scan()
    pipeline.parse()
    result = pipeline.embed()
    assert result.partial
    [chunk] = failed_chunks(pipeline.store, embedder.model_id)
    assert (chunk.file_path, chunk.qualified_name, chunk.reason) == (
        "app/greeting.py",
        "greet",
        "the text contains 'def greet'",
    )
    counts = pipeline.store.statuses.count(embedder.model_id)
    assert counts["error"] == 1
    assert counts["complete"] == pipeline.store.chunks.count() - 1
    assert pipeline.embed().partitions == 0
    source = (small_repository / "app/greeting.py").read_text()
    write(small_repository, {"app/greeting.py": source.replace("def greet(", "def salute(")})
    run_all(pipeline)
    assert failed_chunks(pipeline.store, embedder.model_id) == []
    assert_complete(pipeline)


def test_a_repaired_model_recovers_failed_chunks_on_request(pipeline: Pipeline, embedder: Faulty) -> None:
    embedder.fault = refusing("def greet")
    pipeline.scan()
    pipeline.parse()
    assert pipeline.embed().partial
    embedder.fault = None
    embedder.asked.clear()
    assert pipeline.embed(retry_failed=True).error is None
    assert len(embedder.asked) == 1
    assert_complete(pipeline)


def test_words_are_found_before_any_vector_exists(pipeline: Pipeline, embedder: Faulty) -> None:
    pipeline.scan()
    pipeline.parse()
    for query in ("get user name", "getUserName", "get_user_name"):
        hits = search(pipeline.store, embedder, query)
        assert hits[0].file_path == "web/getUserName.ts", query
    assert search(pipeline.store, embedder, "increment", mode=SearchMode.SEMANTIC) == []


def test_search_never_returns_a_version_that_is_not_current(
    pipeline: Pipeline, embedder: Faulty, small_repository: Path, write: Write
) -> None:
    run_all(pipeline)
    write(small_repository, {"app/greeting.py": "def unrelated() -> None:\n    pass\n"})
    pipeline.scan()
    assert all(hit.file_path != "app/greeting.py" for hit in search(pipeline.store, embedder, "greet a person"))


def test_a_lost_dagster_history_is_written_again_without_parsing_or_embedding(
    pipeline: Pipeline, embedder: Faulty
) -> None:
    run_all(pipeline)
    home = pipeline.folder.dagster_home
    pipeline.instance.dispose()
    shutil.rmtree(home)
    embedder.asked.clear()
    parsed_at = pipeline.store.files.read(["parsed_at"])["parsed_at"].to_pylist()
    with Pipeline(pipeline.folder, embedder=GivenEmbedder()) as again:
        run_all(again)
        assert_complete(again)
        assert again.store.files.read(["parsed_at"])["parsed_at"].to_pylist() == parsed_at
    assert embedder.asked == []


def test_lost_tables_are_filled_again_whatever_the_history_says(pipeline: Pipeline) -> None:
    run_all(pipeline)
    shutil.rmtree(pipeline.folder.tables_dir)
    with Pipeline(pipeline.folder, embedder=GivenEmbedder()) as again:
        run_all(again)
        assert_complete(again)


def test_a_vanished_repository_is_an_error_and_changes_nothing(pipeline: Pipeline, small_repository: Path) -> None:
    run_all(pipeline)
    chunks = pipeline.store.chunks.count()
    for path in small_repository.iterdir():
        if path.name != ".code-index":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    result = pipeline.scan()
    assert "is empty" in (result.error or "")
    assert pipeline.store.chunks.count() == chunks


def test_awkward_names_are_indexed_and_found(
    pipeline: Pipeline, embedder: Faulty, small_repository: Path, write: Write
) -> None:
    names = [
        "a b/it's.py",
        'quo"te.py',
        "pages/[...slug].tsx",
        "new\nline.py",
        "100%.py",
        "-- drop.py",
        "ünï.py",
        "a,b*.py",
    ]
    write(
        small_repository,
        {
            name: f"export const f{i} = 1;\n" if name.endswith("tsx") else f"def f{i}():\n    return {i}\n"
            for i, name in enumerate(names)
        },
    )
    run_all(pipeline)
    assert_complete(pipeline)
    for index, name in enumerate(names):
        assert name in {hit.file_path for hit in search(pipeline.store, embedder, f"f{index}", limit=50)}, name


def test_status_counts_agree_with_the_tables(pipeline: Pipeline, embedder: Faulty) -> None:
    pipeline.scan()
    pipeline.parse()
    half = read_status(pipeline.index, embedder.model_id)
    assert half.chunks["pending"] == pipeline.store.chunks.count()
    assert "resume" in half.next_step
    pipeline.embed()
    full = read_status(pipeline.index, embedder.model_id)
    assert full.chunks["complete"] == pipeline.store.chunks.count()
    assert full.pending_batches == 0
    assert full.files["parsed"] == 4
    assert "search" in full.next_step
    assert throughput(pipeline.index)["chunk_vectors.chunks_per_s"] > 0


def test_vectors_say_which_model_made_them_and_when(pipeline: Pipeline, embedder: Faulty) -> None:
    run_all(pipeline)
    rows = pipeline.store.vectors.read(["vector", "embedding_model", "embedded_at"]).to_pylist()
    assert {row["embedding_model"] for row in rows} == {embedder.model_id}
    assert all(row["embedded_at"] is not None for row in rows)
    norms = [np.linalg.norm(row["vector"]) for row in rows]
    assert np.allclose(norms, 1, atol=1e-3)


def test_pending_keys_that_lie_apart_become_one_run(pipeline: Pipeline, small_repository: Path, write: Write) -> None:
    write(small_repository, {f"m{i}.py": f"def f{i}():\n    return {i}\n" for i in range(6)})
    run_all(pipeline)
    runs = len(pipeline.instance.get_runs())
    old = sorted(pipeline.store.files.read(["file_path"])["file_path"].to_pylist())
    for index in (0, 3, 5):  # touched so that their keys stay: their chunks vanish from the table
        pipeline.store.chunks.delete_by_file([f"m{index}.py"])
    result = pipeline.parse()
    assert (result.partitions, result.error) == (3, None)
    assert len(pipeline.instance.get_runs()) == runs + 1
    assert sorted(pipeline.store.files.read(["file_path"])["file_path"].to_pylist()) == old
    assert pipeline.embed().error is None
    assert_complete(pipeline)


def test_the_records_of_two_files_share_a_page_of_their_database(pipeline: Pipeline) -> None:
    run_all(pipeline)
    with pipeline.instance.event_log_storage.index_connection() as connection:  # type: ignore[attr-defined]
        found = connection.exec_driver_sql(
            "SELECT length(event) FROM event_logs WHERE dagster_event_type = 'ASSET_MATERIALIZATION' "
            "AND asset_key IN ('[\"parsed_chunks\"]', '[\"references\"]') ORDER BY 1"
        )
        lengths = [length for (length,) in found]
    assert len(lengths) > 4
    assert lengths[-2] < 1_800, "a page has 4,096 bytes; the newest event has the figures of its run as well"


def test_dagster_shows_partitions_as_stale_when_the_chunker_or_the_model_changed_and_only_then(
    small_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dagster._core.definitions.data_version import CachingStaleStatusResolver
    from dagster._core.loader import LoadingContextForTest

    from indexing_assets.definitions import build_defs
    from resources.index_resource import IndexResource

    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")

    def stale(pipeline: Pipeline) -> dict[str, set[str]]:
        index = IndexResource(repository_root=str(small_repository))
        graph = build_defs({"index": index}, indexes=[UNNAMED]).get_repository_def().asset_graph
        resolver = CachingStaleStatusResolver(pipeline.instance, graph, LoadingContextForTest(pipeline.instance))
        return {
            asset.to_user_string(): {
                cause.reason
                for key in pipeline.instance.get_dynamic_partitions(definition)
                for cause in resolver.get_stale_causes(asset, key)
            }
            for asset, definition in ((PARSED, "file_hash"), (VECTORS, "embedding_batch"))
        }

    with Pipeline(resolve_index_folder(small_repository)) as pipeline:
        run_all(pipeline)
        assert pipeline.scan().error is None
        assert stale(pipeline) == {"parsed_chunks": set(), "chunk_vectors": set()}
        monkeypatch.setenv("CODE_INDEX_MAX_CHUNK_CHARACTERS", "1500")
        assert stale(pipeline) == {"parsed_chunks": {"has a new code version"}, "chunk_vectors": set()}
        monkeypatch.setenv("CODE_INDEX_MAX_TOKENS", "64")
        assert stale(pipeline)["chunk_vectors"] == {"has a new code version"}


@pytest.mark.parametrize("dropped", [True, False], ids=["a chunk is dropped meanwhile", "nobody writes chunks"])
def test_vectors_follow_what_happened_to_chunks_while_they_were_embedded(
    pipeline: Pipeline, embedder: Faulty, monkeypatch: pytest.MonkeyPatch, dropped: bool
) -> None:
    pipeline.scan()
    pipeline.parse()
    embed, sync = embedder.embed_documents_detailed, VectorSync.vectors
    syncs: list[object] = []

    def beside_a_writer(texts, names, **options) -> EmbeddingResult:
        if dropped:
            IndexStore(pipeline.folder.tables_dir).chunks.delete_by_file(["settings.toml"])
        return embed(texts, names, **options)

    monkeypatch.setattr(embedder, "embed_documents_detailed", beside_a_writer)
    monkeypatch.setattr(VectorSync, "vectors", lambda *args, **named: syncs.append(args) or sync(*args, **named))
    result = pipeline.embed()
    assert result.error is None
    store = pipeline.store
    chunk_ids = set(store.chunks.read(["chunk_id"])["chunk_id"].to_pylist())
    assert set(store.vectors.read(["chunk_id"])["chunk_id"].to_pylist()) == chunk_ids
    # Comparing both tables whole costs a second for 261,000 rows.
    assert len(syncs) == (2 if dropped else 1)


def test_a_large_update_keeps_the_word_index_up_while_it_runs_and_a_first_index_does_not(
    small_repository: Path, monkeypatch: pytest.MonkeyPatch, write: Write
) -> None:
    monkeypatch.setenv("CODE_INDEX_PARSE_CHECKPOINT_FILES", "1")
    monkeypatch.setattr(compaction, "_FIRST_COMPACTION_S", 0.0)
    monkeypatch.setattr(compaction, "_SHARE", 0.0)
    kept: list[int] = []
    monkeypatch.setattr(compaction, "compact_due", lambda store, _, **__: kept.append(store.chunks.count()))
    with Pipeline(resolve_index_folder(small_repository), embedder=GivenEmbedder()) as pipeline:
        run_all(pipeline)
        assert kept == []
        write(small_repository, {f"more/m{number}.py": f"def f{number}(): pass\n" for number in range(5)})
        assert pipeline.scan().error is None
        assert pipeline.parse().error is None
    assert len(set(kept)) > 1, "it was not kept up between commits"


def test_words_that_a_run_left_outside_of_their_index_are_added_by_the_next_one_even_if_nothing_is_to_be_parsed(
    small_repository: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Pipeline(resolve_index_folder(small_repository), embedder=GivenEmbedder()) as pipeline:
        run_all(pipeline)
        many = "".join(f"def added_{number}():\n    return {number}\n\n\n" for number in range(2_100))
        write(small_repository, {"more.py": many})
        assert pipeline.scan().error is None
        with monkeypatch.context() as patch:  # as if the run were killed where it begins to bring indexes up to date
            patch.setattr(parsed_chunks, "compact_due", raise_killed)
            assert pipeline.parse().error is not None
        upkeep = pipeline.store.upkeep
        assert (upkeep.unindexed_rows("chunks", "search_text") or 0) > MOST_OUTSIDE_WORD_INDEX
        run_all(pipeline)
        assert upkeep.unindexed_rows("chunks", "search_text") == 0


def raise_killed(*_: object) -> None:
    raise RuntimeError("killed")


def test_a_file_that_is_edited_or_deleted_while_its_run_is_under_way_fails_nothing(
    pipeline: Pipeline, small_repository: Path, write: Write
) -> None:
    def keys() -> dict[str, str]:
        return {key.partition(":")[2]: key for key in pipeline.instance.get_dynamic_partitions("file_hash")}

    run_all(pipeline)
    write(small_repository, {"app/greeting.py": "def first_edit():\n    return 1\n", "new.py": "NEW = 1\n"})
    assert pipeline.scan().error is None
    scanned = keys()
    write(small_repository, {"app/greeting.py": "def second_edit():\n    return 2\n"})
    (small_repository / "new.py").rename(small_repository / "renamed.py")
    result = pipeline.parse()

    assert result.error is None
    assert pipeline.changed_since_scan()
    assert result.run_id is not None
    gone = {scanned["app/greeting.py"], scanned["new.py"]}
    assert not gone & pipeline.instance.get_materialized_partitions(PARSED)
    status = pipeline.instance.get_status_by_partition(PARSED, sorted(gone), _partitions_of(pipeline))
    assert set((status or {}).values()) == {None}, "neither failed nor under way"
    events = [entry for entry in pipeline.instance.all_logs(result.run_id) if entry.dagster_event is not None]
    observed = {
        entry.dagster_event.asset_observation_data.asset_observation.partition: entry
        for entry in events
        if entry.dagster_event_type is dg.DagsterEventType.ASSET_OBSERVATION
    }
    assert observed.keys() == gone
    metadata = observed[scanned["new.py"]].dagster_event.asset_observation_data.asset_observation.metadata
    assert "superseded" in metadata["state"].value
    assert "gone" in metadata["reason"].value

    run_all(pipeline)
    assert not gone & set(keys().values())
    assert keys().keys() >= {"app/greeting.py", "renamed.py"}
    assert_complete(pipeline)


def test_a_file_that_is_edited_back_is_parsed_without_a_scan(
    pipeline: Pipeline, small_repository: Path, write: Write
) -> None:
    assert pipeline.scan().error is None
    (small_repository / "docs/guide.md").rename(small_repository / "docs/away.md")
    assert pipeline.parse().error is None
    (small_repository / "docs/away.md").rename(small_repository / "docs/guide.md")
    assert pipeline.parse().partitions == 1
    assert not pipeline.changed_since_scan()
