"""Each text is embedded once: clones, worktrees, branches and indexes that are made again ask the model for what is new."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from code_index import Index
from code_index.core import object_stores
from code_index.index.folder import resolve_index_folder
from code_index.index.vector_sources import MODEL, THIS_INDEX
from code_index.sharing.libraries import OWN, own_place
from indexing_assets.assets.index_report import REPORT_FILE
from indexing_assets.cli.main import cli
from indexing_assets.operations.pipeline import Pipeline
from indexing_assets.runs.index_status import last_embedding
from indexing_assets.runs.run_figures import LastEmbedding
from tests.conftest import write_files, write_small_repository
from tests.fakes import texts_asked
from tests.faults.harness import SETTINGS, Durable, Work, run_victim, write_repository
from tests.object_store import ObjectStore


@pytest.fixture(autouse=True)
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library of the test's own."""
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    monkeypatch.setenv("CODE_INDEX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("CODE_INDEX_LIBRARY_BYTES")


def _indexed(root: Path, *, force: bool = False) -> tuple[list[str], LastEmbedding, dict[str, np.ndarray]]:
    """Index a repository: the texts that the model was asked for, the figures of the run, and vectors by chunk."""
    with texts_asked() as asked, Pipeline(resolve_index_folder(root)) as pipeline:
        for result in (pipeline.scan(), pipeline.parse(), pipeline.embed(force=force)):
            assert result.error is None
        rows = pipeline.store.vectors.read(["chunk_id", "vector"])
        vectors = dict(zip(rows["chunk_id"].to_pylist(), map(np.array, rows["vector"].to_pylist()), strict=True))
        assert vectors.keys() == set(pipeline.store.chunks.read(["chunk_id"])["chunk_id"].to_pylist())
        return asked, last_embedding(pipeline.index), vectors


def _module(number: int, *, says: str = "") -> str:
    return f"def changes_{number}():\n    return {says!r}\n\n\ndef stays_{number}():\n    return {number}\n"


def _git(root: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", *identity, *arguments], cwd=root, check=True, capture_output=True)


def test_a_second_clone_asks_the_model_for_nothing(tmp_path: Path) -> None:
    _, first, vectors = _indexed(write_small_repository(tmp_path / "one"))
    assert first.sources == {MODEL: first.embedded}
    asked, figures, of_clone = _indexed(write_small_repository(tmp_path / "two"))
    assert asked == []
    assert figures == LastEmbedding(len(vectors), embedded=0, reused=len(vectors), sources={OWN: len(vectors)})
    assert of_clone.keys() == vectors.keys()
    for chunk_id, vector in vectors.items():
        np.testing.assert_array_equal(of_clone[chunk_id], vector)


@pytest.mark.parametrize("place", ["tree", "main/trees/fix"])
def test_a_worktree_embeds_the_chunks_that_differ_and_a_search_shows_no_other_trees_code(
    tmp_path: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    main, tree = tmp_path / "main", tmp_path / place
    write_files(main, {f"module_{number}.py": _module(number, says="everywhere") for number in range(25)})
    write_files(main, {f"module_{number}.py": _module(number, says="in main") for number in range(20)})
    _git(main, "init", "-q")
    _git(main, "add", ".")
    _git(main, "commit", "-qm", "first")
    _, _, of_main = _indexed(main)
    _git(main, "worktree", "add", "-q", str(tree))
    write_files(tree, {f"module_{number}.py": _module(number, says="in the tree") for number in range(20)})
    monkeypatch.chdir(tree)
    assert resolve_index_folder().repository_root == tree, "the index above is of another tree"
    asked, figures, of_tree = _indexed(tree)
    assert len(asked) == 20
    assert all("in the tree" in text for text in asked)
    assert figures.sources == {MODEL: 20, OWN: len(of_tree) - 20}
    assert _indexed(main)[2].keys() == of_main.keys(), "the tree is no part of it, wherever it lies"
    for query in ("in main", "in the tree", "changes_3"):
        said = {root: [hit.content for hit in Index.open(root).search(query, limit=100)] for root in (main, tree)}
        assert any("in main" in content for content in said[main])
        assert any("in the tree" in content for content in said[tree])
        assert not any("in the tree" in content for content in said[main])
        assert not any("in main" in content for content in said[tree])


def test_texts_of_two_repositories_meet_where_path_and_content_are_the_same(tmp_path: Path) -> None:
    same = {"vendor/tool.py": _module(1)}
    write_files(tmp_path / "one", same | {"one.py": _module(2)})
    write_files(tmp_path / "two", same | {"two.py": _module(2)})
    _, _, of_one = _indexed(tmp_path / "one")
    asked, figures, of_two = _indexed(tmp_path / "two")
    assert len(asked) == figures.sources[MODEL] == len(of_two) // 2
    assert all("two.py" in text for text in asked)
    assert figures.sources[OWN] == len(of_two) // 2
    for chunk_id in of_one.keys() & of_two.keys():
        np.testing.assert_array_equal(of_one[chunk_id], of_two[chunk_id])


def test_a_branch_switched_forth_and_back_and_an_index_made_again_ask_for_nothing(tmp_path: Path) -> None:
    root = write_small_repository(tmp_path / "one")
    _, _, vectors = _indexed(root)
    changed = {"app/greeting.py": "def part(name: str) -> str:\n    return name\n"}
    write_files(root, changed)
    assert len(_indexed(root)[0]) == 1
    for files in (write_small_repository, lambda root: write_files(root, changed)):
        files(root)
        asked, figures, _ = _indexed(root)
        assert asked == []
        assert figures.sources.keys() == {THIS_INDEX}, "the index keeps for a while what it had"
    write_small_repository(root)
    shutil.rmtree(root / ".code-index")
    asked, figures, again = _indexed(root)
    assert asked == []
    assert figures.sources == {OWN: len(vectors)} == {OWN: len(again)}


def test_force_asks_the_model_and_corrects_the_library(tmp_path: Path) -> None:
    _, _, right = _indexed(write_small_repository(tmp_path / "one"))
    root = write_small_repository(tmp_path / "two")
    _spoil_library()
    _, _, wrong = _indexed(root)
    assert any(not np.array_equal(wrong[chunk_id], right[chunk_id]) for chunk_id in right)
    asked, figures, corrected = _indexed(root, force=True)
    assert len(asked) == figures.embedded == len(right)
    _, figures, of_third = _indexed(write_small_repository(tmp_path / "three"))
    assert figures.sources == {OWN: len(right)}
    for chunk_id, vector in right.items():
        np.testing.assert_array_equal(corrected[chunk_id], vector)
        np.testing.assert_array_equal(of_third[chunk_id], vector)


def test_doctor_finds_a_library_with_wrong_vectors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_small_repository(tmp_path / "one")
    _indexed(root)
    assert "ok       libraries hold the vectors of their texts" in _doctor(root, capsys)
    _spoil_library()
    said = _doctor(root, capsys)
    assert "warning  libraries hold the vectors of their texts" in said
    assert str(own_place()) in said


def test_a_library_that_is_switched_off_is_neither_asked_nor_given_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_INDEX_LIBRARY_BYTES", "0")
    _indexed(write_small_repository(tmp_path / "one"))
    assert not own_place().exists()
    assert _indexed(write_small_repository(tmp_path / "two"))[0] != []


def test_a_library_that_is_lost_costs_the_model_and_nothing_else(tmp_path: Path) -> None:
    _, _, vectors = _indexed(write_small_repository(tmp_path / "one"))
    for path in own_place().rglob("*.lance"):
        if path.is_file():
            path.write_bytes(b"\0" * 64)
    asked, figures, again = _indexed(write_small_repository(tmp_path / "two"))
    assert len(asked) == figures.embedded == len(vectors) == len(again)


def test_status_index_and_cleanup_say_what_was_reused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    count = len(_indexed(write_small_repository(tmp_path / "one"))[2])
    root = write_small_repository(tmp_path / "two")
    assert f"Reused {count} vectors: {count} from your library." in _said(capsys, "index", str(root))
    said = _said(capsys, "status", str(root))
    assert f"Vectors     {count} added so far: {count} from your library\n" in said
    assert json.loads(_said(capsys, "status", "--json", str(root)))["vector_sources"] == {OWN: count}
    assert f"Library     {count} vectors of this model in {own_place()}" in said
    assert f"0 of {count} vectors in the library that indexes share" in _said(capsys, "cleanup", "--dry-run", str(root))


def test_status_and_report_tell_the_vectors_that_an_index_was_given_by_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    team = tmp_path / "team"
    team.mkdir()
    monkeypatch.setenv("CODE_INDEX_SHARED_LIBRARIES", str(team))
    with pytest.MonkeyPatch.context() as ci:
        ci.setenv("CODE_INDEX_WRITE_SHARED_LIBRARIES", "true")
        count = len(_indexed(write_small_repository(tmp_path / "one"))[2])
    monkeypatch.setenv("CODE_INDEX_CACHE_DIR", str(tmp_path / "another user's cache"))
    root = write_small_repository(tmp_path / "two")
    assert f"Reused {count} vectors: {count} from {team}." in _said(capsys, "index", str(root))
    write_files(root, {"new.py": "def new():\n    return 'nowhere else'\n"})
    assert "Reused" not in _said(capsys, "index", str(root))
    expected = {str(team): count, MODEL: 1}
    assert Index.open(root).status().vector_sources == expected
    said = f"{count + 1} added so far: {count} from {team}, 1 from the model"
    assert said in _said(capsys, "status", str(root))
    with Pipeline(resolve_index_folder(root)) as pipeline:
        assert pipeline.materialize("index_report").error is None
        page = (pipeline.folder.path / REPORT_FILE).read_text(encoding="utf-8")
    assert f"<dt>vectors from {team}</dt><dd>{count}</dd>" in page
    _indexed(root, force=True)
    assert Index.open(root).status().vector_sources == {MODEL: count + 1}, "all were made again"


@pytest.mark.slow
def test_a_killed_run_and_a_new_index_embed_each_text_once(tmp_path: Path) -> None:
    root = write_repository(tmp_path / "repository")
    log, killed = run_victim(["index", str(root)], tmp_path, kill="append:5:after")  # given to the library, not stored
    assert killed.returncode == -signal.SIGKILL
    first = Work.of(log).embedded
    shutil.rmtree(root / ".code-index")
    log, ended = run_victim(["index", str(root)], tmp_path)
    assert ended.returncode == 0
    second = Work.of(log).embedded
    assert first
    assert second
    assert len(first & second) <= int(SETTINGS["CHECKPOINT_CHUNKS"]), "what the model had begun beside the commit"
    assert first | second == Durable.of(root).texts


def test_the_runs_metadata_say_what_came_from_libraries(tmp_path: Path) -> None:
    _indexed(write_small_repository(tmp_path / "one"))
    root = write_small_repository(tmp_path / "two")
    _indexed(root)
    with Pipeline(resolve_index_folder(root)) as pipeline:
        event = pipeline.instance.get_latest_materialization_event(dg.AssetKey("chunk_vectors"))
        assert event is not None
        assert event.asset_materialization is not None
        metadata: Mapping[str, dg.MetadataValue] = event.asset_materialization.metadata
        assert (
            metadata["vectors from your library"].value == metadata["run_reused"].value == metadata["run_chunks"].value
        )


def test_ci_writes_to_a_store_and_a_laptop_reads_it(
    tmp_path: Path, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = object_store.new_place(monkeypatch)
    monkeypatch.setenv("CODE_INDEX_SHARED_LIBRARIES", address)
    monkeypatch.setenv("CODE_INDEX_WRITE_SHARED_LIBRARIES", "true")
    _, _, vectors = _indexed(write_small_repository(tmp_path / "ci"))
    monkeypatch.delenv("CODE_INDEX_WRITE_SHARED_LIBRARIES")
    monkeypatch.setenv("CODE_INDEX_CACHE_DIR", str(tmp_path / "cache of the laptop"))
    for name, value in object_store.environment("reader").items():
        monkeypatch.setenv(name, value)
    laptop = write_small_repository(tmp_path / "laptop")
    before = object_store.objects(address)
    asked, figures, of_laptop = _indexed(laptop)
    assert asked == []
    assert figures.sources == {address: len(vectors)}
    for chunk_id, vector in vectors.items():
        np.testing.assert_array_equal(of_laptop[chunk_id], vector)
    write_files(laptop, {"app/new.py": "def new() -> int:\n    return 1\n"})
    assert len(_indexed(laptop)[0]) == 1
    assert object_store.objects(address) == before, "only read"


def test_a_store_that_is_down_costs_a_warning_and_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(object_stores, "PATIENCE_S", 0.0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("CODE_INDEX_SHARED_LIBRARIES", "s3://bucket/team")
    monkeypatch.setenv("CODE_INDEX_WRITE_SHARED_LIBRARIES", "true")
    asked, _, vectors = _indexed(write_small_repository(tmp_path / "one"))
    assert len(asked) == len(vectors)
    assert "s3://bucket/team is left out for this run" in caplog.text


def test_a_store_that_denies_writing_costs_a_warning(
    tmp_path: Path, object_store: ObjectStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("CODE_INDEX_SHARED_LIBRARIES", object_store.new_place(monkeypatch, "reader"))
    monkeypatch.setenv("CODE_INDEX_WRITE_SHARED_LIBRARIES", "true")
    asked, _, vectors = _indexed(write_small_repository(tmp_path / "one"))
    assert len(asked) == len(vectors)
    assert "is only read in this run, which could not write there" in caplog.text
    assert _indexed(write_small_repository(tmp_path / "two"))[0] == [], "the user's own library has all"


def _spoil_library() -> None:
    import lancedb

    for path in own_place().glob("*/texts.lance"):
        table = lancedb.connect(path.parent).open_table("texts")
        rows = table.to_arrow()
        places = [*range(1, rows.num_rows), 0]
        table.delete("true")
        table.add(rows.set_column(rows.schema.get_field_index("vector"), "vector", rows["vector"].take(places)))


def _said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    capsys.readouterr()
    cli.main(list(arguments), standalone_mode=False)
    return capsys.readouterr().out


def _doctor(root: Path, capsys: pytest.CaptureFixture[str]) -> str:
    try:
        return _said(capsys, "doctor", str(root))
    except SystemExit:
        return capsys.readouterr().out
