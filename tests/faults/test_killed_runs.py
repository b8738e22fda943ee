"""A run is killed with SIGKILL between two durable steps; `resume` ends as an undisturbed run does.

The killed process is a real one. The point is chosen by a small program that runs the command
line with one method replaced by one that kills its own process before or after its work.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import polars as pl
import pytest

from code_index.index.folder import resolve_index_folder
from indexing_assets.operations.pipeline import Pipeline
from tests.faults.harness import small_steps, write_repository
from tests.lanes import every
from tests.waiting import PATIENCE_S

_KILLER = """
import importlib, os, signal, sys
module, owner, method, when, times = sys.argv[1:6]
target = getattr(importlib.import_module(module), owner)
original = getattr(target, method)
left = [int(times)]

def deadly(*args, **kwargs):
    left[0] -= 1
    if left[0] == 0 and when == "before":
        os.kill(os.getpid(), signal.SIGKILL)
    result = original(*args, **kwargs)
    if left[0] == 0 and when == "after":
        os.kill(os.getpid(), signal.SIGKILL)
    return result

setattr(target, method, deadly)
sys.argv = ["code-index", *sys.argv[6:]]
from indexing_assets.cli.main import main
main()
"""

_FILES = ("code_index.tables.files", "FileRows")
_CHUNKS = ("code_index.tables.chunks", "ChunkRows")
_REFERENCES = ("code_index.tables.references", "ReferenceRows")
_TABLES = ("code_index.tables.lance_tables", "LanceTables")
_VECTORS = ("code_index.tables.vectors", "VectorRows")
_ERRORS = ("code_index.tables.embedding_errors", "ErrorRows")
_UPKEEP = ("code_index.tables.table_upkeep", "TableUpkeep")
_INSTANCE = ("dagster._core.instance.instance", "DagsterInstance")
_LOG = ("resources.event_log", "BatchingSqliteEventLogStorage")

# module, class, method, before or after it, at which call
_POINTS = [
    (*_FILES, "upsert", "before", 1),  # scan: nothing is stored yet
    (*_FILES, "upsert", "after", 1),  # scan: manifest stored, no partition keys
    (*_INSTANCE, "add_dynamic_partitions", "after", 1),  # scan: keys added, the run does not end
    (*_REFERENCES, "replace", "before", 1),
    (*_TABLES, "append", "after", 1),  # references stored, chunks not
    (*_CHUNKS, "replace", "before", 1),
    (*_CHUNKS, "replace", "after", 1),  # chunks stored, files still pending
    (*_CHUNKS, "replace", "after", 2),  # one group is wholly durable, another by half
    (*_FILES, "upsert", "before", 2),
    (*_FILES, "upsert", "after", 2),  # files parsed, no event
    (*_LOG, "store_event_batch", "before", 2),
    (*_VECTORS, "add", "before", 1),
    (*_VECTORS, "add", "after", 1),  # vectors stored, no event
    (*_VECTORS, "add", "after", 2),
    (*_ERRORS, "clear", "after", 1),
    (*_UPKEEP, "ensure_indexes", "before", 1),
    (*_UPKEEP, "ensure_indexes", "before", 2),
]


@pytest.fixture(autouse=True)
def steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in small_steps({}).items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    """The state of an index that nothing happened to; paths are relative, so one serves all."""
    root = write_repository(tmp_path_factory.mktemp("undisturbed") / "repository")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in small_steps({}).items():
            patch.setenv(name, value)
        with Pipeline(resolve_index_folder(root)) as pipeline:
            assert [r.error for r in (pipeline.scan(), pipeline.parse(), pipeline.embed())] == [None, None, None]
            return state(pipeline)


def state(pipeline: Pipeline) -> dict[str, pl.DataFrame]:
    """The tables without times and run ids."""
    store = pipeline.store
    return {
        "files": pl.DataFrame(store.files.read()).drop("run_id", "parsed_at").sort("file_path"),
        "chunks": pl.DataFrame(store.chunks.read())
        .drop("created_at", "updated_at", "embedding_batch_id")
        .sort("chunk_id"),
        "vectors": pl.DataFrame(store.vectors.read()).drop("embedded_at").sort("chunk_id"),
        "references": pl.DataFrame(store.references.read()).sort("file_path", "position"),
    }


def work_since(pipeline: Pipeline, runs_before: set[str]) -> tuple[int, int]:
    """Files that were parsed and texts that went through the model in later runs, as their events say."""
    metadata = {
        asset: [
            record.asset_materialization.metadata  # type: ignore[union-attr]
            for record in pipeline.instance.fetch_materializations(dg.AssetKey(asset), limit=1_000).records
            if record.event_log_entry.run_id not in runs_before
        ]
        for asset in ("parsed_chunks", "chunk_vectors")
    }
    embedded = [int(entry["run_embedded"].value) for entry in metadata["chunk_vectors"] if "run_embedded" in entry]
    return sum("parse_ms" in entry for entry in metadata["parsed_chunks"]), max(embedded, default=0)


@pytest.mark.parametrize(("module", "owner", "method", "when", "times"), every(4, _POINTS))
def test_resume_after_a_kill_ends_as_an_undisturbed_run(
    undisturbed: dict[str, pl.DataFrame],
    tmp_path: Path,
    command_line: Callable[..., subprocess.CompletedProcess[str]],
    module: str,
    owner: str,
    method: str,
    when: str,
    times: int,
) -> None:
    root = write_repository(tmp_path / "repository")
    killed = subprocess.run(
        [sys.executable, "-c", _KILLER, module, owner, method, when, str(times), "index", str(root)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    with Pipeline(resolve_index_folder(root)) as pipeline:
        before, runs_before = state(pipeline), {run.run_id for run in pipeline.instance.get_runs()}
    done = command_line("resume", root)
    assert "12 files, 60 chunks, 60 vectors" in done.stdout
    with Pipeline(resolve_index_folder(root)) as pipeline:
        parsed, embedded = work_since(pipeline, runs_before)
        assert parsed == 12 - before["chunks"]["file_path"].n_unique(), "a file with durable chunks was parsed again"
        assert embedded == 60 - before["vectors"].height, "a chunk whose vector was durable was embedded again"
        after = state(pipeline)
        for table, rows in undisturbed.items():
            assert after[table].equals(rows), table
        statuses = {run.status.value for run in pipeline.instance.get_runs()}
        assert statuses <= {"SUCCESS", "FAILURE"}, "the killed run still shows as running"
        for asset, name in (("parsed_chunks", "file_hash"), ("chunk_vectors", "embedding_batch")):
            keys = set(pipeline.instance.get_dynamic_partitions(name))
            assert keys == set(pipeline.instance.get_materialized_partitions(dg.AssetKey(asset))), asset
