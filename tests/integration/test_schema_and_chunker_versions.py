"""Tables of an older program are brought up in place, those of a newer one refused, and a new chunker redoes little."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from code_index.core.errors import StoreError
from code_index.embedding.loader import query_embedder
from code_index.index.folder import IndexFolder, resolve_index_folder
from code_index.tables import IndexStore, schema_version
from code_index.tables.model_registry import REGISTRY_FILE
from code_index.tables.schema_version import SCHEMA_VERSION, VERSION_FILE
from code_index.tables.schemas import FILES
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs import planning
from resources.instance_config import instance_config
from tests.fakes import texts_asked
from tests.faults.harness import small_steps, write_module, write_repository


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IndexFolder:
    for name, value in small_steps({}).items():
        monkeypatch.setenv(name, value)
    found = resolve_index_folder(write_repository(tmp_path / "repository"))
    index(found)
    return found


def index(folder: IndexFolder) -> tuple[int, int]:
    """Run both phases; returns the files parsed and the texts embedded."""
    with texts_asked() as asked, Pipeline(folder) as pipeline:
        results = [pipeline.scan(), pipeline.parse(), pipeline.embed()]
        assert [result.error for result in results] == [None] * 3
        return results[1].partitions, len(asked)


def make_older(folder: IndexFolder) -> None:
    """What version 1 of the tables left."""
    (folder.tables_dir / REGISTRY_FILE).unlink()
    (folder.tables_dir / VERSION_FILE).write_text('{"schema_version": 1}\n')


def stored_version(folder: IndexFolder) -> int:
    return json.loads((folder.tables_dir / VERSION_FILE).read_text())["schema_version"]


def test_older_tables_are_brought_up_in_place_and_nothing_is_done_again(folder: IndexFolder) -> None:
    make_older(folder)
    store = IndexStore(folder.tables_dir)
    assert store.vectors.count() == 60  # readable before
    assert index(folder) == (0, 0)
    write_module(folder.repository_root / "module_03.py", 103)
    assert index(folder) == (1, 5)
    assert stored_version(folder) == SCHEMA_VERSION
    assert store.models.serving()[0] == query_embedder(folder.settings().embedder).model_id
    assert store.vectors.count() == 60


def test_a_model_that_changed_together_with_the_program_leaves_the_older_vectors_in_use(
    folder: IndexFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = query_embedder(folder.settings().embedder).model_id
    make_older(folder)
    monkeypatch.setenv("CODE_INDEX_TEXT_RECIPE", "source")
    assert index(folder) == (0, 60)
    store = IndexStore(folder.tables_dir)
    assert store.models.vector_counts() == {first: 60, query_embedder(folder.settings().embedder).model_id: 60}


@pytest.mark.parametrize("kill", ["write_registry:1:after", "replace_version:1:before", "replace_version:1:after"])
def test_an_upgrade_that_is_killed_is_finished_by_the_next_run(folder: IndexFolder, tmp_path: Path, kill: str) -> None:
    make_older(folder)
    write_module(folder.repository_root / "module_03.py", 103)
    command = [sys.executable, "-m", "tests.faults.victim", str(tmp_path / "log"), kill, "index"]
    died = subprocess.run([*command, str(folder.repository_root)], env=os.environ, capture_output=True, check=False)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert IndexStore(folder.tables_dir).vectors.count() >= 55
    assert index(folder)[0] == 0
    assert stored_version(folder) == SCHEMA_VERSION
    assert IndexStore(folder.tables_dir).vectors.count() == 60


def test_an_older_program_refuses_newer_tables_and_touches_nothing(
    folder: IndexFolder, monkeypatch: pytest.MonkeyPatch, command_line: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    before = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    monkeypatch.setattr(schema_version, "SCHEMA_VERSION", SCHEMA_VERSION - 1)
    for write in (lambda: Pipeline(folder), folder.check, lambda: folder.create(instance_config())):
        with pytest.raises(
            StoreError, match=rf"schema version {SCHEMA_VERSION}.*Upgrade code-index.*nothing was touched"
        ):
            write()
    assert {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()} == before
    (folder.tables_dir / VERSION_FILE).write_text(json.dumps({"schema_version": SCHEMA_VERSION + 1}))
    refused = command_line("index", folder.repository_root, check=1)
    assert "Upgrade code-index" in refused.stderr


def test_a_new_chunker_parses_all_again_and_embeds_only_texts_that_changed(
    folder: IndexFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "CHUNKER_VERSION", "another")
    assert index(folder) == (12, 0)
    assert index(folder) == (0, 0)


def test_a_new_chunker_detects_languages_again_of_files_that_did_not_change(
    folder: IndexFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder.repository_root / "family.pl"
    path.write_text(":- module(family, [parent/2]).\n\nparent(ann, bob).\n")
    os.utime(path, (1.7e9, 1.7e9))  # a scan reads a file again that was written just before
    index(folder)
    store = IndexStore(folder.tables_dir)
    row = store.files.read(where="file_path = 'family.pl'")
    earlier = row.set_column(row.schema.get_field_index("language"), FILES.field("language"), pa.array(["perl"]))
    store.files.upsert(earlier)

    monkeypatch.setattr(planning, "CHUNKER_VERSION", "another")
    index(folder)

    for rows in (store.files, store.chunks, store.vectors):
        assert set(rows.read(["language"], "file_path = 'family.pl'")["language"].to_pylist()) == {"prolog"}
    assert index(folder) == (0, 0)
