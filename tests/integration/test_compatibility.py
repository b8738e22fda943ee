"""What an earlier version left on a user's disk goes on under this one: an index, a `dagster.yaml`, a workspace.

`tests/fixtures/README.md` says what is in the archive, and how it was made.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest

from code_index.index.folder import locate_index_folder
from code_index.tables import IndexStore
from indexing_assets.runs.planning import chunker_identity
from tests.faults.harness import Durable, Work, findings, folder_of, fresh_state, run_victim, state

_ARCHIVE = Path(__file__).parents[1] / "fixtures" / "index_554a43e.tar.xz"
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The archive's `project`, with its index, and `deployment`, at another place than where they were made."""
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    with tarfile.open(_ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    locate_index_folder(tmp_path / "project").trust()
    return tmp_path


def test_an_earlier_index_is_used_after_its_user_says_that_it_is_theirs(tmp_path: Path, command_line: Run) -> None:
    with tarfile.open(_ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    root = tmp_path / "project"
    refused = command_line("search", "greet", "-C", root, check=2)
    assert f"made by an older version or copied here on purpose, run `code-index trust {root}`" in refused.stderr
    command_line("trust", root)
    assert "greet" in command_line("search", "greet", "-C", root).stdout


def test_an_earlier_index_answers_before_anything_is_written(
    unpacked: Path, command_line: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = unpacked / "project"
    tables = folder_of(root).tables_dir
    before = {path: path.read_bytes() for path in tables.rglob("*") if path.is_file()}
    for mode in ("hybrid", "semantic", "lexical"):
        hits = json.loads(
            command_line("search", "greet a person by name", "--mode", mode, "--json", "-C", root).stdout
        )["hits"]
        assert (hits[0]["file_path"], hits[0]["function_name"]) == ("app/greeting.py", "greet"), mode
    # The recipe of embedded text is another one by now, so that all is to be embedded again beside what is searched.
    assert "13: 13 pending" in command_line("status", root).stdout
    monkeypatch.setenv("CODE_INDEX_TEXT_RECIPE", "full-1")
    assert "13: 2 pending, 11 complete" in command_line("status", root).stdout
    assert {path: path.read_bytes() for path in tables.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("recipe", ["full-1", "full"])
def test_an_earlier_index_is_finished_and_upgraded_and_no_stored_vector_is_made_again(
    unpacked: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: str
) -> None:
    """With the recipe that it was made with; with today's one all its texts are embedded, once."""
    root = unpacked / "project"
    monkeypatch.setenv("CODE_INDEX_TEXT_RECIPE", recipe)
    before = Durable.of(root)
    folder = folder_of(root)
    files = pl.DataFrame(IndexStore(folder.tables_dir).files.read())
    indexed = files.filter(pl.col("chunker_version").is_not_null())
    cut_otherwise = indexed.filter(pl.col("chunker_version") != chunker_identity(folder.settings()))
    assert indexed.height == 6

    log, done = run_victim(["index", str(root)], tmp_path)

    assert done.returncode == 0, done.stderr
    work, after = Work.of(log), Durable.of(root)
    assert work.parsed == {(repr(path), digest) for path, digest in cut_otherwise[["file_path", "file_hash"]].rows()}
    assert work.embedded == (after.texts if recipe == "full" else after.texts - before.texts), (
        "what has a vector keeps it; all the rest gets one"
    )
    assert "rotate_log" in IndexStore(folder.tables_dir).vectors.read(["function_name"])["function_name"].to_pylist()
    fresh = fresh_state(root, tmp_path)
    stored, expected = state(root)["vectors"], fresh.pop("vectors")
    assert stored.drop("vector").equals(expected.drop("vector"))
    # Another version may round otherwise.
    np.testing.assert_allclose(np.stack(stored["vector"]), np.stack(expected["vector"]), atol=1e-6)
    assert findings(root, fresh) == []

    log, done = run_victim(["index", str(root)], tmp_path)
    assert "nothing changed" in done.stdout
    assert Work.of(log).parsed | Work.of(log).embedded == set()


def test_an_earlier_workspace_and_dagster_yaml_load_and_show_the_earlier_runs(
    unpacked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = unpacked / "project" / ".code-index" / "dagster"
    (home / "dagster.yaml").write_bytes((unpacked / "deployment" / "dagster.yaml").read_bytes())
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    monkeypatch.setenv("CODE_INDEX_REPOSITORY", str(unpacked / "project"))
    with dg.DagsterInstance.get() as instance:
        assert {run.job_name for run in instance.get_runs()} == {
            "scan_source_files_job",
            "parse_chunks_job",
            "embed_chunks_job",
        }
        assert {run.status for run in instance.get_runs()} == {dg.DagsterRunStatus.SUCCESS}
        keys = set(instance.get_dynamic_partitions("file_hash"))
        assert len(keys) == 6
        assert instance.get_materialized_partitions(dg.AssetKey("parsed_chunks")) >= keys
        instance.add_dynamic_partitions("some_keys", ["key"])
        assert instance.get_dynamic_partitions("some_keys") == ["key"]
        assert instance.all_instigator_state() == []
    command = [sys.executable, "-m", "dagster", "job", "list", "-w", "workspace.yaml"]
    listed = subprocess.run(
        command, cwd=unpacked / "deployment", env=os.environ, capture_output=True, text=True, check=False
    )
    assert listed.returncode == 0, listed.stderr
    assert {"scan_source_files_job", "parse_chunks_job", "embed_chunks_job"} <= set(listed.stdout.split())


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("resources.event_log", "BatchingSqliteEventLogStorage"),
        ("resources.record_storage", "SharedSqliteRunStorage"),
        ("resources.record_storage", "SharedSqliteScheduleStorage"),
        ("resources.postgres_event_log", "BatchingPostgresEventLogStorage"),
        ("resources.postgres_storages", "PooledPostgresRunStorage"),
        ("resources.postgres_storages", "PooledPostgresScheduleStorage"),
        ("indexing_assets.definitions", "defs"),
    ],
)
def test_a_name_that_stands_in_files_of_deployments_keeps_its_place(module: str, name: str) -> None:
    if "postgres" in module:
        pytest.importorskip("dagster_postgres")  # it may come out later than the Dagster of `make newest`
    assert hasattr(importlib.import_module(module), name)
