"""Each check passes on a whole index, fails on the damage that it guards against, and names the fix."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from code_index.core.errors import ModelError, UsageError
from code_index.embedding.deterministic import DeterministicEmbedder
from code_index.index.folder import resolve_index_folder
from code_index.tables.schemas import CHUNKS, FILES, vectors
from indexing_assets.checks import CHECKS, CheckOutcome, Severity, Subject, checks_of, evaluate
from indexing_assets.checks import per_run as phases
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.index_names import PARSED_CHUNKS, UNNAMED
from indexing_assets.runs.partitions import range_tags
from tests.fakes import Faulty, GivenEmbedder, give, obstruct, refusing
from tests.indexed_copies import copy_indexed

GREETING = "file_path = 'app/greeting.py'"
GREET = f"{GREETING} AND qualified_name = 'greet'"
STALE = {"stored_chunks_are_of_the_current_chunker"}
_BATCH_CHUNKS = "3"


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory, make_small_repository: Callable[[Path], Path]) -> Path:
    """A repository with a whole index of several batches, which tests copy."""
    root = make_small_repository(tmp_path_factory.mktemp("indexed") / "repository")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CODE_INDEX_EMBEDDING_BATCH_CHUNKS", _BATCH_CHUNKS)
        for name in ("CODE_INDEX_REPOSITORY", "CODE_INDEX_DIR", "DAGSTER_HOME"):
            patch.delenv(name, raising=False)
        with Pipeline(resolve_index_folder(root), embedder=GivenEmbedder()) as pipeline:
            assert [r.error for r in (pipeline.scan(), pipeline.parse(), pipeline.embed())] == [None] * 3
    return root


@pytest.fixture
def pipeline(indexed: Path, tmp_path: Path) -> Iterator[Pipeline]:
    """An index of one's own to damage."""
    give(Faulty())
    root = copy_indexed(indexed, tmp_path / "repository")
    with Pipeline(resolve_index_folder(root), embedder=GivenEmbedder()) as opened:
        yield opened


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phases, "SETTLE_S", 0.0)


@pytest.fixture(autouse=True)
def one_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE_INDEX_PARSE_WORKERS", "1")


def subject(pipeline: Pipeline, **options) -> Subject:
    return Subject(
        replace(pipeline.index, settings=pipeline.folder.settings()),
        encoder=DeterministicEmbedder,
        **options,
    )


def outcomes(pipeline: Pipeline, **options) -> dict[str, CheckOutcome]:
    return {outcome.name: outcome for outcome in evaluate(subject(pipeline, **options))}


def outcome_of(pipeline: Pipeline, name: str, **options) -> CheckOutcome:
    return CHECKS[name](subject(pipeline, **options))


def failed(pipeline: Pipeline, **options) -> dict[str, CheckOutcome]:
    return {name: outcome for name, outcome in outcomes(pipeline, **options).items() if not outcome.passed}


def follow(pipeline: Pipeline, outcome: CheckOutcome) -> None:
    """Do what the outcome says, through the pipeline."""
    commands = [part for text in re.findall(r"`([^`]+)`", outcome.description) for part in text.split(" && ")]
    followed = 0
    for command in map(shlex.split, commands):
        match command:
            case ["rm", "-r", folder]:
                assert Path(folder).is_relative_to(pipeline.folder.tables_dir)
                shutil.rmtree(folder)
            case ["code-index", "index", "--phase", "parse", "--force"]:
                assert pipeline.scan().error is None
                assert pipeline.parse(force=True).error is None
            case ["code-index", "index", "--phase", "embed", "--force"]:
                assert pipeline.embed(force=True).error is None
            case ["code-index", "index" | "resume", *flags]:
                assert set(flags) <= {"--verify", "--failed"}
                retry = "--failed" in flags
                assert pipeline.scan(verify="--verify" in flags).error is None
                assert pipeline.parse(retry_failed=retry).error is None
                assert pipeline.embed(retry_failed=retry).error is None
            case ["dagster", "job", "execute", "-m", "indexing_assets.definitions", "-j", job]:
                done = pipeline._definitions.resolve_job_def(job).execute_in_process(instance=pipeline.instance)
                assert done.success
            case ["code-index", "status", "--failed"] | ["force:", "true"]:
                continue
            case _:
                raise AssertionError(f"{outcome.name} names {command}, which this test does not know")
        followed += 1
    assert followed, f"{outcome.name} names no command: {outcome.description}"


def change(pipeline: Pipeline, table: str, where: str, **values) -> None:
    """Overwrite columns of rows behind the store's back; values are SQL."""
    assert pipeline.store.tables.count(table, where)
    pipeline.store.tables.run(table, lambda rows: rows.update(where=where, values_sql=values))


def add(pipeline: Pipeline, table: str, rows: pa.Table) -> None:
    """Append rows, whatever their keys."""
    assert rows.num_rows
    pipeline.store.tables.run(table, lambda handle: handle.add(rows))


def remove(pipeline: Pipeline, table: str, where: str) -> None:
    assert pipeline.store.tables.delete(table, where)


def key_of(pipeline: Pipeline, path: str) -> str:
    return pipeline.store.files.read(["partition_key"], f"file_path = '{path}'")["partition_key"][0].as_py()


def chunk_row(pipeline: Pipeline, **values) -> pa.Table:
    row = pipeline.store.chunks.read(where=GREET).to_pylist()[0]
    return pa.Table.from_pylist([{**row, **values}], schema=CHUNKS)


def vector_row(pipeline: Pipeline, **values) -> pa.Table:
    rows = pipeline.store.vectors.read(where=GREETING)
    return pa.Table.from_pylist([{**rows.to_pylist()[0], **values}], schema=vectors(64))


def lose_a_partition_key(pipeline: Pipeline) -> None:
    pipeline.instance.delete_dynamic_partition("file_hash", key_of(pipeline, "app/greeting.py"))


def keep_a_key_of_a_lost_file(pipeline: Pipeline) -> None:
    pipeline.instance.add_dynamic_partitions("file_hash", ["0123456789ab:gone.py"])


def keep_a_chunk_of_a_lost_file(pipeline: Pipeline) -> None:
    add(pipeline, "chunks", chunk_row(pipeline, chunk_id="c" * 32, file_path="gone.py", qualified_name="gone"))


def keep_a_vector_of_a_lost_file(pipeline: Pipeline) -> None:
    add(pipeline, "vectors", vector_row(pipeline, chunk_id="c" * 32, file_path="gone.py"))


def keep_chunks_of_an_older_version(pipeline: Pipeline) -> None:
    change(pipeline, "chunks", GREETING, file_hash=f"'{'0' * 64}'")


def keep_chunks_of_an_older_version_of_a_file_without_chunks(pipeline: Pipeline) -> None:
    keep_chunks_of_an_older_version(pipeline)
    change(pipeline, "files", GREETING, chunk_count="0")


def lose_a_reference(pipeline: Pipeline) -> None:
    remove(pipeline, "references", f"{GREETING} AND name = 'greet'")


def lose_a_chunk(pipeline: Pipeline) -> None:
    remove(pipeline, "chunks", GREET)


def double_a_chunk(pipeline: Pipeline) -> None:
    add(pipeline, "chunks", chunk_row(pipeline))


def lose_a_batch_key(pipeline: Pipeline) -> None:
    pipeline.instance.delete_dynamic_partition("embedding_batch", "00000001")


def lose_a_batch_number(pipeline: Pipeline) -> None:
    change(pipeline, "chunks", GREET, embedding_batch_id="NULL")


def keep_a_vector_of_a_lost_chunk(pipeline: Pipeline) -> None:
    add(pipeline, "vectors", vector_row(pipeline, chunk_id="c" * 32))


def double_a_vector(pipeline: Pipeline) -> None:
    add(pipeline, "vectors", vector_row(pipeline))


def _replace_a_vector(pipeline: Pipeline, made: Callable[[list[float]], list[float]]) -> None:
    row = vector_row(pipeline).to_pylist()[0]
    rows = pa.Table.from_pylist([{**row, "vector": made(row["vector"])}], schema=vectors(64))
    pipeline.store.tables.merge("vectors", vectors(64), rows, keys=["chunk_id"])


def shorten_a_vector(pipeline: Pipeline) -> None:
    _replace_a_vector(pipeline, lambda vector: [component / 2 for component in vector])


def spoil_a_vector(pipeline: Pipeline) -> None:
    # LanceDB itself refuses NaN; infinity it stores.
    _replace_a_vector(pipeline, lambda vector: [float("inf"), *vector[1:]])


def mix_models(pipeline: Pipeline) -> None:
    change(pipeline, "vectors", GREETING, embedding_model="'another'")


def forget_parsing(pipeline: Pipeline) -> None:
    pipeline.instance.wipe_assets([dg.AssetKey("parsed_chunks")])


def forget_embedding(pipeline: Pipeline) -> None:
    pipeline.instance.wipe_assets([dg.AssetKey("chunk_vectors")])


def lose_the_chunks_of_a_file(pipeline: Pipeline) -> None:
    pipeline.store.chunks.delete_by_file(["app/greeting.py"])


def lose_all_vectors(pipeline: Pipeline) -> None:
    pipeline.store.vectors.drop()


def fail_at_a_chunk(pipeline: Pipeline) -> None:
    give(Faulty(refusing("def greet")))
    pipeline.store.vectors.drop()
    assert pipeline.embed().partial
    give(Faulty())


def fail_at_a_file(pipeline: Pipeline) -> None:
    passing = pipeline.folder.repository_root / "passing.py"
    passing.write_text("def passing():\n    return 1\n")
    pipeline.scan()
    obstruct(passing)
    assert pipeline.parse().partial


def lose_the_text_index(pipeline: Pipeline) -> None:
    def drop(table):
        [name] = [index.name for index in table.list_indices() if list(index.columns) == ["search_text"]]
        table.drop_index(name)

    pipeline.store.tables.run("chunks", drop)


def lose_the_words(pipeline: Pipeline) -> None:
    change(pipeline, "chunks", "true", search_text="'nothing'")


def change_a_file_unseen(pipeline: Pipeline) -> None:
    path = pipeline.folder.repository_root / "app/greeting.py"
    status = path.stat()
    path.write_text(path.read_text().replace("hello", "ahoi!"))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


Damage = Callable[[Pipeline], None]
# Damage, the checks that must fail, and what the one named first must say of the culprit.
CASES: list[tuple[Damage, set[str], str, str]] = [
    (lose_a_partition_key, set(), "every_indexed_file_has_its_partition", "app/greeting.py"),
    (keep_a_key_of_a_lost_file, set(), "every_indexed_file_has_its_partition", "partition 0123456789ab:gone.py"),
    (
        keep_a_chunk_of_a_lost_file,
        {"every_chunk_has_its_vector"},
        "no_rows_of_files_that_are_gone",
        "gone.py",
    ),
    (keep_a_vector_of_a_lost_file, {"every_vector_has_its_chunk"}, "no_rows_of_files_that_are_gone", "gone.py"),
    (
        keep_chunks_of_an_older_version,
        {"stored_chunks_match_the_manifest", "records_agree_with_the_tables"},
        "no_rows_of_files_that_are_gone",
        "app/greeting.py (an older version)",
    ),
    (
        keep_chunks_of_an_older_version_of_a_file_without_chunks,
        set(),
        "no_rows_of_files_that_are_gone",
        "app/greeting.py (an older version)",
    ),
    (lose_a_chunk, {"every_vector_has_its_chunk"}, "stored_chunks_match_the_manifest", "app/greeting.py"),
    (lose_a_reference, set(), "stored_references_match_the_manifest", "app/greeting.py ("),
    (double_a_chunk, {"stored_chunks_match_the_manifest"}, "chunk_ids_are_unique", "app/greeting.py:4 greet"),
    (lose_a_batch_key, set(), "every_chunk_has_a_batch_with_a_partition", "batch 00000001"),
    (lose_a_batch_number, set(), "every_chunk_has_a_batch_with_a_partition", "app/greeting.py:4 greet"),
    (keep_a_vector_of_a_lost_chunk, set(), "every_vector_has_its_chunk", "c" * 32),
    (double_a_vector, set(), "no_chunk_has_two_vectors", "app/greeting.py:"),
    (shorten_a_vector, set(), "vectors_are_finite_and_of_unit_length", "length 0.5, batch 0000000"),
    (spoil_a_vector, set(), "vectors_are_finite_and_of_unit_length", "length inf"),
    (
        mix_models,
        {"every_chunk_has_its_vector", "stored_vectors_are_of_the_current_model"},
        "one_model_per_table",
        "another (",
    ),
    (forget_parsing, set(), "records_agree_with_the_tables", "parsed, but not recorded"),
    (forget_embedding, set(), "records_agree_with_the_tables", "embedded, but not recorded"),
    (
        lose_the_chunks_of_a_file,
        {"stored_chunks_match_the_manifest", "every_vector_has_its_chunk"},
        "records_agree_with_the_tables",
        "app/greeting.py (recorded, but without rows)",
    ),
    (lose_all_vectors, {"records_agree_with_the_tables"}, "every_chunk_has_its_vector", "pending, 0 failed"),
    (fail_at_a_chunk, {"every_chunk_has_its_vector"}, "no_partition_is_left_failed", "app/greeting.py:4 greet: the"),
    (fail_at_a_file, {"source_matches_the_manifest"}, "no_partition_is_left_failed", "passing.py: "),
    (lose_the_text_index, set(), "search_indexes_are_current", "chunks.search_text (no index over"),
    (lose_the_words, set(), "searching_finds_what_is_indexed", "(by its words)"),
    (change_a_file_unseen, set(), "source_matches_the_manifest", "app/greeting.py (another content)"),
]


@pytest.mark.parametrize(
    ("damage", "others", "name", "culprit"), CASES, ids=[f"{case[0].__name__}-{case[2]}" for case in CASES]
)
def test_a_damage_fails_its_check_and_the_command_that_it_names_mends_it(
    pipeline: Pipeline, damage: Damage, others: set[str], name: str, culprit: str
) -> None:
    damage(pipeline)
    found = failed(pipeline)
    assert found.keys() == {name, *others}
    outcome = found[name]
    assert culprit in outcome.description
    assert outcome.count >= len(outcome.culprits) > 0
    follow(pipeline, outcome)
    after = outcome_of(pipeline, name)
    assert after.passed, after.description


def test_other_checks_that_a_damage_fails_name_it_too(pipeline: Pipeline) -> None:
    mix_models(pipeline)
    assert "vectors of another" in outcome_of(pipeline, "stored_vectors_are_of_the_current_model").description
    lose_all_vectors(pipeline)
    rowless = outcome_of(pipeline, "records_agree_with_the_tables").description
    assert "batch 00000001 (recorded, but without vectors)" in rowless
    fail_at_a_chunk(pipeline)
    late = outcome_of(pipeline, "every_chunk_has_its_vector")
    assert "greet (the text contains 'def greet')" in late.description
    assert "0 pending, 1 failed" in late.description
    assert late.severity is Severity.WARNING


def test_every_check_passes_on_a_whole_index(pipeline: Pipeline) -> None:
    found = outcomes(pipeline)
    assert list(found) == list(CHECKS)
    assert {name: outcome.description for name, outcome in found.items() if not outcome.passed} == {}
    assert all(outcome.count == 0 and not outcome.culprits for outcome in found.values())
    figures = {name: dict(outcome.figures) for name, outcome in found.items()}
    chunks = pipeline.store.chunks.count()
    assert figures["chunk_ids_are_unique"] == {"chunks": chunks, "repeated": 0}
    assert figures["vectors_are_finite_and_of_unit_length"]["vectors_read"] == chunks
    assert figures["tables_can_be_read"]["vectors_rows"] == chunks
    assert figures["source_matches_the_manifest"]["files_read"] == 4
    assert figures["searching_finds_what_is_indexed"]["probes"] > 2
    assert figures["searching_finds_what_is_indexed"]["semantic_ms"] > 0
    assert figures["every_chunk_has_a_batch_with_a_partition"]["batches"] > 1


def test_every_damage_that_has_a_check_is_tried() -> None:
    tried = {case[2] for case in CASES}
    with_tests_of_their_own = {
        "libraries_hold_the_vectors_of_their_texts",
        "tables_can_be_read",
        "stored_chunks_are_of_the_current_chunker",
        "stored_vectors_are_of_the_current_model",
    }
    assert CHECKS.keys() - tried == with_tests_of_their_own


def test_an_index_that_was_never_filled_passes_with_figures_of_zero(
    small_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Pipeline(resolve_index_folder(small_repository), embedder=GivenEmbedder()) as empty:
        found = outcomes(empty)
        manifest = found.pop("source_matches_the_manifest")
        assert {name for name, outcome in found.items() if not outcome.passed} == set()
        assert {value for outcome in found.values() for value in outcome.figures.values()} <= {0}
        assert manifest.count == 4, "none of the files was seen by a scan"

        assert empty.scan().error is None
        assert failed(empty) == {}, "what is pending is no fault"

        assert empty.parse().error is None
        assert failed(empty).keys() == {"every_chunk_has_its_vector"}


def test_a_manifest_without_its_other_tables_is_a_fault(pipeline: Pipeline) -> None:
    shutil.rmtree(pipeline.store.tables.path("chunks"))
    found = failed(pipeline)
    assert found.keys() >= {"stored_chunks_match_the_manifest", "records_agree_with_the_tables"}
    assert found["stored_chunks_match_the_manifest"].count == 4


@pytest.mark.parametrize("table", ["chunks", "vectors", "files"])
def test_a_damaged_table_is_named_with_what_mends_it_and_fails_every_check_that_reads_it(
    pipeline: Pipeline, table: str
) -> None:
    for path in (pipeline.store.tables.path(table) / "data").glob("*.lance"):
        path.unlink()
    found = failed(pipeline)
    outcome = found.pop("tables_can_be_read")
    assert [culprit.split(" ")[0] for culprit in outcome.culprits] == [table]
    assert found, "no check may pass in silence over a table that cannot be read"
    for other in found.values():
        assert other.description.startswith("Cannot be checked: "), other
        assert other.severity is Severity.ERROR
        assert f"'{table}'" in other.description
    follow(pipeline, outcome)
    # Dropping the manifest forgets nothing that the tables and records cannot tell again.
    assert failed(pipeline) == {}


def test_a_missing_model_fails_what_needs_it_and_nothing_else(pipeline: Pipeline) -> None:
    def missing():
        raise ModelError("There is no model here. Install it.")

    subject_without = Subject(
        pipeline.index,
        encoder=missing,
    )
    found = {outcome.name: outcome for outcome in evaluate(subject_without) if not outcome.passed}
    assert found.keys() == {
        "one_model_per_table",
        "every_chunk_has_its_vector",
        "no_partition_is_left_failed",
        "searching_finds_what_is_indexed",
        "stored_vectors_are_of_the_current_model",
    }
    assert {outcome.description for outcome in found.values()} == {
        "Cannot be checked: There is no model here. Install it."
    }


def test_a_subject_without_a_model_passes_no_check_that_needs_it(pipeline: Pipeline) -> None:
    bare = Subject(pipeline.index)
    found = {outcome.name: outcome.description for outcome in evaluate(bare) if not outcome.passed}
    assert "Hand `encoder` over" in found["one_model_per_table"]


def test_other_limits_of_the_chunker_are_stale_until_the_next_index(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_INDEX_MAX_CHUNK_CHARACTERS", "300")
    with Pipeline(pipeline.folder, embedder=GivenEmbedder()) as narrow:
        found = failed(narrow)
        assert found.keys() == STALE
        [outcome] = found.values()
        assert (outcome.count, outcome.severity) == (4, Severity.WARNING)
        follow(narrow, outcome)
        assert failed(narrow) == {}


def test_files_that_are_new_or_gone_are_seen_where_all_are_read(pipeline: Pipeline) -> None:
    root = pipeline.folder.repository_root
    (root / "new.py").write_text("def new():\n    return 1\n")
    (root / "docs/guide.md").unlink()
    [outcome] = failed(pipeline).values()
    assert outcome.culprits == ("docs/guide.md (gone, or no longer indexed)", "new.py (new)")
    follow(pipeline, outcome)
    assert failed(pipeline) == {}


def test_a_sample_reads_only_as_many_files_as_it_says(pipeline: Pipeline) -> None:
    change_a_file_unseen(pipeline)
    seen = set()
    for seed in range(12):
        outcome = outcome_of(pipeline, "source_matches_the_manifest", sampled_files=1, seed=seed)
        assert outcome.figures["files_read"] == 1
        seen.add(outcome.passed)
    assert seen == {True, False}, "another file is drawn each time"
    (pipeline.folder.repository_root / "docs/guide.md").unlink()
    [gone] = [
        culprit
        for culprit in outcome_of(pipeline, "source_matches_the_manifest", sampled_files=10).culprits
        if "guide" in culprit
    ]
    assert gone == "docs/guide.md (gone. Scan again.)"


def test_what_a_queued_run_is_to_work_on_is_no_fault(pipeline: Pipeline) -> None:
    instance = pipeline.instance
    key = key_of(pipeline, "app/greeting.py")
    forget_parsing(pipeline)
    before = outcome_of(pipeline, "records_agree_with_the_tables").count
    job = pipeline._definitions.resolve_job_def("parse_chunks_job")
    run = instance.create_run_for_job(
        job, tags=range_tags([key]), asset_selection=frozenset({UNNAMED.asset_key(PARSED_CHUNKS)})
    )
    assert outcome_of(pipeline, "records_agree_with_the_tables").count == before - 1
    instance.add_dynamic_partitions("file_hash", ["0123456789ab:edited.py"])
    instance.add_run_tags(run.run_id, range_tags(["0123456789ab:edited.py"]))
    assert outcome_of(pipeline, "every_indexed_file_has_its_partition").passed


def test_a_vector_whose_chunk_a_parsing_run_just_dropped_is_no_fault(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_a_vector_of_a_lost_chunk(pipeline)

    def parsing_goes_on(seconds: float) -> None:
        remove(pipeline, "vectors", f"chunk_id = '{'c' * 32}'")

    monkeypatch.setattr(phases.time, "sleep", parsing_goes_on)
    assert outcome_of(pipeline, "every_vector_has_its_chunk").passed


def test_a_run_checks_the_vectors_of_its_batches_and_a_bounded_number_of_them(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_a_vector(pipeline)
    [bad] = outcome_of(pipeline, "vectors_are_finite_and_of_unit_length").culprits
    batch = int(bad.split("batch ")[1].rstrip(")"))
    others = [b for b in pipeline.store.statuses.batches()["embedding_batch_id"].to_pylist() if b != batch]
    name = "vectors_are_finite_and_of_unit_length"
    assert not outcome_of(pipeline, name, batch_ids=[batch]).passed
    assert outcome_of(pipeline, name, batch_ids=others).passed
    monkeypatch.setattr(phases, "_SAMPLED_VECTORS", 2)
    assert outcome_of(pipeline, name, batch_ids=[batch, *others]).figures["vectors_read"] <= 2


def test_a_run_counts_the_chunks_of_its_files(pipeline: Pipeline) -> None:
    lose_a_chunk(pipeline)
    name = "stored_chunks_match_the_manifest"
    assert outcome_of(pipeline, name, file_paths=["settings.toml"]).passed
    assert outcome_of(pipeline, name, file_paths=["settings.toml"]).figures["files"] == 1
    assert not outcome_of(pipeline, name, file_paths=["app/greeting.py"]).passed


def test_many_culprits_are_counted_and_only_some_named(pipeline: Pipeline) -> None:
    rows = [
        {"file_path": f"f{i:03d}.py", "file_hash": "0" * 64, "status": "pending", "partition_key": f"key{i}"}
        for i in range(100)
    ]
    pipeline.store.files.upsert(pa.Table.from_pylist(rows, schema=FILES))
    outcome = outcome_of(pipeline, "every_indexed_file_has_its_partition")
    assert (outcome.count, len(outcome.culprits)) == (100, 20)
    assert "f004.py and 95 more. Fix: `code-index index`" in outcome.description


def test_checks_are_chosen_by_asset_or_by_name(pipeline: Pipeline) -> None:
    by_asset = [outcome.name for outcome in evaluate(subject(pipeline), asset="source_files")]
    assert by_asset == [check.name for check in checks_of("source_files")] != []
    by_name = evaluate(subject(pipeline), names=["chunk_ids_are_unique"])
    assert [outcome.name for outcome in by_name] == ["chunk_ids_are_unique"]
    with pytest.raises(UsageError, match="no check chunk_ids_are_round"):
        list(evaluate(subject(pipeline), names=["chunk_ids_are_round"]))


def test_a_null_vector_is_not_of_unit_length(pipeline: Pipeline) -> None:
    rows = pipeline.store.vectors.read(where=GREETING)
    missing = rows.set_column(rows.schema.get_field_index("vector"), rows.schema.field("vector"), _nulls_first(rows))
    remove(pipeline, "vectors", GREETING)
    add(pipeline, "vectors", missing)
    outcome = outcome_of(pipeline, "vectors_are_finite_and_of_unit_length")
    assert outcome.count == 1
    assert "length 0, batch" in outcome.description


def _nulls_first(rows: pa.Table) -> pa.Array:
    column = rows.column("vector").combine_chunks()
    values = column.to_pylist()
    assert pc.count(column).as_py() == len(values)
    return pa.array([None, *values[1:]], column.type)
