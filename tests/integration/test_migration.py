"""`code-index migrate`: nothing of an old index is lost, nothing that it holds is embedded again."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import dagster as dg
import lancedb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver
from dagster._core.loader import LoadingContextForTest

from code_index.core.errors import MigrationError, ModelError, SettingsError, UsageError
from code_index.embedding.loader import query_embedder
from code_index.index.folder import IndexFolder, resolve_index_folder
from code_index.search.hybrid import SearchMode, search
from code_index.tables import IndexStore
from code_index.tables.lance_tables import LanceTables
from code_index.tables.sql import equals
from indexing_assets.definitions import build_defs
from indexing_assets.operations.migration import (
    dry_run,
    migrate,
    plan_migration,
    read_record,
    remove_old_index,
    roll_back,
)
from indexing_assets.operations.migration.old_index.layout import find_old_index
from indexing_assets.operations.migration.old_index.table import matrix_of
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.index_names import UNNAMED
from resources.index_resource import IndexResource
from resources.instance_config import instance_config
from tests.fakes import texts_asked
from tests.faults.harness import write_repository
from tests.old_index import OLD_ROOT, row, rows_of_repository, schema, with_vectors, write_old_index
from tests.waiting import PATIENCE_S, started

# Beside the checkout, where there is one.
_PLACES = [parent / "shared" / "fixtures" / "code_search_index.tar.gz" for parent in Path(__file__).parents[3:]]
_FIXTURE = next((place for place in _PLACES if place.exists()), _PLACES[0])


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return write_repository(tmp_path / "repository")


def taken_over(repository: Path, **options: Any) -> tuple[IndexFolder, IndexStore, Any]:
    folder = resolve_index_folder(repository)
    report = migrate(plan_migration(folder, **options))
    assert report.accounted
    return folder, IndexStore(folder.tables_dir), report


def index(folder: IndexFolder) -> tuple[dict[str, int], int]:
    """Partitions that ran by phase, and the texts that went through the model."""
    with texts_asked() as asked, Pipeline(folder) as pipeline:
        results = {"scan": pipeline.scan(), "parse": pipeline.parse(), "embed": pipeline.embed()}
        assert [result.error for result in results.values()] == [None] * 3
        return {name: result.partitions for name, result in results.items()}, len(asked)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_row_becomes_a_chunk_with_its_vector_bit_by_bit(repository: Path) -> None:
    old = write_old_index(repository)
    before = snapshot(old)
    _, store, report = taken_over(repository)

    rows = pl.DataFrame(lancedb.connect(old).open_table("code_search").to_arrow())
    chunks = pl.DataFrame(store.chunks.read(["chunk_id", "file_path", "start_line", "content"]))
    vectors = pl.DataFrame(store.vectors.read(["chunk_id", "vector"]))
    both = rows.with_columns(pl.col("file_path").str.strip_prefix(f"{OLD_ROOT}/")).join(
        chunks.join(vectors, on="chunk_id"), on=["file_path", "start_line", "content"], suffix="_new"
    )
    assert both.height == rows.height == chunks.height == report.chunks == report.vectors
    assert both["vector"].to_numpy().tobytes() == both["vector_new"].to_numpy().tobytes()
    assert report.verified_vectors > 0
    assert snapshot(old) == before


def test_an_index_of_unchanged_source_afterwards_parses_and_embeds_nothing(repository: Path) -> None:
    write_old_index(repository)
    folder, _, report = taken_over(repository)
    assert report.files == {"unchanged": 12}
    assert index(folder) == ({"scan": 1, "parse": 0, "embed": 0}, 0)


def test_only_an_edited_file_is_redone_and_only_its_new_text_embedded(
    repository: Path, write: Callable[[Path, Mapping[str, str]], None]
) -> None:
    write_old_index(repository)
    text = (repository / "module_03.py").read_text().replace("return x + 4", "return x + 40")
    write(repository, {"module_03.py": text})
    folder, store, report = taken_over(repository)
    assert report.files == {"unchanged": 11, "changed": 1}
    assert report.examples["changed"] == ["module_03.py"]
    # The old content is found until the next index.
    found = search(store, query_embedder(folder.settings().embedder), "def function_3_4 return x + 4", limit=1)
    assert found[0].file_path == "module_03.py"
    ran, embedded = index(folder)
    assert ran == {"scan": 1, "parse": 1, "embed": 1}
    assert embedded == 1
    assert store.vectors.counts() == {query_embedder(folder.settings().embedder).model_id: store.chunks.count()}


def test_a_checkout_with_other_times_is_unchanged_where_the_rows_hold_every_line(repository: Path) -> None:
    write_old_index(repository)
    for path in repository.glob("*.py"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    _, _, report = taken_over(repository)
    assert report.files == {"unchanged": 12}


def test_a_file_of_another_time_whose_lines_are_not_all_in_rows_counts_as_changed(repository: Path) -> None:
    rows = [item for item in rows_of_repository(repository) if item["function_name"] != "function_3_2"]
    write_old_index(repository, with_vectors(rows))
    os.utime(repository / "module_03.py", (1_700_000_000, 1_700_000_000))
    _, _, report = taken_over(repository)
    assert report.examples["changed"] == ["module_03.py"]


def test_rows_of_a_file_that_is_gone_are_found_until_the_next_index_removes_them(repository: Path) -> None:
    write_old_index(repository)
    (repository / "module_05.py").unlink()
    folder, store, report = taken_over(repository)
    assert report.files == {"unchanged": 11, "gone": 1}
    hits = search(store, None, "function_5_1", mode=SearchMode.LEXICAL)
    assert "module_05.py" in {hit.file_path for hit in hits}
    _, embedded = index(folder)
    assert embedded == 0
    assert store.chunks.read(["chunk_id"], "file_path = 'module_05.py'").num_rows == 0


def test_hierarchy_complexity_subprojects_and_names_come_along(
    tmp_path: Path, write: Callable[[Path, Mapping[str, str]], None]
) -> None:
    root = tmp_path / "repository"
    write(root, {"a.py": "class A:\n    def f(self):\n        pass\n"})
    path = f"{OLD_ROOT}/a.py"
    parent = row(path, "class A:\n    def f(self):\n        ...", 1, 3, chunk_type="class", class_name="A")
    child = row(
        path,
        "def f(self):\n        pass",
        2,
        3,
        class_name="A",
        function_name="f",
        parent_chunk_id=parent["id"],
        chunk_depth=1,
        cyclomatic_complexity=7,
        cognitive_complexity=5,
        max_nesting_depth=2,
        parameter_count=1,
        complexity_score=2.5,
        docstring="Does.",
        imports="import os,from a import (b, c)",
        decorators='["@x(1, 2)"]',
        return_type="int",
        subproject_name="core",
        subproject_path="packages/core",
    )
    write_old_index(root, with_vectors([{**parent, "child_chunk_ids": child["id"]}, child]))
    _, store, _ = taken_over(root)
    outer, inner = store.chunks.read(where=equals("file_path", "a.py")).sort_by("chunk_depth").to_pylist()
    assert (outer["chunk_type"], outer["qualified_name"]) == ("class", "A")
    assert outer["child_chunk_ids"] == [inner["chunk_id"]]
    assert inner["parent_chunk_id"] == outer["chunk_id"]
    assert (inner["chunk_type"], inner["qualified_name"]) == ("method", "A.f")
    assert (inner["function_name"], inner["class_name"], inner["chunk_depth"]) == ("f", "A", 1)
    assert [inner[name] for name in ("cyclomatic_complexity", "cognitive_complexity", "max_nesting_depth")] == [7, 5, 2]
    assert (inner["parameter_count"], inner["complexity_score"], inner["docstring"]) == (1, 2.5, "Does.")
    assert inner["imports"] == ["import os", "from a import (b, c)"]
    assert (inner["decorators"], inner["return_type"]) == (["@x(1, 2)"], "int")
    assert (inner["subproject_name"], inner["subproject_path"]) == ("core", "packages/core")


def test_dagster_knows_what_was_migrated_and_where_from(repository: Path) -> None:
    old = write_old_index(repository)
    folder, store, _ = taken_over(repository)
    with Pipeline(folder) as pipeline:
        instance = pipeline.instance
        keys = set(instance.get_dynamic_partitions("file_hash"))
        assert keys == set(store.files.read(["partition_key"])["partition_key"].to_pylist())
        assert instance.get_materialized_partitions(dg.AssetKey("parsed_chunks")) == keys
        batches = set(instance.get_dynamic_partitions("embedding_batch"))
        assert batches
        assert instance.get_materialized_partitions(dg.AssetKey("chunk_vectors")) == batches
        for asset in ("parsed_chunks", "chunk_vectors", "source_files"):
            event = instance.get_latest_materialization_event(dg.AssetKey(asset))
            metadata = event.asset_materialization.metadata
            assert metadata["migrated_from"].value == str(old)
            assert metadata["migrated_from_program"].value == "single-table index 2.2.21"


def test_what_was_migrated_does_not_show_as_stale_before_or_after_the_next_index(repository: Path) -> None:
    write_old_index(repository)
    folder, _, _ = taken_over(repository)
    assert stale_partitions(folder) == set()
    index(folder)
    assert stale_partitions(folder) == set()


def stale_partitions(folder: IndexFolder) -> set[tuple[str, str]]:
    graph = (
        build_defs({"index": IndexResource(repository_root=str(folder.repository_root))}, indexes=[UNNAMED])
        .get_repository_def()
        .asset_graph
    )
    with Pipeline(folder) as pipeline:
        resolver = CachingStaleStatusResolver(pipeline.instance, graph, LoadingContextForTest(pipeline.instance))
        return {
            (key, cause.reason)
            for asset, definition in (("parsed_chunks", "file_hash"), ("chunk_vectors", "embedding_batch"))
            for key in pipeline.instance.get_dynamic_partitions(definition)
            for cause in resolver.get_stale_causes(dg.AssetKey(asset), key)
        }


def test_a_dry_run_writes_nothing_and_says_what_a_migration_does(repository: Path) -> None:
    write_old_index(repository)
    before = snapshot(repository)
    planned = dry_run(plan_migration(resolve_index_folder(repository)))
    assert snapshot(repository) == before
    _, _, report = taken_over(repository)
    assert (planned.chunks, planned.vectors, planned.files) == (report.chunks, report.vectors, report.files)


def test_a_second_migration_changes_nothing(repository: Path) -> None:
    write_old_index(repository)
    _, store, first = taken_over(repository)
    versions = store.upkeep.versions()
    _, store, second = taken_over(repository)
    assert store.upkeep.versions() == versions
    assert (second.chunks, second.rows) == (first.chunks, first.rows)


def test_rollback_leaves_an_empty_index_with_its_settings_and_the_old_index(repository: Path) -> None:
    old = write_old_index(repository)
    before = snapshot(old)
    folder = resolve_index_folder(repository)
    folder.create(instance_config())
    folder.settings_path.write_text('model = "deterministic"\nmax_chunk_characters = 999\n')
    taken_over(repository)
    assert folder.settings().embedder.text_recipe == "source"
    roll_back(folder)
    assert folder.settings_path.read_text() == 'model = "deterministic"\nmax_chunk_characters = 999\n'
    assert IndexStore(folder.tables_dir).chunks.count() == 0
    assert snapshot(old) == before
    with Pipeline(folder) as pipeline:
        assert not pipeline.instance.get_dynamic_partitions("file_hash")
        assert not pipeline.instance.get_materialized_partitions(dg.AssetKey("parsed_chunks"))
    _, store, _ = taken_over(repository)
    assert store.chunks.count() == 60


def test_rollback_restores_an_old_table_that_was_lost_and_cleanup_ends_it(repository: Path) -> None:
    old = write_old_index(repository)
    folder, _, _ = taken_over(repository)
    shutil.rmtree(old / "code_search.lance")
    roll_back(folder)
    assert lancedb.connect(old).open_table("code_search").count_rows() == 60
    taken_over(repository)
    assert remove_old_index(folder) > 0
    assert find_old_index(repository) is None
    with pytest.raises(UsageError, match=r"backup .* is gone"):
        roll_back(folder)


@pytest.mark.parametrize(
    "place", ["outside", "outside/code_search.lance", "repository/link/code_search.lance", "repository/photos"]
)
def test_nothing_is_removed_or_written_where_only_a_record_says_so(repository: Path, place: str) -> None:
    write_old_index(repository)
    folder, _, _ = taken_over(repository)
    victim = repository.parent / place
    (repository.parent / "outside").mkdir()
    (repository / "link").symlink_to(repository.parent / "outside")
    victim.mkdir(exist_ok=True)
    (victim / "photo").write_text("precious")
    record = folder.tables_dir / "migration.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"table": str(victim)}))

    with pytest.raises(UsageError, match="neither removes nor restores"):
        remove_old_index(folder)
    assert (victim / "photo").read_text() == "precious"
    assert folder.backup_dir.exists()

    shutil.rmtree(victim)
    with pytest.raises(UsageError, match="neither removes nor restores"):
        roll_back(folder)
    assert not victim.exists()


def test_a_table_of_a_users_asset_outlives_a_migration_that_is_killed_and_its_rollback(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_old_index(repository)
    folder = resolve_index_folder(repository)
    folder.create(instance_config())
    LanceTables(folder.tables_dir).create("notes", pa.table({"note": ["mine"]}))
    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", renamed_except_the_staged_tables)
        with pytest.raises(KeyboardInterrupt):
            migrate(plan_migration(folder))
    taken_over(repository)
    assert notes(folder) == ["mine"]
    roll_back(folder)
    assert notes(folder) == ["mine"]
    _, store, _ = taken_over(repository)
    assert notes(folder) == ["mine"]
    assert store.chunks.count() == 60


def renamed_except_the_staged_tables(path: Path, target: Path) -> Path:
    """Rename, but end where a migration puts its tables in place."""
    if path.name == ".migration":
        raise KeyboardInterrupt
    return path.replace(target)


def notes(folder: IndexFolder) -> list[str]:
    """Rows of the table of a user's asset."""
    return lancedb.connect(folder.tables_dir).open_table("notes").to_arrow()["note"].to_pylist()


def test_an_old_table_of_which_nothing_is_known_is_never_removed(repository: Path) -> None:
    write_old_index(repository)
    folder = resolve_index_folder(repository)
    folder.create(instance_config())
    with pytest.raises(UsageError, match="does not come from a migration"):
        remove_old_index(folder)
    with pytest.raises(UsageError, match="nothing to undo"):
        roll_back(folder)


def test_an_index_that_has_chunks_is_left_alone(small_repository: Path) -> None:
    write_old_index(small_repository)
    folder = resolve_index_folder(small_repository)
    folder.create(instance_config())
    folder.settings_path.write_text('model = "deterministic"\n')
    index(folder)
    with pytest.raises(MigrationError, match="holds an index already"):
        migrate(plan_migration(folder))


# Bad input.


def refused(repository: Path, match: str, **options: Any) -> None:
    """The migration is refused, and neither the index nor the old index is touched."""
    old = find_old_index(repository)
    assert old is not None
    before = snapshot(old.folder)
    folder = resolve_index_folder(repository)
    with pytest.raises(MigrationError, match=match):
        migrate(plan_migration(folder, **options))
    assert snapshot(old.folder) == before
    assert read_record(folder) is None
    assert not list(folder.tables_dir.iterdir()) if folder.tables_dir.exists() else True


def test_missing_columns_are_refused_by_name(repository: Path) -> None:
    columns = pa.schema([field for field in schema(64) if field.name not in {"content", "start_line"}])
    write_old_index(repository, columns=columns)
    refused(repository, r"lacks the column content, start_line")


def test_vectors_of_another_dimension_than_the_model_gives_are_refused(repository: Path) -> None:
    rows = [{**item, "vector": np.ones(32, np.float32)} for item in rows_of_repository(repository)]
    write_old_index(repository, rows, columns=schema(32))
    refused(repository, r"have 32 components, those of deterministic 64.*--model")


def test_a_table_whose_files_are_missing_is_refused(repository: Path) -> None:
    old = write_old_index(repository)
    for path in (old / "code_search.lance" / "data").iterdir():
        path.unlink()
    refused(repository, "cannot be read.*damaged or half written")


def test_a_table_without_a_manifest_is_refused(repository: Path) -> None:
    old = write_old_index(repository)
    shutil.rmtree(old / "code_search.lance" / "_versions")
    refused(repository, "cannot be read.*damaged or half written")


def test_a_damaged_config_is_refused_by_name(repository: Path) -> None:
    old = write_old_index(repository)
    (old / "config.json").write_text("{")
    with pytest.raises(MigrationError, match=r"config\.json cannot be read.*--model"):
        plan_migration(resolve_index_folder(repository))


def test_a_model_folder_is_not_chosen_by_the_repository(repository: Path, tmp_path: Path) -> None:
    write_old_index(repository, model=str(tmp_path / "model"))
    refused(repository, r"config\.json says that the model .*/model.* made the vectors.*name it yourself with --model")
    with pytest.raises(ModelError, match=r"model folder .*/model does not exist"):
        plan_migration(resolve_index_folder(repository), model=str(tmp_path / "model"))


def test_an_old_index_without_small_files_is_taken_over_when_model_and_root_are_named(repository: Path) -> None:
    old = write_old_index(repository)
    (old / "config.json").unlink()
    (old / "index_metadata.json").unlink()
    with pytest.raises(MigrationError, match="does not name the embedding model"):
        plan_migration(resolve_index_folder(repository))
    refused(repository, r"60 from elsewhere.*--old-root", model="deterministic")
    _, _, report = taken_over(repository, model="deterministic", old_root=OLD_ROOT)
    assert report.files == {"unchanged": 12}
    assert len(report.notes) == 2


def test_rows_without_a_usable_vector_come_along_and_are_embedded_by_the_next_index(repository: Path) -> None:
    rows = with_vectors(rows_of_repository(repository))
    rows[0]["vector"] = None
    rows[1]["vector"] = np.full(64, np.nan, np.float32)
    rows[2]["vector"] = np.zeros(64, np.float32)
    rows[3]["vector"] = rows[3]["vector"] * 7
    # LanceDB itself refuses such vectors in a column of fixed length; `matrix_of` is tested with one below.
    write_old_index(repository, rows, columns=with_lists_of_any_length())
    folder, store, report = taken_over(repository)
    assert (report.chunks, report.vectors) == (60, 57)
    assert (report.chunks_without_vector, report.normalized_vectors) == (3, 1)
    assert index(folder) == ({"scan": 1, "parse": 0, "embed": 1}, 3)
    assert store.vectors.count() == 60


def test_keys_in_old_rows_are_masked_and_their_vectors_not_used(repository: Path) -> None:
    key = "gh" + "p_" + "Q7a9ZbX2kLm4Np8RsT1uVw3Yx5Cd6EfGhJ0i"
    rows = with_vectors(rows_of_repository(repository))
    rows[0] |= {"content": f"token = '{key}'", "docstring": f"Uses {key}.", "function_name": key, "decorators": key}
    write_old_index(repository, rows)
    _, store, report = taken_over(repository)
    assert (report.vectors, report.chunks_without_vector) == (59, 1)
    assert key not in repr(store.chunks.read().to_pylist())
    assert store.chunks.read(["content"], "qualified_name = 'masked_github_token'").num_rows == 1
    assert list(store.files.masked_keys().values()) == [{"github_token": 4}]


def test_vectors_of_uneven_length_in_a_list_column_are_told_apart(repository: Path) -> None:
    rows = with_vectors(rows_of_repository(repository))
    rows[7]["vector"] = np.ones(3, np.float32)
    write_old_index(repository, rows, columns=with_lists_of_any_length())
    _, _, report = taken_over(repository)
    assert (report.chunks, report.vectors, report.chunks_without_vector) == (60, 59, 1)


def with_lists_of_any_length() -> pa.Schema:
    return pa.schema([pa.field("vector", pa.list_(pa.float32())) if f.name == "vector" else f for f in schema(64)])


def test_vectors_that_are_null_not_finite_or_zero_are_told_apart_from_usable_ones() -> None:
    nan = float("nan")
    values = [[1.0, 2.0], None, [nan, 1.0], [0.0, 0.0], [None, 1.0], [float("inf"), 0.0], [3.0, 4.0]]
    matrix, usable = matrix_of(pa.table({"vector": pa.array(values, pa.list_(pa.float32(), 2))}), 2)
    assert usable.tolist() == [True, False, False, False, False, False, True]
    assert matrix.tolist() == [[1, 2], [0, 0], [0, 0], [0, 0], [0, 0], [0, 0], [3, 4]]


def test_duplicate_ids_lose_no_row_and_a_row_that_repeats_another_is_counted(repository: Path) -> None:
    rows = with_vectors(rows_of_repository(repository))
    rows = [{**item, "id": "same", "chunk_id": "same"} for item in rows]
    write_old_index(repository, [*rows, rows[0]])
    _, store, report = taken_over(repository)
    assert (report.rows, report.chunks, report.repeated_rows) == (61, 60, 1)
    assert "60 rows have the id of another" in report.notes[0]
    assert len(set(store.chunks.read(["chunk_id"])["chunk_id"].to_pylist())) == 60


def test_unusable_rows_and_rows_from_elsewhere_are_counted_by_reason_and_the_rest_is_taken_over(
    repository: Path,
) -> None:
    rows = rows_of_repository(repository)
    bad = [
        row("/etc/elsewhere.py", "x", 1, 1),
        row(f"{OLD_ROOT}/../out.py", "x", 1, 1),
        row("", "x", 1, 1),
        row(f"{OLD_ROOT}/module_00.py", "x", 9, 3),
        row(f"{OLD_ROOT}/module_00.py", "", 1, 1),
    ]
    write_old_index(repository, with_vectors([*rows, *bad]))
    _, _, report = taken_over(repository)
    assert (report.rows, report.chunks, report.rows_from_elsewhere) == (65, 60, 2)
    assert report.unusable_rows == {
        "no file path": 1,
        "no lines, or lines that run backwards": 1,
        "no content": 1,
    }


def test_an_empty_table_is_refused(repository: Path) -> None:
    write_old_index(repository, [])
    refused(repository, "None of the 0 rows")


def test_a_model_that_the_environment_contradicts_is_refused_before_anything_is_written(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_old_index(repository)
    monkeypatch.setenv("CODE_INDEX_TEXT_RECIPE", "full")
    with pytest.raises(SettingsError, match="CODE_INDEX_TEXT_RECIPE"):
        plan_migration(resolve_index_folder(repository))
    assert not (repository / ".code-index").exists()


def test_the_commands_find_the_old_index_offer_it_and_report(
    repository: Path, command_line: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    write_old_index(repository)
    looked = command_line("migrate", repository, "--dry-run")
    assert "60 rows: 60 chunks, 60 vectors" in looked.stdout
    assert "Nothing was written" in looked.stdout
    elsewhere = repository.parent / "elsewhere"
    offered = command_line("index", repository, "--index-dir", elsewhere)
    assert f"code-index migrate {repository}" in offered.stderr
    assert "Indexing from scratch" in offered.stderr
    done = json.loads(command_line("migrate", repository, "--json").stdout)
    assert done["chunks"] == 60
    assert "Embedding: nothing is missing." in command_line("index", repository).stdout
    kept = command_line("cleanup", repository, "--old-index", "--dry-run").stdout
    assert "code_search.lance" in kept
    assert (repository / ".mcp-vector-search" / "code_search.lance").exists()
    asked = command_line("migrate", repository, "--rollback", check=2)
    assert "Say --yes" in asked.stderr
    assert "Undone" in command_line("migrate", repository, "--rollback", "--yes").stdout
    command_line("migrate", repository)
    command_line("cleanup", repository, "--old-index", check=2)
    assert (repository / ".mcp-vector-search" / "code_search.lance").exists()
    assert "The old index is gone" in command_line("cleanup", repository, "--old-index", "--yes").stdout
    assert not (repository / ".mcp-vector-search" / "code_search.lance").exists()


@pytest.mark.parametrize(("answer", "said"), [("", "Imported"), ("n", "Parsing: 12 files")])
def test_index_asks_a_person_at_a_terminal_whether_to_take_the_old_index_over(
    repository: Path, monkeypatch: pytest.MonkeyPatch, answer: str, said: str
) -> None:
    write_old_index(repository)
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    ours, theirs = pty.openpty()
    command = (sys.executable, "-m", "indexing_assets.cli.main", "index", repository)
    with started(*command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, text=True) as process:
        os.close(theirs)
        os.write(ours, f"{answer}\n".encode())
        shown = b""
        with suppress(OSError):  # nobody has the terminal's other end any more
            while read := os.read(ours, 65_536):
                shown += read
        output, _ = process.communicate(timeout=PATIENCE_S)
    os.close(ours)
    assert process.returncode == 0, shown.decode()
    assert b"Import it now? [Y/n]" in shown
    assert said in output
    folder = resolve_index_folder(repository)
    assert (read_record(folder) is not None) == (answer == "")
    assert IndexStore(folder.tables_dir).vectors.count() == IndexStore(folder.tables_dir).chunks.count() > 0


# The real one.


@pytest.mark.model
@pytest.mark.skipif(not _FIXTURE.exists(), reason=f"{_FIXTURE} is not there")
def test_a_real_index_comes_along_whole_and_is_found_by_meaning(tmp_path: Path) -> None:
    root = tmp_path / "flask"
    root.mkdir()
    with tarfile.open(_FIXTURE) as archive:
        members = [member for member in archive if ".mcp-vector-search" in member.name]
        archive.extractall(root, members, filter="data")
    folder, store, report = taken_over(root)
    assert (report.rows, report.chunks, report.vectors) == (2006, 2006, 2006)
    assert report.files == {"gone": 201}  # the archive holds no source
    assert report.verified_vectors >= 1000
    encoder = query_embedder(folder.settings().embedder)
    # Tokens and weights are those of the old vectors: a row's own text as a query finds that row.
    rows = store.chunks.read(["chunk_id", "content", "chunk_type"], "chunk_type = 'method'").slice(0, 5).to_pylist()
    for wanted in rows:
        near = store.search.near(encoder.embed_query(wanted["content"]), model=encoder.model_id, limit=3)
        assert wanted["chunk_id"] in near["chunk_id"].to_pylist()
        assert near["score"][0].as_py() > 0.98  # int8 against float32
    hits = search(store, encoder, "where are blueprints registered")
    assert "src/flask/sansio/blueprints.py" in {hit.file_path for hit in hits}
