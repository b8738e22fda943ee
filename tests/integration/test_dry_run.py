"""`index --dry-run`: what it says comes true, and it writes nothing."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from code_index.core.errors import ModelError
from code_index.embedding.models.measured import MEASURED
from code_index.index.folder import locate_index_folder, resolve_index_folder
from indexing_assets.operations import forecast as room
from indexing_assets.operations.forecast import embed_seconds, forecast
from indexing_assets.operations.pipeline import Pipeline
from tests.conftest import write_files, write_small_repository

Run = Callable[..., subprocess.CompletedProcess[str]]
Write = Callable[[Path, dict[str, str]], None]


def _tree(root: Path) -> dict[Path, tuple[bytes, int] | None]:
    """Contents and times of all files. Of a folder it counts that it is there: SQLite makes files while it reads."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) if path.is_file() else None for path in root.rglob("*")}


def test_it_writes_nothing_and_what_it_says_comes_true(
    small_repository: Path, command_line: Run, write: Write, tmp_path: Path
) -> None:
    write(small_repository, {"data.bin": "\0\0", "src/late.py": "def late():\n    return 1\n"})
    before = _tree(tmp_path)
    said = json.loads(command_line("index", small_repository, "--dry-run", "--json").stdout)
    assert _tree(tmp_path) == before
    shown = command_line("index", small_repository, "--dry-run").stdout
    assert f"Files       {said['files']}, " in shown
    assert "Skipped     1 file or folder: 1 binary" in shown
    assert "Nothing was written." in shown
    assert _tree(tmp_path) == before

    command_line("index", small_repository)
    status = json.loads(command_line("status", small_repository, "--json").stdout)
    assert (said["files"], said["new"]) == (status["files"]["parsed"], 5)
    assert {name: one["files"] for name, one in said["languages"].items()} == status["languages"]
    assert said["chunks"] == said["texts"] == status["chunks"]["complete"]
    assert said["skipped"] == status["skipped"]
    assert said["exact"]
    assert said["embed_s"]["default"] > said["embed_s"]["fast"] > said["embed_s"]["deterministic"] == 0

    write(small_repository, {"src/late.py": "def late():\n    return 2\n", "src/new.py": "def new():\n    pass\n"})
    (small_repository / "docs/guide.md").unlink()
    before = _tree(tmp_path)
    later = json.loads(command_line("index", small_repository, "--dry-run", "--json").stdout)
    assert _tree(tmp_path) == before
    assert (later["new"], later["changed"], later["removed"], later["texts"]) == (1, 1, 1, 2)


def test_it_knows_what_libraries_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    monkeypatch.setenv("CODE_INDEX_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("CODE_INDEX_LIBRARY_BYTES")
    with Pipeline(resolve_index_folder(write_small_repository(tmp_path / "one"))) as pipeline:
        assert [result.error for result in (pipeline.scan(), pipeline.parse(), pipeline.embed())] == [None] * 3
        chunks = pipeline.store.chunks.count()
    second = write_small_repository(tmp_path / "two")
    write_files(second, {"new.py": "def new():\n    return 'nowhere else'\n"})
    folder = locate_index_folder(second)
    before = _tree(tmp_path)

    def needs() -> tuple[int, int, int]:
        found = forecast(folder, folder.settings())
        return found.chunks, found.texts, found.from_libraries

    assert needs() == (chunks + 1, 1, chunks)
    assert _tree(tmp_path) == before, "no time of use is noted"
    with Pipeline(folder) as pipeline:
        assert [result.error for result in (pipeline.scan(), pipeline.parse())] == [None] * 2
    assert needs() == (chunks + 1, 1, chunks), "the chunks that wait for their vectors are looked up as well"
    monkeypatch.setattr(room, "_SAMPLE_CHUNKS", chunks // 2)
    assert not forecast(folder, folder.settings()).exact
    monkeypatch.setenv("CODE_INDEX_LIBRARY_BYTES", "0")
    assert needs() == (chunks + 1, chunks + 1, 0)


def test_a_model_that_is_to_be_downloaded_is_in_no_library_and_is_not_downloaded(
    small_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_INDEX_MODEL", "nobody/has-this-model")
    folder = locate_index_folder(small_repository)
    with pytest.raises(ModelError, match="nobody/has-this-model"):
        forecast(folder, folder.settings())
    monkeypatch.setenv("CODE_INDEX_ALLOW_DOWNLOAD", "true")
    found = forecast(folder, folder.settings())
    assert (found.texts, found.from_libraries) == (found.chunks, 0)


def test_it_is_about_a_usual_run(small_repository: Path, command_line: Run) -> None:
    assert "leave --force" in command_line("index", small_repository, "--dry-run", "--force", check=2).stderr
    assert "--json is for --dry-run" in command_line("index", small_repository, "--json", check=2).stderr


def test_a_sample_tells_the_chunks_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    shutil.copytree(Path(room.__file__).parent, tmp_path / "repository", ignore=shutil.ignore_patterns("__pycache__"))
    folder = locate_index_folder(tmp_path / "repository")
    counted = forecast(folder, folder.settings())
    assert counted.exact
    monkeypatch.setattr(room, "_SAMPLE_BYTES", counted.bytes // 3)
    estimated = forecast(folder, folder.settings())
    assert not estimated.exact
    assert counted.chunks / 2 < estimated.chunks < counted.chunks * 2


def test_no_time_is_told_where_none_was_measured() -> None:
    one, two = (embed_seconds(1_000, "default", "cpu", threads) for threads in (1, 2))
    assert one is not None
    assert two == pytest.approx(one / 2)
    assert one > 1_000 / MEASURED["default"].chunks_per_core_second
    assert embed_seconds(1_350, "default", "cuda:0", 2) is None
    assert embed_seconds(1_350, "/models/own", "cpu", 2) is None


def test_a_rate_that_the_index_has_seen_goes_before_one_that_was_measured_elsewhere(
    small_repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    folder = locate_index_folder(small_repository)
    found = forecast(folder, folder.settings(), rates={"chunk_vectors.chunks_per_s": 0.5})
    assert found.configured_s == pytest.approx(found.texts / 0.5)
