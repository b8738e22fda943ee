"""`index` where nothing changed: when one small file answers, and that any difference is looked at."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Self

import dagster as dg
import pytest

from code_index.index import unchanged_marker
from code_index.index.folder import resolve_index_folder
from code_index.index.unchanged_marker import COMPLETE_FILE, read_marker, tables_fingerprint
from indexing_assets.cli.index import run
from indexing_assets.operations import pipeline as pipeline_module
from indexing_assets.operations.pipeline import Pipeline

_OPENED: list[str] = []


@pytest.fixture
def root(small_repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A repository that was indexed once; what opens its pipeline is counted."""
    monkeypatch.setenv("CODE_INDEX_MODEL", "deterministic")
    index(small_repository)
    assert (small_repository / ".code-index" / COMPLETE_FILE).is_file()
    capsys.readouterr()
    _OPENED.clear()

    class Counted(Pipeline):
        def __enter__(self) -> Self:
            _OPENED.append("opened")
            return self

    monkeypatch.setattr(pipeline_module, "Pipeline", Counted)
    return small_repository


def index(root: Path, *, phase: str = "all", force: bool = False, verify: bool = False) -> None:
    run(root, None, phase=phase, force=force, verify=verify, wait=True, retry_failed=False)


def old(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    os.utime(path, (time.time() - 60, time.time() - 60))


def test_an_unchanged_repository_is_told_without_opening_anything(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = tables_fingerprint(resolve_index_folder(root))
    index(root)
    assert _OPENED == []
    first, second, totals = capsys.readouterr().out.splitlines()
    assert (first, second) == ("Parsing: nothing changed.", "Embedding: nothing is missing.")
    assert totals.startswith("4 files, ")
    assert tables_fingerprint(resolve_index_folder(root)) == tables


def _edit(root: Path) -> None:
    old(root / "app" / "greeting.py", "def other() -> int:\n    return 1\n")


def _keep_size(root: Path) -> None:
    path = root / "settings.toml"
    old(path, path.read_text("utf-8").replace("8080", "8081"))


def _add(root: Path) -> None:
    old(root / "added.py", "added = 1\n")


def _remove(root: Path) -> None:
    (root / "docs" / "guide.md").unlink()


def _ignore(root: Path) -> None:
    old(root / ".gitignore", "docs/\n")


def _set(root: Path) -> None:
    path = root / ".code-index" / "settings.toml"
    path.write_text(f"max_chunk_characters = 500\n{path.read_text('utf-8')}", "utf-8")


def _lose_history(root: Path) -> None:
    shutil.rmtree(root / ".code-index" / "dagster")


def _lose_tables(root: Path) -> None:
    shutil.rmtree(root / ".code-index" / "tables" / "vectors.lance")


def _wipe_an_asset(root: Path) -> None:
    with Pipeline(resolve_index_folder(root)) as pipeline:
        pipeline.instance.wipe_assets([dg.AssetKey("parsed_chunks")])


@pytest.mark.parametrize(
    "change",
    [_edit, _keep_size, _add, _remove, _ignore, _set, _lose_history, _lose_tables, _wipe_an_asset],
    ids=lambda change: change.__name__.strip("_"),
)
def test_any_difference_is_looked_at_and_mended_once(root: Path, change: Callable[[Path], None]) -> None:
    change(root)
    index(root)
    assert _OPENED == ["opened"]
    with Pipeline(resolve_index_folder(root)) as pipeline:
        assert pipeline.store.chunks.count() == pipeline.store.vectors.count() > 0
    _OPENED.clear()
    index(root)
    assert _OPENED == []


@pytest.mark.parametrize(
    "options", [{"force": True}, {"verify": True}, {"phase": "parse"}, {"phase": "embed"}], ids=str
)
def test_whoever_asks_for_work_gets_it(root: Path, options: dict[str, object]) -> None:
    index(root, **options)  # type: ignore[arg-type]
    assert _OPENED == ["opened"]


@pytest.mark.parametrize("text", ["", "[]", '{"at": 0}', "{", '{"at": 0, "until": "never", "token": 1}'])
def test_a_damaged_file_costs_a_scan(root: Path, text: str) -> None:
    (root / ".code-index" / COMPLETE_FILE).write_text(text, "utf-8")
    index(root)
    assert _OPENED == ["opened"]
    assert read_marker(resolve_index_folder(root)) is not None


@pytest.mark.parametrize("hours", [-1, 13])
def test_it_holds_for_hours_and_not_before_it_was_written(
    root: Path, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    now = time.time() + timedelta(hours=hours).total_seconds()
    monkeypatch.setattr(unchanged_marker.time, "time", lambda: now)
    assert read_marker(resolve_index_folder(root)) is None


def test_a_file_whose_time_cannot_be_trusted_is_read_by_each_scan(root: Path) -> None:
    path = root / "app" / "greeting.py"
    path.write_text("young = 1\n", "utf-8")
    os.utime(path, (time.time() + 3_600, time.time() + 3_600))
    index(root)
    index(root)
    assert _OPENED == ["opened", "opened"]


def test_a_failed_file_is_told_each_time(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from click.exceptions import Exit

    from code_index.parsing.parser_pool import ParserPool

    _edit(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ParserPool, "__enter__", _refuse)
        with pytest.raises(Exit):
            index(root)
    capsys.readouterr()
    index(root)
    assert _OPENED == ["opened", "opened"]


def _refuse(_: object) -> object:
    raise OSError("no processes left")


def test_a_writer_in_between_keeps_it_from_being_noted(root: Path) -> None:
    folder = resolve_index_folder(root)
    record = json.loads((folder.path / COMPLETE_FILE).read_text("utf-8"))
    counts = unchanged_marker.Counts(**record["counts"])
    noted = unchanged_marker.write_marker(folder, token=record["token"], tables="of before", counts=counts)
    assert not noted


def test_a_model_that_may_change_in_place_is_always_looked_at(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unchanged_marker, "_KNOWN_MODELS", ("all-MiniLM-L6-v2",))
    assert read_marker(resolve_index_folder(root)) is None


def test_another_repository_in_the_folders_place_is_refused(root: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(Exception, match="is the index of"):
        run(other, root / ".code-index", phase="all", force=False, verify=False, wait=True, retry_failed=False)


def test_whoever_asks_for_the_marker_loads_no_library_of_arrays_or_tables() -> None:
    script = (
        "import sys, code_index.index.unchanged_marker;"
        "print([name for name in ('numpy', 'pyarrow', 'lancedb', 'dagster') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
