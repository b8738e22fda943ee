"""A run is killed with SIGKILL between two durable steps; `resume` ends as an undisturbed run does.

The killed process is a real one. The point is chosen by a small program that runs the command
line with one method replaced by one that kills its own process before or after its work.
"""

from __future__ import annotations

import os
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

_SETTINGS = {
    "MODEL": "deterministic",
    "EMBEDDING_BATCH_CHUNKS": "10",
    "CHECKPOINT_CHUNKS": "20",
    "PARSE_CHECKPOINT_FILES": "5",
    "PARSE_WORKERS": "1",
}
_FILES = ("code_index.tables.files", "FileRows")
_CHUNKS = ("code_index.tables.chunks", "ChunkRows")
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


def write_repository(root: Path) -> Path:
    """Files enough for several commits of phase 1 and several checkpoints of phase 2."""
    root.mkdir()
    for number in range(12):
        path = root / f"module_{number:02}.py"
        path.write_text(
            "".join(f"def function_{number}_{i}(x):\n    return x + {i}\n\n\n" for i in range(5)), encoding="utf-8"
        )
        os.utime(path, (1_600_000_000 + number, 1_600_000_000 + number))
    return root


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in _SETTINGS.items():
        monkeypatch.setenv(f"CODE_INDEX_{name}", value)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, pl.DataFrame]:
    """The state of an index that nothing happened to; paths are relative, so one serves all."""
    root = write_repository(tmp_path_factory.mktemp("undisturbed") / "repository")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in _SETTINGS.items():
            patch.setenv(f"CODE_INDEX_{name}", value)
        with Pipeline(resolve_index_folder(root)) as pipeline:
            assert [r.error for r in (pipeline.scan(), pipeline.parse(), pipeline.embed())] == [None, None, None]
        return state(root)


def state(root: Path) -> dict[str, pl.DataFrame]:
    """The tables without times and run ids."""
    with Pipeline(resolve_index_folder(root)) as pipeline:
        store = pipeline.store
        files = pl.DataFrame(store.files.read()).drop("run_id", "parsed_at").sort("file_path")
        chunks = pl.DataFrame(store.chunks.read()).drop("created_at", "updated_at").sort("chunk_id")
        vectors = pl.DataFrame(store.vectors.read()).drop("embedded_at").sort("chunk_id")
        return {
            "files": files,
            "chunks": chunks.drop("embedding_batch_id"),
            "vectors": vectors,
        }


def recorded(root: Path) -> dict[str, tuple[set[str], set[str]]]:
    """Partition keys and materialized partitions of both assets."""
    with Pipeline(resolve_index_folder(root)) as pipeline:
        return {
            asset: (
                set(pipeline.instance.get_dynamic_partitions(name)),
                set(pipeline.instance.get_materialized_partitions(dg.AssetKey(asset))),
            )
            for asset, name in (("parsed_chunks", "file_hash"), ("chunk_vectors", "embedding_batch"))
        }


def run_ids(root: Path) -> set[str]:
    with Pipeline(resolve_index_folder(root)) as pipeline:
        return {run.run_id for run in pipeline.instance.get_runs()}


def run_statuses(root: Path) -> set[str]:
    with Pipeline(resolve_index_folder(root)) as pipeline:
        return {run.status.value for run in pipeline.instance.get_runs()}


def work_of(root: Path, runs: set[str]) -> tuple[int, int]:
    """Files that were parsed and texts that went through the model in these runs, as their events say."""
    with Pipeline(resolve_index_folder(root)) as pipeline:
        metadata = {
            asset: [
                (record.event_log_entry.run_id, record.asset_materialization.metadata)  # type: ignore[union-attr]
                for record in pipeline.instance.fetch_materializations(dg.AssetKey(asset), limit=1_000).records
            ]
            for asset in ("parsed_chunks", "chunk_vectors")
        }
        parsed = sum("parse_ms" in entry for run, entry in metadata["parsed_chunks"] if run in runs)
        embedded = max(
            (
                int(entry["run_embedded"].value)
                for run, entry in metadata["chunk_vectors"]
                if run in runs and "run_embedded" in entry
            ),
            default=0,
        )
        return parsed, embedded


@pytest.mark.parametrize(("module", "owner", "method", "when", "times"), _POINTS)
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

    before, runs_before = state(root), run_ids(root)
    done = command_line("resume", root)
    assert "12 files, 60 chunks, 60 vectors" in done.stdout
    parsed, embedded = work_of(root, run_ids(root) - runs_before)
    assert parsed == 12 - before["chunks"]["file_path"].n_unique(), "a file whose chunks were durable was parsed again"
    assert embedded == 60 - before["vectors"].height, "a chunk whose vector was durable was embedded again"

    after = state(root)
    for table, rows in undisturbed.items():
        assert after[table].equals(rows), table
    assert run_statuses(root) <= {"SUCCESS", "FAILURE"}, "the killed run still shows as running"
    for asset, (keys, materialized) in recorded(root).items():
        assert keys == materialized, asset
