"""Constant change piles nothing up, and cleaning takes nothing that is needed."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from code_index.index.folder import resolve_index_folder
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.open_index import OpenIndex
from indexing_assets.upkeep import expiry
from indexing_assets.upkeep.expired_records import ExpiredRecords, run_log_count
from indexing_assets.upkeep.expiry import expire_records, find_expired
from indexing_assets.upkeep.retention import Retention
from indexing_assets.upkeep.small_batches import merge_small_batches
from tests.faults.harness import findings, fresh_state, small_steps, state, write_module, write_repository


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pipeline]:
    for name, value in small_steps({}).items():
        monkeypatch.setenv(name, value)
    # Each edit makes a batch of five chunks: half of it is small.
    monkeypatch.setenv("CODE_INDEX_EMBEDDING_BATCH_CHUNKS", "40")
    with Pipeline(resolve_index_folder(write_repository(tmp_path / "repository"))) as opened:
        _index(opened)
        yield opened


def _index(pipeline: Pipeline) -> None:
    assert [r.error for r in (pipeline.scan(), pipeline.parse(), pipeline.embed())] == [None] * 3


def _edit(pipeline: Pipeline, times: int) -> None:
    for number in range(100, 100 + times):
        write_module(pipeline.folder.repository_root / f"module_{number % 4:02}.py", number)
        _index(pipeline)


def _materialized(pipeline: Pipeline, asset: str) -> set[str]:
    return set(pipeline.instance.get_materialized_partitions(dg.AssetKey(asset)))


def test_cleaning_keeps_every_materialization_that_a_partition_needs(pipeline: Pipeline, tmp_path: Path) -> None:
    root = pipeline.folder.repository_root
    _edit(pipeline, 8)
    before = state(root)
    assert pipeline.cleanup(Retention(runs=2)).error is None
    for asset, name in (("parsed_chunks", "file_hash"), ("chunk_vectors", "embedding_batch")):
        keys = set(pipeline.instance.get_dynamic_partitions(name))
        assert keys <= _materialized(pipeline, asset), asset
    after = state(root)
    assert all(after[name].equals(before[name]) for name in before)
    assert [r.partitions for r in (pipeline.parse(), pipeline.embed())] == [0, 0], "something was found missing"
    assert not findings(root, fresh_state(root, tmp_path))


def test_events_and_logs_of_what_is_gone_go(pipeline: Pipeline) -> None:
    _edit(pipeline, 8)
    gone = _materialized(pipeline, "parsed_chunks") - set(pipeline.instance.get_dynamic_partitions("file_hash"))
    assert gone
    logs = pipeline.folder.dagster_home / "history" / "runs"
    before = len(list(logs.glob("*-*.db")))
    assert pipeline.cleanup(Retention(runs=2)).error is None
    assert not gone & _materialized(pipeline, "parsed_chunks")
    assert len(list(logs.glob("*-*.db"))) <= 3 < before
    again = find_expired(pipeline.index, Retention(runs=3))
    assert not again.records.events
    assert not again.records.logs


def test_a_partition_that_failed_still_shows_as_failed(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    (pipeline.folder.repository_root / "bad.py").write_text("x = 1\n" * 400, encoding="utf-8")
    monkeypatch.setenv("CODE_INDEX_PARSE_TIMEOUT_S", "0.000001")
    with Pipeline(pipeline.folder) as strict:
        strict.scan()
        assert strict.parse().error is not None
    monkeypatch.delenv("CODE_INDEX_PARSE_TIMEOUT_S")
    [key] = [k for k in pipeline.instance.get_dynamic_partitions("file_hash") if k.endswith(":bad.py")]
    _edit(pipeline, 4)
    assert pipeline.cleanup(Retention(runs=1)).error is None
    statuses = pipeline.instance.get_status_by_partition(
        dg.AssetKey("parsed_chunks"), [key], dg.DynamicPartitionsDefinition(name="file_hash")
    )
    assert statuses is not None
    assert statuses[key].value == "FAILED"  # type: ignore[union-attr]


def test_batches_that_edits_made_small_are_merged_without_a_model_call(pipeline: Pipeline) -> None:
    _edit(pipeline, 6)
    before = state(pipeline.folder.repository_root)
    batches = len(pipeline.instance.get_dynamic_partitions("embedding_batch"))
    merged = merge_small_batches(pipeline.index)
    assert merged > 1
    assert len(pipeline.instance.get_dynamic_partitions("embedding_batch")) < batches
    assert state(pipeline.folder.repository_root)["chunks"].equals(before["chunks"])
    assert pipeline.embed().partitions == 0, "a merged batch is not recorded as materialized"


def test_a_dry_run_says_what_would_go_and_removes_nothing(
    pipeline: Pipeline, command_line: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    _edit(pipeline, 3)
    root = pipeline.folder.repository_root
    runs = pipeline.instance.get_runs_count()
    versions = pipeline.store.upkeep.versions()
    told = command_line("cleanup", root, "--dry-run", "--keep-runs", 1)
    assert "Would remove:" in told.stdout
    assert "small batches, merged into" in told.stdout
    assert pipeline.instance.get_runs_count() == runs
    assert pipeline.store.upkeep.versions() == versions
    done = command_line("cleanup", root, "--keep-runs", 1)
    assert "The index takes" in done.stdout


def test_retired_vectors_stay_until_their_time_is_over(pipeline: Pipeline) -> None:
    _edit(pipeline, 1)
    retired = pipeline.store.tables.count("retired_vectors")
    assert retired
    assert pipeline.cleanup().error is None
    assert pipeline.store.tables.count("retired_vectors") == retired
    assert pipeline.cleanup(Retention(unused_vectors=timedelta(0))).error is None
    assert pipeline.store.tables.count("retired_vectors") == 0


def test_phases_forget_vectors_that_nothing_used_for_long(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "_OLD_UNUSED_VECTORS", 7)
    _edit(pipeline, 3)
    retired = pipeline.store.tables.count("retired_vectors")
    assert retired > 7, "those of the last 30 days stay"
    monkeypatch.setattr(expiry, "USUAL", Retention(unused_vectors=timedelta(0)))
    write_module(pipeline.folder.repository_root / "module_03.py", 200)
    _index(pipeline)
    assert pipeline.store.tables.count("retired_vectors") < 7
    assert pipeline.store.vectors.count() == pipeline.store.chunks.count()


def test_phases_remove_old_records_once_in_a_while_although_partitions_keep_old_runs(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed: list[int] = []

    def remove(index: OpenIndex, *, keep_runs: int) -> ExpiredRecords:
        removed.append(index.instance.get_runs_count())
        return expire_records(index, keep_runs=keep_runs)

    monkeypatch.setattr(expiry, "USUAL", Retention(runs=4))
    monkeypatch.setattr(expiry, "_RUNS_MORE", 6)
    monkeypatch.setattr(expiry, "expire_records", remove)
    _edit(pipeline, 8)
    assert 2 <= len(removed) <= 4, removed
    assert run_log_count(pipeline.instance) <= 4 + 6 + 3
