"""Another model: its vectors are built beside those in use, and search switches when they are complete."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from code_index.core.errors import ModelError, StoreError, UsageError
from code_index.embedding.deterministic import DeterministicEmbedder
from code_index.embedding.loader import query_embedder, serving_embedder
from code_index.index.folder import IndexFolder, resolve_index_folder
from code_index.search.hybrid import search
from code_index.tables import IndexStore
from code_index.tables.model_registry import REGISTRY_FILE, read_registry
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.index_status import read_status
from indexing_assets.runs.planning import embedding_identity
from resources.embedder_resource import EmbedderResource
from tests.fakes import GivenEmbedder, give, texts_asked
from tests.faults.harness import small_steps, write_repository

_WIDE = DeterministicEmbedder(96)
QUERY = "function_3_4 return x"


def wide() -> EmbedderResource:
    """A model of another dimension."""
    give(_WIDE)
    return GivenEmbedder()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> IndexFolder:
    for name, value in small_steps({}).items():
        monkeypatch.setenv(name, value)
    found = resolve_index_folder(write_repository(tmp_path / "repository"))
    index(found)
    return found


def index(folder: IndexFolder, embedder: EmbedderResource | None = None) -> int:
    """Run both phases; returns how many batches were embedded."""
    with Pipeline(folder, embedder=embedder) as pipeline:
        results = [pipeline.scan(), pipeline.parse(), pipeline.embed()]
        assert [result.error for result in results] == [None] * 3
        return results[-1].partitions


def store_of(folder: IndexFolder) -> IndexStore:
    return IndexStore(folder.tables_dir)


def found(folder: IndexFolder, embedder=None) -> str:
    store = store_of(folder)
    encoder = embedder or serving_embedder(folder.settings().embedder, store.models.serving())
    return search(store, encoder, QUERY, limit=1)[0].file_path


def test_another_recipe_is_built_beside_and_served_when_complete(
    folder: IndexFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(folder)
    first = query_embedder(folder.settings().embedder).model_id
    assert store.models.serving()[0] == first
    monkeypatch.setenv("CODE_INDEX_TEXT_RECIPE", "source")
    second = query_embedder(folder.settings().embedder).model_id
    with Pipeline(folder) as pipeline:
        status = read_status(pipeline.index, second)
        assert (status.serving_model, status.model, status.stale_batches) == (first, second, 6)
        assert status.chunks["pending"] == 60
        assert "until all are made with" in status.next_step
        assert found(folder) == "module_03.py"  # with the model in use
        keys = pipeline.instance.get_dynamic_partitions("embedding_batch")[:2]
        half = pipeline.run_partitions("chunk_vectors", lambda _: keys, force=False)
        assert half.error is None
    assert store.models.vector_counts() == {first: 60, second: 20}
    assert store.models.serving()[0] == first
    assert found(folder) == "module_03.py"
    assert index(folder) == 4  # the others
    assert store.models.serving()[0] == second
    assert store.models.vector_counts() == {first: 60, second: 60}
    assert found(folder) == "module_03.py"


def test_vectors_of_an_older_version_of_the_recipe_are_searched_until_all_are_made_again(
    folder: IndexFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = store_of(folder)
    current = query_embedder(folder.settings().embedder).model_id
    with monkeypatch.context() as older:
        older.setenv("CODE_INDEX_TEXT_RECIPE", "full-1")
        first = query_embedder(folder.settings().embedder).model_id
        index(folder)
    store.models.forget(before=datetime.now(UTC) + timedelta(days=1))
    registry = folder.tables_dir / REGISTRY_FILE
    registry.write_text(registry.read_text().replace('"full-1"', '"full"'))  # as the older program wrote it
    assert store.models.serving()[0] == first
    assert store.models.vector_counts() == {first: 60}
    assert found(folder) == "module_03.py"
    assert index(folder) == 6
    assert store.models.serving()[0] == current
    assert found(folder) == "module_03.py"


def test_vectors_of_another_dimension_are_built_beside_without_force(folder: IndexFolder) -> None:
    store = store_of(folder)
    assert index(folder, wide()) == 6
    assert store.models.serving()[0] == _WIDE.model_id
    assert store.vectors.dimension() == 96
    assert found(folder, _WIDE) == "module_03.py"


def test_going_back_before_cleanup_costs_no_model_call_but_for_what_was_edited(
    folder: IndexFolder, write: Callable[[Path, Mapping[str, str]], None]
) -> None:
    store = store_of(folder)
    first = query_embedder(folder.settings().embedder).model_id
    index(folder, wide())
    with texts_asked() as asked:
        assert index(folder) == 0
    assert asked == []
    assert store.models.serving()[0] == first
    index(folder, wide())
    text = (folder.repository_root / "module_03.py").read_text().replace("x + 4", "x + 40")
    write(folder.repository_root, {"module_03.py": text})
    index(folder, wide())
    with texts_asked() as asked:
        index(folder)
    assert len(asked) == 1
    assert store.models.serving()[0] == first
    assert store.statuses.count(first)["complete"] == store.chunks.count()


def test_cleanup_removes_the_vectors_of_a_replaced_model_and_only_those(folder: IndexFolder) -> None:
    store = store_of(folder)
    first = query_embedder(folder.settings().embedder).model_id
    index(folder, wide())
    later = datetime.now(UTC) + timedelta(days=1)
    assert store.models.forget(before=datetime.now(UTC) - timedelta(days=1)) == 0
    assert store.models.replaced_vectors(before=later) == 60
    assert store.models.forget(before=later) == 60
    assert store.models.vector_counts() == {_WIDE.model_id: 60}
    assert list(read_registry(folder.tables_dir).models) == [_WIDE.model_id]
    assert first not in store.models.vector_counts()
    # Coming back later is a model like any other.
    assert index(folder) == 6
    assert store.models.serving()[0] == first


def test_vectors_of_two_models_are_never_compared(folder: IndexFolder) -> None:
    store = store_of(folder)
    with pytest.raises(UsageError, match=r"cannot be compared.*code-index index"):
        search(store, _WIDE, QUERY)
    index(folder, wide())
    with pytest.raises(UsageError, match="cannot be compared"):
        search(store, query_embedder(folder.settings().embedder), QUERY)
    with pytest.raises(UsageError, match="cannot be compared"):
        store.search.near(_WIDE.embed_query("x"), model="somebody's", limit=1)


def test_a_model_in_use_that_cannot_be_named_again_is_an_error_with_a_fix(folder: IndexFolder) -> None:
    index(folder, wide())  # its settings name the other one
    with pytest.raises(ModelError, match=r"--mode lexical"):
        serving_embedder(folder.settings().embedder, store_of(folder).models.serving())


def test_what_dagster_compares_tells_every_part_of_the_identity_apart(folder: IndexFolder) -> None:
    settings = folder.settings()
    changes = [
        {"model": "other"},
        {"model_revision": "v2"},
        {"max_tokens": 64},
        {"text_recipe": "source"},
        {"document_prompt": "d: "},
        {"query_prompt": "q: "},
    ]
    identities = {embedding_identity(settings.with_settings(change)) for change in ({}, *changes)}
    assert len(identities) == len(changes) + 1


def test_a_damaged_registry_is_named_with_what_to_do(folder: IndexFolder) -> None:
    (folder.tables_dir / REGISTRY_FILE).write_text("{")
    with pytest.raises(StoreError, match=r"models\.json is damaged.*Remove it"):
        store_of(folder).vectors.count()


@pytest.mark.parametrize("kill", ["merge:2:after", "write_registry:1:after", "write_registry:2:before"])
def test_a_switch_that_is_killed_goes_on_and_the_model_in_use_is_searched_meanwhile(
    folder: IndexFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill: str
) -> None:
    first = query_embedder(folder.settings().embedder).model_id
    monkeypatch.setenv("CODE_INDEX_TEXT_RECIPE", "source")
    second = query_embedder(folder.settings().embedder).model_id
    command = [sys.executable, "-m", "tests.faults.victim", str(tmp_path / "log")]
    died = subprocess.run(
        [*command, kill, "index", str(folder.repository_root)], env=os.environ, capture_output=True, check=False
    )
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()
    assert store_of(folder).models.serving()[0] == first
    assert found(folder) == "module_03.py"
    again = subprocess.run(
        [*command, "none", "index", str(folder.repository_root)], env=os.environ, capture_output=True, check=False
    )
    assert again.returncode == 0, again.stderr.decode()
    assert store_of(folder).models.serving()[0] == second
    assert store_of(folder).models.vector_counts() == {first: 60, second: 60}
    log = (tmp_path / "log").read_text().splitlines()
    assert len([line for line in log if line.startswith("embedded")]) <= 80  # at most a checkpoint twice
